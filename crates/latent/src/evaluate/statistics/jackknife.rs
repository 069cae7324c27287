//! An interval for any number of a sample: leave out one of g groups of rows at a time and see how it moves.
//!
//! error² = (g − 1)/g Σ (θ_i − θ̄)²,   θ ± t_{0.975, g−1} error
//!
//! It repeats no row, as a bootstrap would, which numbers made of neighbours and distances mistake for likeness; Student's
//! t knows that g groups tell the error no better than g numbers can.
//!
//! Reference: Shao & Wu, *A General Theory for Jackknife Variance Estimation* (Annals of Statistics 17, 1989).

use super::student::student_quantile;
use crate::evaluate::Estimate;

/// The number from all rows, and from all but each group.
pub fn jackknife(value: f64, without_group: &[f64]) -> Estimate {
    let g = without_group.len() as f64;
    let mean = without_group.iter().sum::<f64>() / g;
    let squares: f64 = without_group.iter().map(|v| (v - mean).powi(2)).sum();
    let half = student_quantile(0.05, g - 1.0) * ((g - 1.0) / g * squares).sqrt();
    Estimate { value, low: value - half, high: value + half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_mean_it_is_students_interval() {
        // Five numbers, each a group: the jackknife's error of the mean is s/√5, and t with 4 degrees of freedom 2.776445.
        let values = [1.0f64, 4.0, 2.0, 8.0, 5.0];
        let sum: f64 = values.iter().sum();
        let without: Vec<f64> = values.iter().map(|v| (sum - v) / 4.0).collect();
        let found = jackknife(4.0, &without);
        let error = (values.iter().map(|v| (v - 4.0).powi(2)).sum::<f64>() / 4.0 / 5.0).sqrt();
        assert!((found.high - 4.0 - 2.776_445_105 * error).abs() < 1e-6, "{found:?}");
        assert!((found.low + found.high - 8.0).abs() < 1e-12);
    }
}
