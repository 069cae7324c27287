//! The importance-weighted bound, tighter with more draws, and its family:
//!
//! −mean_i 1/m Σ_g log 1/k Σ_d w_igd,  log w = log p(x|z) + log p(z) − log q(z|x)
//!
//! With m = 1 it is IWAE's, with k = 1 the ELBO of m draws, between them MIWAE's. A share β of the ELBO of the same draws makes
//! CIWAE's (1 − β) · bound + β · ELBO. Distortion and rate are inside its weights; other terms are added.
//!
//! A tighter bound has a gradient for the encoder whose signal drowns in noise as k grows; groups, the ELBO's share and the
//! doubly reparameterised gradient are three ways out.
//!
//! References: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (arXiv 1509.00519); Rainforth et al., *Tighter
//! Variational Bounds are Not Necessarily Better* (arXiv 1802.04537), MIWAE and CIWAE; Roeder, Wu & Duvenaud, *Sticking the
//! Landing* (arXiv 1703.09194); Tucker et al., *Doubly Reparameterized Gradient Estimators* (arXiv 1810.04152).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::weights::{Bound, Gradient, check, holds};
use super::{Estimator, bound, check_draws};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::objective::{Pass, Values};
use crate::weights::Init;

/// How many codes, how they are grouped and differentiated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportanceSettings {
    /// Codes in a group, k.
    pub draws: usize,
    /// Groups of codes drawn for each row, m: 1 for IWAE, more for MIWAE.
    pub groups: usize,
    /// β of CIWAE, the share of the ELBO: 0 for none of it, 1 for nothing else.
    pub elbo: f64,
    /// How the weights are differentiated.
    pub gradient: Gradient,
}

impl Default for ImportanceSettings {
    fn default() -> Self {
        Self { draws: 1, groups: 1, elbo: 0.0, gradient: Gradient::Plain }
    }
}

impl Named for ImportanceSettings {
    const KIND: &'static str = "importance";
    const ABOUT: &'static str = "the importance-weighted bound, of one group of draws or several";
}

impl Settings<dyn Estimator> for ImportanceSettings {
    fn formula(&self) -> Option<String> {
        let Self { draws, groups, elbo, .. } = *self;
        let bound = bound(draws, groups);
        Some(match elbo > 0.0 {
            true => format!("{} · ({bound}) + {elbo} · ℓ", 1.0 - elbo),
            false => bound,
        })
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws("draws", self.draws)?;
        check_draws("groups", self.groups)?;
        check_draws("draws", self.draws.saturating_mul(self.groups))?;
        if !(0.0..=1.0).contains(&self.elbo) {
            return Err(ConfigError::value("elbo", format!("{} is not a share", self.elbo), "give 0 to 1"));
        }
        check(context, self.gradient)
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        let Self { draws, groups, elbo, gradient } = *self;
        Ok(Box::new(Importance { bound: Bound { groups, draws, elbo, gradient } }))
    }
}

struct Importance {
    bound: Bound,
}

impl Estimator for Importance {
    fn draws(&self) -> usize {
        self.bound.draws * self.bound.groups
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        add(self.bound.loss(pass), values)
    }
}

impl Life for Importance {}

/// A bound with the terms beside it.
pub(super) fn add(bound: Option<Tensor<1>>, values: &Values<'_>) -> Tensor<1> {
    let beside = |name: &str| !holds(name);
    let Some(bound) = bound else { return values.sum(|_| true) };
    if values.any(beside) { values.sum(beside) + bound } else { bound }
}
