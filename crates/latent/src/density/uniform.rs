//! The uniform density on the unit cube: log density 0 inside, −∞ outside.

use burn::tensor::Tensor;

use super::Density;
use crate::batch::{Draw, Latent, Noise};
use crate::device::Device;

/// U([0, 1]^dims), one density for all rows.
#[derive(Clone, Debug)]
pub struct Uniform {
    /// The number of dimensions.
    pub dims: usize,
    /// Where codes are made.
    pub device: Device,
}

impl Density for Uniform {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        Draw::new(noise.uniforms(draws, self.dims, &self.device))
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let outside = z.z.clone().lower_elem(0.0).bool_or(z.z.clone().greater_elem(1.0));
        Some(z.z.zeros_like().mask_fill(outside, f32::NEG_INFINITY))
    }

    fn centre(&self) -> Latent {
        Latent::new(self.device.tensor(vec![0.5; self.dims], [1, self.dims]))
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        Some(self.device.tensor(vec![(1.0f32 / 12.0).sqrt(); self.dims], [1, self.dims]))
    }

    fn rows(&self, _: &[usize]) -> Box<dyn Density> {
        Box::new(self.clone())
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(self.clone())
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        Vec::new()
    }
}
