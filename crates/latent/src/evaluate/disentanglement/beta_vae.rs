//! The β-VAE score: can a linear classifier name the factor that the pairs of a batch share, from how far the codes of a
//! pair lie apart?
//!
//! feature = 1/64 Σ_pairs |z − z′|, 10 000 to learn from and 5 000 to judge, logistic regression with scikit-learn's defaults
//!
//! as in disentanglement_lib; pairs come from a pool of encoded rows instead of fresh images.
//!
//! Reference: Higgins et al., *β-VAE* (ICLR 2017), section 3.

use super::votes::Pool;
use crate::Key;
use crate::array::Array;
use crate::evaluate::{Estimate, proportion};
use crate::logistic::Logistic;

const TRAIN: usize = 10_000;
const TEST: usize = 5000;
const BATCH: usize = 64;

/// The accuracy on new batches; none where a code is not finite.
pub fn beta_vae_score(codes: &Array, factors: &[Vec<u32>], key: Key) -> Option<Estimate> {
    let pool = Pool::new(factors);
    let features = |numbers: std::ops::Range<usize>| {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for number in numbers {
            let factor = pool.factor(key, number);
            let mut mean = vec![0.0; codes.width()];
            for [a, b] in pool.pairs(factor, BATCH, key.fold("pairs").fold(number)) {
                for (m, (a, b)) in mean.iter_mut().zip(codes.row(a).iter().zip(codes.row(b))) {
                    *m += f64::from((a - b).abs()) / BATCH as f64;
                }
            }
            x.extend(mean);
            y.push(factor as u32);
        }
        (x, y)
    };
    let (x, y) = features(0..TRAIN);
    let fit = Logistic::fit(&x, codes.width(), &y, factors.len(), 1.0)?;
    let (x, y) = features(TRAIN..TRAIN + TEST);
    let right = fit.predict(&x).iter().zip(&y).filter(|(told, factor)| told == factor).count();
    Some(proportion(right, TEST))
}
