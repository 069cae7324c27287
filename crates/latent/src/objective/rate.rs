//! Rate: KL(q(z|x) ‖ p(z)) in nats.
//!
//! With free bits λ, each dimension pays max(λ, mean over the batch of KL_j), so that none is pushed below λ. The log
//! shows the true rate.
//!
//! References: β as in Higgins et al. (ICLR 2017); free bits in Kingma et al. (arXiv 1606.04934).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// Free bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// λ in nats per dimension; 0 for none.
    pub free_bits: f64,
}

struct RateTerm {
    free_bits: f64,
}

impl Named for RateSettings {
    const KIND: &'static str = "rate";
    const ABOUT: &'static str = "KL(q(z|x) ‖ p(z)), with free bits";
}

impl Settings<dyn Term> for RateSettings {
    fn formula(&self) -> Option<String> {
        Some(match self.free_bits > 0.0 {
            true => format!("Σ_j max({}, KL(q(z_j|x) ‖ p(z_j)))", self.free_bits),
            false => "KL(q(z|x) ‖ p(z))".into(),
        })
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.free_bits.is_finite() && self.free_bits >= 0.0) {
            return Err(ConfigError::value(
                "free_bits",
                format!("{} nats", self.free_bits),
                "give a number from 0",
            ));
        }
        let (path, has_density, splits) = (
            context.path.clone(),
            context.has_density,
            context.prior_factorises && context.posterior_factorises,
        );
        let Some(term) = context.term() else { return Ok(()) };
        term.own_penalty = self.free_bits > 0.0;
        let (name, counts) = (term.name.clone(), term.weight != 0.0);
        if counts && !has_density {
            return Err(ConfigError::combination(
                "a point posterior has an infinite rate",
                format!(
                    "set {path}.weight = 0 and objective.estimator.kind = \"plain\", or use posterior.kind = \
                     \"diagonal-normal\""
                ),
            ));
        }
        if self.free_bits == 0.0 {
            return Ok(());
        }
        if counts && !splits {
            return Err(ConfigError::combination(
                format!(
                    "the term `{name}` has free bits for each dimension, and the density of the prior or of the posterior does not \
                     split over dimensions"
                ),
                format!(
                    "set {path}.free_bits = 0, or use posterior.kind = \"diagonal-normal\" and prior.kind = \"standard-normal\""
                ),
            ));
        }
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(RateTerm { free_bits: self.free_bits }))
    }
}

impl Term for RateTerm {
    /// Undefined for a point mass, whose rate is infinite.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let rate = pass.rate()?;
        let penalty = match &rate.per_dimension {
            Some(each) if self.free_bits > 0.0 => {
                Some(pass.batch.mean_rows(each.clone()).clamp_min(self.free_bits).sum())
            }
            _ => None,
        };
        Some(Value { log: rate.total.clone(), penalty })
    }
}

impl Life for RateTerm {}
