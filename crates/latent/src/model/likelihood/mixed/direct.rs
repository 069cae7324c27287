//! A linear path from what is seen of a row to the logits, beside the network.
//!
//! logits += Σ_c D_c[x_c] Ψ,  Ψ = 1 for few choices, cosines of the rank (readout) for the groups of a number
//!
//! What one category says of another is little of log P beside the many nats of numbers, whose gradients fill the layers
//! that all columns share; a table whose pairs are off is told from the real one all the same. Here each pair of columns
//! has its own weights: a logistic regression on the others, which the network corrects.
//!
//! Of numbers of many groups only their smooth features are read, and places are neither read nor written.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::digits::{Digit, FEW, Layout};
use super::readout::{LEAST_LEVELS, wave};
use crate::data::Table;
use crate::device::Device;
use crate::network::columns::{Embedding, Seen};
use crate::weights::{Init, Weights};

/// Columns times what they write: more takes longer than the network.
const MOST: usize = 1 << 16;

/// The path.
pub(super) struct Direct {
    embedding: Embedding,
    /// By the first logit of the digit: where its numbers begin, how many there are, and Ψ where it is not 1.
    of_digits: BTreeMap<usize, (usize, usize, Option<Vec<f32>>)>,
    width: usize,
}

impl Direct {
    /// With up to `waves` cosines for each number; none where the table has too many columns.
    pub(super) fn new(layout: &Layout, table: &Table, waves: usize, init: &mut Init<'_>) -> Option<Self> {
        let mut width = 0;
        let mut of_digits = BTreeMap::new();
        for digit in layout.digits().iter().filter(|digit| !digit.is_place) {
            let ranks = layout.ranks(*digit);
            let (count, basis) = if ranks.len() <= FEW.max(LEAST_LEVELS) || waves == 0 {
                (digit.count, None)
            } else {
                let own = waves.min(ranks.len() / 2);
                let mut basis = Vec::new();
                for k in 1..=own {
                    basis.extend(ranks.iter().map(|rank| wave(k, *rank)));
                    basis.resize(k * digit.count, 0.0);
                }
                // The gap, which has no rank.
                let gap = digit.count - ranks.len();
                if gap > 0 {
                    basis.resize((own + 1) * digit.count - 1, 0.0);
                    basis.push(1.0);
                }
                (own + gap, Some(basis))
            };
            of_digits.insert(digit.first, (width, count, basis));
            width += count;
        }
        (width * layout.columns() <= MOST).then(|| {
            let embedding = Embedding::coarse(table, width, &mut init.scope("direct"));
            Self { embedding, of_digits, width }
        })
    }

    /// What is seen of each row, `[n, columns]` → `[n, numbers]`.
    pub(super) fn apply(&self, weights: &Weights, seen: &[Seen]) -> Tensor<2> {
        self.embedding.apply(weights, seen)
    }

    /// What the numbers of each row gain where one column is seen otherwise.
    pub(super) fn change(
        &self,
        weights: &Weights,
        column: usize,
        before: &[Seen],
        after: &[Seen],
    ) -> Tensor<2> {
        self.embedding.change(weights, column, before, after)
    }

    /// What is added to the logits of one digit, by rows of the first hidden layer that end with these numbers.
    pub(super) fn of(&self, sum: &Tensor<2>, digit: Digit) -> Option<Tensor<2>> {
        let (first, count, basis) = self.of_digits.get(&digit.first)?;
        let own = sum.clone().narrow(1, sum.dims()[1] - self.width + first, *count);
        Some(match basis {
            Some(basis) => own.matmul(Device::of(sum).tensor(basis.clone(), [*count, digit.count])),
            None => own,
        })
    }
}
