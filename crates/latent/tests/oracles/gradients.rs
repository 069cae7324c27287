//! Gradients by finite differences in f64 with the noise held: value and gradient belong together.

use latent::Key;
use latent::batch::Batch;
use latent::data::{Facts, ValueKind};
use latent::device::{Device, host_f64, scalar};
use latent::model::View;
use latent::objective::Pass;
use latent::weights::{WeightId, Weights};

use crate::common::*;

/// How many numbers of each array are moved, at most.
const MOVED: usize = 8;

/// The largest relative difference between the gradient of `loss` and its finite differences, and the path of
/// the array it is in. Differences smaller than a thousandth of the largest gradient count as if they were that.
pub fn gradient_error(
    weights: &Weights,
    key: Key,
    analytic: impl Fn(&Weights) -> burn::tensor::Tensor<1>,
    numeric: impl Fn(&Weights) -> f64,
) -> (f64, String) {
    let tracked = weights.tracked(|_| true);
    let mut gradients = analytic(&tracked).backward();
    let trained: Vec<(WeightId, String, usize)> = weights
        .iter()
        .filter(|(_, w)| w.is_trained())
        .map(|(id, w)| (id, w.path().to_string(), w.shape().iter().product()))
        .collect();
    let all: Vec<Vec<f64>> = trained
        .iter()
        .map(|(id, path, _)| {
            let gradient =
                tracked.gradient(*id, &mut gradients).unwrap_or_else(|| panic!("no gradient for {path}"));
            host_f64(&gradient)
        })
        .collect();
    let greatest = all.iter().flatten().fold(0.0, |a, g| worse(a, g.abs()));
    assert!(greatest.is_finite() && greatest > 0.0);
    let mut worst = (0.0f64, String::new());
    for ((id, path, n), gradient) in trained.iter().zip(&all) {
        let start = values(weights, *id);
        let order = key.fold(path.as_str()).permutation(*n);
        for &at in order.iter().take(MOVED) {
            let step = 2e-4;
            let moved = |by: f64| {
                let mut values = start.clone();
                values[at] += by * step;
                let mut weights = weights.clone();
                weights.set(*id, weights.device().tensor_f64(values, [*n]));
                numeric(&weights)
            };
            // Five points: the error is of the fourth order.
            let slope = (8.0 * (moved(1.0) - moved(-1.0)) - (moved(2.0) - moved(-2.0))) / (12.0 * step);
            let error = (slope - gradient[at]).abs() / gradient[at].abs().max(1e-3 * greatest);
            if worse(worst.0, error).to_bits() != worst.0.to_bits() {
                worst =
                    (error, format!("{path}[{at}]: {} by differences, {} by backward", slope, gradient[at]));
            }
        }
    }
    worst
}

/// Checks every weight of an objective.
fn check(name: &str, text: &str, facts: &Facts, rows: &Batch) {
    let key = Key::from_seed(50).fold(name);
    // Deep networks of large weights would have outputs far beyond the data, on steep and clamped ground.
    let deviation = if name.contains("residual") { 0.25 } else { 0.4 };
    let made = make(text, facts).randomised(key.fold("weights"), deviation);
    let draws = made.objective.estimator.draws();
    let loss = |weights: &Weights| {
        let view = View::training(&made.model, weights, key);
        made.objective.loss(&Pass::new(view, rows, draws, key), None).total
    };
    let (error, at) = gradient_error(&made.weights, key, loss, |weights| scalar(&loss(weights)));
    println!("{name}: gradient off by {error:.1e} ({at})");
    assert!(error < 1e-6, "{name}: {error:.1e} at {at}");
    let difference = single_difference(text, facts, rows, &made, key);
    println!("{name}: single precision off by {difference:.1e}");
    assert!(difference < 1e-3, "{name}: single precision off by {difference:.1e}");
}

/// How far loss and gradient in single precision, with its fused bodies, are from those in double precision: the
/// greatest distance of a weight's gradient, relative to its norm (or a hundredth of the norm of all).
fn single_difference(text: &str, facts: &Facts, rows: &Batch, double: &Made, key: Key) -> f64 {
    let device = Device::cpu();
    let mut single = try_make(text, facts, &device).expect("a sound configuration");
    for (id, weight) in double.weights.iter() {
        let n = weight.shape().iter().product();
        single.weights.set(id, device.tensor_f64(values(&double.weights, id), [n]));
    }
    let x = device.tensor_f64(host_f64(&rows.x), rows.x.dims());
    let rows32 = Batch { x, ..rows.clone() };
    let both = [(double, rows), (&single, &rows32)].map(|(made, rows)| {
        let tracked = made.weights.tracked(|_| true);
        let view = View::training(&made.model, &tracked, key);
        let total =
            made.objective.loss(&Pass::new(view, rows, made.objective.estimator.draws(), key), None).total;
        let loss = scalar(&total);
        let mut gradients = total.backward();
        let trained = made.weights.iter().filter(|(_, w)| w.is_trained());
        let all: Vec<Vec<f64>> = trained
            .map(|(id, _)| host_f64(&tracked.gradient(id, &mut gradients).expect("a gradient")))
            .collect();
        (loss, all)
    });
    let [(loss, exact), (loss32, found)] = both;
    let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let whole = exact.iter().flatten().map(|v| v * v).sum::<f64>().sqrt();
    let each = exact.iter().zip(&found).map(|(exact, found)| {
        let difference: Vec<f64> = exact.iter().zip(found).map(|(a, b)| a - b).collect();
        norm(&difference) / norm(exact).max(0.01 * whole)
    });
    each.fold((loss - loss32).abs() / loss.abs().max(1.0), worse)
}

