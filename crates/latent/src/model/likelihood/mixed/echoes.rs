//! What a number is drawn near to: the same row's value of a column [like it](crate::data::table::Alike), or a sum of two.
//!
//! logits_l += s_k(h),  k the bin of the distance from level l to the level that the other column's value, or the sum, has here
//!
//! Bills of two months are equal, or nearly, at any size. A network that reads one as embeddings and writes the other as
//! logits has to learn that level by level; here it only says how much nearness counts, s = h W + b, by bins of distance
//! that double: 0, ±1, ±2–3, ±4–7, … among groups of levels, and among the places of a group. Of a cell whose group alone is
//! seen, the middle of the group counts.
//!
//! References: Vinyals, Fortunato & Jaitly, *Pointer Networks* (arXiv 1506.03134); Gu et al., *Incorporating Copying
//! Mechanism in Sequence-to-Sequence Learning* (arXiv 1603.06393).

use std::collections::BTreeMap;

use burn::tensor::{Int, Tensor, TensorData};

use super::digits::{Digit, Layout};
use crate::data::Table;
use crate::device::Device;
use crate::network::columns::Seen;
use crate::network::{Dense, DenseConfig};
use crate::weights::{Init, Weights};

/// Bins of distances below 0, and as many above.
const BINS: usize = 6;

/// Bins of one column near another.
const EACH: usize = 2 * BINS + 1;

/// s for every digit of a column that is like others.
pub(super) struct Echoes {
    strengths: Dense,
    /// Which columns it may be near to, and the first of their s, by the first logit of the digit.
    of_digits: BTreeMap<usize, Vec<(Other, usize)>>,
}

/// What a column is like.
#[derive(Clone)]
enum Other {
    /// Another column, by the level that each of its levels has in the column that is like it.
    One(usize, Vec<usize>),
    /// A sum of two columns, by what each of their levels adds.
    Sum([(usize, Vec<f64>); 2]),
}

impl Other {
    /// Its level in this column, which is like it; none where it is not seen.
    fn level(&self, seen: &[Seen], layout: &Layout, column: usize) -> Option<usize> {
        let level = |column: usize| match seen[column] {
            Seen::Level(level) => Some(level),
            Seen::Group(group) => Some(layout.scale(column).middle_of(group)),
            Seen::Unknown | Seen::Gap => None,
        };
        match self {
            Self::One(column, levels) => levels.get(level(*column)?).copied(),
            Self::Sum(both) => {
                let mut sum = 0.0;
                for (column, values) in both {
                    sum += values.get(level(*column)?)?;
                }
                Some(layout.scale(column).level_of(sum))
            }
        }
    }
}

impl Echoes {
    /// From `width` hidden units, each column near up to `most` others and `most` sums; none where no columns are alike.
    pub(super) fn new(
        layout: &Layout,
        table: &Table,
        width: usize,
        most: usize,
        init: &mut Init<'_>,
    ) -> Option<Self> {
        let mut of_columns: BTreeMap<usize, Vec<Other>> = BTreeMap::new();
        let values = |column: usize, times: f64| {
            let scale = layout.scale(column);
            scale.low.iter().zip(&scale.high).map(move |(low, high)| times * 0.5 * (low + high))
        };
        for alike in &table.alike {
            let others = of_columns.entry(alike.column).or_default();
            let same = |other: &&Other| matches!(other, Other::Sum(_)) == alike.and.is_some();
            if others.iter().filter(same).count() == most {
                continue;
            }
            let own = values(alike.like, alike.times);
            others.push(match alike.and {
                Some((column, times)) => {
                    Other::Sum([(alike.like, own.collect()), (column, values(column, times).collect())])
                }
                None => {
                    let scale = layout.scale(alike.column);
                    Other::One(alike.like, own.map(|value| scale.level_of(value)).collect())
                }
            });
        }
        let mut of_digits = BTreeMap::new();
        let mut outputs = 0;
        for digit in layout.digits() {
            let Some(others) = of_columns.get(&digit.column).filter(|others| !others.is_empty()) else {
                continue;
            };
            let own = others.iter().map(|other| {
                outputs += EACH;
                (other.clone(), outputs - EACH)
            });
            of_digits.insert(digit.first, own.collect());
        }
        (outputs > 0).then(|| {
            let strengths = DenseConfig::new(width, outputs).with_zeros().init(init, "echoes");
            Self { strengths, of_digits }
        })
    }

    /// What is added to the logits of one digit, `[n, width]` → `[n, choices]`, for rows of which this is seen and whose cells
    /// are in these groups; none where the column is like no other.
    pub(super) fn of(
        &self,
        weights: &Weights,
        hidden: &Tensor<2>,
        layout: &Layout,
        digit: Digit,
        seen: &[Seen],
        groups: &[usize],
    ) -> Option<Tensor<2>> {
        let others = self.of_digits.get(&digit.first)?;
        let (_, first) = others.first()?;
        let (weight, bias) = self.strengths.affine(weights)?;
        let (rows, own, columns) = (hidden.dims()[0], others.len() * EACH, layout.columns());
        let device = Device::of(hidden);
        let strengths = hidden.clone().matmul(weight.narrow(1, *first, own));
        let strengths = strengths + bias.narrow(0, *first, own).reshape([1, own]).expand([rows, own]);
        // Nothing where the other value is not known, and for the gap.
        let strengths = Tensor::cat(vec![strengths, device.tensor(vec![0.0; rows], [rows, 1])], 1);
        let scale = layout.scale(digit.column);
        let mut bins = vec![own as i32; rows * others.len() * digit.count];
        let mut out = bins.chunks_exact_mut(digit.count);
        for row in 0..rows {
            for (at, (other, _)) in others.iter().enumerate() {
                let Some(bins) = out.next() else { continue };
                let seen = &seen[row * columns..][..columns];
                let Some(level) = other.level(seen, layout, digit.column) else { continue };
                let (choices, place) = match digit.is_place {
                    true => {
                        let first = scale.groups.get(groups[row]).map_or(0, |first| *first as i64);
                        (scale.places_of(groups[row]), level as i64 - first)
                    }
                    false => (scale.group_count(), scale.digits(level).group as i64),
                };
                for (choice, bin) in bins.iter_mut().enumerate().take(choices) {
                    *bin = (at * EACH + bin_of(choice as i64 - place)) as i32;
                }
            }
        }
        let index: Tensor<2, Int> =
            Tensor::from_data(TensorData::new(bins, [rows, others.len() * digit.count]), &hidden.device());
        let each = strengths.gather(1, index).reshape([rows, others.len(), digit.count]);
        Some(each.sum_dim(1).reshape([rows, digit.count]))
    }
}

/// The bin of a distance: 0, ±1, ±2–3, ±4–7, …
fn bin_of(distance: i64) -> usize {
    let size = distance.unsigned_abs().checked_ilog2().map_or(0, |log| log as usize + 1).min(BINS);
    if distance < 0 { BINS - size } else { BINS + size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_of_distances_double() {
        let bins: Vec<usize> = [-99, -32, -3, -2, -1, 0, 1, 2, 3, 4, 7, 8, 31, 32].map(bin_of).to_vec();
        assert_eq!(bins, [0, 0, 4, 4, 5, 6, 7, 8, 8, 9, 9, 10, 11, 12]);
    }
}
