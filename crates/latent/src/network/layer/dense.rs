//! y = a(x W + b)

use burn::tensor::Tensor;
use latent_kernels::{Activation, dense};

use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// What a dense layer is made of.
#[derive(Clone, Debug)]
pub struct DenseConfig {
    /// Features of an input row.
    pub inputs: usize,
    /// Features of an output row.
    pub outputs: usize,
    /// a
    pub activation: Activation,
    /// Whether W starts at 0.
    pub zero: bool,
    /// Where b starts; 0 unless given.
    pub bias: Option<Vec<f32>>,
}

/// A dense layer with its weights, `W [inputs, outputs]` and `b [outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    weight: WeightId,
    bias: WeightId,
    activation: Activation,
    /// Features of an output row.
    pub outputs: usize,
}

impl DenseConfig {
    /// An affine map.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, activation: Activation::Identity, zero: false, bias: None }
    }

    /// The same with an activation.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The same with weights that start at 0.
    #[must_use]
    pub fn with_zeros(self) -> Self {
        Self { zero: true, ..self }
    }

    /// The same with a bias that starts elsewhere than at 0.
    #[must_use]
    pub fn with_bias(self, bias: Option<Vec<f32>>) -> Self {
        Self { bias, ..self }
    }

    /// Makes the layer under `name`, with Glorot-uniform weights.
    pub fn init(self, init: &mut Init<'_>, name: &str) -> Dense {
        let (inputs, outputs) = (self.inputs, self.outputs);
        let law = match self.zero {
            true => Initial::Constant(0.0),
            false => Initial::glorot(inputs, outputs),
        };
        let mut init = init.scope(name);
        Dense {
            weight: init.matrix("weight", &[inputs, outputs], law),
            bias: init.weight("bias", &[outputs], self.bias.map_or(Initial::Constant(0.0), Initial::Values)),
            activation: self.activation,
            outputs,
        }
    }
}

impl Dense {
    /// `[rows, inputs]` → `[rows, outputs]`
    pub fn apply(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        dense(x, weights.get(self.weight), weights.get(self.bias), self.activation)
    }

    /// The layer in a graph.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        let [weight, bias] = [self.weight, self.bias].map(|id| weights.entry(id).values());
        let y = graph.dense(x, &weight, &bias);
        graph.activation(self.activation, y)
    }

    /// Where W and b are, where there is no activation.
    pub fn affine_ids(&self) -> Option<[WeightId; 2]> {
        (self.activation == Activation::Identity).then_some([self.weight, self.bias])
    }

    /// W and b, where there is no activation.
    pub fn affine(&self, weights: &Weights) -> Option<(Tensor<2>, Tensor<1>)> {
        (self.activation == Activation::Identity).then(|| (weights.get(self.weight), weights.get(self.bias)))
    }
}
