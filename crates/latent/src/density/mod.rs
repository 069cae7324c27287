//! Distributions over latents: one file a family; the divergence between two families in [`kl`].
//!
//! The same trait serves q(z|x), where each data row has a density of its own, and p(z), one for all rows.

mod bits;
mod diagonal_normal;
mod kl;
mod mixture;
mod point;
mod standard_normal;
mod uniform;

use std::any::Any;

use burn::tensor::Tensor;

pub(crate) use bits::softplus_stable as softplus;
pub use bits::{BitGradient, FactorisedBits};
pub use diagonal_normal::DiagonalNormal;
pub use kl::kl;
pub use mixture::{NormalMixture, log_sum_exp};
pub use point::Point;
pub use standard_normal::StandardNormal;
pub use uniform::Uniform;

use crate::batch::{Latent, Noise};

/// ln 2π
pub const LN_2PI: f64 = 1.837_877_066_409_345_5;

/// A density over latents, for each of `n` rows or one for all of them.
///
/// Codes of `k` draws come as `k·n` rows, draw-major: row `d·n + i` is draw `d` of row `i`.
pub trait Density: Any + Send + Sync {
    /// `noise.ids.len()` rows × `draws` codes, differentiable in the density's parameters where the family
    /// allows (reparameterised or by a stated surrogate).
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Latent;

    /// log density of each code in nats, `[k·n]`, with respect to the family's own base measure; none for a
    /// point mass.
    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        self.log_density_per_dimension(z).map(sum_dimensions)
    }

    /// The same split over dimensions, `[k·n, dims]`; none where the family does not factorise or is a point mass.
    fn log_density_per_dimension(&self, z: &Latent) -> Option<Tensor<2>>;

    /// The mean of each row's density, `[n, dims]` (`[1, dims]` for one density for all rows); bits are
    /// rounded to the likelier value.
    fn centre(&self) -> Latent;

    /// The standard deviation per dimension, `[n, dims]`, where the family has one.
    fn deviation(&self) -> Option<Tensor<2>> {
        None
    }

    /// Named tensors for a search after the first bad number.
    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)>;
}

/// `[rows, dims]` → `[rows]`
pub fn sum_dimensions(per_dimension: Tensor<2>) -> Tensor<1> {
    per_dimension.sum_dim(1).squeeze_dim(1)
}

/// Repeats the `n` rows of a parameter for `rows = k·n` draw-major codes; one row serves all.
pub(crate) fn fold_rows(parameter: &Tensor<2>, rows: usize) -> Tensor<2> {
    let [n, dims] = parameter.dims();
    if n == rows {
        parameter.clone()
    } else if n == 1 {
        parameter.clone().expand([rows, dims])
    } else {
        parameter.clone().repeat_dim(0, rows / n)
    }
}
