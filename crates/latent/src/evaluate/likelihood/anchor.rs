//! A mean over few rows, tied to a bound that many rows have.

use crate::evaluate::{Estimate, Mean};

/// The mean of an estimate that only the first n of N rows have, by way of the ELBO e that all have:
///
/// ē_N + d̄_n, d = y − e, with variance var(e)/N + var(d)/n + 2 cov(e, d)/N
///
/// Rows differ by far more nats than estimators do, so that a plain mean of n rows would tell which rows these are. The
/// plain mean where there is no ELBO, or on all of its rows.
pub(super) fn anchored(elbo: &[f64], values: &[f64]) -> Estimate {
    let (all, n) = (elbo.len() as f64, values.len());
    if elbo.len() <= n || n < 2 {
        return Estimate::mean(values);
    }
    let differences: Vec<f64> = values.iter().zip(elbo).map(|(value, elbo)| value - elbo).collect();
    let (bound, difference) = (Mean::of(elbo), Mean::of(&differences));
    let here = Mean::of(&elbo[..n]).value;
    let products = differences.iter().zip(elbo).map(|(d, e)| (d - difference.value) * (e - here));
    let covariance = products.sum::<f64>() / (n - 1) as f64;
    let variance = bound.error.powi(2) + difference.error.powi(2) + 2.0 * covariance / all;
    Estimate::normal(bound.value + difference.value, variance.max(0.0).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::Key;

    /// Rows of a known mean, the dear estimate on a tenth of them: the interval holds it, and is not much wider than had
    /// all rows been taken.
    #[test]
    fn an_anchored_mean_is_nearly_that_of_all_rows() {
        let (mut held, trials) = (0, 1000);
        for trial in 0..trials {
            let mut noise = vec![0.0; 800];
            Key::from_seed(95).fold(trial as u64).normals(&mut noise);
            let elbo: Vec<f64> = noise[..400].iter().map(|e| -240.0 + 70.0 * f64::from(*e)).collect();
            let gaps = elbo.iter().zip(&noise[400..]).map(|(e, g)| 3.0 - 0.02 * (e + 240.0) + f64::from(*g));
            let values: Vec<f64> = elbo.iter().zip(gaps).map(|(e, gap)| e + gap).collect();
            let found = anchored(&elbo, &values[..40]);
            let all = Estimate::mean(&values);
            assert!(found.high - found.low < 1.1 * (all.high - all.low));
            held += usize::from(found.low <= -237.0 && -237.0 <= found.high);
        }
        assert!((930..=970).contains(&held), "{held} of {trials}");
    }
}
