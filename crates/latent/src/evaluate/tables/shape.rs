//! Shape: is each column, taken alone, distributed as it should be?
//!
//! numbers: the Kolmogorov–Smirnov statistic max_t |F(t) − G(t)|;   categories: total variation ½ Σ_c |p_c − q_c|
//!
//! The shape error of a table is the mean over its columns, in per cent as the literature has it. Gaps of numbers are left out
//! here, as the protocol does; [`super::kept`] compares them.
//!
//! Reference: Zhang et al., *Mixed-Type Tabular Data Synthesis with Score-based Diffusion in Latent Space* (TabSyn, ICLR 2024),
//! whose code calls sdmetrics' `KSComplement` and `TVComplement`.

use super::columns::{Column, Columns};

/// The error of each column of aligned tables, in [0, 1]; NaN where one of them has no value.
pub fn shape(real: &Columns, synthetic: &Columns) -> Vec<f64> {
    real.columns().iter().zip(synthetic.columns()).map(|(a, b)| column_shape(a, b)).collect()
}

/// The error of one column.
pub fn column_shape(real: &Column, synthetic: &Column) -> f64 {
    match (real, synthetic) {
        (Column::Numbers(real), Column::Numbers(synthetic)) => kolmogorov_smirnov(real, synthetic),
        (Column::Categories { codes: real, levels }, Column::Categories { codes: synthetic, .. }) => {
            total_variation(real, synthetic, levels.len())
        }
        _ => f64::NAN,
    }
}

/// The mean of those that are defined, in per cent.
pub fn per_cent(errors: &[f64]) -> f64 {
    let defined: Vec<f64> = errors.iter().copied().filter(|error| !error.is_nan()).collect();
    100.0 * defined.iter().sum::<f64>() / defined.len() as f64
}

/// max_t |F(t) − G(t)| of the values that are no gaps.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |values: &[f64]| {
        let mut values: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let (a, b) = (sorted(a), sorted(b));
    if a.is_empty() || b.is_empty() {
        return f64::NAN;
    }
    let (mut i, mut j, mut most) = (0, 0, 0.0f64);
    while i < a.len() && j < b.len() {
        let t = a[i].min(b[j]);
        while i < a.len() && a[i] <= t {
            i += 1;
        }
        while j < b.len() && b[j] <= t {
            j += 1;
        }
        most = most.max((i as f64 / a.len() as f64 - j as f64 / b.len() as f64).abs());
    }
    most
}

/// ½ Σ_c |p_c − q_c| of codes below `levels`.
pub fn total_variation(a: &[u32], b: &[u32], levels: usize) -> f64 {
    if a.is_empty() || b.is_empty() {
        return f64::NAN;
    }
    let [p, q] = [a, b].map(|codes| {
        let mut shares = vec![0.0; levels];
        codes.iter().for_each(|code| shares[*code as usize] += 1.0 / codes.len() as f64);
        shares
    });
    0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::{table, words};
    use super::*;

    #[test]
    fn statistics_are_as_by_hand() {
        // F − G: at 1: ⅓ − 0, at 2: ⅔ − ¼, at 3: 1 − ¼, at 5: 1 − 1.
        let error = kolmogorov_smirnov(&[3.0, 1.0, f64::NAN, 2.0], &[2.0, 4.0, 5.0, 4.0]);
        assert!((error - 0.75).abs() < 1e-12, "{error}");
        assert_eq!(kolmogorov_smirnov(&[1.0, 1.0], &[1.0]), 0.0);
        assert!(kolmogorov_smirnov(&[f64::NAN], &[1.0]).is_nan());
        let error = total_variation(&[0, 0, 1, 2], &[0, 1, 1, 3], 4);
        assert!((error - 0.5).abs() < 1e-12, "{error}");
        assert!((per_cent(&[0.1, f64::NAN, 0.3]) - 20.0).abs() < 1e-12);
    }

    #[test]
    fn a_table_has_an_error_a_column() {
        let real = table(vec![words(&["x", "y"]), Column::Numbers(vec![1.0, 2.0])]);
        let fake = table(vec![words(&["x", "x"]), Column::Numbers(vec![3.0, 4.0])]);
        let both = super::super::columns::align(&[("real", &real), ("fake", &fake)]).unwrap();
        assert_eq!(shape(&both[0], &both[1]), [0.5, 1.0]);
    }
}
