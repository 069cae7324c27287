//! Estimators of P(X) against the one model whose P(X) is known: x = z W + b + σ ε with z ~ N(0, I), where
//! P(X) = N(b, WᵀW + σ² I).

use faer::Mat;
use latent::Key;
use latent::batch::{Batch, Noise};
use latent::data::ValueKind;
use latent::device::{host_f64, scalar};
use latent::model::{log_weights, score};
use latent::objective::Pass;

use crate::common::*;

/// A random linear model with an encoder of its exact posterior, which can be widened and shifted.
pub struct Linear {
    pub made: Made,
    columns: usize,
    pub latent: usize,
    p: Normal,
    /// μ(x) = x A + a of the exact posterior.
    slope: Vec<f64>,
    intercept: Vec<f64>,
    /// Variances of the exact posterior, where it factorises.
    pub variance: Vec<f64>,
    /// The greatest variance of the exact posterior in any direction.
    pub widest: f64,
}

impl Linear {
    /// With `orthogonal` rows of W the exact posterior factorises.
    pub fn new(key: Key, orthogonal: bool) -> Self {
        let size = uniforms(key.fold("sizes"), 3);
        let latent = 1 + (size[0] * 3.0) as usize;
        let columns = latent + 1 + (size[1] * 6.0) as usize;
        let variance = (2.0 * (size[2] - 0.5)).exp();
        let mut w = normals(key.fold("w"), latent * columns);
        if orthogonal {
            orthogonalise(&mut w, columns);
        }
        let b = normals(key.fold("b"), columns);
        // Precision I + W Wᵀ / σ², mean = precision⁻¹ W (x − b) / σ².
        let row = |l: usize| &w[l * columns..(l + 1) * columns];
        let precision = Mat::from_fn(latent, latent, |i, j| {
            let product: f64 = row(i).iter().zip(row(j)).map(|(a, b)| a * b).sum();
            product / variance + if i == j { 1.0 } else { 0.0 }
        });
        let covariance = inverse(&precision);
        let mut slope = vec![0.0; columns * latent];
        for (c, slope) in slope.chunks_mut(latent).enumerate() {
            for (l, slope) in slope.iter_mut().enumerate() {
                *slope = (0..latent).map(|m| covariance[(l, m)] * w[m * columns + c]).sum::<f64>() / variance;
            }
        }
        let intercept =
            (0..latent).map(|l| -(0..columns).map(|c| b[c] * slope[c * latent + l]).sum::<f64>()).collect();
        let text = format!(
            "likelihood = {{ kind = 'normal', scale = 'learned' }}\nposterior.latent = {latent}\nnetwork.kind = 'linear'"
        );
        let mut made = make(&text, &facts(vector(columns), ValueKind::Real));
        made.set("likelihood.log_variance", vec![variance.ln()]);
        made.set("decoder.0.weight", w.clone());
        made.set("decoder.0.bias", b.clone());
        Self {
            p: linear_marginal(&w, &b, variance),
            variance: (0..latent).map(|l| covariance[(l, l)]).collect(),
            widest: *eigenvalues(&covariance).last().unwrap(),
            made,
            columns,
            latent,
            slope,
            intercept,
        }
    }

    /// q(z|x) = N(exact mean + shift, these variances).
    pub fn encode_with(&mut self, variance: &[f64], shift: &[f64]) {
        let latent = self.latent;
        let mut weight = vec![0.0; self.columns * 2 * latent];
        for c in 0..self.columns {
            weight[c * 2 * latent..][..latent].copy_from_slice(&self.slope[c * latent..][..latent]);
        }
        let mut bias: Vec<f64> = self.intercept.iter().zip(shift).map(|(a, b)| a + b).collect();
        bias.extend(variance.iter().map(|v| v.ln()));
        self.made.set("encoder.0.weight", weight);
        self.made.set("encoder.0.bias", bias);
    }

    /// Rows drawn from P(X).
    pub fn rows(&self, key: Key, n: usize) -> Batch {
        let noise = normals(key.fold("rows"), n * self.columns);
        batch(noise.chunks(self.columns).flat_map(|e| self.p.draw(e)).collect(), self.columns)
    }

    pub fn exact(&self, batch: &Batch) -> Vec<f64> {
        host_f64(&batch.x).chunks(self.columns).map(|x| self.p.log_density(x)).collect()
    }
}

/// Gram–Schmidt on rows, which keep their lengths.
fn orthogonalise(w: &mut [f64], columns: usize) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for i in 1..w.len() / columns {
        let (before, rest) = w.split_at_mut(i * columns);
        let row = &mut rest[..columns];
        for earlier in before.chunks(columns) {
            let share = dot(row, earlier) / dot(earlier, earlier);
            row.iter_mut().zip(earlier).for_each(|(r, e)| *r -= share * e);
        }
    }
}

