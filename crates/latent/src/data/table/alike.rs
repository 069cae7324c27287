//! Columns whose values come near each other in the same row: the bill of a month and of the one before, what was paid and
//! what was owed.
//!
//! Column a is like b where b's value stands beside a's, on a's own scale F (the share of a's values below), more often than
//! b's value of another row, b', does:
//!
//! P(|F(a) − F(b)| < 1/64) − P(|F(a) − F(b')| < 1/64)
//!
//! It may also be like a sum of two others ([sums]).

mod sums;

use serde::{Deserialize, Serialize};

use super::{Scale, Table};

/// A column that is like another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alike {
    /// The place of the column in x.
    pub column: usize,
    /// The place of the one that it is like.
    pub like: usize,
    /// What its value is multiplied by.
    #[serde(default = "once")]
    pub times: f64,
    /// Another column, whose value times this is added.
    #[serde(default)]
    pub and: Option<(usize, f64)>,
    /// In how many more of the rows than by chance the two are near; of a sum, in how many more than any single column.
    pub share: f32,
}

fn once() -> f64 {
    1.0
}

/// So many training rows tell, about.
pub(super) const ROWS: usize = 4096;

/// How near is near, as a share of the column's values.
const NEAR: f64 = 1.0 / 64.0;

/// What is less is not worth its weights.
const LEAST_SHARE: f64 = 0.05;

/// Columns of fewer levels are learned level by level.
const LEAST_LEVELS: usize = 32;

/// Tables of more such columns have too many pairs to look through.
const MOST_COLUMNS: usize = 200;

/// A column of numbers, and some of its values.
struct Number<'a> {
    at: usize,
    scale: &'a Scale,
    /// The share of values below the middle of each level.
    ranks: Vec<f64>,
    values: Vec<f64>,
}

impl Number<'_> {
    /// Between which values one stands beside each of its own.
    fn near(&self, share: f64) -> Vec<(f64, f64)> {
        let last = self.scale.levels() - 1;
        let of_level = |level: usize| {
            let rank = self.ranks[level];
            let from = self.ranks.partition_point(|other| *other <= rank - share).min(level);
            let to = (self.ranks.partition_point(|other| *other < rank + share).max(1) - 1).max(level);
            let low = if from == 0 { f64::NEG_INFINITY } else { self.scale.low[from] };
            let high = if to == last { f64::INFINITY } else { self.scale.high[to] };
            (low, high)
        };
        let of_value = |value: &f64| match value.is_nan() {
            true => (f64::NAN, f64::NAN),
            false => of_level(self.scale.level_of(*value)),
        };
        self.values.iter().map(of_value).collect()
    }
}

/// The columns that others are like, by some rows of values: sums, then single ones, those of each column from the most alike on.
pub(super) fn find(table: &Table, rows: &[f64]) -> Vec<Alike> {
    let width = table.modelled().count().max(1);
    let numbers: Vec<Number<'_>> = table
        .modelled()
        .enumerate()
        .filter(|(_, column)| column.is_ordered())
        .filter_map(|(at, column)| Some((at, column.scale.as_ref()?)))
        .filter(|(_, scale)| scale.levels() >= LEAST_LEVELS)
        .map(|(at, scale)| {
            let values = rows.iter().skip(at).step_by(width).copied().collect();
            Number { at, scale, ranks: ranks_of(scale), values }
        })
        .collect();
    if numbers.len() > MOST_COLUMNS {
        return Vec::new();
    }
    let mut pairs = Vec::new();
    for (own, a) in numbers.iter().enumerate() {
        let near = a.near(NEAR);
        let mut found: Vec<Alike> = Vec::new();
        for (_, b) in numbers.iter().enumerate().filter(|(other, _)| *other != own) {
            let share = excess(&near, &b.values);
            if share >= LEAST_SHARE {
                found.push(Alike { column: a.at, like: b.at, times: 1.0, and: None, share: share as f32 });
            }
        }
        found.sort_by(|one, other| other.share.total_cmp(&one.share));
        pairs.extend(found);
    }
    let mut all = sums::find(&numbers, &pairs);
    all.extend(pairs);
    all
}

/// In how many more rows than by chance a value is between the two of its row.
fn excess(near: &[(f64, f64)], values: &[f64]) -> f64 {
    let count = near.len();
    let share = |shift: usize| {
        let is_near = |row: &usize| {
            let ((low, high), value) = (near[*row], values[(row + shift) % count]);
            low <= value && value <= high
        };
        (0..count).filter(is_near).count() as f64 / count.max(1) as f64
    };
    // By chance: beside another row's value; of some rows, so that no order of the file deceives.
    let shifts = [count / 3, count / 2 + 1, 2 * count / 3];
    share(0) - shifts.iter().map(|shift| share(*shift)).sum::<f64>() / shifts.len() as f64
}

/// The share of values below the middle of each level.
fn ranks_of(scale: &Scale) -> Vec<f64> {
    let mut below = 0.0;
    let rank = |share: &f32| {
        let share = f64::from(*share);
        below += share;
        below - 0.5 * share
    };
    scale.shares.iter().map(rank).collect()
}
