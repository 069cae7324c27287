//! What the loop trains: anything with weights, players and losses.

use std::collections::BTreeMap;
use std::fmt;

use super::error::Result;
use crate::batch::Batch;
use crate::data::DataError;
use crate::key::Key;
use crate::member::{Kept, Progress};
use crate::objective::Loss;
use crate::optimizer::Player;
use crate::weights::Weights;

/// When a loss is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// How far training has come; none for validation, which sees final weights of terms.
    pub progress: Option<Progress>,
    /// The key of this step, or of validation: fixed noise.
    pub key: Key,
}

/// So many training rows, in a keyed choice.
pub type SomeRows<'a> = dyn Fn(usize, Key) -> Result<Batch, DataError> + 'a;

/// Every training row once, a batch at a time.
pub type EachBatch<'a> = dyn Fn(&mut dyn FnMut(&Batch)) -> Result<(), DataError> + 'a;

/// Something that the loop can train. The loop knows no paper; what is special about one is in these hooks.
pub trait Trainable: Send {
    /// The weights.
    fn weights(&self) -> &Weights;

    /// The weights, to be moved.
    fn weights_mut(&mut self) -> &mut Weights;

    /// Who moves, in turn; the first one's loss is what validation judges by.
    fn players(&self) -> Vec<Player> {
        vec![Player::model()]
    }

    /// The loss of a player on a batch, under `weights` (the model's own, tracked, averaged or stored).
    ///
    /// # Errors
    /// What keeps it from being computed.
    fn loss(&self, player: &Player, weights: &Weights, batch: &Batch, moment: Moment) -> Result<Loss>;

    /// Named numbers of a validation batch beyond the terms, such as the rate of each dimension: means over the batch.
    ///
    /// # Errors
    /// What keeps them from being computed.
    fn diagnostics(&self, weights: &Weights, batch: &Batch, key: Key) -> Result<Vec<(String, Vec<f32>)>> {
        let _ = (weights, batch, key);
        Ok(Vec::new())
    }

    /// Whether every weight of a term is where it will end; the best checkpoint counts from then on.
    fn settled(&self, progress: Progress) -> bool {
        let _ = progress;
        true
    }

    /// Before the first step (not on resume): what members set from data.
    ///
    /// # Errors
    /// What reading rows says.
    fn start(&mut self, rows: &SomeRows<'_>, key: Key) -> Result<()> {
        let _ = (rows, key);
        Ok(())
    }

    /// After each step: state that is not a gradient's moves here. `kept` is what members recorded in the losses of each
    /// player that moved.
    fn follow(&mut self, kept: &BTreeMap<String, Kept>, at: Progress) {
        let _ = (kept, at);
    }

    /// After the last step, on the weights that are kept: what members set from all training rows.
    ///
    /// # Errors
    /// What reading rows says.
    fn freeze(&mut self, batches: &EachBatch<'_>, key: Key) -> Result<()> {
        let _ = (batches, key);
        Ok(())
    }

    /// Named tensors of a replayed step in the order in which they arise, rows first: where the first bad number is
    /// looked for.
    ///
    /// # Errors
    /// What keeps them from being computed.
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
