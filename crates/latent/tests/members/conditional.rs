//! Models that are told a condition, against the linear one, whose p(x|c) is known, and against enumeration.
//!
//! x = W z + V c + b + σ ε, z ~ N(A c + a, S(c)):   p(x|c) = N(x; V c + b + W (A c + a), W S(c) Wᵀ + σ² I)

use latent::Key;
use latent::batch::{Batch, Noise};
use latent::data::{Data, DataSettings, Facts, Memory, Rows, ValueKind};
use latent::device::host_f64;
use latent::generate::sampler::{CodeSet, FitOptions, FittedSampler, How};
use latent::generate::{Observe, Told};
use latent::model::{Rate, log_density_by_enumeration, plain_monte_carlo, score};
use latent::{Layers, Model, Options, Registry, Training};

use crate::common::*;

const X: usize = 3;
const CLASSES: usize = 3;
const SIGMA: f64 = 0.75;

fn real() -> Facts {
    told(facts(vector(X), ValueKind::Real), CLASSES)
}

fn linear(latent: usize) -> Made {
    let text = format!(
        "data.condition = ['label']
         likelihood = {{ kind = 'normal', scale = 'fixed', sigma = {SIGMA} }}
         posterior = {{ kind = 'diagonal-normal', latent = {latent} }}
         prior = {{ kind = 'conditional-normal' }}
         network = {{ kind = 'linear' }}"
    );
    let mut made = make(&text, &real()).randomised(Key::from_seed(2), 0.6);
    // σ is an array too: back to what was asked for.
    if made.weights.iter().any(|(_, w)| w.path() == "likelihood.log_variance") {
        made.set("likelihood.log_variance", &[(SIGMA * SIGMA).ln()]);
    }
    made
}

/// The exact model of one class.
struct Class {
    /// Mean and variance of each dimension of z.
    z: Vec<(f64, f64)>,
    /// V c + b
    offset: Vec<f64>,
    /// Rows of W.
    loadings: Vec<Vec<f64>>,
}

impl Class {
    fn of(made: &Made, latent: usize, class: usize) -> Self {
        let (weight, bias) = (made.get("prior.weight"), made.get("prior.bias"));
        let prior = |column: usize| weight[class * 2 * latent + column] + bias[column];
        let (decoder, b) = (made.get("decoder.0.weight"), made.get("decoder.0.bias"));
        let row = |row: usize| decoder[row * X..(row + 1) * X].to_vec();
        Self {
            z: (0..latent).map(|l| (prior(l), prior(latent + l).exp())).collect(),
            offset: row(latent + class).iter().zip(&b).map(|(v, b)| v + b).collect(),
            loadings: (0..latent).map(row).collect(),
        }
    }

    fn mean(&self) -> Vec<f64> {
        let of = |j: usize| self.loadings.iter().zip(&self.z).map(|(w, z)| w[j] * z.0).sum::<f64>();
        (0..X).map(|j| self.offset[j] + of(j)).collect()
    }

    fn covariance(&self) -> Vec<Vec<f64>> {
        let shared = |i: usize, j: usize| {
            self.loadings.iter().zip(&self.z).map(|(w, z)| w[i] * w[j] * z.1).sum::<f64>()
        };
        let own = |i: usize, j: usize| if i == j { SIGMA * SIGMA } else { 0.0 };
        (0..X).map(|i| (0..X).map(|j| shared(i, j) + own(i, j)).collect()).collect()
    }

    /// ln p(x|c), by a Cholesky factor.
    fn log_density(&self, x: &[f64]) -> f64 {
        let (mean, mut l) = (self.mean(), self.covariance());
        let (mut y, mut total) = (vec![0.0; X], 0.0);
        for i in 0..X {
            for j in 0..=i {
                let known: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
                l[i][j] = if i == j { (l[i][i] - known).sqrt() } else { (l[i][j] - known) / l[j][j] };
            }
            let known: f64 = (0..i).map(|k| l[i][k] * y[k]).sum();
            y[i] = (x[i] - mean[i] - known) / l[i][i];
            total += log_normal(y[i], 0.0, 1.0) - l[i][i].ln();
        }
        total
    }
}

const LABELS: [usize; 7] = [0, 2, 1, 1, 0, 2, 0];

fn classes(made: &Made, latent: usize) -> Vec<Class> {
    (0..CLASSES).map(|class| Class::of(made, latent, class)).collect()
}