#[test]
fn the_mean_weight_is_p_of_x_at_twenty_random_linear_models() {
    const DRAWS: usize = 16_384;
    let (mut worst, mut sum_of_squares, mut count) = (0.0f64, 0.0f64, 0.0);
    for number in 0..20u64 {
        let key = Key::from_seed(30).fold(number);
        let mut linear = Linear::new(key, number % 2 == 0);
        // Wider than half the exact posterior, so that the weights have a variance; never the optimum.
        let factors: Vec<f64> =
            uniforms(key.fold("width"), linear.latent).iter().map(|u| 0.8 + 1.2 * u).collect();
        let base = if number % 2 == 0 { linear.variance.clone() } else { vec![linear.widest; linear.latent] };
        let variance: Vec<f64> = base.iter().zip(&factors).map(|(v, f)| v * f).collect();
        let shift: Vec<f64> = normals(key.fold("shift"), linear.latent)
            .iter()
            .zip(&variance)
            .map(|(e, v)| 0.3 * e * v.sqrt())
            .collect();
        linear.encode_with(&variance, &shift);
        let rows = linear.rows(key, 4);
        let scores = score(&linear.made.view(), &rows, DRAWS, key.fold("score")).unwrap();
        for (score, exact) in scores.iter().zip(linear.exact(&rows)) {
            let ratio = (score.log_p_lower - exact).exp();
            let z = (ratio - 1.0) / (score.standard_error * ratio);
            worst = worse(worst, z.abs());
            (sum_of_squares, count) = (sum_of_squares + z * z, count + 1.0);
            assert!(score.effective_samples > 0.02 * DRAWS as f64, "{score:?}");
        }
    }
    let spread = (sum_of_squares / count).sqrt();
    println!(
        "mean importance weight at 20 linear models: worst |z| {worst:.2} of {count}, root mean square {spread:.2}"
    );
    assert!(worst < 4.0);
    // The standard errors are honest: neither too small nor too large.
    assert!((0.7..1.3).contains(&spread));
}

#[test]
fn at_the_exact_posterior_the_bound_is_tight_to_rounding() {
    let mut worst = 0.0f64;
    for number in 0..20u64 {
        let key = Key::from_seed(31).fold(number);
        let mut linear = Linear::new(key, true);
        linear.encode_with(&linear.variance.clone(), &vec![0.0; linear.latent]);
        let rows = linear.rows(key, 5);
        let exact = linear.exact(&rows);
        // Every single weight is P(x).
        for (score, exact) in score(&linear.made.view(), &rows, 7, key).unwrap().iter().zip(&exact) {
            worst = worse(worst, (score.log_p_lower - exact).abs());
            assert!(score.standard_error < 1e-7 && (score.effective_samples - 7.0).abs() < 1e-6, "{score:?}");
        }
        // In the ELBO, whose rate is a closed form, distortion varies with the draw: its expectation is known.
        let q = linear.made.view().encode(&rows);
        let (mean, variance) = (host_f64(&q.centre().z), host_f64(&q.deviation().unwrap()));
        let pass = Pass::new(linear.made.view(), &rows, 1, key);
        let rate = host_f64(&pass.rate().unwrap().total);
        let w = linear.made.get("decoder.0.weight");
        let sigma2 = linear.made.get("likelihood.log_variance")[0].exp();
        let at_mean =
            linear.made.view().log_likelihood(&rows, &latent::batch::Latent::new(pass.q.centre().z));
        for (i, at_mean) in host_f64(&at_mean).iter().enumerate() {
            // E‖x − zW − b‖² = ‖x − μW − b‖² + Σ_l σ_l² ‖w_l‖²
            let extra: f64 = (0..linear.latent)
                .map(|l| {
                    let length: f64 = w[l * linear.columns..][..linear.columns].iter().map(|v| v * v).sum();
                    variance[i * linear.latent + l].powi(2) * length
                })
                .sum();
            worst = worse(worst, (at_mean - 0.5 * extra / sigma2 - rate[i] - exact[i]).abs());
        }
        assert_eq!(mean.len(), 5 * linear.latent);
    }
    println!("ELBO at the exact posterior: off by {worst:.1e} nats at most");
    assert!(worst < 1e-10);
}

