//! Rows of one's own: a picture, an array, a table, or the numbers of a row.

use std::sync::Arc;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::routing::post;
use latent::array::Array;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::rows::{Neighbour, Row, described, near};
use super::{Asked, Endpoint, Query, Raw, Result, Sent};
use crate::error::Refusal;
use crate::explored::Explored;
use crate::shared::{Lane, Shared};
use crate::uploads;

/// Bytes of a dropped file.
const FILE: usize = 16 << 20;

/// The map on which places are wanted.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct On {
    #[serde(default)]
    plane: String,
}

/// A row of a table.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Values {
    /// One number for each column, in the units of the data.
    values: Vec<f64>,
    /// The map on which its place is wanted.
    #[serde(default)]
    plane: String,
}

/// A dropped row.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Brought {
    #[serde(flatten)]
    row: Row,
    /// The training rows whose codes are nearest.
    nearest: Vec<Neighbour>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/bring",
            method: "post",
            about: "a file of one's own (PNG, JPEG, npy, csv; 16 MB): its first 16 rows, encoded, with the nearest training rows",
            query: Some(schema_for!(On)),
            body: Sent::File,
            answer: Sent::Json(schema_for!(Vec<Brought>)),
            handler: post(file).layer(DefaultBodyLimit::max(FILE)),
        },
        Endpoint {
            path: "/api/bring-row",
            method: "post",
            about: "a row of a table by its numbers, encoded, with the nearest training rows",
            query: None,
            body: Sent::Json(schema_for!(Values)),
            answer: Sent::Json(schema_for!(Vec<Brought>)),
            handler: post(row),
        },
    ]
}

async fn file(
    State(shared): State<Arc<Shared>>,
    Query(on): Query<On>,
    Raw(bytes): Raw,
) -> Result<Json<Vec<Brought>>> {
    let own = Arc::clone(&shared);
    let work = move |explored: &Explored| {
        let rows = uploads::read(&explored.model, &bytes)?;
        brought(&own, explored, &rows, &on.plane)
    };
    shared.compute(Lane::Long, work).await.map(Json)
}

async fn row(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Values>) -> Result<Json<Vec<Brought>>> {
    let own = Arc::clone(&shared);
    let work = move |explored: &Explored| {
        if asked.values.iter().any(|value| !value.is_finite()) {
            return Err(Refusal::bad("the values of a row are finite numbers"));
        }
        let rows = uploads::row_of(&explored.model, asked.values)?;
        brought(&own, explored, &rows, &asked.plane)
    };
    shared.compute(Lane::Long, work).await.map(Json)
}

fn brought(
    shared: &Shared,
    explored: &Explored,
    rows: &latent::data::Rows,
    plane: &str,
) -> Result<Vec<Brought>> {
    let numbers = shared.uploads.keep(rows);
    numbers
        .into_iter()
        .map(|number| {
            let row = shared.uploads.row(number).ok_or_else(|| Refusal::bad("too many rows at once"))?;
            let row = described(explored, &format!("u{number}"), row, plane)?;
            let code = Array::matrix(row.code.clone(), row.code.len());
            Ok(Brought { nearest: near(explored, &code, 12, true), row })
        })
        .collect()
}
