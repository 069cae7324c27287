//! Masked autoregressive flow: layers u_j = (x_j − μ_j) e^{−α_j}, where μ_j and α_j are functions of x_1 … x_{j−1}.
//!
//! ln |det du/dx| = −Σ_j α_j. A [MADE](super::made) gives all μ and α at once, so densities are quick; a draw goes through the
//! dimensions one by one. The order of dimensions turns round from layer to layer.
//!
//! Reference: Papamakarios, Pavlakou & Murray, *Masked Autoregressive Flow for Density Estimation* (arXiv 1705.07057); the
//! paper's batch normalisation between layers is left out, since codes are standardised.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::flow::{self, Flow, bounded, check_layers};
use super::gaussian_mixture::needs_reals;
use super::learn::Pace;
use super::made::Made;
use super::{Arrays, Fitting, Sampler, SamplerSettings, Space};
use crate::density::sum_dimensions;
use crate::device::{Device, host_f64};
use crate::error::Result;
use crate::weights::{Init, Weights};

/// The layers and their training.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MafSettings {
    /// The number of autoregressive layers.
    pub layers: usize,
    /// The widths of each layer's hidden layers.
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

impl Default for MafSettings {
    fn default() -> Self {
        Self { layers: 5, hidden: vec![128; 2], steps: 3000, batch: 512, learning_rate: 2e-3, ema: 0.99 }
    }
}

impl MafSettings {
    fn pace(&self) -> Pace {
        Pace { steps: self.steps, batch: self.batch, learning_rate: self.learning_rate, ema: self.ema }
    }

    fn build(&self, dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        let layer = |index: usize| Made::new(dims, 2, &self.hidden, index % 2 == 1, &mut init.scope(index));
        Box::new(Maf { layers: (0..self.layers).map(layer).collect() })
    }
}

impl SamplerSettings for MafSettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("maf", space)?;
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

struct Maf {
    layers: Vec<Made>,
}

impl Flow for Maf {
    fn u_from_x(&self, weights: &Weights, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let [n, dims] = x.dims();
        let mut log_determinant = Device::of(&x).tensor(vec![0.0; n], [n]);
        let mut u = x;
        for layer in &self.layers {
            let outputs = layer.apply(weights, u.clone());
            let alpha = bounded(outputs.clone().narrow(1, dims, dims));
            u = (u - outputs.narrow(1, 0, dims)) * alpha.clone().neg().exp();
            log_determinant = log_determinant - sum_dimensions(alpha);
        }
        (u, log_determinant)
    }

    /// Layer by layer from the last, dimension by dimension: x_j = u_j e^{α_j} + μ_j needs those before alone.
    fn x_from_u(&self, weights: &Weights, u: Tensor<2>) -> Tensor<2> {
        let [n, dims] = u.dims();
        let device = Device::of(&u);
        let mut values = host_f64(&u);
        for layer in self.layers.iter().rev() {
            let mut x = vec![0.0; n * dims];
            for j in layer.order() {
                let outputs = layer.apply(weights, device.tensor_f64(x.clone(), [n, dims]));
                let mean = host_f64(&outputs.clone().narrow(1, j, 1));
                let alpha = host_f64(&bounded(outputs.narrow(1, dims + j, 1)));
                for (row, (mean, alpha)) in mean.iter().zip(&alpha).enumerate() {
                    x[row * dims + j] = values[row * dims + j] * alpha.exp() + mean;
                }
            }
            values = x;
        }
        device.tensor_f64(values, [n, dims])
    }
}

#[cfg(test)]
mod tests {
    use super::super::flow::tests::{integral, maps_exactly, shaken};
    use super::*;

    fn settings() -> MafSettings {
        MafSettings { layers: 3, hidden: vec![16, 16], ..MafSettings::default() }
    }

    #[test]
    fn determinant_and_inverse_are_exact() {
        for dims in [1, 2, 5] {
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
