//! The loop: it trains anything [`Trainable`], is exact to resume, and knows no paper.
//!
//! A step is a function of the state before it, the seed and the step's number: rows come in a keyed order,
//! noise is keyed by step and row. So a run that is killed and goes on from its last checkpoint ends with the same bits as
//! one that never was.
//!
//! ```text
//! settings               [train]
//! trainable              what the loop trains; autoencoder: a model and its objective as that
//! here                   Trainer: the loop, from start to freeze
//! plan, step             which rows make which step; each player moves its weights
//! validation, guard      is it the best so far, is it time to stop; back to a good state from a bad number
//! checkpoint, folder     everything that a run is at one step; where its files lie
//! preflight, memory      does it fit, before it begins
//! log, board             what happened, in a file and in TensorBoard
//! collapse, usage        what became of the latent's dimensions
//! ```

mod autoencoder;
mod board;
mod checkpoint;
mod collapse;
mod error;
mod folder;
mod guard;
mod log;
mod memory;
mod plan;
mod preflight;
mod settings;
mod step;
pub mod tensorboard;
mod trainable;
mod usage;
mod validation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use autoencoder::Autoencoder;
pub(crate) use autoencoder::DECODER;
pub(crate) use board::Board;
pub use checkpoint::{Counters, State};
pub(crate) use checkpoint::{kernels_of, load_weights, save_weights};
pub(crate) use collapse::binary_entropy;
pub use collapse::{COLLAPSE_REMEDY, CollapseWatch};
pub use error::{Result, TrainError};
pub use folder::RunFolder;
pub use log::Line;
pub use memory::limit as memory_limit;
pub use preflight::Preflight;
pub(crate) use preflight::check_outline;
pub use settings::{GuardSettings, Keep, TrainSettings};
pub use trainable::{EachBatch, Finding, Moment, SomeRows, Traced, Trainable};

pub use crate::member::Progress;
pub use crate::optimizer::{Decay, LearningRate, Optimizer, OptimizerKind, OptimizerSettings, Player};

