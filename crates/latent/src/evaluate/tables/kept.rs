//! What a table keeps of the small things: gaps, rare categories, ranges, and intervals that hold.
//!
//! - gap rate: the share of gaps in a column, real against synthetic;
//! - rare categories: of the levels that fewer than one real row in a hundred has, the share that occur. A fresh sample of n
//!   rows has each with probability 1 − (1 − p)ⁿ, which is what it is compared with;
//! - invented cells: categories that no real row has, numbers beyond the real range;
//! - interval coverage: the share of test cells in the middle 90 % of a column's synthetic values (of equal values at an end
//!   as many count as make 90 %). A likelihood would tell more; this asks only for samples.

use super::columns::{Column, Columns, GAP};
use super::detection::quantile;

/// A level is rare below this share of rows.
const RARE: f64 = 0.01;

/// The share of gaps in each column.
pub fn gap_rates(table: &Columns) -> Vec<f64> {
    table.columns().iter().map(|column| column.gaps() as f64 / table.rows().max(1) as f64).collect()
}

/// Rare levels of all columns.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rare {
    /// How many there are in the real table.
    pub levels: usize,
    /// How many of them occur in the synthetic one.
    pub kept: usize,
    /// How many would, in as many fresh rows, if the real shares were the true ones.
    pub expected: f64,
    /// Column and level of those that do not occur, the most frequent first.
    pub lost: Vec<(String, String)>,
}

/// Counts the rare levels of aligned tables.
pub fn rare(real: &Columns, synthetic: &Columns) -> Rare {
    let (mut found, mut lost) = (Rare::default(), Vec::new());
    for ((name, real), synthetic) in real.iter().zip(synthetic.columns()) {
        let (Column::Categories { codes, levels }, Column::Categories { codes: fakes, .. }) =
            (real, synthetic)
        else {
            continue;
        };
        let [counts, drawn] = [codes, fakes].map(|codes| {
            let mut counts = vec![0usize; levels.len()];
            codes.iter().for_each(|code| counts[*code as usize] += 1);
            counts
        });
        for ((level, count), drawn) in levels.iter().zip(counts).zip(drawn) {
            let share = count as f64 / codes.len().max(1) as f64;
            if count == 0 || share >= RARE {
                continue;
            }
            found.levels += 1;
            found.expected += 1.0 - (1.0 - share).powf(fakes.len() as f64);
            if drawn > 0 {
                found.kept += 1;
            } else {
                let level = if level == GAP { "(gap)" } else { level };
                lost.push((count, (name.to_string(), level.to_string())));
            }
        }
    }
    lost.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    found.lost = lost.into_iter().map(|(_, which)| which).collect();
    found
}

/// The share of cells of each column that hold what no real row has: another category, a number beyond the real range.
pub fn invented(real: &Columns, synthetic: &Columns) -> Vec<f64> {
    let pairs = real.columns().iter().zip(synthetic.columns());
    pairs
        .map(|(real, synthetic)| {
            let outside = match (real, synthetic) {
                (Column::Numbers(real), Column::Numbers(fakes)) => {
                    let known = || real.iter().filter(|value| !value.is_nan());
                    let (low, high) =
                        known().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
                    fakes.iter().filter(|value| **value < low || **value > high).count()
                }
                (Column::Categories { codes, levels }, Column::Categories { codes: fakes, .. }) => {
                    let mut known = vec![false; levels.len()];
                    codes.iter().for_each(|code| known[*code as usize] = true);
                    fakes.iter().filter(|code| !known[**code as usize]).count()
                }
                _ => 0,
            };
            outside as f64 / synthetic.len().max(1) as f64
        })
        .collect()
}

/// The share of the cells of `held` within the middle 90 % of each column's synthetic values; NaN for categories.
pub fn coverage(held: &Columns, synthetic: &Columns) -> Vec<f64> {
    held.columns()
        .iter()
        .zip(synthetic.columns())
        .map(|(held, synthetic)| column_coverage(held, synthetic))
        .collect()
}

