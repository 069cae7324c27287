//! How the weight of a term gets to its final value.
//!
//! References: linear warm-up in Sønderby et al. (arXiv 1602.02282); cyclic in Fu et al. (arXiv 1903.10145); falling in Zhang et
//! al. (TabSyn, arXiv 2310.09656), there on plateaus.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::member::Progress;

/// The factor of a weight as training goes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// 1 from the start.
    #[default]
    Constant,
    /// From 0 to 1 in a straight line.
    Linear {
        /// Over that many epochs; a fraction is fine.
        epochs: f64,
    },
    /// Cycles over the whole run: up in a straight line, then 1.
    Cyclic {
        /// How many.
        cycles: u32,
        /// The share of a cycle in which it rises.
        ratio: f64,
    },
    /// From a multiple down to 1 over the whole run, in each step by the same factor.
    Falling {
        /// The multiple.
        from: f64,
    },
}

impl Schedule {
    /// The factor, from 0; above 1 only where it falls.
    pub fn factor(&self, progress: Progress) -> f64 {
        let step = progress.step as f64;
        match *self {
            Self::Constant => 1.0,
            Self::Linear { epochs } => {
                let length = epochs * progress.steps_per_epoch as f64;
                if length <= 0.0 { 1.0 } else { (step / length).min(1.0) }
            }
            Self::Falling { from } => {
                let left = 1.0 - step / progress.total.max(1) as f64;
                from.powf(left.max(0.0))
            }
            Self::Cyclic { cycles, ratio } => {
                let length = (progress.total as f64 / f64::from(cycles)).max(1.0);
                // Past the last cycle the weight stays.
                if step >= progress.total as f64 {
                    return 1.0;
                }
                ((step % length) / (length * ratio).max(1.0)).min(1.0)
            }
        }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let wrong = match *self {
            Self::Falling { from } => !(1.0..=1e9).contains(&from),
            Self::Constant => false,
            Self::Linear { epochs } => !(epochs.is_finite() && epochs >= 0.0),
            Self::Cyclic { cycles, ratio } => cycles == 0 || !(ratio > 0.0 && ratio <= 1.0),
        };
        if wrong {
            return Err(ConfigError::value(
                "schedule",
                format!("{self:?} is no schedule"),
                "linear needs epochs ≥ 0; cyclic needs cycles ≥ 1 and a ratio in (0, 1]; falling needs from in 1 to 1e9",
            ));
        }
        Ok(())
    }
}
