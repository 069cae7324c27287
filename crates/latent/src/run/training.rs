//! A run from its configuration to its model: what `latent train` does, for programs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use latent_kernels::instructions;
use toml::{Table, Value};

use super::{Checked, Layers, Run, resolve, splits};
use crate::config::{merge, parse_table, table_of};
use crate::data::{Data, Flip};
use crate::device::Device;
use crate::error::Result;
use crate::files::write_whole;
use crate::key::Key;
use crate::member::{Progress, Registry};
use crate::model::{Model, View};
use crate::train::{
    Autoencoder, Board, Counters, Event, Keep, Outcome, Plan, Preflight, RunFolder, TrainError, Trainer,
    check_outline, kernels_of, load_weights, memory_limit, save_weights,
};

/// How a run is started.
pub struct Options<'a> {
    /// Where it computes.
    pub device: Device,
    /// Go on from the folder's last checkpoint, or start if there is none.
    pub resume: bool,
    /// A trained model whose weights it starts from, where path and shape are the same.
    pub init_from: Option<&'a Path>,
    /// What names may stand for.
    pub registry: Registry,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { device: Device::cpu(), resume: false, init_from: None, registry: Registry::default() }
    }
}

/// A run that is resolved, checked, built, and has its folder, if it has one.
pub struct Training {
    /// What determines it.
    pub run: Run,
    /// The data.
    pub data: Arc<Data>,
    /// The model and its objective.
    pub task: Autoencoder,
    /// Where it writes; a run without a folder keeps everything in memory.
    pub folder: Option<RunFolder>,
    resume: bool,
    /// Minutes that become a number of steps once these are timed.
    minutes: Option<f64>,
}

/// The keys that may change when a run goes on.
const MAY_CHANGE: [&str; 6] =
    ["train.epochs", "train.steps", "train.minutes", "train.patience", "data.source", "data.workers"];

impl Training {
    /// Resolves the configuration on data that is open already, with the settings of [`Layers::data`], and builds the
    /// model; nothing is written anywhere. `note` hears what was chosen or changed to fit, a line each.
    ///
    /// # Errors
    /// A configuration that makes no sense with this data, or a model that doesn't fit into memory.
    pub fn in_memory(
        layers: &Layers,
        data: Data,
        options: Options<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let (mut checked, notes) = resolve(layers, data.facts(), &options.registry)?;
        notes.into_iter().for_each(&mut *note);
        settle_flip(&mut checked.run, &data);
        let mut task = built(&checked, &data, &options.device, note)?;
        if let Some(path) = options.init_from {
            init_from((&mut task, &checked.run, &data), path, &options.registry, note)?;
        }
        let minutes = minutes_of(&checked.run, layers);
        Ok(Self { run: checked.run, data: Arc::new(data), task, folder: None, resume: false, minutes })
    }

