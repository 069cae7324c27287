//! Independent indices: z_j ∈ {0 … K − 1} with P(z_j = i) = softmax(ℓ_j)_i.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};

use super::{Density, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};
use crate::device::{Device, host};

/// Independent indices for each row, or one law for all rows.
#[derive(Clone, Debug)]
pub struct Categorical {
    /// ℓ, `[n, dims · size]`, dimension-major.
    pub logits: Tensor<2>,
    /// How many values an index takes, K.
    pub size: usize,
}

impl Categorical {
    /// ln P(z_j = i), `[n, dims, size]`.
    pub fn log_probabilities(&self) -> Tensor<3> {
        let [n, width] = self.logits.dims();
        log_softmax(self.logits.clone().reshape([n, width / self.size.max(1), self.size]), 2)
    }

    fn dims(&self) -> usize {
        self.logits.dims()[1] / self.size.max(1)
    }
}

/// Whole numbers of a matrix of codes.
pub(crate) fn indices(z: &Tensor<2>) -> Tensor<2, Int> {
    z.clone().round().int()
}

impl Density for Categorical {
    /// By inverting the cumulative probabilities. Not differentiable.
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let (dims, size, device) = (self.dims(), self.size, Device::of(&self.logits));
        let rows = draws * noise.ids.len();
        let uniforms = host(&noise.uniforms(draws, dims, &device));
        let probabilities = host(&self.log_probabilities().exp());
        let own = self.logits.dims()[0];
        let pick = |(place, u): (usize, f32)| {
            let (row, dim) = (place / dims, place % dims);
            let start = ((row % own) * dims + dim) * size;
            let mut below = 0.0;
            let reached = |p: &f32| {
                below += p;
                u < below
            };
            let found = probabilities[start..start + size].iter().position(reached);
            found.unwrap_or(size - 1) as f32
        };
        let codes = uniforms.into_iter().enumerate().map(pick).collect();
        Draw::new(device.tensor(codes, [rows, dims]))
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let (rows, dims) = (z.rows(), self.dims());
        let [n, width] = self.logits.dims();
        let place = indices(&z.z);
        if n == 1 {
            // One law for all rows stays one: of a large book there is no room for a copy a row.
            let starts = (0..dims).map(|dim| (dim * self.size) as i32).collect::<Vec<_>>();
            let starts = Tensor::<2, Int>::from_data(TensorData::new(starts, [1, dims]), &place.device());
            let at = (place + starts).reshape([rows * dims]);
            let flat: Tensor<1> = self.log_probabilities().reshape([width]);
            return Some(flat.select(0, at).reshape([rows, dims]));
        }
        let flat = fold_rows(&self.log_probabilities().reshape([n, width]), rows);
        Some(
            flat.reshape([rows, dims, self.size])
                .gather(2, place.reshape([rows, dims, 1]))
                .reshape([rows, dims]),
        )
    }

    /// The likeliest index.
    fn centre(&self) -> Latent {
        let (n, dims) = (self.logits.dims()[0], self.dims());
        let best = self.log_probabilities().argmax(2).reshape([n, dims]);
        Latent::new(best.float().cast(self.logits.dtype()))
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self { logits: pick(&self.logits, rows), size: self.size })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self { logits: self.logits.clone().detach(), size: self.size })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![("index logits", self.logits.clone())]
    }
}
