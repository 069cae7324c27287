//! A run from its configuration to its model: what `latent train` does, for programs.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use toml::{Table, Value};

use super::{Autoencoder, Event, Outcome, RunFolder, TrainError, Trainer};
use crate::config::{Layers, Run, resolve, table_of};
use crate::data::Data;
use crate::device::Device;
use crate::error::Result;
use crate::files::write_whole;
use crate::key::Key;
use crate::model::{Registry, build};
use crate::objective::Objective;
use crate::store::Model;

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

/// A run that is resolved, checked and has its folder.
pub struct Training {
    /// What determines it.
    pub run: Run,
    /// The data.
    pub data: Arc<Data>,
    /// The model and its objective.
    pub task: Autoencoder,
    /// Where it writes.
    pub folder: RunFolder,
    resume: bool,
}

/// The keys that may change when a run goes on.
const MAY_CHANGE: [&str; 4] = ["epochs", "steps", "minutes", "patience"];

impl Training {
    /// Opens the data, resolves the configuration, makes the folder and writes `run.toml`. `note` hears what was
    /// chosen or changed to fit, a line each.
    pub fn prepare(
        layers: &Layers,
        folder: &Path,
        options: Options<'_>,
        note: &mut dyn FnMut(String),
    ) -> Result<Self> {
        let run_path = folder.join("run.toml");
        let old = if run_path.exists() {
            if !options.resume {
                return Err(TrainError::Exists { path: folder.into() }.into());
            }
            let text = std::fs::read_to_string(&run_path).map_err(TrainError::io(&run_path))?;
            Some(Run::from_toml(&text, &run_path)?)
        } else {
            None
        };
        let (run, data) = match old {
            Some(old) => Self::again(old, layers, folder, note)?,
            None => {
                let settings = layers.data()?;
                let seed = layers.seed()?;
                let data = Data::open(&settings, Key::from_seed(seed), note)?;
                let (run, notes) = resolve(layers, data.facts(), &options.registry)?;
                notes.into_iter().for_each(&mut *note);
                (run, data)
            }
        };
        let (model, mut weights) = build(&run, &options.registry, &options.device)?;
        let (posterior, _) = options.registry.posteriors.resolve(&run.posterior, "posterior")?;
        let (objective, _) = Objective::resolve(&run.objective, &options.registry, posterior.as_ref())?;
        if let Some(path) = options.init_from {
            let (taken, all) = Model::load(path)?.give_weights(&mut weights);
            note(format!("weights: {taken} of {all} arrays from {}", path.display()));
        }
        let folder = RunFolder::open(folder)?;
        let text = run.without_statistics().to_toml()?;
        write_whole(&folder.run(), |out| out.write_all(text.as_bytes()))
            .map_err(TrainError::io(&folder.run()))?;
        let task = Autoencoder::new(model, weights, objective);
        Ok(Self { run, data: Arc::new(data), task, folder, resume: options.resume })
    }

    /// A run that goes on: its own settings, but for how long it lasts; its own data, or an error.
    fn again(
        mut old: Run,
        layers: &Layers,
        folder: &Path,
        note: &mut dyn FnMut(String),
    ) -> Result<(Run, Data)> {
        let before = table_of(&old, "run")?;
        let mut after = before.clone();
        crate::config::merge(&mut after, &layers.explicit);
        if let Some(key) = first_difference(&before, &after, "") {
            return Err(TrainError::SettingsChanged { path: folder.into(), key }.into());
        }
        if let Some(Value::Table(train)) = after.get("train") {
            old.train = crate::config::parse_table(train, "train")?;
            old.train.check()?;
        }
        let data = Data::open(&old.data, Key::from_seed(old.seed), note)?;
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

    /// Trains, and writes the model unless interrupted.
    pub fn train(&mut self, stop: &AtomicBool, observe: &mut dyn FnMut(Event<'_>)) -> Result<Outcome> {
        let trainer = Trainer {
            settings: &self.run.train,
            examples: self.data.clone(),
            folder: Some(&self.folder),
            key: Key::from_seed(self.run.seed).fold("train"),
            stop,
        };
        let done_before = self.resume && self.folder.model().exists();
        let step_before = std::fs::metadata(self.folder.last()).and_then(|m| m.modified()).ok();
        let outcome = trainer.train(&mut self.task, self.resume, observe)?;
        let untouched = std::fs::metadata(self.folder.last()).and_then(|m| m.modified()).ok() == step_before;
        if outcome == Outcome::Finished && !(done_before && untouched) {
            Model::save(&self.run, &self.task.weights, &self.folder.model())?;
        }
        Ok(outcome)
    }

    /// The trained model.
    pub fn model(&self) -> Result<Model> {
        Model::load(&self.folder.model())
    }
}

/// The first key whose value differs and may not.
fn first_difference(before: &Table, after: &Table, path: &str) -> Option<String> {
    for (key, value) in after {
        let full = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if path == "train" && MAY_CHANGE.contains(&key.as_str()) {
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
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b,
        _ => a == b,
    }
}
