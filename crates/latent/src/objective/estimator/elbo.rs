//! The evidence lower bound: distortion and rate, each of weight 1, bound −log P(x) from above.
//!
//! The sum is the plain one; what this estimator adds is the claim, which a posterior without a density cannot make.
//!
//! Reference: Kingma & Welling, *Auto-Encoding Variational Bayes* (arXiv 1312.6114).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::plain::WeightedSum;
use super::{Estimator, check_draws};
use crate::config::ConfigError;
use crate::member::{Context, Named, Settings};
use crate::weights::Init;

/// How many codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElboSettings {
    /// Codes drawn for each row.
    pub draws: usize,
}

impl Default for ElboSettings {
    fn default() -> Self {
        Self { draws: 1 }
    }
}

impl Named for ElboSettings {
    const KIND: &'static str = "elbo";
    const ABOUT: &'static str = "the evidence lower bound";
}

impl Settings<dyn Estimator> for ElboSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws("draws", self.draws)?;
        if context.has_density {
            return Ok(());
        }
        Err(ConfigError::combination(
            "a point posterior has no density, so there is no evidence lower bound",
            "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"",
        ))
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        Ok(Box::new(WeightedSum { draws: self.draws }))
    }
}
