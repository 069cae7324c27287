//! The first steps of each preset's optimiser against the rule of its authors' code, written plainly.
//!
//! Rows have given gradients; the authors' code adds them up or takes their mean, and moves by an Adam of its own. Ours gets
//! the mean, as the loop has it. Presets that have another optimiser than their paper say so.

use latent::Key;
use latent::Registry;
use latent::data::ValueKind;
use latent::run::{Layers, Run, preset, presets, resolve};
use latent::train::{Optimizer, OptimizerSettings};
use latent::weights::{Init, Initial, Weights};

use crate::common::*;

/// What the authors' code does with the gradients of a batch's rows.
struct Rule {
    preset: &'static str,
    /// Which optimiser of the preset, by its place in the run.
    of: &'static str,
    rows: usize,
    /// Whether rows are added up; their mean otherwise.
    sum: bool,
    /// What it multiplies the loss by.
    factor: f64,
    rate: f64,
    beta1: f64,
    epsilon: f64,
    /// Where the second moment starts.
    start: f64,
    /// λ of matrices; biases have none.
    decay: f64,
}

const ADAM: Rule = Rule {
    preset: "",
    of: "train",
    rows: 100,
    sum: false,
    factor: 1.0,
    rate: 1e-3,
    beta1: 0.9,
    epsilon: 1e-8,
    start: 0.0,
    decay: 0.0,
};

const RULES: [Rule; 7] = [
    // yburda/iwae, optimizers.py: the bound is summed over the batch of 20; moments start at 0 and 1.
    Rule { preset: "iwae", rows: 20, sum: true, beta1: 0.99, epsilon: 1e-4, start: 1.0, ..ADAM },
    // cdoersch/vae_tutorial, mnist_vae.prototxt and its solver: the losses over the number of rows, decay_mult 1 and 0.
    Rule { preset: "doersch-mnist", decay: 5e-4, ..ADAM },
    // tolstikhin/wae, wae.py: 0.05 times the mean of rows.
    Rule { preset: "wae-mmd", factor: 0.05, beta1: 0.5, ..ADAM },
    Rule { preset: "wae-gan", factor: 0.05, beta1: 0.5, ..ADAM },
    Rule { preset: "wae-gan", of: "objective.terms.adversarial", rate: 5e-4, beta1: 0.5, ..ADAM },
    // google-research/disentanglement_lib, whose training the preset has.
    Rule { preset: "beta-vae", rows: 64, rate: 1e-4, ..ADAM },
    // pytorch/examples, vae: rows are added up.
    Rule { preset: "vae", rows: 128, sum: true, ..ADAM },
];

/// All of them are Adam with ε beside √v: w ← w − η √(1 − β₂ᵗ)/(1 − β₁ᵗ) m / (√v + ε̂).
impl Rule {
    fn step(&self, t: i32, gradient: &[f64], w: &mut [f64], m: &mut [f64], v: &mut [f64]) {
        let rate = self.rate * (1.0 - 0.999f64.powi(t)).sqrt() / (1.0 - self.beta1.powi(t));
        for i in 0..w.len() {
            let decay = if i < MATRIX { self.decay } else { 0.0 };
            let g = gradient[i] + decay * w[i];
            m[i] = self.beta1 * m[i] + (1.0 - self.beta1) * g;
            v[i] = 0.999 * v[i] + 0.001 * g * g;
            w[i] -= rate * m[i] / (v[i].sqrt() + self.epsilon);
        }
    }
}

/// Numbers of a matrix, and of a bias after it.
const MATRIX: usize = 6;
const BIAS: usize = 3;

fn run_of(name: &str) -> Run {
    let layers = Layers::from_preset(name).unwrap();
    let (checked, _) =
        resolve(&layers, &facts(image(1, 12, 12), ValueKind::Grey), &Registry::default()).unwrap();
    checked.run
}

fn optimizer_of(run: &Run, of: &str) -> OptimizerSettings {
    let Some(term) = of.strip_prefix("objective.terms.") else { return run.train.optimizer.clone() };
    run.objective["terms"][term]["optimizer"].clone().try_into().unwrap()
}

