//! Mutual information gap: how much more does the best dimension say of a factor than the second best?
//!
//! MIG = 1/K Σ_k [I(z_(1); v_k) − I(z_(2); v_k)] / H(v_k)
//!
//! Reference: Chen et al., *Isolating Sources of Disentanglement in VAEs* (arXiv 1802.04942).

use super::mutual::Mutual;
use crate::array::Array;

/// The gap, 0 to 1.
pub fn mutual_information_gap(codes: &Array, factors: &[Vec<u32>]) -> f64 {
    let mutual = Mutual::of(codes, factors);
    let gap = |k: usize| {
        let mut column: Vec<f64> = mutual.of.iter().map(|row| row[k]).collect();
        column.sort_by(|a, b| b.total_cmp(a));
        let best = column.first().copied().unwrap_or(0.0);
        (best - column.get(1).copied().unwrap_or(0.0)) / mutual.entropy[k]
    };
    (0..factors.len()).map(gap).sum::<f64>() / factors.len().max(1) as f64
}
