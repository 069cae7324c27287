//! The FactorVAE score: fix one factor, draw a batch, and look which dimension varies least, in units of its spread over
//! all rows. A majority vote names the factor by that dimension; the score is its accuracy on new batches.
//!
//! vote = argmin_j Var_batch(z_j) / Var(z_j)
//!
//! 10 000 batches of 64 to learn from and 5 000 to judge, as in disentanglement_lib; batches come from a pool of encoded rows
//! instead of fresh images.
//!
//! Reference: Kim & Mnih, *Disentangling by Factorising* (arXiv 1802.05983), section 4.

use super::votes::Pool;
use crate::Key;
use crate::array::Array;
use crate::evaluate::{Estimate, proportion};

const TRAIN: usize = 10_000;
const TEST: usize = 5000;
const BATCH: usize = 64;

/// The accuracy of the majority vote; none where no dimension varies.
pub fn factor_vae_score(codes: &Array, factors: &[Vec<u32>], key: Key) -> Option<Estimate> {
    let all: Vec<usize> = (0..codes.rows()).collect();
    let spread = variances(codes, &all);
    if !spread.iter().any(|v| *v > 0.0) || factors.is_empty() {
        return None;
    }
    let pool = Pool::new(factors);
    let vote = |number: usize| {
        let factor = pool.factor(key, number);
        let rows = pool.sharing(factor, BATCH, key.fold("batch").fold(number));
        let local = variances(codes, &rows);
        let shares = local.iter().zip(&spread).map(|(l, s)| if *s > 0.0 { l / s } else { f64::INFINITY });
        let least = shares.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(place, _)| place);
        (least, factor)
    };
    let mut counts = vec![vec![0usize; factors.len()]; codes.width()];
    for (dimension, factor) in (0..TRAIN).map(vote) {
        counts[dimension][factor] += 1;
    }
    // The first of equals, as numpy.argmax.
    let named: Vec<usize> = counts
        .iter()
        .map(|counts| (0..counts.len()).rev().max_by_key(|&factor| counts[factor]).unwrap_or(0))
        .collect();
    let right =
        (TRAIN..TRAIN + TEST).map(vote).filter(|(dimension, factor)| named[*dimension] == *factor).count();
    Some(proportion(right, TEST))
}

/// The variance of each dimension over some rows.
fn variances(codes: &Array, rows: &[usize]) -> Vec<f64> {
    let n = rows.len() as f64;
    let mut mean = vec![0.0; codes.width()];
    let mut variance = vec![0.0; codes.width()];
    for &row in rows {
        mean.iter_mut().zip(codes.row(row)).for_each(|(m, v)| *m += f64::from(*v));
    }
    // The sum of equal numbers is exact, so that a dimension that never varies has no variance.
    mean.iter_mut().for_each(|m| *m /= n);
    for &row in rows {
        let each = variance.iter_mut().zip(codes.row(row).iter().zip(&mean));
        each.for_each(|(s, (v, m))| *s += (f64::from(*v) - m).powi(2) / (n - 1.0).max(1.0));
    }
    variance
}
