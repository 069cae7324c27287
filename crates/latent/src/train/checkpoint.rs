//! Everything that a run is at one step, in one file: to go on from there as if nothing had happened.
//!
//! Noise is keyed by step and row, so the state is small: weights, moments, average, a few counters, and how long
//! `metrics.jsonl` was. The best weights lie in a file of their own, named by their step, which lives for as long as the
//! last checkpoint counts on it: at any moment the files on disk fit together.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::Result;
use super::error::TrainError;
use super::folder::RunFolder;
use crate::device::host;
use crate::files::write_whole;
use crate::optimizer::{MODEL, Moments, Optimizer, Player};
use crate::store::{StoreError, TensorFile, TensorWriter, read_header, take_kept, take_weights};
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
        let (counters, _) = read_counters(&read_header(path)?, path)?;
        Ok(counters)
    }

    /// Those of a folder's last checkpoint, or of the one before it where that cannot be read.
    ///
    /// # Errors
    /// As [`Counters::load`], where neither can be read.
    pub fn of(folder: &RunFolder) -> Result<Self> {
        let older = [folder.planned(), folder.previous()];
        Self::load(&folder.last())
            .or_else(|error| older.iter().find_map(|path| Self::load(path).ok()).ok_or(error))
    }
}

/// The counters and each player's steps, from a file's header.
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
        file.header("kernels", latent_kernels::instructions());
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
                for (name, tensor) in [("first", Some(&moments.first)), ("second", moments.second.as_ref())] {
                    let Some(tensor) = tensor else { continue };
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
                if let Some(first) = take("first") {
                    optimizer.moments.insert(id, Moments { first, second: take("second") });
                }
            }
            optimizers.insert(player, optimizer);
        }
        Ok(Self { counters, optimizers, average, best: None, kept })
    }

    /// Makes this the folder's last checkpoint, of a run that is over.
    pub(super) fn save_finished(&self, weights: &Weights, folder: &RunFolder) -> Result<()> {
        if !self.counters.between {
            keep_as(&folder.last(), &folder.previous()).map_err(TrainError::io(&folder.previous()))?;
        }
        self.save(weights, &folder.last())
    }

    /// Makes this the folder's last checkpoint. A planned one is what the guard goes back to; the planned one before it is
    /// kept, should the last become unreadable.
    pub(super) fn save_last(&mut self, weights: &Weights, folder: &RunFolder, planned: bool) -> Result<()> {
        let (last, apart, previous) = (folder.last(), folder.planned(), folder.previous());
        let was_between = self.counters.between;
        if planned {
            self.counters.between = false;
            if !was_between && last.exists() {
                keep_as(&last, &previous).map_err(TrainError::io(&previous))?;
            }
        } else if !was_between {
            keep_as(&last, &apart).map_err(TrainError::io(&apart))?;
            self.counters.between = true;
        }
        self.save(weights, &last)?;
        if planned && was_between {
            fs::rename(&apart, &previous).map_err(TrainError::io(&previous))?;
        }
        // Nothing counts any more on what older checkpoints counted on.
        let best = |counters: &Counters| counters.best.map(|(step, _)| folder.best(step));
        let before = Counters::load(&previous).ok();
        let counted: Vec<PathBuf> =
            [Some(&self.counters), before.as_ref()].into_iter().flatten().filter_map(best).collect();
        folder.forget(&|path| {
            (path == apart && planned) || (folder.is_best(path) && !counted.iter().any(|kept| kept == path))
        });
        Ok(())
    }

    /// The folder's last checkpoint; where that cannot be read the one before it, which gives the same run, and why.
    ///
    /// # Errors
    /// Why the last one cannot be read, where there is none before it that can.
    pub(super) fn load_last(folder: &RunFolder, weights: &mut Weights) -> Result<(Self, Option<String>)> {
        let damaged = match Self::load(&folder.last(), weights) {
            Ok(state) => return Ok((state, None)),
            Err(error @ TrainError::Store(StoreError::Malformed { .. } | StoreError::Read { .. })) => error,
            Err(other) => return Err(other),
        };
        let older = [folder.planned(), folder.previous()].into_iter().filter(|path| path.exists());
        for path in older {
            if let Ok(mut state) = Self::load(&path, weights) {
                // The guard goes back to what has this name.
                state.counters.between = false;
                keep_as(&path, &folder.last()).map_err(TrainError::io(&folder.last()))?;
                return Ok((state, Some(damaged.to_string())));
            }
        }
        Err(damaged)
    }
}

/// Gives a file a second name in place of what has that name now. Neither name is ever without a whole file.
fn keep_as(path: &Path, name: &Path) -> io::Result<()> {
    let mut beside = name.as_os_str().to_os_string();
    beside.push(format!(".{}.tmp", std::process::id()));
    let beside = PathBuf::from(beside);
    let _ = fs::remove_file(&beside);
    // Not every file system has links.
    if fs::hard_link(path, &beside).is_ok() {
        let renamed = fs::rename(&beside, name);
        // Where both are the same file already, a rename leaves both names.
        let _ = fs::remove_file(&beside);
        return renamed;
    }
    let bytes = fs::read(path)?;
    write_whole(name, |out| out.write_all(&bytes))
}