    /// Opens the data, resolves the configuration, makes the folder and writes `run.toml`. `note` hears what was
    /// chosen or changed to fit, a line each.
    ///
    /// # Errors
    /// Data that can't be read, a configuration that makes no sense with it, a folder that holds another run or files
    /// which no run wrote.
    pub fn prepare(
        layers: &Layers,
        folder: &Path,
        options: Options<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<Self> {
        RunFolder::check(folder)?;
        let (run_path, last_path) = (folder.join("run.toml"), folder.join("checkpoints/last.safetensors"));
        // What has no checkpoint and no model holds nothing that could be lost: it may be begun anew.
        let holds_work = || last_path.exists() || folder.join("model.safetensors").exists();
        if holds_work() && run_path.exists() && !options.resume {
            return Err(TrainError::Exists { path: folder.into() }.into());
        }
        let exists = options.resume && run_path.exists();
        if !run_path.exists() && last_path.exists() {
            let what = format!("a checkpoint of a run whose {} is missing", run_path.display());
            return Err(TrainError::Checkpoint { path: last_path, what }.into());
        }
        // A folder that is there is locked before it is read; a new one is made once everything else is right.
        let mut locked = if exists { Some(RunFolder::open(folder)?) } else { None };
        let (checked, data) = if exists {
            let text = std::fs::read_to_string(&run_path).map_err(TrainError::read(&run_path))?;
            let (run, data) = Self::again(Run::from_toml(&text, &run_path)?, layers, folder, note)?;
            (Checked::new(run, &options.registry)?, data)
        } else {
            let settings = layers.data()?;
            let data = Data::open(&settings, Key::from_seed(layers.seed()?), note)?;
            data.leaked().into_iter().for_each(&mut *note);
            let (mut checked, notes) = resolve(layers, data.facts(), &options.registry)?;
            notes.into_iter().for_each(&mut *note);
            settle_flip(&mut checked.run, &data);
            (checked, data)
        };
        let mut task = built(&checked, &data, &options.device, note)?;
        if let Some(path) = options.init_from.filter(|_| !exists) {
            init_from((&mut task, &checked.run, &data), path, &options.registry, note)?;
        }
        let run = checked.run;
        let folder = match locked.take() {
            Some(folder) => {
                missing(&folder, note);
                folder
            }
            None => RunFolder::open(folder)?,
        };
        if !exists && holds_work() {
            // Somebody else made a run here while the data was read.
            return Err(TrainError::Exists { path: folder.path().into() }.into());
        }
        if exists
            && let Some(before) = kernels_of(&folder.last())
            && before != instructions()
        {
            note(format!(
                "kernels: {before} before, {} from here on: the last digits may differ from those of a run that \
                 stayed where it was",
                instructions()
            ));
        }
        // What a run starts from is on disk before the run counts as begun.
        if options.init_from.is_some() && !exists {
            save_weights(&task.weights, &task.filled, &folder.first())?;
        } else if !exists {
            folder.forget(&|path| path == folder.first());
        } else if folder.first().exists() {
            (task.weights, task.filled) = load_weights(&task.weights, &folder.first())?;
        }
        write_run(&run, &run_path)?;
        let minutes = minutes_of(&run, layers).filter(|_| !exists);
        Ok(Self { run, data: Arc::new(data), task, folder: Some(folder), resume: exists, minutes })
    }

    /// A run that goes on: its own settings, but for how long it lasts; its own data, or an error.
    fn again(
        mut old: Run,
        layers: &Layers,
        folder: &Path,
        note: &mut dyn FnMut(String),
    ) -> Result<(Run, Data)> {
        let changed = |key: String| Err(TrainError::SettingsChanged { path: folder.into(), key }.into());
        let preset = layers.table.get("preset").and_then(Value::as_str);
        if preset.is_some() && preset != old.preset.as_deref() {
            return changed("preset".into());
        }
        let before = table_of(&old, "run")?;
        let mut asked = layers.explicit.clone();
        for what_it_says_of_itself in ["preset", "paper", "about", "group"] {
            asked.remove(what_it_says_of_itself);
        }
        // `network` is short for both.
        if let Some(Value::Table(network)) = asked.remove("network") {
            for part in ["encoder", "decoder"] {
                let mut both = network.clone();
                if let Some(Value::Table(own)) = asked.get(part) {
                    merge(&mut both, own);
                }
                asked.insert(part.into(), both.into());
            }
        }
        let mut after = before.clone();
        merge(&mut after, &asked);
        if let Some(key) = first_difference(&before, &after, "") {
            return changed(key);
        }
        if let Some(Value::Table(train)) = after.get("train") {
            old.train = parse_table(train, "train")?;
            old.train.check()?;
        }
        if let Some(Value::Table(data)) = after.get("data") {
            old.data = parse_table(data, "data")?;
        }
        let data = Data::open_again(&old.facts, &old.data, Key::from_seed(old.seed), note)?;
        if data.facts().hash != old.facts.hash {
            return Err(TrainError::DataChanged {
                path: folder.into(),
                expected: old.facts.hash,
                found: data.facts().hash.clone(),
            }
            .into());
        }
        old.facts = data.facts().clone();
        Ok((old, data))
    }

    /// Tries a few steps and says how large the model is and what memory and time training will take. Minutes that the run was
    /// given become a number of steps here, which `run.toml` keeps, so that a run that goes on has as many. Nothing else changes;
    /// a run that is refused before it began leaves no folder behind.
    ///
    /// # Errors
    /// [`TrainError::Memory`], with the batch that would fit, where the machine's free memory is too small.
    pub fn preflight(&mut self) -> Result<Preflight> {
        self.preflight_within(memory_limit())
    }

    /// The same with that many bytes of memory; none for no limit.
    ///
    /// # Errors
    /// As [`Training::preflight`].
    pub fn preflight_within(&mut self, available: Option<u64>) -> Result<Preflight> {
        let done = match self.folder.as_ref().filter(|folder| self.resume && folder.has_checkpoint()) {
            Some(folder) => Counters::of(folder)?.step,
            None => 0,
        };
        let stop = AtomicBool::new(false);
        let (trainer, task) = self.trainer(&stop);
        let mut result = trainer.preflight(task, done, available);
        if let Ok(forecast) = &mut result
            && let Some(minutes) = self.minutes.take()
        {
            forecast.plan(60.0 * minutes);
            self.run.train.steps = forecast.steps;
            // A machine that grows slower meanwhile ends it all the same.
            self.run.train.minutes = CAP * minutes;
            if let Some(folder) = &self.folder {
                write_run(&self.run, &folder.path().join("run.toml"))?;
            }
        }
        if let Some(folder) = self.folder.as_ref().filter(|_| result.is_err() && !self.resume) {
            folder.abandon();
        }
        Ok(result?)
    }

    /// Trains, and writes the model unless interrupted.
    ///
    /// # Errors
    /// Rows that can't be read, a checkpoint that can't be written, numbers that went bad too often.
    pub fn train(&mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
        let resume = self.resume;
        let events = self.folder.as_ref().map(RunFolder::events);
        let mut board = None;
        let (trainer, task) = self.trainer(stop);
        let outcome = trainer.train(task, resume, &mut |event| {
            if let Some(events) = &events {
                board.get_or_insert_with(|| Board::new(events)).observe(&event);
            }
            observe(event);
        })?;
        // A run that was over may have been stopped before its model was written.
        if let Some(folder) = self.folder.as_ref().filter(|_| outcome == Outcome::Finished)
            && !Model::is_at(&self.run, &self.task.weights, &folder.model())
        {
            Model::save(&self.run, &self.task.weights, &folder.model())?;
        }
        self.resume = true;
        Ok(outcome)
    }

    fn trainer<'a>(&'a mut self, stop: &'a AtomicBool) -> (Trainer<'a>, &'a mut Autoencoder) {
        let trainer = Trainer {
            settings: &self.run.train,
            examples: self.data.clone(),
            folder: self.folder.as_ref(),
            key: Key::from_seed(self.run.seed).fold("train"),
            stop,
        };
        (trainer, &mut self.task)
    }

