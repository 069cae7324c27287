//! Masked autoregressive flow: layers u_j = (x_j − μ_j) e^{−α_j}, where μ_j and α_j are functions of x_1 … x_{j−1}.
//!
//! ln |det du/dx| = −Σ_j α_j. A [MADE](Made) gives all μ and α at once, so densities are quick; a draw goes through the
//! dimensions one by one. The order of dimensions turns round from layer to layer.
//!
//! Reference: Papamakarios, Pavlakou & Murray, *Masked Autoregressive Flow for Density Estimation* (arXiv 1705.07057); the
//! paper's batch normalisation between layers is left out.

use burn::tensor::Tensor;

use super::{Flow, bounded};
use crate::density::sum_dimensions;
use crate::device::{Device, host_f64};
use crate::network::{Made, MadeConfig};
use crate::weights::{Init, Weights};

/// Autoregressive layers.
pub struct AutoregressiveFlow {
    layers: Vec<Made>,
}

impl AutoregressiveFlow {
    /// So many layers over `dims` dimensions, each with these hidden layers.
    pub fn new(dims: usize, layers: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let layer = |index: usize| {
            let made = MadeConfig { reversed: index % 2 == 1, ..MadeConfig::new(dims, 2, hidden) };
            made.init(&mut init.scope(index))
        };
        Self { layers: (0..layers).map(layer).collect() }
    }
}

impl Flow for AutoregressiveFlow {
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
    use super::super::tests::{integral, maps_exactly, shaken};
    use super::*;

    fn flow(dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        Box::new(AutoregressiveFlow::new(dims, 3, &[16, 16], init))
    }

    #[test]
    fn determinant_and_inverse_are_exact() {
        for dims in [1, 2, 5] {
            let (map, weights) = shaken(|init| flow(dims, init));
            maps_exactly(map.as_ref(), &weights, dims);
        }
    }

    #[test]
    fn the_density_sums_to_one() {
        let (map, weights) = shaken(|init| flow(2, init));
        let sum = integral(map.as_ref(), &weights);
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }
}