/// Rows of all classes, mixed, and the exact log density of each.
fn rows(made: &Made, latent: usize) -> (Batch, Vec<f64>) {
    let (noise, classes) = (normals(Key::from_seed(4), LABELS.len() * X), classes(made, latent));
    let at = |i: usize| classes[LABELS[i / X]].mean()[i % X] + 0.8 * noise[i];
    let x: Vec<f64> = (0..LABELS.len() * X).map(at).collect();
    let exact = x.chunks(X).zip(LABELS).map(|(x, class)| classes[class].log_density(x)).collect();
    (batch_of(x, X, &LABELS, CLASSES), exact)
}

#[test]
fn the_score_at_the_exact_posterior_is_the_exact_log_density() {
    // One dimension: the posterior is N(μ, 1/Λ) with Λ = 1/S + W Wᵀ/σ² and Λ μ = (A c + a)/S + W (x − V c − b)ᵀ/σ².
    let mut made = linear(1);
    // One S for all classes, so that Λ is one number.
    let mut weight = made.get("prior.weight");
    (0..CLASSES).for_each(|class| weight[class * 2 + 1] = 0.0);
    made.set("prior.weight", &weight);
    let classes = classes(&made, 1);
    let (w, s, noise) = (classes[0].loadings[0].clone(), classes[0].z[0].1, SIGMA * SIGMA);
    let precision = 1.0 / s + w.iter().map(|w| w * w).sum::<f64>() / noise;
    // x, then c; μ and ln σ² of each.
    let mut encoder: Vec<f64> = w.iter().flat_map(|w| [w / noise / precision, 0.0]).collect();
    for class in &classes {
        let known: f64 = w.iter().zip(&class.offset).map(|(w, o)| w * o).sum();
        encoder.extend([(class.z[0].0 / s - known / noise) / precision, 0.0]);
    }
    made.set("encoder.0.weight", &encoder);
    made.set("encoder.0.bias", &[0.0, -precision.ln()]);
    let (batch, exact) = rows(&made, 1);
    for draws in [1, 3] {
        let scores = score(&made.view(), &batch, draws, Key::from_seed(1)).unwrap();
        let found: Vec<f64> = scores.iter().map(|s| s.log_p_lower).collect();
        all_close(&found, &exact, 1e-12);
        assert!(draws == 1 || scores.iter().all(|s| s.standard_error < 1e-6));
    }
    // There the bound is tight: ln p(x|c) = −distortion − rate in expectation, and the rate is that to the class's prior.
    let q = made.view().encode(&batch);
    let p = made.view().prior(batch.given());
    let rate = Rate::new(q.as_ref(), p.as_ref(), &q.draw(1, Noise::new(Key::from_seed(1), &batch.ids)), 1);
    let rate = rate.unwrap();
    assert!(rate.exact);
    let mean = host_f64(&q.centre().z);
    let wanted: Vec<f64> = LABELS
        .iter()
        .zip(mean)
        .map(|(&class, mean)| {
            let (m, s) = classes[class].z[0];
            0.5 * ((1.0 / precision + (mean - m).powi(2)) / s - 1.0 + (precision * s).ln())
        })
        .collect();
    all_close(&host_f64(&rate.total), &wanted, 1e-12);
}

#[test]
fn importance_sampling_and_plain_monte_carlo_find_the_density_of_each_row_under_its_condition() {
    let mut made = linear(2);
    // q is the class's prior with twice its variance: no weight is great.
    let (weight, mut bias) = (made.get("prior.weight"), made.get("prior.bias"));
    bias[2..].iter_mut().for_each(|v| *v += 2f64.ln());
    made.set("encoder.0.weight", &[vec![0.0; X * 4], weight].concat());
    made.set("encoder.0.bias", &bias);
    let (batch, exact) = rows(&made, 2);
    let importance = score(&made.view(), &batch, 20_000, Key::from_seed(3)).unwrap();
    let plain = plain_monte_carlo(&made.view(), &batch, 20_000, Key::from_seed(3));
    for (what, scores) in [("importance sampling", importance), ("plain Monte Carlo", plain.clone())] {
        let off: Vec<f64> =
            scores.iter().zip(&exact).map(|(s, exact)| (s.log_p_lower - exact) / s.standard_error).collect();
        println!("{what}: off by {off:.1?} standard errors");
        for (score, off) in scores.iter().zip(off) {
            assert!(score.standard_error < 0.05 && off.abs() < 4.0, "{what}: {score:?} {off}");
        }
    }
    // The rows of one condition share codes, whoever else is in the batch.
    let some = [1, 4, 5];
    let apart = plain_monte_carlo(&made.view(), &batch.select(&some), 20_000, Key::from_seed(3));
    for (apart, row) in apart.iter().zip(some) {
        close(apart.log_p_lower, plain[row].log_p_lower, 1e-12);
    }
    // The condition counts.
    let other = Batch { condition: Some(one_hot(&[1; 7], CLASSES)), ..batch };
    let other = score(&made.view(), &other, 2000, Key::from_seed(3)).unwrap();
    assert!((other[0].log_p_lower - exact[0]).abs() > 0.1);
}

