//! Gradients through bits: the surrogate by finite differences, and its bias against enumeration.
//!
//! E_q[distortion] = Σ_z q(z|x) (−ln p(x|z)) over 2^b codes is differentiable exactly; what straight-through and
//! relaxed draws give in its place is biased, by how much is printed.

use burn::tensor::{Tensor, activation::sigmoid};
use latent::Key;
use latent::batch::{Batch, Draw};
use latent::data::ValueKind;
use latent::density::sum_dimensions;
use latent::device::{host_f64, scalar, untracked};
use latent::model::{LatentModel, View};
use latent::objective::Pass;
use latent::weights::Weights;

use crate::common::*;
use crate::gradients::gradient_error;

const BITS: usize = 3;
const COLUMNS: usize = 5;

fn made(gradient: &str) -> Made {
    let text = format!(
        "posterior = {{ kind = 'bits', latent = {BITS}, {gradient} }}\n\
         prior = {{ kind = 'bits', learned = true }}\nlikelihood.kind = 'bernoulli'\n\
         network = {{ kind = 'mlp', hidden = [6], activation = 'tanh' }}"
    );
    make(&text, &facts(vector(COLUMNS), ValueKind::Binary)).randomised(Key::from_seed(60), 0.7)
}

fn rows() -> Batch {
    batch(uniforms(Key::from_seed(61), 4 * COLUMNS).iter().map(|u| f64::from(*u < 0.5)).collect(), COLUMNS)
}

fn logits(pass: &Pass<'_>) -> Tensor<2> {
    pass.q.parameters().into_iter().find(|(name, _)| *name == "bit logits").expect("bits").1
}

#[test]
fn straight_through_is_the_gradient_of_probabilities_shifted_onto_the_bits() {
    let (made, rows, key) = (made("gradient = 'straight-through'"), rows(), Key::from_seed(62));
    let (model, batch) = (&made.model, &rows);
    fn pass_of<'a>(model: &'a LatentModel, weights: &'a Weights, batch: &'a Batch, key: Key) -> Pass<'a> {
        Pass::new(View::training(model, weights, key), batch, 2, key)
    }
    let at_start = pass_of(model, &made.weights, batch, key);
    let repeat = |t: Tensor<2>| t.repeat_dim(0, 2);
    // z = sigmoid(ℓ) + (bit − sigmoid(ℓ)), the bracket held.
    let shift = at_start.draw().z.z.clone() - sigmoid(repeat(logits(&at_start)));
    let loss = |weights: &Weights| made.objective.loss(&pass_of(model, weights, batch, key), None).total;
    let surrogate = |weights: &Weights| {
        let pass = pass_of(model, weights, batch, key);
        let z = sigmoid(repeat(logits(&pass))) + shift.clone();
        let pass = pass.with_draw(Draw::new(z));
        scalar(&made.objective.loss(&pass, None).total)
    };
    close(scalar(&loss(&made.weights)), surrogate(&made.weights), 1e-13);
    let (error, at) = gradient_error(&made.weights, key, loss, surrogate);
    println!("straight-through: surrogate gradient off by {error:.1e} ({at})");
    assert!(error < 2e-6);
}

/// The gradient of all weights under a prefix, in order.
fn gradient(made: &Made, prefix: &str, loss: impl Fn(&Weights) -> Tensor<1>) -> Vec<f64> {
    let tracked = made.weights.tracked(|_| true);
    let mut gradients = loss(&tracked).backward();
    let wanted: Vec<_> = made.weights.iter().filter(|(_, w)| w.path().starts_with(prefix)).collect();
    wanted
        .iter()
        .flat_map(|(id, _)| host_f64(&tracked.gradient(*id, &mut gradients).expect("a gradient")))
        .collect()
}

