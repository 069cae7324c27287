//! Gumbel-softmax: draws against softmax and the concrete distribution's closed form, rates by enumeration, gradients with the noise
//! held, both ends of the temperature; and numbers beside categories, each block's rate at a capacity of its own.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use latent::Key;
use latent::batch::{Batch, Latent, Noise};
use latent::data::{SampleShape, ValueKind};
use latent::density::{Categorical, Density, GumbelSoftmax, Relaxed, kl, sum_dimensions};
use latent::device::{host_f64, scalar};
use latent::member::{Kept, Progress};
use latent::model::{Rate, View, log_density_by_enumeration, score};
use latent::objective::Pass;
use latent::optimizer::MODEL;
use latent::train::{Autoencoder, Trainable};
use latent::weights::Weights;

use crate::common::*;

const X: usize = 4;

/// ln π of three categories in two dimensions.
fn logits() -> Vec<f64> {
    vec![0.3, -1.2, 0.9, 2.0, 0.0, -0.4]
}

fn density(logits: Vec<f64>, size: usize, temperature: f64, hard: bool) -> GumbelSoftmax {
    let width = logits.len();
    let relaxed = Relaxed { temperature: double().tensor_f64(vec![temperature], [1]), hard, order: None };
    GumbelSoftmax { law: Categorical { logits: matrix(logits, width), size }, relaxed: Some(relaxed) }
}

fn drawn(q: &GumbelSoftmax, draws: usize) -> (Vec<f64>, Vec<f64>) {
    let draw = q.draw(draws, Noise::new(Key::from_seed(4), &[7]));
    (host_f64(&draw.z.z), host_f64(&draw.features.expect("what the decoder sees")))
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let sum = log_sum(logits);
    logits.iter().map(|l| (l - sum).exp()).collect()
}

#[test]
fn indices_fall_as_often_as_softmax_says_and_are_where_soft_numbers_are_greatest() {
    let (z, soft) = drawn(&density(logits(), 3, 0.7, false), 20_000);
    let mut worst: f64 = 0.0;
    for j in 0..2 {
        for (i, p) in softmax(&logits()[3 * j..3 * j + 3]).into_iter().enumerate() {
            let hits = z.chunks(2).map(|z| f64::from(u8::from(z[j] as usize == i)));
            worst = worst.max(mean_z(hits, p).abs());
        }
    }
    println!("20,000 draws: shares off by {worst:.2} standard errors");
    assert!(worst < 4.0);
    for (z, y) in z.iter().zip(soft.chunks(3)) {
        close(y.iter().sum(), 1.0, 1e-12);
        assert!(y.iter().all(|other| *other <= y[*z as usize]));
    }
    // Evaluation draws the same indices, and its decoder sees what it sees of stored codes.
    let plain = GumbelSoftmax { relaxed: None, ..density(logits(), 3, 0.7, false) };
    let draw = plain.draw(20_000, Noise::new(Key::from_seed(4), &[7]));
    assert!(draw.features.is_none());
    assert_eq!(host_f64(&draw.z.z), z);
}

#[test]
fn soft_numbers_have_the_concrete_distribution() {
    // Of two categories: ln y/(1 − y) = (ℓ_1 − ℓ_2 + logistic) / τ, so that P(y < t) = sigmoid(τ ln t/(1 − t) − (ℓ_1 − ℓ_2)).
    for temperature in [0.3, 1.0, 3.0] {
        let (_, soft) = drawn(&density(vec![0.8, -0.3], 2, temperature, false), 20_000);
        let mut y: Vec<f64> = soft.chunks(2).map(|y| y[0]).collect();
        y.sort_by(f64::total_cmp);
        let n = y.len() as f64;
        let apart = y.iter().enumerate().map(|(place, t)| {
            let p = 1.0 / (1.0 + (1.1 - temperature * (t / (1.0 - t)).ln()).exp());
            (p - place as f64 / n).abs().max((p - (place + 1) as f64 / n).abs())
        });
        let statistic = apart.fold(0.0, f64::max) * n.sqrt();
        println!("τ = {temperature}: Kolmogorov–Smirnov {statistic:.2} of 1.95");
        assert!(statistic < 1.95);
    }
}

