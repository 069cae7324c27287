//! Can a sampler's codes be told from real ones, or the prior's from draws of q? The one test of that in the product.
//!
//! *Classifier two-sample test*: accuracy = P(the classifier names the set that z came from) is ½ where both have one law, and
//! more than ½ proves that they have not. The classifier is logistic regression (ridge 1) on z, its squares, its products (300
//! of them at random where there are more), and 128 random rectified projections: optimal between two normals, and able to see
//! lumps. It is cross-fitted: each half is judged by what the other has learned, so every row counts. A small network in its
//! place sees some shapes better and itself varies from seed to seed more (`docs/samplers.md`).
//!
//! *Maximum mean discrepancy* with the cubic kernel k(a, b) = (aᵀb/d + 1)³ on standardised codes, unbiased, the mean over
//! disjoint blocks (as the kernel inception distance has it, on codes):
//!
//! MMD² = 1/m(m−1) Σ_{i≠j} [k(a_i, a_j) + k(b_i, b_j)] − 2/m² Σ_ij k(a_i, b_j)
//!
//! Both see how codes lie, not whether they repeat training codes.
//!
//! References: Lopez-Paz & Oquab, *Revisiting classifier two-sample tests* (arXiv 1610.06545); Bińkowski et al.,
//! *Demystifying MMD GANs* (arXiv 1801.01401).

use serde::{Deserialize, Serialize};

use super::SamplerError;
use crate::array::Array;
use crate::estimate::{Estimate, Z_95};
use crate::generate::Result;
use crate::key::Key;
use crate::logistic::{Scaling, cross_fitted};
use crate::proportion::proportion_of;

/// How well two sets of codes can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoSample {
    /// The share of held-out codes that the classifier puts into the right set; ½ where they are alike.
    pub accuracy: f64,
    /// The lower end of its 95 % interval (Wilson).
    pub accuracy_low: f64,
    /// The upper end.
    pub accuracy_high: f64,
    /// The unbiased estimate of MMD² with the cubic kernel; 0 where they are alike, and below by chance.
    pub mmd: f64,
    /// Its standard error over blocks.
    pub mmd_error: f64,
    /// On how many codes the accuracy stands.
    pub n: usize,
}

/// Random rectified projections.
const PROJECTIONS: usize = 128;

/// Products of two dimensions, at most.
const PRODUCTS: usize = 300;

/// Tells `real` from `drawn`, as many rows of each as the smaller has.
///
/// # Errors
/// [`SamplerError::TooFew`] below eight rows of each.
pub fn two_sample(real: &Array, drawn: &Array, key: Key) -> Result<TwoSample> {
    let n = real.rows().min(drawn.rows());
    let too_few = || SamplerError::TooFew {
        what: "codes to tell apart".into(),
        rows: n,
        wanted: 8,
        remedy: "judge on more rows".into(),
    };
    if n < 8 {
        return Err(too_few().into());
    }
    // In a keyed order, an even number of each, in units of the real ones.
    let n = n - n % 2;
    let dims = real.width();
    let as_f64 = |codes: &Array, key: Key| -> Vec<f64> {
        let order = key.permutation(codes.rows());
        order[..n].iter().flat_map(|&row| codes.row(row)).map(|v| f64::from(*v)).collect()
    };
    let mut sets = [as_f64(real, key.fold("real")), as_f64(drawn, key.fold("drawn"))];
    let scale = Scaling::of(&sets[0], dims);
    for set in &mut sets {
        scale.apply(set);
        tame(set);
    }
    let accuracy = accuracy(&sets, dims, key).ok_or_else(too_few)?;
    let [a, b] = sets.map(|set| Array::matrix(set.into_iter().map(|v| v as f32).collect(), dims));
    let mmd = cubic_mmd(&a, &b);
    Ok(TwoSample {
        accuracy: accuracy.value,
        accuracy_low: accuracy.low,
        accuracy_high: accuracy.high,
        mmd: mmd.value,
        mmd_error: (mmd.high - mmd.value) / Z_95,
        n: 2 * n,
    })
}

/// Codes further out than this many deviations, or at no number at all, count as this far: told apart they are anyway.
const FARTHEST: f64 = 100.0;