fn sigmoid_log(logit: f64) -> f64 {
    -((-logit.abs()).exp().ln_1p() + (-logit).max(0.0))
}

#[test]
fn enumeration_sums_over_the_codes_of_each_rows_condition() {
    let (bits, columns) = (3, 4);
    let text = "data.condition = ['label']
        likelihood.kind = 'bernoulli'\nposterior = { kind = 'bits', latent = 3 }
        prior = { kind = 'bits', learned = true }\nnetwork = { kind = 'linear' }";
    let made =
        make(text, &told(facts(vector(columns), ValueKind::Binary), 2)).randomised(Key::from_seed(5), 1.0);
    let labels = [1, 0, 0, 1, 0];
    let x: Vec<f64> =
        normals(Key::from_seed(6), 5 * columns).into_iter().map(|v| f64::from(u8::from(v > 0.0))).collect();
    let batch = batch_of(x.clone(), columns, &labels, 2);
    let (w, b, prior) = (made.get("decoder.0.weight"), made.get("decoder.0.bias"), made.get("prior.logits"));
    let wanted: Vec<f64> = x
        .chunks(columns)
        .zip(labels)
        .map(|(x, class)| {
            let joint = |code: usize| -> f64 {
                let z: Vec<f64> = (0..bits).map(|bit| (code >> bit & 1) as f64).collect();
                let of = |on: f64, logit: f64| sigmoid_log(if on == 1.0 { logit } else { -logit });
                let log_prior: f64 = z.iter().zip(&prior).map(|(z, l)| of(*z, *l)).sum();
                let logit = |j: usize| {
                    let own: f64 = (0..bits).map(|l| z[l] * w[l * columns + j]).sum();
                    own + w[(bits + class) * columns + j] + b[j]
                };
                log_prior + (0..columns).map(|j| of(x[j], logit(j))).sum::<f64>()
            };
            log_sum(&(0..1 << bits).map(joint).collect::<Vec<_>>())
        })
        .collect();
    let found = host_f64(&log_density_by_enumeration(&made.view(), &batch).unwrap());
    all_close(&found, &wanted, 1e-12);
    let scores = plain_monte_carlo(&made.view(), &batch, 20_000, Key::from_seed(7));
    for (score, wanted) in scores.iter().zip(&wanted) {
        assert!((score.log_p_lower - wanted).abs() < 4.0 * score.standard_error, "{score:?} {wanted}");
    }
}

fn model(made: Made) -> Model {
    Model {
        facts: made.run.facts.clone(),
        data: made.run.data.clone(),
        seed: made.run.seed,
        run: made.run.to_toml().unwrap(),
        functions: made.model,
        weights: made.weights,
    }
}

fn label(name: &str) -> [(String, String); 1] {
    [("label".into(), name.into())]
}

#[test]
fn samples_told_a_class_have_its_mean() {
    let made = linear(2);
    let classes = classes(&made, 2);
    let model = model(made);
    for (place, class) in classes.iter().enumerate() {
        let told = Told::same(&model.facts, &label(&format!("c{place}")), 4000).unwrap();
        let x = model.sample_told(&told, Observe::Draw, Key::from_seed(8)).unwrap().x;
        let off: Vec<f64> = class
            .mean()
            .into_iter()
            .enumerate()
            .map(|(j, mean)| mean_z(x.iter().skip(j).step_by(X).map(|v| f64::from(*v)), mean))
            .collect();
        let spread: Vec<f64> = (0..X)
            .map(|j| {
                let (mean, variance) = (class.mean()[j], class.covariance()[j][j]);
                mean_z(x.iter().skip(j).step_by(X).map(move |v| (f64::from(*v) - mean).powi(2)), variance)
            })
            .collect();
        println!("class {place}: means off by {off:.1?}, variances by {spread:.1?} standard errors");
        assert!(off.iter().chain(&spread).all(|z| z.abs() < 4.0), "{off:?} {spread:?}");
    }
}

