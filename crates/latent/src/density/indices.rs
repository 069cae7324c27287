//! One index for each dimension and row, for certain: what a quantiser gives. P(z) = 1 at its index and 0 elsewhere, so
//! that unlike a point on the reals it has a density, with respect to counting.
//!
//! An index has no derivative; `features`, what the decoder sees, carry a stated surrogate.

use burn::tensor::Tensor;

use super::{Density, fold_rows, pick};
use crate::batch::{Draw, Latent, Noise};

/// The index of each dimension, and what stands for it.
#[derive(Clone, Debug)]
pub struct Indices {
    /// The indices as whole numbers, `[n, dims]`.
    pub index: Tensor<2>,
    /// What the decoder sees, `[n, features]`, with the surrogate's gradient; none for what it sees of stored codes.
    pub features: Option<Tensor<2>>,
    /// ‖f(x) − sg\[z\]‖² of each row, `[n]`; none where nothing has to be held near to its code.
    pub commitment: Option<Tensor<1>>,
    /// ‖sg\[f(x)\] − z‖² of each row, `[n]`, where gradients move the book.
    pub codebook: Option<Tensor<1>>,
    /// What [`Density::sign_odds`] says, `[n, dims, signs]`.
    pub odds: Option<Tensor<3>>,
}

impl Indices {
    /// Indices that the decoder sees as it sees stored ones.
    pub fn new(index: Tensor<2>) -> Self {
        Self { index, features: None, commitment: None, codebook: None, odds: None }
    }
}

impl Density for Indices {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let rows = draws * noise.ids.len();
        Draw {
            features: self.features.as_ref().map(|features| fold_rows(features, rows)),
            ..Draw::new(fold_rows(&self.index, rows))
        }
    }

    /// 0 at the index and −∞ elsewhere.
    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>> {
        let elsewhere = fold_rows(&self.index, z.rows()).not_equal(z.z.clone());
        Some(z.z.zeros_like().mask_fill(elsewhere, f32::NEG_INFINITY))
    }

    fn centre(&self) -> Latent {
        Latent::new(self.index.clone())
    }

    fn commitment(&self) -> Option<Tensor<1>> {
        self.commitment.clone()
    }

    fn codebook(&self) -> Option<Tensor<1>> {
        self.codebook.clone()
    }

    fn sign_odds(&self) -> Option<Tensor<3>> {
        self.odds.clone()
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self {
            index: pick(&self.index, rows),
            features: self.features.as_ref().map(|features| pick(features, rows)),
            commitment: self.commitment.as_ref().map(|commitment| pick(commitment, rows)),
            codebook: self.codebook.as_ref().map(|codebook| pick(codebook, rows)),
            odds: self.odds.as_ref().map(|odds| pick(odds, rows)),
        })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self {
            index: self.index.clone(),
            features: self.features.clone().map(Tensor::detach),
            commitment: self.commitment.clone().map(Tensor::detach),
            codebook: self.codebook.clone().map(Tensor::detach),
            odds: self.odds.clone().map(Tensor::detach),
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        let mut all = vec![("index", self.index.clone())];
        all.extend(self.features.clone().map(|features| ("code vectors", features)));
        all
    }
}
