//! How terms become a loss.
//!
//! *Plain* adds weighted means and claims no bound (autoencoders, Wasserstein autoencoders). *ELBO* does the same with
//! distortion and rate, whose sum bounds −log P(x). *Importance* minimises −log 1/k Σ w, a tighter bound with more
//! draws; distortion and rate are inside it, other terms are added.
//!
//! References: Kingma & Welling (arXiv 1312.6114); Burda, Grosse & Salakhutdinov (arXiv 1509.00519).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Pass, Schedule, TermSettings};
use crate::config::ConfigError;
use crate::model::posterior::PosteriorSettings;

/// Which estimator and how many draws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Estimator {
    /// How terms become a loss.
    pub kind: EstimatorKind,
    /// Codes drawn for each row, k.
    pub draws: usize,
}

/// How terms become a loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EstimatorKind {
    /// A weighted sum without a claim.
    Plain,
    /// The evidence lower bound.
    Elbo,
    /// The importance-weighted bound.
    Importance,
}

/// More draws than this for a training step are a slip of the pen.
const MOST_DRAWS: usize = 10_000;

impl Default for Estimator {
    fn default() -> Self {
        Self { kind: EstimatorKind::Elbo, draws: 1 }
    }
}

impl Estimator {
    pub(super) fn check(&self, posterior: &dyn PosteriorSettings) -> Result<(), ConfigError> {
        if !(1..=MOST_DRAWS).contains(&self.draws) {
            return Err(ConfigError::Value {
                key: "objective.estimator.draws".into(),
                what: format!("{} draws", self.draws),
                remedy: format!("give 1 to {MOST_DRAWS}"),
            });
        }
        if self.kind == EstimatorKind::Importance && !posterior.has_density() {
            return Err(ConfigError::Combination {
                what: "a point posterior has no density to weigh draws with, so there is no importance-weighted bound"
                    .into(),
                remedy: "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"".into(),
            });
        }
        Ok(())
    }

    /// Refuses to call a bound what is none.
    pub(super) fn check_bound(&self, posterior: &dyn PosteriorSettings) -> Result<(), ConfigError> {
        if self.kind == EstimatorKind::Elbo && !posterior.has_density() {
            return Err(ConfigError::Combination {
                what: "a point posterior has no density, so there is no evidence lower bound".into(),
                remedy: "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\""
                    .into(),
            });
        }
        Ok(())
    }

    /// Refuses a term that the bound holds already under another name, and a name that is the bound's own.
    pub(super) fn check_name(&self, name: &str, kind: &str) -> Result<(), ConfigError> {
        if self.holds(kind) && name != kind {
            return Err(ConfigError::Combination {
                what: format!(
                    "the importance-weighted bound holds the {kind} inside its weights, so the term `{name}` would \
                     count it twice"
                ),
                remedy: format!(
                    "leave [objective.terms.{name}] out, or use objective.estimator.kind = \"elbo\""
                ),
            });
        }
        if self.holds(name) && name != kind {
            return Err(ConfigError::Value {
                key: format!("objective.terms.{name}.kind"),
                what: format!(
                    "the importance-weighted bound calls its own {name} so, and this is of kind `{kind}`"
                ),
                remedy: "give the term another name".into(),
            });
        }
        Ok(())
    }

    /// Refuses a term that the bound cannot hold.
    pub(super) fn check_term(
        &self,
        name: &str,
        settings: &dyn TermSettings,
        weight: f64,
        schedule: &Schedule,
    ) -> Result<(), ConfigError> {
        let plain = weight == 1.0 && *schedule == Schedule::Constant;
        if self.holds(name) && !(plain && (name != "rate" || settings.is_plain_rate())) {
            return Err(ConfigError::Combination {
                what: format!(
                    "the importance-weighted bound holds `{name}` inside its weights, so it can have no weight, \
                     schedule or free bits of its own"
                ),
                remedy: format!(
                    "leave [objective.terms.{name}] plain, or use objective.estimator.kind = \"elbo\""
                ),
            });
        }
        Ok(())
    }

    /// Whether the term is part of the estimator's own bound rather than added to it.
    pub(super) fn holds(&self, name: &str) -> bool {
        self.kind == EstimatorKind::Importance && matches!(name, "distortion" | "rate")
    }

    /// −mean_i log 1/k Σ_d w_id for the importance-weighted estimator.
    pub(super) fn bound(&self, pass: &Pass<'_>) -> Option<Tensor<1>> {
        if self.kind != EstimatorKind::Importance {
            return None;
        }
        Some(latent_kernels::log_mean_exp(pass.log_weights()?, pass.draws).mean().neg())
    }
}