    /// The model as it stands, without a file in between.
    ///
    /// # Errors
    /// A run that cannot be written down, which is our fault.
    pub fn into_model(self) -> Result<Model> {
        Model::of(self.run, self.task.model, self.task.weights)
    }
}

/// A planned run may last so many times what was planned.
const CAP: f64 = 1.25;

/// The model's share of the minutes that a run is given, where nothing says how many steps it has.
fn minutes_of(run: &Run, layers: &Layers) -> Option<f64> {
    Some(run.share_of_model() * run.train.minutes).filter(|minutes| *minutes > 0.0 && !layers.count_steps())
}

/// What was found out about mirrors is part of the run.
fn settle_flip(run: &mut Run, data: &Data) {
    if run.data.flip == Flip::Auto {
        run.data.flip = if data.is_mirrored() { Flip::Horizontal } else { Flip::None };
    }
}

/// Writes `run.toml`, unless it says the same already.
fn write_run(run: &Run, path: &Path) -> Result<()> {
    let text = run.without_statistics().to_toml()?;
    if std::fs::read_to_string(path).ok().as_deref() != Some(&text) {
        write_whole(path, |out| out.write_all(text.as_bytes())).map_err(TrainError::io(path))?;
    }
    Ok(())
}

/// Says what a folder has lost of its run.
fn missing(folder: &RunFolder, note: &mut dyn FnMut(String)) {
    let Ok(counters) = Counters::of(folder) else { return };
    let (metrics, model) = (folder.metrics(), folder.model());
    let length = std::fs::metadata(&metrics).map_or(0, |found| found.len());
    if length < counters.metrics_bytes {
        note(format!(
            "warning: {} has {length} of its {} bytes: its first or last lines are lost, and curves in the report lack them",
            metrics.display(),
            counters.metrics_bytes
        ));
    }
    if counters.finished && !model.exists() {
        note(format!("{} is missing: it is written again from the last checkpoint", model.display()));
    }
}