#[test]
fn both_ends_of_the_temperature_are_finite_and_what_they_should_be() {
    let wild = vec![90.0, -90.0, 0.0, 0.5, 0.4, 0.6];
    for logits in [logits(), wild] {
        let (z, cold) = drawn(&density(logits.clone(), 3, 1e-3, false), 500);
        let (_, hard) = drawn(&density(logits.clone(), 3, 1e-3, true), 500);
        let wanted: Vec<f64> =
            z.iter().flat_map(|z| (0..3).map(move |i| f64::from(u8::from(*z as usize == i)))).collect();
        all_close(&hard, &wanted, 1e-12);
        let apart = cold.iter().zip(&wanted).filter(|(a, b)| (**a - **b).abs() > 1e-3).count();
        println!("τ = 0.001: {apart} of {} numbers are not hard", cold.len());
        assert!(apart < 30 && cold.iter().all(|y| y.is_finite()));
    }
    let (_, hot) = drawn(&density(logits(), 3, 1e3, false), 500);
    assert!(hot.iter().all(|y| (y - 1.0 / 3.0).abs() < 0.01));
    // Gradients stay numbers at the cold end, in single precision too.
    for device in [latent::device::Device::cpu(), double()] {
        let logits: Tensor<2> = device.tensor_f64(vec![90.0, -90.0, 0.0], [1, 3]).autodiff().require_grad();
        let relaxed = Relaxed { temperature: device.tensor_f64(vec![1e-3], [1]), hard: true, order: None };
        let q =
            GumbelSoftmax { law: Categorical { logits: logits.clone(), size: 3 }, relaxed: Some(relaxed) };
        let draw = q.draw(200, Noise::new(Key::from_seed(4), &[7]));
        let seen = draw.features.unwrap();
        let gradients = (seen.clone() * seen.narrow(1, 0, 1)).sum().backward();
        assert!(host_f64(&logits.grad(&gradients).unwrap()).iter().all(|g| g.is_finite()));
    }
}

fn text(own: &str, prior: &str) -> String {
    format!(
        "likelihood.kind = 'bernoulli'\nposterior = {{ kind = 'gumbel', latent = 2, categories = 3, {own} }}
         prior = {{ kind = 'categorical', {prior} }}\nnetwork = {{ kind = 'mlp', hidden = [6], activation = 'tanh' }}"
    )
}

fn made(own: &str, prior: &str) -> Made {
    make(&text(own, prior), &facts(vector(X), ValueKind::Binary)).randomised(Key::from_seed(7), 0.7)
}

fn binary(n: usize) -> Batch {
    batch(normals(Key::from_seed(1), n * X).iter().map(|v| f64::from(u8::from(*v > 0.0))).collect(), X)
}

#[test]
fn the_rate_is_that_of_the_indices() {
    for prior in ["learned = false", "learned = true"] {
        let made = made("temperature = 0.6", prior);
        let x = binary(3);
        let view = View::training(&made.model, &made.weights, Key::from_seed(2));
        let (q, p) = (view.encode(&x), view.prior(x.given()));
        let draw = q.draw(1, Noise::new(Key::from_seed(2), &x.ids));
        let rate = Rate::new(q.as_ref(), p.as_ref(), &draw, 1).unwrap();
        assert!(rate.exact);
        let (q_logits, p_logits) = (host_f64(&view.encoder_outputs(&x)), made.get("prior.logits"));
        let each = |row: usize, j: usize| -> f64 {
            let (q, p) = (softmax(&q_logits[row * 6 + 3 * j..][..3]), softmax(&p_logits[3 * j..3 * j + 3]));
            q.iter().zip(&p).map(|(q, p)| q * (q.ln() - p.ln())).sum()
        };
        let wanted: Vec<f64> = (0..6).map(|at| each(at / 2, at % 2)).collect();
        all_close(&host_f64(&rate.per_dimension.unwrap()), &wanted, 1e-12);
        // And by enumeration of both indices, from the densities themselves.
        let codes: Vec<f64> = (0..9).flat_map(|code| [f64::from(code / 3), f64::from(code % 3)]).collect();
        for (row, wanted) in wanted.chunks(2).enumerate() {
            let (log_q, log_p) = (
                log_density(q.rows(&[row]).as_ref(), codes.clone(), 2),
                log_density(p.as_ref(), codes.clone(), 2),
            );
            close(log_q.iter().map(|l| l.exp()).sum(), 1.0, 1e-12);
            let sum: f64 = log_q.iter().zip(&log_p).map(|(q, p)| q.exp() * (q - p)).sum();
            close(sum, wanted.iter().sum(), 1e-12);
        }
    }
    // Under a uniform prior: ln K less the entropy.
    let q = density(logits(), 3, 1.0, false);
    let uniform = Categorical { logits: matrix(vec![0.0; 6], 6), size: 3 };
    let entropy: f64 = (0..2).flat_map(|j| softmax(&logits()[3 * j..3 * j + 3])).map(|p| -p * p.ln()).sum();
    close(scalar(&kl(&q, &uniform).unwrap().sum()), 2.0 * 3f64.ln() - entropy, 1e-12);
}

