//! Sliced Wasserstein distance between drawn codes and the prior: along random directions θ_l of length 1, where the optimal plan
//! pairs sorted numbers,
//!
//! SW² = 1/L Σ_l 1/n Σ_i (θ_l·z_(i) − θ_l·p_(i))²
//!
//! It couples the rows of a batch.
//!
//! Reference: Kolouri et al., *Sliced-Wasserstein Autoencoder* (arXiv 1804.01947).

use burn::tensor::{Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::device::{Device, host};
use crate::key::Key;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// How many directions.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SlicedWassersteinSettings {
    /// Directions drawn at each step, L.
    pub directions: usize,
}

impl Default for SlicedWassersteinSettings {
    fn default() -> Self {
        Self { directions: 50 }
    }
}

/// More directions are taken for a mistake.
const MOST_DIRECTIONS: usize = 100_000;

struct SlicedWasserstein {
    directions: usize,
}

impl Named for SlicedWassersteinSettings {
    const KIND: &'static str = "sliced-wasserstein";
    const ABOUT: &'static str = "sliced Wasserstein distance of the codes from the prior";
}

impl Settings<dyn Term> for SlicedWassersteinSettings {
    fn formula(&self) -> Option<String> {
        Some("SW²(q(z), p(z))".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_DIRECTIONS).contains(&self.directions) {
            let what = format!("{} directions", self.directions);
            return Err(ConfigError::value("directions", what, format!("give 1 to {MOST_DIRECTIONS}")));
        }
        if context.latent.is_discrete() {
            return Err(ConfigError::combination(
                "a distance along lines is of numbers, and these codes are not",
                "use posterior.kind = \"point\" or \"diagonal-normal\"",
            ));
        }
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(SlicedWasserstein { directions: self.directions }))
    }
}

impl Term for SlicedWasserstein {
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let n = pass.batch.len();
        let z = &pass.draw().z.z;
        let noise = Noise::new(pass.key.fold("sliced"), &pass.batch.ids);
        let prior = pass.p.draw(pass.draws, noise).z.z;
        let lines = directions(z.dims()[1], self.directions, pass.key.fold("directions"), &Device::of(z));
        // Draw by draw, as for the discrepancy.
        let part = |t: &Tensor<2>, draw: usize| t.clone().narrow(0, draw * n, n);
        let each = (0..pass.draws).map(|draw| sliced_wasserstein(part(z, draw), part(&prior, draw), &lines));
        Some(Value::new(Tensor::cat(each.collect(), 0).mean()))
    }
}

impl Life for SlicedWasserstein {}

/// Uniformly random directions of length 1, `[dims, count]`.
fn directions(dims: usize, count: usize, key: Key, device: &Device) -> Tensor<2> {
    let mut numbers = vec![0.0; dims * count];
    key.normals(&mut numbers);
    let lines = device.tensor(numbers, [dims, count]);
    let length = (lines.clone() * lines.clone()).sum_dim(0).sqrt().clamp_min(1e-12);
    lines / length
}

/// The mean over directions of the squared distance along them, of two samples of equal size, `[n, dims]` each: `[1]`.
pub fn sliced_wasserstein(a: Tensor<2>, b: Tensor<2>, directions: &Tensor<2>) -> Tensor<1> {
    let sorted = |t: Tensor<2>| {
        let along = t.matmul(directions.clone());
        let order = order(&along);
        along.gather(0, order)
    };
    let off = sorted(a) - sorted(b);
    (off.clone() * off).mean()
}

/// The places of each column's numbers from the least to the greatest, `[n, columns]`.
fn order(values: &Tensor<2>) -> Tensor<2, Int> {
    let [n, columns] = values.dims();
    let numbers = host(values);
    let mut places = vec![0i32; n * columns];
    for column in 0..columns {
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|&a, &b| numbers[a * columns + column].total_cmp(&numbers[b * columns + column]));
        for (rank, row) in order.into_iter().enumerate() {
            places[rank * columns + column] = row as i32;
        }
    }
    Tensor::from_data(TensorData::new(places, [n, columns]), &values.device())
}
