//! Samplers that are learned, by the loop that trains everything else.
//!
//! A learned sampler is weights and the loss of a row; rows are codes. What time allows is measured on a few steps, so that
//! the learning rate still comes down to 0 at the end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Tensor;

use super::{Arrays, CodeSet, Fitting};
use crate::array::Array;
use crate::batch::Batch;
use crate::config::ConfigError;
use crate::data::{DataError, Examples, Rows, Split};
use crate::device::Device;
use crate::error::Result;
use crate::key::Key;
use crate::objective::Loss;
use crate::train::{Event, LearningRate, Moment, Player, Traced, TrainSettings, Trainable, Trainer};
use crate::weights::{Init, Weights};

/// A function of weights and rows of codes whose mean is minimised.
pub(super) trait RowLoss: Send {
    /// The loss of each row, `[rows]`.
    fn loss(&self, weights: &Weights, batch: &Batch, key: Key) -> Tensor<1>;
}

/// A row loss with its weights, as the loop sees it.
pub(super) struct Task<L> {
    /// The numbers.
    pub weights: Weights,
    /// The function.
    pub function: L,
}

impl<L: RowLoss> Task<L> {
    /// Fresh weights, in single precision on the processor.
    pub fn new(key: Key, build: impl FnOnce(&mut Init<'_>) -> L) -> Self {
        let mut weights = Weights::new(&Device::cpu());
        let function = build(&mut Init::new(&mut weights, key.fold("weights")));
        Self { weights, function }
    }
}

impl<L: RowLoss> Trainable for Task<L> {
    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    fn players(&self) -> Vec<Player> {
        vec![Player { name: String::new(), moves: |_| true, optimizer: None, every: 1 }]
    }

    fn loss(&self, _: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss> {
        let total = self.function.loss(weights, batch, moment.key).mean();
        Ok(Loss { terms: vec![("loss".into(), total.clone())], total, kept: Vec::new() })
    }

    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>> {
        let named = |(_, w): (_, &crate::weights::Weight)| Traced {
            name: format!("weight {}", w.path()),
            values: w.values(),
            width: 0,
        };
        let mut traced: Vec<Traced> = weights.iter().map(named).collect();
        let values = crate::device::host(&self.function.loss(weights, batch, moment.key));
        traced.push(Traced { name: "loss".into(), values, width: 1 });
        Ok(traced)
    }
}

/// Codes as the loop wants them.
pub(super) struct CodeRows(pub CodeSet);

impl Examples for CodeRows {
    fn len(&self, split: Split) -> usize {
        match split {
            Split::Train => self.0.train.rows(),
            Split::Validation => self.0.validation.rows(),
            Split::Test => 0,
        }
    }

    fn features(&self) -> usize {
        self.0.train.width()
    }

    fn rows(&self, split: Split, positions: &[usize], _: u64) -> Result<Rows, DataError> {
        let (codes, labels) = match split {
            Split::Train => (&self.0.train, &self.0.train_labels),
            _ => (&self.0.validation, &self.0.validation_labels),
        };
        let rows = Examples::len(self, split);
        if let Some(&position) = positions.iter().find(|&&position| position >= rows) {
            return Err(DataError::Position { split, position, rows });
        }
        Ok(Rows {
            x: positions.iter().flat_map(|&p| codes.row(p)).copied().collect(),
            ids: positions.iter().map(|&p| p as u64).collect(),
            labels: if labels.is_empty() {
                Vec::new()
            } else {
                positions.iter().map(|&p| labels[p]).collect()
            },
        })
    }
}

/// How long and how fast a sampler learns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Steps, however many codes there are.
    pub steps: u64,
    /// Codes in a step.
    pub batch: usize,
    /// At the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Decay of the average of the weights that is kept; 0 for none.
    pub ema: f64,
}

/// Validations over a whole run.
const VALIDATIONS: u64 = 20;

/// Steps that are timed where the time is limited.
const PROBE: u64 = 16;

/// A sampler learns at least this many steps, however little time there is.
const LEAST_STEPS: u64 = 20;

/// The share of the time left that steps may take; validation takes the rest.
const FOR_STEPS: f64 = 0.8;

/// The widest layer, and the most of them.
const MOST: (usize, usize) = (4096, 16);

impl Pace {
    /// Refuses what makes no sense, of the layers' widths too.
    pub fn check(&self, hidden: &[usize]) -> Result<(), ConfigError> {
        let wrong = |key: &str, what: String, remedy: &str| {
            Err(ConfigError::Value { key: format!("sampler.{key}"), what, remedy: remedy.into() })
        };
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if self.steps == 0 || self.batch == 0 {
            return wrong(
                "steps",
                "nothing to learn from".into(),
                "give at least one step, and a batch of at least 1",
            );
        }
        if !positive(self.learning_rate) {
            return wrong(
                "learning_rate",
                format!("{}", self.learning_rate),
                "give a positive number, such as 1e-3",
            );
        }
        if !(0.0..1.0).contains(&self.ema) {
            return wrong("ema", format!("{}", self.ema), "give a decay in [0, 1), such as 0.999");
        }
        if hidden.len() > MOST.1 || hidden.iter().any(|&width| width == 0 || width > MOST.0) {
            return wrong("hidden", format!("{hidden:?}"), "give up to 16 layers of 1 to 4096 units");
        }
        Ok(())
    }