#[test]
fn a_model_scores_by_draws_what_a_sum_over_all_codes_says() {
    let made = made("temperature = 0.6", "learned = true");
    let x = binary(3);
    let exact = host_f64(&log_density_by_enumeration(&made.view(), &x).unwrap());
    let found = score(&made.view(), &x, 20_000, Key::from_seed(3)).unwrap();
    for (found, exact) in found.iter().zip(&exact) {
        let off = (found.log_p_lower - exact) / found.standard_error;
        println!("ln p {exact:.4}, by draws {:.4}: {off:.2} standard errors", found.log_p_lower);
        assert!(off.abs() < 4.0);
    }
}

/// The gradient of the encoder's weights, in their order.
fn gradient(made: &Made, loss: impl Fn(&Weights) -> Tensor<1>) -> Vec<f64> {
    let tracked = made.weights.tracked(|_| true);
    let mut gradients = loss(&tracked).backward();
    let encoder = made.weights.iter().filter(|(_, w)| w.path().starts_with("encoder"));
    encoder.flat_map(|(id, _)| host_f64(&tracked.gradient(id, &mut gradients).expect("a gradient"))).collect()
}

#[test]
fn the_gradient_of_a_soft_draw_is_that_of_its_value_and_a_hard_draw_has_it_too() {
    let (x, key) = (binary(3), Key::from_seed(10));
    let made = made("temperature = 0.6", "learned = true");
    let loss = |weights: &Weights| {
        let pass = Pass::new(View::training(&made.model, weights, key), &x, 3, key);
        made.objective.loss(&pass, None).total
    };
    let found = gradient(&made, loss);
    let (mut at, mut worst): (usize, f64) = (0, 0.0);
    for (id, _) in made.weights.iter().filter(|(_, w)| w.path().starts_with("encoder")) {
        let start = values(&made.weights, id);
        for place in 0..start.len() {
            let moved = |by: f64| {
                let (mut weights, mut values) = (made.weights.clone(), start.clone());
                values[place] += by;
                weights.set(id, double().tensor_f64(values, [start.len()]));
                scalar(&loss(&weights))
            };
            let wanted = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            worst = worst.max((found[at] - wanted).abs() / wanted.abs().max(1.0));
            at += 1;
        }
    }
    println!("the gradient is off by {worst:.1e} at most");
    assert!(worst < 1e-7 && at == found.len());
    // Straight through: hard values, and with a linear loss the gradient of the soft ones.
    let gradient_of = |hard: bool| {
        let logits = matrix(logits(), 6).autodiff().require_grad();
        let relaxed = Relaxed { temperature: double().tensor_f64(vec![0.6], [1]), hard, order: None };
        let q =
            GumbelSoftmax { law: Categorical { logits: logits.clone(), size: 3 }, relaxed: Some(relaxed) };
        let seen = q.draw(5, Noise::new(Key::from_seed(4), &[7])).features.unwrap();
        let values = host_f64(&seen.clone().detach());
        let weights = matrix(normals(Key::from_seed(5), 30), 6);
        (values, host_f64(&logits.grad(&(seen * weights).sum().backward()).unwrap()))
    };
    let ((soft, of_soft), (hard, of_hard)) = (gradient_of(false), gradient_of(true));
    all_close(&of_hard, &of_soft, 1e-12);
    assert!(soft != hard && hard.iter().all(|y| y.abs() < 1e-12 || (y - 1.0).abs() < 1e-12));
}

