//! Ways between two codes, and means of groups of rows: what interpolation and arithmetic are made of.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use latent::generate::{Path, interpolate};
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::{Asked, Endpoint, Numbers, Result, Sent, codes_of};
use crate::error::Refusal;
use crate::explored::Explored;
use crate::shared::{Lane, Shared};

/// Two codes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Between {
    from: Vec<f32>,
    to: Vec<f32>,
    /// Codes on the way, both ends included: 2 to 256.
    steps: usize,
    /// Along the great circle, which keeps the length of codes, instead of the straight line.
    #[serde(default)]
    spherical: bool,
}

/// A group of rows.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    rows: Vec<usize>,
}

/// The mean of the codes of a group.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Mean {
    code: Vec<f32>,
    /// How many rows it is of.
    rows: usize,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/between",
            method: "post",
            about: "codes on the way from one to another, [steps, dims]",
            query: None,
            body: Sent::Json(schema_for!(Between)),
            answer: Sent::Numbers,
            handler: post(between),
        },
        Endpoint {
            path: "/api/mean",
            method: "post",
            about: "the mean of the codes of some rows",
            query: None,
            body: Sent::Json(schema_for!(Group)),
            answer: Sent::Json(schema_for!(Mean)),
            handler: post(mean),
        },
    ]
}

async fn between(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Between>) -> Result<Numbers> {
    let work = move |explored: &Explored| {
        if !(2..=256).contains(&asked.steps) {
            return Err(Refusal::bad(format!("{} steps; give 2 to 256", asked.steps)));
        }
        let ends = codes_of(explored, vec![asked.from, asked.to])?;
        let path = if asked.spherical { Path::Spherical } else { Path::Linear };
        let mut codes = interpolate(ends.row(0), ends.row(1), asked.steps, path);
        explored.tidy(&mut codes);
        Ok(Numbers::codes(&codes))
    };
    shared.compute(Lane::Quick, work).await
}

async fn mean(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Group>) -> Result<Json<Mean>> {
    let work = move |explored: &Explored| {
        let (known, dims) = (explored.known(), explored.model.dims());
        let (mut sums, mut count) = (vec![0.0f64; dims], 0usize);
        for row in asked.rows {
            let code = known.mean.get(row * dims..(row + 1) * dims);
            let code =
                code.ok_or_else(|| Refusal::missing(format!("there is no code of row {row} (yet)")))?;
            sums.iter_mut().zip(code).for_each(|(sum, z)| *sum += f64::from(*z));
            count += 1;
        }
        if count == 0 {
            return Err(Refusal::bad("a group without rows has no mean"));
        }
        let code = sums.into_iter().map(|sum| (sum / count as f64) as f32).collect();
        Ok(Mean { code, rows: count })
    };
    shared.compute(Lane::Quick, work).await.map(Json)
}