/// E_q[distortion] by enumeration, mean over rows.
fn expected_distortion(made: &Made, weights: &Weights, rows: &Batch) -> Tensor<1> {
    let view = View::evaluation(&made.model, weights);
    let q = view.encode(rows);
    let n = rows.len();
    // Each code for all rows, draw-major.
    let codes_for_rows: Vec<f64> = all_codes(BITS).chunks(BITS).flat_map(|z| z.repeat(n)).collect();
    let z = codes(codes_for_rows, BITS);
    let log_q = sum_dimensions(q.log_density_per_dimension(&z).expect("bits factorise"));
    (log_q.exp() * view.log_likelihood(rows, &z).neg()).sum() / n as f64
}

#[test]
fn the_bias_against_enumeration_is_known() {
    const DRAWS: usize = 512;
    const KEYS: u64 = 8;
    let rows = rows();
    let mut biases = Vec::new();
    for (name, settings) in [
        ("straight-through", "gradient = 'straight-through'"),
        ("relaxed, temperature 1.0", "gradient = 'relaxed', temperature = 1.0"),
        ("relaxed, temperature 0.5", "gradient = 'relaxed', temperature = 0.5"),
        ("relaxed, temperature 0.1", "gradient = 'relaxed', temperature = 0.1"),
    ] {
        let made = made(settings);
        let exact = gradient(&made, "encoder", |weights| expected_distortion(&made, weights, &rows));
        let each: Vec<Vec<f64>> = (0..KEYS)
            .map(|number| {
                gradient(&made, "encoder", |weights| {
                    let key = Key::from_seed(63).fold(number);
                    let view = View::training(&made.model, weights, key);
                    Pass::new(view, &rows, DRAWS, key).distortion().clone().mean()
                })
            })
            .collect();
        let mean: Vec<f64> =
            (0..exact.len()).map(|i| each.iter().map(|g| g[i]).sum::<f64>() / KEYS as f64).collect();
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let difference: Vec<f64> = mean.iter().zip(&exact).map(|(a, b)| a - b).collect();
        // The noise that is left in the mean, from the spread over keys.
        let spread =
            each.iter().flatten().zip(mean.iter().cycle()).map(|(g, m)| (g - m).powi(2)).sum::<f64>();
        let noise = (spread / (KEYS * (KEYS - 1)) as f64).sqrt() / norm(&exact);
        let cosine = mean.iter().zip(&exact).map(|(a, b)| a * b).sum::<f64>() / norm(&mean) / norm(&exact);
        let bias = norm(&difference) / norm(&exact);
        println!(
            "{name}: bias {:.1} % ± {:.1} % of the gradient's norm, cosine {cosine:.3}",
            100.0 * bias,
            100.0 * noise
        );
        assert!(bias < 0.8 && cosine > 0.7, "{name}");
        biases.push(bias);
    }
    // Colder is less biased.
    assert!(biases[3] < biases[1]);
}

#[test]
fn the_decoders_gradient_through_hard_bits_has_no_bias() {
    let (made, rows) = (made("gradient = 'straight-through'"), rows());
    let exact = gradient(&made, "decoder", |weights| expected_distortion(&made, weights, &rows));
    let each: Vec<Vec<f64>> = (0..40u64)
        .map(|number| {
            gradient(&made, "decoder", |weights| {
                let key = Key::from_seed(64).fold(number);
                let view = View::training(&made.model, weights, key);
                Pass::new(view, &rows, 64, key).distortion().clone().mean()
            })
        })
        .collect();
    let z = (0..exact.len()).map(|i| mean_z(each.iter().map(move |g| g[i]), exact[i]).abs()).fold(0.0, worse);
    println!("decoder's gradient through hard bits: worst |z| {z:.2} of {}", exact.len());
    assert!(z < 5.0);
}

#[test]
fn evaluation_draws_hard_bits_and_passes_no_gradient() {
    let made = made("gradient = 'relaxed', temperature = 0.5");
    let rows = rows();
    let pass = Pass::new(made.view(), &rows, 3, Key::from_seed(65));
    assert!(host_f64(&untracked(pass.draw().z.z.clone())).iter().all(|&z| z == 0.0 || z == 1.0));
}
