//! Terms on the aggregate posterior: total correlation (from densities and by a critic), covariance, capacity, sliced Wasserstein,
//! against sums on the host and against normals whose values are known.

use latent::batch::{Batch, Draw, Given, Noise};
use latent::data::{Data, DataSettings, Facts, Memory, ValueKind};
use latent::device::{Device, host_f64, scalar};
use latent::member::Progress;
use latent::model::View;
use latent::objective::Pass;
use latent::{Key, Layers, Options, Training};

use crate::common::*;
use crate::gradients::gradient_error;

const X: usize = 3;

/// So many training rows.
fn many(rows: u64) -> Facts {
    Facts { rows: [rows, 10, 10], ..facts(vector(X), ValueKind::Real) }
}

fn made(dims: usize, term: &str, rows: u64) -> Made {
    let text = format!(
        "posterior = {{ kind = 'diagonal-normal', latent = {dims} }}\nnetwork.kind = 'linear'\nlikelihood.scale = 'fixed'\n\
         objective = {{ estimator = {{ kind = 'plain', draws = 2 }}, terms = {{ distortion = {{}}, asked = {{ {term} }} }} }}"
    );
    make(&text, &many(rows))
}

/// The term's values on a pass of these rows.
fn values_of(made: &Made, rows: &Batch, draws: usize, key: Key) -> Vec<f64> {
    let pass = Pass::new(made.view(), rows, draws, key);
    let asked = made.objective.terms.iter().find(|t| t.name == "asked").unwrap();
    host_f64(&asked.term.value(&pass).expect("a value").log)
}

fn log_normal(z: f64, mean: f64, log_variance: f64) -> f64 {
    -0.5 * ((2.0 * std::f64::consts::PI).ln() + log_variance + (z - mean).powi(2) * (-log_variance).exp())
}

