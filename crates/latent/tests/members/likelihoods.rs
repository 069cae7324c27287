//! Likelihoods beyond those of the core: each sums or integrates to 1, draws are its own, gradients are those of differences.

use latent::Key;
use latent::batch::{Batch, Given, Latent, Noise};
use latent::data::{Facts, SampleShape, ValueKind};
use latent::device::{Device, host_f64};
use latent::model::likelihood::BaseMeasure;

use crate::common::*;

fn made(likelihood: &str, facts: &Facts) -> Made {
    make(&format!("likelihood = {{ {likelihood} }}\nposterior.latent = 1\nnetwork.kind = 'linear'"), facts)
}

/// How many numbers the likelihood wants from the decoder.
fn outputs(made: &Made) -> usize {
    made.view().decode(&Latent::new(matrix(vec![0.0], 1)), Given::none()).dims()[1]
}

/// log p of each row of x under as many rows of outputs.
fn log_p(made: &Made, outputs: Vec<f64>, x: Vec<f64>) -> Vec<f64> {
    let (width, features) = (self::outputs(made), made.model.sample.features());
    let view = made.view();
    host_f64(&made.model.likelihood.log_density(&view, matrix(outputs, width), &batch(x, features)))
}

/// `n` draws of x under one row of outputs, row after row.
fn drawn(made: &Made, outputs: &[f64], n: usize) -> Vec<f64> {
    let ids: Vec<u64> = (0..n as u64).collect();
    let outputs = matrix(outputs.repeat(n), outputs.len());
    host_f64(&made.model.likelihood.draw(&made.view(), outputs, Noise::new(Key::from_seed(5), &ids)))
}

fn mean(made: &Made, outputs: &[f64]) -> Vec<f64> {
    host_f64(&made.model.likelihood.mean(&made.view(), matrix(outputs.to_vec(), outputs.len())))
}

/// Whether outputs move the density as finite differences do.
fn gradients_agree(what: &str, made: &Made, x: Vec<f64>) {
    let features = made.model.sample.features();
    let (rows, width) = (x.len() / features, outputs(made));
    let at = normals(Key::from_seed(8), rows * width);
    let leaf = matrix(at.clone(), width).autodiff().require_grad();
    let rows = batch(x.clone(), features);
    let value = made.model.likelihood.log_density(&made.view(), leaf.clone(), &rows).sum();
    let found = host_f64(&leaf.grad_remove(&mut value.backward()).unwrap());
    let greatest = found.iter().fold(0f64, |most, g| most.max(g.abs()));
    assert!(greatest > 1e-3 && greatest.is_finite(), "{what}: {found:?}");
    let h = 1e-4;
    for i in (0..at.len()).step_by(at.len().div_ceil(40)) {
        let moved = |by: f64| {
            let mut at = at.clone();
            at[i] += by;
            log_p(made, at, x.clone()).iter().sum::<f64>()
        };
        let wanted = (8.0 * (moved(h) - moved(-h)) - (moved(2.0 * h) - moved(-2.0 * h))) / (12.0 * h);
        assert!((found[i] - wanted).abs() < 1e-7 * greatest.max(1.0), "{what}, {i}: {} {wanted}", found[i]);
    }
}

/// The greatest distance between the draws' distribution function and the density's, times √n.
fn kolmogorov_smirnov(mut draws: Vec<f64>, points: &[f64], below: &[f64]) -> f64 {
    draws.sort_by(f64::total_cmp);
    let n = draws.len() as f64;
    let at = |x: f64| {
        let above = points.partition_point(|p| *p < x).clamp(1, points.len() - 1);
        let part = ((x - points[above - 1]) / (points[above] - points[above - 1])).clamp(0.0, 1.0);
        below[above - 1] + part * (below[above] - below[above - 1])
    };
    let off = |(i, x): (usize, &f64)| {
        let p = at(*x);
        (p - i as f64 / n).abs().max((p - (i + 1) as f64 / n).abs())
    };
    draws.iter().enumerate().map(off).fold(0.0, f64::max) * n.sqrt()
}

