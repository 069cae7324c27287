//! The inverse autoregressive flow: its density from draws, from codes, from a numerical Jacobian, and by quadrature.

use latent::Key;
use latent::Registry;
use latent::batch::{Batch, Latent, Noise};
use latent::data::{Facts, ValueKind};
use latent::density::Density;
use latent::device::host_f64;
use latent::model::View;
use latent::model::posterior::DiagonalNormalSettings;
use latent::run::{Checked, Run};

use crate::common::*;

const X: usize = 3;

fn real() -> Facts {
    facts(vector(X), ValueKind::Real)
}

fn text(latent: usize, steps: usize, context: usize) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed' }}
         posterior = {{ kind = 'iaf', steps = {steps}, hidden = [8], context = {context}, base = {{ kind = 'diagonal-normal', latent = {latent} }} }}
         network = {{ kind = 'mlp', hidden = [6], activation = 'silu' }}"
    )
}

fn iaf(latent: usize, steps: usize, context: usize) -> Made {
    make(&text(latent, steps, context), &real()).randomised(Key::from_seed(7), 0.6)
}

fn rows(n: usize) -> Batch {
    batch(normals(Key::from_seed(1), n * X), X)
}

const KEY: u64 = 5;

/// Codes and the log density that they carry.
fn drawn(q: &dyn Density, draws: usize, ids: &[u64]) -> (Vec<f64>, Vec<f64>) {
    let draw = q.draw(draws, Noise::new(Key::from_seed(KEY), ids));
    (host_f64(&draw.z.z), host_f64(draw.log_density.as_ref().expect("a draw knows its density")))
}

#[test]
fn going_back_finds_the_log_density_that_a_draw_carries() {
    for (latent, steps, context) in [(1, 2, 2), (2, 1, 0), (3, 3, 4), (4, 2, 0), (5, 4, 1)] {
        let made = iaf(latent, steps, context);
        let q = made.view().encode(&rows(4));
        let (z, carried) = drawn(q.as_ref(), 5, &[0, 1, 2, 3]);
        let found = log_density(q.as_ref(), z, latent);
        let off = found.iter().zip(&carried).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        println!("{latent} dimensions, {steps} steps, context {context}: off by {off:.1e}");
        assert!(off < 1e-8, "{off:.1e}");
    }
}

/// z_T by z_0: the outputs that move the base's mean move z_0 alone. Each row of the batch, `[dims][dims]`.
fn jacobian(made: &Made, batch: &Batch, dims: usize) -> Vec<Vec<Vec<f64>>> {
    let view = made.view();
    let outputs = host_f64(&view.encoder_outputs(batch));
    let (n, width) = (batch.len(), outputs.len() / batch.len());
    let moved = |j: usize, by: f64| {
        let mut outputs = outputs.clone();
        (0..n).for_each(|row| outputs[row * width + j] += by);
        drawn(made.model.posterior.density(&view, batch, matrix(outputs, width)).as_ref(), 1, &batch.ids).0
    };
    let h = 1e-5;
    let columns: Vec<Vec<f64>> = (0..dims)
        .map(|j| moved(j, h).iter().zip(&moved(j, -h)).map(|(a, b)| (a - b) / (2.0 * h)).collect())
        .collect();
    let entry = |row: usize, i: usize, j: usize| columns[j][row * dims + i];
    (0..n).map(|row| (0..dims).map(|i| (0..dims).map(|j| entry(row, i, j)).collect()).collect()).collect()
}

fn determinant(mut m: Vec<Vec<f64>>) -> f64 {
    let (n, mut product) = (m.len(), 1.0);
    for k in 0..n {
        let pivot = (k..n).max_by(|&a, &b| m[a][k].abs().total_cmp(&m[b][k].abs())).unwrap();
        if pivot != k {
            m.swap(pivot, k);
            product = -product;
        }
        product *= m[k][k];
        for i in k + 1..n {
            let factor = m[i][k] / m[k][k];
            let pivot = m[k].clone();
            m[i].iter_mut().zip(&pivot).skip(k).for_each(|(value, pivot)| *value -= factor * pivot);
        }
    }
    product
}

#[test]
fn the_log_determinant_is_that_of_the_numerical_jacobian() {
    for (latent, steps, context) in [(1, 2, 2), (2, 2, 0), (3, 3, 4), (4, 2, 3)] {
        let (made, batch) = (iaf(latent, steps, context), rows(4));
        let q = made.view().encode(&batch);
        let (_, carried) = drawn(q.as_ref(), 1, &batch.ids);
        let outputs = host_f64(&made.view().encoder_outputs(&batch));
        let noise = host_f64(&Noise::new(Key::from_seed(KEY), &batch.ids).normals(1, latent, &double()));
        let width = outputs.len() / batch.len();
        let mut worst: f64 = 0.0;
        for (row, jacobian) in jacobian(&made, &batch, latent).into_iter().enumerate() {
            let log_variance = &outputs[row * width + latent..][..latent];
            // ln N(z_0) of z_0 = μ + σ ε
            let noise = &noise[row * latent..][..latent];
            let log_base: f64 =
                noise.iter().zip(log_variance).map(|(e, v)| log_normal(*e, 0.0, 1.0) - 0.5 * v).sum();
            let wanted = log_base - determinant(jacobian).abs().ln();
            worst = worst.max((wanted - carried[row]).abs());
        }
        println!("{latent} dimensions, {steps} steps: ln |det| off by {worst:.1e}");
        assert!(worst < 1e-7, "{worst:.1e}");
    }
}

