//! Refining: the decoder learns on, from codes that a sampler draws.
//!
//! A decoder that was trained has seen codes of rows alone. A sampler's lie a little beside them, each place of a map by itself, and
//! what the decoder makes of those has seams that no row has. So it learns what they ought to look like: a critic of patches
//! (the term `patch-critic`) tells data from what is made of both sorts of codes, while rows are still rebuilt from theirs.
//!
//! ```text
//! minimised over the decoder:  distortion(x, z ~ q(z|x)), and edges where the run has them, − w λ E D(g(z)), z of both sorts
//! ```
//!
//! Nothing else moves, so that codes stay what they are and the sampler stays fitted. The model's densities are those of the decoder
//! as it is in the end.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Checked, Run};
use crate::config::ConfigError;
use crate::data::{Data, Facts};
use crate::device::Device;
use crate::error::Result;
use crate::generate::sampler::{FittedSampler, How};
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;
use crate::train::{
    Autoencoder, DECODER, Event, Keep, LearningRate, OptimizerSettings, Outcome, TrainSettings, Trainer,
    memory_limit,
};

/// How a decoder learned on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refined {
    /// Whose codes it saw.
    pub sampler: String,
    /// For so many steps.
    pub steps: u64,
    /// What the critic counted.
    pub weight: f64,
    /// What noise descended from.
    #[serde(with = "super::seed")]
    pub seed: u64,
}

/// How a decoder learns on.
#[derive(Clone, Copy)]
pub struct RefineOptions<'a> {
    /// Steps; as many as `minutes` have where it is none.
    pub steps: Option<u64>,
    /// How long it may take, the draws of the sampler included.
    pub minutes: f64,
    /// What the critic counts, as a share of what the distortion pulls.
    pub weight: f64,
    /// What noise descends from.
    pub seed: u64,
    /// Where names of members are looked up.
    pub registry: &'a Registry,
    /// Ends it: the model stays as it was.
    pub stop: &'a AtomicBool,
}

/// What the critic counts unless told otherwise.
pub const WEIGHT: f64 = 0.5;

/// Codes that are drawn once, and seen again and again.
const CODES: usize = 2000;

/// Its name in the log.
const TERM: &str = "refined";

/// Terms of what the decoder makes of a row.
const PULL: [&str; 4] = ["distortion", "edges", "texture", "ms-ssim"];

/// At least so many steps, however little time there is.
const LEAST_STEPS: u64 = 20;

/// The model with a decoder that learned on, which its run says; none where it was stopped. `observe` hears each step.
///
/// # Errors
/// [`ConfigError::Combination`] for tables and for models that are told of rows; what drawing, reading and training say.
pub fn refine(
    model: &Model,
    data: &Arc<Data>,
    sampler: &FittedSampler,
    options: &RefineOptions<'_>,
    observe: &mut dyn FnMut(Event<'_>),
) -> Result<Option<Model>> {
    let begun = Instant::now();
    refusal(&model.facts).map_or(Ok(()), Err)?;
    let key = Key::from_seed(options.seed).fold("refine");
    let run = Run { refined: None, ..model.run()? };
    let drawn = sampler.draw(model, CODES, &How::default(), key.fold("codes"))?;
    let objective = objective(&run.objective, options.weight);
    let with_critic = Run { objective, facts: data.facts().clone(), ..run.clone() };
    let checked = Checked::new(with_critic, options.registry)?;
    let (functions, weights, objective) = checked.build_for_training(Some(data), &Device::cpu())?;
    let mut task = Autoencoder { drawn: Some(drawn), ..Autoencoder::new(functions, weights, objective) };
    task.filled = model.give_weights(&mut task.weights);
    let mut settings = settings(&run.train, options.steps);
    if options.steps.is_none() {
        let trainer = trainer(&settings, data, key, options.stop);
        let mut forecast = trainer.preflight(&mut task, 0, memory_limit())?;
        let left = (60.0 * options.minutes - begun.elapsed().as_secs_f64()).max(1.0);
        forecast.plan(left);
        settings.steps = forecast.steps.max(LEAST_STEPS);
        // Where steps turn out slower than those timed, the clock ends them.
        settings.minutes = left / 60.0;
    }
    let outcome = trainer(&settings, data, key, options.stop).train(&mut task, false, observe)?;
    if outcome == Outcome::Interrupted {
        return Ok(None);
    }
    let mut weights = model.weights.clone();
    let moved: Vec<_> = weights.iter().map(|(id, weight)| (id, weight.path().to_string())).collect();
    for (id, path) in moved.into_iter().filter(|(_, path)| path.starts_with(DECODER)) {
        if let Some((_, new)) = task.weights.iter().find(|(_, weight)| weight.path() == path) {
            weights.set_values(id, new.values());
        }
    }
    let (steps, weight, seed) = (settings.steps, options.weight, options.seed);
    let refined = Refined { sampler: sampler.kind().into(), steps, weight, seed };
    let run = Run { refined: Some(refined), ..run };
    let (functions, _) = Checked::new(run.clone(), options.registry)?.build(&Device::cpu())?;
    Ok(Some(Model::of(run, functions, weights)?))
}

/// Why a model of this data cannot be refined; none where it can.
pub fn refusal(facts: &Facts) -> Option<ConfigError> {
    let no = |what: &str, remedy: &str| Some(ConfigError::combination(what, remedy));
    if !facts.shape.is_image() {
        return no("a critic sees patches of images, and these are rows of a table", "leave refining out");
    }
    if !facts.condition.is_empty() {
        return no(
            "codes of this model are told of conditions, which refining does not hand on",
            "leave refining out",
        );
    }
    None
}

/// What the decoder minimises: of the run's terms those that pull at it, and the critic.
fn objective(trained: &Table, weight: f64) -> Table {
    let mut terms = trained.get("terms").and_then(Value::as_table).cloned().unwrap_or_default();
    terms.retain(|_, term| term.get("kind").and_then(Value::as_str).is_some_and(|kind| PULL.contains(&kind)));
    terms.insert(TERM.into(), critic(weight).into());
    Table::from_iter([("terms".to_string(), terms.into())])
}

fn critic(weight: f64) -> Table {
    let channels: Vec<Value> = [32, 64, 128].into_iter().map(Value::Integer).collect();
    let share = Value::Float(0.1);
    Table::from_iter([
        ("kind".to_string(), Value::from("patch-critic")),
        ("weight".into(), Value::Float(weight)),
        ("channels".into(), channels.into()),
        ("prior".into(), true.into()),
        ("start".into(), share.clone()),
        ("lead".into(), share),
    ])
}

fn settings(trained: &TrainSettings, steps: Option<u64>) -> TrainSettings {
    let defaults = TrainSettings::default();
    TrainSettings {
        steps: steps.unwrap_or(10_000),
        batch: trained.batch.min(64),
        accumulate: trained.accumulate.min(64),
        optimizer: OptimizerSettings { learning_rate: 5e-4, ..OptimizerSettings::default() },
        schedule: LearningRate::Cosine { warmup: 20, last: 0.0 },
        ema: 0.99,
        keep: Keep::Last,
        // Once, after the last: the decoder is no longer what validation was for.
        validate_every: 1e9,
        validate_rows: 64,
        ..defaults
    }
}

fn trainer<'a>(settings: &'a TrainSettings, data: &Arc<Data>, key: Key, stop: &'a AtomicBool) -> Trainer<'a> {
    Trainer { settings, examples: data.clone(), folder: None, key: key.fold("train"), stop }
}
