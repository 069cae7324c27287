//! Modularity: does each dimension say something of one factor alone? With m_jk = I(z_j; v_k) and t_j the largest of a row:
//!
//! 1 − Σ_{k ≠ best} m_jk² / (t_j² (K − 1)), the mean over dimensions; a dimension that says nothing counts 0
//!
//! References: Ridgeway & Mozer, *Learning Deep Disentangled Embeddings with the F-Statistic Loss* (arXiv 1802.05312);
//! disentanglement_lib, `modularity_explicitness`.

use super::mutual::Mutual;
use crate::array::Array;

/// The modularity, 0 to 1; defined from two factors on.
pub fn modularity(codes: &Array, factors: &[Vec<u32>]) -> f64 {
    let mutual = Mutual::of(codes, factors);
    let of_dimension = |row: &Vec<f64>| {
        let squares: Vec<f64> = row.iter().map(|m| m * m).collect();
        let most = squares.iter().copied().fold(0.0, f64::max);
        let others = squares.iter().sum::<f64>() - most;
        if most > 0.0 { 1.0 - others / (most * (factors.len() as f64 - 1.0)) } else { 0.0 }
    };
    mutual.of.iter().map(of_dimension).sum::<f64>() / mutual.of.len().max(1) as f64
}
