//! How terms become a loss: one file an estimator.
//!
//! An estimator says how many codes are drawn of each row and makes a loss of the terms' values. It may bring players of its
//! own, each with another bound for its part of the weights.

mod elbo;
mod importance;
mod partial;
mod plain;
mod weights;

use burn::tensor::Tensor;

pub use elbo::ElboSettings;
pub use importance::ImportanceSettings;
pub use partial::PartialSettings;
pub use plain::PlainSettings;
pub use weights::Gradient;

use super::{Pass, Values};
use crate::config::ConfigError;
use crate::member::{Axis, Life, Settings};
use crate::optimizer::Player;

/// How the terms of a pass become a loss.
pub trait Estimator: Life {
    /// Codes drawn for each row, k.
    fn draws(&self) -> usize;

    /// What the player whose pass it is minimises, `[1]`, in nats per sample.
    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1>;

    /// Players beside the model's, with the weights that they take over from it.
    fn players(&self) -> Vec<Player> {
        Vec::new()
    }
}

/// The settings of an estimator. It is declared last: it sees all terms.
pub type EstimatorSettings = dyn Settings<dyn Estimator>;

/// The estimators that ship.
pub fn estimators() -> Axis<EstimatorSettings> {
    Axis::new("estimator")
        .or("elbo")
        .with::<plain::PlainSettings>()
        .with::<elbo::ElboSettings>()
        .with::<importance::ImportanceSettings>()
        .with::<partial::PartialSettings>()
}

/// The importance-weighted bound of so many draws in so many groups, as formulas write it.
fn bound(draws: usize, groups: usize) -> String {
    let mean = if groups > 1 { format!("mean over {groups} groups of ") } else { String::new() };
    match draws {
        1 => format!("{mean}ℓ"),
        _ => format!("{mean}−ln 1/{draws} Σ_d exp(−ℓ_d)"),
    }
}

/// More draws than this for a training step are a slip of the pen.
const MOST_DRAWS: usize = 10_000;

/// Refuses a number of draws that makes no sense.
fn check_draws(key: &str, draws: usize) -> Result<(), ConfigError> {
    if (1..=MOST_DRAWS).contains(&draws) {
        return Ok(());
    }
    Err(ConfigError::value(key, format!("{draws} {key}"), format!("give 1 to {MOST_DRAWS}")))
}