fn tame(values: &mut [f64]) {
    values.iter_mut().for_each(|v| *v = if v.is_nan() { FARTHEST } else { v.clamp(-FARTHEST, FARTHEST) });
}

/// The share of rows that a classifier puts into the right set which has learned from the other half.
fn accuracy([real, drawn]: &[Vec<f64>; 2], dims: usize, key: Key) -> Option<Estimate> {
    let (mut z, mut y) = (Vec::with_capacity(2 * real.len()), Vec::new());
    // Pairs of one of each set: halves by parity of pairs would tear them apart, so two of a kind follow each other.
    for (real, drawn) in real.chunks(2 * dims).zip(drawn.chunks(2 * dims)) {
        z.extend([real, drawn].concat());
        y.extend([1, 1, 0, 0]);
    }
    let (features, width) = features(&z, dims, key);
    Some(proportion_of(&cross_fitted(&features, width, &y, 2, 1.0)?))
}

/// z, z², z_i z_j, max(0, w·z + b), row by row, and how many.
fn features(z: &[f64], dims: usize, key: Key) -> (Vec<f64>, usize) {
    let mut pairs: Vec<(usize, usize)> = (0..dims).flat_map(|i| (i + 1..dims).map(move |j| (i, j))).collect();
    if pairs.len() > PRODUCTS {
        let order = key.fold("products").permutation(pairs.len());
        pairs = order[..PRODUCTS].iter().map(|&place| pairs[place]).collect();
    }
    let mut random = vec![0.0f32; PROJECTIONS * (dims + 1)];
    key.fold("projections").normals(&mut random);
    let width = 2 * dims + pairs.len() + PROJECTIONS;
    let mut out = Vec::with_capacity(z.len() / dims.max(1) * width);
    for z in z.chunks(dims.max(1)) {
        out.extend(z);
        out.extend(z.iter().map(|v| v * v));
        out.extend(pairs.iter().map(|&(i, j)| z[i] * z[j]));
        out.extend(random.chunks(dims + 1).map(|w| {
            let along: f64 = w.iter().zip(z).map(|(w, z)| f64::from(*w) * z).sum();
            (along / (dims as f64).sqrt() + f64::from(w[dims])).max(0.0)
        }));
    }
    (out, width)
}

/// Codes in a block of the discrepancy, at most.
const BLOCK: usize = 1000;

/// The discrepancy of two sets of standardised codes with the cubic kernel, with the interval that its blocks give.
pub fn cubic_mmd(a: &Array, b: &Array) -> Estimate {
    let n = a.rows().min(b.rows());
    let block = BLOCK.min(n / 4).max(2);
    let (a, b): (Vec<_>, Vec<_>) =
        (0..n / block).map(|i| (rows(a, i * block, block), rows(b, i * block, block))).unzip();
    let values: Vec<f64> = a.iter().zip(&b).map(|(a, b)| unbiased(a, b)).collect();
    Estimate::mean(&values)
}

fn rows(codes: &Array, from: usize, count: usize) -> Vec<&[f32]> {
    (from..from + count).map(|row| codes.row(row)).collect()
}

