//! Trend: do columns hang together in pairs as they should?
//!
//! two numbers: ½ |r − r′|, r Pearson's correlation;   two categories: the total variation of their joint tables;
//! a number and a category: as two categories, the number cut into ten bins
//!
//! [`Edges::Own`] is the protocol to the letter: each table is cut between its own least and greatest value, which falls into
//! an eleventh bin, so that a table that misses one extreme value has all its bins elsewhere. [`Edges::Common`] cuts both where
//! the real one is, which compares like with like. A gap is a bin of its own.
//!
//! Reference: as [`super::shape`]; sdmetrics' `CorrelationSimilarity` and `ContingencySimilarity`.

use std::collections::BTreeMap;

use latent_kernels::host::map;

use super::columns::{Column, Columns};

const BINS: usize = 10;

/// Where numbers are cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edges {
    /// Each table by its own range.
    Own,
    /// Both by the real one's.
    Common,
}

/// The error of a pair of columns, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair {
    /// The places of the columns, the first below the second.
    pub columns: [usize; 2],
    /// NaN where it is undefined: a constant column has no correlation.
    pub error: f64,
}

/// The error of every pair of columns of aligned tables.
pub fn trend(real: &Columns, synthetic: &Columns, edges: Edges) -> Vec<Pair> {
    let width = real.width();
    let cut: Vec<[Labels; 2]> = map(width, |column| {
        let (real, synthetic) = (&real.columns()[column], &synthetic.columns()[column]);
        let by = if edges == Edges::Own { synthetic } else { real };
        [Labels::of(real, real, edges), Labels::of(synthetic, by, edges)]
    });
    let pairs: Vec<[usize; 2]> = (0..width).flat_map(|a| (a + 1..width).map(move |b| [a, b])).collect();
    map(pairs.len(), |place| {
        let [a, b] = pairs[place];
        let columns = |table: &'_ Columns| [table.columns()[a].clone(), table.columns()[b].clone()];
        let error = match (columns(real), columns(synthetic)) {
            ([Column::Numbers(x), Column::Numbers(y)], [Column::Numbers(u), Column::Numbers(v)]) => {
                0.5 * (pearson(&x, &y) - pearson(&u, &v)).abs()
            }
            _ => joint_variation([&cut[a][0], &cut[b][0]], [&cut[a][1], &cut[b][1]]),
        };
        Pair { columns: [a, b], error }
    })
}

/// How strongly columns hang together, of every pair: |r| of numbers, Cramér's V of categories and binned numbers. What the
/// pictures show.
pub fn association(table: &Columns) -> Vec<Vec<f64>> {
    let width = table.width();
    let cut: Vec<Labels> =
        table.columns().iter().map(|column| Labels::of(column, column, Edges::Common)).collect();
    map(width, |a| {
        let with = |b: usize| match (&table.columns()[a], &table.columns()[b]) {
            _ if a == b => 1.0,
            (Column::Numbers(x), Column::Numbers(y)) => pearson(x, y).abs(),
            _ => cramers_v(&cut[a], &cut[b]),
        };
        (0..width).map(with).collect()
    })
}

/// A label for each row.
struct Labels {
    labels: Vec<u32>,
    count: usize,
}

impl Labels {
    /// Categories as they are, numbers cut by the range of `by`. With common edges the greatest value is in the last bin.
    fn of(column: &Column, by: &Column, mode: Edges) -> Self {
        match (column, by) {
            (Column::Categories { codes, levels }, _) => Self { labels: codes.clone(), count: levels.len() },
            (Column::Numbers(values), by) => {
                let range = match by {
                    Column::Numbers(by) => range(by),
                    Column::Categories { .. } => None,
                };
                let edges = edges(range.unwrap_or((0.0, 1.0)));
                let label = |value: &f64| {
                    if value.is_nan() {
                        return BINS as u32 + 2;
                    }
                    // As numpy's digitize: 0 below all edges, 11 from the last on.
                    let bin = edges.partition_point(|edge| edge <= value);
                    let is_last = mode == Edges::Common && *value == edges[BINS];
                    (bin - usize::from(is_last)) as u32
                };
                let labels = values.iter().map(label);
                Self { labels: labels.collect(), count: BINS + 3 }
            }
        }
    }
}