#[test]
fn the_way_back_has_the_inverse_jacobian() {
    // ln q(z) of codes from anywhere, near each other: what changes is ln N(z_0) and ln |det|, whose gradient with respect to z
    // autodiff takes through the way back; differences go through the density alone.
    let made = iaf(3, 2, 2);
    let q = made.view().encode(&rows(1));
    let z = normals(Key::from_seed(12), 3);
    let tracked = matrix(z.clone(), 3).autodiff().require_grad();
    let log_q = q.log_density(&Latent::new(tracked.clone())).unwrap();
    let found = host_f64(&tracked.grad(&log_q.sum().backward()).unwrap());
    for j in 0..3 {
        let at = |by: f64| {
            let mut z = z.clone();
            z[j] += by;
            log_density(q.as_ref(), z, 3)[0]
        };
        close(found[j], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-7);
    }
}

#[test]
fn a_density_in_two_dimensions_integrates_to_one() {
    for (steps, context) in [(1, 0), (2, 3), (3, 2)] {
        let made = make(&text(2, steps, context), &real()).randomised(Key::from_seed(7), 0.45);
        let q = made.view().encode(&rows(3)).rows(&[1]);
        let total = integral_2d(q.as_ref(), -12.0, 12.0, 481);
        println!("{steps} steps: ∫ q = 1 + {:.1e}", total - 1.0);
        close(total, 1.0, 1e-6);
    }
}

#[test]
fn codes_far_from_all_mass_are_improbable_and_no_nan() {
    for (latent, steps) in [(2, 3), (5, 6)] {
        let made = make(&text(latent, steps, 2), &real()).randomised(Key::from_seed(7), 1.5);
        let q = made.view().encode(&rows(4));
        let z = normals(Key::from_seed(2), 4000 * latent).into_iter().map(|v| 30.0 * v).collect();
        let found = log_density(q.as_ref(), z, latent);
        assert!(found.iter().all(|v| v.is_finite()), "{:?}", found.iter().find(|v| !v.is_finite()));
    }
}

#[test]
fn in_one_dimension_it_is_the_normal_of_its_affine_steps() {
    for context in [0, 3] {
        let made = iaf(1, 3, context);
        let batch = rows(2);
        let q = made.view().encode(&batch);
        let outputs = host_f64(&made.view().encoder_outputs(&batch));
        let width = outputs.len() / 2;
        // z_T = a z_0 + b: a from two draws, b from the centre.
        let (z, carried) = drawn(q.as_ref(), 2, &[0, 1]);
        let noise = host_f64(&Noise::new(Key::from_seed(KEY), &[0, 1]).normals(2, 1, &double()));
        let centre = host_f64(&q.centre().z);
        for row in 0..2 {
            let variance = outputs[row * width + 1].exp();
            let a = (z[2 + row] - z[row]) / ((noise[2 + row] - noise[row]) * variance.sqrt());
            for draw in 0..2 {
                let at = z[draw * 2 + row];
                close(carried[draw * 2 + row], log_normal(at, centre[row], a * a * variance), 1e-10);
            }
        }
    }
}

#[test]
fn steps_alternate_the_order_of_dimensions() {
    let made = iaf(3, 1, 2);
    for j in jacobian(&made, &rows(2), 3) {
        assert!(j[0][1].abs() + j[0][2].abs() + j[1][2].abs() < 1e-9, "{j:?}");
        assert!(j[1][0].abs() > 1e-4 && j[2][0].abs() > 1e-4 && j[2][1].abs() > 1e-4, "{j:?}");
    }
    // A first step without weights scales alone; the second one's order is the other way round.
    let mut made = iaf(3, 2, 2);
    let first: Vec<String> = made
        .weights
        .iter()
        .map(|(_, w)| w.path().to_string())
        .filter(|path| path.starts_with("posterior.step0."))
        .collect();
    assert!(!first.is_empty());
    for path in first {
        let zeros = vec![0.0; made.get(&path).len()];
        made.set(&path, &zeros);
    }
    for j in jacobian(&made, &rows(2), 3) {
        assert!(j[1][0].abs() + j[2][0].abs() + j[2][1].abs() < 1e-9, "{j:?}");
        assert!(j[0][1].abs() > 1e-4 && j[0][2].abs() > 1e-4 && j[1][2].abs() > 1e-4, "{j:?}");
    }
}