#[test]
fn heavy_tails_integrate_to_one_and_are_drawn() {
    let facts = facts(vector(1), ValueKind::Real);
    let at = 0.3;
    // Far out by x = at + sinh y.
    let (y, step) = grid(-24.0, 24.0, 48_001);
    let x: Vec<f64> = y.iter().map(|y| at + y.sinh()).collect();
    let (mut integral, mut distance): (f64, f64) = (0.0, 0.0);
    for likelihood in [
        "kind = 'student-t', degrees = 1.5",
        "kind = 'student-t', degrees = 5.0, s = 0.2",
        "kind = 'student-t', degrees = 300.0, scale = 'fixed'",
        "kind = 'log-cosh', sharpness = 10.0, scale = 'fixed'",
        "kind = 'log-cosh', sharpness = 0.05, b = 0.4",
        "kind = 'log-cosh', sharpness = 0.5, b = 2.5",
        "kind = 'log-cosh', sharpness = 200.0",
    ] {
        let made = made(likelihood, &facts);
        let p: Vec<f64> = log_p(&made, vec![at; x.len()], x.clone())
            .iter()
            .zip(&y)
            .map(|(log_p, y)| (log_p + y.cosh().ln()).exp())
            .collect();
        integral = integral.max((simpson(&p, step) - 1.0).abs());
        let mut below = vec![0.0];
        p.windows(2).for_each(|pair| below.push(below[below.len() - 1] + 0.5 * step * (pair[0] + pair[1])));
        let found = kolmogorov_smirnov(drawn(&made, &[at], 40_000), &x, &below);
        println!("{likelihood}: √n D = {found:.2}");
        distance = distance.max(found);
        close(mean(&made, &[at])[0], at, 1e-15);
        assert_eq!(made.model.likelihood.measure(), BaseMeasure::Lebesgue);
        gradients_agree(likelihood, &made, vec![0.2, -1.3, 4.0]);
    }
    println!("|∫ − 1| at most {integral:.1e}, √n D at most {distance:.2}");
    // √n D is above 1.95 once in a thousand times.
    assert!(integral < 1e-6 && distance < 1.95);
}

#[test]
fn they_are_the_densities_that_they_are_named_after() {
    let facts = facts(vector(1), ValueKind::Real);
    let of = |likelihood: &str, x: f64| log_p(&made(likelihood, &facts), vec![0.0], vec![x])[0];
    // Tables of Student's t.
    close(of("kind = 'student-t', degrees = 5.0", 0.0), 0.379_606_689_822_494_4_f64.ln(), 1e-9);
    close(of("kind = 'student-t', degrees = 3.0", 1.0), 0.206_748_335_783_172_2_f64.ln(), 1e-9);
    // Many degrees are a normal density.
    close(of("kind = 'student-t', degrees = 1e6, s = 0.5", 0.7), log_normal(0.7, 0.0, 0.25), 1e-5);
    // a = 1 is the hyperbolic secant, a = ½ the logistic density, a great a Laplace's.
    close(of("kind = 'log-cosh', sharpness = 1.0", 0.7), -(0.7f64.cosh() * std::f64::consts::PI).ln(), 1e-9);
    close(of("kind = 'log-cosh', sharpness = 0.5", 0.7), -0.7 - 2.0 * (-0.7f64).exp().ln_1p(), 1e-9);
    close(of("kind = 'log-cosh', sharpness = 1000.0", 0.7), -0.7 - 2f64.ln(), 2e-3);
    for likelihood in ["kind = 'student-t'", "kind = 'log-cosh'"] {
        let refused = |with: &str| {
            refusal(&format!("likelihood = {{ {likelihood}, {with} }}\nnetwork.kind = 'linear'"), &facts)
        };
        assert!(refused("scale = 'optimal'").starts_with("`likelihood.scale`"));
    }
    let refused = |likelihood: &str| refusal(&format!("likelihood = {{ {likelihood} }}"), &facts);
    assert!(refused("kind = 'student-t', degrees = 1.0").starts_with("`likelihood.degrees`"));
    assert!(refused("kind = 'log-cosh', sharpness = 0.0").starts_with("`likelihood.sharpness`"));
    assert!(refused("kind = 'log-cosh', b = 0.0").starts_with("`likelihood.b`"));
}

