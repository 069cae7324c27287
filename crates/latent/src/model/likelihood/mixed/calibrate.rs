//! Shares of each column as rows have them: training leaves conditionals that are right one by one up to small errors, which
//! add up as a row is drawn digit after digit, each given those drawn before.
//!
//! b ← b + c,  c such that  mean over rows of softmax(logits + c) = shares of the training rows
//!
//! digit after digit, the contexts being rows as the model draws them with what was mended before.

use burn::tensor::Tensor;

use super::Evidence;
use super::digits::Digit;
use super::{Mixed, Noise};
use crate::key::Key;
use crate::weights::Weights;

/// Rounds of c ← c + ln(shares / mean), of which each leaves a fraction of the error.
const ROUNDS: usize = 8;

/// The most that a logit moves.
const MOST: f32 = 0.5;

impl Mixed {
    /// What is to be added to the bias, `[outputs]`: for the groups of columns that no constraint touches.
    pub(super) fn calibration(&self, weights: &Weights, outputs: Tensor<2>) -> Vec<f32> {
        let (rows, columns) = (outputs.dims()[0], self.layout.columns());
        let shares = self.layout.bias();
        let mut all = vec![0.0; shares.len()];
        let ids: Vec<u64> = (0..rows as u64).collect();
        let noise = Noise::new(Key::from_seed(0).fold("calibrate"), &ids);
        let mut change = |digit: Digit, logits: &mut [f32]| {
            if digit.is_place || self.rules.binds(digit.column) || self.rules.parts(digit.column).is_some() {
                return;
            }
            let own = digit.first..digit.first + digit.count;
            let more = towards(&shares[own.clone()], logits);
            for logits in logits.chunks_exact_mut(digit.count) {
                logits.iter_mut().zip(&more).for_each(|(logit, more)| *logit += more);
            }
            all[own].copy_from_slice(&more);
        };
        let evidence = Evidence::nothing(rows, columns);
        self.complete_with(weights, outputs, &evidence, Some(noise), &mut change);
        all
    }
}

/// What makes the mean of the softmax of rows of logits what these logarithms of shares say.
fn towards(log_shares: &[f32], logits: &[f32]) -> Vec<f32> {
    let count = log_shares.len();
    let total: f64 = log_shares.iter().map(|share| f64::from(*share).exp()).sum();
    let rows: Vec<Vec<f64>> = logits
        .chunks_exact(count)
        .map(|logits| {
            let most = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            logits.iter().map(|logit| f64::from(logit - most).exp()).collect()
        })
        .collect();
    let mut more = vec![0.0_f32; count];
    for _ in 0..ROUNDS {
        let factors: Vec<f64> = more.iter().map(|more| f64::from(*more).exp()).collect();
        let mut mean = vec![0.0; count];
        for row in &rows {
            let sum: f64 = row.iter().zip(&factors).map(|(odds, factor)| odds * factor).sum();
            for ((mean, odds), factor) in mean.iter_mut().zip(row).zip(&factors) {
                *mean += odds * factor / sum;
            }
        }
        for ((more, mean), share) in more.iter_mut().zip(&mean).zip(log_shares) {
            let wanted = f64::from(*share).exp() / total;
            let has = mean / rows.len().max(1) as f64;
            *more = (*more + (wanted / has.max(1e-12)).ln() as f32).clamp(-MOST, MOST);
        }
    }
    more
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_of_the_softmax_becomes_the_shares() {
        let mut numbers = vec![0.0; 500 * 4];
        Key::from_seed(1).normals(&mut numbers);
        let shares = [0.28_f32, 0.27, 0.25, 0.2];
        let more = towards(&shares.map(f32::ln), &numbers);
        let mut mean = [0.0_f32; 4];
        for row in numbers.chunks_exact(4) {
            let odds: Vec<f32> = row.iter().zip(&more).map(|(logit, more)| (logit + more).exp()).collect();
            let sum: f32 = odds.iter().sum();
            mean.iter_mut().zip(&odds).for_each(|(mean, odds)| *mean += odds / sum / 500.0);
        }
        for (mean, share) in mean.iter().zip(&shares) {
            assert!((mean - share).abs() < 1e-4, "{mean:?} for {share}");
        }
    }
}
