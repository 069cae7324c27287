//! Everything that a run is at one step, in one file: to go on from there as if nothing had happened.
//!
//! Noise is keyed by step and row, so the state is small: weights, moments, average, a few counters, and how long
//! `metrics.jsonl` was. The best weights lie in a file of their own, named by their step, which lives for as long as the
//! last checkpoint counts on it: at any moment the files on disk fit together.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::error::TrainError;
use super::folder::RunFolder;
use crate::device::host;
use crate::files::write_whole;
use crate::optimizer::{MODEL, Moments, Optimizer, Player};
use crate::store::{TensorFile, TensorWriter, take_kept, take_weights};
use crate::weights::{WeightId, Weights};

/// The counters of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Counters {
    /// Steps taken.
    pub step: u64,
    /// Steps that the run was to have when this was written.
    pub total: u64,
    /// The lowest validation loss so far, and the step it belongs to.
    pub best: Option<(u64, f64)>,
    /// Validations since then.
    pub since_best: u64,
    /// What the learning rate is multiplied with: halved by each return of the guard.
    pub rate_factor: f64,
    /// Steps, counted from 0, whose batch is kept out.
    pub skipped: Vec<u64>,
    /// What the guard found, in order.
    pub findings: Vec<String>,
    /// Bytes of `metrics.jsonl` that belong to the steps taken.
    pub metrics_bytes: u64,
    /// Whether the run stopped early.
    pub stopped_early: bool,
    /// Whether the run is over.
    pub finished: bool,
    /// Whether this was written between two planned checkpoints (Ctrl-C, minutes). The guard goes back to the
    /// planned one, which lies beside it: so a run goes the same way however often it was interrupted.
    pub between: bool,
}

/// A run at one step.
#[derive(Clone, Debug)]
pub struct State {
    /// The counters.
    pub counters: Counters,
    /// The optimiser of each player, by its name.
    pub optimizers: BTreeMap<String, Optimizer>,
    /// The moving average of the weights.
    pub average: Option<Weights>,
    /// The weights with the best validation, where there is no folder to keep them in.
    pub best: Option<Weights>,
    /// What a finished run ended with.
    pub kept: Option<Weights>,
}

/// The format of the checkpoint file.
const FORMAT: &str = "latent-checkpoint-2";

/// The format of version 0.1, which numbered its one player.
const NUMBERED: &str = "latent-checkpoint-1";

impl Counters {
    /// Those of a checkpoint.
    ///
    /// # Errors
    /// A file that cannot be read, or is no checkpoint.
    pub fn load(path: &Path) -> Result<Self> {
        let file = TensorFile::load(path)?;
        let (counters, _) = read_counters(&file, path)?;
        Ok(counters)
    }
}

/// The counters and each player's steps.
fn read_counters(file: &TensorFile, path: &Path) -> Result<(Counters, Vec<(String, u64)>)> {
    let wrong = |what: String| TrainError::Checkpoint { path: path.into(), what };
    let format = file.header("format", path)?;
    let text = file.header("state", path)?;
    match format {
        FORMAT => Ok(serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?),
        NUMBERED => {
            let (counters, steps): (Counters, Vec<u64>) =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            Ok((counters, steps.into_iter().map(|steps| (MODEL.into(), steps)).collect()))
        }
        _ => Err(wrong(format!("not a checkpoint of this version ({format})"))),
    }
}

impl State {
    /// Before the first step.
    pub fn new(players: &[Player]) -> Self {
        Self {
            counters: Counters { rate_factor: 1.0, ..Counters::default() },
            optimizers: players.iter().map(|player| (player.name.clone(), Optimizer::default())).collect(),
            average: None,
            best: None,
            kept: None,
        }
    }

