//! Which rows make which step: a global keyed permutation each epoch, cut into batches.

use std::sync::Arc;

use super::error::Result;
use super::{TrainError, TrainSettings};
use crate::data::{Examples, Loader, PlanItem, Rows, Split};
use crate::key::Key;

/// The steps of a run.
#[derive(Clone)]
pub(crate) struct Plan {
    rows: usize,
    batch: usize,
    validate_every: u64,
    key: Key,
    pub steps_per_epoch: u64,
    pub total: u64,
}

impl Plan {
    pub fn new(settings: &TrainSettings, examples: &dyn Examples, key: Key) -> Result<Self, TrainError> {
        for (split, name) in [(Split::Train, "training"), (Split::Validation, "validation")] {
            if examples.is_empty(split) {
                return Err(TrainError::Empty { split: name });
            }
        }
        let rows = examples.len(Split::Train);
        let batch = settings.batch.min(rows);
        let steps_per_epoch = rows.div_ceil(batch) as u64;
        let total = settings.total_steps(steps_per_epoch);
        let validate_every = ((settings.validate_every * steps_per_epoch as f64).round() as u64).max(1);
        Ok(Self { rows, batch, validate_every, key: key.fold("order"), steps_per_epoch, total })
    }

    /// The positions of a step's rows in the training split.
    pub fn positions(&self, step: u64) -> Vec<usize> {
        let order = self.order(step / self.steps_per_epoch);
        self.cut(&order, step).to_vec()
    }

    /// Rows step by step from `step` on, made ready by other threads.
    pub fn loader(&self, examples: &Arc<dyn Examples>, step: u64) -> Result<PlannedRows> {
        PlannedRows::new(self, examples, step)
    }

    /// Every training row once, in order, a batch at a time.
    pub fn in_order(&self, rows: usize) -> impl Iterator<Item = Vec<usize>> + use<> {
        let batch = self.batch;
        (0..rows.div_ceil(batch)).map(move |i| (i * batch..((i + 1) * batch).min(rows)).collect())
    }

    pub fn validates_after(&self, taken: u64) -> bool {
        taken.is_multiple_of(self.validate_every) || taken == self.total
    }

    /// How many validations lie after step `done`, up to the end.
    pub fn validations_between(&self, done: u64, end: u64) -> u64 {
        let last = u64::from(end > done && !end.is_multiple_of(self.validate_every));
        (end / self.validate_every).saturating_sub(done / self.validate_every) + last
    }

    pub fn epoch_after(&self, taken: u64) -> f64 {
        taken as f64 / self.steps_per_epoch as f64
    }

    fn order(&self, epoch: u64) -> Vec<usize> {
        self.key.fold(epoch).permutation(self.rows)
    }

    fn cut<'a>(&self, order: &'a [usize], step: u64) -> &'a [usize] {
        let start = (step % self.steps_per_epoch) as usize * self.batch;
        &order[start..(start + self.batch).min(self.rows)]
    }
}

/// The rows of each step in order, prepared ahead.
pub(crate) struct PlannedRows {
    loader: Loader,
}

impl PlannedRows {
    fn new(plan: &Plan, examples: &Arc<dyn Examples>, step: u64) -> Result<Self> {
        let mut epoch = step / plan.steps_per_epoch;
        let mut order = plan.order(epoch);
        let plan = plan.clone();
        let items = (step..plan.total).map(move |step| {
            if step / plan.steps_per_epoch != epoch {
                epoch = step / plan.steps_per_epoch;
                order = plan.order(epoch);
            }
            PlanItem { step, split: Split::Train, positions: plan.cut(&order, step).to_vec(), epoch }
        });
        Ok(Self { loader: Loader::new(Arc::clone(examples), items, examples.workers())? })
    }

    /// The rows of the next step.
    pub fn next(&mut self) -> Result<Rows> {
        match self.loader.next() {
            Some(rows) => Ok(rows?),
            None => Ok(Rows::default()),
        }
    }
}
