//! The posterior q(z|x): which region of z belongs to an x. One file a member.
//!
//! A posterior says which numbers it wants from the encoder and turns them into a [`Density`].

mod bits;
mod diagonal_normal;
mod point;

use burn::tensor::Tensor;

use super::View;
use crate::batch::LatentShape;
use crate::config::{Axis, ConfigError};
use crate::density::Density;

/// q(z|x) from the encoder's outputs.
pub trait Posterior: Send + Sync {
    /// The density of each row, from the encoder's outputs `[n, outputs]`.
    fn density(&self, view: &View<'_>, outputs: Tensor<2>) -> Box<dyn Density>;

    /// Whether q has a density at all; a point mass has none, and its rate is infinite.
    fn has_density(&self) -> bool {
        true
    }
}

/// The settings of a posterior: config → check → posterior.
pub trait PosteriorSettings: Send + Sync {
    /// Refuses settings that make no sense.
    fn check(&self) -> Result<(), ConfigError>;

    /// The shape of its latents.
    fn latent(&self) -> LatentShape;

    /// How many numbers a row it wants from the encoder.
    fn outputs(&self) -> usize;

    /// Whether q has a density.
    fn has_density(&self) -> bool {
        true
    }

    /// Builds the posterior.
    fn init(&self) -> Box<dyn Posterior>;
}

/// The posteriors that ship.
pub fn posteriors() -> Axis<dyn PosteriorSettings> {
    Axis::<dyn PosteriorSettings>::new("posterior")
        .with("point", "one code for each x: a plain autoencoder", |s: point::PointSettings| Box::new(s))
        .with("diagonal-normal", "N(μ(x), diag σ²(x))", |s: diagonal_normal::DiagonalNormalSettings| {
            Box::new(s)
        })
        .with("bits", "independent bits, straight-through or relaxed", |s: bits::BitsSettings| Box::new(s))
}

/// The refusal of a latent without dimensions.
pub(crate) fn needs_dimensions(latent: usize) -> Result<(), ConfigError> {
    if latent == 0 {
        return Err(ConfigError::Value {
            key: "posterior.latent".into(),
            what: "0 latent dimensions".into(),
            remedy: "give at least 1".into(),
        });
    }
    Ok(())
}
