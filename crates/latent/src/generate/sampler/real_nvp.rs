//! RealNVP: affine couplings, in which half of the dimensions scales and shifts the other half.
//!
//! u_A = x_A,  u_B = x_B e^{s(x_A)} + t(x_A);    ln |det du/dx| = Σ_B s
//!
//! Densities and draws both take one pass. Which dimensions are A is a digit of their number in binary, and then the other
//! way about, so that after a few couplings every dimension has met every other.
//!
//! Reference: Dinh, Sohl-Dickstein & Bengio, *Density estimation using Real NVP* (arXiv 1605.08803).

use burn::tensor::Tensor;
use latent_kernels::{Activation, dense};
use serde::{Deserialize, Serialize};

use super::flow::{self, Flow, bounded, check_layers};
use super::gaussian_mixture::needs_reals;
use super::learn::Pace;
use super::{Arrays, Fitting, Sampler, SamplerError, SamplerSettings, Space};
use crate::density::sum_dimensions;
use crate::device::Device;
use crate::error::Result;
use crate::network::Dense;
use crate::weights::{Init, Initial, WeightId, Weights};

/// The couplings and their training.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RealNvpSettings {
    /// The number of couplings.
    pub layers: usize,
    /// The widths of each coupling's hidden layers.
    pub hidden: Vec<usize>,
    /// Steps of training.
    pub steps: u64,
    /// Codes in a step.
    pub batch: usize,
    /// η at the start.
    pub learning_rate: f64,
    /// Decay of the average of the weights that is kept.
    pub ema: f64,
}

impl Default for RealNvpSettings {
    fn default() -> Self {
        Self { layers: 8, hidden: vec![128; 2], steps: 3000, batch: 512, learning_rate: 2e-3, ema: 0.99 }
    }
}

impl RealNvpSettings {
    fn pace(&self) -> Pace {
        Pace { steps: self.steps, batch: self.batch, learning_rate: self.learning_rate, ema: self.ema }
    }

    fn build(&self, dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        let layer = |index: usize| Coupling::new(dims, index, &self.hidden, &mut init.scope(index));
        Box::new(RealNvp { couplings: (0..self.layers).map(layer).collect() })
    }
}

impl SamplerSettings for RealNvpSettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("real-nvp", space)?;
        if space.dims < 2 {
            return Err(SamplerError::Unsuitable {
                sampler: "real-nvp".into(),
                what: "couples dimensions, and these codes have one".into(),
                remedy: "use gaussian-mixture".into(),
            }
            .into());
        }
        check_layers(self.layers)?;
        Ok(self.pace().check(&self.hidden)?)
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        flow::fit(fitting, self.pace(), |init| self.build(fitting.space.dims, init))
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        flow::sampler(space.dims, arrays, |init| self.build(space.dims, init))
    }
}

/// s and t from the dimensions that stay.
struct Coupling {
    hidden: Vec<Dense>,
    weight: WeightId,
    bias: WeightId,
    /// 1 where a dimension stays.
    stays: Vec<f32>,
}

impl Coupling {
    fn new(dims: usize, index: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        // As many binary digits as tell the dimensions apart; a layer pair for each in turn.
        let digits = (usize::BITS - (dims - 1).leading_zeros()).max(1) as usize;
        let digit = (index / 2) % digits;
        let stays = (0..dims).map(|j| f32::from(u8::from((j >> digit) & 1 == index % 2))).collect();
        let mut width = dims;
        let mut layers = Vec::new();
        for (place, &next) in hidden.iter().enumerate() {
            layers.push(Dense::new(init, &place.to_string(), width, next, Activation::Silu, None));
            width = next;
        }
        let mut init = init.scope("last");
        // Near the identity at the start.
        let weight = init.weight("weight", &[width, 2 * dims], Initial::Uniform(0.01));
        let bias = init.weight("bias", &[2 * dims], Initial::Constant(0.0));
        Self { hidden: layers, weight, bias, stays }
    }

    /// s and t, 0 where a dimension stays, each `[n, dims]`.
    fn scale_and_shift(&self, weights: &Weights, x: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let dims = self.stays.len();
        let device = Device::of(x);
        let stays = device.tensor(self.stays.clone(), [1, dims]);
        let moves = device.tensor(self.stays.iter().map(|s| 1.0 - s).collect(), [1, dims]);
        let hidden = self.hidden.iter().fold(x.clone() * stays, |hidden, layer| layer.apply(weights, hidden));
        let outputs = dense(hidden, weights.get(self.weight), weights.get(self.bias), Activation::Identity);
        let s = bounded(outputs.clone().narrow(1, 0, dims)) * moves.clone();
        (s, outputs.narrow(1, dims, dims) * moves)
    }
}

struct RealNvp {
    couplings: Vec<Coupling>,
}

impl Flow for RealNvp {
    fn u_from_x(&self, weights: &Weights, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let n = x.dims()[0];
        let mut log_determinant = Device::of(&x).tensor(vec![0.0; n], [n]);
        let mut u = x;
        for coupling in &self.couplings {
            let (s, t) = coupling.scale_and_shift(weights, &u);
            u = u * s.clone().exp() + t;
            log_determinant = log_determinant + sum_dimensions(s);
        }
        (u, log_determinant)
    }

    fn x_from_u(&self, weights: &Weights, u: Tensor<2>) -> Tensor<2> {
        self.couplings.iter().rev().fold(u, |x, coupling| {
            // s and t are functions of what stays, which is the same on both sides.
            let (s, t) = coupling.scale_and_shift(weights, &x);
            (x - t) * s.neg().exp()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::tests::{integral, maps_exactly, shaken};
    use super::*;

    fn settings() -> RealNvpSettings {
        RealNvpSettings { layers: 4, hidden: vec![16, 16], ..RealNvpSettings::default() }
    }

    #[test]
    fn determinant_and_inverse_are_exact() {
        for dims in [2, 3, 6] {
            let (flow, weights) = shaken(|init| settings().build(dims, init));
            maps_exactly(flow.as_ref(), &weights, dims);
        }
    }

    #[test]
    fn the_density_sums_to_one() {
        let (flow, weights) = shaken(|init| settings().build(2, init));
        let sum = integral(flow.as_ref(), &weights);
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }
}
