//! Laplace: p(x|z) = Π_j exp(−|x_j − g_j(z)| / b) / 2b, with b fixed, one learned, or the optimal one. For images g(z) is squashed
//! into [0, 1].
//!
//! −log p(x|z) = D ln 2b + ‖x − g(z)‖₁ / b
//!
//! Its g(z) is the median of x given z where a normal's is the mean: an edge that may lie here or there stays an edge. The
//! optimal b is the mean absolute error, b* = E‖x − g(z)‖₁ / D: that of the batch while training, followed by a moving average for
//! validation, and at the end frozen from the training data and stored.
//!
//! References: the optimal scale as in Rybkin, Daniilidis & Levine (arXiv 2006.13202); the absolute error of Rombach et al.,
//! *Latent diffusion* (arXiv 2112.10752).

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::normal::{MeanRange, Scale};
use super::{BaseMeasure, Likelihood, mean_logits, refuse_levels, repeat_x};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{DataError, Facts};
use crate::density::sum_dimensions;
use crate::device::Device;
use crate::member::{Context, Freeze, Kept, Life, Mode, Named, Outputs, Progress, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// Which b.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LaplaceSettings {
    /// How b is found.
    pub scale: Scale,
    /// b in normalised units: the fixed value, or where a learned one starts.
    pub b: f32,
    /// Where the decoder's median may lie.
    pub mean: MeanRange,
}

impl Default for LaplaceSettings {
    fn default() -> Self {
        Self { scale: Scale::Optimal, b: 1.0, mean: MeanRange::Auto }
    }
}

/// b cannot fall below this: identical rows would drive it to 0 and the density to ∞.
const LEAST: f64 = 1e-3;

/// The moving average keeps this share of the old b at each step.
const KEEP: f64 = 0.98;

struct Laplace {
    features: usize,
    scale: Scale,
    unit: bool,
    /// ln b, `[1]`
    log_scale: WeightId,
    /// What the mean absolute error is recorded as.
    error: String,
}

impl Named for LaplaceSettings {
    const KIND: &'static str = "laplace";
    const ABOUT: &'static str = "absolute error about g(z): b fixed, learned or optimal";
}

impl Settings<dyn Likelihood> for LaplaceSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1e-6..=1e6).contains(&self.b) {
            let what = format!("{} is not a scale", self.b);
            return Err(ConfigError::value("b", what, "give a number from 1e-6 to 1e6"));
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
            Scale::Optimal => spread(facts),
            Scale::Fixed | Scale::Learned => self.b,
        };
        let start = Initial::Constant(start.ln());
        let log_scale = match self.scale {
            Scale::Learned => init.weight("log_scale", &[1], start),
            Scale::Fixed | Scale::Optimal => init.buffer("log_scale", &[1], start),
        };
        Ok(Box::new(Laplace {
            features: facts.shape.features(),
            scale: self.scale,
            unit: self.mean.is_unit(facts),
            log_scale,
            error: init.path("absolute error"),
        }))
    }
}

/// The b of the data's variance, 2b² of a Laplace distribution: where nothing is learned yet.
fn spread(facts: &Facts) -> f32 {
    let n = facts.variance.len().max(1) as f32;
    (facts.variance.iter().sum::<f32>() / n / 2.0).sqrt().max(LEAST as f32)
}

impl Laplace {
    /// g(z) from the decoder's outputs.
    fn centre(&self, outputs: Tensor<2>) -> Tensor<2> {
        if self.unit { sigmoid(outputs) } else { outputs }
    }
}

impl Likelihood for Laplace {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Lebesgue
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let rows = outputs.dims()[0];
        let distance = (self.centre(outputs) - repeat_x(&batch.x, rows)).abs();
        let features = self.features as f64;
        let (distance, observed) = match &batch.mask {
            // Each row has as many features as were observed; what is masked may be no number.
            Some(mask) => {
                let mask = repeat_x(mask, rows);
                let seen = distance.mask_fill(mask.clone().lower_elem(0.5), 0.0);
                (sum_dimensions(seen), Some(sum_dimensions(mask)))
            }
            None => (sum_dimensions(distance), None),
        };
        let error = || match &observed {
            Some(observed) => distance.clone() / observed.clone().clamp_min(1.0),
            None => distance.clone() / features,
        };
        if let Some(record) = view.record.filter(|_| self.scale == Scale::Optimal) {
            let draws = rows / batch.len().max(1);
            let weight = batch.weight.as_ref().map(|weight| weight.clone().repeat_dim(0, draws));
            record.rows(&self.error, error(), weight.as_ref());
        }
        let log_scale = if view.is_training() && self.scale == Scale::Optimal {
            batch.mean(error()).clamp_min(LEAST).log()
        } else {
            view.weights.get::<1>(self.log_scale)
        };
        let log_scale = log_scale.expand([rows]);
        let each = log_scale.clone() + std::f64::consts::LN_2;
        let size = match observed {
            Some(observed) => each * observed,
            None => each * features,
        };
        (distance * log_scale.neg().exp() + size).neg()
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        self.centre(outputs)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        Ok(if self.unit { graph.unary("Sigmoid", outputs) } else { outputs.clone() })
    }

    /// g(z) ± b E, with E exponential: the inverse of the distribution function at a uniform number.
    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let [rows, features] = outputs.dims();
        let centred = noise.uniforms(1, features, &Device::of(&outputs)) - 0.5;
        let size = (centred.clone().abs() * -2.0 + 1.0).clamp_min(1e-30).log().neg();
        let scale = view.weights.get::<1>(self.log_scale).exp().reshape([1, 1]).expand([rows, features]);
        self.centre(outputs) + centred.sign() * size * scale
    }
}

/// The optimal b is the mean absolute error: followed by a moving average, frozen from the training data.
impl Life for Laplace {
    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        let Some(mean) = kept.mean(&self.error) else { return };
        let old = weights.get::<1>(self.log_scale).exp();
        weights.set(self.log_scale, (old * KEEP + mean * (1.0 - KEEP)).clamp_min(LEAST).log());
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        if self.scale == Scale::Optimal
            && let Some(mean) = freeze.pass(Mode::Evaluation)?.mean_on_host(&self.error)
        {
            freeze.weights.set_values(self.log_scale, vec![mean.max(LEAST).ln() as f32]);
        }
        Ok(())
    }
}