    fn settings(&self, steps: u64, steps_per_epoch: u64) -> TrainSettings {
        let mut settings = TrainSettings {
            steps,
            batch: self.batch,
            schedule: LearningRate::Cosine { warmup: (steps / 20).min(100), last: 0.0 },
            clip: 10.0,
            ema: self.ema,
            validate_every: (steps / VALIDATIONS).max(1) as f64 / steps_per_epoch as f64,
            ..TrainSettings::default()
        };
        settings.optimizer.learning_rate = self.learning_rate;
        settings
    }
}

/// Trains on `codes` until the best validation loss, its weights in the end.
pub(super) fn learn(
    task: &mut dyn Trainable,
    codes: CodeSet,
    pace: Pace,
    key: Key,
    deadline: Option<Instant>,
    progress: &dyn Fn(f64),
) -> Result<()> {
    let steps_per_epoch = codes.train.rows().div_ceil(pace.batch).max(1) as u64;
    let mut steps = pace.steps;
    let examples: Arc<dyn Examples> = Arc::new(CodeRows(codes));
    let stop = AtomicBool::new(false);
    let run = |task: &mut dyn Trainable, settings: &TrainSettings, observe: &mut dyn FnMut(Event<'_>)| {
        let trainer = Trainer { settings, examples: Arc::clone(&examples), folder: None, key, stop: &stop };
        trainer.train(task, false, observe)
    };
    let mut minutes = 0.0;
    if let Some(deadline) = deadline {
        let before = task.weights().clone();
        let begun = Instant::now();
        let probe = TrainSettings {
            // Once, after the last.
            validate_every: 1e9,
            validate_rows: pace.batch,
            ..pace.settings(PROBE, steps_per_epoch)
        };
        run(task, &probe, &mut |_| ())?;
        *task.weights_mut() = before;
        let each = begun.elapsed().as_secs_f64() / PROBE as f64;
        let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let affordable = (FOR_STEPS * left / each.max(1e-9)) as u64;
        if affordable < steps {
            steps = affordable.max(LEAST_STEPS).min(steps);
            // Where steps turn out slower than those timed, the clock ends them.
            minutes = (left / 60.0).max(0.02);
        }
    }
    let settings = TrainSettings { minutes, ..pace.settings(steps, steps_per_epoch) };
    run(task, &settings, &mut |event| {
        if let Event::Step { line, total, .. } = event {
            progress(line.step as f64 / total as f64);
        }
    })?;
    Ok(())
}

/// The same, for a sampler.
pub(super) fn learn_sampler(task: &mut dyn Trainable, pace: Pace, fitting: &Fitting<'_>) -> Result<()> {
    let key = fitting.key.fold("train");
    learn(task, fitting.codes.clone(), pace, key, fitting.deadline, fitting.progress)
}

/// The weights as arrays.
pub(super) fn arrays_of(weights: &Weights) -> Arrays {
    let all = weights.iter();
    all.map(|(_, w)| (name(w.path()), Array { shape: w.shape().to_vec(), values: w.values() })).collect()
}

/// Builds anew what [`arrays_of`] came from. What is built is no larger than the arrays that are there.
pub(super) fn restore<T>(
    arrays: &mut Arrays,
    build: impl Fn(&mut Init<'_>) -> T,
) -> Result<(T, Weights), String> {
    let key = Key::from_seed(0);
    let mut outline = Weights::outline();
    build(&mut Init::new(&mut outline, key));
    for (_, weight) in outline.iter() {
        fits(arrays, weight.path(), weight.shape())?;
    }
    let mut weights = Weights::new(&Device::cpu());
    let built = build(&mut Init::new(&mut weights, key));
    fill(&mut weights, arrays)?;
    Ok((built, weights))
}

/// Whether the array of a weight is there, and of its shape.
pub(super) fn fits(arrays: &Arrays, path: &str, shape: &[usize]) -> Result<(), String> {
    match arrays.get(&name(path)) {
        Some(array) if array.shape == shape => Ok(()),
        Some(array) => Err(format!("the array `{path}` is {:?} and should be {shape:?}", array.shape)),
        None => Err(format!("the array `{path}` is missing")),
    }
}

/// Fills weights of fitting shapes.
pub(super) fn fill(weights: &mut Weights, arrays: &mut Arrays) -> Result<(), String> {
    let all: Vec<_> = weights.iter().map(|(id, weight)| (id, weight.path().to_string())).collect();
    for (id, path) in all {
        let array = arrays.remove(&name(&path)).ok_or_else(|| format!("the array `{path}` is missing"))?;
        if array.values.iter().any(|v| !v.is_finite()) {
            return Err(format!("the array `{path}` holds NaN or infinity"));
        }
        weights.set_values(id, array.values);
    }
    Ok(())
}

fn name(path: &str) -> String {
    format!("weights.{path}")
}
