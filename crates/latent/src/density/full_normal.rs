//! The normal density with correlated dimensions, N(μ, L Lᵀ), by a lower triangular L with a positive diagonal.
//!
//! z = μ + L ε, ε ~ N(0, I);  log N(z; μ, L Lᵀ) = −½ [d ln 2π + ‖L⁻¹ (z − μ)‖²] − Σ_j ln L_jj
//!
//! Reference: Kingma & Welling, *An Introduction to Variational Autoencoders* (arXiv 1906.02691), section 2.5.1.

use burn::tensor::Tensor;

use super::{Density, LN_2PI, pick, sum_dimensions};
use crate::batch::{Draw, Latent, Noise, fold_rows};
use crate::device::Device;

/// N(μ, L Lᵀ) for each row.
#[derive(Clone, Debug)]
pub struct FullNormal {
    /// μ, `[n, dims]`
    pub mean: Tensor<2>,
    /// ln L_jj², `[n, dims]`: of each dimension given those before it.
    pub log_variance: Tensor<2>,
    /// L below its diagonal, row after row, `[n, dims (dims − 1) / 2]`.
    pub below: Tensor<2>,
}

/// z Mᵀ with a matrix for each of n rows: `[k·n, dims]`, draw-major, and `[n, dims, dims]`.
fn times(z: Tensor<2>, matrices: Tensor<3>) -> Tensor<2> {
    let [rows, dims] = z.dims();
    let n = matrices.dims()[0];
    let each = z.reshape([rows / n.max(1), n, dims]).swap_dims(0, 1).matmul(matrices.swap_dims(1, 2));
    each.swap_dims(0, 1).reshape([rows, dims])
}

impl FullNormal {
    /// L, `[n, dims, dims]`.
    fn factor(&self) -> Tensor<3> {
        let [n, dims] = self.mean.dims();
        let deviation = (self.log_variance.clone() * 0.5).exp();
        let none = self.mean.clone().narrow(1, 0, 1) * 0.0;
        // Columns: the diagonal, what is below it, and 0.
        let all = Tensor::cat(vec![deviation, self.below.clone(), none], 1);
        let zero = all.dims()[1] as i32 - 1;
        let place = |cell: usize| match (cell / dims, cell % dims) {
            (i, j) if i == j => i as i32,
            (i, j) if j < i => (dims + i * (i - 1) / 2 + j) as i32,
            _ => zero,
        };
        let places: Vec<i32> = (0..dims * dims).map(place).collect();
        let places = Tensor::from_data(burn::tensor::TensorData::new(places, [dims * dims]), &all.device());
        all.select(1, places).reshape([n, dims, dims])
    }

    /// L⁻¹, row by row: X_i = (e_i − Σ_{j<i} L_ij X_j) / L_ii.
    fn inverse_factor(&self) -> Tensor<3> {
        let [n, dims] = self.mean.dims();
        let factor = self.factor();
        let device = Device::of(&self.mean);
        let mut known: Option<Tensor<3>> = None;
        for i in 0..dims {
            let unit = (0..dims).map(|j| f32::from(u8::from(i == j))).collect();
            let unit = device.tensor::<3>(unit, [1, 1, dims]).expand([n, 1, dims]);
            let left = match &known {
                Some(known) => unit - factor.clone().narrow(1, i, 1).narrow(2, 0, i).matmul(known.clone()),
                None => unit,
            };
            let row = left / factor.clone().narrow(1, i, 1).narrow(2, i, 1);
            known = Some(match known {
                Some(known) => Tensor::cat(vec![known, row], 1),
                None => row,
            });
        }
        known.unwrap_or(factor)
    }

    /// −½ [d ln 2π + ‖ε‖²] − Σ ln L_jj
    fn of_noise(&self, noise: Tensor<2>) -> Tensor<1> {
        let rows = noise.dims()[0];
        let log_variance = fold_rows(&self.log_variance, rows);
        sum_dimensions((noise.clone() * noise + log_variance + LN_2PI) * -0.5)
    }

    /// KL(q ‖ N(μ_p, diag σ_p²)) = ½ Σ_i [(Σ_j L_ij² + (μ − μ_p)_i²) / σ_pi² − 1 − ln L_ii² + ln σ_pi²], `[n]`.
    pub(super) fn rate(&self, mean: Option<&Tensor<2>>, log_variance: Option<&Tensor<2>>) -> Tensor<1> {
        let n = self.mean.dims()[0];
        let off = match mean {
            Some(mean) => self.mean.clone() - fold_rows(mean, n),
            None => self.mean.clone(),
        };
        let square = self.variance() + off.clone() * off;
        let own = self.log_variance.clone().neg() - 1.0;
        sum_dimensions(match log_variance {
            Some(log_variance) => {
                let log_variance = fold_rows(log_variance, n);
                (square * log_variance.clone().neg().exp() + own + log_variance) * 0.5
            }
            None => (square + own) * 0.5,
        })
    }

    /// The variance of each dimension by itself, Σ_j L_ij².
    fn variance(&self) -> Tensor<2> {
        let factor = self.factor();
        (factor.clone() * factor).sum_dim(2).reshape(self.mean.dims())
    }
}

impl Density for FullNormal {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let noise = noise.normals(draws, self.mean.dims()[1], &Device::of(&self.mean));
        let mean = fold_rows(&self.mean, noise.dims()[0]);
        let z = mean + times(noise.clone(), self.factor());
        Draw { log_density: Some(self.of_noise(noise)), ..Draw::new(z) }
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let off = z.z.clone() - fold_rows(&self.mean, z.rows());
        Some(self.of_noise(times(off, self.inverse_factor())))
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    fn centre(&self) -> Latent {
        Latent::new(self.mean.clone())
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        Some(self.variance().sqrt())
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        let [mean, log_variance, below] =
            [&self.mean, &self.log_variance, &self.below].map(|parameter| pick(parameter, rows));
        Box::new(Self { mean, log_variance, below })
    }

    fn detached(&self) -> Box<dyn Density> {
        let [mean, log_variance, below] =
            [&self.mean, &self.log_variance, &self.below].map(|parameter| parameter.clone().detach());
        Box::new(Self { mean, log_variance, below })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        let all = [&self.mean, &self.log_variance, &self.below].map(Clone::clone);
        ["mean", "log variance", "factor"].into_iter().zip(all).collect()
    }
}
