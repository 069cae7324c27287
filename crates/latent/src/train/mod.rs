//! The loop: it trains anything [`Trainable`], is exact to resume, and knows no paper.
//!
//! A step is a function of the state before it, the seed and the step's number: rows come in a keyed order,
//! noise is keyed by step and row. So a run that is killed and goes on from its last checkpoint ends with the same bits as
//! one that never was.

mod autoencoder;
mod checkpoint;
mod error;
mod folder;
mod guard;
mod log;
mod optimizer;
mod plan;
mod run;
mod schedule;
mod settings;
pub mod tensorboard;
mod trainable;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

pub use autoencoder::Autoencoder;
pub use checkpoint::{Counters, State};
pub(crate) use checkpoint::{put_weights, take_weights};
pub use error::TrainError;
pub use folder::RunFolder;
pub use log::Line;
pub use optimizer::{Optimizer, OptimizerKind, OptimizerSettings};
pub use run::{Options, Training};
pub use schedule::LearningRate;
pub use settings::{GuardSettings, Keep, TrainSettings};
pub use trainable::{Finding, Moment, Player, Traced, Trainable};

use crate::batch::Batch;
use crate::data::{Examples, Split};
use crate::device::scalar;
use crate::error::Result;
use crate::key::Key;
use crate::objective::Progress;
use crate::weights::Weights;
use log::Log;
use optimizer::{flat_gradients, global_norm};
use plan::Plan;

/// What happens while training, for a progress bar or a log.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// Training begins or goes on.
    Started {
        /// Steps taken already.
        step: u64,
        /// Steps in all.
        total: u64,
        /// Steps in an epoch.
        steps_per_epoch: u64,
    },
    /// A step was taken.
    Step {
        /// Its line in the log.
        line: &'a Line,
        /// Steps in all.
        total: u64,
    },
    /// The validation split was read.
    Validated {
        /// Its line in the log.
        line: &'a Line,
        /// Whether it is the best so far.
        best: bool,
    },
    /// The guard found a bad number and went back.
    Guard {
        /// Where.
        finding: &'a Finding,
        /// The step that training goes on from.
        back_to: u64,
        /// What the learning rate is multiplied with from now on.
        rate_factor: f64,
    },
}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All steps were taken, or validation stopped it.
    Finished,
    /// It was asked to stop, or its minutes were over; a checkpoint is written.
    Interrupted,
}

/// The loop and what it needs.
pub struct Trainer<'a> {
    /// How long, how fast, how careful.
    pub settings: &'a TrainSettings,
    /// Rows to learn from.
    pub examples: Arc<dyn Examples>,
    /// Where checkpoints and the log go; none keeps everything in memory.
    pub folder: Option<&'a RunFolder>,
    /// What all noise of this run descends from.
    pub key: Key,
    /// Set from another thread to stop after the step under way.
    pub stop: &'a AtomicBool,
}

