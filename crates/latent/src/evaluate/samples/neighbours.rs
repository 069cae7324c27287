//! Where two sets of samples lie in each other: by the balls around their rows that reach to the k-th neighbour.
//!
//! B(x) = {v : ‖v − x‖ < distance of x to its k-th nearest row of the same set}
//!
//! - *precision*: the share of samples that lie in some real row's ball; *recall*: the share of real rows that lie in some
//!   sample's ball
//! - *density*: how many real balls a sample lies in, divided by k; *coverage*: the share of real balls that hold a sample
//!
//! All four depend on the numbers of rows. Intervals: the delete-a-group jackknife over groups of real rows and groups of
//! samples, balls measured anew; a bootstrap would repeat rows, whose distance is 0. A share gets Wilson's interval on as many
//! rows as would have that error; a density is not below 0. Balls don't change smoothly with their
//! rows, which makes these intervals too wide, up to twice: they hold the expectation in 97.4 to 100 % of draws
//! (`docs/results/intervals.md`).
//!
//! References: Kynkäänniemi et al., *Improved precision and recall metric* (arXiv 1904.06991); Naeem et al., *Reliable fidelity
//! and diversity metrics* (arXiv 2002.09797).

use latent_kernels::host::{map, product_of_rows};

use crate::array::Array;
use crate::evaluate::Estimate;
use crate::proportion;

/// Precision and recall, density and coverage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Neighbourhoods {
    /// The share of samples in some real row's ball.
    pub precision: Estimate,
    /// The share of real rows in some sample's ball.
    pub recall: Estimate,
    /// Real balls that a sample lies in, over k.
    pub density: Estimate,
    /// The share of real balls that hold a sample.
    pub coverage: Estimate,
}

/// Groups of either set that the jackknife leaves out, one at a time.
const GROUPS: usize = 20;

/// Bits of a mask: all rows, then all but each group.
const ALL: u32 = (1 << (GROUPS + 1)) - 1;

/// Rows whose distances to all others are held at once.
const TILE: usize = 256;