#[test]
fn the_elbo_is_below_and_importance_climbs_with_k() {
    let key = Key::from_seed(32);
    let mut linear = Linear::new(key.fold(2u64), false);
    let variance = vec![linear.widest * 1.5; linear.latent];
    linear.encode_with(&variance, &vec![0.4 * linear.widest.sqrt(); linear.latent]);
    let rows = linear.rows(key, 3000);
    let exact = linear.exact(&rows);
    let bound = |k| -> Vec<f64> {
        let scores = score(&linear.made.view(), &rows, k, key.fold(k)).unwrap();
        scores.iter().zip(&exact).map(|(s, exact)| s.log_p_lower - exact).collect()
    };
    let gaps: Vec<Vec<f64>> = [1, 4, 16, 64].map(bound).to_vec();
    let means: Vec<f64> = gaps.iter().map(|g| moments(g.iter().copied()).1).collect();
    println!("importance bound below ln P(X) at k = 1, 4, 16, 64: {means:.4?} nats");
    for pair in gaps.windows(2) {
        // Climbs, by more than chance.
        let climbs = pair[1].iter().zip(&pair[0]).map(|(more, less)| more - less);
        assert!(mean_z(climbs, 0.0) > 4.0);
    }
    for gap in &gaps {
        assert!(mean_z(gap.iter().copied(), 0.0) < 4.0);
    }
    // k = 1 is the ELBO: its mean gap is KL(q ‖ exact posterior), here by the objective itself.
    let pass = Pass::new(linear.made.view(), &rows, 16, key.fold("elbo"));
    let elbo = -scalar(&linear.made.objective.loss(&pass, None).total);
    let gap = elbo - exact.iter().sum::<f64>() / exact.len() as f64;
    let (n, _, spread) = moments(gaps[0].iter().copied());
    assert!((gap - means[0]).abs() < 4.0 * (spread / n).sqrt(), "{gap} {}", means[0]);
}

#[test]
fn scoring_in_parts_is_scoring_at_once() {
    let key = Key::from_seed(33);
    let mut linear = Linear::new(key, false);
    let variance = vec![linear.widest * 1.3; linear.latent];
    linear.encode_with(&variance, &vec![0.1; linear.latent]);
    // 700 rows make parts of two draws.
    let (rows, k) = (linear.rows(key, 700), 9);
    let view = linear.made.view();
    let (q, p) = (view.encode(&rows), view.prior(rows.given()));
    let (log_w, z) =
        log_weights(&view, &rows, q.as_ref(), p.as_ref(), k, Noise::new(key, &rows.ids)).unwrap();
    assert_eq!(z.z.rows(), 700 * k);
    let log_w = host_f64(&log_w);
    let scores = score(&view, &rows, k, key).unwrap();
    for (i, score) in scores.iter().enumerate() {
        let own: Vec<f64> = (0..k).map(|d| log_w[d * 700 + i]).collect();
        close(score.log_p_lower, log_sum(&own) - (k as f64).ln(), 1e-12);
        let w: Vec<f64> = own.iter().map(|v| (v - own[0]).exp()).collect();
        let (sum, squares) = (w.iter().sum::<f64>(), w.iter().map(|w| w * w).sum::<f64>());
        close(score.effective_samples, sum * sum / squares, 1e-10);
        let (n, mean, variance) = moments(w.iter().copied());
        close(score.standard_error, (variance / (n - 1.0)).sqrt() / mean, 1e-9);
    }
    // A row scored alone gets the same number.
    let alone = score(&view, &rows.slice(123, 1), k, key).unwrap()[0];
    close(alone.log_p_lower, scores[123].log_p_lower, 1e-12);
    close(alone.standard_error, scores[123].standard_error, 1e-9);
    // One draw has no spread to speak of.
    assert!(score(&view, &rows.slice(0, 1), 1, key).unwrap()[0].standard_error.is_nan());
}

#[test]
fn the_loss_of_the_importance_estimator_is_the_bound() {
    let key = Key::from_seed(34);
    let text = "likelihood = { kind = 'normal', scale = 'learned' }\nposterior.latent = 2\n\
                network = { kind = 'mlp', hidden = [5], activation = 'tanh' }\n\
                objective.estimator = { kind = 'importance', draws = 6 }";
    let made = make(text, &facts(vector(4), ValueKind::Real)).randomised(key, 0.5);
    let rows = batch(normals(key.fold("x"), 3 * 4), 4);
    let pass = Pass::new(made.view(), &rows, 6, key);
    let found = scalar(&made.objective.loss(&pass, None).total);
    let scores = score(&made.view(), &rows, 6, key.fold("posterior")).unwrap();
    let wanted = -scores.iter().map(|s| s.log_p_lower).sum::<f64>() / 3.0;
    close(found, wanted, 1e-12);
}

#[test]
fn impossible_draws_weigh_nothing() {
    // A prior on the unit cube under a posterior on the reals: refused in a configuration, but a program may.
    let key = Key::from_seed(35);
    let mut linear = Linear::new(key, true);
    linear.encode_with(&linear.variance.clone(), &vec![0.0; linear.latent]);
    struct Cube(usize);
    impl latent::member::Life for Cube {}
    impl latent::model::Prior for Cube {
        fn density(
            &self,
            view: &latent::model::View<'_>,
            _: latent::batch::Given<'_>,
        ) -> Box<dyn latent::density::Density> {
            Box::new(latent::density::Uniform { dims: self.0, device: view.weights.device().clone() })
        }
    }
    linear.made.model.prior = Box::new(Cube(linear.latent));
    let rows = linear.rows(key, 8);
    let scores = score(&linear.made.view(), &rows, 200, key).unwrap();
    assert!(scores.iter().all(|s| !s.log_p_lower.is_nan()), "{scores:?}");
    assert!(scores.iter().any(|s| s.log_p_lower.is_finite()));
}
