//! Rate: KL(q(z|x) ‖ p(z)) in nats.
//!
//! With free bits λ, each dimension pays max(λ, mean over the batch of KL_j), so that none is pushed below λ. The log
//! shows the true rate.
//!
//! References: β as in Higgins et al. (ICLR 2017); free bits in Kingma et al. (arXiv 1606.04934).

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, TermSettings};
use crate::config::ConfigError;
use crate::model::posterior::PosteriorSettings;

/// Free bits.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RateSettings {
    /// λ in nats per dimension; 0 for none.
    pub free_bits: f64,
}

struct RateTerm {
    free_bits: f64,
}

impl TermSettings for RateSettings {
    fn check(&self, posterior: &dyn PosteriorSettings) -> Result<(), ConfigError> {
        if !(self.free_bits.is_finite() && self.free_bits >= 0.0) {
            return Err(ConfigError::Value {
                key: "objective.terms.rate.free_bits".into(),
                what: format!("{} nats", self.free_bits),
                remedy: "give a number from 0".into(),
            });
        }
        if !posterior.has_density() {
            return Err(ConfigError::Combination {
                what: "a point posterior has an infinite rate".into(),
                remedy:
                    "set objective.terms.rate.weight = 0 and objective.estimator.kind = \"plain\", or use \
                         posterior.kind = \"diagonal-normal\""
                        .into(),
            });
        }
        Ok(())
    }

    fn is_plain_rate(&self) -> bool {
        self.free_bits == 0.0
    }

    fn init(&self) -> Box<dyn Term> {
        Box::new(RateTerm { free_bits: self.free_bits })
    }
}

impl Term for RateTerm {
    fn value(&self, pass: &Pass<'_>) -> Tensor<1> {
        pass.rate.as_ref().map_or_else(|| pass.distortion.zeros_like(), |rate| rate.total.clone())
    }

    fn penalty(&self, pass: &Pass<'_>) -> Tensor<1> {
        match pass.rate.as_ref().and_then(|rate| rate.per_dimension.clone()) {
            Some(per_dimension) if self.free_bits > 0.0 => {
                per_dimension.mean_dim(0).clamp_min(self.free_bits).sum()
            }
            _ => self.value(pass),
        }
    }

    /// Not for a point mass, whose rate is infinite.
    fn is_defined(&self, pass: &Pass<'_>) -> bool {
        pass.rate.is_some()
    }

    fn needs_split_rate(&self) -> bool {
        self.free_bits > 0.0
    }

    fn couples_rows(&self) -> bool {
        self.free_bits > 0.0
    }
}
