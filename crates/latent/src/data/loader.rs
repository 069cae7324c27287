//! Rows prepared ahead of the training step that wants them.
//!
//! Threads decode, normalise, flip and binarise; the loop takes the batches in the order of its plan. What a
//! row looks like is a function of its id and the epoch, never of the thread that prepared it.

use std::sync::Arc;

use super::ordered::Ordered;
use super::{DataError, Examples, Rows, Split};

/// One batch to prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanItem {
    /// The step that will use it, for the reader of a log; it changes nothing.
    pub step: u64,
    /// The split.
    pub split: Split,
    /// Positions within the split.
    pub positions: Vec<usize>,
    /// Selects flips and bits of training rows.
    pub epoch: u64,
}

/// An iterator over prepared batches, in the order of the plan; dropping it ends its threads.
pub struct Loader {
    batches: Ordered<PlanItem, Result<Rows, DataError>>,
}

impl Loader {
    /// Starts `workers` threads (at least one) that prepare the batches of `plan`, which may be endless. At most
    /// `workers + 2` batches exist at a time.
    ///
    /// # Errors
    /// [`DataError::Worker`] if a thread can't be started.
    pub fn new(
        data: Arc<dyn Examples>,
        plan: impl IntoIterator<Item = PlanItem, IntoIter: Send + 'static>,
        workers: usize,
    ) -> Result<Self, DataError> {
        let workers = workers.max(1);
        let batches = Ordered::new(workers, workers + 2, plan.into_iter(), move |item: PlanItem| {
            data.rows(item.split, &item.positions, item.epoch)
        })?;
        Ok(Self { batches })
    }
}

impl Iterator for Loader {
    type Item = Result<Rows, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.batches.next().map(|batch| batch.and_then(|rows| rows))
    }
}
