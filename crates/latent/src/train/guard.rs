//! The guard against NaN and infinity.
//!
//! A step whose loss or gradient is not finite moves nothing. It is replayed with the same keys to name the first bad
//! tensor and its rows; then training goes back to the last planned checkpoint with half the learning rate, and keeps the
//! batch out if so configured. After a set number of returns it gives up.

use super::error::Result;
use super::log::Log;
use super::trainable::{Finding, Moment, Trainable};
use super::{Line, RunFolder, State, TrainError, Trainer};
use crate::batch::Batch;
use crate::device::{host, scalar};
use crate::optimizer::FlatGradients;
use crate::weights::Weights;

/// What the guard goes back to: the planned checkpoint on disk, or without a folder a copy in memory.
pub(super) struct GoodState(Option<(State, Weights)>);

impl GoodState {
    pub fn new(folder: Option<&RunFolder>, state: &State, weights: &Weights) -> Self {
        Self(folder.is_none().then(|| (state.clone(), weights.clone())))
    }

    fn restore(&self, folder: Option<&RunFolder>, now: &State, weights: &mut Weights) -> Result<State> {
        match (folder, &self.0) {
            (Some(folder), _) if now.counters.between => State::load(&folder.planned(), weights),
            (Some(folder), _) => State::load(&folder.last(), weights),
            (None, Some((state, good))) => {
                *weights = good.clone();
                Ok(state.clone())
            }
            (None, None) => Ok(now.clone()),
        }
    }
}

impl Trainer<'_> {
    /// Back to the last planned checkpoint with half the rate, or gives up.
    pub(super) fn go_back(
        &self,
        task: &mut dyn Trainable,
        state: &mut State,
        good: &mut GoodState,
        log: &mut Log,
        finding: &Finding,
    ) -> Result<()> {
        let now = state.counters.clone();
        let tries = now.findings.len() as u32 + 1;
        if tries > self.settings.guard.tries {
            let remains = match self.folder {
                Some(folder) if now.between => {
                    format!(" The last good state is in {}.", folder.planned().display())
                }
                Some(folder) => format!(" The last good state is in {}.", folder.last().display()),
                None => String::new(),
            };
            return Err(TrainError::Diverged { tries, finding: finding.to_string(), remains });
        }
        *state = good.restore(self.folder, state, task.weights_mut())?;
        let counters = &mut state.counters;
        counters.total = now.total;
        counters.rate_factor = now.rate_factor * 0.5;
        (counters.findings, counters.skipped) = (now.findings, now.skipped);
        counters.findings.push(finding.to_string());
        if self.settings.guard.skip_batch {
            counters.skipped.push(finding.step - 1);
        }
        log.truncate(counters.metrics_bytes)?;
        log.write(&Line::guard(counters.step, finding, counters.rate_factor))?;
        self.save(task, state, log, true)?;
        *good = GoodState::new(self.folder, state, task.weights());
        Ok(())
    }
}

/// The first weight that is not finite after step `step`.
pub(super) fn unsound(weights: &Weights, step: u64) -> Option<Finding> {
    // A sum is finite where all its numbers are, but for an overflow, which is looked at more closely.
    let bad = |values: &[f32]| values.iter().any(|v| !v.is_finite());
    weights
        .iter()
        .find(|(_, weight)| !scalar(&weight.flat().sum()).is_finite() && bad(&weight.values()))
        .map(|(_, weight)| Finding { tensor: format!("weight {}", weight.path()), step, rows: Vec::new() })
}

/// How many rows a finding names.
const ROWS_NAMED: usize = 10;

/// The first bad tensor of the step, in the order: weights, forward pass, gradients.
pub(super) fn find(
    task: &dyn Trainable,
    batch: &Batch,
    moment: Moment,
    step: u64,
    gradients: &FlatGradients,
) -> Result<Finding> {
    for traced in task.trace(task.weights(), batch, moment)? {
        let bad = |v: &f32| !v.is_finite();
        if !traced.values.iter().any(bad) {
            continue;
        }
        let mut rows = Vec::new();
        if traced.width > 0 {
            for (row, values) in traced.values.chunks(traced.width).enumerate() {
                let id = batch.ids[row % batch.len()];
                if values.iter().any(bad) && !rows.contains(&id) && rows.len() < ROWS_NAMED {
                    rows.push(id);
                }
            }
        }
        return Ok(Finding { tensor: traced.name, step: step + 1, rows });
    }
    let bad_gradient = gradients.iter().find(|(_, g)| host(g).iter().any(|v| !v.is_finite()));
    let tensor = match bad_gradient {
        Some((id, _)) => {
            let path =
                task.weights().iter().find(|(known, _)| known == id).map(|(_, w)| w.path().to_string());
            format!("gradient of {}", path.unwrap_or_default())
        }
        // Each gradient is finite and their sum of squares is not.
        None => "norm of all gradients".into(),
    };
    Ok(Finding { tensor, step: step + 1, rows: Vec::new() })
}
