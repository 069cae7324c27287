//! Which dimensions move with x? A unit u is active where the mean of its posterior varies over the data:
//!
//! A_u = Var_x(E_{q(u|x)}\[u\]) > 0.01
//!
//! Reference: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (arXiv 1509.00519), section 5.

use crate::array::Array;
use crate::evaluate::{Estimate, Z_95};

/// A unit's mean must vary by more than this.
pub const ACTIVE_VARIANCE: f64 = 0.01;

/// How many units are active. The ends count those that are, and that may be, at 95 % confidence in their variance, whose
/// standard error is √((m₄ − s⁴)/n).
pub fn active_units(means: &Array) -> Estimate {
    let (n, dims) = (means.rows().max(1) as f64, means.width());
    let mut counts = [0.0; 3];
    for d in 0..dims {
        let column = || (0..means.rows()).map(|row| f64::from(means.row(row)[d]));
        let mean = column().sum::<f64>() / n;
        let moment = |power: i32| column().map(|v| (v - mean).powi(power)).sum::<f64>() / n;
        let (variance, fourth) = (moment(2), moment(4));
        let error = ((fourth - variance * variance).max(0.0) / n).sqrt();
        for (count, value) in
            counts.iter_mut().zip([variance - Z_95 * error, variance, variance + Z_95 * error])
        {
            *count += f64::from(u8::from(value > ACTIVE_VARIANCE));
        }
    }
    Estimate { value: counts[1], low: counts[0], high: counts[2] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_that_vary_are_counted() {
        // Variances 1, 0.0144, 0.0004 and 0; the second is close to the threshold: with 20 rows it may be below.
        let rows = |n: usize| {
            let each = |i: usize| {
                let t = i as f32 * 2.4;
                [1.414 * t.sin(), 0.17 * t.cos(), 0.028 * t.sin(), 0.3]
            };
            Array::matrix((0..n).flat_map(each).collect(), 4)
        };
        let many = active_units(&rows(2000));
        assert_eq!((many.value, many.low, many.high), (2.0, 2.0, 2.0));
        let few = active_units(&rows(20));
        assert_eq!((few.value, few.low, few.high), (2.0, 1.0, 2.0));
    }
}
