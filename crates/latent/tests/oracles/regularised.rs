//! Regularised autoencoders: the size of codes and of the decoder's weights by their sums, the decoder's gradient against Jacobians,
//! spectral norms against singular values.

use faer::Mat;
use latent::Key;
use latent::batch::{Batch, Given, Latent};
use latent::data::ValueKind;
use latent::device::{Device, host_f64, scalar};
use latent::member::{Progress, Recorder};
use latent::model::View;
use latent::objective::Pass;

use crate::common::*;
use crate::gradients::gradient_error;

/// A point autoencoder of 4 numbers with 2 latents and these terms beside the distortion.
fn regularised(network: &str, terms: &str) -> Made {
    let text = format!(
        "posterior = {{ kind = 'point', latent = 2 }}\nlikelihood = {{ kind = 'normal', scale = 'fixed', mean = 'line' }}
        network = {network}\nobjective.estimator = {{ kind = 'plain' }}
        objective.terms = {{ distortion = {{}}, {terms} }}"
    );
    make(&text, &facts(vector(4), ValueKind::Real)).randomised(Key::from_seed(95), 0.7)
}

/// A term's value of each row of a pass with this key.
fn value(made: &Made, name: &str, rows: &Batch, key: Key) -> Vec<f64> {
    let pass = Pass::new(made.view(), rows, 1, key);
    let weighted = made.objective.terms.iter().find(|term| term.name == name).unwrap();
    host_f64(&weighted.term.value(&pass).unwrap().log)
}

const MLP: &str = "{ kind = 'mlp', hidden = [5], activation = 'tanh' }";

#[test]
fn the_sizes_of_codes_and_of_the_decoders_weights_are_their_sums_of_squares() {
    let made = regularised(MLP, "code-norm = {}, decoder-weights = {}");
    let rows = batch(normals(Key::from_seed(1), 12), 4);
    let z = host_f64(&made.view().encode(&rows).centre().z);
    let wanted: Vec<f64> = z.chunks(2).map(|z| 0.5 * z.iter().map(|z| z * z).sum::<f64>()).collect();
    all_close(&value(&made, "code-norm", &rows, Key::from_seed(2)), &wanted, 1e-12);
    let squares = |path: &str| made.get(path).iter().map(|w| w * w).sum::<f64>();
    let wanted = squares("decoder.0.weight") + squares("decoder.1.weight");
    all_close(&value(&made, "decoder-weights", &rows, Key::from_seed(2)), &[wanted], 1e-12);
}

/// ∂g/∂z at a code, `[outputs][latents]`, by differences of the fourth order.
fn jacobian(made: &Made, z: &[f64]) -> Vec<Vec<f64>> {
    let step = 1e-3;
    let at = |j: usize, by: f64| {
        let mut z = z.to_vec();
        z[j] += by * step;
        let width = z.len();
        host_f64(&made.view().mean(&codes(z, width), Given::none()))
    };
    let columns: Vec<Vec<f64>> = (0..z.len())
        .map(|j| {
            let [a, b, c, d] = [1.0, -1.0, 2.0, -2.0].map(|by| at(j, by));
            (0..a.len()).map(|i| (8.0 * (a[i] - b[i]) - (c[i] - d[i])) / (12.0 * step)).collect()
        })
        .collect();
    (0..columns[0].len()).map(|i| columns.iter().map(|column| column[i]).collect()).collect()
}

#[test]
fn the_penalty_of_a_linear_decoder_is_the_size_of_its_matrix_whatever_the_step() {
    let term = |step: f64| format!("decoder-gradient = {{ directions = 200, step = {step} }}");
    let (near, far) =
        (regularised("{ kind = 'linear' }", &term(0.01)), regularised("{ kind = 'linear' }", &term(1.0)));
    let rows = batch(normals(Key::from_seed(3), 400), 4);
    let found = value(&near, "decoder-gradient", &rows, Key::from_seed(4));
    all_close(&found, &value(&far, "decoder-gradient", &rows, Key::from_seed(4)), 1e-10);
    let wanted: f64 = near.get("decoder.0.weight").iter().map(|w| w * w).sum();
    let off = mean_z(found.iter().copied(), wanted);
    println!("20,000 directions: {off:.2} standard errors from ‖W‖²");
    assert!(off.abs() < 4.5);
}

