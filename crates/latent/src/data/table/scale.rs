//! Values ↔ levels, and the digits by which levels are predicted.
//!
//! A level is a category, a value that comes often (an atom), or a cell of values between its neighbours. Cells hold
//! about equally many training rows, fewer towards the ends, so that a heavy tail is cut finely; the first and the last
//! level reach just to the least and the greatest value of the training rows.
//!
//! ```text
//! x = level + fraction,  value = low + fraction · (high − low), snapped to the grid
//! ```
//!
//! A level of many is predicted as two digits: its group first, then its place in the group. Levels that hold much are a
//! group of their own. p(value) = p(group) p(place | group) / width, which sums or integrates to 1.

use serde::{Deserialize, Serialize};

/// The levels of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// The least value of each level; they rise.
    pub low: Vec<f64>,
    /// The greatest value of each level; that of an atom is the least.
    pub high: Vec<f64>,
    /// The first level of each group.
    pub groups: Vec<u32>,
    /// The step between values; 0 where they lie anywhere.
    pub step: f64,
    /// The share of the training rows in each level.
    pub shares: Vec<f32>,
    /// Whether levels are categories.
    pub categories: bool,
}

/// Where a level stands: its group, its place in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digits {
    /// The group.
    pub group: usize,
    /// The place in the group.
    pub place: usize,
}

/// Up to so many levels are predicted as one digit.
const ONE_DIGIT: usize = 160;

/// Columns of up to so many different values have a level for each.
const MOST_ATOMS: usize = 400;

/// Rows in a cell, at least, but at the ends.
const LEAST_ROWS: usize = 12;

/// Cells, at most and roughly.
const MOST_CELLS: usize = 1024;

/// A level that holds this share is a group of its own.
const BIG: f32 = 0.004;

impl Scale {
    /// The levels of so many categories, which hold these shares.
    pub(super) fn of_categories(shares: Vec<f32>) -> Self {
        let values: Vec<f64> = (0..shares.len()).map(|at| at as f64).collect();
        let mut scale = Self {
            low: values.clone(),
            high: values,
            groups: Vec::new(),
            step: 1.0,
            shares,
            categories: true,
        };
        scale.group();
        scale
    }

