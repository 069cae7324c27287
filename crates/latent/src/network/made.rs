//! MADE: a network whose outputs for dimension j depend on dimensions before j alone, by masks on its weights.
//!
//! Unit k has a degree m(k); a weight from unit i to unit k is kept where m(k) ≥ m(i), and to an output where
//! m(output) > m(i). Inputs and outputs have the degrees 1 … d in their order, hidden units 1 … d − 1 in turn.
//!
//! Reference: Germain et al., *MADE: Masked Autoencoder for Distribution Estimation* (arXiv 1502.03509).

use burn::tensor::Tensor;
use latent_kernels::{Activation, dense};

use crate::device::Device;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// Masked dense layers.
pub struct Made {
    layers: Vec<Masked>,
    /// The degree of each dimension, from 1.
    degrees: Vec<usize>,
}

struct Masked {
    weight: WeightId,
    bias: WeightId,
    from: Vec<usize>,
    to: Vec<usize>,
    /// Whether a weight to a degree, from a degree, is kept.
    keeps: fn(usize, usize) -> bool,
    activation: Activation,
}

/// What a MADE is made of.
#[derive(Clone, Debug)]
pub struct MadeConfig {
    /// How many dimensions depend on each other, one after the other.
    pub dims: usize,
    /// Numbers that stand for each dimension in the input.
    pub inputs: usize,
    /// Numbers that come out for each dimension.
    pub outputs: usize,
    /// Further inputs, on which every output may depend.
    pub context: usize,
    /// The widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Whether the order of dimensions is reversed.
    pub reversed: bool,
}

impl MadeConfig {
    /// One number for each dimension, in their order.
    pub fn new(dims: usize, outputs: usize, hidden: &[usize]) -> Self {
        Self { dims, inputs: 1, outputs, context: 0, hidden: hidden.to_vec(), reversed: false }
    }

    /// Makes the layers.
    pub fn init(&self, init: &mut Init<'_>) -> Made {
        let dims = self.dims;
        let degrees: Vec<usize> = (1..=dims).map(|m| if self.reversed { dims + 1 - m } else { m }).collect();
        let inputs = degrees.iter().flat_map(|&degree| std::iter::repeat_n(degree, self.inputs));
        // What comes before every dimension has the degree 0.
        let mut before: Vec<usize> = inputs.chain(std::iter::repeat_n(0, self.context)).collect();
        let mut layers = Vec::new();
        for (index, &width) in self.hidden.iter().enumerate() {
            let own: Vec<usize> = match self.context {
                0 => (0..width).map(|k| 1 + k % (dims - 1).max(1)).collect(),
                // Units of degree 0 carry the context alone, for the first dimension too.
                _ => (0..width).map(|k| k % dims.max(1)).collect(),
            };
            let law = Initial::glorot(before.len(), width);
            let mut init = init.scope(index);
            layers.push(Masked::new(&mut init, &before, &own, |to, from| to >= from, law, Activation::Silu));
            before = own;
        }
        let all: Vec<usize> = (0..self.outputs).flat_map(|_| degrees.iter().copied()).collect();
        let mut init = init.scope("last");
        // Small at the start, so that a flow starts near the identity and bits near a coin.
        let law = Initial::Uniform(0.01);
        layers.push(Masked::new(&mut init, &before, &all, |to, from| to > from, law, Activation::Identity));
        Made { layers, degrees }
    }
}

impl Made {
    /// `[n, dims · inputs + context]`, dimension-major → `[n, outputs · dims]`, output-major.
    pub fn apply(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |x, layer| {
            let weight = weights.get::<2>(layer.weight) * layer.mask(&Device::of(&x));
            dense(x, weight, weights.get(layer.bias), layer.activation)
        })
    }

    /// The same in a graph, with masked weights as constants.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        self.layers.iter().fold(x, |x, layer| {
            let weight = weights.entry(layer.weight).values();
            let weight: Vec<f32> =
                weight.iter().zip(layer.kept()).map(|(w, kept)| if kept { *w } else { 0.0 }).collect();
            let y = graph.dense(x, &weight, &weights.entry(layer.bias).values());
            graph.activation(layer.activation, y)
        })
    }

    /// Dimensions in the order in which each depends on those before.
    pub fn order(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.degrees.len()).collect();
        order.sort_by_key(|&j| self.degrees[j]);
        order
    }
}

impl Masked {
    fn new(
        init: &mut Init<'_>,
        from: &[usize],
        to: &[usize],
        keeps: fn(usize, usize) -> bool,
        law: Initial,
        activation: Activation,
    ) -> Self {
        Self {
            weight: init.matrix("weight", &[from.len(), to.len()], law),
            bias: init.weight("bias", &[to.len()], Initial::Constant(0.0)),
            from: from.to_vec(),
            to: to.to_vec(),
            keeps,
            activation,
        }
    }

    /// 1 where a weight is kept, made anew each time: it is as large as the weights.
    fn mask(&self, device: &Device) -> Tensor<2> {
        let pairs = self.kept().map(|kept| f32::from(u8::from(kept))).collect();
        device.tensor(pairs, [self.from.len(), self.to.len()])
    }

    /// Whether each weight is kept, row-major.
    fn kept(&self) -> impl Iterator<Item = bool> + '_ {
        self.from.iter().flat_map(move |&i| self.to.iter().map(move |&k| (self.keeps)(k, i)))
    }
}
