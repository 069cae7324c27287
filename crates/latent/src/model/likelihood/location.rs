//! What likelihoods share that are one density f of (x − g(z)) / s: Student's t, log-cosh's.
//!
//! −log p(x|z) = Σ_i ln s − ln f((x_i − g_i(z)) / s), with s fixed or one learned number. For images g(z) is squashed into [0, 1].

use burn::tensor::Tensor;
use latent_kernels::sigmoid;

use super::normal::{MeanRange, Scale};
use super::{BaseMeasure, Likelihood, mean_logits, refuse_levels, repeat_x, sum_observed};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::device::Device;
use crate::member::{Context, Life, Outputs};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// A density on the line about 0, of width 1.
pub(super) trait Standard: Send + Sync + 'static {
    /// ln f of each number.
    fn log_density(&self, u: Tensor<2>) -> Tensor<2>;

    /// Numbers drawn from f, `[rows, features]`.
    fn draw(&self, features: usize, noise: Noise<'_>, device: &Device) -> Tensor<2>;
}

/// Where f lies and how wide it is, as settings say it.
pub(super) struct Location<'a> {
    /// Which member it is.
    pub kind: &'static str,
    /// How s is found.
    pub scale: Scale,
    /// The key of s, and s.
    pub width: (&'static str, f32),
    /// Where g(z) may lie.
    pub mean: &'a MeanRange,
}

/// s cannot fall below this: identical rows would drive it to 0 and the density to ∞.
const LEAST: f64 = 1e-3;

impl Location<'_> {
    /// One output for each feature, which starts at the data's mean.
    pub(super) fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let (key, width) = self.width;
        if !(LEAST as f32..=1e6).contains(&width) {
            return Err(ConfigError::value(
                key,
                format!("{width} is not a scale"),
                "give a number from 1e-3 to 1e6",
            ));
        }
        if self.scale == Scale::Optimal {
            return Err(ConfigError::value(
                "scale",
                "the scale that fits best has no closed form here",
                "use scale = \"learned\" or \"fixed\"",
            ));
        }
        let facts = context.facts;
        refuse_levels(facts, self.kind)?;
        let bias = match self.mean.is_unit(facts) {
            true => mean_logits(facts),
            false => Some(facts.mean.clone()).filter(|mean| mean.len() == facts.shape.features()),
        };
        context.outputs = Outputs::each(facts.shape, 1, bias);
        Ok(())
    }

    pub(super) fn init(
        &self,
        context: &Context<'_>,
        init: &mut Init<'_>,
        standard: Box<dyn Standard>,
    ) -> Box<dyn Likelihood> {
        let start = Initial::Constant(self.width.1.ln());
        let log_scale = match self.scale {
            Scale::Learned => init.weight("log_scale", &[1], start),
            Scale::Fixed | Scale::Optimal => init.buffer("log_scale", &[1], start),
        };
        Box::new(Located { standard, unit: self.mean.is_unit(context.facts), log_scale })
    }
}

struct Located {
    standard: Box<dyn Standard>,
    unit: bool,
    /// ln s, `[1]`
    log_scale: WeightId,
}

impl Located {
    /// g(z) from the decoder's outputs.
    fn centre(&self, outputs: Tensor<2>) -> Tensor<2> {
        if self.unit { sigmoid(outputs) } else { outputs }
    }

    /// ln s, `[1, 1]`.
    fn log_scale(&self, view: &View<'_>) -> Tensor<2> {
        view.weights.get::<1>(self.log_scale).clamp_min(LEAST.ln()).reshape([1, 1])
    }
}

impl Likelihood for Located {
    fn measure(&self) -> BaseMeasure {
        BaseMeasure::Lebesgue
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let [rows, features] = outputs.dims();
        let x = match &batch.mask {
            // What is masked may be no number.
            Some(mask) => batch.x.clone().mask_fill(mask.clone().lower_elem(0.5), 0.0),
            None => batch.x.clone(),
        };
        let log_scale = self.log_scale(view).expand([rows, features]);
        let u = (repeat_x(&x, rows) - self.centre(outputs)) * log_scale.clone().neg().exp();
        sum_observed(self.standard.log_density(u) - log_scale, batch)
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        self.centre(outputs)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        Ok(if self.unit { graph.unary("Sigmoid", outputs) } else { outputs.clone() })
    }

    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let [rows, features] = outputs.dims();
        let off = self.standard.draw(features, noise, &Device::of(&outputs));
        self.centre(outputs) + off * self.log_scale(view).exp().expand([rows, features])
    }
}

impl Life for Located {}