    /// Writes the state and the weights.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(&self, weights: &Weights, path: &Path) -> Result<()> {
        let mut file = TensorWriter::default();
        file.header("format", FORMAT.into());
        let steps: Vec<(&String, u64)> = self.optimizers.iter().map(|(name, o)| (name, o.steps)).collect();
        let text = serde_json::to_string(&(&self.counters, steps))
            .map_err(|error| TrainError::Checkpoint { path: path.into(), what: error.to_string() })?;
        file.header("state", text);
        weights.iter().for_each(|(_, weight)| file.weight("weights", weight));
        for (prefix, set) in [("average", self.average.as_ref()), ("kept", self.kept.as_ref())] {
            for (_, weight) in set.into_iter().flat_map(Weights::kept) {
                file.weight(prefix, weight);
            }
        }
        for (player, optimizer) in &self.optimizers {
            for (id, weight) in weights.iter() {
                let Some(moments) = optimizer.moments.get(&id) else { continue };
                for (name, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                    let name = format!("{name}/{player}/{}", weight.path());
                    file.array(name, &tensor.dims(), || host(tensor).into());
                }
            }
        }
        Ok(file.save(path)?)
    }

    /// Reads a state, and its weights into `weights`.
    ///
    /// # Errors
    /// A file that cannot be read, is no checkpoint, or is one of another model.
    pub fn load(path: &Path, weights: &mut Weights) -> Result<Self> {
        let mut file = TensorFile::load(path)?;
        let wrong = |what: String| TrainError::Checkpoint { path: path.into(), what };
        let (counters, steps) = read_counters(&file, path)?;
        let mut optional = |prefix: &str| -> Result<Option<Weights>, TrainError> {
            let prefixed = format!("{prefix}/");
            if !file.arrays.keys().any(|name| name.starts_with(&prefixed)) {
                return Ok(None);
            }
            let mut set = weights.clone();
            take_kept(&mut file, prefix, &mut set).map_err(wrong)?;
            Ok(Some(set))
        };
        let (average, kept) = (optional("average")?, optional("kept")?);
        take_weights(&mut file, "weights", weights).map_err(wrong)?;
        let numbered = file.header("format", path)? == NUMBERED;
        let mut optimizers = BTreeMap::new();
        for (player, steps) in steps {
            let called = if numbered { "0" } else { player.as_str() };
            let mut optimizer = Optimizer { steps, ..Optimizer::default() };
            for (id, weight) in weights.iter() {
                let mut take = |name: &str| -> Option<Tensor<1>> {
                    let array = file.arrays.remove(&format!("{name}/{called}/{}", weight.path()))?;
                    let n = array.values.len();
                    (n == weight.shape().iter().product::<usize>())
                        .then(|| weights.device().tensor(array.values, [n]))
                };
                if let (Some(first), Some(second)) = (take("first"), take("second")) {
                    optimizer.moments.insert(id, Moments { first, second });
                }
            }
            optimizers.insert(player, optimizer);
        }
        Ok(Self { counters, optimizers, average, best: None, kept })
    }

    /// Makes this the folder's last checkpoint. A planned one is what the guard goes back to.
    pub(super) fn save_last(&mut self, weights: &Weights, folder: &RunFolder, planned: bool) -> Result<()> {
        let (last, apart) = (folder.last(), folder.planned());
        if planned {
            self.counters.between = false;
        } else if !self.counters.between {
            let bytes = fs::read(&last).map_err(TrainError::io(&last))?;
            write_whole(&apart, |out| out.write_all(&bytes)).map_err(TrainError::io(&apart))?;
            self.counters.between = true;
        }
        self.save(weights, &last)?;
        // From here on nothing counts on what the checkpoint before counted on.
        let best = self.counters.best.map(|(step, _)| folder.best(step));
        folder.forget(&|path| {
            (path == apart && planned) || (folder.is_best(path) && Some(path) != best.as_deref())
        });
        Ok(())
    }
}

/// Writes a model's weights alone, and which of them another model filled.
pub(crate) fn save_weights(weights: &Weights, filled: &[WeightId], path: &Path) -> Result<()> {
    let mut file = TensorWriter::default();
    let named = weights.iter().filter(|(id, _)| filled.contains(id)).map(|(_, weight)| weight.path());
    file.header("filled", named.collect::<Vec<_>>().join("\n"));
    weights.kept().for_each(|(_, weight)| file.weight("weights", weight));
    Ok(file.save(path)?)
}

/// Reads weights alone, and which of them another model filled; `like` says what they are.
pub(crate) fn load_weights(like: &Weights, path: &Path) -> Result<(Weights, Vec<WeightId>)> {
    let mut file = TensorFile::load(path)?;
    let mut weights = like.clone();
    take_kept(&mut file, "weights", &mut weights)
        .map_err(|what| TrainError::Checkpoint { path: path.into(), what })?;
    let named: Vec<&str> = file.header.get("filled").map(|names| names.lines().collect()).unwrap_or_default();
    let filled = weights.iter().filter(|(_, weight)| named.contains(&weight.path())).map(|(id, _)| id);
    let filled = filled.collect();
    Ok((weights, filled))
}
