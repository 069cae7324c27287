//! Draws: codes from the prior and from fitted samplers, and log P(x) of a row draw by draw.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::routing::post;
use latent::Key;
use latent::generate::Told;
use latent::generate::sampler::How;
use schemars::{JsonSchema, schema_for};
use serde::{Deserialize, Serialize};

use super::rows::row_of;
use super::{Asked, Endpoint, MOST_ROWS, Numbers, Result, Sent};
use crate::error::Refusal;
use crate::explored::Explored;
use crate::shared::{Lane, Shared};

/// Which samples.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Samples {
    /// One of the run's samplers; `prior` is always there.
    sampler: String,
    /// How many, at most 2048.
    count: usize,
    /// What they descend from.
    #[serde(default)]
    seed: u64,
    /// Below 1: more typical codes.
    #[serde(default = "one")]
    temperature: f64,
    /// Only of this class, where the sampler knows classes.
    #[serde(default)]
    class: Option<String>,
    /// What a conditional model is told, by name; a class that isn't given is drawn.
    #[serde(default)]
    condition: BTreeMap<String, String>,
}

fn one() -> f64 {
    1.0
}

/// Draws for log P(x) of a row.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Weights {
    /// A row number, or `u3` of a dropped one.
    row: String,
    /// The number of the first draw: a long series is asked for in parts.
    #[serde(default)]
    first: usize,
    /// How many, at most 512.
    draws: usize,
}

/// What the draws say. ln of the mean of the exponentials of either list estimates log P(x); the mean of the first list itself
/// is the ELBO.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Weighed {
    /// ln p(x|z) + ln p(z) − ln q(z|x) of draws from q(z|x), in nats.
    posterior: Vec<f64>,
    /// ln p(x|z) of draws from the prior, in nats.
    prior: Vec<f64>,
}

pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        Endpoint {
            path: "/api/samples",
            method: "post",
            about: "codes from the prior or a fitted sampler, [count, dims]",
            query: None,
            body: Sent::Json(schema_for!(Samples)),
            answer: Sent::Numbers,
            handler: post(samples),
        },
        Endpoint {
            path: "/api/weights",
            method: "post",
            about: "the numbers that log P(x) of a row is estimated from, draw by draw",
            query: None,
            body: Sent::Json(schema_for!(Weights)),
            answer: Sent::Json(schema_for!(Weighed)),
            handler: post(weights),
        },
    ]
}

async fn samples(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Samples>) -> Result<Numbers> {
    let work = move |explored: &Explored| {
        if !(1..=MOST_ROWS).contains(&asked.count) {
            return Err(Refusal::bad(format!("{} samples; give 1 to {MOST_ROWS}", asked.count)));
        }
        let sampler = explored.samplers.iter().find(|sampler| sampler.kind() == asked.sampler);
        let sampler = sampler.ok_or_else(|| {
            let names: Vec<&str> = explored.samplers.iter().map(|sampler| sampler.kind()).collect();
            Refusal::missing(format!("no sampler of that name is fitted; there are: {}", names.join(", ")))
        })?;
        let class = asked.class.as_ref().map(|name| sampler.class(name)).transpose()?;
        let how = How { temperature: asked.temperature, class, ..How::default() };
        let key = Key::from_seed(asked.seed).fold("explore samples");
        let pairs: Vec<(String, String)> = asked.condition.into_iter().collect();
        let told = Told::drawn(&explored.model.facts, &pairs, asked.count, key)?;
        Ok(Numbers::codes(&sampler.draw_told(&explored.model, &told, &how, key)?))
    };
    shared.compute(Lane::Long, work).await
}

async fn weights(State(shared): State<Arc<Shared>>, Asked(asked): Asked<Weights>) -> Result<Json<Weighed>> {
    let own = Arc::clone(&shared);
    let work = move |explored: &Explored| {
        if !(1..=512).contains(&asked.draws) || asked.first > 1 << 20 {
            return Err(Refusal::bad("give 1 to 512 draws at once, up to draw 1048576"));
        }
        if let Some(why) = explored.model.lacks_density() {
            return Err(Refusal::bad(why));
        }
        let row = row_of(&own, explored, &asked.row)?;
        let key = Key::from_seed(1).fold("explore weights");
        let [posterior, prior] = explored.model.log_weights_of(&row, asked.first, asked.draws, key)?;
        Ok(Weighed { posterior, prior })
    };
    shared.compute(Lane::Long, work).await.map(Json)
}
