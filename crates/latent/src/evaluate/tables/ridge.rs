//! Logistic regression of two classes, by Newton's method: minimises Σ_i ln(1 + e^{−s_i (w·x_i + b)}) + ½ ‖w‖², s_i = ±1, which
//! is scikit-learn's `LogisticRegression` at its defaults.
//!
//! Each step solves (Xᵀ diag(p(1 − p)) X + I) Δ = −gradient and is halved until it goes down. [`crate::logistic`] takes many
//! cheap steps for many classes; ten dear ones are faster for two.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

const STEPS: usize = 100;

/// w·x + b of a fit, for each row of `held`. Row-major with `features` numbers a row. None where there is no row, or a number
/// is not finite.
pub fn log_odds(x: &[f64], y: &[bool], held: &[f64], features: usize) -> Option<Vec<f64>> {
    let n = y.len();
    if n == 0 || features == 0 || x.len() != n * features || x.iter().chain(held).any(|v| !v.is_finite()) {
        return None;
    }
    let x = Mat::from_fn(n, features + 1, |i, j| if j < features { x[i * features + j] } else { 1.0 });
    let mut w = Mat::<f64>::zeros(features + 1, 1);
    let mut loss = value(&x, y, &w);
    for _ in 0..STEPS {
        let s = &x * &w;
        let p: Vec<f64> = (0..n).map(|i| 1.0 / (1.0 + (-s[(i, 0)]).exp())).collect();
        let residual = Mat::from_fn(n, 1, |i, _| p[i] - f64::from(u8::from(y[i])));
        let mut gradient = x.transpose() * &residual;
        let weighted = Mat::from_fn(n, features + 1, |i, j| x[(i, j)] * (p[i] * (1.0 - p[i])).sqrt());
        let mut curvature = weighted.transpose() * &weighted;
        for j in 0..=features {
            // The offset is free, but for what keeps the matrix regular.
            let ridge = if j < features { 1.0 } else { 1e-9 };
            curvature[(j, j)] += ridge;
            gradient[(j, 0)] += if j < features { w[(j, 0)] } else { 0.0 };
        }
        let step = curvature.llt(Side::Lower).ok()?.solve(&gradient);
        let mut share = 1.0;
        let gained = loop {
            let next = Mat::from_fn(features + 1, 1, |j, _| w[(j, 0)] - share * step[(j, 0)]);
            let lower = value(&x, y, &next);
            if lower < loss {
                let gained = loss - lower;
                (w, loss) = (next, lower);
                break gained;
            }
            share *= 0.5;
            if share < 1e-6 {
                break 0.0;
            }
        };
        if gained < 1e-9 * loss.abs() {
            break;
        }
    }
    let score =
        |row: &[f64]| row.iter().enumerate().map(|(j, v)| v * w[(j, 0)]).sum::<f64>() + w[(features, 0)];
    Some(held.chunks_exact(features).map(score).collect())
}

fn value(x: &Mat<f64>, y: &[bool], w: &Mat<f64>) -> f64 {
    let s = x * w;
    let loss = |i: usize| {
        let margin = if y[i] { s[(i, 0)] } else { -s[(i, 0)] };
        // ln(1 + e^−m) without overflow.
        (-margin).max(0.0) + (-margin.abs()).exp().ln_1p()
    };
    let last = w.nrows() - 1;
    (0..y.len()).map(loss).sum::<f64>() + 0.5 * (0..last).map(|j| w[(j, 0)].powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fit_is_scikit_learns() {
        // bench/tables/reference.py, logistic: decision_function of the first three rows.
        let x: Vec<f64> =
            (0..60).flat_map(|i| [(1.7 * f64::from(i)).sin(), (2.3 * f64::from(i)).cos() * 3.0]).collect();
        let y: Vec<bool> =
            (0..60).map(|i| x[2 * i] + 0.5 * x[2 * i + 1] + (0.9 * i as f64).sin() > 0.3).collect();
        let found = log_odds(&x, &y, &x[..6], 2).unwrap();
        for (found, expected) in found.iter().zip(LOGISTIC) {
            assert!((found - expected).abs() < 1e-4, "{found} {expected}");
        }
        assert!(log_odds(&[f64::NAN], &[true], &[], 1).is_none());
    }

    const LOGISTIC: [f64; 3] = [2.418_627_8, -0.715_321_161, -1.374_178_93];
}