#[test]
fn colder_draws_have_less_bias_against_enumeration() {
    let x = binary(3);
    let bias = |temperature: f64| {
        let made = made(
            &format!("temperature = {temperature}, final_temperature = {temperature}"),
            "learned = true",
        );
        let exact = gradient(&made, |weights| {
            let view = View::evaluation(&made.model, weights);
            let q = view.encode(&x);
            let codes =
                (0..9).flat_map(|code| [f64::from(code / 3), f64::from(code % 3)].repeat(3)).collect();
            let z = Latent::new(matrix(codes, 2));
            let log_q = sum_dimensions(q.log_density_per_dimension(&z).unwrap());
            (log_q.exp() * view.log_likelihood(&x, &z).neg()).sum() / 3.0
        });
        let each: Vec<Vec<f64>> = (0..8u64)
            .map(|number| {
                gradient(&made, |weights| {
                    let key = Key::from_seed(63).fold(number);
                    Pass::new(View::training(&made.model, weights, key), &x, 1000, key)
                        .distortion()
                        .clone()
                        .mean()
                })
            })
            .collect();
        let norm = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
        let mean = |i: usize| each.iter().map(|g| g[i]).sum::<f64>() / each.len() as f64;
        let off: Vec<f64> = exact.iter().enumerate().map(|(i, exact)| mean(i) - exact).collect();
        norm(&off) / norm(&exact)
    };
    let biases = [2.0, 0.7, 0.2].map(bias);
    println!("τ = 2, 0.7, 0.2: bias {biases:.3?} of the gradient's norm");
    assert!(biases[2] < biases[0] && biases[2] < 0.3);
}

#[test]
fn the_temperature_falls_by_the_same_factor_and_is_no_part_of_the_model() {
    let schedule = |own: &str, steps: &[u64]| -> Vec<f64> {
        let Made { model, weights, objective, .. } = made(own, "learned = true");
        assert!(weights.kept().all(|(_, w)| w.path() != "posterior.temperature"));
        let mut task = Autoencoder::new(model, weights, objective);
        let read = |task: &Autoencoder| {
            let found = task.weights.iter().find(|(_, w)| w.path() == "posterior.temperature").unwrap();
            f64::from(found.1.values()[0])
        };
        let mut all = vec![read(&task)];
        for &step in steps {
            let kept = BTreeMap::from([(MODEL.to_string(), Kept::default())]);
            task.follow(&kept, Progress { step, steps_per_epoch: 10, total: 100 });
            all.push(read(&task));
        }
        all
    };
    let falls = "temperature = 2.0, final_temperature = 0.5";
    all_close(&schedule(falls, &[49, 99, 500]), &[2.0, 1.0, 0.5, 0.5], 1e-6);
    all_close(&schedule(&format!("{falls}, fall = 0.5"), &[24, 49, 99]), &[2.0, 1.0, 0.5, 0.5], 1e-6);
    all_close(&schedule(&format!("{falls}, fall = 0.0"), &[0, 99]), &[0.5; 3], 1e-6);
}

