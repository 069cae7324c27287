//! Likelihoods: each sums or integrates to 1, its mean and draws are its own, and k draws of n rows are k·n rows.

use latent::Key;
use latent::batch::{Batch, Noise};
use latent::data::ValueKind;
use latent::device::host_f64;
use latent::model::View;
use latent::model::likelihood::BaseMeasure;
use latent::train::{Autoencoder, Trainable};

use crate::common::*;

/// A model whose likelihood is looked at alone.
fn with_likelihood(likelihood: &str, columns: usize, kind: ValueKind) -> Made {
    let text = format!("likelihood = {likelihood}\nposterior.latent = 1\nnetwork.kind = 'linear'");
    make(&text, &facts(vector(columns), kind))
}

/// log p of each row of x under outputs of the same number of rows.
fn log_p(made: &Made, outputs: Vec<f64>, x: Vec<f64>, columns: usize) -> Vec<f64> {
    let view = made.view();
    let outputs = matrix(outputs, made.outputs());
    host_f64(&made.model.likelihood.log_density(&view, outputs, &batch(x, columns)))
}

#[test]
fn bernoulli_sums_to_one_over_all_bits() {
    let made = with_likelihood("{ kind = 'bernoulli' }", 3, ValueKind::Binary);
    for logits in [[0.3, -1.0, 2.0], [50.0, -50.0, 0.0], [1e3, 0.1, -1e3]] {
        let found = log_p(&made, logits.repeat(8), all_codes(3), 3);
        close(found.iter().map(|v| v.exp()).sum(), 1.0, 1e-13);
        let wanted: Vec<f64> = all_codes(3)
            .chunks(3)
            .map(|x| x.iter().zip(logits).map(|(x, l)| x * l - softplus(l)).sum())
            .collect();
        all_close(&found, &wanted, 1e-13);
    }
    assert_eq!(made.model.likelihood.measure(), BaseMeasure::Counting { levels: 2 });
    // Draws fall as often as the mean says.
    let n = 20_000;
    let ids: Vec<u64> = (0..n).collect();
    let view = made.view();
    let outputs = matrix([0.3, -1.0, 2.0].repeat(n as usize), 3);
    let draws =
        host_f64(&made.model.likelihood.draw(&view, outputs.clone(), Noise::new(Key::from_seed(1), &ids)));
    let mean = host_f64(&made.model.likelihood.mean(&view, outputs));
    for j in 0..3 {
        close(mean[j], sigmoid([0.3, -1.0, 2.0][j]), 1e-14);
        assert!(mean_z(draws.iter().skip(j).step_by(3).copied(), mean[j]).abs() < 4.5);
    }
    // On grey values the same sum is no density, and says so.
    let grey = with_likelihood("{ kind = 'bernoulli' }", 3, ValueKind::Grey);
    assert_eq!(grey.model.likelihood.measure(), BaseMeasure::None);
    let cross = log_p(&grey, vec![0.5, -1.0, 0.0], vec![0.2, 0.9, 0.5], 3)[0];
    close(cross, 0.1 - softplus(0.5) - 0.9 - softplus(-1.0) - 2f64.ln(), 1e-13);
}

#[test]
fn continuous_bernoulli_integrates_to_one_and_has_its_mean() {
    let made = with_likelihood("{ kind = 'continuous-bernoulli' }", 1, ValueKind::Grey);
    let (x, step) = grid(0.0, 1.0, 20_001);
    let draws = 40_000u64;
    let ids: Vec<u64> = (0..draws).collect();
    let (view, likelihood) = (made.view(), &made.model.likelihood);
    let (mut worst_integral, mut worst_mean, mut worst_draw): (f64, f64, f64) = (0.0, 0.0, 0.0);
    for l in [0.0, 1e-6, -1e-6, 5e-4, 2e-3, 0.0499, 0.0501, -0.0499, -0.0501, 0.7, -3.0, 30.0, -30.0] {
        let p: Vec<f64> = log_p(&made, vec![l; x.len()], x.clone(), 1).into_iter().map(f64::exp).collect();
        let times =
            |power: i32| simpson(&x.iter().zip(&p).map(|(x, p)| x.powi(power) * p).collect::<Vec<_>>(), step);
        worst_integral = worse(worst_integral, (times(0) - 1.0).abs());
        let mean = host_f64(&likelihood.mean(&view, matrix(vec![l], 1)))[0];
        worst_mean = worse(worst_mean, (mean - times(1)).abs());
        let outputs = matrix(vec![l; draws as usize], 1);
        let drawn = host_f64(&likelihood.draw(&view, outputs, Noise::new(Key::from_seed(2), &ids)));
        assert!(drawn.iter().all(|x| (0.0..=1.0).contains(x)));
        let (mean, second) = (times(1), times(2));
        worst_draw = worse(worst_draw, mean_z(drawn.iter().copied(), mean).abs());
        worst_draw = worse(worst_draw, variance_z(drawn.iter().copied(), mean, second - mean * mean).abs());
    }
    println!(
        "continuous Bernoulli: |∫ − 1| {worst_integral:.1e}, |mean| off {worst_mean:.1e}, draws {worst_draw:.2} s.e."
    );
    assert!(worst_integral < 1e-9 && worst_mean < 1e-9 && worst_draw < 4.5);
    assert_eq!(likelihood.measure(), BaseMeasure::Lebesgue);
    // Far out it neither overflows nor loses its sign.
    let far = log_p(&made, vec![1e4, -1e4, 1e4], vec![1.0, 0.0, 0.0], 1);
    all_close(&far, &[1e4f64.ln(), 1e4f64.ln(), 1e4f64.ln() - 1e4], 1e-12);
}

