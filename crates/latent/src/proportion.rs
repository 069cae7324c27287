//! A share of rows with its 95 % interval (Wilson's, which stays inside [0, 1] and holds for shares near its ends):
//!
//! (p̂ + z²/2n ± z √(p̂(1 − p̂)/n + z²/4n²)) / (1 + z²/n)
//!
//! Reference: Wilson, *Probable inference, the law of succession, and statistical inference* (JASA 22, 1927).

use crate::estimate::{Estimate, Z_95};

/// `successes` of `n` rows.
pub fn proportion(successes: usize, n: usize) -> Estimate {
    let count = n.max(1) as f64;
    wilson(successes as f64 / count, count)
}

/// A share of `n` rows that are not independent, or whose questions hang on other rows, by its standard error: the interval
/// on as many independent rows as would have that error, p(1 − p)/error², and `n` at most.
pub fn share(value: f64, error: f64, n: usize) -> Estimate {
    let most = n.max(1) as f64;
    let effective = value * (1.0 - value) / (error * error);
    wilson(value, if effective.is_finite() && effective > 0.0 { effective.min(most) } else { most })
}

fn wilson(share: f64, count: f64) -> Estimate {
    let square = Z_95 * Z_95;
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

    #[test]
    fn a_share_of_dependent_rows_stands_on_fewer_and_stays_a_share() {
        // The error of 8 of 10 rows, and twice that, which a quarter of the rows have.
        let error = (0.8f64 * 0.2 / 10.0).sqrt();
        assert!((share(0.8, error, 10).low - proportion(8, 10).low).abs() < 1e-12);
        assert!((share(0.8, 2.0 * error, 40).low - wilson(0.8, 2.5).low).abs() < 1e-12);
        // An error of 0.38 about 0.92 reached from 0.18 to 1.67; no error at all is that of all rows.
        let wide = share(0.92, 0.38, 500);
        assert!(wide.low > 0.0 && wide.low < 0.3 && wide.high <= 1.0, "{wide:?}");
        assert_eq!(share(1.0, 0.0, 20), proportion(20, 20));
    }
}
