//! How much of their alphabet do bit codes use? A bit is in use where both its values occur, in the mean over rows:
//!
//! usage: H(p̄_j) > 0.01 nats, p̄_j the mean of bit j;   perplexity: exp H(code), as many as so many equally frequent codes
//!
//! The entropy is that of counted codes, so that the perplexity is at most the number of rows; it is the plug-in estimate
//! with Miller's correction (K − 1)/2n for K codes seen.
//!
//! References: van den Oord et al. (arXiv 1711.00937), for perplexity as usage; Miller, *Note on the bias of information
//! estimates* (1955).

use std::collections::HashMap;

use crate::array::Array;
use crate::evaluate::Estimate;
use crate::model::ACTIVE_NATS;
use crate::train::binary_entropy;

/// What bit codes use.
pub struct Usage {
    /// Bits both of whose values occur.
    pub bits: usize,
    /// Different codes seen.
    pub codes: usize,
    /// exp H(code).
    pub perplexity: Estimate,
}

/// Of codes of 0 and 1.
pub fn usage(codes: &Array) -> Usage {
    let n = codes.rows().max(1) as f64;
    let share = |bit: usize| (0..codes.rows()).map(|row| f64::from(codes.row(row)[bit])).sum::<f64>() / n;
    let bits = (0..codes.width()).filter(|&bit| binary_entropy(share(bit)) > ACTIVE_NATS).count();
    let mut counts: HashMap<Vec<bool>, usize> = HashMap::new();
    for row in 0..codes.rows() {
        *counts.entry(codes.row(row).iter().map(|v| *v > 0.5).collect()).or_insert(0) += 1;
    }
    // In order: a sum in the order of a hash map would differ from run to run in its last digits.
    let mut counts: Vec<f64> = counts.into_values().map(|count| count as f64).collect();
    counts.sort_by(f64::total_cmp);
    let entropy: f64 = counts.iter().map(|c| -c / n * (c / n).ln()).sum();
    let second: f64 = counts.iter().map(|c| c / n * (c / n).ln().powi(2)).sum();
    // The delta method: Var Ĥ = Var(ln p)/n, and exp of the ends.
    let corrected = (entropy + (counts.len() as f64 - 1.0) / (2.0 * n)).min(n.ln());
    let log = Estimate::normal(corrected, ((second - entropy * entropy).max(0.0) / n).sqrt());
    let perplexity =
        Estimate { value: log.value.exp(), low: log.low.exp(), high: log.high.exp() }.within(1.0, n);
    Usage { bits, codes: counts.len(), perplexity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_is_as_by_hand() {
        // Codes 00, 01, 10 of shares ½, ¼, ¼ (and a third bit that never changes): H = 1.5 ln 2.
        let rows = |i: usize| [f32::from(i.is_multiple_of(4)), f32::from(i % 4 == 1), 1.0];
        let found = usage(&Array::matrix((0..4000).flat_map(rows).collect(), 3));
        assert_eq!((found.bits, found.codes), (2, 3));
        let expected = (1.5 * 2f64.ln() + 2.0 / 8000.0).exp();
        assert!((found.perplexity.value - expected).abs() < 1e-9, "{:?}", found.perplexity);
        let error = (0.25 * 2f64.ln().powi(2) / 4000.0).sqrt();
        assert!(((found.perplexity.high / expected).ln() - 1.959_964 * error).abs() < 1e-6);
        // One code: perplexity 1. As many codes as rows: no more than the rows.
        assert_eq!(usage(&Array::matrix(vec![1.0; 30], 3)).perplexity.value, 1.0);
        let all: Vec<f32> = (0..8).flat_map(|i| [i & 1, i >> 1 & 1, i >> 2].map(|b| b as f32)).collect();
        assert!((usage(&Array::matrix(all, 3)).perplexity.value - 8.0).abs() < 1e-9);
    }
}
