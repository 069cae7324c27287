//! The values of a row that obeys but for rounding, made to obey to the last digit that is written.
//!
//! A cell of x is a level and how far into it, in single precision: two values of one wide level may change places by a
//! step of their grid, a sum may miss its last cent. So values are first what their words say; then what others decide is
//! taken from them: the value of a map, what a sum makes (or, where that is known, the last part that is not), and of two in
//! the wrong order the one is moved to the other.

use super::Rule;
use crate::data::table::{Column, Kind, Table};

/// Rounds over all rules: sums of sums, orders of sums.
const ROUNDS: usize = 4;

impl Table {
    /// Makes the values of a row obey; those that are `fixed` stay.
    pub fn settle(&self, row: &mut [f64], fixed: &dyn Fn(usize) -> bool) {
        let columns: Vec<&Column> = self.modelled().collect();
        let may = |row: &[f64], at: usize| !fixed(at) && !row[at].is_nan();
        for at in self.constraints.iter().flat_map(|kept| kept.rule.places()) {
            if may(row, at) {
                row[at] = printed(columns[at], row[at]);
            }
        }
        let made: Vec<usize> = self.constraints.iter().filter_map(|kept| decided(&kept.rule)).collect();
        for _ in 0..ROUNDS {
            let before = row.to_vec();
            for kept in &self.constraints {
                match &kept.rule {
                    Rule::Map { from, to, .. } if may(row, *to) => {
                        if let Some(value) = kept.rule.mapped(row[*from]) {
                            row[*to] = value;
                        }
                    }
                    Rule::Sum { total, parts, made, .. } => {
                        let all = || std::iter::once(total).chain(parts);
                        // Where what is made is known, the last that is not.
                        let free =
                            if fixed(*made) { all().rev().find(|at| !fixed(**at)) } else { Some(made) };
                        let (Some(free), false) = (free, all().any(|at| row[*at].is_nan())) else { continue };
                        let others: f64 =
                            parts.iter().filter(|part| *part != free).map(|part| row[*part]).sum();
                        let value = if free == total { others } else { row[*total] - others };
                        row[*free] = printed(columns[*free], value);
                    }
                    Rule::Order { low, high, margin } if kept.rule.is_broken(row) => {
                        // What others decide is not moved.
                        let free = |at: usize| !fixed(at) && !made.contains(&at);
                        if free(*high) {
                            row[*high] = on_grid(columns[*high], row[*low] + margin, true);
                        } else if free(*low) {
                            row[*low] = on_grid(columns[*low], row[*high] - margin, false);
                        }
                    }
                    Rule::Range { column, least, most } if may(row, *column) && !made.contains(column) => {
                        let (least, most) =
                            (least.unwrap_or(f64::NEG_INFINITY), most.unwrap_or(f64::INFINITY));
                        row[*column] = row[*column].clamp(least, most);
                    }
                    _ => {}
                }
            }
            if before.iter().zip(&*row).all(|(before, after)| before.to_bits() == after.to_bits()) {
                break;
            }
        }
    }
}

/// The place that a rule decides by others.
fn decided(rule: &Rule) -> Option<usize> {
    match rule {
        Rule::Map { to, .. } => Some(*to),
        Rule::Sum { made, .. } => Some(*made),
        Rule::Order { .. } | Rule::Range { .. } => None,
    }
}

/// The value that stands in the file once it is written.
fn printed(column: &Column, value: f64) -> f64 {
    match &column.kind {
        Kind::Number(_) => column.value(&column.word(value)).unwrap_or(value),
        Kind::Date(format) => {
            let size = 10f64.powi(format.decimals as i32);
            (value * size).round() / size
        }
        _ => value,
    }
}

/// The next value of the column's grid from here, upwards or downwards.
fn on_grid(column: &Column, value: f64, up: bool) -> f64 {
    let Some((step, first)) = column.grid() else { return printed(column, value) };
    let at = (value - first) / step;
    let at = if up { (at - 1e-6).ceil() } else { (at + 1e-6).floor() };
    printed(column, first + at * step)
}