/// The four numbers, with intervals for their expectations at these numbers of rows. Rows must be in random order: row i is
/// of group i mod 20. None where a set has not k + 1 rows in any 19 of its groups.
pub fn neighbourhoods(real: &Array, samples: &Array, k: usize) -> Option<Neighbourhoods> {
    let enough = |set: &Array| set.rows() - set.rows().div_ceil(GROUPS).min(set.rows()) > k;
    if k == 0 || real.width() != samples.width() || !enough(real) || !enough(samples) {
        return None;
    }
    let (n, m) = (real.rows(), samples.rows());
    let (norms, sample_norms) = (norms(real), norms(samples));
    let (radii, sample_radii) = (radii(real, &norms, k), radii(samples, &sample_norms, k));
    let dims = real.width();
    let parts = map(n.div_ceil(TILE), |tile| {
        let rows = tile * TILE..n.min((tile + 1) * TILE);
        let products =
            product_of_rows(&real.values[rows.start * dims..rows.end * dims], &samples.values, dims);
        let mut seen = Seen::new(m);
        for (i, products) in rows.zip(products.chunks_exact(m)) {
            let balls = &radii[i];
            let most = balls.iter().copied().fold(0.0, f64::max);
            let mut own = RealRow::default();
            for (j, product) in products.iter().enumerate() {
                let square = norms[i] + sample_norms[j] - 2.0 * f64::from(*product);
                if square < most {
                    let mask = inside(square, balls, i % GROUPS);
                    seen.samples[j] |= mask;
                    seen.counts[j] += mask & 1;
                    (0..GROUPS).for_each(|g| seen.without_real[g] += u64::from(mask >> (g + 1) & 1));
                    own.holds |= mask;
                    if mask & 1 == 1 {
                        own.holds_without_sample |= ALL & !(2 << (j % GROUPS));
                    }
                }
                if square < sample_radii[j][GROUPS + 1] {
                    own.held |= inside(square, &sample_radii[j], j % GROUPS);
                }
            }
            seen.real.push(own);
        }
        seen
    });
    let seen = parts.into_iter().reduce(Seen::join)?;

    // A share over the rows of a set, from the bit that belongs to what is left out; `left` are groups left out of that set.
    let share = |masks: &dyn Fn(usize) -> u32, rows: usize, bit: usize, left: Option<usize>| {
        let counted = (0..rows).filter(|row| left != Some(row % GROUPS));
        let (sum, count) =
            counted.fold((0u64, 0u64), |(s, c), row| (s + u64::from(masks(row) >> bit & 1), c + 1));
        sum as f64 / count as f64
    };
    let error = |without_real: &dyn Fn(usize) -> f64, without_sample: &dyn Fn(usize) -> f64| {
        let variance = |values: Vec<f64>| {
            let mean = values.iter().sum::<f64>() / GROUPS as f64;
            (GROUPS as f64 - 1.0) / GROUPS as f64 * values.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
        };
        let [a, b] = [without_real, without_sample].map(|f| variance((0..GROUPS).map(f).collect()));
        (a + b).sqrt()
    };
    let samples_in = |j: usize| seen.samples[j];
    let holds = |i: usize| seen.real[i].holds;
    let holds_less = |i: usize| seen.real[i].holds_without_sample;
    let held = |i: usize| seen.real[i].held;
    let counted = |left: Option<usize>| {
        let kept = seen.counts.iter().enumerate().filter(|(j, _)| left != Some(j % GROUPS));
        let (sum, count) = kept.fold((0u64, 0u64), |(s, c), (_, v)| (s + u64::from(*v), c + 1));
        sum as f64 / (count as f64 * k as f64)
    };
    let precision = error(&|g| share(&samples_in, m, g + 1, None), &|g| share(&samples_in, m, 0, Some(g)));
    let recall = error(&|g| share(&held, n, 0, Some(g)), &|g| share(&held, n, g + 1, None));
    let density = error(&|g| seen.without_real[g] as f64 / (m as f64 * k as f64), &|g| counted(Some(g)));
    let coverage = error(&|g| share(&holds, n, g + 1, Some(g)), &|g| share(&holds_less, n, g + 1, None));
    Some(Neighbourhoods {
        precision: proportion::share(share(&samples_in, m, 0, None), precision, m),
        recall: proportion::share(share(&held, n, 0, None), recall, n),
        density: Estimate::normal(counted(None), density).within(0.0, f64::INFINITY),
        coverage: proportion::share(share(&holds, n, 0, None), coverage, n),
    })
}

/// In which of a row's balls a square distance lies: bit 0 of all rows, bit g + 1 of all but group g; the row has none where
/// its own group is left out.
fn inside(square: f64, balls: &[f64], group: usize) -> u32 {
    let mask = if square < balls[0] {
        ALL
    } else {
        (1..=GROUPS).fold(0, |mask, bit| mask | u32::from(square < balls[bit]) << bit)
    };
    mask & !(2 << group)
}

/// What the pairs of some real rows with all samples say.
struct Seen {
    /// For each sample: whether it lies in a ball, by what is left out of the real rows.
    samples: Vec<u32>,
    /// For each sample: in how many balls.
    counts: Vec<u32>,
    /// Pairs of a ball and a sample in it, by the group left out of the real rows.
    without_real: [u64; GROUPS],
    /// For each real row.
    real: Vec<RealRow>,
}

/// One real row among the samples.
#[derive(Clone, Copy, Default)]
struct RealRow {
    /// Whether its ball holds a sample, by what is left out of the real rows.
    holds: u32,
    /// Whether its ball holds a sample, by what is left out of the samples.
    holds_without_sample: u32,
    /// Whether it lies in a sample's ball, by what is left out of the samples.
    held: u32,
}