impl Trainer<'_> {
    /// Trains to the end, from the folder's last checkpoint if `resume` and there is one. The model ends with the weights
    /// that `settings.keep` names.
    pub fn train(
        &self,
        task: &mut dyn Trainable,
        resume: bool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome> {
        let started = Instant::now();
        let plan = Plan::new(self.settings, self.examples.as_ref(), self.key)?;
        let players = task.players();
        let mut best: Option<Weights> = None;
        let mut state = match self.folder.filter(|folder| resume && folder.last().exists()) {
            Some(folder) => {
                let state = State::load(&folder.last(), task.weights_mut())?;
                best = self.load_best(folder, &state, task.weights())?;
                state
            }
            None => self.begin(task, &plan, players.len())?,
        };
        if state.counters.finished && state.counters.total == plan.total {
            return Ok(Outcome::Finished);
        }
        if state.counters.total != plan.total {
            // The run was lengthened: what ended it before counts anew.
            (state.counters.finished, state.counters.stopped_early, state.counters.since_best) =
                (false, false, 0);
            state.counters.total = plan.total;
        }
        let mut log = Log::open(self.folder, state.counters.metrics_bytes)?;
        observe(Event::Started {
            step: state.counters.step,
            total: plan.total,
            steps_per_epoch: plan.steps_per_epoch,
        });

        let mut rows = plan.loader(&self.examples, state.counters.step)?;
        let mut tries = state.counters.findings.len() as u32;
        while state.counters.step < plan.total && !state.counters.stopped_early {
            let batch = Batch::new(rows.next()?, self.examples.features(), task.weights().device());
            match self.step(task, &mut state, &players, &plan, &batch)? {
                Ok(line) => {
                    log.write(&line)?;
                    observe(Event::Step { line: &line, total: plan.total });
                }
                Err(finding) => {
                    tries += 1;
                    self.go_back(task, &mut state, &mut log, &finding, tries)?;
                    best = match self.folder {
                        Some(folder) => self.load_best(folder, &state, task.weights())?,
                        None => None,
                    };
                    let (back_to, rate_factor) = (state.counters.step, state.counters.rate_factor);
                    observe(Event::Guard { finding: &finding, back_to, rate_factor });
                    rows = plan.loader(&self.examples, back_to)?;
                    continue;
                }
            }
            state.counters.step += 1;
            let taken = state.counters.step;
            if taken.is_multiple_of(plan.steps_per_epoch) {
                task.after_epoch(taken / plan.steps_per_epoch - 1)?;
            }
            let validates = plan.validates_after(taken);
            if validates {
                let line = self.validate(task, &state, &plan)?;
                log.write(&line)?;
                let better = self.judge(task, &mut state, &plan, &line, &mut best)?;
                observe(Event::Validated { line: &line, best: better });
            }
            let asked = self.stop.load(Ordering::Relaxed);
            let late =
                self.settings.minutes > 0.0 && started.elapsed().as_secs_f64() > 60.0 * self.settings.minutes;
            if validates || asked || late || taken.is_multiple_of(self.settings.checkpoint_every) {
                self.save(task, &mut state, &mut log)?;
            }
            if asked && taken < plan.total {
                return Ok(Outcome::Interrupted);
            }
            if late {
                break;
            }
        }
        self.finish(task, state, best, &plan, &mut log)
    }

    /// Before the first step: hooks, and a checkpoint that the guard can always go back to.
    fn begin(&self, task: &mut dyn Trainable, plan: &Plan, players: usize) -> Result<State> {
        let first = self.examples.rows(Split::Train, &plan.positions(0), 0)?;
        let first = Batch::new(first, self.examples.features(), task.weights().device());
        task.before_training(&first)?;
        let mut state = State::new(players);
        state.counters.total = plan.total;
        if self.settings.ema > 0.0 {
            state.average = Some(task.weights().clone());
        }
        if let Some(folder) = self.folder {
            state.save(task.weights(), &folder.last())?;
        }
        Ok(state)
    }

    /// One step of every player whose turn it is. The inner error is a number that is not finite.
    fn step(
        &self,
        task: &mut dyn Trainable,
        state: &mut State,
        players: &[Player],
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
        for (index, player) in players.iter().enumerate() {
            if !step.is_multiple_of(player.every.max(1)) {
                continue;
            }
            let settings = player.optimizer.as_ref().unwrap_or(&self.settings.optimizer);
            let tracked = task.weights().tracked(player.moves);
            let (values, mut gradients) = self.gradients(task, player, &tracked, batch, moment)?;
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
        task.after_step(batch, moment)?;
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
    ) -> Result<(Vec<(String, f64)>, optimizer::FlatGradients)> {
        let parts = self.settings.accumulate.min(batch.len());
        let mut values: Vec<(String, f64)> = Vec::new();
        let mut sum: optimizer::FlatGradients = Vec::new();
        for part in 0..parts {
            let (from, to) = (part * batch.len() / parts, (part + 1) * batch.len() / parts);
            let share = (to - from) as f64 / batch.len() as f64;
            let piece = if parts == 1 { batch.clone() } else { batch.slice(from, to - from) };
            let loss = task.loss(player, tracked, &piece, moment)?;
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

    /// Terms over the validation split: final weights of terms, fixed noise, averaged weights if there are any.
    fn validate(&self, task: &dyn Trainable, state: &State, plan: &Plan) -> Result<Line> {
        let weights = state.average.as_ref().unwrap_or(task.weights());
        let mut line = Line::validation(state.counters.step, plan.epoch_after(state.counters.step));
        let limit = match self.settings.validate_rows {
            0 => usize::MAX,
            rows => rows,
        };
        let rows: Vec<usize> = (0..self.examples.len(Split::Validation).min(limit)).collect();
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
        Ok(line)
    }

    /// Whether a validation is the best so far; keeps its weights if so, and counts patience if not.
    fn judge(
        &self,
        task: &dyn Trainable,
        state: &mut State,
        plan: &Plan,
        line: &Line,
        best: &mut Option<Weights>,
    ) -> Result<bool> {
        let step = state.counters.step;
        let progress = Progress { step, steps_per_epoch: plan.steps_per_epoch, total: plan.total };
        let Some(value) = line.get("loss").filter(|value| value.is_finite() && task.settled(progress)) else {
            return Ok(false);
        };
        if state.counters.best.is_some_and(|(_, least)| value >= least) {
            state.counters.since_best += 1;
            state.counters.stopped_early =
                self.settings.patience > 0 && state.counters.since_best >= self.settings.patience;
            return Ok(false);
        }
        state.counters.best = Some((step, value));
        state.counters.since_best = 0;
        if self.settings.keep == Keep::Best {
            let weights = state.average.as_ref().unwrap_or(task.weights());
            if let Some(folder) = self.folder {
                save_weights(weights, step, &folder.best())?;
            }
            *best = Some(weights.clone());
        }
        Ok(true)
    }

    /// Writes a checkpoint, the log first.
    fn save(&self, task: &dyn Trainable, state: &mut State, log: &mut Log) -> Result<()> {
        state.counters.metrics_bytes = log.sync()?;
        match self.folder {
            Some(folder) => state.save(task.weights(), &folder.last()),
            None => Ok(()),
        }
    }

    /// Back to the last checkpoint with half the rate, or gives up.
    fn go_back(
        &self,
        task: &mut dyn Trainable,
        state: &mut State,
        log: &mut Log,
        finding: &Finding,
        tries: u32,
    ) -> Result<()> {
        let checkpoint = self.folder.map(RunFolder::last).unwrap_or_default();
        let gives_up = TrainError::Diverged { tries, finding: finding.to_string(), checkpoint };
        let Some(folder) = self.folder.filter(|_| tries <= self.settings.guard.tries) else {
            return Err(gives_up.into());
        };
        let mut counters = state.counters.clone();
        *state = State::load(&folder.last(), task.weights_mut())?;
        counters.findings.push(finding.to_string());
        if self.settings.guard.skip_batch {
            counters.skipped.push(finding.step);
        }
        state.counters.rate_factor = counters.rate_factor * 0.5;
        (state.counters.findings, state.counters.skipped) = (counters.findings, counters.skipped);
        log.truncate(state.counters.metrics_bytes)?;
        log.write(&Line::guard(state.counters.step, finding, state.counters.rate_factor))?;
        self.save(task, state, log)
    }

    /// The best weights so far, if the state has any: an older file than the state's is a fault.
    fn load_best(&self, folder: &RunFolder, state: &State, like: &Weights) -> Result<Option<Weights>> {
        match state.counters.best.filter(|_| self.settings.keep == Keep::Best) {
            Some(_) => Ok(Some(load_weights(like, &folder.best())?)),
            None => Ok(None),
        }
    }

    /// The weights that are kept, hooks over the training data, and the last checkpoint.
    fn finish(
        &self,
        task: &mut dyn Trainable,
        mut state: State,
        best: Option<Weights>,
        plan: &Plan,
        log: &mut Log,
    ) -> Result<Outcome> {
        // The last checkpoint keeps the last weights, so that a finished run can be lengthened.
        self.save(task, &mut state, log)?;
        let last = task.weights().clone();
        let kept = match self.settings.keep {
            Keep::Best => best.or_else(|| state.average.clone()),
            Keep::Last => state.average.clone(),
        };
        if let Some(kept) = kept {
            *task.weights_mut() = kept;
        }
        let device = last.device().clone();
        let mut batches = plan.in_order(self.examples.len(Split::Train)).map(|positions| {
            let rows = self.examples.rows(Split::Train, &positions, 0)?;
            Ok(Batch::new(rows, self.examples.features(), &device))
        });
        task.after_training(&mut batches, self.key.fold("after training"))?;
        // A run cut by the clock is not over: it may be resumed.
        state.counters.finished = state.counters.step >= plan.total || state.counters.stopped_early;
        if let Some(folder) = self.folder {
            state.save(&last, &folder.last())?;
        }
        Ok(Outcome::Finished)
    }
}

/// Rows of a validation batch, at least.
const VALIDATION_ROWS: usize = 256;

/// average ← d average + (1 − d) weights, with d rising to `decay` over the first steps so that the start is forgotten.
fn follow(average: &mut Weights, weights: &Weights, decay: f64, step: u64) {
    let d = decay.min((1.0 + step as f64) / (10.0 + step as f64));
    let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.is_trained(), w.flat())).collect();
    for (id, trained, now) in all {
        average.update(id, |old| if trained { old * d + now * (1.0 - d) } else { now });
    }
}

fn prefixed(player: &str, name: &str) -> String {
    if player.is_empty() { name.into() } else { format!("{player}/{name}") }
}

fn save_weights(weights: &Weights, step: u64, path: &Path) -> Result<()> {
    let mut file = crate::store::TensorFile::default();
    file.header.insert("step".into(), step.to_string());
    put_weights(&mut file, "weights", weights);
    Ok(file.save(path)?)
}

fn load_weights(like: &Weights, path: &Path) -> Result<Weights> {
    let file = crate::store::TensorFile::load(path)?;
    let mut weights = like.clone();
    take_weights(&file, "weights", &mut weights)
        .map_err(|what| TrainError::Checkpoint { path: path.into(), what })?;
    Ok(weights)
}
