//! One step: each player whose turn it is computes the gradient of its mean loss and moves its weights.

use burn::tensor::Tensor;

use super::guard;
use super::optimizer::{FlatGradients, flat_gradients, global_norm};
use super::plan::Plan;
use super::{Finding, Line, Moment, Player, State, Trainable, Trainer};
use crate::batch::Batch;
use crate::device::scalar;
use crate::error::Result;
use crate::objective::Progress;
use crate::weights::Weights;

impl Trainer<'_> {
    /// One step of every player whose turn it is. The inner error is a number that is not finite.
    pub(super) fn step(
        &self,
        task: &mut dyn Trainable,
        state: &mut State,
        plan: &Plan,
        batch: &Batch,
    ) -> Result<Result<Line, Finding>> {
        let step = state.counters.step;
        let progress = Progress { step, steps_per_epoch: plan.steps_per_epoch, total: plan.total };
        let moment = Moment { progress: Some(progress), key: self.key.fold("step").fold(step) };
        let mut line = Line::step(step + 1, plan.epoch_after(step + 1));
        if state.counters.skipped.contains(&step) {
            line.push("skipped", 1.0);
            return Ok(Ok(line));
        }
        let factor = state.counters.rate_factor
            * self.settings.schedule.factor(step, plan.steps_per_epoch, plan.total);
        let mut kept = Vec::new();
        for (index, player) in task.players().into_iter().enumerate() {
            if !step.is_multiple_of(player.every.max(1)) {
                continue;
            }
            let settings = player.optimizer.as_ref().unwrap_or(&self.settings.optimizer);
            let tracked = task.weights().tracked(player.moves);
            let (values, mut gradients) =
                self.gradients(task, &player, &tracked, batch, moment, &mut kept)?;
            drop(tracked);
            let norm = global_norm(&gradients);
            let finite = norm.is_finite() && values.iter().all(|(_, value)| value.is_finite());
            if !finite {
                return Ok(Err(guard::find(task, batch, moment, step, &gradients)?));
            }
            if self.settings.clip > 0.0 && norm > self.settings.clip {
                let shrink = self.settings.clip / norm;
                gradients = gradients.into_iter().map(|(id, g)| (id, g * shrink)).collect();
            }
            let rate = settings.learning_rate * factor;
            state.optimizers[index].step(settings, rate, task.weights_mut(), gradients);
            for (name, value) in values {
                line.push(&prefixed(&player.name, &name), value);
            }
            line.push(&prefixed(&player.name, "gradient_norm"), norm);
            line.push(&prefixed(&player.name, "learning_rate"), rate);
        }
        task.after_step(batch, moment, kept)?;
        if let Some(average) = &mut state.average {
            follow(average, task.weights(), self.settings.ema, step);
        }
        Ok(Ok(line))
    }

    /// The gradient of a player's mean loss, computed in `accumulate` parts.
    fn gradients(
        &self,
        task: &dyn Trainable,
        player: &Player,
        tracked: &Weights,
        batch: &Batch,
        moment: Moment,
        kept: &mut Vec<Tensor<1>>,
    ) -> Result<(Vec<(String, f64)>, FlatGradients)> {
        let parts = self.settings.accumulate.min(batch.len());
        let mut values: Vec<(String, f64)> = Vec::new();
        let mut sum: FlatGradients = Vec::new();
        for part in 0..parts {
            let (from, to) = (part * batch.len() / parts, (part + 1) * batch.len() / parts);
            let share = (to - from) as f64 / batch.len() as f64;
            let piece = if parts == 1 { batch.clone() } else { batch.slice(from, to - from) };
            let loss = task.loss(player, tracked, &piece, moment)?;
            kept.extend(loss.kept);
            let total = if parts == 1 { loss.total } else { loss.total * share };
            for (index, (name, value)) in loss.terms.into_iter().enumerate() {
                let value = scalar(&value) * share;
                match values.get_mut(index) {
                    Some((_, sum)) => *sum += value,
                    None => values.push((name, value)),
                }
            }
            let gradients = flat_gradients(tracked, total.backward());
            if part == 0 {
                sum = gradients;
            } else {
                sum = sum.into_iter().zip(gradients).map(|((id, a), (_, b))| (id, a + b)).collect();
            }
        }
        Ok((values, sum))
    }
}

/// average ← d average + (1 − d) weights, with d rising to `decay` over the first steps so that the start is forgotten.
fn follow(average: &mut Weights, weights: &Weights, decay: f64, step: u64) {
    let d = decay.min((1.0 + step as f64) / (10.0 + step as f64));
    let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.is_trained(), w.flat())).collect();
    for (id, trained, now) in all {
        average.update(id, |old| if trained { old * d + now * (1.0 - d) } else { now });
    }
}

/// A term's name in logs.
pub(super) fn prefixed(player: &str, name: &str) -> String {
    if player.is_empty() { name.into() } else { format!("{player}/{name}") }
}
