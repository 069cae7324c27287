//! ln Γ, which normalising constants and factorials are made of.

/// ln Γ(x) for x > 0, to some 14 digits (Lanczos' approximation with g = 7; Press et al., *Numerical Recipes*).
pub(super) fn ln_gamma(x: f64) -> f64 {
    const COEFFICIENTS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        // Γ(x) Γ(1 − x) = π / sin πx
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let series = |(place, c): (usize, &f64)| c / (x + place as f64 + 1.0);
    let sum = 0.999_999_999_999_809_9 + COEFFICIENTS.iter().enumerate().map(series).sum::<f64>();
    let t = x + 7.5;
    0.5 * crate::density::LN_2PI + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_logarithm_of_factorials_and_of_a_half() {
        let mut factorial = 0.0;
        for n in 1..200 {
            assert!((ln_gamma(f64::from(n)) - factorial).abs() < 1e-12 * f64::max(factorial, 1.0), "{n}");
            factorial += f64::from(n).ln();
        }
        let pi = std::f64::consts::PI;
        assert!((ln_gamma(0.5) - pi.ln() / 2.0).abs() < 1e-13);
        // Γ(x + 1) = x Γ(x), small ones too.
        for x in [1e-3, 0.05, 0.31, 2.7, 1e4] {
            assert!((ln_gamma(x + 1.0) - ln_gamma(x) - x.ln()).abs() < 1e-10, "{x}");
        }
    }
}
