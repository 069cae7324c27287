//! The prior p(z): where z lives before any x. One file a member.

mod bits;
mod blocks;
mod categorical;
mod conditional_normal;
mod exemplar;
mod mixture;
mod real_nvp;
mod standard_normal;
mod uniform;
mod vamp;

pub use bits::BitsPriorSettings;
pub use blocks::BlocksPriorSettings;
pub use categorical::CategoricalPriorSettings;
pub use conditional_normal::ConditionalNormalSettings;
pub use exemplar::ExemplarSettings;
pub use mixture::MixtureSettings;
pub use real_nvp::RealNvpPriorSettings;
pub use standard_normal::StandardNormalSettings;
pub use uniform::UniformSettings;
pub use vamp::VampSettings;

use super::View;
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::Density;
use crate::member::{Axis, Context, Life, Settings};

/// p(z).
pub trait Prior: Life {
    /// The density: one for all rows, or one for each where it depends on what is given.
    fn density(&self, view: &View<'_>, given: Given<'_>) -> Box<dyn Density>;

    /// Whether it depends on what is given.
    fn is_conditional(&self) -> bool {
        false
    }

    /// Whether it is N(0, I).
    fn is_standard_normal(&self) -> bool {
        false
    }
}

/// The settings of a prior. It refuses blocks that it has no mass on.
pub type PriorSettings = dyn Settings<dyn Prior>;

/// The priors that ship.
pub fn priors() -> Axis<PriorSettings> {
    Axis::new("prior")
        .with::<standard_normal::StandardNormalSettings>()
        .with::<uniform::UniformSettings>()
        .with::<mixture::MixtureSettings>()
        .with::<bits::BitsPriorSettings>()
        .with::<categorical::CategoricalPriorSettings>()
        .with::<blocks::BlocksPriorSettings>()
        .with::<vamp::VampSettings>()
        .with::<exemplar::ExemplarSettings>()
        .with::<real_nvp::RealNvpPriorSettings>()
        .with::<conditional_normal::ConditionalNormalSettings>()
}

/// Refuses codes that lie elsewhere: the rate would be infinite.
pub(crate) fn needs_support(
    context: &Context<'_>,
    lives_on: &str,
    fits: impl Fn(Support) -> bool,
) -> Result<(), ConfigError> {
    let Some(block) = context.latent.blocks.iter().find(|block| !fits(block.support)) else {
        return Ok(());
    };
    let kind = match block.support {
        _ if context.latent.blocks.len() > 1 => "blocks",
        Support::Reals => "standard-normal",
        Support::UnitInterval => "uniform",
        Support::Bits => "bits",
        Support::Index(_) => "categorical",
    };
    Err(ConfigError::combination(
        format!(
            "the posterior's codes are {} and the prior lives on {lives_on}, so the rate is infinite",
            block.support.name()
        ),
        format!(
            "set {}.kind = \"{kind}\", or choose a posterior whose codes lie where the prior does",
            context.path
        ),
    ))
}