    /// The levels of these values of training rows, in any order; on a grid with this step where it is above 0.
    pub(super) fn of_values(mut values: Vec<f64>, step: f64) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let rows = values.len();
        let mut distinct: Vec<(f64, usize)> = Vec::new();
        for value in values {
            match distinct.last_mut() {
                Some((last, count)) if *last == value => *count += 1,
                _ => distinct.push((value, 1)),
            }
        }
        let mut scale = Self {
            low: Vec::new(),
            high: Vec::new(),
            groups: Vec::new(),
            step,
            shares: Vec::new(),
            categories: false,
        };
        let mut push = |low: f64, high: f64, count: usize| {
            scale.low.push(low);
            scale.high.push(high);
            scale.shares.push(count as f32 / rows.max(1) as f32);
        };
        let wanted = (rows / MOST_CELLS).max(LEAST_ROWS);
        if distinct.len() <= MOST_ATOMS.min((rows / 4).max(32)) {
            distinct.iter().for_each(|&(value, count)| push(value, value, count));
        } else {
            let mut start = 0;
            let (mut held, mut before) = (0, 0);
            let last = distinct.len() - 1;
            for at in 0..distinct.len() {
                let (value, count) = distinct[at];
                // What comes often is a level of its own.
                if count >= 2 * wanted {
                    if held > 0 {
                        let high = if step > 0.0 { distinct[at - 1].0 } else { value };
                        push(distinct[start].0, high, held);
                    }
                    push(value, value, count);
                    before += held + count;
                    (start, held) = (at + 1, 0);
                    continue;
                }
                held += count;
                // Towards the ends cells hold less.
                let from_end = before.min(rows - before - held);
                let enough = wanted.min((from_end / 4).max(4));
                if held >= enough || at == last {
                    let high = match distinct.get(at + 1) {
                        // Cells of values that lie anywhere touch each other.
                        Some((next, count)) if step == 0.0 && *count < 2 * wanted => 0.5 * (value + next),
                        Some((next, _)) if step == 0.0 => *next,
                        _ => value,
                    };
                    push(distinct[start].0, high, held);
                    before += held;
                    (start, held) = (at + 1, 0);
                }
            }
            if step == 0.0 {
                // The low end of a cell is the high end of the one before it.
                for level in 1..scale.low.len() {
                    if scale.low[level] < scale.high[level] || scale.high[level - 1] > scale.low[level] {
                        scale.low[level] = scale.high[level - 1];
                    }
                }
            }
        }
        scale.group();
        scale
    }

    fn group(&mut self) {
        let levels = self.low.len();
        if levels <= ONE_DIGIT {
            self.groups = (0..levels as u32).collect();
            return;
        }
        let most = 32.max((levels as f64).sqrt().ceil() as usize);
        let mut held = 0;
        for level in 0..levels {
            let big = self.shares[level] >= BIG;
            if level == 0 || big || held >= most || (self.shares[level - 1] >= BIG) {
                self.groups.push(level as u32);
                held = 0;
            }
            held += 1;
        }
    }

    /// How many levels there are.
    pub fn levels(&self) -> usize {
        self.low.len()
    }

    /// How many groups there are.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// The most places that a group has.
    pub fn places(&self) -> usize {
        (0..self.groups.len()).map(|group| self.places_of(group)).max().unwrap_or(1)
    }

    /// The places that this group has.
    pub fn places_of(&self, group: usize) -> usize {
        let end = self.groups.get(group + 1).map_or(self.levels(), |next| *next as usize);
        end.saturating_sub(self.groups.get(group).map_or(end, |first| *first as usize))
    }

    /// The level in the middle of a group.
    pub fn middle_of(&self, group: usize) -> usize {
        self.groups.get(group).map_or(0, |first| *first as usize) + self.places_of(group) / 2
    }

    /// Where a level stands.
    pub fn digits(&self, level: usize) -> Digits {
        let level = level.min(self.levels().saturating_sub(1));
        let group = self.groups.partition_point(|first| *first as usize <= level).saturating_sub(1);
        Digits { group, place: level - self.groups.get(group).map_or(0, |first| *first as usize) }
    }

    /// The level that stands there.
    pub fn level(&self, digits: Digits) -> usize {
        let first = self.groups.get(digits.group).map_or(0, |first| *first as usize);
        (first + digits.place).min(self.levels().saturating_sub(1))
    }

    /// The level that a value lies in: the nearest, where it lies between or beyond.
    pub fn level_of(&self, value: f64) -> usize {
        let after = self.low.partition_point(|low| *low <= value);
        let at = after.saturating_sub(1);
        // An atom before a cell that begins with its value.
        if at > 0 && self.low[at] == value && self.high[at - 1] == value && self.low[at - 1] == value {
            return at - 1;
        }
        // Between two levels of a grid: the nearer.
        if after > 0 && after < self.levels() && value > self.high[at] {
            return if value - self.high[at] <= self.low[after] - value { at } else { after };
        }
        at
    }

    /// How much of the real line, or how many values of the grid, a level holds.
    pub fn width(&self, level: usize) -> f64 {
        let span = self.high[level] - self.low[level];
        match () {
            () if span == 0.0 => 1.0,
            () if self.step > 0.0 => (span / self.step).round() + 1.0,
            () => span,
        }
    }

    /// Whether a level is a stretch of the real line, where its density has a unit.
    pub fn is_stretch(&self, level: usize) -> bool {
        self.step == 0.0 && self.high[level] > self.low[level]
    }

    /// x of a value: its level, and how far into it.
    pub fn x_from_value(&self, value: f64) -> f32 {
        let level = self.level_of(value);
        let span = self.high[level] - self.low[level];
        let fraction = match () {
            () if span == 0.0 => 0.5,
            () if self.step > 0.0 => (value - self.low[level] + 0.5 * self.step) / (span + self.step),
            () => (value - self.low[level]) / span,
        };
        // Single precision must not round into the next level.
        let most = 1.0 - 1e-6 * (level + 1) as f64;
        (level as f64 + fraction.clamp(0.0, most)) as f32
    }

    /// The value of x.
    pub fn value_from_x(&self, x: f32) -> f64 {
        let level = (x.floor().max(0.0) as usize).min(self.levels().saturating_sub(1));
        let (low, high) = (self.low[level], self.high[level]);
        if low == high {
            return low;
        }
        let fraction = (f64::from(x) - level as f64).clamp(0.0, 1.0);
        if self.step > 0.0 {
            let values = self.width(level);
            let at = (fraction * values).floor().min(values - 1.0);
            return low + at * self.step;
        }
        low + fraction * (high - low)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        let levels = self.low.len();
        let rising = self.low.windows(2).all(|pair| pair[0] <= pair[1]);
        let spans = self
            .low
            .iter()
            .zip(&self.high)
            .all(|(low, high)| low <= high && low.is_finite() && high.is_finite());
        let groups = self.groups.first() == Some(&0)
            && self.groups.windows(2).all(|pair| pair[0] < pair[1])
            && self.groups.last().is_some_and(|last| (*last as usize) < levels);
        let sound = levels > 0 && levels == self.high.len() && levels == self.shares.len();
        match sound && rising && spans && groups && self.step >= 0.0 {
            true => Ok(()),
            false => Err("its levels do not hold together".into()),
        }
    }
}