fn unit_rows(n: usize, columns: usize) -> Batch {
    let levels = |u: &f64| (u * 255.0).round() / 255.0;
    batch(uniforms(Key::from_seed(51), n * columns).iter().map(levels).collect(), columns)
}

fn real_rows(n: usize, columns: usize) -> Batch {
    batch(normals(Key::from_seed(52), n * columns), columns)
}

fn binary_rows(n: usize, columns: usize) -> Batch {
    batch(uniforms(Key::from_seed(53), n * columns).iter().map(|u| f64::from(*u < 0.5)).collect(), columns)
}

const MLP: &str = "posterior.latent = 2\nnetwork = { kind = 'mlp', hidden = [5, 4], activation = 'tanh' }\n";

#[test]
fn of_the_estimators() {
    let facts = facts(vector(4), ValueKind::Real);
    let rows = real_rows(3, 4);
    let normal = format!("{MLP}likelihood = {{ kind = 'normal', scale = 'learned' }}\n");
    for (name, estimator) in [
        ("elbo k=1", "{ kind = 'elbo', draws = 1 }"),
        ("elbo k=3", "{ kind = 'elbo', draws = 3 }"),
        ("importance k=1", "{ kind = 'importance', draws = 1 }"),
        ("importance k=4", "{ kind = 'importance', draws = 4 }"),
    ] {
        check(name, &format!("{normal}objective.estimator = {estimator}"), &facts, &rows);
    }
    check("beta 4", &format!("{normal}objective.terms.rate.weight = 4.0"), &facts, &rows);
}

#[test]
fn of_the_likelihoods() {
    for (name, likelihood, kind, rows) in [
        ("bernoulli", "{ kind = 'bernoulli' }", ValueKind::Binary, binary_rows(3, 4)),
        ("cross-entropy", "{ kind = 'bernoulli' }", ValueKind::Grey, unit_rows(3, 4)),
        ("continuous bernoulli", "{ kind = 'continuous-bernoulli' }", ValueKind::Grey, unit_rows(3, 4)),
        (
            "normal fixed",
            "{ kind = 'normal', scale = 'fixed', sigma = 0.5 }",
            ValueKind::Real,
            real_rows(3, 4),
        ),
        ("normal learned", "{ kind = 'normal', scale = 'learned' }", ValueKind::Real, real_rows(3, 4)),
        ("normal optimal", "{ kind = 'normal', scale = 'optimal' }", ValueKind::Real, real_rows(3, 4)),
        ("student-t", "{ kind = 'student-t' }", ValueKind::Real, real_rows(3, 4)),
        ("log-cosh", "{ kind = 'log-cosh', sharpness = 2.0 }", ValueKind::Real, real_rows(3, 4)),
        ("categorical", "{ kind = 'categorical', levels = 256 }", ValueKind::Grey, unit_rows(3, 4)),
        (
            "logistic mixture",
            "{ kind = 'logistic-mixture', components = 3 }",
            ValueKind::Grey,
            unit_rows(3, 4),
        ),
        ("discretised logistic", "{ kind = 'discretised-logistic' }", ValueKind::Grey, unit_rows(3, 4)),
        (
            "discretised logistic per feature",
            "{ kind = 'discretised-logistic', per_feature = true }",
            ValueKind::Grey,
            unit_rows(3, 4),
        ),
    ] {
        let text = format!("{MLP}likelihood = {likelihood}\nobjective.estimator.draws = 2");
        check(name, &text, &facts(vector(4), kind), &rows);
    }
}