/// Σ over features of the log density of N(μ, σ²).
fn normal_row(x: &[f64], mean: &[f64], variance: f64) -> f64 {
    let term =
        |(x, m): (&f64, &f64)| (2.0 * std::f64::consts::PI * variance).ln() + (x - m).powi(2) / variance;
    -0.5 * x.iter().zip(mean).map(term).sum::<f64>()
}

#[test]
fn normal_with_a_given_or_a_learned_scale() {
    let (x, mean) = (vec![0.5, -1.0, 2.0, 0.1, 0.0, 1.0], vec![0.0, -1.5, 1.0, 0.3, 0.2, 0.1]);
    let wanted =
        |variance| vec![normal_row(&x[..3], &mean[..3], variance), normal_row(&x[3..], &mean[3..], variance)];
    for scale in ["fixed", "learned"] {
        let text = format!("{{ kind = 'normal', scale = '{scale}', sigma = 0.5 }}");
        let mut made = with_likelihood(&text, 3, ValueKind::Real);
        // σ is a setting in single precision.
        all_close(&log_p(&made, mean.clone(), x.clone(), 3), &wanted(0.25), 1e-6);
        made.set("likelihood.log_variance", vec![0.7]);
        all_close(&log_p(&made, mean.clone(), x.clone(), 3), &wanted(0.7f64.exp()), 1e-13);
        let n = 20_000;
        let ids: Vec<u64> = (0..n).collect();
        let outputs = matrix(mean[..3].repeat(n as usize), 3);
        let drawn =
            host_f64(&made.model.likelihood.draw(&made.view(), outputs, Noise::new(Key::from_seed(3), &ids)));
        for (j, &mean) in mean[..3].iter().enumerate() {
            let column = drawn.iter().skip(j).step_by(3).copied();
            assert!(mean_z(column.clone(), mean).abs() < 4.5);
            assert!(variance_z(column, mean, 0.7f64.exp()).abs() < 4.5);
        }
    }
}

#[test]
fn the_optimal_scale_maximises_the_density_of_the_batch() {
    let columns = 4;
    let key = Key::from_seed(4);
    let (x, mean) = (normals(key.fold("x"), 5 * columns), normals(key.fold("mean"), 10 * columns));
    let optimal = with_likelihood("{ kind = 'normal', scale = 'optimal' }", columns, ValueKind::Real);
    let likelihood = &optimal.model.likelihood;
    let total = |v: Vec<f64>| v.iter().sum::<f64>();
    // Two draws of five rows.
    let (outputs, rows) = (matrix(mean.clone(), columns), batch(x.clone(), columns));
    let best = total(host_f64(&likelihood.log_density(&optimal.training(), outputs.clone(), &rows)));
    let mut given = with_likelihood("{ kind = 'normal', scale = 'learned' }", columns, ValueKind::Real);
    let mut at = |log_variance: f64| {
        given.set("likelihood.log_variance", vec![log_variance]);
        total(host_f64(&given.model.likelihood.log_density(&given.view(), outputs.clone(), &rows)))
    };
    let squares: f64 = mean
        .chunks(columns)
        .enumerate()
        .map(|(row, mean)| {
            let x = &x[row % 5 * columns..][..columns];
            x.iter().zip(mean).map(|(x, m)| (x - m).powi(2)).sum::<f64>()
        })
        .sum();
    let log_variance = (squares / (10.0 * columns as f64)).ln();
    close(best, at(log_variance), 1e-13);
    for off in [-1.0, -0.1, -1e-3, 1e-3, 0.1, 1.0] {
        assert!(at(log_variance + off) < best, "{off}");
    }
    // Once frozen, evaluation gives the same number.
    let mut frozen = with_likelihood("{ kind = 'normal', scale = 'optimal' }", columns, ValueKind::Real);
    frozen.set("decoder.0.weight", vec![0.0; columns]);
    frozen.set("decoder.0.bias", mean[..columns].to_vec());
    let outputs = matrix(mean[..columns].repeat(5), columns);
    let best = total(host_f64(&likelihood.log_density(&optimal.training(), outputs.clone(), &rows)));
    let mut task = Autoencoder::new(frozen.model, frozen.weights, frozen.objective);
    let batches = |each: &mut dyn FnMut(&Batch)| {
        each(&rows);
        Ok(())
    };
    task.freeze(&batches, key).unwrap();
    let view = View::evaluation(&task.model, &task.weights);
    close(total(host_f64(&view.model.likelihood.log_density(&view, outputs, &rows))), best, 1e-6);
    let declared = optimal.parts.declare(&optimal.run.facts).unwrap();
    assert!(declared.couplings.iter().any(|coupling| coupling.what.contains("scale on the whole batch")));
}