fn levels(count: usize) -> Vec<f64> {
    (0..count).map(|level| level as f64 / (count - 1) as f64).collect()
}

/// How many standard errors the share of draws at each place is from its probability, at most.
fn worst_share(draws: &[Vec<f64>], places: &[Vec<f64>], p: &[f64]) -> f64 {
    let n = draws.len() as f64;
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    let z = |(place, p): (&Vec<f64>, &f64)| {
        let hits = draws.iter().filter(|draw| near(draw, place)).count() as f64;
        ((hits / n - p) / (p * (1.0 - p) / n).sqrt()).abs()
    };
    let each: Vec<f64> = places.iter().zip(p).filter(|(_, p)| **p > 1e-3).map(z).collect();
    assert!(each.len() > 2);
    each.into_iter().fold(0.0, f64::max)
}

#[test]
fn a_categorical_pixel_has_the_probabilities_of_a_softmax() {
    for count in [5, 256] {
        let made =
            made(&format!("kind = 'categorical', levels = {count}"), &facts(vector(2), ValueKind::Grey));
        let logits = normals(Key::from_seed(1), 2 * count);
        // Parameter-major: level l of pixel i at l · 2 + i.
        let of = |pixel: usize| (0..count).map(|l| logits[2 * l + pixel]).collect::<Vec<f64>>();
        let places = levels(count);
        for pixel in 0..2 {
            let other = places[1];
            let x = places.iter().flat_map(|x| if pixel == 0 { [*x, other] } else { [other, *x] }).collect();
            let found = log_p(&made, logits.repeat(count), x);
            let [own, beside] = [of(pixel), of(1 - pixel)].map(|l| {
                let all = log_sum(&l);
                l.into_iter().map(|l| l - all).collect::<Vec<f64>>()
            });
            let wanted: Vec<f64> = own.iter().map(|log_p| log_p + beside[1]).collect();
            all_close(&found, &wanted, 1e-12);
            let wanted: f64 = own.iter().zip(&places).map(|(log_p, x)| log_p.exp() * x).sum();
            close(mean(&made, &logits)[pixel], wanted, 1e-12);
            let draws: Vec<Vec<f64>> =
                drawn(&made, &logits, 20_000).chunks(2).map(|x| vec![x[pixel]]).collect();
            let p: Vec<f64> = own.iter().map(|log_p| log_p.exp()).collect();
            let places: Vec<Vec<f64>> = places.iter().map(|x| vec![*x]).collect();
            assert!(worst_share(&draws, &places, &p) < 4.5);
        }
        gradients_agree("categorical", &made, vec![places[0], places[count - 1], places[2], places[3]]);
    }
    let refused =
        refusal("likelihood = { kind = 'categorical', levels = 5000 }", &facts(vector(2), ValueKind::Grey));
    assert!(refused.starts_with("`likelihood.levels`"), "{refused}");
}

