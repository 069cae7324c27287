//! One step: each player whose turn it is computes the gradient of its mean loss and moves its weights.

use std::collections::BTreeMap;

use super::error::Result;
use super::guard;
use super::plan::Plan;
use super::{Finding, Line, Moment, State, Trainable, Trainer};
use crate::batch::Batch;
use crate::device::scalar;
use crate::member::{Kept, Progress};
use crate::optimizer::{FlatGradients, MODEL, OptimizerSettings, Player, flat_gradients, global_norm};
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
        let mut kept = BTreeMap::new();
        for player in task.players() {
            if !player.moves_at(step, plan.total) {
                continue;
            }
            for turn in 0..player.moves_a_turn.max(1) {
                // The model's noise is that of the step; others have noise of their own at each move.
                let key = match player.name.as_str() {
                    MODEL => moment.key,
                    name => moment.key.fold(name).fold(turn),
                };
                let moment = Moment { key, ..moment };
                let (own, line) = (kept.entry(player.name.clone()).or_default(), &mut line);
                if let Err(finding) = self.turn(task, state, plan, (&player, batch, moment), own, line)? {
                    return Ok(Err(finding));
                }
            }
        }
        task.follow(&kept, progress);
        if let Some(average) = &mut state.average {
            follow(average, task.weights(), self.settings.ema, step);
        }
        Ok(Ok(line))
    }

    /// One move of one player; the last of a turn is what the line says.
    fn turn(
        &self,
        task: &mut dyn Trainable,
        state: &mut State,
        plan: &Plan,
        (player, batch, moment): (&Player, &Batch, Moment),
        kept: &mut Kept,
        line: &mut Line,
    ) -> Result<Result<(), Finding>> {
        let step = state.counters.step;
        let settings = player.optimizer.as_ref().unwrap_or(&self.settings.optimizer);
        let schedule = player.schedule.as_ref().unwrap_or(&self.settings.schedule);
        let factor = state.counters.rate_factor * schedule.factor(step, plan.steps_per_epoch, plan.total);
        let tracked = task.weights().tracked(&player.moves);
        let (values, mut gradients) = self.gradients(task, player, &tracked, batch, moment, kept)?;
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
        move_weights(task, state, player, settings, rate, gradients);
        let said = [("gradient_norm".to_string(), norm), ("learning_rate".into(), rate)];
        for (name, value) in values.into_iter().chain(said) {
            line.set(&player.says(&name), value);
        }
        Ok(Ok(()))
    }

    /// The gradient of a player's mean loss, computed in `accumulate` parts.
    fn gradients(
        &self,
        task: &dyn Trainable,
        player: &Player,
        tracked: &Weights,
        batch: &Batch,
        moment: Moment,
        kept: &mut Kept,
    ) -> Result<(Vec<(String, f64)>, FlatGradients)> {
        let parts = self.settings.accumulate.min(batch.len());
        let mut values: Vec<(String, f64)> = Vec::new();
        let mut sum: FlatGradients = Vec::new();
        let whole = if parts == 1 { 1.0 } else { batch.weight_sum().max(f64::MIN_POSITIVE) };
        for part in 0..parts {
            let (from, to) = (part * batch.len() / parts, (part + 1) * batch.len() / parts);
            let piece = if parts == 1 { batch.clone() } else { batch.slice(from, to - from) };
            // Parts count as their rows do.
            let share = if parts == 1 { 1.0 } else { piece.weight_sum() / whole };
            let loss = task.loss(player, tracked, &piece, moment)?;
            kept.merge(loss.kept);
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
    let all: Vec<_> = weights.kept().map(|(id, w)| (id, w.is_trained(), w.flat())).collect();
    for (id, trained, now) in all {
        average.update(id, |old| if trained { old * d + now * (1.0 - d) } else { now });
    }
}

fn move_weights(
    task: &mut dyn Trainable,
    state: &mut State,
    player: &Player,
    settings: &OptimizerSettings,
    rate: f64,
    gradients: FlatGradients,
) {
    let optimizer = state.optimizers.entry(player.name.clone()).or_default();
    optimizer.step(settings, rate, task.weights_mut(), gradients);
}
