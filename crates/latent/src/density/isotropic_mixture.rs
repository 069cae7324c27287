//! A mixture of normals of one variance in all dimensions, each component counting alike:
//!
//! p(z) = 1/K Σ_k N(z; μ_k, σ² I)
//!
//! A row that a component is made of may have a density without that component: 1/(K − 1) Σ_{k ≠ own}. Distances come from one
//! product of matrices, ‖z‖² + ‖μ‖² − 2 zᵀμ about the mean of the means, so that thousands of components take no more memory than
//! their distances.

use burn::tensor::{Int, Tensor, TensorData};

use super::{Density, LN_2PI, fold_rows, log_sum_exp, pick};
use crate::batch::{Draw, Latent, Noise};
use crate::device::{Device, host};

/// 1/K Σ_k N(μ_k, σ² I), one density for all rows, or for each row without its own component.
#[derive(Clone, Debug)]
pub struct IsotropicMixture {
    /// μ, `[K, dims]`
    pub mean: Tensor<2>,
    /// ln σ², `[1, 1]`
    pub log_variance: Tensor<2>,
    /// 1 at the component that a row leaves out, `[n, K]` with one at most in a row; none for one density for all rows.
    pub own: Option<Tensor<2>>,
}

impl IsotropicMixture {
    /// The mean over the components of each row of `values` `[K, dims]`: `[n, dims]`, or `[1, dims]` for one density for all rows.
    fn average(&self, values: Tensor<2>) -> Tensor<2> {
        let components = values.dims()[0] as f64;
        match &self.own {
            None => values.mean_dim(0),
            Some(own) => {
                let count = own.clone().sum_dim(1).neg() + components;
                (values.clone().sum_dim(0) - own.clone().matmul(values)) / count
            }
        }
    }

    /// ‖z − μ_k‖², `[rows, K]`.
    fn squares(&self, z: Tensor<2>) -> Tensor<2> {
        // About their own centre, where the least digits are lost.
        let centre = self.mean.clone().detach().mean_dim(0);
        let (z, mean) = (z - centre.clone(), self.mean.clone() - centre);
        let lengths = (mean.clone() * mean.clone()).sum_dim(1).transpose();
        let own = (z.clone() * z.clone()).sum_dim(1);
        (own + lengths - z.matmul(mean.transpose()) * 2.0).clamp_min(0.0)
    }
}

impl Density for IsotropicMixture {
    /// A component for each code by its key, then a draw of it. Not differentiable in which.
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let [components, dims] = self.mean.dims();
        let (n, device) = (noise.ids.len(), Device::of(&self.mean));
        let uniforms = host(&Noise { key: noise.key.fold("component"), ..noise }.uniforms(draws, 1, &device));
        let own: Vec<Option<usize>> = match &self.own {
            None => vec![None; n],
            Some(own) => {
                let known: Vec<_> =
                    host(own).chunks(components).map(|row| row.iter().position(|own| *own > 0.5)).collect();
                (0..n).map(|row| known.get(row % known.len().max(1)).copied().flatten()).collect()
            }
        };
        let choice = |(row, u): (usize, &f32)| {
            let own = own[row % n];
            let count = components - usize::from(own.is_some());
            let place = ((f64::from(*u) * count as f64) as usize).min(count.saturating_sub(1));
            // Those from its own on move up by one.
            (place + usize::from(own.is_some_and(|own| place >= own))) as i32
        };
        let chosen: Vec<i32> = uniforms.iter().enumerate().map(choice).collect();
        let rows = chosen.len();
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [rows]), &self.mean.device());
        let deviation = (self.log_variance.clone() * 0.5).exp();
        Draw::new(self.mean.clone().select(0, chosen) + deviation * noise.normals(draws, dims, &device))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let [components, dims] = self.mean.dims();
        let rows = z.rows();
        let scaled = self.squares(z.z.clone()) * self.log_variance.clone().neg().exp();
        let each = (scaled + (self.log_variance.clone() + LN_2PI) * dims as f64) * -0.5;
        Some(match &self.own {
            None => log_sum_exp(each) - (components as f64).ln(),
            Some(own) => {
                let own = fold_rows(own, rows);
                let count = (own.clone().sum_dim(1).neg() + components as f64).reshape([rows]);
                log_sum_exp(each.mask_fill(own.greater_elem(0.5), f32::NEG_INFINITY)) - count.log()
            }
        })
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    fn centre(&self) -> Latent {
        Latent::new(self.average(self.mean.clone()))
    }

    /// Var z = σ² + Var μ_k
    fn deviation(&self) -> Option<Tensor<2>> {
        let centre = self.average(self.mean.clone());
        let second = self.average(self.mean.clone() * self.mean.clone());
        let spread = (second - centre.clone() * centre).clamp_min(0.0);
        Some((spread + self.log_variance.clone().exp()).sqrt())
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self { own: self.own.as_ref().map(|own| pick(own, rows)), ..self.clone() })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self {
            mean: self.mean.clone().detach(),
            log_variance: self.log_variance.clone().detach(),
            own: self.own.clone(),
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![("exemplars", self.mean.clone()), ("exemplars' log variance", self.log_variance.clone())]
    }
}