#[test]
fn discretised_logistic_sums_to_one_over_all_levels() {
    let mut worst: f64 = 0.0;
    for levels in [2usize, 5, 256] {
        let text = format!("{{ kind = 'discretised-logistic', levels = {levels} }}");
        let mut shared = with_likelihood(&text, 1, ValueKind::Grey);
        let text = format!("{{ kind = 'discretised-logistic', levels = {levels}, per_feature = true }}");
        let own = with_likelihood(&text, 1, ValueKind::Grey);
        let x: Vec<f64> = (0..levels).map(|i| i as f64 / (levels - 1) as f64).collect();
        for log_scale in [-30.0, -7.0, -3.0, -1.0, 2.0, 30.0] {
            shared.set("likelihood.log_scale", vec![log_scale]);
            for mean in [-12.0, -1.0, 0.0, 0.3, 8.0] {
                let found = log_p(&shared, vec![mean; levels], x.clone(), 1);
                assert!(found.iter().all(|v| v.is_finite() && *v <= 1e-12), "{levels} {log_scale} {mean}");
                worst = worse(worst, (found.iter().map(|v| v.exp()).sum::<f64>() - 1.0).abs());
                let outputs = [mean, log_scale].repeat(levels);
                all_close(&log_p(&own, outputs, x.clone(), 1), &found, 1e-14);
            }
        }
        // These rows are floats: nothing says that they lie on levels.
        assert_eq!(shared.model.likelihood.measure(), BaseMeasure::None);
    }
    println!("discretised logistic: |Σ − 1| at most {worst:.1e}");
    assert!(worst < 1e-11);
}

#[test]
fn discretised_logistic_has_the_mean_of_its_levels() {
    let mut made = with_likelihood("{ kind = 'discretised-logistic' }", 1, ValueKind::Grey);
    let x: Vec<f64> = (0..256).map(|i| f64::from(i) / 255.0).collect();
    for (log_scale, tolerance) in [(-6.5, 0.5 / 255.0), (-4.0, 1e-4), (-1.0, 1e-6), (1.5, 1e-6)] {
        made.set("likelihood.log_scale", vec![log_scale]);
        for mean in [-5.0, -0.7, 0.0, 2.0] {
            let p = log_p(&made, vec![mean; 256], x.clone(), 1);
            let wanted: f64 = x.iter().zip(&p).map(|(x, p)| x * p.exp()).sum();
            let found = host_f64(&made.model.likelihood.mean(&made.view(), matrix(vec![mean], 1)))[0];
            close(found, wanted, tolerance);
        }
    }
}