/// The instructions that took the steps of a checkpoint: others round otherwise. None where it doesn't say.
pub(crate) fn kernels_of(path: &Path) -> Option<String> {
    read_header(path).ok()?.header.remove("kernels")
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;
    use crate::key::Key;
    use crate::weights::{Init, Initial};

    #[test]
    fn a_second_name_is_given_again_and_nothing_is_left_beside() {
        let folder = tempfile::tempdir().unwrap();
        let (last, previous) = (folder.path().join("last"), folder.path().join("previous"));
        fs::write(&last, "weights").unwrap();
        fs::write(&previous, "older ones").unwrap();
        for _ in 0..2 {
            keep_as(&last, &previous).unwrap();
            assert_eq!(fs::read(&previous).unwrap(), b"weights");
            assert_eq!(folder.path().read_dir().unwrap().count(), 2);
        }
    }

    /// 64 bits from four uniform numbers, each good for 16.
    fn bits(key: Key) -> u64 {
        let mut u = [0.0f32; 4];
        key.uniforms(&mut u);
        u.iter().fold(0, |bits, u| (bits << 16) | u64::from((u * 65536.0) as u16))
    }

    /// A finite number of any size, subnormal ones too.
    fn number(key: Key) -> f64 {
        let found = (0u64..).map(|try_| f64::from_bits(bits(key.fold(try_)))).find(|v| v.is_finite());
        found.unwrap_or_default()
    }

    fn single(key: Key) -> f32 {
        let found = (0u64..).map(|try_| f32::from_bits(bits(key.fold(try_)) as u32)).find(|v| v.is_finite());
        found.unwrap_or_default()
    }

    /// A loss that comes back changed in its last bit is no longer the best one, or is for ever.
    #[test]
    fn a_checkpoint_comes_back_to_the_last_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        for round in 0..200u64 {
            let key = Key::from_seed(round);
            let mut weights = Weights::new(&Device::cpu());
            let mut init = Init::new(&mut weights, key);
            let id = init.weight("w", &[3, 2], Initial::Constant(0.0));
            init.buffer("b", &[4], Initial::Constant(0.0));
            let values = |name: &str, n: usize| -> Vec<f32> {
                (0..n).map(|i| single(key.fold(name).fold(i))).collect()
            };
            weights.set_values(id, values("w", 6));
            let mut state = State::new(&[Player::model()]);
            state.counters = Counters {
                step: bits(key.fold("step")) >> 12,
                total: bits(key.fold("total")) >> 12,
                best: (round % 3 != 0).then(|| (round, number(key.fold("best")))),
                since_best: round,
                rate_factor: number(key.fold("rate")),
                skipped: vec![round, bits(key.fold("skipped"))],
                findings: vec![format!("NaN in \"weight {round}\"\n at once")],
                metrics_bytes: bits(key.fold("bytes")),
                stopped_early: round % 2 == 0,
                finished: round % 5 == 0,
                between: round % 7 == 0,
            };
            let device = weights.device().clone();
            let moment = |name: &str| device.tensor(values(name, 6), [6]);
            let moments = Moments { first: moment("m"), second: (round % 2 == 0).then(|| moment("v")) };
            if let Some(optimizer) = state.optimizers.get_mut(MODEL) {
                optimizer.steps = bits(key.fold("steps")) >> 12;
                optimizer.moments.insert(id, moments.clone());
            }
            let mut average = weights.clone();
            average.set_values(id, values("average", 6));
            state.average = Some(average.clone());
            state.save(&weights, &path).unwrap();

            let mut back = weights.clone();
            back.set_values(id, vec![0.0; 6]);
            let read = State::load(&path, &mut back).unwrap();
            assert_eq!(read.counters, state.counters, "round {round}");
            let same =
                |a: Vec<f32>, b: Vec<f32>| a.iter().map(|v| v.to_bits()).eq(b.iter().map(|v| v.to_bits()));
            let all = |weights: &Weights| weights.iter().flat_map(|(_, w)| w.values()).collect::<Vec<f32>>();
            assert!(same(all(&back), all(&weights)), "round {round}: weights");
            assert!(same(all(read.average.as_ref().unwrap()), all(&average)), "round {round}: average");
            let optimizer = &read.optimizers[MODEL];
            assert_eq!(optimizer.steps, state.optimizers[MODEL].steps);
            assert!(same(host(&optimizer.moments[&id].first), host(&moments.first)), "round {round}: m");
            let v = |moments: &Moments| moments.second.as_ref().map_or_else(Vec::new, host);
            assert!(same(v(&optimizer.moments[&id]), v(&moments)), "round {round}: v");
        }
    }
}
