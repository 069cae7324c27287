//! Can a classifier tell codes of the data from draws of the prior? On held-out halves its accuracy is ½ where both have
//! one law, and more than ½ proves that they have not:
//!
//! accuracy = P(the classifier names the sample that z came from)
//!
//! The classifier is logistic regression (ridge 1) on z, its squares, its products (300 of them at random where there are more), and 128 random
//! rectified projections: optimal between two normals, and able to see lumps. It is cross-fitted: each half is judged by
//! what the other has learned.
//!
//! Reference: Lopez-Paz & Oquab, *Revisiting Classifier Two-Sample Tests* (arXiv 1610.06545).

use crate::Key;
use crate::array::Array;
use crate::evaluate::Estimate;
use crate::evaluate::statistics::logistic;
use crate::proportion::proportion_of;

/// Random rectified projections.
const PROJECTIONS: usize = 128;

/// Products of two dimensions, at most.
const PRODUCTS: usize = 300;

/// The accuracy on held-out halves of two samples of equal size (as many rows as the smaller one has); none where a number
/// is not finite.
pub fn two_sample(a: &Array, b: &Array, key: Key) -> Option<Estimate> {
    let n = a.rows().min(b.rows());
    let dims = a.width();
    let mut z = Vec::with_capacity(2 * n * dims);
    let mut y = Vec::with_capacity(2 * n);
    // Pairs of one of each sample: halves by parity of pairs would tear them apart, so two of a kind follow each other.
    for pair in (0..n - n % 2).step_by(2) {
        for (sample, class) in [(a, 1), (b, 0)] {
            for row in pair..pair + 2 {
                z.extend(sample.row(row).iter().map(|v| f64::from(*v)));
                y.push(class);
            }
        }
    }
    logistic::Scaling::of(&z, dims).apply(&mut z);
    let (features, width) = features(&z, dims, key);
    let right = logistic::cross_fitted(&features, width, &y, 2, 1.0)?;
    Some(proportion_of(&right))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, n: usize, dims: usize, deviation: f32, shift: f32) -> Array {
        let mut values = vec![0.0; dims * n];
        Key::from_seed(seed).normals(&mut values);
        values.iter_mut().for_each(|v| *v *= deviation);
        values.chunks_mut(dims).for_each(|row| row[0] += shift);
        Array::matrix(values, dims)
    }

    #[test]
    fn two_normals_are_told_apart_as_well_as_can_be() {
        let key = Key::from_seed(7);
        // Bayes: Φ(½) for a shift of 1; by χ² for widths 0.6 and 1 in four dimensions (bench/latents.py).
        let shift = two_sample(&normals(1, 2000, 3, 1.0, 1.0), &normals(2, 2000, 3, 1.0, 0.0), key).unwrap();
        assert!((shift.value - 0.691_462_461).abs() < 0.025, "{shift:?}");
        let scale = two_sample(&normals(3, 2000, 4, 0.6, 0.0), &normals(4, 2000, 4, 1.0, 0.0), key).unwrap();
        assert!((scale.value - 0.754_420_942).abs() < 0.025, "{scale:?}");
    }

    #[test]
    fn one_law_is_not_told_apart_and_lumps_are() {
        let key = Key::from_seed(8);
        let none = two_sample(&normals(5, 2000, 3, 1.0, 0.0), &normals(6, 2000, 3, 1.0, 0.0), key).unwrap();
        assert!(none.low < 0.5 && none.high > 0.5 && none.high < 0.53, "{none:?}");
        // ±0.9 with deviation 0.436: mean 0 and variance 1 as the prior has.
        let mut lumps = normals(9, 2000, 1, 0.436, 0.0);
        lumps.values.iter_mut().enumerate().for_each(|(i, v)| *v += if i / 2 % 2 == 0 { 0.9 } else { -0.9 });
        let lumps = two_sample(&lumps, &normals(10, 2000, 1, 1.0, 0.0), key).unwrap();
        assert!(lumps.low > 0.55, "{lumps:?}");
    }
}