/// A linear encoder onto z = x A with variances s², x ~ N(0, I): q(z) = N(0, AᵀA + diag s²).
fn correlated(term: &str, rows: u64) -> (Made, f64) {
    let mut made = made(2, term, rows);
    // z = (x₁, 0.8 x₁ + 0.6 x₂), ln σ² the same for all x.
    let log_variance: [f64; 2] = [-1.0, -1.5];
    made.set("encoder.0.weight", vec![1.0, 0.8, 0.0, 0.0, 0.0, 0.6, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    made.set("encoder.0.bias", vec![0.0, 0.0, log_variance[0], log_variance[1]]);
    let [a, b] = log_variance.map(|v| 1.0 + v.exp());
    // −½ ln(1 − ρ²)
    (made, -0.5 * (1.0 - 0.64 / (a * b)).ln())
}

#[test]
fn the_total_correlation_of_a_batch_is_the_sum_of_the_formula() {
    let (n, dims, all, key) = (6usize, 3usize, 50u64, Key::from_seed(150));
    for sampling in ["weighted", "stratified"] {
        let made = made(dims, &format!("kind = 'total-correlation', sampling = '{sampling}'"), all)
            .randomised(key, 0.5);
        let rows = batch(normals(key.fold("x"), n * X), X);
        let pass = Pass::new(made.view(), &rows, 2, key);
        let (mean, deviation) = (host_f64(&pass.q.centre().z), host_f64(&pass.q.deviation().unwrap()));
        let z = host_f64(&pass.draw().z.z);
        let (big, m) = (all as f64, n as f64 - 1.0);
        let weight = |i: usize, j: usize| match sampling {
            "weighted" => 1.0 / (big * n as f64),
            _ if i == j => 1.0 / big,
            _ if j == (i + 1) % n => (big - m) / (big * m),
            _ => 1.0 / m,
        };
        let wanted = (0..2 * n).map(|row| {
            let i = row % n;
            let log_q = |j: usize, d: usize| {
                log_normal(z[row * dims + d], mean[j * dims + d], 2.0 * deviation[j * dims + d].ln())
            };
            let joint: Vec<f64> =
                (0..n).map(|j| weight(i, j).ln() + (0..dims).map(|d| log_q(j, d)).sum::<f64>()).collect();
            let single =
                |d: usize| log_sum(&(0..n).map(|j| weight(i, j).ln() + log_q(j, d)).collect::<Vec<_>>());
            log_sum(&joint) - (0..dims).map(single).sum::<f64>()
        });
        all_close(&values_of(&made, &rows, 2, key), &wanted.collect::<Vec<_>>(), 1e-11);
    }
}

#[test]
fn both_estimates_find_the_total_correlation_of_a_known_normal() {
    let (n, all) = (800, 1_000_000u64);
    for (sampling, offset) in [("weighted", (all as f64).ln()), ("stratified", 0.0)] {
        let (made, exact) = correlated(&format!("kind = 'total-correlation', sampling = '{sampling}'"), all);
        let found: Vec<f64> = (0..4u64)
            .flat_map(|round| {
                let key = Key::from_seed(151).fold(round);
                values_of(&made, &batch(normals(key, n * X), X), 1, key)
            })
            .map(|v| v - offset)
            .collect();
        let (_, mean, _) = moments(found.iter().copied());
        println!("total correlation, {sampling}: {mean:.4}, exactly {exact:.4}");
        assert!((mean - exact).abs() < 0.03, "{sampling}: {mean} {exact}");
    }
}

#[test]
fn the_critic_of_permuted_codes_finds_it_too() {
    let text = "likelihood = { kind = 'normal', scale = 'fixed' }
         posterior = { kind = 'diagonal-normal', latent = 2 }\nnetwork.kind = 'linear'
         objective.estimator.kind = 'plain'
         [objective.terms]
         distortion = {}
         judge = { kind = 'density-ratio', hidden = [32, 32], optimizer = { learning_rate = 1e-2, beta1 = 0.5, beta2 = 0.99 }, learning_rate = { kind = 'cosine' } }
         [train]
         steps = 1500\nbatch = 512\nkeep = 'last'\nvalidate_every = 10000.0
         optimizer = { learning_rate = 1e-30 }";
    let table: toml::Table = text.parse().unwrap();
    let layers = Layers { table: table.clone(), explicit: table };
    let rows = 4000;
    let numbers: Vec<f32> = normals(Key::from_seed(152), rows * X).into_iter().map(|v| v as f32).collect();
    let settings = DataSettings::default();
    let data = Data::from_memory(Memory::new(vector(X), numbers), &settings, Key::from_seed(1), &mut |_| {})
        .unwrap();
    let mut training = Training::in_memory(&layers, data, Options::default(), &mut |_| {}).unwrap();
    let (known, exact) = correlated("kind = 'dip'", 100);
    for path in ["encoder.0.weight", "encoder.0.bias"] {
        let values = known.get(path).into_iter().map(|v| v as f32).collect();
        let id = training.task.weights.iter().find(|(_, w)| w.path() == path).unwrap().0;
        training.task.weights.set_values(id, values);
    }
    training.train(&Default::default(), &mut |_| {}).unwrap();
    let task = &training.task;
    let n = 20_000;
    let x = normals(Key::from_seed(153), n * X);
    let fresh = Batch::of(Device::cpu().tensor_f64(x, [n, X]), (0..n as u64).collect());
    let of = |player: &str| {
        let pass =
            Pass::of(player, View::evaluation(&task.model, &task.weights), &fresh, 1, Key::from_seed(154));
        let judge = task.objective.terms.iter().find(|t| t.name == "judge").unwrap();
        let found = host_f64(&judge.term.value(&pass).unwrap().log);
        found.iter().sum::<f64>() / found.len() as f64
    };
    println!(
        "total correlation by a critic: {:.4}, exactly {exact:.4}; its loss {:.4}",
        of("model"),
        of("judge")
    );
    assert!((of("model") - exact).abs() < 0.08, "{} {exact}", of("model"));
    // Its loss is ln 2 less a divergence.
    assert!(of("judge") < 2f64.ln() - 0.02);
}

#[test]
fn the_covariances_are_those_of_the_batch() {
    let (n, dims, key) = (7usize, 3usize, Key::from_seed(155));
    for (of, diagonal) in [("means", 10.0), ("codes", 1.0)] {
        let made = made(dims, &format!("kind = 'dip', of = '{of}', diagonal = {diagonal}"), 100)
            .randomised(key, 0.6);
        let mut rows = batch(normals(key.fold("x"), n * X), X);
        for weights in [vec![1.0; n], (0..n).map(|i| 0.5 + i as f64).collect::<Vec<_>>()] {
            rows.weight = (weights[1] != 1.0).then(|| double().tensor_f64(weights.clone(), [n]));
            let pass = Pass::new(made.view(), &rows, 1, key);
            let (mean, deviation) = (host_f64(&pass.q.centre().z), host_f64(&pass.q.deviation().unwrap()));
            let total: f64 = weights.iter().sum();
            let average = |f: &dyn Fn(usize) -> f64| (0..n).map(|i| weights[i] * f(i)).sum::<f64>() / total;
            let mu = |i: usize, d: usize| mean[i * dims + d];
            let mut wanted = 0.0;
            for a in 0..dims {
                for b in 0..dims {
                    let (ma, mb) = (average(&|i| mu(i, a)), average(&|i| mu(i, b)));
                    let c = average(&|i| (mu(i, a) - ma) * (mu(i, b) - mb));
                    let inner = average(&|i| deviation[i * dims + a].powi(2));
                    wanted += match (a == b, of) {
                        (false, _) => c * c,
                        (true, "means") => diagonal * (c - 1.0).powi(2),
                        (true, _) => diagonal * (c + inner - 1.0).powi(2),
                    };
                }
            }
            all_close(&values_of(&made, &rows, 1, key), &[wanted], 1e-12);
        }
    }
}

#[test]
fn the_sliced_distance_of_shifted_draws_is_the_shift_along_the_lines() {
    let (n, dims, key) = (40usize, 3usize, Key::from_seed(156));
    let made = made(dims, "kind = 'sliced-wasserstein', directions = 20000", 100);
    let rows = batch(vec![0.0; n * X], X);
    let noise = Noise::new(key.fold("sliced"), &rows.ids);
    let prior = host_f64(&made.view().prior(Given::none()).draw(1, noise).z.z);
    let shift = [0.5, -1.0, 2.0];
    let value = |codes: Vec<f64>| {
        let pass = Pass::new(made.view(), &rows, 1, key).with_draw(Draw::new(matrix(codes, dims)));
        scalar(
            &made.objective.terms.iter().find(|t| t.name == "asked").unwrap().term.value(&pass).unwrap().log,
        )
    };
    // The order is the prior's along each line, whatever the rows are called: E (θ·c)² = ‖c‖² / dims.
    let mut order = Key::from_seed(157).permutation(n);
    order.rotate_left(1);
    let moved = |by: &[f64]| -> Vec<f64> {
        order
            .iter()
            .flat_map(|&row| (0..dims).map(move |d| (row, d)))
            .map(|(row, d)| prior[row * dims + d] + by[d])
            .collect()
    };
    assert!(value(moved(&[0.0; 3])) < 1e-12);
    let exact = shift.iter().map(|c| c * c).sum::<f64>() / dims as f64;
    let found = value(moved(&shift));
    println!("sliced Wasserstein at a shift: {found:.4}, exactly {exact:.4}");
    // Var (θ·c)² = 4/45 ‖c‖⁴ in three dimensions.
    let error = (4.0f64 / 45.0).sqrt() * 5.25 / 20_000f64.sqrt();
    assert!((found - exact).abs() < 4.0 * error);
}

#[test]
fn a_capacity_opens_over_its_share_of_the_run() {
    let key = Key::from_seed(158);
    let made = made(2, "kind = 'capacity', capacity = 8.0, rise = 0.25", 100).randomised(key, 0.4);
    let rows = batch(normals(key, 5 * X), X);
    let term = &made.objective.terms.iter().find(|t| t.name == "asked").unwrap().term;
    for (step, open) in
        [(Some(0), 0.0), (Some(10), 0.1), (Some(50), 0.5), (Some(100), 1.0), (Some(399), 1.0), (None, 1.0)]
    {
        let progress = step.map(|step| Progress { step, steps_per_epoch: 10, total: 400 });
        let pass = Pass::new(made.view(), &rows, 1, key).at(progress);
        let value = term.value(&pass).unwrap();
        let rate = scalar(&value.log.mean());
        close(scalar(&value.penalty.unwrap()), (rate - 8.0 * open).abs(), 1e-12);
        assert!(progress.is_none_or(|at| term.settled(at) == (open == 1.0)));
    }
}

#[test]
fn their_gradients_are_those_of_their_values() {
    for term in [
        "kind = 'total-correlation', weight = 5.0",
        "kind = 'total-correlation', sampling = 'stratified'",
        "kind = 'dip', of = 'means', diagonal = 10.0",
        "kind = 'dip', of = 'codes'",
        "kind = 'sliced-wasserstein', directions = 5, weight = 3.0",
        "kind = 'capacity', capacity = 3.0, weight = 2.0",
    ] {
        let key = Key::from_seed(159).fold(term);
        let made = made(3, term, 100).randomised(key, 0.4);
        let rows = batch(normals(key, 5 * X), X);
        let loss = |weights: &latent::weights::Weights| {
            let view = View::training(&made.model, weights, key);
            made.objective.loss(&Pass::new(view, &rows, 2, key), None).total
        };
        let (error, at) = gradient_error(&made.weights, key, loss, |weights| scalar(&loss(weights)));
        println!("{term}: gradient off by {error:.1e}");
        assert!(error < 1e-6, "{term}: {error:.1e} at {at}");
    }
}

#[test]
fn what_they_cannot_be_measured_on_is_refused() {
    let refused = |text: &str| {
        let error = try_make(text, &many(100), &double()).err();
        error.unwrap_or_else(|| panic!("{text} is refused")).to_string()
    };
    let flow = "posterior = { kind = 'iaf', base = { kind = 'diagonal-normal', latent = 2 } }";
    let tc = "objective.terms = { distortion = {}, rate = {}, total-correlation = {} }";
    assert!(refused(&format!("{flow}\n{tc}")).contains("single dimensions"));
    let bits = "posterior = { kind = 'bits', latent = 3 }\nprior.kind = 'bits'";
    for term in ["dip", "sliced-wasserstein"] {
        let terms = format!("objective.terms = {{ distortion = {{}}, rate = {{}}, {term} = {{}} }}");
        assert!(refused(&format!("{bits}\n{terms}")).contains("these codes are not"));
    }
    let point = "posterior = { kind = 'point', latent = 2 }\nobjective = { estimator.kind = 'plain', terms = { distortion = {}, rate = { kind = 'capacity' } } }";
    assert!(refused(point).contains("infinite rate"));
}
