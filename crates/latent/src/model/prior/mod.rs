//! The prior p(z): where z lives before any x. One file a member.

mod bits;
mod mixture;
mod standard_normal;
mod uniform;

use super::View;
use crate::batch::{LatentShape, Support};
use crate::config::{Axis, ConfigError};
use crate::density::Density;
use crate::weights::Init;

/// p(z).
pub trait Prior: Send + Sync {
    /// The density, one for all rows.
    fn density(&self, view: &View<'_>) -> Box<dyn Density>;
}

/// The settings of a prior: config → check → prior.
pub trait PriorSettings: Send + Sync {
    /// Where it puts its mass.
    fn support(&self) -> Support;

    /// Refuses settings that make no sense.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }

    /// Whether its density is a product over dimensions, so that a rate splits over them.
    fn factorises(&self) -> bool {
        true
    }

    /// Builds the prior over latents of that shape.
    fn init(&self, latent: &LatentShape, init: &mut Init<'_>) -> Box<dyn Prior>;
}

/// The priors that ship.
pub fn priors() -> Axis<dyn PriorSettings> {
    Axis::<dyn PriorSettings>::new("prior")
        .with("standard-normal", "N(0, I)", |s: standard_normal::StandardNormalSettings| Box::new(s))
        .with("uniform", "uniform on the unit cube", |s: uniform::UniformSettings| Box::new(s))
        .with("mixture", "a learned mixture of normals", |s: mixture::MixtureSettings| Box::new(s))
        .with("bits", "independent bits, fair or learned", |s: bits::BitsPriorSettings| Box::new(s))
}
