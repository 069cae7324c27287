//! The guard: what it finds, where it goes back to, when it gives up.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::common::*;
use burn::tensor::Tensor;
use latent::Key;
use latent::batch::Batch;
use latent::data::{Data, DataError, DataSettings, Examples, Rows, Split, StoredType, write_npy};
use latent::device::{Device, host};
use latent::member::{Kept, Progress};
use latent::objective::Loss;
use latent::store::TensorFile;
use latent::train::{
    Event, Finding, Keep, Line, Moment, Outcome, Player, RunFolder, Traced, TrainError, TrainSettings,
    Trainable, Trainer,
};
use latent::weights::{Init, Initial, WeightId, Weights};

/// 40 rows of two numbers.
struct Points;

impl Examples for Points {
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { 40 } else { 8 }
    }

    fn features(&self) -> usize {
        2
    }

    fn rows(&self, _: Split, positions: &[usize], _: u64) -> Result<Rows, DataError> {
        let x = positions.iter().flat_map(|&p| [p as f32 / 40.0, 1.0]).collect();
        Ok(Rows { x, ids: positions.iter().map(|&p| 1000 + p as u64).collect(), ..Rows::default() })
    }
}

/// Fits w to x, and meets what is put in its way.
struct Regression {
    weights: Weights,
    w: WeightId,
    /// This row has an infinite error at this step.
    poison: Option<(u64, u64)>,
    /// After this step the weight is infinite, once.
    breaks: Option<u64>,
}

impl Regression {
    fn new() -> Self {
        let mut weights = Weights::new(&Device::cpu());
        let w = Init::new(&mut weights, Key::from_seed(1)).weight("w", &[1, 2], Initial::Normal(1.0));
        Self { weights, w, poison: None, breaks: None }
    }

    fn errors(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Tensor<2> {
        let n = batch.len();
        let mut errors = (weights.get::<2>(self.w).expand([n, 2]) - batch.x.clone()).powf_scalar(2.0);
        if let (Some((step, row)), Some(progress)) = (self.poison, moment.progress)
            && progress.step == step
            && let Some(at) = batch.ids.iter().position(|&id| id == row)
        {
            let mut factors = vec![1.0; 2 * n];
            factors[2 * at] = f32::INFINITY;
            errors = errors * weights.device().tensor(factors, [n, 2]);
        }
        errors
    }
}

impl Trainable for Regression {
    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn weights_mut(&mut self) -> &mut Weights {
        &mut self.weights
    }

    fn players(&self) -> Vec<Player> {
        vec![Player::model()]
    }

