//! One call of a member: with which weights, in which mode, for which rows.

use std::sync::{Mutex, PoisonError};

use burn::tensor::Tensor;

use super::Kept;
use crate::batch::{Given, Noise};
use crate::device::untracked;
use crate::key::Key;
use crate::weights::Weights;

/// What a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Surrogate gradients, batch statistics and dropout are in force.
    Training,
    /// A model as it is used.
    Evaluation,
}

impl Mode {
    /// Whether it is [`Mode::Training`].
    pub fn is_training(self) -> bool {
        self == Self::Training
    }
}

/// What a network is called with beside its input.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The numbers.
    pub weights: &'a Weights,
    /// What for.
    pub mode: Mode,
    /// What noise inside descends from: the key of the step, folded with who is called.
    pub key: Key,
    /// Which rows these are, and what is known of them. The input has `k` draws of them, draw-major.
    pub given: Given<'a>,
    /// Where statistics go, if anybody wants them.
    pub record: Option<&'a Recorder>,
}

impl<'a> Call<'a> {
    /// Evaluation of rows without a condition.
    pub fn evaluation(weights: &'a Weights) -> Self {
        Self { weights, mode: Mode::Evaluation, key: Key::from_seed(0), given: Given::none(), record: None }
    }

    /// Noise for the rows of this call under a name, such as a layer's path.
    pub fn noise(&self, name: &str) -> Noise<'a> {
        Noise::new(self.key.fold(name), self.given.ids)
    }
}

/// Takes what members want to follow, by name, from wherever they are called.
#[derive(Debug, Default)]
pub struct Recorder(Mutex<Kept>);

impl Recorder {
    /// A statistic of each row, `[rows]`, of which the mean counts; `weight` is how much each row does.
    pub fn rows(&self, name: &str, values: Tensor<1>, weight: Option<&Tensor<1>>) {
        self.with(|kept| kept.push_rows(name, untracked(values), weight.cloned()));
    }

    /// Totals over the rows of the call, of any length: they add up over the parts of a batch.
    pub fn sum(&self, name: &str, totals: Tensor<1>) {
        self.with(|kept| kept.add(name, untracked(totals)));
    }

    /// A value of which the first counts.
    pub fn first(&self, name: &str, value: Tensor<1>) {
        self.with(|kept| kept.put(name, untracked(value)));
    }

    /// What was taken.
    pub fn into_kept(self) -> Kept {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, change: impl FnOnce(&mut Kept)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
