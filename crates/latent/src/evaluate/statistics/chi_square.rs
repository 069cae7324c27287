//! How far out does a normal region reach? ‖(z − μ)/σ‖² of a d-dimensional normal is χ² with d degrees of freedom:
//!
//! P(χ²_d ≤ t) = γ(d/2, t/2) / Γ(d/2)
//!
//! The region that holds a share m of its mass is the ellipse where that square is at most the m-quantile.

/// The value that χ² with `dims` degrees of freedom stays under with probability `mass`: 0 up to 0, ∞ from 1 on.
pub fn chi_square_quantile(dims: usize, mass: f64) -> f64 {
    if mass.is_nan() || mass <= 0.0 || dims == 0 {
        return 0.0;
    }
    if mass >= 1.0 {
        return f64::INFINITY;
    }
    let below = |t: f64| lower_gamma(dims as f64 / 2.0, t / 2.0) < mass;
    let (mut low, mut high) = (0.0, dims as f64 + 1.0);
    while below(high) && high < 1e6 {
        high *= 2.0;
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if below(middle) { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// γ(a, x)/Γ(a) by its series, x^a e^−x Σ_n x^n / Γ(a + n + 1): every term is positive.
pub fn lower_gamma(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let mut term = (a * x.ln() - x - log_gamma(a + 1.0)).exp();
    let mut sum = term;
    let mut n = 0.0;
    // Terms grow while n < x − a: the sum ends when they have become small after that.
    while n < 1e6 && (term > sum * 1e-16 || n < x - a) {
        n += 1.0;
        term *= x / (a + n);
        sum += term;
    }
    sum.min(1.0)
}

/// ln Γ(a) by Stirling's series, from where it holds to 1e-12.
pub fn log_gamma(a: f64) -> f64 {
    let (mut shift, mut x) = (0.0, a);
    while x < 15.0 {
        shift += x.ln();
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * crate::density::LN_2PI + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (dims, mass, expected) in [
            (1, 0.95, 3.841_458_820_694),
            (2, 0.95, -2.0 * 0.05f64.ln()),
            (10, 0.95, 18.307_038_053_275),
            (10, 0.05, 3.940_299_136_120),
            (64, 0.95, 83.675_260_742_721),
            (2, 0.999, -2.0 * 0.001f64.ln()),
        ] {
            let found = chi_square_quantile(dims, mass);
            assert!((found - expected).abs() < 1e-8, "{dims} {mass}: {found} {expected}");
        }
        assert_eq!(chi_square_quantile(3, 0.0), 0.0);
        assert_eq!(chi_square_quantile(3, 1.0), f64::INFINITY);
    }
}
