//! Distributions over latents: one file a family. The same trait serves q(z|x), where each data row has a density of its own,
//! and p(z), which may be one for all rows.
//!
//! ```text
//! standard_normal, diagonal_normal, full_normal, uniform, mixture, isotropic_mixture   over the reals
//! bits, categorical, gumbel_softmax                    over finitely many values
//! point, indices                                       all mass in one place: a vector, places in a book of codes
//! product                                              blocks side by side, each of a family of its own
//! flow/                                                invertible maps, which make one density of another
//! transformed, sylvester                               the same by steps with parameters of each row
//! kl                                                   the divergence between two families, where it has a closed form
//! ```

mod bits;
mod categorical;
mod diagonal_normal;
mod flow;
mod full_normal;
mod gumbel_softmax;
mod indices;
mod isotropic_mixture;
mod kl;
mod mixture;
mod point;
mod product;
mod standard_normal;
mod sylvester;
mod transformed;
mod uniform;

use std::any::Any;

use burn::tensor::{Int, Tensor, TensorData};

pub use bits::{BitGradient, FactorisedBits};
pub(crate) use bits::{log_sigmoid, softplus_stable as softplus};
pub use categorical::Categorical;
pub(crate) use categorical::indices;
pub use diagonal_normal::DiagonalNormal;
pub use flow::{AutoregressiveFlow, CouplingFlow, Flow, flow_log_density};
pub use full_normal::FullNormal;
pub use gumbel_softmax::{GumbelSoftmax, Relaxed};
pub use indices::Indices;
pub use isotropic_mixture::IsotropicMixture;
pub use kl::{kl, kl_total};
pub use mixture::{NormalMixture, log_sum_exp};
pub use point::Point;
pub use product::Product;
pub use standard_normal::StandardNormal;
pub use transformed::{Step, Transformed};
pub use uniform::Uniform;

pub(crate) use crate::batch::fold_rows;
use crate::batch::{Draw, Latent, Noise};

/// ln 2π
pub const LN_2PI: f64 = 1.837_877_066_409_345_5;

/// A density over latents, for each of `n` rows or one for all of them.
///
/// Codes of `k` draws come as `k·n` rows, draw-major: row `d·n + i` is draw `d` of row `i`.
pub trait Density: Any + Send + Sync {
    /// `noise.ids.len()` rows × `draws` codes, differentiable in the density's parameters where the family
    /// allows (reparameterised or by a stated surrogate).
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw;

    /// log density of each code in nats, `[k·n]`, with respect to the family's own base measure; none for a
    /// point mass.
    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        self.log_density_per_dimension(z).map(sum_dimensions)
    }

    /// log density of codes that this density drew: what the draw carries, if it does.
    fn log_density_of(&self, draw: &Draw) -> Option<Tensor<1>> {
        draw.log_density.clone().or_else(|| self.log_density(&draw.z))
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

    /// The densities of these rows, in this order; one density for all rows is the same for any.
    fn rows(&self, rows: &[usize]) -> Box<dyn Density>;

    /// The same density outside any gradient graph of its parameters: what a gradient sticks the landing with (Roeder et
    /// al., arXiv 1703.09194).
    fn detached(&self) -> Box<dyn Density>;

    /// ‖f(x) − sg\[z\]‖² of each row, `[n]`, summed over the code: how far the encoder is from the codes that stand for what it
    /// gives. None where the density doesn't quantise.
    fn commitment(&self) -> Option<Tensor<1>> {
        None
    }

    /// ‖sg\[f(x)\] − z‖² of each row, `[n]`: what moves a book of codes to the encoder's outputs. None where gradients move no book.
    fn codebook(&self) -> Option<Tensor<1>> {
        None
    }

    /// ‖u − c⁻‖² − ‖u − c⁺‖² of each sign behind each index, `[n, dims, signs]`: how much nearer the encoder is to the one than to
    /// the other. None where no signs stand behind indices.
    fn sign_odds(&self) -> Option<Tensor<3>> {
        None
    }

    /// Named tensors for a search after the first bad number.
    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)>;
}

/// These rows of a parameter; one row serves all.
pub(crate) fn pick<const D: usize>(parameter: &Tensor<D>, rows: &[usize]) -> Tensor<D> {
    if parameter.dims()[0] == 1 {
        return parameter.clone();
    }
    let index: Vec<i32> = rows.iter().map(|&row| row as i32).collect();
    let index = Tensor::<1, Int>::from_data(TensorData::new(index, [rows.len()]), &parameter.device());
    parameter.clone().select(0, index)
}

/// `[rows, dims]` → `[rows]`
pub fn sum_dimensions(per_dimension: Tensor<2>) -> Tensor<1> {
    per_dimension.sum_dim(1).squeeze_dim(1)
}