#[test]
fn the_penalty_is_the_jacobians_norm_but_for_an_error_of_the_steps_square() {
    let of = |directions: usize, step: f64| {
        regularised(MLP, &format!("decoder-gradient = {{ directions = {directions}, step = {step} }}"))
    };
    let rows = batch(normals(Key::from_seed(5), 24), 4);
    let (key, n) = (Key::from_seed(6), 6);
    // The same directions at several steps: what differs is the bias.
    let exact = value(&of(40, 1e-4), "decoder-gradient", &rows, key);
    let bias = |step: f64| -> f64 {
        let found = value(&of(40, step), "decoder-gradient", &rows, key);
        found.iter().zip(&exact).map(|(found, exact)| found - exact).sum::<f64>() / n as f64
    };
    let mean = exact.iter().sum::<f64>() / n as f64;
    let [coarse, fine, default] = [0.2, 0.1, 0.01].map(bias);
    println!("penalty {mean:.4}; bias {coarse:.2e} at h = 0.2, {fine:.2e} at 0.1, {default:.2e} at 0.01");
    assert!((coarse / fine - 4.0).abs() < 0.2, "of second order: {coarse} {fine}");
    assert!(default.abs() < 2e-4 * mean, "{default} of {mean}");
    // And over many directions the norm of the Jacobian.
    let (made, z) = (of(1000, 1e-3), host_f64(&of(1, 0.01).view().encode(&rows).centre().z));
    let found = value(&made, "decoder-gradient", &rows, key);
    for (row, z) in z.chunks(2).enumerate() {
        let jacobian = jacobian(&made, z);
        let wanted: f64 = jacobian.iter().flatten().map(|j| j * j).sum();
        // Var ‖J u‖² = 2 ‖JᵀJ‖²
        let gram = |a: usize, b: usize| jacobian.iter().map(|row| row[a] * row[b]).sum::<f64>();
        let square: f64 =
            (0..2).flat_map(|a| (0..2).map(move |b| (a, b))).map(|(a, b)| gram(a, b).powi(2)).sum();
        let off = (found[row] - wanted) / (2.0 * square / 1000.0).sqrt();
        assert!(off.abs() < 4.5, "row {row}: {} {wanted}, {off} standard errors", found[row]);
    }
}

#[test]
fn their_gradients_are_those_of_their_values() {
    let made = regularised(MLP, "code-norm = {}, decoder-weights = {}, decoder-gradient = { weight = 3.0 }");
    let (rows, key) = (batch(normals(Key::from_seed(7), 20), 4), Key::from_seed(8));
    let loss = |weights: &latent::weights::Weights| {
        let view = View::training(&made.model, weights, key);
        made.objective.loss(&Pass::new(view, &rows, 1, key), None).total
    };
    let (error, at) = gradient_error(&made.weights, key, loss, |weights| scalar(&loss(weights)));
    println!("gradient off by {error:.1e} ({at})");
    assert!(error < 1e-6, "{error:.1e} at {at}");
}

/// The largest singular value of a row-major matrix.
fn norm(values: &[f64], rows: usize) -> f64 {
    let columns = values.len() / rows;
    let gram = Mat::from_fn(rows, rows, |i, j| {
        (0..columns).map(|k| values[i * columns + k] * values[j * columns + k]).sum::<f64>()
    });
    eigenvalues(&gram).last().copied().unwrap().sqrt()
}

/// Lets u follow as in so many steps that change nothing else.
fn followed(made: &mut Made, rows: &Batch, steps: usize) {
    for step in 0..steps as u64 {
        let recorder = Recorder::default();
        let view =
            View { record: Some(&recorder), ..View::training(&made.model, &made.weights, Key::from_seed(0)) };
        view.decode(&view.encode(rows).centre(), Given::none());
        let at = Progress { step, steps_per_epoch: 1, total: 1 };
        made.model.decoder.follow(&mut made.weights, &recorder.into_kept(), at);
    }
}

#[test]
fn a_held_decoder_is_the_one_with_each_matrix_over_its_largest_singular_value() {
    let mut held = regularised(&format!("{{ kind = 'spectral-norm', of = {MLP} }}"), "code-norm = {}");
    let mut plain = regularised(MLP, "code-norm = {}");
    let rows = batch(normals(Key::from_seed(9), 20), 4);
    followed(&mut held, &rows, 400);
    let copied = ["encoder.0", "encoder.1", "decoder.0", "decoder.1"];
    for name in copied.iter().flat_map(|name| [format!("{name}.weight"), format!("{name}.bias")]) {
        plain.set(&name, held.get(&name));
    }
    // The encoder is not held.
    let code = |made: &Made| host_f64(&made.view().encoder_outputs(&rows));
    assert_eq!(code(&held), code(&plain));
    let outputs = |made: &Made| host_f64(&made.view().decode(&codes(vec![0.3, -1.1], 2), Given::none()));
    assert!(outputs(&held) != outputs(&plain));
    for (name, inputs) in [("decoder.0.weight", 2), ("decoder.1.weight", 5)] {
        let matrix = plain.get(name);
        let sigma = norm(&matrix, inputs);
        plain.set(name, matrix.iter().map(|w| w / sigma).collect());
    }
    all_close(&outputs(&held), &outputs(&plain), 1e-9);
    // The gradient passes σ: at the singular vectors it is that of W / σ(W).
    let key = Key::from_seed(10);
    let loss = |weights: &latent::weights::Weights| {
        let view = View::training(&held.model, weights, key);
        held.objective.loss(&Pass::new(view, &rows, 1, key), None).total
    };
    let (error, at) = gradient_error(&held.weights, key, loss, |weights| scalar(&loss(weights)));
    println!("gradient off by {error:.1e} ({at})");
    assert!(error < 1e-6, "{error:.1e} at {at}");
}