const COLUMNS: usize = 4;
const NAMES: [&str; 3] = ["low", "middle", "high"];

/// Where a class of the made-up data lies.
fn place(class: usize) -> [f32; COLUMNS] {
    [[-2.0, 0.0, 1.0, 3.0], [0.0, 2.0, -2.0, 0.0], [2.0, -1.0, 1.0, -3.0]][class]
}

fn made_up() -> Memory {
    let n = 300;
    let noise = normals(Key::from_seed(9), n * COLUMNS);
    let x: Vec<f32> =
        (0..n * COLUMNS).map(|i| place(i / COLUMNS % 3)[i % COLUMNS] + 0.3 * noise[i] as f32).collect();
    Memory::table(["a", "b", "c", "d"], x).labels((0..n).map(|row| NAMES[row % 3]))
}

fn trained() -> Model {
    trained_on().0
}

fn trained_on() -> (Model, Data) {
    let mut layers = Layers::default();
    for setting in [
        "data.condition=[\"label\"]",
        "posterior={kind=\"diagonal-normal\", latent=2}",
        "prior.kind=conditional-normal",
        "network={kind=\"mlp\", hidden=[16]}",
        "train={steps=250, batch=64, keep=\"last\", validate_every=1000.0, optimizer={learning_rate=1e-2}}",
    ] {
        layers.set(setting).unwrap();
    }
    let settings: DataSettings = layers.data().unwrap();
    let data = Data::from_memory(made_up(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let mut training = Training::in_memory(&layers, data, Options::default(), &mut |_| {}).unwrap();
    training.train(&Default::default(), &mut |_| {}).unwrap();
    let data = Data::from_memory(made_up(), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    (training.into_model().unwrap(), data)
}

/// Codes lie elsewhere for each class here, so a sampler that passed over what rows are told would give others.
#[test]
fn a_fitted_sampler_draws_the_class_that_each_row_is_told() {
    let (model, data) = trained_on();
    let codes = CodeSet::of(&model, &data, 1000, Key::from_seed(4), &|_| {}).unwrap();
    let registry = Registry::default();
    let options = FitOptions { seed: 5, minutes: None, registry: &registry, progress: &|_, _| {} };
    for text in ["kind = 'normal'", "kind = 'flow-matching'\nhidden = [64, 64]\nsteps = 600\nbatch = 128"] {
        let sampler = FittedSampler::fit(&model, &codes, &text.parse().unwrap(), &options).unwrap();
        draws_what_rows_are_told(&model, &sampler);
    }
}

fn draws_what_rows_are_told(model: &Model, sampler: &FittedSampler) {
    let told = |names: &[&str]| -> Told {
        let condition =
            names.iter().flat_map(|name| model.facts.condition_of(&label(name)).unwrap()).collect();
        Told::of(&Rows { ids: (0..names.len() as u64).collect(), condition, ..Rows::default() })
    };
    let (how, key) = (How::default(), Key::from_seed(6));
    let mixed: Vec<&str> = (0..90).map(|row| NAMES[row * 7 % 3]).collect();
    let drawn = model.sample_with(sampler, &told(&mixed), &how, Observe::Mean, key).unwrap();
    let near = |x: &[f64], class: usize| -> f64 {
        x.iter().zip(place(class)).map(|(x, p)| (x - f64::from(p)).powi(2)).sum()
    };
    for (x, name) in drawn.values().chunks(COLUMNS).zip(&mixed) {
        let least = (0..3).min_by(|a, b| near(x, *a).total_cmp(&near(x, *b))).unwrap();
        assert_eq!(NAMES[least], *name, "{x:?}");
    }
    // The same seed under one condition gives the rows that it gives among others.
    let low = model.sample_with(sampler, &told(&["low"; 90]), &how, Observe::Mean, key).unwrap();
    for (row, name) in mixed.iter().enumerate().filter(|(_, name)| **name == "low") {
        let own = row * COLUMNS..(row + 1) * COLUMNS;
        assert_eq!(drawn.x[own.clone()], low.x[own], "{row} {name}");
    }
}

#[test]
fn a_trained_model_samples_the_class_that_it_is_told_and_refuses_rows_that_tell_it_none() {
    let model = trained();
    let apart = |x: &[f64], class: usize| -> f64 {
        x.iter().zip(place(class)).map(|(x, p)| (x - f64::from(p)).powi(2)).sum()
    };
    for (class, name) in NAMES.iter().enumerate() {
        let told = Told::same(&model.facts, &label(name), 100).unwrap();
        let values = model.sample_told(&told, Observe::Draw, Key::from_seed(2)).unwrap().values();
        let right = values
            .chunks(COLUMNS)
            .filter(|x| (0..3).all(|other| other == class || apart(x, class) < apart(x, other)))
            .count();
        println!("{name}: {right} of 100 samples are nearest to their class");
        assert!(right >= 97, "{name}: {right}");
    }
    // Rows go through with their conditions.
    let data =
        Data::memory_for(&model.facts, made_up(), &model.data, Key::from_seed(1), &mut |_| {}).unwrap();
    let rows = latent::generate::first_rows(&data, latent::data::Split::Test, 9).unwrap();
    assert_eq!(rows.condition.len(), 9 * 3);
    let codes = model.encode(&rows).unwrap();
    let back = model.decode_told(&codes.mean, &Told::of(&rows), Observe::Mean, Key::from_seed(1)).unwrap();
    assert_eq!(back.x, model.reconstruct(&rows).unwrap().x);
    let own = model.score(&rows, 200, Key::from_seed(3)).unwrap();
    let turned = Rows {
        condition: rows.condition.chunks(3).flat_map(|c| [c[2], c[0], c[1]]).collect(),
        ..rows.clone()
    };
    let other = model.score(&turned, 200, Key::from_seed(3)).unwrap();
    assert!(own.iter().zip(&other).all(|(own, other)| own.log_p_lower > other.log_p_lower + 1.0));
    // Others are refused, with what to do.
    let bare = Rows { condition: Vec::new(), ..rows };
    let says = |what: Result<(), latent::generate::GenerateError>| {
        let said = what.expect_err("rows that tell nothing").to_string();
        assert!(said.contains("condition"), "{said}");
        said
    };
    let said = [
        says(model.encode(&bare).map(|_| ())),
        says(model.score(&bare, 2, Key::from_seed(1)).map(|_| ())),
        says(model.reconstruct(&bare).map(|_| ())),
        says(model.distortion(&bare).map(|_| ())),
        says(model.decode(&codes.mean).map(|_| ())),
    ];
    println!("{said:#?}");
    let told = Told::same(&model.facts, &label("low"), 3).unwrap();
    says(model.decode_told(&codes.mean, &told, Observe::Mean, Key::from_seed(1)).map(|_| ()).map_err(|e| {
        assert!(e.to_string().contains("rows that are told of"), "{e}");
        e
    }));
    assert!(Told::same(&model.facts, &label("lwo"), 3).is_err());
    assert!(Told::same(&model.facts, &[], 3).is_err());
}

#[test]
fn a_prior_of_a_condition_needs_one() {
    let text = "prior.kind = 'conditional-normal'\nnetwork.kind = 'linear'";
    let said = refusal(text, &facts(vector(X), ValueKind::Real));
    assert!(said.contains("data.condition"), "{said}");
    let said = refusal(&format!("{text}\nposterior = {{ kind = 'bits', latent = 2 }}"), &real());
    assert!(said.contains("bits"), "{said}");
    let said =
        refusal("prior = { kind = 'conditional-normal', hidden = [0] }\nnetwork.kind = 'linear'", &real());
    assert!(said.starts_with("`prior.hidden`"), "{said}");
    // It starts at N(0, I), whatever it is told.
    let made =
        make("prior = { kind = 'conditional-normal', hidden = [3] }\nnetwork.kind = 'linear'", &real());
    let batch = batch_of(vec![0.5; 7 * X], X, &LABELS, CLASSES);
    let p = made.view().prior(batch.given());
    assert!(host_f64(&p.centre().z).iter().all(|m| *m == 0.0));
    assert!(host_f64(&p.deviation().unwrap()).iter().all(|s| *s == 1.0));
}
