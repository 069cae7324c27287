//! Cells as the trees see them: each column in at most 255 bins, a gap in a bin of its own.
//!
//! Numbers are cut at quantiles, at every value where there are few; categories have a bin each, the rarest one together.

use super::columns::{Column, Columns};

/// Bins of values at most; one more holds gaps.
pub const MOST: usize = 255;

/// How one column is binned.
enum Cuts {
    /// A value v falls into bin #{cuts < v}; a gap into the last bin, `cuts.len() + 1`.
    Numbers(Vec<f64>),
    /// The bin of each code.
    Categories(Vec<u8>, usize),
}

/// How the columns of a table are binned.
pub struct Cutting {
    cuts: Vec<Cuts>,
}

/// Binned columns.
pub struct Binned {
    /// The bin of each row, column by column.
    pub columns: Vec<Vec<u8>>,
    /// What is known of each column's bins.
    pub kinds: Vec<Kind>,
}

/// What the bins of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// How many there are, the gap's included.
    pub bins: usize,
    /// Whether they are in order, the last one holding gaps; else they are categories.
    pub ordered: bool,
}

impl Cutting {
    /// Bins that suit these rows.
    pub fn of(table: &Columns) -> Self {
        Self { cuts: table.columns().iter().map(Cuts::of).collect() }
    }

    /// The bins of rows of a table that was aligned with it.
    pub fn apply(&self, table: &Columns) -> Binned {
        let binned = self.cuts.iter().zip(table.columns()).map(|(cuts, column)| cuts.apply(column));
        Binned { columns: binned.collect(), kinds: self.cuts.iter().map(Cuts::kind).collect() }
    }
}

impl Cuts {
    fn of(column: &Column) -> Self {
        match column {
            Column::Numbers(values) => {
                let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                sorted.sort_by(f64::total_cmp);
                let mut distinct = sorted.clone();
                distinct.dedup();
                let between = |a: f64, b: f64| {
                    // The middle must not round up to the value that goes right.
                    let middle = a + 0.5 * (b - a);
                    if middle < b { middle } else { a }
                };
                if distinct.len() < MOST {
                    return Self::Numbers(
                        distinct.windows(2).map(|pair| between(pair[0], pair[1])).collect(),
                    );
                }
                let mut cuts: Vec<f64> = (1..MOST - 1)
                    .map(|k| {
                        let value = sorted[k * sorted.len() / (MOST - 1)];
                        let next = distinct.partition_point(|other| *other <= value);
                        distinct.get(next).map_or(value, |next| between(value, *next))
                    })
                    .collect();
                cuts.dedup();
                Self::Numbers(cuts)
            }
            Column::Categories { codes, levels } => {
                let mut counts = vec![0usize; levels.len()];
                codes.iter().for_each(|code| counts[*code as usize] += 1);
                let mut order: Vec<usize> = (0..levels.len()).collect();
                order.sort_by_key(|&code| std::cmp::Reverse(counts[code]));
                let mut bins = vec![0u8; levels.len()];
                order.iter().enumerate().for_each(|(rank, &code)| bins[code] = rank.min(MOST) as u8);
                Self::Categories(bins, levels.len().clamp(1, MOST + 1))
            }
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Numbers(cuts) => Kind { bins: cuts.len() + 2, ordered: true },
            Self::Categories(_, bins) => Kind { bins: *bins, ordered: false },
        }
    }

    fn apply(&self, column: &Column) -> Vec<u8> {
        match (self, column) {
            (Self::Numbers(cuts), Column::Numbers(values)) => {
                let bin = |value: &f64| match value.is_nan() {
                    true => cuts.len() + 1,
                    false => cuts.partition_point(|cut| cut < value),
                };
                values.iter().map(|value| bin(value) as u8).collect()
            }
            (Self::Categories(bins, _), Column::Categories { codes, .. }) => {
                codes.iter().map(|code| bins.get(*code as usize).copied().unwrap_or_default()).collect()
            }
            // Aligned tables have equal kinds.
            (_, column) => vec![0; column.len()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::{table, words};
    use super::*;

    #[test]
    fn few_values_have_a_bin_each_and_gaps_their_own() {
        let one = table(vec![
            Column::Numbers(vec![3.0, 1.0, f64::NAN, 2.0, 3.0]),
            words(&["x", "", "x", "y", "x"]),
        ]);
        let binned = Cutting::of(&one).apply(&one);
        assert_eq!(binned.columns, [vec![2, 0, 3, 1, 2], vec![0, 1, 0, 2, 0]]);
        assert_eq!(binned.kinds, [Kind { bins: 4, ordered: true }, Kind { bins: 3, ordered: false }]);
    }

    #[test]
    fn many_values_are_cut_at_quantiles() {
        let values: Vec<f64> = (0..10_000).map(|i| f64::from(i).powi(3)).collect();
        let one = table(vec![Column::Numbers(values)]);
        let binned = Cutting::of(&one).apply(&one);
        let mut counts = vec![0; 257];
        binned.columns[0].iter().for_each(|bin| counts[*bin as usize] += 1);
        let used: Vec<_> = counts.into_iter().filter(|count| *count > 0).collect();
        assert!(used.len() == 254 && used.iter().all(|count| (38..=41).contains(count)), "{used:?}");
    }
}
