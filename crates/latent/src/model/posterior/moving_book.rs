//! A book that follows the vectors nearest to its codes by moving averages.
//!
//! N_i ← γ N_i + (1 − γ) n_i,  m_i ← γ m_i + (1 − γ) Σ f(x) of those nearest to i,  e_i = m_i / N_i
//!
//! It starts as the k-means centres of the encoder's outputs; codes that nothing is near to are revived as vectors of rows chosen
//! by key.
//!
//! References: van den Oord, Vinyals & Kavukcuoglu (arXiv 1711.00937), appendix A.1; Razavi, van den Oord & Vinyals (arXiv
//! 1906.00446); revival as in Zeghidour et al. (arXiv 2107.03312).

use burn::tensor::{Int, Tensor, TensorData};

use crate::array::Array;
use crate::config::ConfigError;
use crate::device::host;
use crate::key::Key;
use crate::member::{Kept, Recorder};
use crate::nearest::k_means;
use crate::weights::{Init, Initial, WeightId, Weights};

/// Counts are kept this far from 0.
const LEAST_COUNT: f64 = 1e-5;

/// Vectors that k-means starts from, for each code.
pub(super) const START_VECTORS: usize = 32;

/// Training rows that the start reads, at most.
pub(super) const START_ROWS: usize = 4096;

/// How the book moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// γ
    pub decay: f64,
    /// A code whose moving count falls below this is revived.
    pub revive: f64,
}

impl Pace {
    /// # Errors
    /// [`ConfigError::Value`] with the key `decay` or `revive`.
    pub fn check(self) -> Result<(), ConfigError> {
        if !(0.0..1.0).contains(&self.decay) {
            let what = format!("{} is not a decay", self.decay);
            return Err(ConfigError::value("decay", what, "give a number in [0, 1), such as 0.99"));
        }
        if !(self.revive.is_finite() && self.revive >= 0.0) {
            let what = format!("{} is not a count", self.revive);
            return Err(ConfigError::value("revive", what, "give a number from 0; 0 revives none"));
        }
        Ok(())
    }
}

/// The book, with what it follows.
pub(super) struct MovingBook {
    codes: usize,
    width: usize,
    /// e, `[K, width]`
    pub book: WeightId,
    /// N, `[K]`
    counts: WeightId,
    /// m, `[K, width]`
    sums: WeightId,
    /// What counts, sums and candidates for a revival are recorded as.
    names: [String; 3],
    pace: Pace,
}

impl MovingBook {
    /// `codes` vectors of `width` numbers.
    pub fn init(codes: usize, width: usize, pace: Pace, init: &mut Init<'_>) -> Self {
        let shape = [codes, width];
        let names = ["counts", "sums", "candidates"].map(|name| init.path(name));
        let book = init.buffer("book", &shape, Initial::Normal(1.0));
        let mut training = init.training_only();
        let counts = training.buffer("counts", &[codes], Initial::Constant(1.0));
        let sums = training.buffer("sums", &shape, Initial::Constant(0.0));
        Self { codes, width, book, counts, sums, names, pace }
    }

    /// K
    pub fn codes(&self) -> usize {
        self.codes
    }

    /// What the book follows: vectors `[m, width]` with the codes that they are nearest to, `[m]`. `key` chooses whom the dead are
    /// revived as.
    pub fn record(&self, record: Option<&Recorder>, key: Key, vectors: &Tensor<2>, index: &Tensor<1>) {
        let Some(record) = record else { return };
        let [m, width] = vectors.dims();
        let codes = self.codes;
        let device = crate::device::Device::of(vectors);
        let vectors = vectors.clone().detach();
        let mut one_hot = vec![0.0; m * codes];
        for (row, code) in host(index).into_iter().enumerate() {
            one_hot[row * codes + (code as usize).min(codes - 1)] = 1.0;
        }
        let one_hot = device.tensor::<2>(one_hot, [m, codes]);
        record.sum(&self.names[0], one_hot.clone().sum_dim(0).reshape([codes]));
        let sums = one_hot.transpose().matmul(crate::device::untracked(vectors.clone()));
        record.sum(&self.names[1], sums.reshape([codes * width]));
        // As many of the batch's vectors as there are codes, over and over where it has fewer.
        let order = key.fold("revive").permutation(m);
        let chosen: Vec<i32> = (0..codes).map(|code| order[code % m.max(1)] as i32).collect();
        let chosen = Tensor::<1, Int>::from_data(TensorData::new(chosen, [codes]), &vectors.device());
        record.first(&self.names[2], vectors.select(0, chosen).reshape([codes * width]));
    }

    /// Starts as the k-means centres of these vectors.
    pub fn start(&self, weights: &mut Weights, vectors: &Tensor<2>, key: Key) {
        let width = self.width;
        let mut values = k_means(&Array::matrix(host(vectors), width), self.codes, key).values;
        // Fewer vectors than codes: the rest repeats them, a little apart.
        let (missing, known) = (self.codes * width - values.len(), values.len().max(1));
        let mut noise = vec![0.0; missing];
        key.fold("apart").normals(&mut noise);
        for (place, noise) in noise.into_iter().enumerate() {
            let value = values.get(place % known).copied().unwrap_or(0.0);
            values.push(value + 0.01 * noise);
        }
        weights.set_values(self.sums, values.clone());
        weights.set_values(self.book, values);
        weights.set_values(self.counts, vec![1.0; self.codes]);
    }

    /// Moves towards what was recorded, and revives.
    pub fn follow(&self, weights: &mut Weights, kept: &Kept) {
        let [counts, sums, candidates] = &self.names;
        let (Some(n), Some(new), Some(candidates)) =
            (kept.sum(counts), kept.sum(sums), kept.first(candidates))
        else {
            return;
        };
        let width = self.width;
        let towards = |old: Tensor<1>, new: Tensor<1>| old * self.pace.decay + new * (1.0 - self.pace.decay);
        let flat = |weights: &Weights, id| weights.get::<2>(id).reshape([self.codes * width]);
        let mut n = host(&towards(weights.get::<1>(self.counts), n));
        let mut m = host(&towards(flat(weights, self.sums), new));
        let candidates = host(&candidates);
        for (code, count) in n.iter_mut().enumerate() {
            if f64::from(*count) < self.pace.revive {
                let vector = code * width..(code + 1) * width;
                m[vector.clone()].copy_from_slice(&candidates[vector]);
                *count = 1.0;
            }
        }
        let book = m.iter().enumerate().map(|(place, m)| m / n[place / width].max(LEAST_COUNT as f32));
        weights.set_values(self.book, book.collect());
        weights.set_values(self.sums, m);
        weights.set_values(self.counts, n);
    }
}