    fn loss(&self, _: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss, TrainError> {
        let total = self.errors(weights, batch, moment).mean();
        Ok(Loss { terms: vec![("loss".into(), total.clone())], total, kept: Kept::default() })
    }

    fn follow(&mut self, _: &BTreeMap<String, Kept>, at: Progress) {
        if Some(at.step) == self.breaks {
            self.breaks = None;
            self.weights.set_values(self.w, vec![f32::INFINITY, 0.0]);
        }
    }

    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>, TrainError> {
        let errors = host(&self.errors(weights, batch, moment));
        let weight = Traced { name: "weight w".into(), values: host(&weights.get::<2>(self.w)), width: 0 };
        Ok(vec![weight, Traced { name: "errors".into(), values: errors, width: 2 }])
    }
}

/// 30 steps of 10 rows, planned checkpoints at 3, 4, 6, 8 …
fn settings() -> TrainSettings {
    let mut settings =
        TrainSettings { steps: 30, batch: 10, checkpoint_every: 3, ..TrainSettings::default() };
    settings.optimizer.learning_rate = 0.05;
    settings.keep = Keep::Last;
    settings
}

struct Ran {
    outcome: Result<Outcome, TrainError>,
    found: Vec<(Finding, u64, f64)>,
    lines: Vec<Line>,
}

fn run(
    task: &mut Regression,
    settings: &TrainSettings,
    folder: Option<&RunFolder>,
    resume: bool,
    stop: u64,
) -> Ran {
    let flag = AtomicBool::new(false);
    let (mut found, mut lines) = (Vec::new(), Vec::new());
    let trainer =
        Trainer { settings, examples: Arc::new(Points), folder, key: Key::from_seed(3), stop: &flag };
    let outcome = trainer.train(task, resume, &mut |event| match event {
        Event::Guard { finding, back_to, rate_factor } => found.push((finding.clone(), back_to, rate_factor)),
        Event::Step { line, .. } => {
            lines.push(line.clone());
            flag.store(line.step == stop, Ordering::Relaxed);
        }
        _ => {}
    });
    Ran { outcome, found, lines }
}

/// The row that stands fourth in the batch of that step.
fn fourth(step: u64) -> u64 {
    let order = Key::from_seed(3).fold("order").fold(step / 4).permutation(40);
    1000 + order[(step % 4) as usize * 10 + 3] as u64
}

#[test]
fn a_poisoned_row_is_named_and_its_batch_kept_out() {
    let folder = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(folder.path()).unwrap();
    let mut settings = settings();
    settings.guard.skip_batch = true;
    let poisoned = || Regression { poison: Some((10, fourth(10))), ..Regression::new() };
    let mut task = poisoned();
    let ran = run(&mut task, &settings, Some(&folder), false, 0);
    assert_eq!(ran.outcome.unwrap(), Outcome::Finished);
    let finding = Finding { tensor: "errors".into(), step: 11, rows: vec![fourth(10)] };
    assert_eq!(ran.found, [(finding, 9, 0.5)]);
    let skipped: Vec<u64> = ran.lines.iter().filter(|l| l.get("skipped").is_some()).map(|l| l.step).collect();
    assert_eq!(skipped, [11]);
    let rate = |step: u64| ran.lines.iter().rfind(|l| l.step == step).unwrap().get("learning_rate");
    assert_eq!((rate(9), rate(10), rate(30)), (Some(0.05), Some(0.025), Some(0.025)));
    let text = fs::read_to_string(folder.metrics()).unwrap();
    assert!(text.contains("not finite, first in `errors` at step 11, rows 10"), "{text}");
    // Each step stands there once.
    assert_eq!(text.matches("\"step\":10,").count(), 1);
    let last = TensorFile::load(&folder.last()).unwrap();
    let state = &last.header["state"];
    assert!(state.contains("\"skipped\":[10]") && state.contains("first in `errors` at step 11"), "{state}");

    // Without a folder it goes back to a copy in memory, and the numbers are the same.
    let mut other = poisoned();
    let again = run(&mut other, &settings, None, false, 0);
    assert_eq!(again.found, ran.found);
    assert_eq!(again.lines, ran.lines);
    assert_eq!(host(&other.weights.get::<2>(other.w)), host(&task.weights.get::<2>(task.w)));
}

#[test]
fn it_gives_up_after_the_tries_and_keeps_the_last_good_state() {
    let path = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(path.path()).unwrap();
    let mut settings = settings();
    settings.guard.tries = 3;
    let mut task = Regression { poison: Some((10, fourth(10))), ..Regression::new() };
    let ran = run(&mut task, &settings, Some(&folder), false, 0);
    assert_eq!(ran.found.iter().map(|f| f.2).collect::<Vec<_>>(), [0.5, 0.25, 0.125]);
    let error = ran.outcome.unwrap_err();
    assert!(matches!(error, TrainError::Diverged { tries: 4, .. }));
    let message = error.to_string();
    for part in ["4 times and gave up", "`errors` at step 11", "last.safetensors", "learning_rate"] {
        assert!(message.contains(part), "{message}");
    }
    let last = TensorFile::load(&folder.last()).unwrap();
    assert!(last.arrays["weights/w"].values.iter().all(|v| v.is_finite()));
    assert!(last.header["state"].contains("\"step\":9,"));
    // The history is in the checkpoint: resumed, it gives up at once.
    let again = run(&mut task, &settings, Some(&folder), true, 0);
    assert!(again.found.is_empty() && again.outcome.is_err());
    // With the cause gone it goes on.
    task.poison = None;
    let again = run(&mut task, &settings, Some(&folder), true, 0);
    assert_eq!(again.outcome.unwrap(), Outcome::Finished);
}

#[test]
fn a_rate_that_is_too_great_is_halved_until_it_is_not() {
    let mut settings = settings();
    // The first step moves w by the rate. Squares of 10²⁰ overflow in the errors; then only the squares of the
    // gradients do, in their norm; at 3.125 · 10¹⁸ nothing does.
    settings.optimizer.learning_rate = 1e20;
    let ran = run(&mut Regression::new(), &settings, None, false, 0);
    assert_eq!(ran.outcome.unwrap(), Outcome::Finished);
    let tensors: Vec<&str> = ran.found.iter().map(|(finding, ..)| finding.tensor.as_str()).collect();
    let norm = "norm of all gradients";
    assert_eq!(tensors, ["errors", "errors", "errors", norm, norm]);
    assert!(ran.found.iter().all(|(finding, back_to, _)| finding.step == 2 && *back_to == 0));
    assert_eq!(ran.lines.last().unwrap().get("learning_rate"), Some(3.125e18));
}

#[test]
fn weights_that_are_not_finite_are_never_saved() {
    let path = tempfile::tempdir().unwrap();
    let folder = RunFolder::open(path.path()).unwrap();
    // Broken after step 12, at which a checkpoint is planned.
    let mut task = Regression { breaks: Some(11), ..Regression::new() };
    let ran = run(&mut task, &settings(), Some(&folder), false, 0);
    assert_eq!(ran.outcome.unwrap(), Outcome::Finished);
    assert_eq!(ran.found, [(Finding { tensor: "weight w".into(), step: 12, rows: Vec::new() }, 9, 0.5)]);
}

#[test]
fn an_interruption_changes_nothing_about_where_it_goes_back_to() {
    let mut settings = settings();
    settings.guard.skip_batch = true;
    let poisoned = || Regression { poison: Some((10, fourth(10))), ..Regression::new() };
    let ends: Vec<_> = [0, 10]
        .into_iter()
        .map(|stop| {
            let path = tempfile::tempdir().unwrap();
            let folder = RunFolder::open(path.path()).unwrap();
            let mut task = poisoned();
            // Step 10 is no planned checkpoint; the guard meets the poison right after it.
            while run(&mut task, &settings, Some(&folder), folder.last().exists(), stop).outcome.unwrap()
                == Outcome::Interrupted
            {
                task = poisoned();
                if folder.planned().exists() {
                    let ran = run(&mut task, &settings, Some(&folder), true, 0);
                    assert_eq!(ran.found[0].1, 9);
                }
            }
            (host(&task.weights.get::<2>(task.w)), fs::read_to_string(folder.metrics()).unwrap())
        })
        .collect();
    assert_eq!(ends[0].0, ends[1].0);
    assert_eq!(ends[0].1, ends[1].1);
}

/// A row of numbers whose squares overflow, in a model of the library.
#[test]
fn an_autoencoder_names_the_row_that_overflows() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("rows.npy");
    let mut values = vec![0.5f32; 100 * 4];
    write_npy(&path, &[100, 4], StoredType::F32, &values).unwrap();
    let settings = "
        data.normalise=none
        likelihood={kind='normal', scale='fixed'}
        posterior={kind='diagonal-normal', latent=2}
        network={kind='mlp', hidden=[8]}
        train.batch=20
        train.epochs=2
        train.guard.tries=1
    ";
    values.iter_mut().enumerate().for_each(|(i, v)| *v = (i % 7) as f32);
    write_npy(&path, &[100, 4], StoredType::F32, &values).unwrap();
    let source = DataSettings { source: path.display().to_string(), ..DataSettings::default() };
    let row = Data::open(&source, Key::from_seed(1), &mut |_| {}).unwrap().ids(Split::Train)[17];
    values[row as usize * 4] = 3e19;
    write_npy(&path, &[100, 4], StoredType::F32, &values).unwrap();
    let mut training = prepare(&layers(&path, settings), &root.path().join("run"), false).unwrap();
    let mut found = Vec::new();
    let error = training
        .train(&AtomicBool::new(false), &mut |event| {
            if let Event::Guard { finding, .. } = event {
                found.push(finding.clone());
            }
        })
        .unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].tensor.as_str(), &found[0].rows[..]), ("distortion", &[row][..]), "{error}");
}
