//! The learning rate over a run, as a factor of the optimiser's rate: a function of the step alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;

/// The factor of the learning rate at each step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LearningRate {
    /// 1 throughout.
    #[default]
    Constant,
    /// A straight line from 1 to `last` at the end, after a warm-up.
    Linear {
        /// Steps from 0 up to 1 before.
        #[serde(default)]
        warmup: u64,
        /// The factor at the end.
        #[serde(default)]
        last: f64,
    },
    /// Half a cosine from 1 to `last` at the end, after a warm-up (Loshchilov & Hutter, arXiv 1608.03983).
    Cosine {
        /// Steps from 0 up to 1 before.
        #[serde(default)]
        warmup: u64,
        /// The factor at the end.
        #[serde(default)]
        last: f64,
    },
    /// `gamma` to the power of the epoch.
    Exponential {
        /// From (0, 1].
        gamma: f64,
    },
    /// `gamma` once for each milestone passed.
    Step {
        /// In epochs.
        milestones: Vec<f64>,
        /// The factor of each.
        gamma: f64,
    },
    /// Up over `warmup` steps, then with 1/√step (Vaswani et al., arXiv 1706.03762).
    Noam {
        /// Steps.
        warmup: u64,
    },
    /// Up to 1 over the first `rise` share of the run, then a cosine down to `last` (Smith & Topin, arXiv 1708.07120).
    OneCycle {
        /// The share of the run.
        #[serde(default = "third")]
        rise: f64,
        /// The factor at the end.
        #[serde(default)]
        last: f64,
    },
}

fn third() -> f64 {
    0.3
}

impl LearningRate {
    /// The factor at `step` of `total`, with so many steps in an epoch.
    pub fn factor(&self, step: u64, steps_per_epoch: u64, total: u64) -> f64 {
        let epoch = step as f64 / steps_per_epoch.max(1) as f64;
        // 0 at the end of the warm-up, 1 at the end of the run.
        let done = |warmup: u64| {
            (step.saturating_sub(warmup) as f64 / total.saturating_sub(warmup).max(1) as f64).min(1.0)
        };
        let warm = |warmup: u64| if warmup == 0 { 1.0 } else { ((step + 1) as f64 / warmup as f64).min(1.0) };
        let cosine =
            |share: f64, last: f64| last + (1.0 - last) * 0.5 * (1.0 + (std::f64::consts::PI * share).cos());
        match *self {
            Self::Constant => 1.0,
            Self::Linear { warmup, last } => warm(warmup) * (1.0 + (last - 1.0) * done(warmup)),
            Self::Cosine { warmup, last } => warm(warmup) * cosine(done(warmup), last),
            Self::Exponential { gamma } => gamma.powf(epoch.floor()),
            Self::Step { ref milestones, gamma } => {
                gamma.powi(milestones.iter().filter(|&&milestone| epoch >= milestone).count() as i32)
            }
            Self::Noam { warmup } => {
                let (step, warmup) = ((step + 1) as f64, warmup.max(1) as f64);
                warmup.sqrt() * step.powf(-0.5).min(step * warmup.powf(-1.5))
            }
            Self::OneCycle { rise, last } => {
                let share = step as f64 / total.max(1) as f64;
                if share < rise {
                    1.0 - cosine(share / rise, 0.0) * 0.96
                } else {
                    cosine(((share - rise) / (1.0 - rise).max(1e-9)).min(1.0), last)
                }
            }
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with a key of `schedule`.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, value: f64, remedy: &str| {
            Err(ConfigError::value(&format!("schedule.{key}"), format!("{value}"), remedy))
        };
        let factor = |v: f64| v.is_finite() && v > 0.0;
        match self {
            Self::Linear { last, .. } | Self::Cosine { last, .. } | Self::OneCycle { last, .. }
                if !(last.is_finite() && *last >= 0.0) =>
            {
                wrong("last", *last, "give 0 or more")
            }
            Self::Exponential { gamma } | Self::Step { gamma, .. } if !factor(*gamma) => {
                wrong("gamma", *gamma, "give a positive number, such as 0.5")
            }
            Self::OneCycle { rise, .. } if !(0.0..1.0).contains(rise) => {
                wrong("rise", *rise, "give 0 or more and less than 1, such as 0.3")
            }
            Self::Step { milestones, .. } => match milestones.iter().find(|m| !m.is_finite()) {
                Some(milestone) => wrong("milestones", *milestone, "give epochs, such as [10, 20]"),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_start_and_end_where_they_say() {
        let close = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        let cosine = LearningRate::Cosine { warmup: 10, last: 0.1 };
        close(cosine.factor(0, 100, 1000), 0.1);
        close(cosine.factor(9, 100, 1000), 1.0);
        close(cosine.factor(1000, 100, 1000), 0.1);
        close(LearningRate::Linear { warmup: 0, last: 0.0 }.factor(500, 100, 1000), 0.5);
        close(LearningRate::Step { milestones: vec![2.0, 5.0], gamma: 0.1 }.factor(500, 100, 1000), 0.01);
        close(LearningRate::Exponential { gamma: 0.5 }.factor(250, 100, 1000), 0.25);
        close(LearningRate::Noam { warmup: 100 }.factor(99, 100, 1000), 1.0);
        close(LearningRate::OneCycle { rise: 0.3, last: 0.0 }.factor(300, 100, 1000), 1.0);
        close(LearningRate::OneCycle { rise: 0.3, last: 0.0 }.factor(0, 100, 1000), 0.04);
    }
}
