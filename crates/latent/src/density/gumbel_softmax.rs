//! Independent indices whose draws have a gradient: Gumbel-softmax, or concrete, numbers.
//!
//! z_j = argmax_i (ℓ_ji + g_ji),  y_j = softmax((ℓ_j + g_j) / τ),  g = −ln(−ln u), u ~ U(0, 1)
//!
//! z_j is drawn from softmax(ℓ_j) exactly. The decoder sees it as 1 in one place and 0 in the others; in training it sees y_j, which
//! goes there as τ → 0, or the hard numbers with the gradient of y_j (straight through). Both gradients are biased, less the lower τ
//! is, and vary more. Density and rate are those of the indices.
//!
//! References: Jang, Gu & Poole, *Categorical Reparameterization with Gumbel-Softmax* (arXiv 1611.01144); Maddison, Mnih & Teh, *The
//! Concrete Distribution* (arXiv 1611.00712).

use std::sync::Arc;

use burn::tensor::{Int, Tensor, TensorData, activation::softmax};

use super::{Categorical, Density, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};
use crate::device::Device;

/// What the decoder sees of a draw while training.
#[derive(Clone, Debug)]
pub struct Relaxed {
    /// τ, `[1]`.
    pub temperature: Tensor<1>,
    /// Whether it sees hard numbers with the gradient of y, or y.
    pub hard: bool,
    /// Where each number that it sees stands in y; none for their own order.
    pub order: Option<Arc<[i32]>>,
}

/// Independent indices for each row, drawn with a gradient.
#[derive(Clone, Debug)]
pub struct GumbelSoftmax {
    /// softmax(ℓ_j) of each dimension.
    pub law: Categorical,
    /// None where the decoder sees what it sees of stored codes.
    pub relaxed: Option<Relaxed>,
}

/// 1 at the greatest number along the last axis and 0 elsewhere.
fn one_hot(scores: &Tensor<3>) -> Tensor<3> {
    let [n, dims, size] = scores.dims();
    let place = scores.clone().argmax(2).reshape([n * dims]);
    let all = place.one_hot::<2>(size).float().cast(scores.dtype());
    all.reshape([n, dims, size])
}

impl Density for GumbelSoftmax {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let [_, width] = self.law.logits.dims();
        let size = self.law.size.max(1);
        let uniforms = noise.uniforms(draws, width, &Device::of(&self.law.logits));
        let rows = uniforms.dims()[0];
        let gumbel = uniforms.log().neg().log().neg();
        let scores = (fold_rows(&self.law.logits, rows) + gumbel).reshape([rows, width / size, size]);
        let place = scores.clone().detach().argmax(2).reshape([rows, width / size]);
        let z = place.float().cast(scores.dtype());
        let features = self.relaxed.as_ref().map(|Relaxed { temperature, hard, order }| {
            // The greatest is 0 before the division, so that no temperature leaves all numbers.
            let lead = scores.clone() - scores.clone().detach().max_dim(2);
            let soft = softmax(lead / temperature.clone().reshape([1, 1, 1]), 2);
            let seen = match hard {
                true => soft.clone() + (one_hot(&scores.detach()) - soft.detach()),
                false => soft,
            };
            let seen = seen.reshape([rows, width]);
            match order {
                None => seen,
                Some(order) => {
                    let order = TensorData::new(order.to_vec(), [width]);
                    let order = Tensor::<1, Int>::from_data(order, &seen.device());
                    seen.select(1, order)
                }
            }
        });
        Draw { features, ..Draw::new(z) }
    }

    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        self.law.log_density_per_dimension(z)
    }

    /// The likeliest index.
    fn centre(&self) -> Latent {
        self.law.centre()
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        let logits = pick(&self.law.logits, rows);
        Box::new(Self { law: Categorical { logits, size: self.law.size }, relaxed: self.relaxed.clone() })
    }

    fn detached(&self) -> Box<dyn Density> {
        let logits = self.law.logits.clone().detach();
        Box::new(Self { law: Categorical { logits, size: self.law.size }, relaxed: self.relaxed.clone() })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        self.law.parameters()
    }
}
