//! One code for each x, q(z|x) = δ(z − f(x)): the plain autoencoder's posterior, and Wasserstein
//! autoencoders'.

use burn::tensor::{Tensor, activation::sigmoid};
use serde::{Deserialize, Serialize};

use super::{Posterior, PosteriorSettings, needs_dimensions};
use crate::batch::{LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, Point};
use crate::model::View;

/// The size of the code.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PointSettings {
    /// The number of latent dimensions.
    pub latent: usize,
    /// Whether codes are squashed into [0, 1], as a uniform prior wants.
    pub unit_interval: bool,
}

impl Default for PointSettings {
    fn default() -> Self {
        Self { latent: 16, unit_interval: false }
    }
}

struct PointPosterior {
    unit_interval: bool,
}

impl PosteriorSettings for PointSettings {
    fn check(&self) -> Result<(), ConfigError> {
        needs_dimensions(self.latent)
    }

    fn latent(&self) -> LatentShape {
        LatentShape::single(
            self.latent,
            if self.unit_interval { Support::UnitInterval } else { Support::Reals },
        )
    }

    fn outputs(&self) -> usize {
        self.latent
    }

    fn has_density(&self) -> bool {
        false
    }

    fn init(&self) -> Box<dyn Posterior> {
        Box::new(PointPosterior { unit_interval: self.unit_interval })
    }
}

impl Posterior for PointPosterior {
    fn density(&self, _: &View<'_>, outputs: Tensor<2>) -> Box<dyn Density> {
        Box::new(Point { code: if self.unit_interval { sigmoid(outputs) } else { outputs } })
    }

    fn has_density(&self) -> bool {
        false
    }
}
