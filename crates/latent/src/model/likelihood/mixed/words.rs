//! A network of its own for columns of few choices, beside the one for all.
//!
//! logits += V u,  u = silu(trunk(Σ_c E_c[x_c]))
//!
//! What decides between categories is a nat or less of the many of a row; the layers that all columns share are filled by the
//! gradients of numbers, and say of a category little more than its linear dependence on each number. Here only categories
//! (and ordered columns of few levels) are learned, from everything seen of the row; of numbers their smooth features.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use latent_kernels::Activation;

use super::digits::{Digit, FEW, Layout};
use crate::data::Table;
use crate::network::columns::{Embedding, Seen, Trunk};
use crate::network::{Dense, DenseConfig};
use crate::weights::{Init, Weights};

/// Columns of more choices are learned with the numbers.
const MOST: usize = 160;

/// The network.
pub(super) struct Words {
    embedding: Embedding,
    trunk: Trunk,
    last: Dense,
    /// By the first logit of the digit: where its logits begin here.
    of_digits: BTreeMap<usize, usize>,
    width: usize,
}

impl Words {
    /// Of so many hidden units; none where there are no words, or they are all there is.
    pub(super) fn new(layout: &Layout, table: &Table, width: usize, init: &mut Init<'_>) -> Option<Self> {
        let mut of_digits = BTreeMap::new();
        let mut outputs = 0;
        for digit in layout.digits().iter().filter(|digit| !digit.is_place) {
            let scale = layout.scale(digit.column);
            if scale.places() == 1 && scale.levels() <= if scale.categories { MOST } else { FEW } {
                of_digits.insert(digit.first, outputs);
                outputs += digit.count;
            }
        }
        let is_needed = (1..layout.columns()).contains(&of_digits.len());
        is_needed.then(|| {
            let mut init = init.scope("words");
            Self {
                embedding: Embedding::smooth(table, width, &mut init),
                trunk: Trunk::new(width, 1, &mut init),
                last: DenseConfig::new(width, outputs).with_zeros().init(&mut init, "last"),
                of_digits,
                width,
            }
        })
    }

    /// The first hidden layer, for rows of which this is seen.
    pub(super) fn first(&self, weights: &Weights, seen: &[Seen]) -> Tensor<2> {
        self.embedding.apply(weights, seen)
    }

    /// What that gains where one column is seen otherwise.
    pub(super) fn change(
        &self,
        weights: &Weights,
        column: usize,
        before: &[Seen],
        after: &[Seen],
    ) -> Tensor<2> {
        self.embedding.change(weights, column, before, after)
    }

    /// The logits of all words, by rows of first hidden layers of which this network's begins here.
    pub(super) fn all(&self, weights: &Weights, sum: &Tensor<2>, first: usize) -> Tensor<2> {
        let sum = sum.clone().narrow(1, first, self.width);
        self.last.apply(weights, Activation::Silu.apply(self.trunk.apply(weights, sum)))
    }

    /// Those of one digit.
    pub(super) fn of(&self, all: &Tensor<2>, digit: Digit) -> Option<Tensor<2>> {
        let first = self.of_digits.get(&digit.first)?;
        Some(all.clone().narrow(1, *first, digit.count))
    }

    /// Whether a digit is one.
    pub(super) fn has(&self, digit: Digit) -> bool {
        self.of_digits.contains_key(&digit.first)
    }
}
