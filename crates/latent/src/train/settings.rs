//! `[train]`: how long, how fast, how careful.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::optimizer::{LearningRate, OptimizerSettings};

/// The settings of the loop.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrainSettings {
    /// Passes over the training rows.
    pub epochs: f64,
    /// Stop after this many steps instead; 0 leaves it to `epochs`.
    pub steps: u64,
    /// Stop after this many minutes, whatever is left; 0 for no limit. A run cut by the clock is not reproducible.
    pub minutes: f64,
    /// Rows in a step.
    pub batch: usize,
    /// Parts that a step's rows are computed in, to save memory.
    pub accumulate: usize,
    /// How gradients move weights.
    pub optimizer: OptimizerSettings,
    /// The learning rate over the run.
    pub schedule: LearningRate,
    /// The greatest norm of the gradient of all weights together; 0 for no limit.
    pub clip: f64,
    /// Decay of a moving average of the weights that is validated and kept; 0 for none.
    pub ema: f64,
    /// Validate after this many epochs.
    pub validate_every: f64,
    /// Rows of the validation split that are used; 0 for all.
    pub validate_rows: usize,
    /// Stop after this many validations without a better one; 0 never.
    pub patience: u64,
    /// Which weights are kept: the best on validation once all weights of terms are final, or the last.
    pub keep: Keep,
    /// Write a checkpoint after this many steps, besides those at validations.
    pub checkpoint_every: u64,
    /// What to do about NaN and infinity.
    pub guard: GuardSettings,
}

/// Which weights a run ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// Those with the lowest validation loss.
    Best,
    /// Those of the last step.
    Last,
}

/// What to do about a number that is not finite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GuardSettings {
    /// Give up after this many returns to a checkpoint.
    pub tries: u32,
    /// Whether the step's batch is kept out when training comes by again.
    pub skip_batch: bool,
}

impl Default for GuardSettings {
    fn default() -> Self {
        Self { tries: 5, skip_batch: false }
    }
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            epochs: 20.0,
            steps: 0,
            minutes: 0.0,
            batch: 128,
            accumulate: 1,
            optimizer: OptimizerSettings::default(),
            schedule: LearningRate::Constant,
            clip: 0.0,
            ema: 0.0,
            validate_every: 1.0,
            validate_rows: 0,
            patience: 0,
            keep: Keep::Best,
            checkpoint_every: 1000,
            guard: GuardSettings::default(),
        }
    }
}

impl TrainSettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn check(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, what: String, remedy: &str| {
            Err(ConfigError::Value { key: format!("train.{key}"), what, remedy: remedy.into() })
        };
        if self.steps == 0 && !(self.epochs.is_finite() && self.epochs > 0.0) {
            return wrong("epochs", format!("{} epochs", self.epochs), "give a positive number");
        }
        if self.batch == 0 {
            return wrong("batch", "0 rows in a step".into(), "give at least 1");
        }
        if self.accumulate == 0 || self.accumulate > self.batch {
            return wrong("accumulate", format!("{} parts", self.accumulate), "give 1 up to train.batch");
        }
        if !(self.validate_every.is_finite() && self.validate_every > 0.0) {
            return wrong(
                "validate_every",
                format!("{} epochs", self.validate_every),
                "give a positive number",
            );
        }
        if !(0.0..1.0).contains(&self.ema) {
            return wrong("ema", format!("{}", self.ema), "give a decay in [0, 1), such as 0.999");
        }
        if !(self.clip.is_finite() && self.clip >= 0.0) {
            return wrong("clip", format!("{}", self.clip), "give a positive norm, or 0 for no limit");
        }
        if !(self.minutes.is_finite() && self.minutes >= 0.0) {
            return wrong(
                "minutes",
                format!("{}", self.minutes),
                "give a positive number, or 0 for no limit",
            );
        }
        if self.checkpoint_every == 0 {
            return wrong("checkpoint_every", "0 steps".into(), "give at least 1");
        }
        self.optimizer.check().and_then(|()| self.schedule.check()).map_err(|error| error.within("train"))
    }

    /// How many steps the run has, with that many steps in an epoch.
    pub fn total_steps(&self, steps_per_epoch: u64) -> u64 {
        if self.steps > 0 {
            self.steps
        } else {
            ((self.epochs * steps_per_epoch as f64).round() as u64).max(1)
        }
    }
}
