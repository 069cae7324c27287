//! The map: places, fields and codes of the rows surveyed so far, and the planes that they are drawn on.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use latent::array::Array;
use latent::data::Split;
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::{Asked, Endpoint, Numbers, Query, Result, Sent, codes_of};
use crate::error::Refusal;
use crate::explored::{Explored, Known};
use crate::plane::Plane;
use crate::shared::{Lane, Shared};

/// Which places.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Points {
    /// `latents`, `pca` or `umap`.
    plane: String,
    /// The first row that is wanted.
    #[serde(default)]
    from: usize,
}

/// Which field.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Field {
    /// `label`, `split` (0 held out, 1 training), `rate`, `error`, `distortion`, `log_p`, `z1`, `z2` …, or `column:NAME`.
    name: String,
    /// The first row that is wanted.
    #[serde(default)]
    from: usize,
}

/// Codes that are to be drawn on a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Place {
    /// `latents`, `pca` or `umap`.
    plane: String,
    /// Codes, one a row.
    codes: Vec<Vec<f32>>,
}

/// A window of a map.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Window {
    /// `latents` or `pca`.
    plane: String,
    /// The window's sides.
    left: f32,
    right: f32,
    bottom: f32,
    top: f32,
    /// Places along each side, 2 to 128.
    size: usize,
}

/// Rows whose codes are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    /// Row numbers; empty for all.
    #[serde(default)]
    rows: Vec<usize>,
    /// `npy` or `csv`.
    #[serde(rename = "as")]
    kind: String,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/points",
            method: "get",
            about: "where the rows surveyed so far lie on a map, [rows, 2]",
            query: Some(schema_for!(Points)),
            body: Sent::Nothing,
            answer: Sent::Numbers,
            handler: get(points),
        },
        Endpoint {
            path: "/api/field",
            method: "get",
            about: "a number of each row surveyed so far, [rows]; NaN where it is not known. Asking for log_p has it computed",
            query: Some(schema_for!(Field)),
            body: Sent::Nothing,
            answer: Sent::Numbers,
            handler: get(field),
        },
        Endpoint {
            path: "/api/regions",
            method: "get",
            about: "the covariance of q(z|x) of the rows surveyed so far on a map, [rows, 3]: xx, xy, yy",
            query: Some(schema_for!(Points)),
            body: Sent::Nothing,
            answer: Sent::Numbers,
            handler: get(regions),
        },
        Endpoint {
            path: "/api/place",
            method: "post",
            about: "where codes lie on a map, [codes, 2]",
            query: None,
            body: Sent::Json(schema_for!(Place)),
            answer: Sent::Numbers,
            handler: post(place),
        },
        Endpoint {
            path: "/api/prior",
            method: "get",
            about: "ln p(z) over a window of a map, in nats, [size, size] from its lower left corner, row by row",
            query: Some(schema_for!(Window)),
            body: Sent::Nothing,
            answer: Sent::Numbers,
            handler: get(prior),
        },
        Endpoint {
            path: "/api/codes",
            method: "post",
            about: "codes of rows as a file: npy [rows, dims], or csv with split, position, label and rate",
            query: None,
            body: Sent::Json(schema_for!(Taken)),
            answer: Sent::File,
            handler: post(codes),
        },
    ]
}

/// The plane of that name.
pub(super) fn plane_of<'a>(known: &'a Known, name: &str) -> Result<&'a Plane> {
    let found = known.planes.iter().find(|(of, _)| of == name).map(|(_, plane)| plane);
    found.ok_or_else(|| {
        let names: Vec<&str> = known.planes.iter().map(|(name, _)| name.as_str()).collect();
        let names = if names.is_empty() { "none yet".into() } else { names.join(", ") };
        Refusal::missing(format!("there is no map of that name (yet); there are: {names}"))
    })
}

async fn points(State(shared): State<Arc<Shared>>, Query(asked): Query<Points>) -> Result<Numbers> {
    shared
        .compute(Lane::Long, move |explored| {
            let known = explored.known();
            let plane = plane_of(&known, &asked.plane)?;
            let from = asked.from.min(known.rows);
            Ok(Numbers::places(&plane.places(&known, from, explored.model.dims())))
        })
        .await
}

async fn regions(State(shared): State<Arc<Shared>>, Query(asked): Query<Points>) -> Result<Numbers> {
    shared
        .compute(Lane::Long, move |explored| {
            let known = explored.known();
            let plane = plane_of(&known, &asked.plane)?;
            let dims = explored.model.dims();
            let from = asked.from.min(known.rows) * dims;
            let deviations = known.deviation.get(from..).unwrap_or_default().chunks_exact(dims.max(1));
            let found: Option<Vec<[f64; 3]>> = deviations.map(|s| plane.covariance(s)).collect();
            let found = found.filter(|found| !found.is_empty());
            let found =
                found.ok_or_else(|| Refusal::bad("this posterior, or this map, has no regions to draw"))?;
            Ok(Numbers::single(&[found.len(), 3], found.into_iter().flatten().map(|v| v as f32)))
        })
        .await
}

async fn field(State(shared): State<Arc<Shared>>, Query(asked): Query<Field>) -> Result<Numbers> {
    shared
        .compute(Lane::Long, move |explored| {
            if asked.name == "log_p" {
                explored.wants_log_p.store(true, Ordering::Relaxed);
            }
            let known = explored.known();
            let values = field_of(explored, &known, &asked.name)?;
            let values = values.get(asked.from..).unwrap_or_default().to_vec();
            Ok(Numbers::single(&[values.len()], values))
        })
        .await
}

