//! Columns whose values come near each other in the same row: the bill of a month and of the one before, what was paid and
//! what was owed.
//!
//! Column a is like b where a's value stands beside b's, on a's own scale, more often than beside b's value of another row:
//!
//! P(|F(a) − F(b)| < 1/64) − P(|F(a) − F(b')| < 1/64),  F the share of a's values below, b' that of another row

use serde::{Deserialize, Serialize};

use super::{Scale, Table};

/// A column that is like another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alike {
    /// The place of the column in x.
    pub column: usize,
    /// The place of the one that it is like.
    pub like: usize,
    /// In how many more of the rows than by chance the two are near.
    pub share: f32,
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

/// The pairs of a table, those of each column from the most alike on, by some rows of values.
pub(super) fn find(table: &Table, rows: &[f64]) -> Vec<Alike> {
    let width = table.modelled().count().max(1);
    let scales: Vec<(usize, &Scale)> = table
        .modelled()
        .enumerate()
        .filter(|(_, column)| column.is_ordered())
        .filter_map(|(at, column)| Some((at, column.scale.as_ref()?)))
        .filter(|(_, scale)| scale.levels() >= LEAST_LEVELS)
        .collect();
    if scales.len() > MOST_COLUMNS {
        return Vec::new();
    }
    let column = |at: usize| -> Vec<f64> { rows.iter().skip(at).step_by(width).copied().collect() };
    let values: Vec<Vec<f64>> = scales.iter().map(|(at, _)| column(*at)).collect();
    let count = rows.len() / width;
    let mut all = Vec::new();
    for (own, (a, scale)) in scales.iter().enumerate() {
        let ranks = ranks_of(scale);
        let rank = |value: &f64| ranks[scale.level_of(*value)];
        let of_a: Vec<f64> = values[own].iter().map(rank).collect();
        let mut found: Vec<Alike> = Vec::new();
        for (other, (b, _)) in scales.iter().enumerate().filter(|(other, _)| *other != own) {
            let of_b: Vec<f64> = values[other].iter().map(rank).collect();
            let near = |shift: usize| {
                let pairs = (0..count).filter(|row| {
                    let other_row = (row + shift) % count;
                    let has = !values[own][*row].is_nan() && !values[other][other_row].is_nan();
                    has && (of_a[*row] - of_b[other_row]).abs() < NEAR
                });
                pairs.count() as f64 / count as f64
            };
            // By chance: beside another row's value; of some rows, so that no order of the file deceives.
            let shifts = [count / 3, count / 2 + 1, 2 * count / 3];
            let by_chance = shifts.iter().map(|shift| near(*shift)).sum::<f64>() / shifts.len() as f64;
            let share = near(0) - by_chance;
            if share >= LEAST_SHARE {
                found.push(Alike { column: *a, like: *b, share: share as f32 });
            }
        }
        found.sort_by(|one, other| other.share.total_cmp(&one.share));
        all.extend(found);
    }
    all
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