#[test]
fn of_the_terms_and_priors() {
    let facts = facts(vector(4), ValueKind::Real);
    let normal = format!("{MLP}likelihood = {{ kind = 'normal', scale = 'fixed' }}\n");
    let rows = real_rows(5, 4);
    let point = "posterior = { kind = 'point', latent = 2 }\nlikelihood = { kind = 'normal', scale = 'fixed' }\n\
                 network = { kind = 'mlp', hidden = [5], activation = 'silu' }\nobjective.estimator.kind = 'plain'\n";
    for kernel in ["imq", "rbf"] {
        let terms = format!(
            "objective.terms = {{ distortion = {{}}, mmd = {{ weight = 10.0, kernel = '{kernel}' }} }}"
        );
        check(&format!("mmd {kernel}"), &format!("{point}{terms}"), &facts, &rows);
    }
    let cube = point.replace("latent = 2", "latent = 2, unit_interval = true");
    let terms = "prior.kind = 'uniform'\nobjective.terms = { distortion = {}, mmd = { weight = 10.0 } }";
    check("mmd on the cube", &format!("{cube}{terms}"), &facts, &rows);
    let terms = "objective.terms = { distortion = {}, rate = { weight = 0.5 }, mmd = { weight = 3.0, scales = [1.0] } }";
    check("infovae", &format!("{normal}{terms}"), &facts, &rows);
    check("mixture prior", &format!("{normal}prior = {{ kind = 'mixture', components = 3 }}"), &facts, &rows);
    let importance = "objective.estimator = { kind = 'importance', draws = 3 }";
    let text = format!("{normal}prior = {{ kind = 'mixture', components = 3 }}\n{importance}");
    check("mixture prior, importance", &text, &facts, &rows);
    // The gradient of a drawn mixture passes its means and widths; π gets the rate's alone.
    let text =
        format!("{normal}prior = {{ kind = 'mixture', components = 3 }}\nobjective.terms.mmd.weight = 3.0");
    check("mixture prior, mmd", &text, &facts, &rows);
}

#[test]
fn of_free_bits_on_both_sides_of_the_kink() {
    let facts = facts(vector(4), ValueKind::Real);
    let rows = real_rows(5, 4);
    let text = "posterior.latent = 4\nnetwork = { kind = 'mlp', hidden = [5], activation = 'tanh' }\n\
                likelihood = { kind = 'normal', scale = 'fixed' }\nobjective.terms.rate.free_bits = 0.25";
    let key = Key::from_seed(50).fold("free bits");
    let made = make(text, &facts).randomised(key.fold("weights"), 0.4);
    let pass = Pass::new(made.training(), &rows, 1, key);
    let rates = host_f64(&pass.rate().unwrap().per_dimension.clone().unwrap().mean_dim(0));
    println!("mean rates per dimension: {rates:.3?}");
    assert!(rates.iter().all(|r| (r - 0.25).abs() > 0.01), "away from the kink: {rates:?}");
    assert!(rates.iter().any(|r| *r < 0.25) && rates.iter().any(|r| *r > 0.25), "{rates:?}");
    let loss = made.objective.loss(&pass, None);
    let paid: f64 = rates.iter().map(|r| r.max(0.25)).sum();
    let named = |name: &str| scalar(&loss.terms.iter().find(|(n, _)| n == name).unwrap().1);
    close(scalar(&loss.total), named("distortion") + paid, 1e-12);
    close(named("rate"), rates.iter().sum(), 1e-12);
    check("free bits", text, &facts, &rows);
}

#[test]
fn of_bits_with_a_learned_prior_in_the_relaxed_form() {
    let facts = facts(vector(4), ValueKind::Binary);
    let rows = binary_rows(3, 4);
    let text = "posterior = { kind = 'bits', latent = 3, gradient = 'relaxed', temperature = 0.7 }\n\
                prior = { kind = 'bits', learned = true }\nlikelihood.kind = 'bernoulli'\n\
                network = { kind = 'mlp', hidden = [5], activation = 'tanh' }\nobjective.estimator.draws = 2";
    check("relaxed bits", text, &facts, &rows);
}

#[test]
fn of_the_networks() {
    let table = facts(vector(4), ValueKind::Real);
    let linear =
        "posterior.latent = 2\nnetwork.kind = 'linear'\nlikelihood = { kind = 'normal', scale = 'learned' }";
    check("linear", linear, &table, &real_rows(3, 4));
    for activation in ["relu", "leaky-relu", "silu", "gelu", "softplus", "elu", "sigmoid", "tanh"] {
        let text = format!(
            "posterior.latent = 2\nlikelihood = {{ kind = 'normal', scale = 'learned' }}\n\
             network = {{ kind = 'mlp', hidden = [4], activation = '{activation}' }}"
        );
        check(activation, &text, &table, &real_rows(3, 4));
    }
    let pictures = facts(image(2, 5, 6), ValueKind::Colour);
    let rows = unit_rows(2, 60);
    for (name, network) in [
        ("conv", "{ kind = 'conv', channels = [2, 3], activation = 'silu' }"),
        ("transposed conv", "{ kind = 'conv', channels = [2, 3], activation = 'tanh', up = 'transposed' }"),
        ("4×4 conv", "{ kind = 'conv', channels = [2, 3], kernel = 4, dense = [3], activation = 'silu' }"),
        ("residual conv", "{ kind = 'residual-conv', channels = [2, 3], blocks = 1, activation = 'silu' }"),
    ] {
        for (likelihood, parameters) in
            [("continuous-bernoulli", ""), ("discretised-logistic", ", per_feature = true")]
        {
            let text = format!(
                "posterior.latent = 2\nnetwork = {network}\nlikelihood = {{ kind = '{likelihood}'{parameters} }}"
            );
            check(&format!("{name}, {likelihood}"), &text, &pictures, &rows);
        }
    }
}