fn range(values: &[f64]) -> Option<(f64, f64)> {
    let values = values.iter().filter(|value| !value.is_nan());
    values.fold(None, |range, &value| {
        let (low, high): (f64, f64) = range.unwrap_or((value, value));
        Some((low.min(value), high.max(value)))
    })
}

/// Eleven edges of ten equal bins, as numpy's `histogram_bin_edges` has them: half a unit on either side of a lone value.
fn edges((low, high): (f64, f64)) -> [f64; BINS + 1] {
    let (low, high) = if low == high { (low - 0.5, high + 0.5) } else { (low, high) };
    let step = (high - low) / BINS as f64;
    std::array::from_fn(|k| if k == BINS { high } else { low + k as f64 * step })
}

/// Pearson's correlation over the rows where both are known; NaN where one is constant there.
pub fn pearson(x: &[f64], y: &[f64]) -> f64 {
    let known = || x.iter().zip(y).filter(|(x, y)| !x.is_nan() && !y.is_nan());
    let n = known().count() as f64;
    let (mx, my) = known().fold((0.0, 0.0), |(sx, sy), (x, y)| (sx + x / n, sy + y / n));
    let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
    for (x, y) in known() {
        xx += (x - mx) * (x - mx);
        yy += (y - my) * (y - my);
        xy += (x - mx) * (y - my);
    }
    // What rounding leaves of a constant is none.
    let still = |sum: f64, mean: f64| sum <= 1e-24 * n * mean * mean;
    if still(xx, mx) || still(yy, my) { f64::NAN } else { (xy / (xx * yy).sqrt()).clamp(-1.0, 1.0) }
}

/// Counts of each pair of labels; without a table of all pairs where levels are many.
fn joint(a: &Labels, b: &Labels, add: f64, into: &mut BTreeMap<u64, f64>) {
    const DENSE: usize = 1 << 16;
    let weight = add / a.labels.len().max(1) as f64;
    if a.count * b.count <= DENSE {
        let mut counts = vec![0u32; a.count * b.count];
        let places = a.labels.iter().zip(&b.labels).map(|(x, y)| *x as usize * b.count + *y as usize);
        places.for_each(|place| counts[place] += 1);
        for (place, count) in counts.into_iter().enumerate().filter(|(_, count)| *count > 0) {
            *into.entry(place as u64).or_default() += weight * f64::from(count);
        }
        return;
    }
    let mut keys: Vec<u64> =
        a.labels.iter().zip(&b.labels).map(|(x, y)| u64::from(*x) * b.count as u64 + u64::from(*y)).collect();
    keys.sort_unstable();
    for run in keys.chunk_by(|a, b| a == b) {
        *into.entry(run[0]).or_default() += weight * run.len() as f64;
    }
}

/// ½ Σ |p_ab − q_ab|
fn joint_variation(real: [&Labels; 2], synthetic: [&Labels; 2]) -> f64 {
    if real[0].labels.is_empty() || synthetic[0].labels.is_empty() {
        return f64::NAN;
    }
    let mut difference = BTreeMap::new();
    joint(real[0], real[1], 1.0, &mut difference);
    joint(synthetic[0], synthetic[1], -1.0, &mut difference);
    0.5 * difference.values().map(|value| value.abs()).sum::<f64>()
}

