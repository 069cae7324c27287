//! Bernoulli: x_i ∈ {0, 1} with P(x_i = 1 | z) = sigmoid(l_i).
//!
//! −log p(x|z) = Σ_i softplus(l_i) − x_i l_i
//!
//! On grey values in (0, 1) the same sum is a cross-entropy and no density: it is a fair training signal and
//! reported as such, never as log P.

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, mean_logits, needs_unit_interval, repeat_x, sum_observed};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::ValueKind;
use crate::density::softplus;
use crate::device::Device;
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BernoulliSettings {}

struct Bernoulli {
    binary: bool,
}

impl Named for BernoulliSettings {
    const KIND: &'static str = "bernoulli";
    const ABOUT: &'static str = "binary x; on grey values a cross-entropy";
}

impl Settings<dyn Likelihood> for BernoulliSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        needs_unit_interval(context.facts, Self::KIND)?;
        context.outputs = Outputs::each(context.facts.shape, 1, mean_logits(context.facts));
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        Ok(Box::new(Bernoulli { binary: context.facts.kind == ValueKind::Binary }))
    }
}

impl Life for Bernoulli {}

impl Likelihood for Bernoulli {
    fn measure(&self) -> BaseMeasure {
        if self.binary { BaseMeasure::Counting { levels: 2 } } else { BaseMeasure::None }
    }

    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        if batch.mask.is_none() {
            return latent_kernels::bernoulli_distortion(outputs, batch.x.clone()).neg();
        }
        let x = repeat_x(&batch.x, outputs.dims()[0]);
        sum_observed(x * outputs.clone() - softplus(outputs), batch)
    }

    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        sigmoid(outputs)
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        Ok(graph.unary("Sigmoid", outputs))
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