use crate::batch::Batch;
use crate::data::{Examples, Split};
use crate::key::Key;
use guard::GoodState;
use log::Log;
pub(crate) use plan::Plan;

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
        /// How long the loop waited for the step's rows.
        waited: Duration,
    },
    /// The validation split was read.
    Validated {
        /// Its line in the log.
        line: &'a Line,
        /// Whether it is the best so far.
        best: bool,
    },
    /// The last checkpoint cannot be read: training goes on from the one before it, to the same end.
    Recovered {
        /// What is wrong with the last.
        why: &'a str,
        /// The step of the one before it.
        step: u64,
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
    /// All steps were taken, or validation or the clock stopped it.
    Finished,
    /// It was asked to stop; a checkpoint is written. Without a folder the model has the weights that a run which ends here
    /// keeps.
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
    ///
    /// # Errors
    /// Rows that can't be read, a checkpoint that can't be read or written, [`TrainError::Diverged`] where numbers went bad too
    /// often.
    pub fn train(
        &self,
        task: &mut dyn Trainable,
        resume: bool,
        observe: &mut dyn FnMut(Event<'_>),
    ) -> Result<Outcome> {
        let started = Instant::now();
        let plan = Plan::new(self.settings, self.examples.as_ref(), self.key)?;
        let (mut state, damaged) = self.start(task, &plan, resume)?;
        if let Some(why) = &damaged {
            observe(Event::Recovered { why, step: state.counters.step });
        }
        if state.counters.finished {
            return Ok(Outcome::Finished);
        }
        let mut log = Log::open(self.folder, &state.counters)?;
        let mut good = GoodState::new(self.folder, &state, task.weights());
        observe(Event::Started {
            step: state.counters.step,
            total: plan.total,
            steps_per_epoch: plan.steps_per_epoch,
        });

        let mut rows = plan.loader(&self.examples, state.counters.step)?;
        while state.counters.step < plan.total && !state.counters.stopped_early {
            let waiting = Instant::now();
            let next = rows.next()?;
            let waited = waiting.elapsed();
            let batch = Batch::new(next, self.examples.features(), task.weights().device());
            let validates = plan.validates_after(state.counters.step + 1);
            let planned =
                validates || (state.counters.step + 1).is_multiple_of(self.settings.checkpoint_every);
            let found = match self.step(task, &mut state, &plan, &batch)? {
                Ok(line) => {
                    state.counters.step += 1;
                    log.write(&line)?;
                    observe(Event::Step { line: &line, total: plan.total, waited });
                    // A checkpoint must be worth going back to.
                    if planned { guard::unsound(task.weights(), state.counters.step) } else { None }
                }
                Err(finding) => Some(finding),
            };
            if let Some(finding) = found {
                self.go_back(task, &mut state, &mut good, &mut log, &finding)?;
                let (back_to, rate_factor) = (state.counters.step, state.counters.rate_factor);
                observe(Event::Guard { finding: &finding, back_to, rate_factor });
                rows = plan.loader(&self.examples, back_to)?;
                continue;
            }
            let taken = state.counters.step;
            if validates {
                let line = self.validate(task, &state, &plan)?;
                log.write(&line)?;
                let best = self.judge(task, &mut state, &plan, &line)?;
                observe(Event::Validated { line: &line, best });
            }
            let asked = self.stop.load(Ordering::Relaxed);
            let late =
                self.settings.minutes > 0.0 && started.elapsed().as_secs_f64() > 60.0 * self.settings.minutes;
            if planned {
                self.save(task, &mut state, &mut log, true)?;
                good = GoodState::new(self.folder, &state, task.weights());
            } else if (asked || late) && guard::unsound(task.weights(), taken).is_none() {
                self.save(task, &mut state, &mut log, false)?;
            }
            if asked && taken < plan.total {
                if self.folder.is_none() {
                    // Nothing on disk goes on later: what is kept of the run is what a finished one would keep.
                    self.finish(task, state, &plan, &mut log)?;
                }
                return Ok(Outcome::Interrupted);
            }
            if late {
                break;
            }
        }
        self.finish(task, state, &plan, &mut log)
    }

    /// The state to train from: the last checkpoint's, or that before the first step; and what is wrong with the last
    /// checkpoint where it is that of the one before.
    fn start(&self, task: &mut dyn Trainable, plan: &Plan, resume: bool) -> Result<(State, Option<String>)> {
        let Some(folder) = self.folder.filter(|folder| resume && folder.has_checkpoint()) else {
            return Ok((self.begin(task, plan)?, None));
        };
        let (mut state, damaged) = State::load_last(folder, task.weights_mut())?;
        let wrong = |what: String| Err(TrainError::Checkpoint { path: folder.last(), what });
        let wanted: Vec<String> = task.players().into_iter().map(|player| player.name).collect();
        let found: Vec<&String> = state.optimizers.keys().collect();
        if found.len() != wanted.len() || !wanted.iter().all(|name| found.contains(&name)) {
            return wrong(format!("it is of the players {found:?}, and the run has {wanted:?}"));
        }
        if let Some((step, _)) = state.counters.best
            && self.settings.keep == Keep::Best
            && !folder.best(step).exists()
        {
            return wrong(format!("it counts on {}, which is missing", folder.best(step).display()));
        }
        let counters = &mut state.counters;
        let out_of_patience = self.settings.patience > 0 && counters.since_best >= self.settings.patience;
        let stays = counters.total == plan.total && (counters.step >= plan.total || out_of_patience);
        if counters.finished && !stays {
            // The run was lengthened: what ended it before counts anew.
            (counters.finished, counters.stopped_early, counters.since_best) = (false, false, 0);
        }
        counters.total = plan.total;
        match state.kept.take() {
            Some(kept) if counters.finished => task.weights_mut().keep(kept),
            _ => {}
        }
        Ok((state, damaged))
    }

    /// Before the first step: hooks, and a checkpoint that the guard can always go back to.
    fn begin(&self, task: &mut dyn Trainable, plan: &Plan) -> Result<State> {
        let (examples, device) = (&self.examples, task.weights().device().clone());
        let rows = |count: usize, key: Key| {
            let mut positions = key.permutation(examples.len(Split::Train));
            positions.truncate(count);
            let rows = examples.rows(Split::Train, &positions, 0)?;
            Ok(Batch::new(rows, examples.features(), &device))
        };
        task.start(&rows, self.key.fold("start"))?;
        let mut state = State::new(&task.players());
        state.counters.total = plan.total;
        if self.settings.ema > 0.0 {
            state.average = Some(task.weights().clone());
        }
        if let Some(folder) = self.folder {
            state.save_last(task.weights(), folder, true)?;
        }
        Ok(state)
    }

    /// Writes a checkpoint, the log first.
    fn save(&self, task: &dyn Trainable, state: &mut State, log: &mut Log, planned: bool) -> Result<()> {
        state.counters.metrics_bytes = log.sync()?;
        match self.folder {
            Some(folder) => state.save_last(task.weights(), folder, planned),
            None => Ok(()),
        }
    }

    /// The weights that are kept, hooks over the training data, and the last checkpoint.
    fn finish(
        &self,
        task: &mut dyn Trainable,
        mut state: State,
        plan: &Plan,
        log: &mut Log,
    ) -> Result<Outcome> {
        let last = task.weights().clone();
        let best = match (self.settings.keep, self.folder, state.counters.best) {
            (Keep::Best, Some(folder), Some((step, _))) => Some(load_weights(&last, &folder.best(step))?.0),
            (Keep::Best, None, _) => state.best.take(),
            _ => None,
        };
        if let Some(kept) = best.or_else(|| state.average.clone()) {
            task.weights_mut().keep(kept);
        }
        let device = last.device().clone();
        let batches = |visit: &mut dyn FnMut(&Batch)| {
            for positions in plan.in_order(self.examples.len(Split::Train)) {
                let rows = self.examples.rows(Split::Train, &positions, 0)?;
                visit(&Batch::new(rows, self.examples.features(), &device));
            }
            Ok(())
        };
        task.freeze(&batches, self.key.fold("after training"))?;
        // A run cut by the clock is not over: it may be resumed.
        state.counters.finished = state.counters.step >= plan.total || state.counters.stopped_early;
        if let Some(folder) = self.folder.filter(|_| state.counters.finished) {
            // The checkpoint keeps the last weights beside those kept, so that a finished run can be lengthened.
            state.kept = Some(task.weights().clone());
            state.counters.metrics_bytes = log.sync()?;
            state.save_finished(&last, folder)?;
        }
        Ok(Outcome::Finished)
    }
}
