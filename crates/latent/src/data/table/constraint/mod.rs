//! What holds in every row of a table: orders, sums, fixed combinations, ranges.
//!
//! ```text
//! "start <= end"   "total = net + tax"   "city -> country"   "age in 0..120"      as it is written
//!      │ found     what columns they are, that they can be, which rows break them
//!      ▼
//! Rule              places in x and numbers: part of the table, and so of a model's file
//!      │ settle    values of a row that single precision has moved by a step, made to obey to the last digit
//!      ▼           (what may be drawn at all is the likelihood's matter: model/likelihood/mixed/rules.rs)
//! suggest           what holds in all rows of a table though nobody said so
//! ```
//!
//! A rule binds cells that have values: where a cell is empty, it says nothing of the others.

mod found;
mod grammar;
mod settle;
mod suggest;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub(super) use found::{Origin, resolve};
pub use grammar::Constraint;
pub use suggest::{Breach, Suggestion, breaches};
pub(crate) use suggest::{Look, suggestions};

/// A constraint as a table keeps it: places are those in x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// As it is written.
    pub text: String,
    /// What it says.
    pub rule: Rule,
}

/// What a constraint says of the values of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// low + margin ≤ high
    Order {
        /// The place of the lesser.
        low: usize,
        /// The place of the greater.
        high: usize,
        /// 0, or the unit of both where one must be below the other.
        margin: f64,
    },
    /// total = Σ parts
    Sum {
        /// The place of the sum.
        total: usize,
        /// The places of what is added, each once.
        parts: Vec<usize>,
        /// Which of them is made of the others: the sum, or a part where that has more values than the sum.
        made: usize,
        /// Half of the last decimal that any of them has.
        tolerance: f64,
    },
    /// One value of `to` for each value of `from`.
    Map {
        /// The place of what decides.
        from: usize,
        /// The place of what is decided.
        to: usize,
        /// Values of both, by the first.
        pairs: Vec<(f64, f64)>,
    },
    /// least ≤ value ≤ most
    Range {
        /// The place.
        column: usize,
        /// The least value.
        least: Option<f64>,
        /// The greatest value.
        most: Option<f64>,
    },
}

impl Rule {
    /// The places that it speaks of.
    pub fn places(&self) -> Vec<usize> {
        match self {
            Self::Order { low, high, .. } => vec![*low, *high],
            Self::Sum { total, parts, .. } => std::iter::once(*total).chain(parts.iter().copied()).collect(),
            Self::Map { from, to, .. } => vec![*from, *to],
            Self::Range { column, .. } => vec![*column],
        }
    }

    /// The place that a sum makes, and the places that it is made of with their signs.
    pub fn made(&self) -> Option<(usize, Vec<(usize, f64)>)> {
        let Self::Sum { total, parts, made, .. } = self else { return None };
        let sign = if made == total { 1.0 } else { -1.0 };
        let others = parts.iter().filter(|part| *part != made).map(|part| (*part, sign));
        let total = (made != total).then_some((*total, 1.0));
        Some((*made, total.into_iter().chain(others).collect()))
    }

    /// The value of `to` for a value of `from`, where there is one.
    pub fn mapped(&self, value: f64) -> Option<f64> {
        let Self::Map { pairs, .. } = self else { return None };
        let at = pairs.binary_search_by(|pair| pair.0.total_cmp(&value)).ok()?;
        Some(pairs[at].1)
    }

    /// Whether a row of values, NaN where cells are empty, breaks it.
    pub fn is_broken(&self, row: &[f64]) -> bool {
        match self {
            Self::Order { low, high, margin } => row[*low] + 0.999 * margin > row[*high],
            Self::Sum { total, parts, tolerance, .. } => {
                let sum: f64 = parts.iter().map(|part| row[*part]).sum();
                // Doubles are no exact decimals, the less so the larger what is added.
                let largest = parts.iter().map(|part| row[*part].abs()).fold(0.0, f64::max);
                (row[*total] - sum).abs() > tolerance.max(1e-9 * largest)
            }
            Self::Map { from, to, .. } => {
                !row[*to].is_nan() && self.mapped(row[*from]).is_some_and(|value| value != row[*to])
            }
            Self::Range { column, least, most } => {
                least.is_some_and(|least| row[*column] < least)
                    || most.is_some_and(|most| row[*column] > most)
            }
        }
    }

    /// Whether it can be one of a table with so many columns in x.
    pub(super) fn check(&self, width: usize) -> Result<(), String> {
        let places = self.places();
        let inside = places.iter().all(|place| *place < width);
        let sound = match self {
            Self::Order { low, high, margin } => low != high && *margin >= 0.0,
            Self::Sum { total, parts, made, tolerance } => {
                let is_once = parts.iter().enumerate().all(|(at, part)| !parts[..at].contains(part));
                let is_one = made == total || parts.contains(made);
                !parts.is_empty() && !parts.contains(total) && is_once && is_one && *tolerance >= 0.0
            }
            Self::Map { from, to, pairs } => {
                from != to
                    && pairs.windows(2).all(|two| two[0].0 < two[1].0)
                    && pairs.iter().all(|(a, b)| a.is_finite() && b.is_finite())
            }
            Self::Range { least, most, .. } => {
                [least, most].into_iter().flatten().all(|bound| bound.is_finite())
            }
        };
        match inside && sound {
            true => Ok(()),
            false => Err("its constraints do not hold together".into()),
        }
    }
}

impl super::Table {
    /// The constraints that a row of values breaks.
    pub fn broken<'a>(&'a self, row: &'a [f64]) -> impl Iterator<Item = &'a Kept> {
        self.constraints.iter().filter(|kept| kept.rule.is_broken(row))
    }
}