#[test]
fn a_mixture_of_logistics_sums_to_one_over_all_levels() {
    let grey = facts(vector(1), ValueKind::Grey);
    let mut worst: f64 = 0.0;
    for components in [1, 2, 10] {
        let made = made(&format!("kind = 'logistic-mixture', components = {components}"), &grey);
        let x = levels(256);
        for scale in [0.3, 1.0, 4.0] {
            let outputs: Vec<f64> =
                normals(Key::from_seed(2), 3 * components).into_iter().map(|v| v * scale).collect();
            let p: Vec<f64> =
                log_p(&made, outputs.repeat(256), x.clone()).into_iter().map(f64::exp).collect();
            worst = worst.max((p.iter().sum::<f64>() - 1.0).abs());
            // The mean leaves out the rounding to levels.
            let wanted: f64 = x.iter().zip(&p).map(|(x, p)| x * p).sum();
            close(mean(&made, &outputs)[0], wanted, 0.5 / 255.0);
        }
        gradients_agree("logistic mixture", &made, vec![0.0, 1.0, 100.0 / 255.0]);
    }
    println!("logistic mixture: |Σ − 1| at most {worst:.1e}");
    assert!(worst < 1e-10);
    // One component is the discretised logistic, whose mean goes through a sigmoid.
    let one = made("kind = 'logistic-mixture', components = 1", &grey);
    let plain = made("kind = 'discretised-logistic', per_feature = true", &grey);
    let sigmoid = 1.0 / (1.0 + (-0.4f64).exp());
    for x in levels(256) {
        let wanted = log_p(&plain, vec![0.4, -2.5], vec![x])[0];
        close(log_p(&one, vec![9.0, sigmoid, -2.5], vec![x])[0], wanted, 1e-12);
    }
}

#[test]
fn channels_of_a_mixture_hang_together_and_sum_to_one() {
    let (count, components) = (4, 3);
    let shape = SampleShape::Image { channels: 3, height: 1, width: 2 };
    let facts = facts(shape, ValueKind::Colour);
    let made =
        made(&format!("kind = 'logistic-mixture', components = {components}, levels = {count}"), &facts);
    assert_eq!(outputs(&made), 10 * components * 2);
    let outputs: Vec<f64> = normals(Key::from_seed(3), 60).into_iter().map(|v| 1.5 * v).collect();
    let x = levels(count);
    // All colours of the left pixel beside one of the right: P(right) in all.
    let colour = |code: usize| [x[code / 16], x[code / 4 % 4], x[code % 4]];
    let row = |code: usize| {
        let [r, g, b] = colour(code);
        vec![r, x[1], g, x[2], b, x[3]]
    };
    let p: Vec<f64> =
        log_p(&made, outputs.repeat(64), (0..64).flat_map(row).collect()).into_iter().map(f64::exp).collect();
    let right: f64 = p.iter().sum();
    // By hand, for the left pixel: parameter p of it at 2 p.
    let at = |parameter: usize, k: usize| outputs[2 * (parameter * components + k)];
    let sigmoid = |v: f64| 1.0 / (1.0 + (-v).exp());
    let logistic = |level: usize, mean: f64, log_scale: f64| {
        let scale = log_scale.clamp(-7.0, 2.0).exp();
        let half = 0.5 / (count - 1) as f64;
        let above = if level == count - 1 { 1.0 } else { sigmoid((x[level] + half - mean) / scale) };
        let below = if level == 0 { 0.0 } else { sigmoid((x[level] - half - mean) / scale) };
        above - below
    };
    let logits: Vec<f64> = (0..components).map(|k| at(0, k)).collect();
    let wanted: Vec<f64> = (0..64)
        .map(|code| {
            let [i, j, l] = [code / 16, code / 4 % 4, code % 4];
            let of = |k: usize| {
                let (r, g) = (x[i] - 0.5, x[j] - 0.5);
                (at(0, k) - log_sum(&logits)).exp()
                    * logistic(i, at(1, k), at(4, k))
                    * logistic(j, at(2, k) + at(7, k).tanh() * r, at(5, k))
                    * logistic(l, at(3, k) + at(8, k).tanh() * r + at(9, k).tanh() * g, at(6, k))
            };
            (0..components).map(of).sum::<f64>()
        })
        .collect();
    close(wanted.iter().sum(), 1.0, 1e-12);
    all_close(&p.iter().map(|p| p / right).collect::<Vec<_>>(), &wanted, 1e-10);
    let draws: Vec<Vec<f64>> =
        drawn(&made, &outputs, 40_000).chunks(6).map(|x| vec![x[0], x[2], x[4]]).collect();
    let places: Vec<Vec<f64>> = (0..64).map(|code| colour(code).to_vec()).collect();
    let worst = worst_share(&draws, &places, &wanted);
    println!("colours drawn: at most {worst:.2} standard errors off");
    assert!(worst < 4.5);
    gradients_agree("coupled channels", &made, [row(9), row(47), row(0)].concat());
    // What is missing is left out, and what depends on it.
    let features = 6;
    let masked = |mask: Vec<f64>, x: Vec<f64>| {
        let rows = Batch { mask: Some(matrix(mask, features)), ..batch(x, features) };
        let width = outputs.len();
        host_f64(&made.model.likelihood.log_density(&made.view(), matrix(outputs.clone(), width), &rows))[0]
    };
    let reds: f64 = (0..64).filter(|code| code / 16 == 2).map(|code| wanted[code]).sum();
    let found = masked(vec![1.0, 0.0, 0.0, 0.0, 1.0, 0.0], vec![x[2], 0.3, f64::NAN, 0.1, x[1], 0.0]);
    close(found, reds.ln(), 1e-10);
}

