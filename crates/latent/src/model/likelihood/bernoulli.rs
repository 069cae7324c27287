//! Bernoulli: x_i ∈ {0, 1} with P(x_i = 1 | z) = sigmoid(l_i).
//!
//! −log p(x|z) = Σ_i softplus(l_i) − x_i l_i
//!
//! On grey values in (0, 1) the same sum is a cross-entropy and no density: it is a fair training signal and
//! reported as such, never as log P.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, LikelihoodSettings, mean_logits, needs_unit_interval};
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::data::{Facts, ValueKind};
use crate::device::Device;
use crate::model::View;
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BernoulliSettings {}

struct Bernoulli {
    binary: bool,
}

impl LikelihoodSettings for BernoulliSettings {
    fn check(&self, facts: &Facts) -> Result<(), ConfigError> {
        needs_unit_interval(facts, "bernoulli")
    }

    fn parameters(&self) -> usize {
        1
    }

    fn output_bias(&self, facts: &Facts) -> Option<Vec<f32>> {
        mean_logits(facts)
    }

    fn init(&self, facts: &Facts, _: &mut Init<'_>) -> Box<dyn Likelihood> {
        Box::new(Bernoulli { binary: facts.kind == ValueKind::Binary })
    }
}

impl Likelihood for Bernoulli {
    fn parameters(&self) -> usize {
        1
    }

    fn measure(&self) -> BaseMeasure {
        if self.binary { BaseMeasure::Counting { levels: 2 } } else { BaseMeasure::None }
    }

    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1> {
        latent_kernels::bernoulli_distortion(outputs, x.clone()).neg()
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        latent_kernels::sigmoid(outputs)
    }

    /// Bits for binary data; for grey data a draw of bits would not be like the data, so the mean is given.
    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        let mean = self.mean(view, outputs);
        if !self.binary {
            return mean;
        }
        let device = Device::of(&mean);
        let uniforms = noise.uniforms(1, mean.dims()[1], &device);
        let dtype = mean.dtype();
        uniforms.lower(mean).float().cast(dtype)
    }
}
