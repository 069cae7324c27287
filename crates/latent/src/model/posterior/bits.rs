//! q(z|x) = Π_j Bernoulli(z_j; sigmoid(ℓ_j(x))): a code of bits.
//!
//! With b bits P(X) is a sum over 2^b codes, so that small models are known exactly. See [`BitGradient`] for how
//! a gradient passes a bit.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Posterior, PosteriorSettings, needs_dimensions};
use crate::batch::{LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{BitGradient, Density, FactorisedBits};
use crate::model::View;

/// How many bits and which gradient.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitsSettings {
    /// The number of bits.
    pub latent: usize,
    /// How the gradient passes a bit while training.
    pub gradient: Surrogate,
    /// The temperature of relaxed bits: soft at 1, nearly hard at 0.1.
    pub temperature: f64,
}

/// How the gradient passes a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Surrogate {
    /// Hard bits, the gradient of their probability.
    StraightThrough,
    /// Soft bits.
    Relaxed,
}

impl Default for BitsSettings {
    fn default() -> Self {
        Self { latent: 16, gradient: Surrogate::StraightThrough, temperature: 0.5 }
    }
}

struct Bits {
    gradient: BitGradient,
}

impl PosteriorSettings for BitsSettings {
    fn check(&self) -> Result<(), ConfigError> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(ConfigError::Value {
                key: "posterior.temperature".into(),
                what: format!("{} is not a temperature", self.temperature),
                remedy: "give a positive number, such as 0.5".into(),
            });
        }
        needs_dimensions(self.latent)
    }

    fn latent(&self) -> LatentShape {
        LatentShape::single(self.latent, Support::Bits)
    }

    fn outputs(&self) -> usize {
        self.latent
    }

    fn init(&self) -> Box<dyn Posterior> {
        Box::new(Bits {
            gradient: match self.gradient {
                Surrogate::StraightThrough => BitGradient::StraightThrough,
                Surrogate::Relaxed => BitGradient::Relaxed(self.temperature),
            },
        })
    }
}

impl Posterior for Bits {
    fn density(&self, view: &View<'_>, outputs: Tensor<2>) -> Box<dyn Density> {
        let gradient = if view.training { self.gradient } else { BitGradient::None };
        Box::new(FactorisedBits { logits: outputs, gradient })
    }
}