#[test]
fn detached_it_says_the_same_and_passes_no_gradient_to_its_parameters() {
    let made = iaf(3, 2, 2);
    let tracked = made.weights.tracked(|_| true);
    let view = View::training(&made.model, &tracked, Key::from_seed(1));
    let q = view.encode(&rows(3));
    let apart = q.detached();
    assert_eq!(drawn(q.as_ref(), 2, &[0, 1, 2]), drawn(apart.as_ref(), 2, &[0, 1, 2]));
    let z = normals(Key::from_seed(3), 9);
    assert_eq!(log_density(q.as_ref(), z.clone(), 3), log_density(apart.as_ref(), z, 3));
    // The log density of its own draw: through the draw alone where the density is detached.
    let gradients_of = |of: &dyn Fn(&dyn Density, &Latent) -> burn::tensor::Tensor<1>| {
        // A graph is gone once it was gone through.
        let q = view.encode(&rows(3));
        let draw = q.draw(1, Noise::new(Key::from_seed(KEY), &[0, 1, 2])).z;
        // Something tracked, so that there is a graph.
        let seed = draw.z.clone().sum() * 0.0;
        let mut gradients = (of(q.as_ref(), &draw).sum() + seed).backward();
        tracked
            .iter()
            .filter(|(_, w)| w.is_trained() && w.path().starts_with("posterior"))
            .map(|(id, _)| tracked.gradient(id, &mut gradients).map_or(0.0, |g| host_f64(&g.abs().sum())[0]))
            .collect::<Vec<_>>()
    };
    let fixed = |z: &Latent| Latent::new(z.z.clone().detach());
    let none = gradients_of(&|q, z| q.detached().log_density(&fixed(z)).unwrap());
    assert!(none.iter().all(|g| *g == 0.0), "{none:?}");
    let own = gradients_of(&|q, z| q.log_density(&fixed(z)).unwrap());
    assert!(own.iter().any(|g| *g > 0.0));
    let path = gradients_of(&|q, z| q.detached().log_density(z).unwrap());
    assert!(path.iter().any(|g| *g > 0.0), "through the draw");
}

#[test]
fn a_run_writes_its_base_with_every_default_and_reads_it_back() {
    let text =
        "posterior = { kind = 'iaf', base = { kind = 'diagonal-normal' } }\nnetwork = { kind = 'linear' }";
    for text in [text, "posterior.kind = 'iaf'\nnetwork = { kind = 'linear' }"] {
        let before = checked(text, &real()).unwrap();
        let posterior = &before.run.posterior;
        let mut base = toml::Table::try_from(DiagonalNormalSettings::default()).unwrap();
        base.insert("kind".into(), "diagonal-normal".into());
        assert_eq!(posterior["base"].as_table(), Some(&base));
        let keys: Vec<&String> = posterior.keys().collect();
        assert_eq!(keys.len(), 5, "kind, base, steps, hidden, context: {keys:?}");
        let written = before.run.to_toml().unwrap();
        let read = Run::from_toml(&written, std::path::Path::new("run.toml")).unwrap();
        assert_eq!(read, before.run);
        let after = Checked::new(read, &Registry::default()).unwrap();
        assert_eq!(after.outline().unwrap(), before.outline().unwrap());
        assert_eq!(after.run.to_toml().unwrap(), written);
    }
    // A base in a base.
    let deep = "posterior = { kind = 'iaf', steps = 1, base = { kind = 'iaf', base = { kind = 'diagonal-normal', latent = 3 } } }";
    let run = checked(deep, &real()).unwrap().run;
    assert_eq!(run.posterior["base"]["base"]["latent"].as_integer(), Some(3));
    assert_eq!(Run::from_toml(&run.to_toml().unwrap(), std::path::Path::new("run.toml")).unwrap(), run);
}

#[test]
fn errors_name_the_keys_that_the_user_wrote() {
    let base = |base: &str| refusal(&format!("posterior = {{ kind = 'iaf', base = {base} }}"), &real());
    let starts = |said: String, with: &str| assert!(said.starts_with(with), "{said}");
    starts(base("{ kind = 'diagonal-normal', latent = 0 }"), "`posterior.base.latent`");
    starts(base("{ kind = 'diagonal-normal', latent = 'x' }"), "`posterior.base.latent`");
    starts(base("{ kind = 'diagonal-normal', latnt = 3 }"), "unknown key `posterior.base.latnt`");
    starts(base("{ latent = 3 }"), "`posterior.base.kind`");
    starts(
        base("{ kind = 'iaf', base = { kind = 'diagonal-normal', latent = 0 } }"),
        "`posterior.base.base.latent`",
    );
    starts(base("{ kind = 'iaf', steps = 0 }"), "`posterior.base.steps`");
    let unknown = base("{ kind = 'diagonal' }");
    assert!(unknown.contains("diagonal-normal"), "{unknown}");
    for kind in ["bits", "point", "quantized"] {
        starts(base(&format!("{{ kind = '{kind}', latent = 2 }}")), "`posterior.base`");
    }
    let own = |own: &str| refusal(&format!("posterior = {{ kind = 'iaf', {own} }}"), &real());
    starts(own("steps = 0"), "`posterior.steps`");
    starts(own("steps = 65"), "`posterior.steps`");
    starts(own("hidden = [4, 0]"), "`posterior.hidden`");
    starts(own("latent = 3"), "unknown key `posterior.latent`");
}
