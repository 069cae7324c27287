//! Discretised logistic: the probability that a logistic density gives to each of 256 levels.
//!
//! P(x|z) = F((x + δ − μ)/s) − F((x − δ − μ)/s), F = sigmoid, δ = half a level; the first and last level take the
//! tails. μ is the decoder's output, ln s one number per channel or per feature.
//!
//! Reference: Kingma et al., *Improved variational inference with inverse autoregressive flow* (arXiv 1606.04934).

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    BaseMeasure, Likelihood, check_levels, has_levels, mean_logits, needs_unit_interval, repeat_x,
    sum_observed,
};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::density::softplus;
use crate::device::Device;
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// Where the scale comes from.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiscretisedLogisticSettings {
    /// Whether the decoder gives ln s for each feature; otherwise one is learned for each channel.
    pub per_feature: bool,
    /// The number of levels of a value.
    pub levels: u32,
}

impl Default for DiscretisedLogisticSettings {
    fn default() -> Self {
        Self { per_feature: false, levels: 256 }
    }
}

/// ln s stays in this range: s from a fraction of a level to several times the range of x.
pub(super) const LOG_SCALE: (f64, f64) = (-7.0, 2.0);

struct DiscretisedLogistic {
    features: usize,
    channels: usize,
    levels: u32,
    /// Whether the data lies on the levels.
    on_levels: bool,
    /// ln s of each channel, unless the decoder gives it.
    log_scale: Option<WeightId>,
}

impl Named for DiscretisedLogisticSettings {
    const KIND: &'static str = "discretised-logistic";
    const ABOUT: &'static str = "probabilities of 256 levels from a logistic density";
}

impl Settings<dyn Likelihood> for DiscretisedLogisticSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let facts = context.facts;
        needs_unit_interval(facts, Self::KIND)?;
        check_levels(facts, Self::KIND, self.levels)?;
        let parameters = if self.per_feature { 2 } else { 1 };
        let mut bias = mean_logits(facts);
        if let Some(bias) = bias.as_mut().filter(|_| self.per_feature) {
            bias.extend(std::iter::repeat_n(-2.0, facts.shape.features()));
        }
        context.outputs = Outputs::each(facts.shape, parameters, bias);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        let facts = context.facts;
        let channels = match facts.shape {
            SampleShape::Image { channels, .. } => channels,
            SampleShape::Vector { columns } => columns,
        };
        let log_scale =
            (!self.per_feature).then(|| init.weight("log_scale", &[channels], Initial::Constant(-2.0)));
        let features = facts.shape.features();
        Ok(Box::new(DiscretisedLogistic {
            features,
            channels,
            levels: self.levels,
            on_levels: has_levels(facts),
            log_scale,
        }))
    }
}

impl Life for DiscretisedLogistic {}

/// The mean of a logistic number that is clamped to [0, 1].
pub(super) fn clamped_mean(mean: Tensor<2>, log_scale: Tensor<2>) -> Tensor<2> {
    let scale = log_scale.exp();
    let upper = softplus(mean.clone() / scale.clone());
    let lower = softplus((mean - 1.0) / scale.clone());
    ((upper - lower) * scale).clamp(0.0, 1.0)
}

/// The same in a graph, of μ and s.
pub(super) fn trace_clamped_mean(graph: &mut Graph, mean: &Node, scale: &Node) -> Node {
    let upper = graph.binary("Div", mean, scale);
    let upper = graph.softplus(&upper);
    let less = graph.with("Add", mean, &[-1.0], &[1]);
    let lower = graph.binary("Div", &less, scale);
    let lower = graph.softplus(&lower);
    let width = graph.binary("Sub", &upper, &lower);
    let x = graph.binary("Mul", &width, scale);
    graph.clamp(&x, Some(0.0), Some(1.0))
}

impl DiscretisedLogistic {
    /// μ in (0, 1) and ln s, `[rows, features]` each.
    fn parameters_of(&self, view: &View<'_>, outputs: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let rows = outputs.dims()[0];
        let (mean, log_scale) = match self.log_scale {
            Some(id) => {
                let area = self.features / self.channels.max(1);
                let per_channel = view.weights.get::<1>(id).reshape([self.channels, 1]);
                let per_feature = per_channel.expand([self.channels, area]).reshape([1, self.features]);
                (outputs, per_feature.expand([rows, self.features]))
            }
            None => {
                (outputs.clone().narrow(1, 0, self.features), outputs.narrow(1, self.features, self.features))
            }
        };
        (sigmoid(mean), log_scale.clamp(LOG_SCALE.0, LOG_SCALE.1))
    }
}

impl Likelihood for DiscretisedLogistic {
    /// Values off the levels, as arrays of floats may hold, have no probability.
    fn measure(&self) -> BaseMeasure {
        if self.on_levels { BaseMeasure::Counting { levels: self.levels } } else { BaseMeasure::None }
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let (mean, log_scale) = self.parameters_of(view, outputs);
        let levels = self.levels as usize;
        if batch.mask.is_none() {
            return latent_kernels::logistic_distortion(mean, log_scale, batch.x.clone(), levels).neg();
        }
        // Each feature as a row of its own, then the sum over those observed.
        let [rows, features] = mean.dims();
        let one = |t: Tensor<2>| t.reshape([rows * features, 1]);
        let x = repeat_x(&batch.x, rows);
        let each = latent_kernels::logistic_distortion(one(mean), one(log_scale), one(x), levels).neg();
        sum_observed(each.reshape([rows, features]), batch)
    }

    /// E[x|z] = ∫₀¹ P(X > t) dt = s [softplus(μ/s) − softplus((μ − 1)/s)], which is not μ where a tail is cut off. It
    /// leaves out the rounding to levels: less than half a level.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let (mean, log_scale) = self.parameters_of(view, outputs);
        clamped_mean(mean, log_scale)
    }

    fn trace(&self, weights: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let mean = graph.columns(outputs, 0, self.features);
        let mean = graph.unary("Sigmoid", &mean);
        let log_scale = match self.log_scale {
            Some(id) => {
                let area = self.features / self.channels.max(1);
                let each = weights.entry(id).values();
                let all: Vec<f32> = each.iter().flat_map(|&v| std::iter::repeat_n(v, area)).collect();
                graph.same(&mean, &all)
            }
            None => graph.columns(outputs, self.features, self.features),
        };
        let log_scale = graph.clamp(&log_scale, Some(LOG_SCALE.0 as f32), Some(LOG_SCALE.1 as f32));
        let scale = graph.unary("Exp", &log_scale);
        Ok(trace_clamped_mean(graph, &mean, &scale))
    }

    /// μ + s logit(u), rounded to a level.
    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let (mean, log_scale) = self.parameters_of(view, outputs);
        let u = noise.uniforms(1, self.features, &Device::of(&mean));
        let logistic = u.clone().log() - (u.neg() + 1.0).log();
        let top = f64::from(self.levels - 1);
        ((mean + log_scale.exp() * logistic).clamp(0.0, 1.0) * top).round() / top
    }
}