/// √(χ²/n / (min(levels) − 1)), over the levels that occur.
fn cramers_v(a: &Labels, b: &Labels) -> f64 {
    let mut shares = BTreeMap::new();
    joint(a, b, 1.0, &mut shares);
    let margin = |labels: &Labels| {
        let mut shares = vec![0.0; labels.count];
        labels.labels.iter().for_each(|label| shares[*label as usize] += 1.0 / labels.labels.len() as f64);
        shares
    };
    let (p, q) = (margin(a), margin(b));
    // Σ (s − pq)²/pq = Σ s²/pq − 1
    let chi: f64 = shares
        .iter()
        .map(|(k, s)| s * s / (p[*k as usize / b.count] * q[*k as usize % b.count]))
        .sum::<f64>()
        - 1.0;
    let occur = |shares: &[f64]| shares.iter().filter(|share| **share > 0.0).count();
    let freedom = occur(&p).min(occur(&q)).saturating_sub(1);
    if freedom == 0 { f64::NAN } else { (chi.max(0.0) / freedom as f64).sqrt().min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::super::columns::align;
    use super::super::columns::tests::{table, words};
    use super::*;

    #[test]
    fn pairs_are_as_by_hand() {
        let real = table(vec![
            Column::Numbers(vec![0.0, 5.0, 10.0, 10.0]),
            Column::Numbers(vec![0.0, 1.0, 2.0, 2.0]),
            words(&["x", "x", "y", "y"]),
            words(&["u", "v", "u", "v"]),
        ]);
        let fake = table(vec![
            Column::Numbers(vec![0.0, 4.0, 8.0, 8.0]),
            Column::Numbers(vec![2.0, 1.0, 0.0, 0.0]),
            words(&["x", "x", "y", "y"]),
            words(&["u", "u", "v", "v"]),
        ]);
        let both = align(&[("real", &real), ("fake", &fake)]).unwrap();
        let of = |edges| -> BTreeMap<[usize; 2], f64> {
            trend(&both[0], &both[1], edges).into_iter().map(|pair| (pair.columns, pair.error)).collect()
        };
        let (own, common) = (of(Edges::Own), of(Edges::Common));
        assert_eq!(own.len(), 6);
        // r = 1 against r = −1.
        assert!((own[&[0, 1]] - 1.0).abs() < 1e-12);
        // Own edges: 5 is in the sixth bin of 0…10 and 4 in that of 0…8; both greatest values are in the eleventh. Common
        // edges: neither is where it should be.
        assert_eq!((own[&[0, 2]], common[&[0, 2]]), (0.0, 0.75));
        // ¼ each against ½ and ½ of two: |¼ − ½| + ¼ + ¼ + |¼ − ½| over two.
        assert_eq!((own[&[2, 3]], common[&[2, 3]]), (0.5, 0.5));
        assert_eq!(association(&both[0])[2][3], 0.0);
        assert!((association(&both[1])[2][3] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn bins_are_numpys_and_gaps_have_their_own() {
        let of = |values: &[f64], by: &[f64]| {
            Labels::of(&Column::Numbers(values.into()), &Column::Numbers(by.into()), Edges::Common).labels
        };
        let column = Column::Numbers(vec![0.0, 0.99, 1.0, 9.5, 10.0, f64::NAN]);
        // numpy.digitize(x, numpy.histogram_bin_edges(x, 10)) of the first five.
        assert_eq!(Labels::of(&column, &column, Edges::Own).labels, [1, 1, 2, 10, 11, 12]);
        assert_eq!(of(&[-1.0, 0.0, 10.0, 10.1], &[0.0, 10.0]), [0, 1, 10, 11]);
        assert_eq!(of(&[2.0], &[2.0]), [6]);
        assert!(pearson(&[1.0, 1.0, f64::NAN], &[1.0, 2.0, 3.0]).is_nan());
        assert!((pearson(&[1.0, 2.0, f64::NAN], &[1.0, 2.0, 3.0]) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn many_levels_are_counted_without_a_table() {
        let codes: Vec<u32> = (0..2000).collect();
        let levels: Vec<String> = codes.iter().map(ToString::to_string).collect();
        let column = |codes: Vec<u32>| Column::Categories { codes, levels: levels.clone() };
        let shifted: Vec<u32> = codes.iter().map(|code| (code + 1) % 2000).collect();
        let real = table(vec![column(codes.clone()), column(codes.clone())]);
        let fake = table(vec![column(codes), column(shifted)]);
        assert!((trend(&real, &fake, Edges::Own)[0].error - 1.0).abs() < 1e-9);
        assert!(trend(&real, &real, Edges::Own)[0].error < 1e-12);
    }
}
