//! What the validation split says: the terms on it, whether they are the best so far, and when to stop.

use super::checkpoint::save_weights;
use super::error::Result;
use super::plan::Plan;
use super::{Keep, Line, Moment, State, Trainable, Trainer};
use super::{collapse, usage};
use crate::batch::Batch;
use crate::data::Split;
use crate::device::scalar;
use crate::member::Progress;

/// Rows of a validation batch, at least.
pub(super) const VALIDATION_ROWS: usize = 256;

impl Trainer<'_> {
    /// Terms over the validation split: final weights of terms, fixed noise, averaged weights if there are any.
    pub(super) fn validate(&self, task: &dyn Trainable, state: &State, plan: &Plan) -> Result<Line> {
        // A critic has no average: it is judged as it is.
        let averaged = state.average.as_ref().map(|average| {
            let mut weights = task.weights().clone();
            weights.keep(average.clone());
            weights
        });
        let weights = averaged.as_ref().unwrap_or(task.weights());
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
        let mut found = Vec::new();
        for chunk in rows.chunks(self.settings.batch.max(VALIDATION_ROWS)) {
            let batch = self.examples.rows(Split::Validation, chunk, 0)?;
            let batch = Batch::new(batch, self.examples.features(), weights.device());
            let mut terms = Vec::new();
            for player in task.players() {
                let own = task.loss(&player, weights, &batch, moment)?.terms;
                terms.extend(own.into_iter().map(|(name, value)| (player.says(&name), scalar(&value))));
            }
            found.push((batch.weight_sum(), terms, task.diagnostics(weights, &batch, moment.key)?));
        }
        // Batches count as their rows do.
        let whole = found.iter().map(|(weight, ..)| weight).sum::<f64>().max(f64::MIN_POSITIVE);
        for (weight, terms, series) in found {
            let share = weight / whole;
            terms.into_iter().for_each(|(name, value)| line.add(&name, value * share));
            series.into_iter().for_each(|(name, values)| line.add_series(&name, &values, share));
        }
        if let Some(active) = collapse::active_units(&line) {
            line.push("active_units", active as f64);
        }
        usage::summarise(&mut line);
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
                Some(folder) => save_weights(weights, &[], &folder.best(step))?,
                None => state.best = Some(weights.clone()),
            }
        }
        Ok(true)
    }
}