#[test]
fn discretised_logistic_gives_each_level_its_share_and_draws_it_so() {
    let levels = 5;
    let text = "{ kind = 'discretised-logistic', levels = 5 }";
    let mut made = with_likelihood(text, 1, ValueKind::Grey);
    made.set("likelihood.log_scale", vec![-1.5]);
    let (mean, scale) = (sigmoid(0.4), (-1.5f64).exp());
    let x: Vec<f64> = (0..levels).map(|i| i as f64 / 4.0).collect();
    let wanted: Vec<f64> = (0..levels)
        .map(|i| {
            let below = if i == 0 { 0.0 } else { sigmoid((x[i] - 0.125 - mean) / scale) };
            let above = if i == 4 { 1.0 } else { sigmoid((x[i] + 0.125 - mean) / scale) };
            above - below
        })
        .collect();
    let found: Vec<f64> = log_p(&made, vec![0.4; levels], x.clone(), 1).into_iter().map(f64::exp).collect();
    all_close(&found, &wanted, 1e-13);
    let n = 40_000u64;
    let ids: Vec<u64> = (0..n).collect();
    let outputs = matrix(vec![0.4; n as usize], 1);
    let drawn =
        host_f64(&made.model.likelihood.draw(&made.view(), outputs, Noise::new(Key::from_seed(5), &ids)));
    for (x, p) in x.iter().zip(&wanted) {
        let hits = drawn.iter().filter(|&&d| (d - x).abs() < 1e-6).count() as f64;
        let z = (hits / n as f64 - p) / (p * (1.0 - p) / n as f64).sqrt();
        assert!(z.abs() < 4.5, "{x}: {z}");
    }
}

#[test]
fn draws_of_rows_are_rows() {
    let (n, draws, columns) = (3, 4, 5);
    let key = Key::from_seed(6);
    for (likelihood, kind) in [
        ("{ kind = 'bernoulli' }", ValueKind::Binary),
        ("{ kind = 'continuous-bernoulli' }", ValueKind::Grey),
        ("{ kind = 'normal', scale = 'fixed', sigma = 0.3 }", ValueKind::Real),
        ("{ kind = 'normal', scale = 'optimal' }", ValueKind::Real),
        ("{ kind = 'discretised-logistic' }", ValueKind::Grey),
        ("{ kind = 'discretised-logistic', per_feature = true }", ValueKind::Grey),
    ] {
        let made = with_likelihood(likelihood, columns, kind);
        let width = made.outputs();
        let outputs = normals(key.fold("outputs"), draws * n * width);
        let x: Vec<f64> =
            uniforms(key.fold("x"), n * columns).iter().map(|u| (u * 255.0).round() / 255.0).collect();
        let whole = log_p(&made, outputs.clone(), x.clone(), columns);
        assert_eq!(whole.len(), draws * n);
        for row in 0..draws * n {
            let alone = log_p(
                &made,
                outputs[row * width..][..width].to_vec(),
                x[row % n * columns..][..columns].to_vec(),
                columns,
            );
            close(whole[row], alone[0], 1e-13);
        }
    }
}

#[test]
fn a_scale_of_a_channel_serves_its_pixels() {
    let facts = facts(image(2, 2, 3), ValueKind::Colour);
    let text = "likelihood.kind = 'discretised-logistic'\nposterior.latent = 1\nnetwork.kind = 'linear'";
    let mut made = make(text, &facts);
    made.set("likelihood.log_scale", vec![-3.0, -1.0]);
    let single = |log_scale: f64, x: f64| {
        let mut one = with_likelihood("{ kind = 'discretised-logistic' }", 1, ValueKind::Grey);
        one.set("likelihood.log_scale", vec![log_scale]);
        log_p(&one, vec![0.2], vec![x], 1)[0]
    };
    let x: Vec<f64> = (0..12).map(|i| f64::from(i * 20) / 255.0).collect();
    let wanted: f64 = x.iter().enumerate().map(|(i, &x)| single(if i < 6 { -3.0 } else { -1.0 }, x)).sum();
    close(log_p(&made, vec![0.2; 12], x, 12)[0], wanted, 1e-12);
}

#[test]
fn single_precision_still_sums_to_one() {
    let facts = facts(vector(1), ValueKind::Grey);
    let text = "likelihood = { kind = 'discretised-logistic', per_feature = true }\nposterior.latent = 1\nnetwork.kind = 'linear'";
    let device = latent::device::Device::cpu();
    let made = try_make(text, &facts, &device).unwrap();
    let x = device.tensor((0..256).map(|i| i as f32 / 255.0).collect(), [256, 1]);
    let rows = Batch::of(x, (0..256).collect());
    let mut worst: f64 = 0.0;
    for log_scale in [-7.0, -5.0, -3.0, -1.0, 0.0, 2.0] {
        let outputs = device.tensor([0.3, log_scale].repeat(256), [256, 2]);
        let p = host_f64(&made.model.likelihood.log_density(&made.view(), outputs, &rows));
        let off = p.iter().map(|v| v.exp()).sum::<f64>() - 1.0;
        println!("discretised logistic in single precision, ln s = {log_scale}: Σ − 1 = {off:.1e}");
        worst = worse(worst, off.abs());
    }
    assert!(worst < 1e-3);
}
