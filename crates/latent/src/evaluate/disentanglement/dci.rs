//! Disentanglement, completeness, informativeness. With R_jk how much dimension j matters for predicting factor k:
//!
//! D = Σ_j ρ_j (1 − H_K(R_j· / ΣR_j·)),  ρ_j = ΣR_j· / ΣR      does a dimension serve one factor alone?
//! C = Σ_k ρ_k (1 − H_d(R_·k / ΣR_·k)),  ρ_k = ΣR_·k / ΣR      is a factor served by one dimension alone?
//! I = mean accuracy on held-out rows                           is it told at all?
//!
//! H_K is the entropy to base K. R is the Gini importance in ten bagged classification trees, where
//! disentanglement_lib boosts trees and the paper has Lasso and random forests: the definition is theirs, the predictor ours.
//!
//! Reference: Eastwood & Williams, *A Framework for the Quantitative Evaluation of Disentangled Representations* (ICLR 2018).

use super::forest::Forest;
use crate::Key;
use crate::array::Array;

/// The three scores, each 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dci {
    /// D
    pub disentanglement: f64,
    /// C
    pub completeness: f64,
    /// I
    pub informativeness: f64,
}

/// Fits a forest a factor on two thirds of the rows and judges it on the rest.
pub fn dci(codes: &Array, factors: &[Vec<u32>], key: Key) -> Dci {
    let train = codes.rows() * 2 / 3;
    let mut importance = vec![Vec::new(); codes.width()];
    let mut accuracy = 0.0;
    for (place, factor) in factors.iter().enumerate() {
        let forest = Forest::fit(codes, factor, 0..train, key.fold("factor").fold(place));
        let right =
            (train..codes.rows()).filter(|&row| forest.predict(codes.row(row)) == factor[row]).count();
        accuracy += right as f64 / (codes.rows() - train).max(1) as f64;
        importance.iter_mut().zip(forest.importance()).for_each(|(row, value)| row.push(value));
    }
    Dci {
        disentanglement: disentanglement(&importance),
        completeness: completeness(&importance),
        informativeness: accuracy / factors.len().max(1) as f64,
    }
}

/// D of an importance matrix, a row a dimension.
pub fn disentanglement(importance: &[Vec<f64>]) -> f64 {
    let sums: Vec<f64> = importance.iter().map(|row| row.iter().sum()).collect();
    let total: f64 = sums.iter().sum();
    // All rows alike where nothing matters, as in disentanglement_lib.
    let weight = |sum: f64| if total > 0.0 { sum / total } else { 1.0 / importance.len() as f64 };
    importance.iter().zip(&sums).map(|(row, sum)| weight(*sum) * (1.0 - entropy(row))).sum()
}

/// C of an importance matrix, a row a dimension.
pub fn completeness(importance: &[Vec<f64>]) -> f64 {
    let factors = importance.first().map_or(0, Vec::len);
    let turned: Vec<Vec<f64>> = (0..factors).map(|k| importance.iter().map(|row| row[k]).collect()).collect();
    disentanglement(&turned)
}

/// The entropy of a row to the base of its length, with 1e-11 added to each as disentanglement_lib does.
fn entropy(row: &[f64]) -> f64 {
    let sum: f64 = row.iter().map(|v| v + 1e-11).sum();
    let each = row.iter().map(|v| {
        let p = (v + 1e-11) / sum;
        -p * p.ln()
    });
    each.sum::<f64>() / (row.len().max(2) as f64).ln()
}
