//! Discretised logistic: the probability that a logistic density gives to each of 256 levels.
//!
//! P(x|z) = F((x + δ − μ)/s) − F((x − δ − μ)/s), F = sigmoid, δ = half a level; the first and last level take the
//! tails. μ is the decoder's output, ln s one number per channel or per feature.
//!
//! Reference: Kingma et al., *Improved variational inference with inverse autoregressive flow* (arXiv 1606.04934).

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, LikelihoodSettings, mean_logits, needs_unit_interval};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::data::{Facts, SampleShape, ValueKind};
use crate::density::softplus;
use crate::device::Device;
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// Where the scale comes from.
#[derive(Clone, Debug, Serialize, Deserialize)]
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
const LOG_SCALE: (f64, f64) = (-7.0, 2.0);

struct DiscretisedLogistic {
    features: usize,
    channels: usize,
    levels: u32,
    /// Whether the data lies on the levels.
    on_levels: bool,
    /// ln s of each channel, unless the decoder gives it.
    log_scale: Option<WeightId>,
}

impl LikelihoodSettings for DiscretisedLogisticSettings {
    fn check(&self, facts: &Facts) -> Result<(), ConfigError> {
        if self.levels < 2 {
            return Err(ConfigError::Value {
                key: "likelihood.levels".into(),
                what: format!("{} levels", self.levels),
                remedy: "give at least 2; 8-bit images have 256".into(),
            });
        }
        needs_unit_interval(facts, "discretised-logistic")?;
        // Probabilities of levels mean something where the data has these levels.
        let levels = facts.normalisation.stored.most().map(|most| most as u32 + 1);
        if let Some(levels) =
            levels.filter(|&levels| facts.kind != ValueKind::Binary && levels != self.levels)
        {
            return Err(ConfigError::Combination {
                what: format!(
                    "likelihood `discretised-logistic` gives probabilities to {} levels, and this data has {levels}",
                    self.levels
                ),
                remedy: "set likelihood.levels to the data's, or use likelihood.kind = \"normal\"".into(),
            });
        }
        Ok(())
    }

    fn parameters(&self) -> usize {
        if self.per_feature { 2 } else { 1 }
    }

    fn output_bias(&self, facts: &Facts) -> Option<Vec<f32>> {
        let mut bias = mean_logits(facts)?;
        if self.per_feature {
            bias.extend(std::iter::repeat_n(-2.0, facts.shape.features()));
        }
        Some(bias)
    }

    fn init(&self, facts: &Facts, init: &mut Init<'_>) -> Box<dyn Likelihood> {
        let channels = match facts.shape {
            SampleShape::Image { channels, .. } => channels,
            SampleShape::Vector { columns } => columns,
        };
        let log_scale =
            (!self.per_feature).then(|| init.weight("log_scale", &[channels], Initial::Constant(-2.0)));
        let features = facts.shape.features();
        Box::new(DiscretisedLogistic {
            features,
            channels,
            levels: self.levels,
            on_levels: facts.kind == ValueKind::Binary || facts.normalisation.stored.is_integer(),
            log_scale,
        })
    }
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
    fn parameters(&self) -> usize {
        if self.log_scale.is_some() { 1 } else { 2 }
    }

    /// Values off the levels, as arrays of floats may hold, have no probability.
    fn measure(&self) -> BaseMeasure {
        if self.on_levels { BaseMeasure::Counting { levels: self.levels } } else { BaseMeasure::None }
    }

    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1> {
        let (mean, log_scale) = self.parameters_of(view, outputs);
        latent_kernels::logistic_distortion(mean, log_scale, x.clone(), self.levels as usize).neg()
    }

    /// E[x|z] = ∫₀¹ P(X > t) dt = s [softplus(μ/s) − softplus((μ − 1)/s)], which is not μ where a tail is cut off. It
    /// leaves out the rounding to levels: less than half a level.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let (mean, log_scale) = self.parameters_of(view, outputs);
        let scale = log_scale.exp();
        let upper = softplus(mean.clone() / scale.clone());
        let lower = softplus((mean - 1.0) / scale.clone());
        ((upper - lower) * scale).clamp(0.0, 1.0)
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
