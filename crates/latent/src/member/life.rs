//! The life of a member: what moves other than by gradients.
//!
//! *Start*, from data, before the first step: pseudo-inputs, codebooks, scales that data sets. *Follow*, after each step:
//! moving averages of what the member recorded. *Freeze*, on the weights that are kept: statistics of the whole training
//! data in the place of averages. Everything that moves is a buffer in [`Weights`], so every checkpoint holds it.

use std::any::Any;
use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::Mode;
use crate::array::Array;
use crate::batch::Batch;
use crate::data::DataError;
use crate::device::host_f64;
use crate::key::Key;
use crate::weights::{WeightId, Weights};

/// How far training has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The step about to be taken, from 0.
    pub step: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Steps in the whole run.
    pub total: u64,
}

impl Progress {
    /// How much of the run is still to come, from 1 to 0.
    pub fn left(&self) -> f64 {
        1.0 - (self.step as f64 / self.total.max(1) as f64).min(1.0)
    }
}

/// What a member does beside being called. Nothing, unless it says so.
pub trait Life: Any + Send + Sync {
    /// Before the first step of a run (never on resume): sets its own arrays from training rows.
    ///
    /// # Errors
    /// What reading rows says.
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let _ = start;
        Ok(())
    }

    /// After each step: moves its own buffers towards what it recorded.
    fn follow(&self, weights: &mut Weights, kept: &Kept, at: Progress) {
        let _ = (weights, kept, at);
    }

    /// After the last step: sets its own buffers from every training row.
    ///
    /// # Errors
    /// What reading rows says.
    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        let _ = freeze;
        Ok(())
    }
}

/// So many training rows, in a keyed choice.
pub(crate) type SomeRows<'a> = dyn Fn(usize, Key) -> Result<Batch, DataError> + 'a;

/// The encoder's outputs for rows, or the centres of their posteriors.
pub(crate) type Encoded<'a> = dyn Fn(&Weights, &Batch) -> Tensor<2> + 'a;

/// Codes that some rows shall have, from the first step on.
#[derive(Clone, Debug)]
pub struct Lesson {
    /// What the decoder sees, `[n, dims]`.
    pub codes: Array,
    /// What the encoder shall give for them, `[n, outputs]`.
    pub heads: Array,
    /// What the codes say of the rows, `[n, features]`.
    pub x: Array,
}

/// Teaches both networks.
pub(crate) type Teach<'a> = dyn Fn(&mut Weights, &[WeightId], &Batch, &Lesson) + 'a;

/// What a member may look at before the first step.
pub struct Start<'a> {
    /// The weights, its own to be set.
    pub weights: &'a mut Weights,
    /// What the choice of rows descends from.
    pub key: Key,
    pub(crate) rows: &'a SomeRows<'a>,
    pub(crate) encoded: &'a Encoded<'a>,
    /// The centre of q of rows, `[n, dims]`, whole codes also for a member that has a part of them.
    pub(crate) codes: &'a Encoded<'a>,
    pub(crate) teach: Option<&'a Teach<'a>>,
    pub(crate) filled: &'a [WeightId],
}

impl Start<'_> {
    /// `count` training rows, drawn without replacement (fewer where there are not so many).
    ///
    /// # Errors
    /// What reading them says.
    pub fn rows(&self, count: usize) -> Result<Batch, DataError> {
        (self.rows)(count, self.key)
    }

    /// The encoder's outputs for these rows, `[n, outputs]`.
    pub fn encoded(&self, batch: &Batch) -> Tensor<2> {
        (self.encoded)(self.weights, batch)
    }

    /// Teaches encoder and decoder that these rows have these codes, as far as their last layers can know it. A member that has
    /// a part of the code alone teaches nothing.
    pub fn teach(&mut self, batch: &Batch, lesson: &Lesson) {
        if let Some(teach) = self.teach {
            teach(self.weights, self.filled, batch, lesson);
        }
    }

    /// The same for a member that gets these columns of the encoder's outputs.
    pub(crate) fn inside<T>(
        &mut self,
        columns: std::ops::Range<usize>,
        start: impl FnOnce(&mut Start<'_>) -> T,
    ) -> T {
        let whole = self.encoded;
        let encoded =
            |weights: &Weights, batch: &Batch| whole(weights, batch).narrow(1, columns.start, columns.len());
        start(&mut Start {
            weights: self.weights,
            key: self.key,
            rows: self.rows,
            encoded: &encoded,
            codes: self.codes,
            teach: None,
            filled: self.filled,
        })
    }

    /// Whether another model's weights have filled this array already: it stays as it is.
    pub fn is_filled(&self, id: WeightId) -> bool {
        self.filled.contains(&id)
    }
}

