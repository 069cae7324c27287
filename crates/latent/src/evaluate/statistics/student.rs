//! Is a difference more than chance? Student's t, for rows measured by both (paired) and for two numbers with their errors
//! (Welch), and Holm's correction for having asked more than once:
//!
//! t = (a − b) / √(s_a² + s_b²),   ν = (s_a² + s_b²)² / (s_a⁴/(n_a − 1) + s_b⁴/(n_b − 1)),   s the standard errors
//!
//! P(|T| > t) = I_x(ν/2, ½), x = ν/(ν + t²), the incomplete beta function
//!
//! References: Welch, *The generalization of Student's problem* (Biometrika 34, 1947); Holm, *A simple sequentially rejective
//! multiple test procedure* (Scandinavian Journal of Statistics 6, 1979).

use super::chi_square::log_gamma;
use crate::evaluate::Mean;

/// P(|T| > |t|) with `freedom` degrees of freedom.
pub fn student_tail(t: f64, freedom: f64) -> f64 {
    if !t.is_finite() {
        return if t.is_nan() { f64::NAN } else { 0.0 };
    }
    incomplete_beta(freedom / (freedom + t * t), freedom / 2.0, 0.5)
}

/// The t beyond which a share `tail` lies, on both sides together.
pub fn student_quantile(tail: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    while student_tail(high, freedom) > tail && high < 1e9 {
        high *= 2.0;
    }
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if student_tail(middle, freedom) > tail { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The p-value of the differences of paired numbers having mean 0; none for fewer than two pairs. Equal pairs have p = 1.
pub fn paired(a: &[f64], b: &[f64]) -> Option<f64> {
    let differences: Vec<f64> = a.iter().zip(b).map(|(a, b)| a - b).collect();
    if differences.len() < 2 {
        return None;
    }
    let mean = Mean::of(&differences);
    if mean.error == 0.0 {
        return Some(if mean.value == 0.0 { 1.0 } else { 0.0 });
    }
    Some(student_tail(mean.value / mean.error, differences.len() as f64 - 1.0))
}

/// The p-value of two independent numbers being equal, each with its standard error and the count behind it; none where
/// neither has an error, or a count is below two.
pub fn welch(a: (Mean, usize), b: (Mean, usize)) -> Option<f64> {
    let ((a, na), (b, nb)) = (a, b);
    let (va, vb) = (a.error * a.error, b.error * b.error);
    let variance = va + vb;
    if variance.is_nan() || variance <= 0.0 || na < 2 || nb < 2 {
        return None;
    }
    let freedom = variance * variance / (va * va / (na as f64 - 1.0) + vb * vb / (nb as f64 - 1.0));
    Some(student_tail((a.value - b.value) / variance.sqrt(), freedom))
}

/// p-values corrected by Holm: the i-th smallest of m times m − i + 1, never less than one before it, 1 at most.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let (mut corrected, mut least) = (vec![0.0; p.len()], 0.0f64);
    for (rank, place) in order.into_iter().enumerate() {
        least = least.max(((p.len() - rank) as f64 * p[place]).min(1.0));
        corrected[place] = least;
    }
    corrected
}

/// I_x(a, b) by its continued fraction (Lentz), from the side where that converges fast.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(1.0 - x, b, a);
    }
    let front = a * x.ln() + b * (1.0 - x).ln() + log_gamma(a + b) - log_gamma(a) - log_gamma(b);
    let tiny = 1e-300;
    let away = |v: f64| if v.abs() < tiny { tiny } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..1000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut factor = 1.0;
        for step in [even, odd] {
            d = 1.0 / away(1.0 + step * d);
            c = away(1.0 + step / c);
            factor = c * d;
            fraction *= factor;
        }
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    front.exp() * fraction / a
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_and_tests_are_scipys() {
        // scipy.stats in bench/latents.py.
        let tails = [
            (2.0, 3.0, 0.139_325_968_558_843_06),
            (0.5, 1.0, 0.704_832_764_699_133_5),
            (4.2, 17.3, 0.000_581_340_457_148_716_3),
            (30.0, 2.5, 0.000_291_064_709_157_395_35),
        ];
        for (t, freedom, expected) in tails {
            assert!((student_tail(t, freedom) / expected - 1.0).abs() < 1e-9, "{t} {freedom}");
            assert!((student_quantile(expected, freedom) / t - 1.0).abs() < 1e-6);
        }
        // Large samples are normal.
        assert!((student_tail(1.959_963_984_540_054, 1e7) - 0.05).abs() < 1e-7);
        let (a, b) = ([1.2, 1.9, 1.4, 2.1, 1.7], [2.4, 2.0, 2.9]);
        let found = welch((Mean::of(&a), 5), (Mean::of(&b), 3)).unwrap();
        assert!((found - 0.072_432_359_763_753_62).abs() < 1e-9, "{found}");
        let found = paired(&[1.0, 2.0, 4.0, 3.5], &[0.7, 1.8, 3.1, 3.6]).unwrap();
        assert!((found - 0.218_893_981_313_231_57).abs() < 1e-9, "{found}");
        assert_eq!(paired(&[1.0, 2.0], &[1.0, 2.0]), Some(1.0));
        assert!(welch((Mean::default(), 9), (Mean::default(), 9)).is_none());
    }

    #[test]
    fn holm_is_as_by_hand() {
        // 0.01 · 4; 0.02 · 3; max(0.06, 0.03 · 2); 0.4.
        let found = holm(&[0.4, 0.01, 0.03, 0.02]);
        for (found, expected) in found.iter().zip([0.4, 0.04, 0.06, 0.06]) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
        assert_eq!(holm(&[0.9, 0.8]), [1.0, 1.0]);
        assert!(holm(&[]).is_empty());
    }
}
