//! P(x) exactly, where the decoder is affine and the noise normal. With z ~ N(0, I), x = W z + b + σ ε:
//!
//! P(x) = N(x; b, C),  C = W Wᵀ + σ² I;    p(z|x) = N(M⁻¹ Wᵀ (x − b), σ² M⁻¹),  M = Wᵀ W + σ² I
//!
//! ln |C| = (D − d) ln σ² + ln |M|, so that only a d × d matrix is ever taken apart. This is probabilistic PCA.
//!
//! Reference: Tipping & Bishop, *Probabilistic Principal Component Analysis* (JRSS B 61, 1999).

use faer::{Mat, Side};

use super::ModelError;
use super::View;
use crate::density::LN_2PI;
use crate::device::host_f64;

/// The normal distribution that a linear model gives to x.
#[derive(Clone, Debug)]
pub struct LinearGaussian {
    /// W, one row of D numbers for each of d dimensions.
    loadings: Vec<Vec<f64>>,
    mean: Vec<f64>,
    variance: f64,
    /// M = U diag(s) Uᵀ
    directions: Mat<f64>,
    spectrum: Vec<f64>,
}

impl LinearGaussian {
    /// From W (`d` rows of D numbers), b and σ². None if a number is not finite or σ² is not above 0.
    pub fn new(loadings: Vec<Vec<f64>>, mean: Vec<f64>, variance: f64) -> Option<Self> {
        let d = loadings.len();
        let numbers = loadings.iter().flatten().chain(&mean);
        let fits = loadings.iter().all(|row| row.len() == mean.len());
        if !fits || variance.is_nan() || variance <= 0.0 || !numbers.copied().all(f64::is_finite) {
            return None;
        }
        let m =
            Mat::from_fn(d, d, |i, j| dot(&loadings[i], &loadings[j]) + if i == j { variance } else { 0.0 });
        let eigen = m.self_adjoint_eigen(Side::Lower).ok()?;
        let directions = Mat::from_fn(d, d, |i, j| eigen.U()[(i, j)]);
        // M is at least σ² I; rounding may say less.
        let spectrum = (0..d).map(|i| eigen.S()[i].max(variance)).collect();
        Some(Self { loadings, mean, variance, directions, spectrum })
    }

    /// The distribution of a model with a linear decoder, a normal likelihood whose mean is not squashed, and the standard
    /// normal prior.
    ///
    /// # Errors
    /// [`ModelError::NoDensity`] for any other model.
    pub fn of(view: &View<'_>) -> Result<Self, ModelError> {
        let model = view.model;
        let Some((weight, bias)) = model.decoder.affine(view.weights) else {
            return Err(not_linear("its decoder is not one affine map".into()));
        };
        let Some(variance) = model.likelihood.isotropic_variance(view) else {
            return Err(not_linear(
                "its likelihood is not N(g(z), σ² I) with a mean that may lie anywhere".into(),
            ));
        };
        if !model.prior.is_standard_normal() {
            return Err(not_linear("its prior is not N(0, I)".into()));
        }
        let mean = host_f64(&bias);
        let loadings = host_f64(&weight).chunks(mean.len().max(1)).map(<[f64]>::to_vec).collect();
        Self::new(loadings, mean, variance).ok_or_else(|| not_linear("its numbers are not finite".into()))
    }

    /// log P(x) in nats.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        let (features, dims) = (self.mean.len() as f64, self.loadings.len() as f64);
        let centred: Vec<f64> = x.iter().zip(&self.mean).map(|(x, b)| x - b).collect();
        let explained: f64 = self.along(&centred).iter().zip(&self.spectrum).map(|(a, s)| a * a / s).sum();
        let square = (dot(&centred, &centred) - explained) / self.variance;
        let log_determinant =
            (features - dims) * self.variance.ln() + self.spectrum.iter().map(|s| s.ln()).sum::<f64>();
        -0.5 * (features * LN_2PI + log_determinant + square)
    }

    /// KL(p(z|x) ‖ p(z)) in nats: the rate that x needs at least if the bound is to be tight.
    pub fn rate(&self, x: &[f64]) -> f64 {
        let centred: Vec<f64> = x.iter().zip(&self.mean).map(|(x, b)| x - b).collect();
        let along = self.along(&centred);
        let terms = along.iter().zip(&self.spectrum).map(|(a, s)| {
            let (mean, variance) = (a / s, self.variance / s);
            0.5 * (variance + mean * mean - 1.0 - variance.ln())
        });
        terms.sum()
    }

    /// Uᵀ Wᵀ r
    fn along(&self, centred: &[f64]) -> Vec<f64> {
        let projected: Vec<f64> = self.loadings.iter().map(|row| dot(row, centred)).collect();
        (0..projected.len())
            .map(|j| projected.iter().enumerate().map(|(i, p)| self.directions[(i, j)] * p).sum())
            .collect()
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn not_linear(what: String) -> ModelError {
    ModelError::NoDensity {
        what: format!("P(x) is known in closed form for the linear model alone, and {what}"),
        remedy: "use importance sampling (`latent score`), or train with --preset linear-vae".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_correlated_columns_have_the_normal_density_by_hand() {
        let model = LinearGaussian::new(vec![vec![2.0, 1.0]], vec![1.0, -1.0], 0.25).unwrap();
        // C = [[4.25, 2], [2, 1.25]], |C| = 1.3125
        let (x, b) = ([1.5, 0.2], [1.0, -1.0]);
        let (u, v) = (x[0] - b[0], x[1] - b[1]);
        let determinant: f64 = 4.25 * 1.25 - 4.0;
        let square = (1.25 * u * u - 4.0 * u * v + 4.25 * v * v) / determinant;
        let by_hand = -0.5 * (2.0 * LN_2PI + determinant.ln() + square);
        assert!((model.log_density(&x) - by_hand).abs() < 1e-12);
    }

    #[test]
    fn the_bound_is_tight_at_the_exact_posterior() {
        // One dimension: −D + E log p(x|z) at q = p(z|x) in closed form, by quadrature over z.
        let model = LinearGaussian::new(vec![vec![0.8, -0.3, 1.1]], vec![0.0; 3], 0.09).unwrap();
        let x = [0.5, 0.1, 0.9];
        let (step, mut total) = (1e-3, 0.0);
        for i in -8000..8000 {
            let z = i as f64 * step;
            let error: f64 = x.iter().zip([0.8, -0.3, 1.1]).map(|(x, w)| (x - w * z).powi(2)).sum();
            let log_joint = -1.5 * (LN_2PI + 0.09f64.ln()) - error / 0.18 - 0.5 * (LN_2PI + z * z);
            total += log_joint.exp() * step;
        }
        assert!((model.log_density(&x) - total.ln()).abs() < 1e-9);
    }

    #[test]
    fn no_loadings_leave_white_noise_without_a_rate() {
        let model = LinearGaussian::new(vec![vec![0.0, 0.0]], vec![0.0, 0.0], 4.0).unwrap();
        let by_hand = -LN_2PI - 4.0f64.ln() - 0.5 * (1.0 + 9.0) / 4.0;
        assert!((model.log_density(&[1.0, 3.0]) - by_hand).abs() < 1e-12);
        assert!(model.rate(&[1.0, 3.0]).abs() < 1e-12);
        assert!(LinearGaussian::new(vec![vec![0.0]], vec![0.0, 0.0], 1.0).is_none());
        assert!(LinearGaussian::new(vec![], vec![0.0], 0.0).is_none());
    }
}
