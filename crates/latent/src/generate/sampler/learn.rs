//! Samplers that are learned, by the loop that trains everything else.
//!
//! A learned sampler is weights and the loss of a row; rows are codes. What time allows is measured on a few steps, so that
//! the learning rate still comes down to 0 at the end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use burn::tensor::Tensor;

use super::{Arrays, CodeSet, Fitting, Learned, Pace};
use crate::array::Array;
use crate::batch::Batch;
use crate::data::{DataError, Examples, Rows, Split};
use crate::device::Device;
use crate::generate::Result;
use crate::key::Key;
use crate::member::Kept;
use crate::objective::Loss;
use crate::train::{Event, Moment, Player, Traced, TrainError, TrainSettings, Trainable, Trainer};
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

    fn loss(&self, _: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss, TrainError> {
        let total = self.function.loss(weights, batch, moment.key).mean();
        Ok(Loss { terms: vec![("loss".into(), total.clone())], total, kept: Kept::default() })
    }

    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>, TrainError> {
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
        let (codes, labels, told) = match split {
            Split::Train => (&self.0.train, &self.0.train_labels, &self.0.train_told),
            _ => (&self.0.validation, &self.0.validation_labels, &self.0.validation_told),
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
            condition: match told.width() {
                0 => Vec::new(),
                _ => positions.iter().flat_map(|&p| told.row(p)).copied().collect(),
            },
            ..Rows::default()
        })
    }
}

/// Steps that are timed where the time is limited.
const PROBE: u64 = 16;

/// A sampler learns at least this many steps, however little time there is.
const LEAST_STEPS: u64 = 20;

/// The share of the time left that steps may take; validation takes the rest.
const FOR_STEPS: f64 = 0.8;

/// Trains on `codes` until the best validation loss, its weights in the end.
pub(super) fn learn(
    task: &mut dyn Trainable,
    codes: CodeSet,
    pace: Pace,
    key: Key,
    deadline: Option<Instant>,
    progress: &dyn Fn(f64),
) -> Result<Learned> {
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
    let mut learned = Learned { steps: 0, planned: pace.steps, loss: f64::INFINITY };
    run(task, &settings, &mut |event| match event {
        Event::Step { line, total, .. } => {
            learned.steps = line.step;
            progress(line.step as f64 / total as f64);
        }
        Event::Validated { line, best: true } => {
            learned.loss = line.get("loss").unwrap_or(learned.loss);
        }
        _ => {}
    })?;
    Ok(learned)
}

/// The same, for a sampler.
pub(super) fn learn_sampler(task: &mut dyn Trainable, pace: Pace, fitting: &Fitting<'_>) -> Result<()> {
    let key = fitting.key.fold("train");
    let learned = learn(task, fitting.codes.clone(), pace, key, fitting.deadline, fitting.progress)?;
    fitting.learned.set(learned.loss.is_finite().then_some(learned));
    Ok(())
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
