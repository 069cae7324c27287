//! MADE: a network whose outputs for dimension j depend on dimensions before j alone, by masks on its weights.
//!
//! Unit k has a degree m(k); a weight from unit i to unit k is kept where m(k) ≥ m(i), and to an output where
//! m(output) > m(i). Inputs and outputs have the degrees 1 … d in their order, hidden units 1 … d − 1 in turn.
//!
//! Reference: Germain et al., *MADE: Masked Autoencoder for Distribution Estimation* (arXiv 1502.03509).

use burn::tensor::Tensor;
use latent_kernels::{Activation, dense};

use crate::device::Device;
use crate::weights::{Init, Initial, WeightId, Weights};

/// Masked dense layers.
pub(super) struct Made {
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

impl Made {
    /// `outputs` numbers for each of `dims` dimensions, whose order is reversed where asked.
    pub fn new(dims: usize, outputs: usize, hidden: &[usize], reversed: bool, init: &mut Init<'_>) -> Self {
        let degrees: Vec<usize> = (1..=dims).map(|m| if reversed { dims + 1 - m } else { m }).collect();
        let mut before = degrees.clone();
        let mut layers = Vec::new();
        for (index, &width) in hidden.iter().enumerate() {
            let own: Vec<usize> = (0..width).map(|k| 1 + k % (dims - 1).max(1)).collect();
            let law = Initial::glorot(before.len(), width);
            let mut init = init.scope(index);
            layers.push(Masked::new(&mut init, &before, &own, |to, from| to >= from, law, Activation::Silu));
            before = own;
        }
        let all: Vec<usize> = (0..outputs).flat_map(|_| degrees.iter().copied()).collect();
        let mut init = init.scope("last");
        // Small at the start, so that a flow starts near the identity and bits near a coin.
        let law = Initial::Uniform(0.01);
        layers.push(Masked::new(&mut init, &before, &all, |to, from| to > from, law, Activation::Identity));
        Self { layers, degrees }
    }

    /// `[n, dims]` → `[n, outputs · dims]`, output-major.
    pub fn apply(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |x, layer| {
            let weight = weights.get::<2>(layer.weight) * layer.mask(&Device::of(&x));
            dense(x, weight, weights.get(layer.bias), layer.activation)
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
            weight: init.weight("weight", &[from.len(), to.len()], law),
            bias: init.weight("bias", &[to.len()], Initial::Constant(0.0)),
            from: from.to_vec(),
            to: to.to_vec(),
            keeps,
            activation,
        }
    }

    /// 1 where a weight is kept, made anew each time: it is as large as the weights.
    fn mask(&self, device: &Device) -> Tensor<2> {
        let pairs = self.from.iter().flat_map(|&i| self.to.iter().map(move |&k| (self.keeps)(k, i)));
        device.tensor(pairs.map(|kept| f32::from(u8::from(kept))).collect(), [self.from.len(), self.to.len()])
    }
}