#[test]
fn the_first_steps_of_a_preset_are_those_of_its_authors() {
    for rule in RULES {
        let run = run_of(rule.preset);
        let what = format!("{} ({})", rule.preset, rule.of);
        assert_eq!(run.train.batch, rule.rows, "{what}");
        let settings = optimizer_of(&run, rule.of);
        let mut weights = Weights::new(&double());
        let mut init = Init::new(&mut weights, Key::from_seed(130));
        let ids = [
            init.matrix("weight", &[2, 3], Initial::Normal(1.0)),
            init.weight("bias", &[3], Initial::Normal(1.0)),
        ];
        let now = |weights: &Weights| ids.iter().flat_map(|id| values(weights, *id)).collect::<Vec<f64>>();
        let before = now(&weights);
        let mut theirs = before.clone();
        let (mut m, mut v) = (vec![0.0; MATRIX + BIAS], vec![rule.start; MATRIX + BIAS]);
        let mut optimizer = Optimizer::default();
        for step in 1..=40 {
            let rows: Vec<Vec<f64>> = (0..rule.rows)
                .map(|row| {
                    let noise = normals(Key::from_seed(131).fold(step as u64).fold(row), MATRIX + BIAS);
                    // Some weights have ten times the gradient of others, some a mean that isn't 0.
                    let gradient =
                        |(i, e): (usize, &f64)| 10f64.powi(i as i32 % 3 - 1) * (e + [0.5, 0.0][i / 2 % 2]);
                    noise.iter().enumerate().map(gradient).collect()
                })
                .collect();
            let sum = |i: usize| rows.iter().map(|row| row[i]).sum::<f64>();
            let mean: Vec<f64> = (0..MATRIX + BIAS).map(|i| sum(i) / rule.rows as f64).collect();
            let share = rule.factor * if rule.sum { rule.rows as f64 } else { 1.0 };
            let given: Vec<f64> = mean.iter().map(|g| share * g).collect();
            rule.step(step, &given, &mut theirs, &mut m, &mut v);
            let flat = |part: &[f64]| double().tensor_f64(part.to_vec(), [part.len()]);
            let ours = vec![(ids[0], flat(&mean[..MATRIX])), (ids[1], flat(&mean[MATRIX..]))];
            optimizer.step(&settings, settings.learning_rate, &mut weights, ours);
            let moved = |w: &[f64]| w.iter().zip(&before).map(|(w, start)| w - start).collect::<Vec<f64>>();
            let (ours, theirs) = (moved(&now(&weights)), moved(&theirs));
            let far = theirs.iter().fold(0f64, |far, w| far.max(w.abs()));
            for (ours, theirs) in ours.iter().zip(&theirs) {
                // ε̂ of their form is ε √(1 − β₂ᵗ) of ours, which the least gradients feel at the first step.
                assert!((ours - theirs).abs() < 5e-3 * far, "{what}: {ours} {theirs} at step {step}");
            }
        }
    }
}

#[test]
fn the_penalty_of_a_wasserstein_autoencoder_weighs_as_in_its_authors_code() {
    for (name, term) in [("wae-mmd", "mmd"), ("wae-gan", "adversarial")] {
        let run = run_of(name);
        let sigma = run.likelihood["sigma"].as_float().unwrap();
        let weight = run.objective["terms"][term]["weight"].as_float().unwrap();
        // 0.05 ‖x − g(z)‖² + 10 D is as ‖x − g(z)‖² / 2σ² + weight · D.
        close(weight * 2.0 * sigma * sigma, 10.0 / 0.05, 1e-6);
        assert_eq!(run.encoder["batch_norm"].as_bool(), Some(true));
    }
}

#[test]
fn the_penalties_of_a_regularised_autoencoder_weigh_as_in_its_authors_code() {
    // ParthaEth/Regularized_autoencoders-RAE-, configurations for MNIST: the mean over 32 × 32 pixels of the squared error, β times the
    // mean over 16 latents of z², λ times the sum of squares of the decoder's kernels.
    let (pixels, latents) = (1024.0, 16.0);
    for (name, beta, lambda) in [("rae-l2", 1e-4, 1e-7), ("rae-sn", 0.009, 0.0), ("rae-gp", 1e-4, 0.0)] {
        let run = run_of(name);
        let sigma = run.likelihood["sigma"].as_float().unwrap();
        let weight = |term: &str| run.objective["terms"].get(term).map(|t| t["weight"].as_float().unwrap());
        // ‖x − g(z)‖² / 2σ² + weight · ½‖z‖² is, times 2σ² / pixels, the authors' loss.
        let scale = 2.0 * sigma * sigma / pixels;
        close(weight("code-norm").unwrap() * 0.5 * scale, beta / latents, 1e-6);
        close(weight("decoder-weights").unwrap_or(0.0) * scale, lambda, 1e-9);
        assert_eq!(run.posterior["latent"].as_integer(), Some(16));
    }
}

#[test]
fn a_preset_with_another_optimiser_says_so() {
    for preset in presets().iter().filter(|preset| RULES.iter().all(|rule| rule.preset != preset.name)) {
        let differs =
            preset.text.lines().filter(|line| line.starts_with('#')).any(|line| line.contains("Adam"));
        assert!(differs, "{}: whose optimiser is it?", preset.name);
    }
    // Who has a word on what differs says it of the initial weights, too.
    assert!(preset("doersch-mnist").unwrap().text.contains("initial weights"));
}
