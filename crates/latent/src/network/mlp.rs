//! The multilayer perceptron: dense layers with an activation between, mirrored in the decoder.
//!
//! h_0 = x,  h_{i+1} = a(h_i W_i + b_i),  output = h_L W_L + b_L

use burn::tensor::Tensor;
use latent_kernels::Activation;
use serde::{Deserialize, Serialize};

use super::{DecoderShape, Dense, Network, NetworkSettings, activation};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::weights::{Init, Weights};

/// Widths and activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MlpSettings {
    /// The widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// The activation between layers.
    #[serde(with = "activation")]
    pub activation: Activation,
}

impl Default for MlpSettings {
    fn default() -> Self {
        Self { hidden: vec![400], activation: Activation::Relu }
    }
}

/// Dense layers in sequence.
struct Mlp {
    layers: Vec<Dense>,
}

impl NetworkSettings for MlpSettings {
    fn check(&self, _: SampleShape) -> Result<(), ConfigError> {
        if self.hidden.contains(&0) {
            return Err(ConfigError::Value {
                key: "hidden".into(),
                what: format!("{:?} has a layer of width 0", self.hidden),
                remedy: "give each layer at least one unit, or leave the layer out".into(),
            });
        }
        Ok(())
    }

    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        Box::new(Mlp::new(init, sample.features(), &self.hidden, outputs, self.activation, None))
    }

    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network> {
        let reversed: Vec<usize> = self.hidden.iter().rev().copied().collect();
        let bias = shape.bias.clone();
        Box::new(Mlp::new(init, shape.latent, &reversed, shape.outputs(), self.activation, bias))
    }
}

impl Mlp {
    fn new(
        init: &mut Init<'_>,
        inputs: usize,
        hidden: &[usize],
        outputs: usize,
        activation: Activation,
        bias: Option<Vec<f32>>,
    ) -> Self {
        let mut width = inputs;
        let mut layers = Vec::with_capacity(hidden.len() + 1);
        for (index, &next) in hidden.iter().enumerate() {
            layers.push(Dense::new(init, &index.to_string(), width, next, activation, None));
            width = next;
        }
        let last = hidden.len().to_string();
        layers.push(Dense::new(init, &last, width, outputs, Activation::Identity, bias));
        Self { layers }
    }
}

impl Network for Mlp {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(input, |hidden, layer| layer.apply(weights, hidden))
    }
}
