//! The importance-weighted bound, tighter with more draws:
//!
//! −mean_i log 1/k Σ_d w_id,  log w = log p(x|z) + log p(z) − log q(z|x)
//!
//! Distortion and rate are inside its weights; other terms are added.
//!
//! Reference: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (arXiv 1509.00519).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Estimator, check_draws};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings, TermFacts};
use crate::objective::{Pass, Values};
use crate::weights::Init;

/// How many codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ImportanceSettings {
    /// Codes drawn for each row, k.
    pub draws: usize,
}

impl Default for ImportanceSettings {
    fn default() -> Self {
        Self { draws: 1 }
    }
}

/// What the weights hold.
fn holds(name: &str) -> bool {
    matches!(name, "distortion" | "rate")
}

impl Named for ImportanceSettings {
    const KIND: &'static str = "importance";
    const ABOUT: &'static str = "the importance-weighted bound";
}

impl Settings<dyn Estimator> for ImportanceSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws(self.draws)?;
        if !context.has_density {
            return Err(ConfigError::combination(
                "a point posterior has no density to weigh draws with, so there is no importance-weighted bound",
                "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"",
            ));
        }
        context.terms.iter().try_for_each(check_term)
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        Ok(Box::new(Importance { draws: self.draws }))
    }
}

/// Refuses a term that the bound holds already under another name, a name that is the bound's own, and a term that it cannot
/// hold.
fn check_term(term: &TermFacts) -> Result<(), ConfigError> {
    let TermFacts { name, kind, weight, constant, own_penalty } = term;
    if holds(kind) && name != kind {
        return Err(ConfigError::combination(
            format!(
                "the importance-weighted bound holds the {kind} inside its weights, so the term `{name}` would \
                 count it twice"
            ),
            format!("leave [objective.terms.{name}] out, or use objective.estimator.kind = \"elbo\""),
        ));
    }
    if holds(name) && name != kind {
        return Err(ConfigError::combination(
            format!(
                "objective.terms.{name}: the importance-weighted bound calls its own {name} so, and this is of kind `{kind}`"
            ),
            "give the term another name",
        ));
    }
    if holds(name) && (*weight != 1.0 || !constant || *own_penalty) {
        return Err(ConfigError::combination(
            format!(
                "the importance-weighted bound holds `{name}` inside its weights, so it can have no weight, \
                 schedule or free bits of its own"
            ),
            format!("leave [objective.terms.{name}] plain, or use objective.estimator.kind = \"elbo\""),
        ));
    }
    Ok(())
}

struct Importance {
    draws: usize,
}

impl Estimator for Importance {
    fn draws(&self) -> usize {
        self.draws
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        let beside = |name: &str| !holds(name);
        let Some(log_weights) = pass.log_weights() else { return values.sum(|_| true) };
        let bound = pass.batch.mean(latent_kernels::log_mean_exp(log_weights, pass.draws)).neg();
        if values.any(beside) { values.sum(beside) + bound } else { bound }
    }
}

impl Life for Importance {}
