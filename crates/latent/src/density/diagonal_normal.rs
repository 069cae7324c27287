//! The normal density with independent dimensions, N(μ, diag σ²).
//!
//! log N(z; μ, σ²) = −½ Σ_j [ln 2π + ln σ_j² + (z_j − μ_j)² / σ_j²];  z = μ + σ ε, ε ~ N(0, I).
//!
//! Reference: Kingma & Welling, *Auto-Encoding Variational Bayes* (arXiv 1312.6114).

use burn::tensor::Tensor;

use super::{Density, LN_2PI, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};
use crate::device::Device;

/// N(μ, diag σ²) for each row.
#[derive(Clone, Debug)]
pub struct DiagonalNormal {
    /// μ, `[n, dims]`
    pub mean: Tensor<2>,
    /// ln σ², `[n, dims]`
    pub log_variance: Tensor<2>,
}

impl Density for DiagonalNormal {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let dims = self.mean.dims()[1];
        let noise = noise.normals(draws, dims, &Device::of(&self.mean));
        Draw::new(latent_kernels::reparameterise(self.mean.clone(), self.log_variance.clone(), noise))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let (mean, log_variance) = (self.mean.clone(), self.log_variance.clone());
        Some(latent_kernels::normal_log_density(z.z.clone(), mean, log_variance))
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let rows = z.rows();
        let log_variance = fold_rows(&self.log_variance, rows);
        let deviation = z.z.clone() - fold_rows(&self.mean, rows);
        let square = deviation.clone() * deviation * log_variance.clone().neg().exp();
        Some((log_variance + square + LN_2PI) * -0.5)
    }

    fn centre(&self) -> Latent {
        Latent::new(self.mean.clone())
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        Some((self.log_variance.clone() * 0.5).exp())
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self { mean: pick(&self.mean, rows), log_variance: pick(&self.log_variance, rows) })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self { mean: self.mean.clone().detach(), log_variance: self.log_variance.clone().detach() })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![("mean", self.mean.clone()), ("log variance", self.log_variance.clone())]
    }
}
