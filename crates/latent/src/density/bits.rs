//! Independent bits: z_j ∈ {0, 1} with P(z_j = 1) = sigmoid(ℓ_j).
//!
//! A bit has no derivative, so training needs a surrogate. *Straight-through* draws hard bits and lets the
//! gradient pass as if they were their probabilities. *Relaxed* bits are
//! z = sigmoid((ℓ + logit u) / τ), u ~ U(0, 1), soft while training and hard otherwise. Both are biased.
//!
//! References: Bengio et al. (arXiv 1308.3432); Maddison et al. (arXiv 1611.00712); Jang et al. (arXiv 1611.01144).

use burn::tensor::{Tensor, activation::sigmoid};

use super::{Density, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};
use crate::device::Device;

/// How the gradient passes a drawn bit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BitGradient {
    /// Hard bits; the gradient of their probability.
    StraightThrough,
    /// Soft bits at this temperature.
    Relaxed(f64),
    /// Hard bits and no gradient: what evaluation uses.
    None,
}

/// Independent bits for each row.
#[derive(Clone, Debug)]
pub struct FactorisedBits {
    /// ℓ = ln P(1) − ln P(0), `[n, bits]`
    pub logits: Tensor<2>,
    /// How the gradient passes a draw.
    pub gradient: BitGradient,
}

impl FactorisedBits {
    /// ln P(z_j = 1) and ln P(z_j = 0), each `[n, bits]`.
    pub fn log_probabilities(&self) -> (Tensor<2>, Tensor<2>) {
        (log_sigmoid(self.logits.clone()), log_sigmoid(self.logits.clone().neg()))
    }
}

/// ln sigmoid(x) = −softplus(−x), without overflow.
pub(crate) fn log_sigmoid(x: Tensor<2>) -> Tensor<2> {
    softplus_stable(x.neg()).neg()
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^−|x|)
pub(crate) fn softplus_stable(x: Tensor<2>) -> Tensor<2> {
    x.clone().clamp_min(0.0) + x.abs().neg().exp().log1p()
}

impl Density for FactorisedBits {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let uniforms = noise.uniforms(draws, self.logits.dims()[1], &Device::of(&self.logits));
        let logits = fold_rows(&self.logits, uniforms.dims()[0]);
        // A logistic number below ℓ has probability sigmoid(ℓ).
        let logistic = uniforms.clone().log() - (uniforms.neg() + 1.0).log();
        let hard = || logits.clone().detach().greater(logistic.clone().neg()).float().cast(logits.dtype());
        Draw::new(match self.gradient {
            BitGradient::StraightThrough => {
                let probability = sigmoid(logits.clone());
                probability.clone() + (hard() - probability.detach())
            }
            BitGradient::Relaxed(temperature) => {
                // Times the inverse: burn divides a gradient by a number in single precision.
                sigmoid((logits.clone() + logistic.clone()) * (1.0 / temperature))
            }
            BitGradient::None => hard(),
        })
    }

    /// z ln P(1) + (1 − z) ln P(0): exact for hard bits, the interpolation between them for soft ones.
    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let logits = fold_rows(&self.logits, z.rows());
        Some(z.z.clone() * logits.clone() - softplus_stable(logits))
    }

    fn centre(&self) -> Latent {
        Latent::new(self.logits.clone().greater_elem(0.0).float().cast(self.logits.dtype()))
    }

    fn deviation(&self) -> Option<Tensor<2>> {
        let p = sigmoid(self.logits.clone());
        Some((p.clone() * (p.neg() + 1.0)).sqrt())
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self { logits: pick(&self.logits, rows), gradient: self.gradient })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self { logits: self.logits.clone().detach(), gradient: self.gradient })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        vec![("bit logits", self.logits.clone())]
    }
}
