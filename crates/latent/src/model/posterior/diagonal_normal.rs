//! q(z|x) = N(μ(x), diag σ²(x)); the encoder gives μ and ln σ².
//!
//! Reference: Kingma & Welling, *Auto-Encoding Variational Bayes* (arXiv 1312.6114).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Posterior, PosteriorSettings, needs_dimensions};
use crate::batch::{LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, DiagonalNormal};
use crate::model::View;

/// The number of dimensions.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiagonalNormalSettings {
    /// The number of latent dimensions.
    pub latent: usize,
}

impl Default for DiagonalNormalSettings {
    fn default() -> Self {
        Self { latent: 16 }
    }
}

struct DiagonalNormalPosterior;

/// ln σ² is kept in this range: beyond it e^{ln σ²} leaves single precision within a few steps.
const LOG_VARIANCE: (f64, f64) = (-30.0, 20.0);

impl PosteriorSettings for DiagonalNormalSettings {
    fn check(&self) -> Result<(), ConfigError> {
        needs_dimensions(self.latent)
    }

    fn latent(&self) -> LatentShape {
        LatentShape::single(self.latent, Support::Reals)
    }

    fn outputs(&self) -> usize {
        2 * self.latent
    }

    fn init(&self) -> Box<dyn Posterior> {
        Box::new(DiagonalNormalPosterior)
    }
}

impl Posterior for DiagonalNormalPosterior {
    fn density(&self, _: &View<'_>, outputs: Tensor<2>) -> Box<dyn Density> {
        let latent = outputs.dims()[1] / 2;
        let mean = outputs.clone().narrow(1, 0, latent);
        let log_variance = outputs.narrow(1, latent, latent).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
        Box::new(DiagonalNormal { mean, log_variance })
    }
}