/// Every training row once, through the model in that mode.
pub(crate) type WholePass<'a> = dyn FnMut(&Weights, Mode) -> Result<Kept, DataError> + 'a;

/// The decoder's outputs for the codes of so many training rows.
pub(crate) type Decoded<'a> = dyn Fn(&Weights, usize) -> Result<Option<Tensor<2>>, DataError> + 'a;

/// What a member may look at after the last step.
pub struct Freeze<'a> {
    /// The weights that are kept.
    pub weights: &'a mut Weights,
    pub(crate) pass: &'a mut WholePass<'a>,
    /// The centre of q of rows, `[n, dims]`.
    pub(crate) codes: &'a Encoded<'a>,
    pub(crate) decoded: &'a Decoded<'a>,
}

impl Freeze<'_> {
    /// What the decoder gives for the codes of some training rows, one draw of q each, `[n, outputs]`: of all of them, or of
    /// `most` at least, evenly from the first to the last.
    ///
    /// # Errors
    /// What reading rows says.
    pub fn decoded(&self, most: usize) -> Result<Option<Tensor<2>>, DataError> {
        (self.decoded)(self.weights, most)
    }

    /// Every training row once, one draw of q each, through the model in that mode: what was recorded on the way.
    ///
    /// # Errors
    /// What reading rows says.
    pub fn pass(&mut self, mode: Mode) -> Result<Kept, DataError> {
        (self.pass)(self.weights, mode)
    }
}

/// What members recorded, by name: sums with their counts.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    rows: BTreeMap<String, Vec<(Tensor<1>, Option<Tensor<1>>)>>,
    sums: BTreeMap<String, Tensor<1>>,
    firsts: BTreeMap<String, Tensor<1>>,
}

impl Kept {
    pub(super) fn push_rows(&mut self, name: &str, values: Tensor<1>, weight: Option<Tensor<1>>) {
        self.rows.entry(name.into()).or_default().push((values, weight));
    }

    pub(super) fn add(&mut self, name: &str, totals: Tensor<1>) {
        let sum = match self.sums.remove(name) {
            Some(sum) => sum + totals,
            None => totals,
        };
        self.sums.insert(name.into(), sum);
    }

    pub(super) fn put(&mut self, name: &str, value: Tensor<1>) {
        self.firsts.entry(name.into()).or_insert(value);
    }

    /// Adds what another part of the same batch recorded.
    pub fn merge(&mut self, other: Self) {
        for (name, parts) in other.rows {
            self.rows.entry(name).or_default().extend(parts);
        }
        other.sums.into_iter().for_each(|(name, totals)| self.add(&name, totals));
        other.firsts.into_iter().for_each(|(name, value)| self.put(&name, value));
    }

    /// The mean over rows, `[1]`; none where nothing was recorded under that name.
    pub fn mean(&self, name: &str) -> Option<Tensor<1>> {
        match self.rows.get(name)?.as_slice() {
            [(values, None)] => Some(values.clone().mean()),
            parts => {
                let weighed = |(values, weight): &(Tensor<1>, Option<Tensor<1>>)| match weight {
                    Some(weight) => ((values.clone() * weight.clone()).sum(), weight.clone().sum()),
                    None => (values.clone().sum(), values.ones_like().sum()),
                };
                let (sum, count) =
                    parts.iter().map(weighed).reduce(|(sum, count), (s, c)| (sum + s, count + c))?;
                // Rows that count for nothing together have a mean of 0.
                Some(sum / count.clamp_min(1e-30))
            }
        }
    }

    /// The same mean, summed in double precision on the host.
    pub fn mean_on_host(&self, name: &str) -> Option<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (values, weight) in self.rows.get(name)? {
            let values = host_f64(values);
            match weight.as_ref().map(host_f64) {
                Some(weight) => {
                    sum += values.iter().zip(&weight).map(|(v, w)| v * w).sum::<f64>();
                    count += weight.iter().sum::<f64>();
                }
                None => {
                    sum += values.iter().sum::<f64>();
                    count += values.len() as f64;
                }
            }
        }
        (count > 0.0).then(|| sum / count)
    }

    /// The totals under that name.
    pub fn sum(&self, name: &str) -> Option<Tensor<1>> {
        self.sums.get(name).cloned()
    }

    /// The first value under that name.
    pub fn first(&self, name: &str) -> Option<Tensor<1>> {
        self.firsts.get(name).cloned()
    }
}