#[test]
fn kernels_are_held_too_and_both_networks_where_asked_for() {
    let text = "posterior = { kind = 'point', latent = 2 }\nlikelihood = { kind = 'normal', scale = 'fixed' }
        network = { kind = 'spectral-norm', encoder = true, of = { kind = 'dcgan', channels = [2, 3], start = 2, batch_norm = false } }
        objective.estimator.kind = 'plain'\nobjective.terms = { distortion = {} }";
    let facts = facts(image(1, 6, 5), ValueKind::Grey);
    let mut made = make(text, &facts).randomised(Key::from_seed(11), 0.9);
    let rows = batch(uniforms(Key::from_seed(12), 60), 30);
    let matrices = |made: &Made| -> Vec<(String, usize)> {
        let own = made.weights.iter().filter(|(_, w)| w.is_matrix());
        own.map(|(_, w)| (w.path().to_string(), w.shape()[0])).collect()
    };
    let all = matrices(&made);
    let count = made.weights.iter().filter(|(_, w)| !w.is_trained() && w.path().contains("spectral")).count();
    assert_eq!(count, all.len(), "each matrix has a vector that follows it");
    assert!(all.iter().any(|(path, _)| path.starts_with("encoder.down")));
    // Once the vectors have settled, a network is unchanged by any factor of its matrices.
    let settled = |made: &mut Made| {
        for step in 0..400u64 {
            let recorder = Recorder::default();
            let view = View {
                record: Some(&recorder),
                ..View::training(&made.model, &made.weights, Key::from_seed(0))
            };
            view.decode(&view.encode(&rows).centre(), Given::none());
            let (kept, at) = (recorder.into_kept(), Progress { step, steps_per_epoch: 1, total: 1 });
            made.model.encoder.follow(&mut made.weights, &kept, at);
            made.model.decoder.follow(&mut made.weights, &kept, at);
        }
    };
    settled(&mut made);
    let through = |made: &Made| {
        let view = made.view();
        host_f64(&view.decode(&Latent::new(view.encode(&rows).centre().z), Given::none()))
    };
    let before = through(&made);
    for (path, rows) in &all {
        let matrix = made.get(path);
        let sigma = norm(&matrix, *rows);
        made.set(path, matrix.iter().map(|w| w / sigma).collect());
    }
    // The same directions, and norms of 1: W̄ = W.
    all_close(&through(&made), &before, 1e-9);
    for (path, rows) in &all {
        close(norm(&made.get(path), *rows), 1.0, 1e-12);
    }
}

#[test]
fn what_has_no_gradient_and_no_size_is_refused() {
    let facts = facts(vector(4), ValueKind::Real);
    for term in ["code-norm", "decoder-gradient"] {
        let text = format!(
            "posterior = {{ kind = 'bits', latent = 3 }}\nprior.kind = 'bits'\nobjective.terms = {{ distortion = {{}}, {term} = {{}} }}"
        );
        let error =
            try_make(&text, &facts, &Device::cpu()).err().unwrap_or_else(|| panic!("{term} not refused"));
        let error = error.to_string();
        assert!(error.contains("bits") && error.contains(term), "{error}");
    }
    for (key, said) in [("directions = 0", "directions"), ("step = 0.0", "step")] {
        let text =
            format!("objective.terms = {{ distortion = {{}}, rate = {{}}, decoder-gradient = {{ {key} }} }}");
        let error = try_make(&text, &facts, &Device::cpu()).err().unwrap().to_string();
        assert!(error.contains(&format!("decoder-gradient.{said}")), "{error}");
    }
    let text = "network = { kind = 'spectral-norm', of = { kind = 'conv' } }";
    let error = try_make(text, &facts, &Device::cpu()).err().unwrap().to_string();
    assert!(error.contains("a convolution needs images"), "{error}");
}
