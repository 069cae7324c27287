//! A share of rows with its 95 % interval (Wilson's, which stays inside [0, 1] and holds for shares near its ends):
//!
//! (p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n)
//!
//! Reference: Wilson, *Probable inference, the law of succession, and statistical inference* (JASA 22, 1927).

use crate::estimate::{Estimate, Z_95};

/// `successes` of `n` rows.
pub fn proportion(successes: usize, n: usize) -> Estimate {
    let (count, square) = (n.max(1) as f64, Z_95 * Z_95);
    let share = successes as f64 / count;
    let middle = (share + square / (2.0 * count)) / (1.0 + square / count);
    let half = Z_95 * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt()
        / (1.0 + square / count);
    Estimate { value: share, low: (middle - half).max(0.0), high: (middle + half).min(1.0) }
}

/// The share of rows where it holds.
pub fn proportion_of(holds: &[bool]) -> Estimate {
    proportion(holds.iter().filter(|holds| **holds).count(), holds.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        // statsmodels.stats.proportion.proportion_confint(8, 10, method="wilson"), and at the end 0 of 20.
        let found = proportion(8, 10);
        assert!(
            (found.low - 0.490_162_5).abs() < 1e-6 && (found.high - 0.943_317_8).abs() < 1e-6,
            "{found:?}"
        );
        let none = proportion(0, 20);
        assert_eq!(none.low, 0.0);
        assert!((none.high - 0.161_125_2).abs() < 1e-6, "{none:?}");
    }
}
