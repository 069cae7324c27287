//! Spectral normalisation: a convolution whose kernels, as a matrix of outputs × (inputs · area), have the greatest singular
//! value 1.
//!
//! W̄ = W / σ,   σ = uᵀ W v,   v = Wᵀ u / |Wᵀ u|,   u ← W v / |W v|
//!
//! A call takes one step of the power method from the u of the step before, which is a buffer; the gradient takes u and v for
//! constants. For critics, whose weights only training needs.
//!
//! Reference: Miyato et al., *Spectral Normalization for Generative Adversarial Networks* (arXiv 1802.05957).

use burn::tensor::Tensor;

use super::{Conv, ConvConfig};
use crate::device::untracked;
use crate::member::{Kept, Recorder};
use crate::weights::{Init, Initial, WeightId, Weights};

/// A convolution with its largest singular direction.
#[derive(Clone, Debug)]
pub struct SpectralConv {
    conv: Conv,
    /// u, `[outputs]`
    direction: WeightId,
    /// What u is called where it is recorded.
    name: String,
}

/// A singular value is not taken for less.
const LEAST: f64 = 1e-12;

/// Steps of the power method before the first step of training.
const FIRST: usize = 30;

impl SpectralConv {
    /// Makes the layer under `name`; u starts in a random direction.
    pub fn new(init: &mut Init<'_>, name: &str, config: ConvConfig) -> Self {
        let conv = config.init(init, name);
        let mut init = init.scope(name);
        let direction = init.buffer("direction", &[conv.outputs], Initial::Normal(1.0));
        Self { conv, direction, name: init.path("direction") }
    }

    /// `[rows, inputs, h, w]` → `[rows, outputs, ⌈h/stride⌉, ⌈w/stride⌉]`. The next u goes to `record`.
    pub fn apply(&self, weights: &Weights, record: Option<&Recorder>, x: Tensor<4>) -> Tensor<4> {
        let weight = weights.get::<4>(self.conv.weight_id());
        let matrix = flat(weight.clone());
        let [u, v] = step(untracked(matrix.clone()), self.u(weights));
        let value = (matrix.matmul(v) * u.clone()).sum_dim(0).clamp_min(LEAST);
        if let Some(record) = record {
            record.first(&self.name, u.squeeze_dim(1));
        }
        self.conv.apply_weight(weights, x, weight / value.reshape([1, 1, 1, 1]))
    }

    /// Lets u find its direction.
    pub fn start(&self, weights: &mut Weights) {
        let matrix = flat(weights.get::<4>(self.conv.weight_id()));
        let u = (0..FIRST).fold(self.u(weights), |u, _| {
            let [u, _] = step(matrix.clone(), u);
            u
        });
        weights.set(self.direction, u.squeeze_dim(1));
    }

    /// Takes over the u that was recorded.
    pub fn follow(&self, weights: &mut Weights, kept: &Kept) {
        if let Some(u) = kept.first(&self.name) {
            weights.set(self.direction, u);
        }
    }

    /// `[outputs, 1]`
    fn u(&self, weights: &Weights) -> Tensor<2> {
        weights.get::<1>(self.direction).unsqueeze_dim(1)
    }
}

/// Kernels as a matrix, `[outputs, inputs · area]`.
fn flat(weight: Tensor<4>) -> Tensor<2> {
    weight.flatten(1, 3)
}

/// The next u and the v that it comes from.
fn step(matrix: Tensor<2>, u: Tensor<2>) -> [Tensor<2>; 2] {
    let v = unit(matrix.clone().swap_dims(0, 1).matmul(u));
    [unit(matrix.matmul(v.clone())), v]
}

/// A column of length 1.
fn unit(column: Tensor<2>) -> Tensor<2> {
    let length = (column.clone() * column.clone()).sum_dim(0).sqrt().clamp_min(LEAST);
    column / length
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, host_f64};
    use crate::key::Key;

    /// Kernels of two outputs have singular values in closed form: σ² = (a + d)/2 ± √(((a − d)/2)² + b²) of W Wᵀ = [a b; b d].
    #[test]
    fn the_greatest_singular_value_is_divided_out() {
        let mut weights = Weights::new(&Device::cpu().double());
        let config = ConvConfig::new(3, 2).with_kernel(1);
        let conv = SpectralConv::new(&mut Init::new(&mut weights, Key::from_seed(3)), "layer", config);
        let kernels = host_f64(&weights.get::<4>(conv.conv.weight_id()).flatten::<1>(0, 3));
        let dot = |i: usize, j: usize| (0..3).map(|k| kernels[3 * i + k] * kernels[3 * j + k]).sum::<f64>();
        let (a, b, d) = (dot(0, 0), dot(0, 1), dot(1, 1));
        let wanted = (f64::midpoint(a, d) + (((a - d) / 2.0).powi(2) + b * b).sqrt()).sqrt();
        let x = [0.3, -1.0, 2.0];
        let pixel = || weights.device().tensor_f64(x.to_vec(), [1, 3, 1, 1]);
        let plain: Vec<f64> = (0..2).map(|i| (0..3).map(|k| kernels[3 * i + k] * x[k]).sum()).collect();
        let off = |weights: &Weights, record: Option<&Recorder>| {
            let found = host_f64(&conv.apply(weights, record, pixel()).flatten::<1>(0, 3));
            found
                .iter()
                .zip(&plain)
                .map(|(found, plain)| (plain / found / wanted - 1.0).abs())
                .fold(0.0, f64::max)
        };
        // By the steps of training, one a call; a call that records nothing moves nothing.
        let (mut stepped, mut last) = (weights.clone(), f64::INFINITY);
        for _ in 0..60 {
            let recorder = Recorder::default();
            let now = off(&stepped, Some(&recorder));
            assert!(now <= last + 1e-12, "{now} {last}");
            last = now;
            conv.follow(&mut stepped, &recorder.into_kept());
        }
        assert!(last < 1e-9 && off(&weights, None) > 1e-6, "{last}");
        // And at once.
        let mut started = weights.clone();
        (0..3).for_each(|_| conv.start(&mut started));
        assert!(off(&started, None) < 1e-9);
    }
}