impl Seen {
    fn new(samples: usize) -> Self {
        Self {
            samples: vec![0; samples],
            counts: vec![0; samples],
            without_real: [0; GROUPS],
            real: Vec::new(),
        }
    }

    fn join(mut self, other: Self) -> Self {
        self.samples.iter_mut().zip(other.samples).for_each(|(a, b)| *a |= b);
        self.counts.iter_mut().zip(other.counts).for_each(|(a, b)| *a += b);
        self.without_real.iter_mut().zip(other.without_real).for_each(|(a, b)| *a += b);
        self.real.extend(other.real);
        self
    }
}

/// ‖row‖² of each row.
fn norms(set: &Array) -> Vec<f64> {
    set.values
        .chunks_exact(set.width().max(1))
        .map(|row| row.iter().map(|v| f64::from(*v).powi(2)).sum())
        .collect()
}

/// For each row the square distance to its k-th neighbour: among all rows, among all but each group, and the greatest.
fn radii(set: &Array, norms: &[f64], k: usize) -> Vec<[f64; GROUPS + 2]> {
    let (n, dims) = (set.rows(), set.width());
    // The k-th outside of a group is nearly always among these: a group has 1/20 of the rows.
    let kept = (3 * k + 10).min(n - 1);
    map(n.div_ceil(TILE), |tile| {
        let rows = tile * TILE..n.min((tile + 1) * TILE);
        let products = product_of_rows(&set.values[rows.start * dims..rows.end * dims], &set.values, dims);
        rows.zip(products.chunks_exact(n))
            .map(|(i, products)| {
                let mut near: Vec<(f64, usize)> = products
                    .iter()
                    .enumerate()
                    .filter(|(j, _)| *j != i)
                    .map(|(j, product)| ((norms[i] + norms[j] - 2.0 * f64::from(*product)).max(0.0), j))
                    .collect();
                near.select_nth_unstable_by(kept - 1, |a, b| a.0.total_cmp(&b.0));
                near.truncate(kept);
                near.sort_by(|a, b| a.0.total_cmp(&b.0));
                let mut radii = [0.0; GROUPS + 2];
                radii[0] = near[k - 1].0;
                for group in 0..GROUPS {
                    let mut others = near.iter().filter(|(_, j)| j % GROUPS != group);
                    radii[group + 1] = others.nth(k - 1).unwrap_or(&near[kept - 1]).0;
                }
                radii[GROUPS + 1] = radii.iter().copied().fold(0.0, f64::max);
                radii
            })
            .collect::<Vec<_>>()
    })
    .concat()
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    /// Figures of the package `prdc` 0.2 on the same rows (`bench/image_metrics.py`).
    #[test]
    fn the_four_numbers_are_those_of_the_reference_implementation() {
        for (seed, shift, wanted) in PRDC {
            let real = Array::matrix(wave(seed, 400, 6, 0.0), 6);
            let samples = Array::matrix(wave(seed + 0.5, 300, 6, shift), 6);
            let found = neighbourhoods(&real, &samples, 5).unwrap();
            let values = [found.precision, found.recall, found.density, found.coverage].map(|e| e.value);
            for (found, wanted) in values.iter().zip(wanted) {
                assert!((found - wanted).abs() < 1e-6, "{values:?} {wanted:?}");
            }
        }
    }

    /// Rows that `bench/image_metrics.py` makes as well.
    fn wave(seed: f64, rows: usize, dims: usize, shift: f64) -> Vec<f32> {
        (0..rows * dims)
            .map(|index| {
                let (i, j) = ((index / dims) as f64, (index % dims) as f64);
                let angle = (seed + 1.0) * 12.9898 * (i + 1.0) + 78.233 * (j + 1.0) * (i + 0.5 * j);
                (angle.sin() * (1.0 + 0.3 * j) + shift) as f32
            })
            .collect()
    }

    const PRDC: [(f64, f64, [f64; 4]); 2] =
        [(1.0, 0.0, [0.83, 1.0, 0.75, 0.9925]), (2.0, 0.6, [0.81, 0.8925, 0.528, 0.715])];

    /// What is left out is left out: the numbers without a group are those of sets without its rows.
    #[test]
    fn leaving_out_a_group_is_measuring_without_it() {
        let (real, samples) = (normals(9, 60, 2), normals(10, 50, 2));
        let k = 2;
        let without = |values: &[f32], group: usize| -> Vec<f32> {
            values
                .chunks(2)
                .enumerate()
                .filter(|(i, _)| i % GROUPS != group)
                .flat_map(|(_, r)| r.to_vec())
                .collect()
        };
        let plain = |real: &[f32], samples: &[f32]| -> [f64; 4] {
            let square = |a: &[f32], b: &[f32]| -> f64 {
                a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
            };
            let radius = |set: &[f32], i: usize| {
                let row = &set[2 * i..2 * i + 2];
                let mut all: Vec<f64> = set.chunks(2).map(|other| square(row, other)).collect();
                all.sort_by(f64::total_cmp);
                all[k]
            };
            let (n, m) = (real.len() / 2, samples.len() / 2);
            let d = |i: usize, j: usize| square(&real[2 * i..2 * i + 2], &samples[2 * j..2 * j + 2]);
            let r: Vec<f64> = (0..n).map(|i| radius(real, i)).collect();
            let s: Vec<f64> = (0..m).map(|j| radius(samples, j)).collect();
            let share = |count: usize, of: usize| count as f64 / of as f64;
            let balls: usize = (0..m).map(|j| (0..n).filter(|&i| d(i, j) < r[i]).count()).sum();
            [
                share((0..m).filter(|&j| (0..n).any(|i| d(i, j) < r[i])).count(), m),
                share((0..n).filter(|&i| (0..m).any(|j| d(i, j) < s[j])).count(), n),
                share(balls, m * k),
                share((0..n).filter(|&i| (0..m).any(|j| d(i, j) < r[i])).count(), n),
            ]
        };
        let jackknife = |values: Vec<[f64; 4]>, which: usize| {
            let mean = values.iter().map(|v| v[which]).sum::<f64>() / GROUPS as f64;
            values.iter().map(|v| (v[which] - mean).powi(2)).sum::<f64>() * (GROUPS as f64 - 1.0)
                / GROUPS as f64
        };
        let found =
            neighbourhoods(&Array::matrix(real.clone(), 2), &Array::matrix(samples.clone(), 2), k).unwrap();
        let value = plain(&real, &samples);
        let less_real: Vec<_> = (0..GROUPS).map(|g| plain(&without(&real, g), &samples)).collect();
        let less_samples: Vec<_> = (0..GROUPS).map(|g| plain(&real, &without(&samples, g))).collect();
        for (which, found) in
            [found.precision, found.recall, found.density, found.coverage].iter().enumerate()
        {
            let error = (jackknife(less_real.clone(), which) + jackknife(less_samples.clone(), which)).sqrt();
            let wanted = match which {
                2 => Estimate::normal(value[which], error).within(0.0, f64::INFINITY),
                _ => proportion::share(value[which], error, [50, 60][usize::from(which != 0)]),
            };
            assert!((found.value - wanted.value).abs() < 1e-12, "{which}: {found:?} {wanted:?}");
            assert!((found.high - wanted.high).abs() < 1e-9, "{which}: {found:?} {wanted:?}");
        }
    }

    #[test]
    fn too_few_rows_have_no_neighbourhoods() {
        let set = |rows: usize| Array::matrix(normals(11, rows, 2), 2);
        assert!(neighbourhoods(&set(6), &set(100), 5).is_none());
        assert!(neighbourhoods(&set(100), &set(100), 0).is_none());
        assert!(neighbourhoods(&set(8), &set(8), 5).is_some());
    }
}