/// A number of each row that is known.
pub(crate) fn field_of(explored: &Explored, known: &Known, name: &str) -> Result<Vec<f32>> {
    let dims = explored.model.dims();
    let column = |values: &[f32], at: usize, width: usize| -> Vec<f32> {
        values.iter().skip(at).step_by(width.max(1)).copied().collect()
    };
    let unknown = || Refusal::missing("there is no field of that name");
    let values = match name {
        "label" if !explored.labels.is_empty() => {
            explored.labels[..known.rows].iter().map(|label| *label as f32).collect()
        }
        "split" => {
            let of = |(split, _): &(Split, u32)| f32::from(u8::from(*split == Split::Train));
            explored.listed[..known.rows].iter().map(of).collect()
        }
        "rate" => known.rate.clone(),
        "error" => known.error.clone(),
        "distortion" => known.distortion.clone(),
        "log_p" => known.log_p.clone(),
        _ => {
            let names = || explored.model.facts.names_of_values();
            let dim = name.strip_prefix('z').and_then(|rest| rest.parse::<usize>().ok());
            let named = name.strip_prefix("column:");
            match (dim, named.and_then(|named| names().iter().position(|of| of == named))) {
                (Some(dim), _) if (1..=dims).contains(&dim) => column(&known.mean, dim - 1, dims),
                (_, Some(at)) if !known.values.is_empty() => column(&known.values, at, names().len()),
                _ => return Err(unknown()),
            }
        }
    };
    if values.is_empty() && known.rows > 0 { Err(unknown()) } else { Ok(values) }
}

async fn place(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Place>) -> Result<Numbers> {
    shared
        .compute(Lane::Long, move |explored| {
            let codes = codes_of(explored, asked.codes)?;
            Ok(Numbers::places(&plane_of(&explored.known(), &asked.plane)?.place(&codes)))
        })
        .await
}

async fn prior(State(shared): State<Arc<Shared>>, Query(asked): Query<Window>) -> Result<Numbers> {
    shared.compute(Lane::Long, move |explored| log_prior(explored, &asked)).await
}

fn log_prior(explored: &Explored, asked: &Window) -> Result<Numbers> {
    let size = asked.size.clamp(2, 128);
    let sides = [asked.left, asked.right, asked.bottom, asked.top];
    if sides.iter().any(|side| !side.is_finite()) {
        return Err(Refusal::bad("the sides of a window are finite numbers"));
    }
    let along = |from: f32, to: f32, at: usize| from + (to - from) * at as f32 / (size - 1) as f32;
    let points: Vec<[f32; 2]> = (0..size * size)
        .map(|at| [along(asked.left, asked.right, at % size), along(asked.bottom, asked.top, at / size)])
        .collect();
    let known = explored.known();
    let plane = plane_of(&known, &asked.plane)?;
    if !plane.is_linear() {
        return Err(Refusal::bad(
            "places on this map have no codes of their own, so that there is no density of them",
        ));
    }
    let codes = plane.lift(&points, &known, explored.model.dims());
    drop(known);
    let told = explored.model.told(codes.rows(), latent::Key::from_seed(1))?;
    let values = explored.model.log_prior(&codes, &told)?;
    let values = values.ok_or_else(|| Refusal::bad("this prior has no density"))?;
    Ok(Numbers::single(&[size, size], values.into_iter().map(|v| v as f32)))
}

async fn codes(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Taken>) -> Result<Response> {
    shared
        .compute(Lane::Long, move |explored| {
            let known = explored.known();
            let dims = explored.model.dims();
            let rows: Vec<usize> = match asked.rows.is_empty() {
                true => (0..known.rows).collect(),
                false => asked.rows.into_iter().filter(|row| *row < known.rows).collect(),
            };
            let of = |row: usize| &known.mean[row * dims..(row + 1) * dims];
            let (kind, bytes) = match asked.kind.as_str() {
                "npy" => {
                    let codes = rows.iter().flat_map(|&row| of(row)).copied().collect();
                    ("application/octet-stream", npy(&Array::matrix(codes, dims)))
                }
                "csv" => ("text/csv; charset=utf-8", csv(explored, &known, &rows).into_bytes()),
                _ => return Err(Refusal::bad("a file of codes is `npy` or `csv`")),
            };
            Ok(([(header::CONTENT_TYPE, kind)], bytes).into_response())
        })
        .await
}

/// An npy file of single precision.
fn npy(array: &Array) -> Vec<u8> {
    let shape = format!("({}, {})", array.rows(), array.width());
    let mut head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length take 10 bytes; the numbers start at a multiple of 64.
    while !(10 + head.len() + 1).is_multiple_of(64) {
        head.push(' ');
    }
    head.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((head.len() as u16).to_le_bytes());
    bytes.extend(head.into_bytes());
    bytes.extend(array.values.iter().flat_map(|v| v.to_le_bytes()));
    bytes
}

/// A table of rows and their codes.
fn csv(explored: &Explored, known: &Known, rows: &[usize]) -> String {
    let dims = explored.model.dims();
    let mut text = String::from("row,split,position,label,rate,error");
    (1..=dims).for_each(|dim| text.push_str(&format!(",z{dim}")));
    text.push('\n');
    for &row in rows {
        let (split, at) = explored.listed[row];
        let label =
            explored.labels.get(row).and_then(|label| explored.model.facts.classes.get(*label as usize));
        let rate = known.rate.get(row).map(ToString::to_string).unwrap_or_default();
        let label = quoted(label.map_or("", String::as_str));
        text.push_str(&format!("{row},{split},{at},{label},{rate},{}", known.error[row]));
        known.mean[row * dims..(row + 1) * dims].iter().for_each(|z| text.push_str(&format!(",{z}")));
        text.push('\n');
    }
    text
}

/// A cell that may hold anything.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
