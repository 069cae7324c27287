//! Codes, or places on a map, to pictures or rows of a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::post;
use latent::array::Array;
use latent::data::SampleShape;
use latent::generate::{Observe, Samples, Told};
use latent::{Key, Model};
use schemars::{JsonSchema, schema_for};
use serde::Deserialize;

use super::map::plane_of;
use super::{Asked, Endpoint, Numbers, Result, Sent, codes_of};
use crate::error::Refusal;
use crate::explored::Explored;
use crate::shared::{Lane, Shared};

/// Codes, or places whose codes are meant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decode {
    /// Codes, one a row. Either these or `points`.
    #[serde(default)]
    codes: Vec<Vec<f32>>,
    /// Places on the map `plane`.
    #[serde(default)]
    points: Vec<[f32; 2]>,
    /// `latents`, `pca` or `umap`.
    #[serde(default)]
    plane: String,
    /// Whether a draw of p(x|z) is shown instead of its mean.
    #[serde(default)]
    draw: bool,
    /// What draws descend from.
    #[serde(default)]
    seed: u64,
    /// What a conditional model is told, by name.
    #[serde(default)]
    condition: BTreeMap<String, String>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/decode",
            method: "post",
            about: "p(x|z) at codes or at places on a map: pictures [rows, height, width, channels] of u8, or rows [rows, \
                    columns] of f32 in the units of the data",
            query: None,
            body: Sent::Json(schema_for!(Decode)),
            answer: Sent::Numbers,
            handler: post(decode),
        },
        Endpoint {
            path: "/api/lift",
            method: "post",
            about: "the codes that belong to places on a map, [points, dims]",
            query: None,
            body: Sent::Json(schema_for!(Decode)),
            answer: Sent::Numbers,
            handler: post(lift),
        },
    ]
}

impl Decode {
    fn rows(&self) -> usize {
        self.codes.len().max(self.points.len())
    }

    /// The codes that are meant.
    fn codes(self, explored: &Explored) -> Result<Array> {
        if self.points.is_empty() {
            return codes_of(explored, self.codes);
        }
        if self.points.len() > super::MOST_ROWS {
            return Err(Refusal::bad(format!(
                "{} points; give at most {}",
                self.points.len(),
                super::MOST_ROWS
            )));
        }
        let known = explored.known();
        let plane = plane_of(&known, &self.plane)?;
        let mut codes = plane.lift(&self.points, &known, explored.model.dims());
        drop(known);
        explored.tidy(&mut codes);
        Ok(codes)
    }
}

async fn decode(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Decode>) -> Result<Numbers> {
    let lane = if asked.rows() <= 8 { Lane::Quick } else { Lane::Long };
    shared
        .compute(lane, move |explored| {
            let observe = if asked.draw { Observe::Draw } else { Observe::Mean };
            let key = Key::from_seed(asked.seed).fold("explore decode");
            let condition = asked.condition.clone();
            let codes = asked.codes(explored)?;
            let told = told(&explored.model, condition, codes.rows())?;
            Ok(pixels_of(explored, &explored.model.decode_told(&codes, &told, observe, key)?))
        })
        .await
}

async fn lift(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Decode>) -> Result<Numbers> {
    shared.compute(Lane::Quick, move |explored| Ok(Numbers::codes(&asked.codes(explored)?))).await
}

/// What rows are told; nothing for a model without conditions.
pub(super) fn told(model: &Model, condition: BTreeMap<String, String>, rows: usize) -> Result<Told> {
    let pairs: Vec<(String, String)> = condition.into_iter().collect();
    Ok(Told::same(&model.facts, &pairs, rows)?)
}

/// Pictures as levels, `[rows, height, width, channels]`; rows of a table as they are, `[rows, columns]`.
pub(crate) fn pixels_of(explored: &Explored, samples: &Samples) -> Numbers {
    let rows = samples.len();
    let SampleShape::Image { .. } = explored.shape() else {
        let width = explored.model.facts.width();
        return Numbers::single(&[rows, width], samples.values().into_iter().map(|v| v as f32));
    };
    // It is an image, so that there are pictures.
    let Ok(pictures) = samples.pictures() else { return Numbers::single(&[0], []) };
    let [channels, height, width] = pictures.shape();
    let plane = height * width;
    let mut bytes = Vec::with_capacity(pictures.pixels().len());
    for image in pictures.pixels().chunks_exact(channels * plane) {
        for at in 0..plane {
            bytes
                .extend((0..channels).map(|c| (image[c * plane + at].clamp(0.0, 1.0) * 255.0).round() as u8));
        }
    }
    Numbers { shape: vec![rows, height, width, channels], kind: "u8", bytes }
}
