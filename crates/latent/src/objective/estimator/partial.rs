//! The partially importance-weighted autoencoder: two bounds, each for the network that it suits. Of m·k draws
//!
//! the decoder and the prior minimise   −log 1/mk Σ_gd w_gd        the tightest bound
//! the encoder minimises                −1/m Σ_g log 1/k Σ_d w_gd  the one with the clearer gradient
//!
//! The encoder is a player of its own: each step makes a pass for either, with noise of its own.
//!
//! Reference: Rainforth et al., *Tighter Variational Bounds are Not Necessarily Better* (arXiv 1802.04537), PIWAE.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::importance::add;
use super::weights::{Bound, Gradient, check};
use super::{Estimator, bound, check_draws};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::objective::{Pass, Values};
use crate::optimizer::Player;
use crate::weights::Init;

/// How many codes and how the encoder's are grouped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartialSettings {
    /// Codes in a group, k.
    pub draws: usize,
    /// Groups of codes drawn for each row, m.
    pub groups: usize,
    /// How the encoder's weights are differentiated.
    pub gradient: Gradient,
}

impl Default for PartialSettings {
    fn default() -> Self {
        Self { draws: 1, groups: 1, gradient: Gradient::Plain }
    }
}

/// The player that moves the encoder and what the posterior has of its own.
const ENCODER: &str = "encoder";

impl Named for PartialSettings {
    const KIND: &'static str = "partial";
    const ABOUT: &'static str = "the decoder on the tightest bound, the encoder on a looser one";
}

impl Settings<dyn Estimator> for PartialSettings {
    fn formula(&self) -> Option<String> {
        let Self { draws, groups, .. } = *self;
        let (decoder, encoder) = (bound(draws * groups, 1), bound(draws, groups));
        Some(format!("{decoder} for decoder and prior, {encoder} for the encoder"))
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws("draws", self.draws)?;
        check_draws("groups", self.groups)?;
        check_draws("draws", self.draws.saturating_mul(self.groups))?;
        if context.terms.iter().any(|term| term.name == ENCODER) {
            return Err(ConfigError::combination(
                format!("the estimator's own player is called `{ENCODER}`, and so is a term"),
                "give the term another name",
            ));
        }
        check(context, self.gradient)
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        let Self { draws, groups, gradient } = *self;
        Ok(Box::new(Partial {
            tight: Bound { groups: 1, draws: draws * groups, elbo: 0.0, gradient: Gradient::Plain },
            clear: Bound { groups, draws, elbo: 0.0, gradient },
        }))
    }
}

struct Partial {
    tight: Bound,
    clear: Bound,
}

impl Estimator for Partial {
    fn draws(&self) -> usize {
        self.tight.draws
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        let bound = if pass.player == ENCODER { self.clear } else { self.tight };
        add(bound.loss(pass), values)
    }

    fn players(&self) -> Vec<Player> {
        let own = |path: &str| path.starts_with("encoder.") || path.starts_with("posterior.");
        vec![Player::of(ENCODER, own)]
    }
}

impl Life for Partial {}
