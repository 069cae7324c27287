//! Separated attribute predictability: how much better does the best dimension predict a factor linearly than the second?
//!
//! S_jk = cov(z_j, v_k)² / (var z_j · var v_k);   SAP = 1/K Σ_k (S_(1)k − S_(2)k)
//!
//! This is disentanglement_lib's variant for ordered factors (R², its `continuous_factors = True`), used for all factors: a
//! factor without order, such as the shape, is read by the number of its value, as there.
//!
//! Reference: Kumar et al., *Variational Inference of Disentangled Latent Concepts* (arXiv 1711.00848).

use crate::array::Array;

/// The score, 0 to 1.
pub fn separated_attribute_predictability(codes: &Array, factors: &[Vec<u32>]) -> f64 {
    let n = codes.rows().max(1) as f64;
    let columns: Vec<Vec<f64>> = (0..codes.width())
        .map(|d| (0..codes.rows()).map(|row| f64::from(codes.row(row)[d])).collect())
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let covariance = |a: &[f64], b: &[f64]| {
        let (ma, mb) = (mean(a), mean(b));
        a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>() / (n - 1.0).max(1.0)
    };
    let gap = |factor: &Vec<u32>| {
        let factor: Vec<f64> = factor.iter().map(|v| f64::from(*v)).collect();
        let spread = covariance(&factor, &factor);
        let mut scores: Vec<f64> = columns
            .iter()
            .map(|column| {
                let variance = covariance(column, column);
                if variance > 1e-12 { covariance(column, &factor).powi(2) / (variance * spread) } else { 0.0 }
            })
            .collect();
        scores.sort_by(|a, b| b.total_cmp(a));
        scores.first().copied().unwrap_or(0.0) - scores.get(1).copied().unwrap_or(0.0)
    };
    factors.iter().map(gap).sum::<f64>() / factors.len().max(1) as f64
}
