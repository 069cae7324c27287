//! Normal: p(x|z) = N(x; g(z), σ² I), with σ fixed, one learned, or the optimal one. For images g(z) is squashed into [0, 1].
//!
//! −log p(x|z) = D/2 ln 2πσ² + ‖x − g(z)‖² / 2σ²
//!
//! σ is the model's only regulariser: it sets what a nat of distortion is worth against a nat of rate. The optimal σ is
//! the root of the mean squared error, σ*² = E‖x − g(z)‖² / D; while training it is that of the batch, followed by
//! a moving average for validation, and at the end frozen from the training data and stored.
//!
//! Reference: Rybkin, Daniilidis & Levine, *Simple and effective VAE training with calibrated decoders*
//! (arXiv 2006.13202).

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, LikelihoodSettings, MeasuredScale, mean_logits};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::data::{Facts, ValueKind};
use crate::density::LN_2PI;
use crate::device::Device;
use crate::model::View;
use crate::weights::{Init, Initial, WeightId, Weights};

/// Which σ.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormalSettings {
    /// How σ is found.
    pub scale: Scale,
    /// σ in normalised units: the fixed value, or where a learned one starts.
    pub sigma: f32,
    /// Where the decoder's mean may lie.
    pub mean: MeanRange,
}

/// Where the decoder's mean may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MeanRange {
    /// In [0, 1] for images, anywhere for other data.
    #[default]
    Auto,
    /// Anywhere: the decoder's output is the mean.
    Line,
    /// In [0, 1]: the mean is the sigmoid of the decoder's output.
    Unit,
}

/// How σ is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Given.
    Fixed,
    /// One number, learned with the weights.
    Learned,
    /// The maximum-likelihood value.
    Optimal,
}

impl Default for NormalSettings {
    fn default() -> Self {
        Self { scale: Scale::Optimal, sigma: 1.0, mean: MeanRange::Auto }
    }
}

/// σ² cannot fall below this: identical rows would drive it to 0 and the density to ∞.
const LEAST_VARIANCE: f64 = 1e-6;

/// The moving average keeps this share of the old σ² at each step.
const KEEP: f64 = 0.98;

struct Normal {
    features: usize,
    scale: Scale,
    unit: bool,
    /// ln σ², `[1]`
    log_variance: WeightId,
}

impl NormalSettings {
    fn is_unit(&self, facts: &Facts) -> bool {
        match self.mean {
            MeanRange::Auto => facts.kind != ValueKind::Real,
            MeanRange::Line => false,
            MeanRange::Unit => true,
        }
    }
}

impl LikelihoodSettings for NormalSettings {
    fn check(&self, _: &Facts) -> Result<(), ConfigError> {
        if !(1e-6..=1e6).contains(&self.sigma) {
            return Err(ConfigError::Value {
                key: "likelihood.sigma".into(),
                what: format!("{} is not a standard deviation", self.sigma),
                remedy: "give a number from 1e-6 to 1e6".into(),
            });
        }
        Ok(())
    }

    fn parameters(&self) -> usize {
        1
    }

    fn couples_rows(&self) -> bool {
        self.scale == Scale::Optimal
    }

    fn output_bias(&self, facts: &Facts) -> Option<Vec<f32>> {
        if self.is_unit(facts) {
            return mean_logits(facts);
        }
        Some(facts.mean.clone()).filter(|mean| mean.len() == facts.shape.features())
    }

    fn init(&self, facts: &Facts, init: &mut Init<'_>) -> Box<dyn Likelihood> {
        let start = match self.scale {
            // Before anything is learned the error is the variance of the data.
            Scale::Optimal => {
                let n = facts.variance.len().max(1) as f32;
                (facts.variance.iter().sum::<f32>() / n).max(LEAST_VARIANCE as f32)
            }
            Scale::Fixed | Scale::Learned => self.sigma * self.sigma,
        };
        let start = Initial::Constant(start.ln());
        let log_variance = match self.scale {
            Scale::Learned => init.weight("log_variance", &[1], start),
            Scale::Fixed | Scale::Optimal => init.buffer("log_variance", &[1], start),
        };
        Box::new(Normal {
            features: facts.shape.features(),
            scale: self.scale,
            unit: self.is_unit(facts),
            log_variance,
        })
    }
}

impl Normal {
    /// g(z) from the decoder's outputs.
    fn centre(&self, outputs: Tensor<2>) -> Tensor<2> {
        if self.unit { sigmoid(outputs) } else { outputs }
    }
}

impl Likelihood for Normal {
    fn parameters(&self) -> usize {
        1
    }

    fn couples_rows(&self) -> bool {
        self.scale == Scale::Optimal
    }

    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Lebesgue
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1> {
        let square = latent_kernels::squared_error(self.centre(outputs), x.clone());
        let features = self.features as f64;
        let log_variance = if view.training && self.scale == Scale::Optimal {
            (square.clone().mean() * (1.0 / features)).clamp_min(LEAST_VARIANCE).log()
        } else {
            view.weights.get::<1>(self.log_variance)
        };
        let rows = square.dims()[0];
        let spread = log_variance.expand([rows]);
        (square * spread.clone().neg().exp() + (spread + LN_2PI) * features) * -0.5
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        self.centre(outputs)
    }

    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let deviation = (view.weights.get::<1>(self.log_variance) * 0.5).exp();
        let [rows, features] = outputs.dims();
        let noise = noise.normals(1, features, &Device::of(&outputs));
        self.centre(outputs) + noise * deviation.reshape([1, 1]).expand([rows, features])
    }

    fn scale(&self) -> Option<&dyn MeasuredScale> {
        (self.scale == Scale::Optimal).then_some(self)
    }
}

impl MeasuredScale for Normal {
    fn statistic(&self, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1> {
        latent_kernels::squared_error(self.centre(outputs), x.clone()) / self.features as f64
    }

    fn follow(&self, weights: &mut Weights, mean: Tensor<1>) {
        let old = weights.get::<1>(self.log_variance).exp();
        weights.set(self.log_variance, (old * KEEP + mean * (1.0 - KEEP)).clamp_min(LEAST_VARIANCE).log());
    }

    fn freeze(&self, weights: &mut Weights, mean: f64) {
        weights.set_values(self.log_variance, vec![mean.max(LEAST_VARIANCE).ln() as f32]);
    }
}
