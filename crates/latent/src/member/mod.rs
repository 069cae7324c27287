//! What the members of all axes share: how one is named, born, called, and how it lives while training.
//!
//! ```text
//! a table of TOML, or a struct in Rust ──▶ settings ──declare──▶ what others need to know ──init──▶ the member
//! start (data, before the first step) ─▶ follow (after each step) ─▶ freeze (on the weights that are kept)
//! ```
//!
//! Declarations run from the data inwards: likelihood, posterior, prior, encoder, decoder, estimator, terms.

mod axis;
mod call;
mod context;
mod life;

pub use axis::{Axis, Described, Member, Named, Nested, Registry};
pub use call::{Call, Mode, Recorder};
pub use context::{Context, Coupling, Outputs, Role, TermFacts, Wiring};
pub use life::{Freeze, Kept, Lesson, Life, Progress, Start};

use crate::config::ConfigError;
use crate::weights::Init;

/// The settings of a member of the axis `M`: checked with what is known, then built.
pub trait Settings<M: ?Sized>: Send + Sync {
    /// Refuses what makes no sense with the data and the members declared before, and declares what those after need.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with a key of the member's own table, or [`ConfigError::Combination`].
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let _ = context;
        Ok(())
    }

    /// How a formula writes it, such as `KL(q(z|x) ‖ p(z))`; none where it has no short one. An estimator's has ℓ for what
    /// the distortion and the rate of a draw add up to, and none where it is their mean.
    fn formula(&self) -> Option<String> {
        None
    }

    /// Builds the member; every declaration is made.
    ///
    /// # Errors
    /// What only building shows.
    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<M>, ConfigError>;
}
