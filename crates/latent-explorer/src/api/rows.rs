//! One row and what the model makes of it; pictures of several; neighbours; search.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::{get, post};
use latent::Key;
use latent::array::Array;
use latent::data::{Rows, Split};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::map::plane_of;
use super::{Asked, Endpoint, Numbers, Query, Result, Sent, codes_of, pixels_of};
use crate::error::Refusal;
use crate::explored::{Explored, append};
use crate::shared::{Lane, Shared};

/// What the model makes of a row.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Row {
    /// Its number, or `u3` of a dropped one.
    pub row: String,
    /// Where it stands in the data, such as `validation 17`.
    pub name: String,
    /// The file that it is, where rows are files.
    pub file: Option<String>,
    /// Its class.
    pub label: Option<String>,
    /// The centre of q(z|x).
    pub code: Vec<f32>,
    /// The deviation of q(z|x), where it has one.
    pub deviation: Option<Vec<f32>>,
    /// The rate of each dimension in nats (one number where it doesn't split); empty where q is a point.
    pub rates: Vec<f32>,
    /// −ln p(x|z) in nats.
    pub distortion: f32,
    /// The mean squared error of its reconstruction, as the model sees it.
    pub error: f32,
    /// log P(x) in nats, where it is known already.
    pub log_p: Option<f32>,
    /// Where it lies on the map that was named.
    pub place: Option<[f32; 2]>,
    /// The covariance of q(z|x) on that map: xx, xy, yy.
    pub covariance: Option<[f64; 3]>,
    /// The values of a row of a table, in the units of the data.
    pub values: Option<Vec<f64>>,
}

/// Which row.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Which {
    /// Its number, or `u3` of a dropped one.
    row: String,
    /// The map on which its place is wanted.
    #[serde(default)]
    plane: String,
}

/// Which pictures.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pictures {
    /// Row numbers or dropped rows, such as `3,17,u0`.
    rows: String,
    /// `data` or `reconstruction`.
    of: String,
}

/// What is near.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Near {
    /// A code.
    code: Vec<f32>,
    /// How many rows, at most 100.
    count: usize,
    /// Whether only training rows count.
    #[serde(default)]
    training: bool,
}

/// A row and how far it is.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Neighbour {
    row: usize,
    /// The Euclidean distance of the codes.
    distance: f32,
    label: Option<String>,
    name: String,
}

/// What is sought.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// A row number, a place such as `validation 17`, a label, or part of a file name.
    q: String,
}

/// What was found.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Found {
    /// Row numbers, at most 2000.
    rows: Vec<usize>,
    /// How many there are in all.
    total: usize,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/row",
            method: "get",
            about: "what the model makes of a row",
            query: Some(schema_for!(Which)),
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Row)),
            handler: get(row),
        },
        Endpoint {
            path: "/api/pictures",
            method: "get",
            about: "rows of the data, or g(f(x)) of them: pictures of u8, or rows of a table of f32",
            query: Some(schema_for!(Pictures)),
            body: Sent::Nothing,
            answer: Sent::Numbers,
            handler: get(pictures),
        },
        Endpoint {
            path: "/api/nearest",
            method: "post",
            about: "the rows whose codes are nearest to a code",
            query: None,
            body: Sent::Json(schema_for!(Near)),
            answer: Sent::Json(schema_for!(Vec<Neighbour>)),
            handler: post(nearest),
        },
        Endpoint {
            path: "/api/search",
            method: "get",
            about: "rows by number, place, label or file name",
            query: Some(schema_for!(Search)),
            body: Sent::Nothing,
            answer: Sent::Json(schema_for!(Found)),
            handler: get(search),
        },
    ]
}

/// The row that is meant: of the data, or a dropped one.
pub(super) fn row_of(shared: &Shared, explored: &Explored, which: &str) -> Result<Rows> {
    let wrong = || Refusal::bad("a row is a number, or `u` and a number for one that was dropped");
    match which.strip_prefix('u') {
        Some(number) => {
            let number = number.parse().map_err(|_| wrong())?;
            let gone = || Refusal::missing("that row was dropped too long ago; drop it again");
            shared.uploads.row(number).ok_or_else(gone)
        }
        None => explored.rows(&[which.parse().map_err(|_| wrong())?]),
    }
}