/// Builds what a run trains, if it fits into memory, and says what deserves a word.
fn built(
    checked: &Checked,
    data: &Data,
    device: &Device,
    note: &mut dyn FnMut(String),
) -> Result<Autoencoder> {
    let run = &checked.run;
    check_outline(&checked.outline()?, run.train.ema > 0.0, memory_limit())?;
    let (model, weights, objective) = checked.build_for_training(Some(data), device)?;
    if View::evaluation(&model, &weights).rate_is_exact() == Some(false) {
        note("rate: a mean over draws, as this posterior and prior have no closed form".into());
    }
    let terms = objective.terms.iter().filter_map(|term| Some((&term.name, term.term.note()?)));
    terms.for_each(|(name, said)| note(format!("{name}: {said}")));
    let plan = Plan::new(&run.train, data, Key::from_seed(run.seed))?;
    let end = Progress { step: plan.total, steps_per_epoch: plan.steps_per_epoch, total: plan.total };
    if run.train.keep == Keep::Best && !objective.settled(end) {
        note(
            "best checkpoint: none will count, as a term's weight still moves when training ends; the last \
              weights are kept"
                .into(),
        );
    }
    Ok(Autoencoder::new(model, weights, objective))
}

/// Takes over a trained model's weights, where path and shape are the same, and says if it held out other rows.
fn init_from(
    (task, run, data): (&mut Autoencoder, &Run, &Data),
    path: &Path,
    registry: &Registry,
    note: &mut dyn FnMut(String),
) -> Result<()> {
    let model = Model::load_with(path, &Device::cpu(), registry)?;
    let differ = splits::differ(&model, run, data.facts());
    task.filled = model.give_weights(&mut task.weights);
    let all = task.weights.kept().count();
    note(format!("weights: {} of {all} arrays from {}", task.filled.len(), path.display()));
    differ.into_iter().for_each(note);
    Ok(())
}

/// The first key whose value differs and may not.
fn first_difference(before: &Table, after: &Table, path: &str) -> Option<String> {
    for (key, value) in after {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if MAY_CHANGE.contains(&full.as_str()) {
            continue;
        }
        match (before.get(key), value) {
            (Some(Value::Table(before)), Value::Table(after)) => {
                if let Some(found) = first_difference(before, after, &full) {
                    return Some(found);
                }
            }
            (Some(before), after) if same(before, after) => {}
            _ => return Some(full),
        }
    }
    None
}

/// Equal, where `1` and `1.0` are.
fn same(a: &Value, b: &Value) -> bool {
    let number = |v: &Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        _ => match (number(a), number(b)) {
            // Some settings are kept in single precision.
            (Some(a), Some(b)) => a == b || a as f32 == b as f32,
            _ => a == b,
        },
    }
}
