//! Everything that a run is at one step, in one file: to go on from there as if nothing had happened.
//!
//! Noise is keyed by step and row, so the state is small: weights, moments, average, a few counters, and how long
//! `metrics.jsonl` was.

use std::path::Path;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::error::TrainError;
use super::optimizer::{Moments, Optimizer};
use crate::array::Array;
use crate::error::Result;
use crate::store::TensorFile;
use crate::weights::Weights;

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
    /// Steps whose batch is kept out.
    pub skipped: Vec<u64>,
    /// What the guard found, in order.
    pub findings: Vec<String>,
    /// Bytes of `metrics.jsonl` that belong to the steps taken.
    pub metrics_bytes: u64,
    /// Whether the run stopped early.
    pub stopped_early: bool,
    /// Whether the run is over and its model written.
    pub finished: bool,
}

/// A run at one step.
#[derive(Clone, Debug)]
pub struct State {
    /// The counters.
    pub counters: Counters,
    /// One optimiser for each player.
    pub optimizers: Vec<Optimizer>,
    /// The moving average of the weights.
    pub average: Option<Weights>,
}

/// The format of the checkpoint file.
const FORMAT: &str = "latent-checkpoint-1";

impl State {
    /// Before the first step.
    pub fn new(players: usize) -> Self {
        Self {
            counters: Counters { rate_factor: 1.0, ..Counters::default() },
            optimizers: vec![Optimizer::default(); players],
            average: None,
        }
    }

    /// Writes the state and the weights.
    pub fn save(&self, weights: &Weights, path: &Path) -> Result<()> {
        let mut file = TensorFile::default();
        file.header.insert("format".into(), FORMAT.into());
        let steps: Vec<u64> = self.optimizers.iter().map(|o| o.steps).collect();
        let text = serde_json::to_string(&(&self.counters, steps))
            .map_err(|error| TrainError::Checkpoint { path: path.into(), what: error.to_string() })?;
        file.header.insert("state".into(), text);
        put_weights(&mut file, "weights", weights);
        if let Some(average) = &self.average {
            put_weights(&mut file, "average", average);
        }
        for (player, optimizer) in self.optimizers.iter().enumerate() {
            for (id, weight) in weights.iter() {
                let Some(moments) = optimizer.moments.get(&id) else { continue };
                for (name, tensor) in [("first", &moments.first), ("second", &moments.second)] {
                    let values = crate::device::host(tensor);
                    let array = Array { shape: vec![values.len()], values };
                    file.arrays.insert(format!("{name}/{player}/{}", weight.path()), array);
                }
            }
        }
        Ok(file.save(path)?)
    }

    /// Reads a state, and its weights into `weights`.
    pub fn load(path: &Path, weights: &mut Weights) -> Result<Self> {
        let file = TensorFile::load(path)?;
        let wrong = |what: String| TrainError::Checkpoint { path: path.into(), what };
        if file.header("format", path)? != FORMAT {
            return Err(wrong(format!(
                "not a checkpoint of this version ({})",
                file.header("format", path)?
            ))
            .into());
        }
        let (counters, steps): (Counters, Vec<u64>) =
            serde_json::from_str(file.header("state", path)?).map_err(|error| wrong(error.to_string()))?;
        let average = file.arrays.keys().any(|name| name.starts_with("average/")).then(|| weights.clone());
        let average = match average {
            Some(mut average) => {
                take_weights(&file, "average", &mut average).map_err(wrong)?;
                Some(average)
            }
            None => None,
        };
        take_weights(&file, "weights", weights).map_err(wrong)?;
        let mut optimizers = Vec::new();
        for (player, steps) in steps.into_iter().enumerate() {
            let mut optimizer = Optimizer { steps, ..Optimizer::default() };
            for (id, weight) in weights.iter() {
                let find = |name: &str| -> Option<Tensor<1>> {
                    let array = file.arrays.get(&format!("{name}/{player}/{}", weight.path()))?;
                    let n = array.values.len();
                    (n == weight.shape().iter().product::<usize>())
                        .then(|| weights.device().tensor(array.values.clone(), [n]))
                };
                if let (Some(first), Some(second)) = (find("first"), find("second")) {
                    optimizer.moments.insert(id, Moments { first, second });
                }
            }
            optimizers.push(optimizer);
        }
        Ok(Self { counters, optimizers, average })
    }
}

/// Puts every array of `weights` under `prefix/path`.
pub(crate) fn put_weights(file: &mut TensorFile, prefix: &str, weights: &Weights) {
    for (_, weight) in weights.iter() {
        let array = Array { shape: weight.shape().to_vec(), values: weight.values() };
        file.arrays.insert(format!("{prefix}/{}", weight.path()), array);
    }
}

/// Reads every array of `weights` back; what is missing or has another shape is said.
pub(crate) fn take_weights(file: &TensorFile, prefix: &str, weights: &mut Weights) -> Result<(), String> {
    let known: Vec<_> =
        weights.iter().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
    for (id, path, shape) in known {
        let array = file
            .arrays
            .get(&format!("{prefix}/{path}"))
            .ok_or_else(|| format!("the array `{path}` is missing"))?;
        if array.shape != shape {
            return Err(format!("the array `{path}` is {:?} and the model's is {shape:?}", array.shape));
        }
        weights.set_values(id, array.values.clone());
    }
    Ok(())
}
