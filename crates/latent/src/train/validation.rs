//! What the validation split says: the terms on it, whether they are the best so far, and when to stop.

use super::checkpoint::save_weights;
use super::collapse;
use super::plan::Plan;
use super::step::prefixed;
use super::{Keep, Line, Moment, State, Trainable, Trainer};
use crate::batch::Batch;
use crate::data::Split;
use crate::device::scalar;
use crate::error::Result;
use crate::objective::Progress;

/// Rows of a validation batch, at least.
pub(super) const VALIDATION_ROWS: usize = 256;

impl Trainer<'_> {
    /// Terms over the validation split: final weights of terms, fixed noise, averaged weights if there are any.
    pub(super) fn validate(&self, task: &dyn Trainable, state: &State, plan: &Plan) -> Result<Line> {
        let weights = state.average.as_ref().unwrap_or(task.weights());
        let mut line = Line::validation(state.counters.step, plan.epoch_after(state.counters.step));
        let limit = match self.settings.validate_rows {
            0 => usize::MAX,
            rows => rows,
        };
        // In one fixed keyed order: rows sorted by class would make batches of one class, which terms that couple rows
        // would mistake for a fault.
        let mut rows = self.key.fold("validation order").permutation(self.examples.len(Split::Validation));
        rows.truncate(limit);
        let moment = Moment { progress: None, key: self.key.fold("validation") };
        for chunk in rows.chunks(self.settings.batch.max(VALIDATION_ROWS)) {
            let batch = self.examples.rows(Split::Validation, chunk, 0)?;
            let batch = Batch::new(batch, self.examples.features(), weights.device());
            let share = chunk.len() as f64 / rows.len() as f64;
            for player in task.players() {
                for (name, value) in task.loss(&player, weights, &batch, moment)?.terms {
                    line.add(&prefixed(&player.name, &name), scalar(&value) * share);
                }
            }
            for (name, values) in task.diagnostics(weights, &batch, moment.key)? {
                line.add_series(&name, &values, share);
            }
        }
        if let Some(active) = collapse::active_units(&line) {
            line.push("active_units", active as f64);
        }
        Ok(line)
    }

    /// Whether a validation is the best so far; keeps its weights if so, and counts patience if not. What comes before
    /// all weights of terms are final is not judged: its loss is of another scale.
    pub(super) fn judge(
        &self,
        task: &dyn Trainable,
        state: &mut State,
        plan: &Plan,
        line: &Line,
    ) -> Result<bool> {
        let step = state.counters.step;
        let progress = Progress { step, steps_per_epoch: plan.steps_per_epoch, total: plan.total };
        let Some(value) = line.get("loss").filter(|_| task.settled(progress)) else { return Ok(false) };
        if !value.is_finite() || state.counters.best.is_some_and(|(_, least)| value >= least) {
            state.counters.since_best += 1;
            state.counters.stopped_early =
                self.settings.patience > 0 && state.counters.since_best >= self.settings.patience;
            return Ok(false);
        }
        state.counters.best = Some((step, value));
        state.counters.since_best = 0;
        if self.settings.keep == Keep::Best {
            let weights = state.average.as_ref().unwrap_or(task.weights());
            match self.folder {
                Some(folder) => save_weights(weights, &folder.best(step))?,
                None => state.best = Some(weights.clone()),
            }
        }
        Ok(true)
    }
}
