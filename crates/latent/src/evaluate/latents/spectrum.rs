//! In how many directions do the codes spread? With λ the eigenvalues of their covariance, the participation ratio
//!
//! (Σ λ)² / Σ λ²
//!
//! is d where all directions spread alike and 1 where one has it all. It needs no factorisation: Σ λ = tr S, Σ λ² = tr S².
//!
//! Reference: Dai & Wipf, *Diagnosing and Enhancing VAE Models* (arXiv 1903.05789), for what the spectrum tells.

use crate::array::Array;
use crate::evaluate::statistics::jackknife::jackknife;
use crate::evaluate::{Estimate, Pca};

/// Groups of the jackknife.
const GROUPS: usize = 20;

/// The participation ratio of the codes' covariance; none where they don't spread or are fewer than 40.
pub fn participation_ratio(codes: &Array) -> Option<Estimate> {
    let (n, dims) = (codes.rows(), codes.width());
    if n < 2 * GROUPS {
        return None;
    }
    // Counts, sums and products by group, so that any group can be left out. About the mean, lest digits be lost.
    let centre: Vec<f64> =
        (0..dims).map(|d| (0..n).map(|row| f64::from(codes.row(row)[d])).sum::<f64>() / n as f64).collect();
    let mut groups = vec![Moments::new(dims); GROUPS];
    for row in 0..n {
        let centred: Vec<f64> = codes.row(row).iter().zip(&centre).map(|(v, m)| f64::from(*v) - m).collect();
        groups[row * GROUPS / n].add(&centred);
    }
    let mut all = Moments::new(dims);
    groups.iter().for_each(|group| all.join(group, 1.0));
    let value = all.participation_ratio()?;
    let without: Option<Vec<f64>> = groups
        .iter()
        .map(|group| {
            let mut rest = all.clone();
            rest.join(group, -1.0);
            rest.participation_ratio()
        })
        .collect();
    Some(jackknife(value, &without?).within(1.0, dims as f64))
}

/// The eigenvalues of the codes' covariance, greatest first; none where a code is not finite.
pub fn spectrum(codes: &Array) -> Option<Vec<f64>> {
    Pca::fit(&codes.values, codes.width(), codes.width()).map(|pca| pca.variances)
}

#[derive(Clone)]
struct Moments {
    count: f64,
    sum: Vec<f64>,
    products: Vec<f64>,
}

impl Moments {
    fn new(dims: usize) -> Self {
        Self { count: 0.0, sum: vec![0.0; dims], products: vec![0.0; dims * dims] }
    }

    fn add(&mut self, row: &[f64]) {
        self.count += 1.0;
        for (i, a) in row.iter().enumerate() {
            self.sum[i] += a;
            for (j, b) in row.iter().enumerate() {
                self.products[i * row.len() + j] += a * b;
            }
        }
    }

    fn join(&mut self, other: &Self, sign: f64) {
        self.count += sign * other.count;
        self.sum.iter_mut().zip(&other.sum).for_each(|(a, b)| *a += sign * b);
        self.products.iter_mut().zip(&other.products).for_each(|(a, b)| *a += sign * b);
    }

    fn participation_ratio(&self) -> Option<f64> {
        let (dims, n) = (self.sum.len(), self.count);
        let covariance =
            |i: usize, j: usize| self.products[i * dims + j] / n - self.sum[i] * self.sum[j] / (n * n);
        let trace: f64 = (0..dims).map(|i| covariance(i, i)).sum();
        let squares: f64 = (0..dims * dims).map(|place| covariance(place / dims, place % dims).powi(2)).sum();
        (squares > 0.0 && squares.is_finite()).then(|| trace * trace / squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_the_number_of_directions() {
        // Columns with variances 4, 4, 1 and 0, uncorrelated: 81 / 33. Rotated it stays, and the spectrum shows them.
        let signs = |i: usize| [i & 1, i >> 1 & 1, i >> 2 & 1].map(|bit| 2.0 * bit as f32 - 1.0);
        let rows = |turn: bool| {
            let each = |i: usize| {
                let [a, b, c] = signs(i);
                let (a, b) = (2.0 * a, 2.0 * b);
                if turn { [0.6 * a - 0.8 * c, b, 0.8 * a + 0.6 * c, 3.0] } else { [a, b, c, 3.0] }
            };
            Array::matrix((0..800).flat_map(each).collect(), 4)
        };
        for turn in [false, true] {
            let found = participation_ratio(&rows(turn)).unwrap();
            assert!((found.value - 81.0 / 33.0).abs() < 1e-6 && found.high - found.low < 1e-6, "{found:?}");
            let spectrum = spectrum(&rows(turn)).unwrap();
            for (found, expected) in spectrum.iter().zip([4.0, 4.0, 1.0, 0.0]) {
                assert!((found - expected).abs() < 1e-5);
            }
        }
        assert!(participation_ratio(&Array::matrix(vec![1.0; 400], 4)).is_none());
    }
}
