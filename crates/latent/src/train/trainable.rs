//! What the loop trains: anything with weights, players and losses.

use std::fmt;

use burn::tensor::Tensor;

use crate::batch::Batch;
use crate::error::Result;
use crate::key::Key;
use crate::objective::{Loss, Progress};
use crate::train::OptimizerSettings;
use crate::weights::Weights;

/// Who moves: some of the weights, by an optimiser, on its own loss, every so many steps.
pub struct Player {
    /// Its name in logs; empty for a single player.
    pub name: String,
    /// Which weights it moves, by path.
    pub moves: fn(&str) -> bool,
    /// How it moves them; none for the run's own optimiser.
    pub optimizer: Option<OptimizerSettings>,
    /// It moves when the step is a multiple of this, and sits the others out.
    pub every: u64,
}

/// When a loss is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// How far training has come; none for validation, which sees final weights of terms.
    pub progress: Option<Progress>,
    /// The key of this step, or of validation: fixed noise.
    pub key: Key,
}

/// Something that the loop can train. The loop knows no paper; what is special about one is in these hooks.
pub trait Trainable: Send {
    /// The weights.
    fn weights(&self) -> &Weights;

    /// The weights, to be moved.
    fn weights_mut(&mut self) -> &mut Weights;

    /// Who moves, in turn.
    fn players(&self) -> Vec<Player>;

    /// The loss of a player on a batch, under `weights` (the model's own, tracked, averaged or stored).
    fn loss(&self, player: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss>;

    /// Named numbers of a validation batch beyond the terms, such as the rate of each dimension: means over the batch.
    fn diagnostics(&self, weights: &Weights, batch: &Batch, key: Key) -> Result<Vec<(String, Vec<f32>)>> {
        let _ = (weights, batch, key);
        Ok(Vec::new())
    }

    /// Whether every weight of a term is where it will end; the best checkpoint counts from then on.
    fn settled(&self, progress: Progress) -> bool {
        let _ = progress;
        true
    }

    /// Before the first step (not on resume).
    fn before_training(&mut self, first: &Batch) -> Result<()> {
        let _ = first;
        Ok(())
    }

    /// After each step: state that is not a gradient's moves here. `kept` is what the step's losses kept.
    fn after_step(&mut self, batch: &Batch, moment: Moment, kept: Vec<Tensor<1>>) -> Result<()> {
        let _ = (batch, moment, kept);
        Ok(())
    }

    /// After each epoch.
    fn after_epoch(&mut self, epoch: u64) -> Result<()> {
        let _ = epoch;
        Ok(())
    }

    /// After the last step, on the weights that are kept, with every training batch once.
    fn after_training(&mut self, batches: &mut dyn Iterator<Item = Result<Batch>>, key: Key) -> Result<()> {
        let _ = (batches, key);
        Ok(())
    }

    /// Named tensors of a replayed step in the order in which they arise, rows first: where the first bad number is
    /// looked for.
    fn trace(&self, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Vec<Traced>>;
}

/// A named tensor on the host, `rows × width`.
#[derive(Clone, Debug)]
pub struct Traced {
    /// What it is.
    pub name: String,
    /// Row-major.
    pub values: Vec<f32>,
    /// Numbers in a row; 0 where its rows are not those of the batch.
    pub width: usize,
}

/// Where the first bad number was.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// Which tensor.
    pub tensor: String,
    /// At which step.
    pub step: u64,
    /// In which rows of the data, ten at most; empty where the tensor has no rows.
    pub rows: Vec<u64>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "first in `{}` at step {}", self.tensor, self.step)?;
        if !self.rows.is_empty() {
            let rows: Vec<String> = self.rows.iter().map(u64::to_string).collect();
            write!(f, ", rows {}", rows.join(", "))?;
        }
        Ok(())
    }
}
