//! A mixture of normals with independent dimensions: p(z) = Σ_c π_c N(z; μ_c, diag σ_c²).

use burn::tensor::{Tensor, activation::log_softmax};

use super::{Density, LN_2PI};
use crate::batch::{Draw, Latent, Noise};
use crate::device::{Device, host};

/// Σ_c π_c N(μ_c, diag σ_c²), one density for all rows.
#[derive(Clone, Debug)]
pub struct NormalMixture {
    /// Unnormalised ln π, `[1, components]`
    pub logits: Tensor<2>,
    /// μ, `[components, dims]`
    pub mean: Tensor<2>,
    /// ln σ², `[components, dims]`
    pub log_variance: Tensor<2>,
}

impl Density for NormalMixture {
    /// Picks a component by inverting its cumulative weight, then draws from it. Not differentiable in π.
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let [components, dims] = self.mean.dims();
        let device = Device::of(&self.mean);
        let weights = host(&log_softmax(self.logits.clone(), 1).exp());
        let uniforms = host(&Noise { key: noise.key.fold("component"), ..noise }.uniforms(draws, 1, &device));
        let choice = uniforms.iter().map(|&u| {
            let mut below = 0.0;
            let reached = |&w: &f32| {
                below += w;
                u < below
            };
            weights.iter().position(reached).unwrap_or(components - 1)
        });
        let one_hot: Vec<f32> =
            choice.flat_map(|c| (0..components).map(move |i| if i == c { 1.0 } else { 0.0 })).collect();
        let one_hot = device.tensor(one_hot, [draws * noise.ids.len(), components]);
        let mean = one_hot.clone().matmul(self.mean.clone());
        let deviation = one_hot.matmul((self.log_variance.clone() * 0.5).exp());
        Draw::new(mean + deviation * noise.normals(draws, dims, &device))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let [components, dims] = self.mean.dims();
        let deviation =
            z.z.clone().reshape([z.rows(), 1, dims]) - self.mean.clone().reshape([1, components, dims]);
        let log_variance = self.log_variance.clone().reshape([1, components, dims]);
        let square = deviation.clone() * deviation * log_variance.clone().neg().exp();
        let log_component = ((log_variance + square + LN_2PI) * -0.5).sum_dim(2).squeeze_dim::<2>(2);
        Some(log_sum_exp(log_component + log_softmax(self.logits.clone(), 1)))
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    fn centre(&self) -> Latent {
        Latent::new(log_softmax(self.logits.clone(), 1).exp().matmul(self.mean.clone()))
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        let weights = log_softmax(self.logits.clone(), 1).exp();
        let mean = weights.clone().matmul(self.mean.clone());
        let second = self.log_variance.clone().exp() + self.mean.clone() * self.mean.clone();
        Some((weights.matmul(second) - mean.clone() * mean).sqrt())
    }

    fn rows(&self, _: &[usize]) -> Box<dyn Density> {
        Box::new(self.clone())
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self {
            logits: self.logits.clone().detach(),
            mean: self.mean.clone().detach(),
            log_variance: self.log_variance.clone().detach(),
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![
            ("mixture logits", self.logits.clone()),
            ("mixture means", self.mean.clone()),
            ("mixture log variances", self.log_variance.clone()),
        ]
    }
}

/// ln Σ_j exp(a_ij) of each row, `[n, m]` → `[n]`, with the greatest element taken out first; −∞ where all are.
pub fn log_sum_exp(values: Tensor<2>) -> Tensor<1> {
    // −∞ − (−∞) would be NaN.
    let greatest = values.clone().detach().max_dim(1).clamp_min(f32::MIN);
    let sum = (values - greatest.clone()).exp().sum_dim(1).log() + greatest;
    sum.squeeze_dim(1)
}
