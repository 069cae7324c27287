//! b bits: P(x) is a sum over 2^b codes, and everything can be checked against it.

use latent::Key;
use latent::data::ValueKind;
use latent::device::host_f64;
use latent::model::{ModelError, log_density_by_enumeration, score};

use crate::common::*;

fn tiny(bits: usize, columns: usize, network: &str) -> Made {
    let text = format!(
        "likelihood.kind = 'bernoulli'\nposterior = {{ kind = 'bits', latent = {bits} }}\n\
         prior = {{ kind = 'bits', learned = true }}\nnetwork = {network}"
    );
    make(&text, &facts(vector(columns), ValueKind::Binary)).randomised(Key::from_seed(40).fold(bits), 1.0)
}

#[test]
fn enumeration_is_the_sum_over_codes() {
    let (bits, columns) = (4, 5);
    let made = tiny(bits, columns, "{ kind = 'linear' }");
    let (w, b) = (made.get("decoder.0.weight"), made.get("decoder.0.bias"));
    let prior = made.get("prior.logits");
    let x: Vec<f64> = all_codes(columns);
    let found = host_f64(&log_density_by_enumeration(&made.view(), &batch(x.clone(), columns)).unwrap());
    let mut total = 0.0;
    for (x, found) in x.chunks(columns).zip(&found) {
        let joint: Vec<f64> = all_codes(bits)
            .chunks(bits)
            .map(|z| {
                let log_prior: f64 = z.iter().zip(&prior).map(|(z, l)| z * l - softplus(*l)).sum();
                let pixel = |j: usize| {
                    let l = b[j] + (0..bits).map(|k| z[k] * w[k * columns + j]).sum::<f64>();
                    x[j] * l - softplus(l)
                };
                log_prior + (0..columns).map(pixel).sum::<f64>()
            })
            .collect();
        close(*found, log_sum(&joint), 1e-12);
        total += found.exp();
    }
    // P(X) sums to 1 over all x.
    close(total, 1.0, 1e-12);
}

#[test]
fn importance_sampling_agrees_with_enumeration() {
    let mut worst = 0.0f64;
    for bits in [1, 3, 8] {
        let made = tiny(bits, 6, "{ kind = 'mlp', hidden = [4], activation = 'tanh' }");
        let x: Vec<f64> =
            uniforms(Key::from_seed(41), 6 * 6).into_iter().map(|u| f64::from(u < 0.5)).collect();
        let rows = batch(x, 6);
        let exact = host_f64(&log_density_by_enumeration(&made.view(), &rows).unwrap());
        let scores = score(&made.view(), &rows, 16_384, Key::from_seed(42)).unwrap();
        for (score, exact) in scores.iter().zip(&exact) {
            let ratio = (score.log_p_lower - exact).exp();
            worst = worse(worst, ((ratio - 1.0) / (score.standard_error * ratio)).abs());
        }
    }
    println!("P(X) of bits by importance sampling against enumeration: worst |z| {worst:.2} of 18");
    assert!(worst < 4.0);
}

#[test]
fn many_codes_come_in_parts_and_too_many_are_refused() {
    // 1024 codes are more than go through the decoder at once.
    let made = tiny(10, 3, "{ kind = 'linear' }");
    let found = host_f64(&log_density_by_enumeration(&made.view(), &batch(all_codes(3), 3)).unwrap());
    close(found.iter().map(|v| v.exp()).sum(), 1.0, 1e-12);
    let many = tiny(17, 3, "{ kind = 'linear' }");
    let refused = log_density_by_enumeration(&many.view(), &batch(all_codes(3), 3));
    assert!(matches!(refused, Err(ModelError::TooManyCodes { bits: 17, most: 16 })));
    let normal = make("posterior.latent = 2\nnetwork.kind = 'linear'", &facts(vector(3), ValueKind::Real));
    let refused = log_density_by_enumeration(&normal.view(), &batch(all_codes(3), 3));
    assert!(matches!(refused, Err(ModelError::NoDensity { .. })));
}
