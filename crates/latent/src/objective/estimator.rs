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
use crate::density::log_sum_exp;

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

impl Default for Estimator {
    fn default() -> Self {
        Self { kind: EstimatorKind::Elbo, draws: 1 }
    }
}

impl Estimator {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.draws == 0 {
            return Err(ConfigError::Value {
                key: "objective.estimator.draws".into(),
                what: "0 draws".into(),
                remedy: "give at least 1".into(),
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
        let n = pass.batch.len();
        let log_w = pass.log_weights()?.reshape([pass.draws, n]).transpose();
        Some(log_sum_exp(log_w).mean().neg() + (pass.draws as f64).ln())
    }
}