fn column_coverage(held: &Column, synthetic: &Column) -> f64 {
    let (Column::Numbers(held), Column::Numbers(fakes)) = (held, synthetic) else { return f64::NAN };
    let known =
        |values: &[f64]| -> Vec<f64> { values.iter().copied().filter(|value| !value.is_nan()).collect() };
    let (held, mut fakes) = (known(held), known(fakes));
    if held.is_empty() || fakes.is_empty() {
        return f64::NAN;
    }
    fakes.sort_by(f64::total_cmp);
    let (low, high) = (quantile(&fakes, 0.05), quantile(&fakes, 0.95));
    let share = |of: &dyn Fn(f64) -> bool| {
        fakes.iter().filter(|value| of(**value)).count() as f64 / fakes.len() as f64
    };
    // Of many equal values at an end of the interval, that part counts which fills it to 90 %.
    let below = part(0.05 - share(&|v| v < low), share(&|v| v == low));
    let above = part(0.05 - share(&|v| v > high), share(&|v| v == high));
    let weight = |value: f64| match () {
        () if value < low || value > high => 0.0,
        () if low == high => (1.0 - below - above).max(0.0),
        () if value == low => 1.0 - below,
        () if value == high => 1.0 - above,
        () => 1.0,
    };
    held.iter().map(|value| weight(*value)).sum::<f64>() / held.len() as f64
}

/// How much of a tie of weight `tied` lies outside where `missing` of it should.
fn part(missing: f64, tied: f64) -> f64 {
    if tied > 0.0 { (missing / tied).clamp(0.0, 1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::super::columns::align;
    use super::super::columns::tests::{table, words};
    use super::*;

    #[test]
    fn rare_levels_are_counted_beside_what_chance_keeps() {
        let mut cells = vec!["often"; 398];
        cells.extend(["once", "twice", "twice", "seldom"]);
        let real = table(vec![words(&cells)]);
        let mut cells = vec!["often"; 100];
        cells.extend(["once", "new"]);
        let fake = table(vec![words(&cells)]);
        let both = align(&[("real", &real), ("fake", &fake)]).unwrap();
        let found = rare(&both[0], &both[1]);
        assert_eq!((found.levels, found.kept), (3, 1));
        assert_eq!(
            found.lost.iter().map(|(_, level)| level.as_str()).collect::<Vec<_>>(),
            ["twice", "seldom"]
        );
        let expected =
            2.0 * (1.0 - (1.0f64 - 1.0 / 402.0).powi(102)) + 1.0 - (1.0f64 - 2.0 / 402.0).powi(102);
        assert!((found.expected - expected).abs() < 1e-12);
        assert!((invented(&both[0], &both[1])[0] - 1.0 / 102.0).abs() < 1e-12);
    }

    #[test]
    fn gaps_ranges_and_intervals_are_as_by_hand() {
        let real = table(vec![Column::Numbers(vec![0.0, 1.0, f64::NAN, 2.0]), words(&["", "x", "x", ""])]);
        assert_eq!(gap_rates(&real), [0.25, 0.5]);
        let numbers = |values: Vec<f64>| table(vec![Column::Numbers(values)]);
        assert_eq!(invented(&numbers(vec![0.0, 1.0]), &numbers(vec![0.5, 1.5, -1.0, f64::NAN])), [0.5]);
        let even: Vec<f64> = (0..=1000).map(f64::from).collect();
        let found = coverage(&numbers(even.clone()), &numbers(even))[0];
        assert!((found - 0.9).abs() < 0.002, "{found}");
        // Ninety-eight zeros and two ones: of itself, it covers 90 %, whatever the ties.
        let mut tied = vec![0.0; 98];
        tied.extend([1.0, 1.0]);
        let found = coverage(&numbers(tied.clone()), &numbers(tied))[0];
        assert!((found - 0.9).abs() < 0.021, "{found}");
    }
}
