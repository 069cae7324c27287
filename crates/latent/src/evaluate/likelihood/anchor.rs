//! A mean over few rows, tied to a cheaper bound that many rows have.

use crate::evaluate::{Estimate, Mean};

/// The mean of an estimate that only the first n of N rows have, by way of a bound b that all have:
///
/// b̄_N + d̄_n, d = y − b, with variance var(b)/N + var(d)/n + 2 cov(b, d)/N
///
/// Rows differ by far more nats than estimators do, so that a plain mean of n rows would tell which rows these are. The
/// plain mean where there is no bound, or on all of its rows.
pub(super) fn anchored(bound: &[f64], values: &[f64]) -> Estimate {
    let differences: Vec<f64> = values.iter().zip(bound).map(|(value, bound)| value - bound).collect();
    if bound.len() <= values.len() || values.len() < 2 {
        return Estimate::mean(values);
    }
    raised(bound, &differences)
}

/// b̄_N + d̄_n, where d is known otherwise than by subtraction: as what the dear bound gains over the cheap one on the same
/// draws, which is never less than 0, so that neither is their mean.
pub(super) fn raised(bound: &[f64], gains: &[f64]) -> Estimate {
    let (all, n) = (bound.len() as f64, gains.len());
    let (mean, gain) = (Mean::of(bound), Mean::of(gains));
    let here = Mean::of(&bound[..n.min(bound.len())]).value;
    let products = gains.iter().zip(bound).map(|(d, b)| (d - gain.value) * (b - here));
    let covariance = products.sum::<f64>() / n.saturating_sub(1).max(1) as f64;
    let variance = mean.error.powi(2) + gain.error.powi(2) + 2.0 * covariance / all;
    Estimate::normal(mean.value + gain.value, variance.max(0.0).sqrt())
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
