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
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, mean_logits, refuse_levels, repeat_x};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{DataError, Facts, ValueKind};
use crate::density::{LN_2PI, sum_dimensions};
use crate::device::Device;
use crate::member::{Context, Freeze, Kept, Life, Mode, Named, Outputs, Progress, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// Which σ.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
    /// What the mean squared error is recorded as.
    error: String,
}

impl MeanRange {
    /// Whether the decoder's outputs are squashed into [0, 1].
    pub(super) fn is_unit(self, facts: &Facts) -> bool {
        match self {
            Self::Auto => facts.kind != ValueKind::Real,
            Self::Line => false,
            Self::Unit => true,
        }
    }
}

impl Named for NormalSettings {
    const KIND: &'static str = "normal";
    const ABOUT: &'static str = "N(g(z), σ²): σ fixed, learned or optimal";
}

impl Settings<dyn Likelihood> for NormalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1e-6..=1e6).contains(&self.sigma) {
            return Err(ConfigError::value(
                "sigma",
                format!("{} is not a standard deviation", self.sigma),
                "give a number from 1e-6 to 1e6",
            ));
        }
        let facts = context.facts;
        refuse_levels(facts, Self::KIND)?;
        let bias = match self.mean.is_unit(facts) {
            true => mean_logits(facts),
            false => Some(facts.mean.clone()).filter(|mean| mean.len() == facts.shape.features()),
        };
        context.outputs = Outputs::each(facts.shape, 1, bias);
        if self.scale == Scale::Optimal {
            context.couple(
                "the likelihood measures its scale on the whole batch",
                "or likelihood.scale = \"learned\"",
            );
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        let facts = context.facts;
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
        Ok(Box::new(Normal {
            features: facts.shape.features(),
            scale: self.scale,
            unit: self.mean.is_unit(facts),
            log_variance,
            error: init.path("squared error"),
        }))
    }
}

impl Normal {
    /// g(z) from the decoder's outputs.
    fn centre(&self, outputs: Tensor<2>) -> Tensor<2> {
        if self.unit { sigmoid(outputs) } else { outputs }
    }
}

impl Likelihood for Normal {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Lebesgue
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let rows = outputs.dims()[0];
        let centre = self.centre(outputs);
        let (square, observed) = match &batch.mask {
            // Masked numbers agree, and each row has as many features as were observed.
            Some(mask) => {
                let mask = repeat_x(mask, rows);
                let x = repeat_x(&batch.x, rows) * mask.clone();
                let square = latent_kernels::squared_error(centre * mask.clone(), x);
                (square, Some(sum_dimensions(mask)))
            }
            None => (latent_kernels::squared_error(centre, batch.x.clone()), None),
        };
        let features = self.features as f64;
        let error = || match &observed {
            Some(observed) => square.clone() / observed.clone().clamp_min(1.0),
            None => square.clone() / features,
        };
        if let Some(record) = view.record.filter(|_| self.scale == Scale::Optimal) {
            let draws = rows / batch.len().max(1);
            let weight = batch.weight.as_ref().map(|weight| weight.clone().repeat_dim(0, draws));
            record.rows(&self.error, error(), weight.as_ref());
        }
        let log_variance = if view.is_training() && self.scale == Scale::Optimal {
            let mean = match (&batch.weight, &batch.mask) {
                (None, None) => square.clone().mean() * (1.0 / features),
                _ => batch.mean(error()),
            };
            mean.clamp_min(LEAST_VARIANCE).log()
        } else {
            view.weights.get::<1>(self.log_variance)
        };
        let spread = log_variance.expand([rows]);
        let size = match observed {
            Some(observed) => (spread.clone() + LN_2PI) * observed,
            None => (spread.clone() + LN_2PI) * features,
        };
        (square * spread.neg().exp() + size) * -0.5
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        self.centre(outputs)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        Ok(if self.unit { graph.unary("Sigmoid", outputs) } else { outputs.clone() })
    }

    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let deviation = (view.weights.get::<1>(self.log_variance) * 0.5).exp();
        let [rows, features] = outputs.dims();
        let noise = noise.normals(1, features, &Device::of(&outputs));
        self.centre(outputs) + noise * deviation.reshape([1, 1]).expand([rows, features])
    }

    fn isotropic_variance(&self, view: &View<'_>) -> Option<f64> {
        let log_variance = crate::device::scalar(&view.weights.get::<1>(self.log_variance));
        (!self.unit).then(|| log_variance.exp())
    }
}

/// The optimal σ² is the mean squared error: followed by a moving average, frozen from the training data.
impl Life for Normal {
    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        let Some(mean) = kept.mean(&self.error) else { return };
        let old = weights.get::<1>(self.log_variance).exp();
        weights.set(self.log_variance, (old * KEEP + mean * (1.0 - KEEP)).clamp_min(LEAST_VARIANCE).log());
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        if self.scale == Scale::Optimal
            && let Some(mean) = freeze.pass(Mode::Evaluation)?.mean_on_host(&self.error)
        {
            freeze.weights.set_values(self.log_variance, vec![mean.max(LEAST_VARIANCE).ln() as f32]);
        }
        Ok(())
    }
}