/// What the model makes of a row.
pub(super) fn described(explored: &Explored, which: &str, rows: Rows, plane: &str) -> Result<Row> {
    let survey = explored.model.survey(&rows, Key::from_seed(1).fold("explore"))?;
    let number: Option<usize> = which.parse().ok();
    let label = number.and_then(|number| explored.labels.get(number)).or(rows.labels.first());
    let deviation = survey.codes.deviation.map(|array| array.values);
    let known = explored.known();
    let plane = plane_of(&known, plane).ok();
    Ok(Row {
        row: which.into(),
        name: number.map_or_else(|| "dropped".into(), |number| explored.name(number)),
        file: number.and_then(|number| explored.file(number)),
        label: label.and_then(|label| explored.model.facts.classes.get(*label as usize).cloned()),
        place: plane.and_then(|plane| plane.place(&survey.codes.mean).first().copied()),
        covariance: plane.zip(deviation.as_ref()).and_then(|(plane, s)| plane.covariance(s)),
        code: survey.codes.mean.values,
        deviation,
        rates: survey.rate.map(|rate| rate.values).unwrap_or_default(),
        distortion: survey.distortion.first().copied().unwrap_or(f32::NAN),
        error: survey.error.first().copied().unwrap_or(f32::NAN),
        log_p: number.and_then(|number| known.log_p.get(number).copied()).filter(|v| v.is_finite()),
        values: (!explored.shape().is_image()).then(|| explored.samples(rows.x).values()),
    })
}

async fn row(State(shared): State<Arc<Shared>>, Query(asked): Query<Which>) -> Result<Json<Row>> {
    let own = Arc::clone(&shared);
    let work = move |explored: &Explored| {
        let rows = row_of(&own, explored, &asked.row)?;
        described(explored, &asked.row, rows, &asked.plane)
    };
    shared.compute(Lane::Quick, work).await.map(Json)
}

async fn pictures(State(shared): State<Arc<Shared>>, Query(asked): Query<Pictures>) -> Result<Numbers> {
    let names: Vec<String> = asked.rows.split(',').map(String::from).collect();
    if names.len() > 512 {
        return Err(Refusal::bad(format!("{} rows; ask for at most 512", names.len())));
    }
    let lane = if names.len() <= 8 { Lane::Quick } else { Lane::Long };
    let own = Arc::clone(&shared);
    let work = move |explored: &Explored| {
        let mut rows = Rows::default();
        for name in &names {
            append(&mut rows, row_of(&own, explored, name)?);
        }
        let samples = match asked.of.as_str() {
            "data" => explored.samples(rows.x),
            "reconstruction" => explored.model.reconstruct(&rows)?,
            _ => return Err(Refusal::bad("pictures are of `data` or `reconstruction`")),
        };
        Ok(pixels_of(explored, &samples))
    };
    shared.compute(lane, work).await
}

async fn nearest(
    State(shared): State<Arc<Shared>>,
    Asked(asked): Asked<Near>,
) -> Result<Json<Vec<Neighbour>>> {
    let work = move |explored: &Explored| {
        let code = codes_of(explored, vec![asked.code])?;
        Ok(near(explored, &code, asked.count.min(100), asked.training))
    };
    shared.compute(Lane::Quick, work).await.map(Json)
}

/// The rows nearest to a code.
pub(super) fn near(explored: &Explored, code: &Array, count: usize, training: bool) -> Vec<Neighbour> {
    let known = explored.known();
    let z = code.row(0);
    let mut all: Vec<(f32, usize)> = known
        .mean
        .chunks_exact(z.len().max(1))
        .enumerate()
        .filter(|(row, _)| !training || explored.listed[*row].0 == Split::Train)
        .map(|(row, other)| (z.iter().zip(other).map(|(a, b)| (a - b).powi(2)).sum::<f32>(), row))
        .collect();
    if all.len() > count && count > 0 {
        all.select_nth_unstable_by(count - 1, |a, b| a.0.total_cmp(&b.0));
    }
    all.truncate(count);
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let classes = &explored.model.facts.classes;
    all.into_iter()
        .map(|(square, row)| Neighbour {
            row,
            distance: square.sqrt(),
            label: explored.labels.get(row).and_then(|label| classes.get(*label as usize)).cloned(),
            name: explored.name(row),
        })
        .collect()
}

async fn search(State(shared): State<Arc<Shared>>, Query(asked): Query<Search>) -> Result<Json<Found>> {
    let work = move |explored: &Explored| {
        let wanted = asked.q.trim().to_lowercase();
        if wanted.is_empty() || wanted.len() > 200 {
            return Ok(Found { rows: Vec::new(), total: 0 });
        }
        let n = explored.known().rows;
        let mut rows: Vec<usize> = Vec::new();
        if let Ok(number) = wanted.parse::<usize>() {
            rows.extend(Some(number).filter(|number| *number < n));
        }
        let class = |name: &String| name.to_lowercase().contains(&wanted);
        let classes: Vec<bool> = explored.model.facts.classes.iter().map(class).collect();
        let is = |row: usize| {
            let label = explored.labels.get(row).and_then(|label| classes.get(*label as usize));
            label.copied().unwrap_or(false)
                || explored.name(row) == wanted
                || explored.file(row).is_some_and(|file| file.to_lowercase().contains(&wanted))
        };
        rows.extend((0..n).filter(|row| is(*row)));
        rows.dedup();
        let total = rows.len();
        rows.truncate(2000);
        Ok(Found { rows, total })
    };
    shared.compute(Lane::Long, work).await.map(Json)
}