#[test]
fn what_the_decoder_sees_of_a_draw_is_what_it_sees_of_stored_codes() {
    let image = facts(SampleShape::Image { channels: 1, height: 4, width: 4 }, ValueKind::Grey);
    let grey = batch(normals(Key::from_seed(3), 32).into_iter().map(|v| v.abs().min(1.0)).collect(), 16);
    for latent in ["3", "{ channels = 2, factor = 2 }", "{ channels = 1, factor = 2 }"] {
        let text = format!(
            "posterior = {{ kind = 'gumbel', latent = {latent}, categories = 3, straight_through = true }}
             prior.kind = 'categorical'\nnetwork = {{ kind = 'mlp', hidden = [6] }}"
        );
        let made = make(&text, &image).randomised(Key::from_seed(1), 0.5);
        let view = View::training(&made.model, &made.weights, Key::from_seed(2));
        let draw = view.encode(&grey).draw(3, Noise::new(Key::from_seed(2), &grey.ids));
        let seen = host_f64(&draw.features.unwrap());
        all_close(&seen, &host_f64(&made.model.posterior.features(&view, &draw.z)), 1e-12);
        assert_eq!(seen.iter().filter(|y| **y > 0.5).count(), host_f64(&draw.z.z).len());
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let facts = facts(vector(X), ValueKind::Binary);
    let own = |own: &str| refusal(&text(own, "learned = false"), &facts);
    let starts = |said: String, with: &str| assert!(said.starts_with(with), "{said}");
    starts(own("temperature = 0.0"), "`posterior.temperature`");
    starts(own("final_temperature = 1e4"), "`posterior.final_temperature`");
    starts(own("temperature = nan"), "`posterior.temperature`");
    starts(own("fall = 1.5"), "`posterior.fall`");
    let one = refusal("posterior = { kind = 'gumbel', categories = 1 }\nprior.kind = 'categorical'", &facts);
    starts(one, "`posterior.categories`");
    assert!(
        refusal("posterior.kind = 'gumbel'\nprior.kind = 'standard-normal'", &facts).contains("infinite")
    );
}

/// Numbers beside categories, and a capacity for each.
fn joint(terms: &str) -> String {
    format!(
        "likelihood.kind = 'bernoulli'\nnetwork = {{ kind = 'mlp', hidden = [6], activation = 'tanh' }}
         [posterior]\nkind = 'blocks'\n[posterior.blocks]
         c = {{ kind = 'gumbel', latent = 1, categories = 3 }}\nz = {{ kind = 'diagonal-normal', latent = 2 }}
         [prior]\nkind = 'blocks'\n[prior.blocks]\nc = {{ kind = 'categorical' }}\nz = {{ kind = 'standard-normal' }}
         [objective.terms]\ndistortion = {{}}\n{terms}"
    )
}

#[test]
fn each_block_is_held_at_a_capacity_of_its_own() {
    let facts = facts(vector(X), ValueKind::Binary);
    let text = joint(
        "rate_c = { kind = 'capacity', block = 'c', weight = 30.0, capacity = 0.5, rise = 0.5 }
         rate_z = { kind = 'capacity', block = 'z', weight = 20.0, capacity = 3.0, rise = 0.25 }",
    );
    let made = make(&text, &facts).randomised(Key::from_seed(7), 0.7);
    let (x, key) = (binary(5), Key::from_seed(4));
    let view = View::training(&made.model, &made.weights, key);
    // Heads: three logits, then μ and ln σ².
    let heads = host_f64(&view.encoder_outputs(&x));
    let mean = |of: &dyn Fn(&[f64]) -> f64| heads.chunks(7).map(of).sum::<f64>() / 5.0;
    let categories = mean(&|h| softmax(&h[..3]).iter().map(|q| q * (q.ln() + 3f64.ln())).sum());
    let numbers =
        mean(&|h| (0..2).map(|j| 0.5 * (h[5 + j].exp() + h[3 + j].powi(2) - 1.0 - h[5 + j])).sum::<f64>());
    for (step, open_c, open_z) in [(0, 0.0, 0.0), (20, 0.4, 0.8), (25, 0.5, 1.0), (99, 1.0, 1.0)] {
        let progress = Some(Progress { step, steps_per_epoch: 10, total: 100 });
        let pass = Pass::new(view, &x, 1, key).at(progress);
        assert!(pass.rate().unwrap().exact);
        let loss = made.objective.loss(&pass, progress);
        let named: BTreeMap<&str, f64> =
            loss.terms.iter().map(|(name, v)| (name.as_str(), scalar(v))).collect();
        close(named["rate_c"], categories, 1e-12);
        close(named["rate_z"], numbers, 1e-12);
        let wanted = named["distortion"]
            + 30.0 * (categories - 0.5 * open_c).abs()
            + 20.0 * (numbers - 3.0 * open_z).abs();
        close(named["loss"], wanted, 1e-12);
    }
    let refused = |terms: &str| refusal(&joint(terms), &facts);
    let unknown = refused("rate = { kind = 'capacity', block = 'y', capacity = 1.0 }");
    assert!(unknown.starts_with("`objective.terms.rate.block`") && unknown.contains("c, z"), "{unknown}");
    // ln 3 = 1.0986
    let most = refused("rate = { kind = 'capacity', block = 'c', capacity = 1.2 }");
    assert!(
        most.starts_with("`objective.terms.rate.capacity`") && most.contains("give 1.098 or less"),
        "{most}"
    );
    let split = joint("rate = { kind = 'capacity', block = 'z' }")
        .replace("kind = 'diagonal-normal', latent = 2", "kind = 'full-normal', latent = 2");
    assert!(refusal(&split, &facts).contains("split"));
}
