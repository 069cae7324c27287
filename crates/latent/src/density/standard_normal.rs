//! N(0, I): log density −½ Σ_j [ln 2π + z_j²].

use burn::tensor::Tensor;

use super::{Density, LN_2PI};
use crate::batch::{Draw, Latent, Noise};
use crate::device::Device;

/// N(0, I), one density for all rows.
#[derive(Clone, Debug)]
pub struct StandardNormal {
    /// The number of dimensions.
    pub dims: usize,
    /// Where codes are made.
    pub device: Device,
}

impl Density for StandardNormal {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        Draw::new(noise.normals(draws, self.dims, &self.device))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        Some(latent_kernels::standard_normal_log_density(z.z.clone()))
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        Some((z.z.clone() * z.z.clone() + LN_2PI) * -0.5)
    }

    fn centre(&self) -> Latent {
        Latent::new(self.device.tensor(vec![0.0; self.dims], [1, self.dims]))
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        Some(self.device.tensor(vec![1.0; self.dims], [1, self.dims]))
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