#[test]
fn counts_have_the_probabilities_of_poisson() {
    // Counts as a table holds them: standardised, each column by itself.
    let mut facts = facts(vector(2), ValueKind::Real);
    assert!(refusal("likelihood.kind = 'poisson'", &facts).contains("whole numbers"));
    facts.normalisation.whole = vec![0, 1];
    facts.normalisation.offset = vec![3.0, 10.0];
    facts.normalisation.scale = vec![2.0, 5.0];
    let made = made("kind = 'poisson'", &facts);
    assert_eq!(made.model.likelihood.measure(), BaseMeasure::Counts);
    let x_of = |counts: [f64; 2]| vec![(counts[0] - 3.0) / 2.0, (counts[1] - 10.0) / 5.0];
    for rates in [[0.02f64, 4.0], [11.0, 250.0]] {
        let outputs = rates.map(f64::ln).to_vec();
        let most = 600;
        let x: Vec<f64> = (0..most).flat_map(|v| x_of([f64::from(v), 2.0])).collect();
        let log_p = self::log_p(&made, outputs.repeat(most as usize), x);
        let beside = 2.0 * rates[1].ln() - rates[1] - 2f64.ln();
        let total: f64 = log_p.iter().map(|log_p| (log_p - beside).exp()).sum();
        close(total, 1.0, 1e-10);
        let mut factorial = 0.0;
        for (v, log_p) in log_p.iter().enumerate().take(30) {
            factorial += (v.max(1) as f64).ln();
            close(log_p - beside, v as f64 * rates[0].ln() - rates[0] - factorial, 1e-10);
        }
        // x is single precision in a model.
        all_close(&mean(&made, &outputs), &x_of(rates), 1e-12);
        let draws = drawn(&made, &outputs, 20_000);
        for (j, rate) in rates.into_iter().enumerate() {
            let (offset, scale) = ([3.0, 10.0][j], [2.0, 5.0][j]);
            let counts: Vec<f64> = draws.iter().skip(j).step_by(2).map(|x| x * scale + offset).collect();
            assert!(counts.iter().all(|v| *v > -1e-4 && (v - v.round()).abs() < 1e-4));
            assert!(mean_z(counts.iter().copied(), rate).abs() < 4.5);
            assert!(mean_z(counts.iter().map(|v| (v - rate).powi(2)), rate).abs() < 4.5);
        }
    }
    // Large counts in single precision, as models have them.
    let single = |values: &[f64]| Device::cpu().tensor_f64::<2>(values.to_vec(), [1, values.len()]);
    let (outputs, x) = ([13.75, 0.5], x_of([936_001.0, 2.0]));
    let row = Batch::of(single(&x), vec![0]);
    let found = host_f64(&made.model.likelihood.log_density(&made.view(), single(&outputs), &row))[0];
    close(found, log_p(&made, outputs.to_vec(), x)[0], 1e-2);
    // There is no count below 0.
    assert_eq!(log_p(&made, vec![0.0, 0.0], x_of([-1.0, 1.0])), [f64::NEG_INFINITY]);
    gradients_agree("poisson", &made, [x_of([0.0, 3.0]), x_of([7.0, 12.0])].concat());
}