fn unbiased(a: &[&[f32]], b: &[&[f32]]) -> f64 {
    let m = a.len() as f64;
    let kernel = |x: &[f32], y: &[f32]| {
        let dot: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        (dot / x.len().max(1) as f64 + 1.0).powi(3)
    };
    let within = |of: &[&[f32]]| {
        let pairs = (0..of.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        2.0 * pairs.map(|(i, j)| kernel(of[i], of[j])).sum::<f64>() / (m * (m - 1.0))
    };
    let across: f64 = a.iter().flat_map(|x| b.iter().map(|y| kernel(x, y))).sum();
    within(a) + within(b) - 2.0 * across / (m * m)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, n: usize, dims: usize, mean: f32, deviation: f32) -> Array {
        let mut values = vec![0.0; n * dims];
        Key::from_seed(seed).normals(&mut values);
        values.iter_mut().for_each(|v| *v = mean + deviation * *v);
        Array::matrix(values, dims)
    }

    #[test]
    fn what_is_alike_cannot_be_told_apart_and_what_is_not_can() {
        let real = normals(1, 2000, 4, 1.0, 2.0);
        let same = two_sample(&real, &normals(2, 2000, 4, 1.0, 2.0), Key::from_seed(3)).unwrap();
        assert!(same.accuracy_low < 0.52 && same.accuracy_high > 0.5, "{same:?}");
        assert!(same.mmd.abs() < 4.0 * same.mmd_error, "{same:?}");
        // Of 95 % intervals one in forty lies above: 1 of 40 is expected, and 5 or more in one case of 300.
        let above = (0..40).filter(|&seed| {
            let of = |which| normals(100 + 2 * seed + which, 300, 3, 0.0, 1.0);
            two_sample(&of(0), &of(1), Key::from_seed(seed)).unwrap().accuracy_low > 0.5
        });
        assert!(above.count() < 5);
        let wider = two_sample(&real, &normals(2, 2000, 4, 1.0, 3.0), Key::from_seed(3)).unwrap();
        // The best test between N(0, 1)⁴ and N(0, 1.5²)⁴ by ‖z‖² is right in 69.6 % of cases.
        assert!(wider.accuracy > 0.62 && wider.accuracy < 0.74, "{wider:?}");
        assert!(wider.mmd > 4.0 * wider.mmd_error, "{wider:?}");
        assert_eq!(same, two_sample(&real, &normals(2, 2000, 4, 1.0, 2.0), Key::from_seed(3)).unwrap());
    }

    #[test]
    fn codes_that_are_no_numbers_are_told_apart() {
        let real = normals(1, 400, 2, 0.0, 1.0);
        let mut drawn = normals(2, 400, 2, 0.0, 1.0);
        drawn.values.iter_mut().step_by(3).for_each(|v| *v = f32::NAN);
        drawn.values[1] = f32::INFINITY;
        let told = two_sample(&real, &drawn, Key::from_seed(3)).unwrap();
        assert!(told.accuracy > 0.7 && told.mmd.is_finite(), "{told:?}");
    }

    #[test]
    fn the_discrepancy_of_two_normals_is_its_closed_form() {
        // In one dimension k = (ab + 1)³ = Σ_j C(3, j) aʲ bʲ, so MMD² = Σ_j C(3, j) (E aʲ − E bʲ)²; here the moments
        // are (0, 1, 0) and (½, 1 + ¼, 3·½ + ⅛).
        let expected = 3.0 * 0.25 + 3.0 * 0.0625 + 1.625f64.powi(2);
        let found = cubic_mmd(&normals(4, 40_000, 1, 0.0, 1.0), &normals(5, 40_000, 1, 0.5, 1.0));
        assert!(found.low < expected && expected < found.high, "{found:?} {expected}");
    }

    #[test]
    fn two_normals_are_told_apart_as_well_as_can_be() {
        let told = |a: &Array, b: &Array| two_sample(a, b, Key::from_seed(7)).unwrap().accuracy;
        // Bayes: Φ(½) for a shift of 1 in one of three dimensions; by χ² for widths 0.6 and 1 in four (bench/latents.py).
        let mut shifted = normals(1, 2000, 3, 0.0, 1.0);
        shifted.values.chunks_mut(3).for_each(|row| row[0] += 1.0);
        let shift = told(&shifted, &normals(2, 2000, 3, 0.0, 1.0));
        assert!((shift - 0.691_462_461).abs() < 0.025, "{shift}");
        let scale = told(&normals(3, 2000, 4, 0.0, 0.6), &normals(4, 2000, 4, 0.0, 1.0));
        assert!((scale - 0.754_420_942).abs() < 0.025, "{scale}");
        // ±0.9 with deviation 0.436: mean 0 and variance 1 as the other has.
        let mut lumps = normals(9, 2000, 1, 0.0, 0.436);
        lumps.values.iter_mut().enumerate().for_each(|(i, v)| *v += if i / 2 % 2 == 0 { 0.9 } else { -0.9 });
        let lumps = two_sample(&lumps, &normals(10, 2000, 1, 0.0, 1.0), Key::from_seed(8)).unwrap();
        assert!(lumps.accuracy_low > 0.55, "{lumps:?}");
    }
}
