//! What others may add without an edit here: estimators of their own, with players of their own, under the same checks. And
//! what all of them rely on: gradients that stick the landing, masks, weights, errors that name the user's keys.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use latent::batch::{Batch, Draw, Noise};
use latent::burn::tensor::Tensor;
use latent::config::ConfigError;
use latent::data::{Data, DataSettings, Facts, Memory, Normalisation, SampleShape, StoredType, ValueKind};
use latent::density::log_sum_exp;
use latent::device::{Device, host_f64};
use latent::member::{Context, Life, Mode, Named, Settings};
use latent::model::{LatentModel, View};
use latent::objective::{Estimator, Objective, Pass, Values};
use latent::optimizer::{MODEL, Player};
use latent::run::{Checked, resolve};
use latent::schemars::{self, JsonSchema};
use latent::train::{Event, Line};
use latent::weights::{Init, WeightId, Weights};
use latent::{Key, Layers, Options, Registry, Training};
use serde::{Deserialize, Serialize};

/// β · (importance-weighted bound of k draws) + (1 − β) · ELBO.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct MixedSettings {
    beta: f64,
    draws: usize,
}

impl Default for MixedSettings {
    fn default() -> Self {
        Self { beta: 0.5, draws: 5 }
    }
}

impl Named for MixedSettings {
    const KIND: &'static str = "mixed";
    const ABOUT: &'static str = "between the importance-weighted bound and the evidence lower bound";
}

impl Settings<dyn Estimator> for MixedSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.beta) {
            return Err(ConfigError::value("beta", format!("{}", self.beta), "give a share from 0 to 1"));
        }
        match context.has_density {
            true => Ok(()),
            false => Err(ConfigError::combination("no density to weigh draws with", "use plain")),
        }
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        Ok(Box::new(Mixed(self.clone())))
    }
}

struct Mixed(MixedSettings);

/// −mean log 1/k Σ w.
fn importance(pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
    let Some(log_w) = pass.log_weights() else { return values.sum(|_| true) };
    let (k, n) = (pass.draws, pass.batch.len());
    let bound = log_sum_exp(log_w.reshape([k, n]).transpose()) - (k as f64).ln();
    pass.batch.mean(bound).neg()
}

impl Estimator for Mixed {
    fn draws(&self) -> usize {
        self.0.draws
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        importance(pass, values) * self.0.beta + values.sum(|_| true) * (1.0 - self.0.beta)
    }
}

impl Life for Mixed {}

/// The encoder on a bound of its own (PIWAE; Rainforth et al., arXiv 1802.04537), or held still.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PartedSettings {
    draws: usize,
    /// Whether the encoder's own bound counts.
    encoder: bool,
    /// Whether the model's does.
    model: bool,
}

impl Default for PartedSettings {
    fn default() -> Self {
        Self { draws: 4, encoder: true, model: true }
    }
}

impl Named for PartedSettings {
    const KIND: &'static str = "parted";
    const ABOUT: &'static str = "the encoder moves on a tighter bound than the model";
}

impl Settings<dyn Estimator> for PartedSettings {
    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        Ok(Box::new(Parted(self.clone())))
    }
}

struct Parted(PartedSettings);

impl Estimator for Parted {
    fn draws(&self) -> usize {
        self.0.draws
    }

    fn loss(&self, pass: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        match pass.player {
            MODEL => values.sum(|_| true) * f64::from(u8::from(self.0.model)),
            _ => importance(pass, values) * f64::from(u8::from(self.0.encoder)),
        }
    }

    fn players(&self) -> Vec<Player> {
        vec![Player::of("inference", |path| path.starts_with("encoder"))]
    }
}

impl Life for Parted {}

fn registry() -> Registry {
    Registry::default()
        .with::<dyn Settings<dyn Estimator>, MixedSettings>()
        .with::<dyn Settings<dyn Estimator>, PartedSettings>()
}

fn facts(shape: SampleShape, kind: ValueKind) -> Facts {
    let stored = if kind == ValueKind::Grey { StoredType::U8 } else { StoredType::F64 };
    Facts {
        source: "made for a test".into(),
        shape,
        kind,
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored,
            range: None,
            whole: Vec::new(),
        },
        columns: Vec::new(),
        constant: Vec::new(),
        classes: Vec::new(),
        rows: [100, 10, 10],
        mean: vec![if kind == ValueKind::Real { 0.0 } else { 0.5 }; shape.features()],
        variance: vec![1.0; shape.features()],
        hash: String::new(),
        overlaps: Vec::new(),
        condition: Vec::new(),
        table: None,
    }
}

fn reals(columns: usize) -> Facts {
    facts(SampleShape::Vector { columns }, ValueKind::Real)
}

fn layers(text: &str) -> Layers {
    let mut layers = Layers::default();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        layers.set(line).unwrap();
    }
    layers
}

fn checked(text: &str, facts: &Facts) -> Result<Checked, ConfigError> {
    Ok(resolve(&layers(text), facts, &registry())?.0)
}

fn refusal(text: &str, facts: &Facts) -> String {
    checked(text, facts).err().unwrap_or_else(|| panic!("not refused: {text}")).to_string()
}

struct Made {
    model: LatentModel,
    weights: Weights,
    objective: Objective,
}

impl Made {
    fn view(&self) -> View<'_> {
        View::evaluation(&self.model, &self.weights)
    }
}

/// In double precision, with trained weights of any size.
fn make(text: &str, facts: &Facts) -> Made {
    let checked = checked(text, facts).unwrap();
    let device = Device::cpu().double();
    let (model, mut weights, objective) = checked.build_for_training(None, &device).unwrap();
    let trained: Vec<(WeightId, usize, String)> = weights
        .iter()
        .filter(|(_, w)| w.is_trained())
        .map(|(id, w)| (id, w.shape().iter().product(), w.path().to_string()))
        .collect();
    for (id, n, path) in trained {
        let values = normals(Key::from_seed(3).fold(path.as_str()), n).iter().map(|v| 0.5 * v).collect();
        weights.set(id, device.tensor_f64(values, [n]));
    }
    Made { model, weights, objective }
}

fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut values = vec![0.0; n];
    key.normals(&mut values);
    values.into_iter().map(f64::from).collect()
}

fn matrix(values: Vec<f64>, width: usize) -> Tensor<2> {
    let rows = values.len() / width;
    Device::cpu().double().tensor_f64(values, [rows, width])
}

#[track_caller]
fn close(found: f64, wanted: f64, tolerance: f64) {
    let error = (found - wanted).abs() / wanted.abs().max(1.0);
    assert!(error <= tolerance, "{found} is not {wanted}: {error:.2e} > {tolerance:.0e}");
}

#[track_caller]
fn all_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).for_each(|(found, wanted)| close(*found, *wanted, tolerance));
}

fn scalar(value: &Tensor<1>) -> f64 {
    host_f64(value)[0]
}

const SMALL: &str = "
    likelihood={kind='normal', scale='learned', sigma=0.5}
    posterior={kind='diagonal-normal', latent=2}
    network={kind='mlp', hidden=[8], activation='tanh'}
";

/// Points about a circle in four dimensions.
fn circle(weight: bool) -> Data {
    let noise = normals(Key::from_seed(2), 200 * 4);
    let values: Vec<f32> = (0..200 * 4)
        .map(|i| {
            let angle = (i / 4) as f64 * 0.7;
            let clean = [angle.cos(), angle.sin(), angle.cos() * angle.sin(), 0.5 * angle.cos()][i % 4];
            (clean + 0.1 * noise[i]) as f32
        })
        .collect();
    let mut memory = Memory::new(SampleShape::Vector { columns: 4 }, values);
    if weight {
        memory = memory.weight((0..200).map(|i| [0.0, 0.5, 1.0, 3.0][i % 4]).collect());
    }
    Data::from_memory(memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {}).unwrap()
}

/// Trains in memory; returns the run and its log.
fn trained(text: &str, weight: bool) -> (Training, Vec<Line>) {
    let options = Options { registry: registry(), ..Options::default() };
    let mut training = Training::in_memory(&layers(text), circle(weight), options, &mut |_| {}).unwrap();
    let mut lines = Vec::new();
    training
        .train(&AtomicBool::new(false), &mut |event| match event {
            Event::Step { line, .. } | Event::Validated { line, .. } => lines.push(line.clone()),
            _ => {}
        })
        .unwrap();
    (training, lines)
}

#[test]
fn an_estimator_of_ones_own_trains() {
    let text = format!("{SMALL}\nobjective.estimator={{kind='mixed', beta=0.3, draws=6}}");
    let made = make(&text, &reals(4));
    let x = Batch::of(matrix(normals(Key::from_seed(5), 7 * 4), 4), (0..7).collect());
    let loss = |kind: &str| {
        let made = make(&format!("{SMALL}\nobjective.estimator={kind}"), &reals(4));
        scalar(&made.objective.loss(&Pass::new(made.view(), &x, 6, Key::from_seed(1)), None).total)
    };
    let own = made.objective.loss(&Pass::new(made.view(), &x, 6, Key::from_seed(1)), None);
    let (bound, elbo) = (loss("{kind='importance', draws=6}"), loss("{kind='elbo', draws=6}"));
    assert!(bound < elbo - 1e-3, "{bound} {elbo}");
    close(scalar(&own.total), 0.3 * bound + 0.7 * elbo, 1e-12);

    let text = format!("{text}\ntrain.epochs=30\ntrain.batch=32\ntrain.optimizer.learning_rate=0.01");
    let (training, lines) = trained(&text, false);
    let losses: Vec<f64> = lines.iter().filter(|l| l.validation).filter_map(|l| l.get("loss")).collect();
    assert!(losses[losses.len() - 1] < losses[0] - 0.5, "{losses:?}");
    // The run remembers it, and it is asked as all others are.
    assert_eq!(training.run.objective["estimator"]["kind"].as_str(), Some("mixed"));
    assert!(training.run.to_toml().unwrap().contains("beta = 0.3"));
    let with = |estimator: &str| refusal(&format!("{SMALL}\nobjective.estimator={estimator}"), &reals(4));
    let said = with("{kind='mixed', beta=2.0}");
    assert!(said.contains("objective.estimator.beta"), "{said}");
    let said = with("{kind='mixed', bta=0.5}");
    assert!(said.contains("objective.estimator.bta") && said.contains("beta"), "{said}");
    let said = with("{kind='mxed'}");
    assert!(said.contains("did you mean `mixed`?"), "{said}");
}

#[test]
fn an_estimator_with_a_player_of_its_own_trains() {
    let steps = "train.steps=40\ntrain.batch=32\ntrain.optimizer.learning_rate=0.01\ntrain.keep='last'";
    let run = |estimator: &str| {
        let text = format!("{SMALL}\n{steps}\nobjective.estimator={estimator}");
        let fresh = Training::in_memory(
            &layers(&text),
            circle(false),
            Options { registry: registry(), ..Options::default() },
            &mut |_| {},
        )
        .unwrap();
        let (after, lines) = trained(&text, false);
        let moved = |part: &str| {
            let pairs = fresh.task.weights.iter().zip(after.task.weights.iter());
            let own: Vec<bool> = pairs
                .filter(|((_, w), _)| w.path().starts_with(part) && w.is_trained())
                .map(|((_, before), (_, after))| before.values() != after.values())
                .collect();
            assert!(own.iter().all(|moved| *moved == own[0]) && !own.is_empty(), "{part}: {own:?}");
            own[0]
        };
        ([moved("encoder"), moved("decoder")], lines)
    };
    // Who moves whom: a loss of 0 has no gradient, and weights without one stay.
    assert_eq!(run("{kind='parted', encoder=true, model=false}").0, [true, false]);
    assert_eq!(run("{kind='parted', encoder=false, model=true}").0, [false, true]);
    let (moved, lines) = run("{kind='parted'}");
    assert_eq!(moved, [true, true]);
    for name in ["loss", "inference/loss", "gradient_norm", "inference/gradient_norm"] {
        assert!(lines[0].get(name).is_some(), "no {name} in {:?}", lines[0].values);
    }
    let losses: Vec<f64> = lines.iter().filter(|l| l.validation).filter_map(|l| l.get("loss")).collect();
    assert!(losses[losses.len() - 1] < losses[0], "{losses:?}");
}

#[test]
fn sticking_the_landing_keeps_the_expected_gradient() {
    let made = make(SMALL, &reals(4));
    let x = Batch::of(matrix(normals(Key::from_seed(5), 3 * 4), 4), vec![0, 1, 2]);
    let encoder: Vec<WeightId> = made
        .weights
        .iter()
        .filter(|(_, w)| w.is_trained() && w.path().starts_with("encoder"))
        .map(|(id, _)| id)
        .collect();
    // The gradient of −E log w by draws, with log q as a function of the encoder's weights, or not.
    let gradient = |key: Key, detached: bool| -> Vec<f64> {
        let weights = made.weights.tracked(|_| true);
        let view = View { mode: Mode::Training, ..View::evaluation(&made.model, &weights) };
        let q = view.encode(&x);
        let draw = q.draw(20, Noise::new(key, &x.ids));
        let of = if detached { q.detached() } else { q.rows(&[0, 1, 2]) };
        let log_q = of.log_density(&draw.z).unwrap();
        let log_p = view.prior(x.given()).log_density(&draw.z).unwrap();
        let log_w = view.log_likelihood(&x, &draw.z) + log_p - log_q;
        let mut gradients = log_w.mean().neg().backward();
        encoder
            .iter()
            .flat_map(|id| host_f64(&weights.gradient(*id, &mut gradients).expect("a gradient")))
            .collect()
    };
    const REPEATS: usize = 400;
    let pairs: Vec<(Vec<f64>, Vec<f64>)> = (0..REPEATS)
        .map(|i| {
            let key = Key::from_seed(11).fold(i);
            (gradient(key, false), gradient(key, true))
        })
        .collect();
    let (mut worst, mut differs) = (0f64, 0f64);
    let n = REPEATS as f64;
    for at in 0..pairs[0].0.len() {
        let differences: Vec<f64> = pairs.iter().map(|(plain, stl)| stl[at] - plain[at]).collect();
        let mean = differences.iter().sum::<f64>() / n;
        let variance = differences.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
        differs = differs.max(variance);
        if variance > 1e-20 {
            worst = worst.max(mean.abs() / (variance / n).sqrt());
        }
    }
    println!("sticking the landing: worst of {} weights {worst:.2} standard errors", pairs[0].0.len());
    assert!(differs > 1e-6, "the same gradient draw by draw: nothing was detached");
    assert!(worst < 4.5, "{worst}");
}

#[test]
fn errors_name_the_keys_that_the_user_wrote() {
    let all = |text: &str, said: &[&str]| {
        let refused = refusal(text, &reals(4));
        said.iter().for_each(|said| assert!(refused.contains(said), "{text}: {refused}"));
    };
    all(
        "objective.terms={distortion={weight=0.0}, rate={weight=0.0}}",
        &["objective.terms", "no term to minimise"],
    );
    // Renamed terms.
    all(
        "objective.terms={distortion={}, price={kind='rate', free_bits=-1.0}}",
        &["objective.terms.price.free_bits"],
    );
    all(
        "objective.terms={distortion={}, price={kind='rate', weight=-1.0}}",
        &["objective.terms.price.weight"],
    );
    all(
        "objective.terms={distortion={}, price={kind='rate', fre_bits=1.0}}",
        &["objective.terms.price.fre_bits", "free_bits"],
    );
    all(
        "posterior={kind='point', latent=2}\nobjective.estimator.kind='plain'\n\
         objective.terms={distortion={}, price={kind='rate'}}",
        &["objective.terms.price.weight = 0"],
    );
    all(
        "objective.terms={distortion={}, rate={}, pull={kind='adversarial', hidden=[0]}}",
        &["objective.terms.pull.hidden"],
    );
    // `network` is short for both; who writes one reads of that one.
    all("network={kind='mlp', hidden=[0]}", &["network.hidden"]);
    all("network={kind='mlp', dropout=1.5}", &["network.dropout"]);
    all("network={kind='mlp', hiden=[3]}", &["network.hiden", "hidden"]);
    all("encoder={kind='mlp', hidden=[0]}", &["encoder.hidden"]);
    all("decoder={kind='mlp', noise=-1.0}", &["decoder.noise"]);
    all("network={kind='spatal'}", &["did you mean `spatial`?"]);
    // Blocks inside blocks.
    all(
        "posterior={kind='blocks', blocks={a={kind='bits', latent=2, temperature=0.0}}}\nprior.kind='bits'",
        &["posterior.blocks.a.temperature"],
    );
    all(
        "posterior={kind='blocks', blocks={a={kind='bits', latent=2}}}\n\
         prior={kind='blocks', blocks={b={kind='bits'}}}",
        &["prior.blocks.b"],
    );
}

/// A model of that likelihood and x that it can describe: 3 rows of 6.
fn likelihoods() -> Vec<(&'static str, Facts, Vec<f64>)> {
    let unit: Vec<f64> = (0..18).map(|i| f64::from(i * 7 % 19) / 19.0).collect();
    let levels: Vec<f64> = (0..18).map(|i| f64::from(i * 37 % 256) / 255.0).collect();
    let bits: Vec<f64> = (0..18).map(|i| f64::from(u8::from(i * 5 % 7 < 3))).collect();
    let image = SampleShape::Image { channels: 1, height: 2, width: 3 };
    let real = normals(Key::from_seed(5), 18);
    vec![
        ("{kind='bernoulli'}", facts(image, ValueKind::Binary), bits),
        ("{kind='bernoulli'}", facts(image, ValueKind::Grey), unit.clone()),
        ("{kind='continuous-bernoulli'}", facts(image, ValueKind::Grey), unit.clone()),
        ("{kind='discretised-logistic'}", facts(image, ValueKind::Grey), levels.clone()),
        ("{kind='discretised-logistic', per_feature=true}", facts(image, ValueKind::Grey), levels),
        ("{kind='normal', scale='fixed', sigma=0.6}", reals(6), real.clone()),
        ("{kind='normal', scale='learned'}", reals(6), real.clone()),
        ("{kind='normal', scale='optimal'}", reals(6), real),
        ("{kind='normal', scale='optimal'}", facts(image, ValueKind::Grey), unit),
    ]
}

#[test]
fn a_masked_row_is_the_sum_over_what_was_observed() {
    for (likelihood, facts, x) in likelihoods() {
        let text = format!(
            "likelihood={likelihood}\nposterior={{kind='diagonal-normal', latent=2}}\nnetwork={{kind='mlp', hidden=[5]}}"
        );
        let made = make(&text, &facts);
        let view = made.view();
        let width = made
            .model
            .decoder
            .forward(&latent::member::Call::evaluation(&made.weights), matrix(vec![0.0; 2], 2));
        // Two draws of each row.
        let outputs = matrix(normals(Key::from_seed(6), 6 * width.dims()[1]), width.dims()[1]);
        let bare = Batch::of(matrix(x.clone(), 6), vec![0, 1, 2]);
        let log_p = |mask: Option<Vec<f64>>| {
            let batch = Batch { mask: mask.map(|mask| matrix(mask, 6)), ..bare.clone() };
            host_f64(&made.model.likelihood.log_density(&view, outputs.clone(), &batch))
        };
        let one =
            |feature: usize| log_p(Some((0..18).map(|i| f64::from(u8::from(i % 6 == feature))).collect()));
        let each: Vec<Vec<f64>> = (0..6).map(one).collect();
        let sum = |observed: &dyn Fn(usize, usize) -> bool| -> Vec<f64> {
            (0..6)
                .map(|draw| (0..6).filter(|&j| observed(draw % 3, j)).map(|j| each[j][draw]).sum())
                .collect()
        };
        all_close(&log_p(None), &sum(&|_, _| true), 1e-9);
        let observed = |row: usize, j: usize| (row * 5 + j * 3) % 4 < 2;
        let mask = (0..18).map(|i| f64::from(u8::from(observed(i / 6, i % 6)))).collect();
        all_close(&log_p(Some(mask)), &sum(&observed), 1e-9);
        // Of nothing there is nothing to say.
        assert_eq!(log_p(Some(vec![0.0; 18])), [0.0; 6], "{likelihood}");
    }
}

/// Rows 0, 1, 1, 2 and the same with row 1 once, at twice the weight.
fn repeated_and_weighted(x: &[f64]) -> [Batch; 2] {
    let row = |i: usize| x[4 * i..4 * i + 4].to_vec();
    let repeated = Batch::of(matrix([row(0), row(1), row(1), row(2)].concat(), 4), vec![0, 1, 1, 2]);
    let weight = Device::cpu().double().tensor_f64(vec![1.0, 2.0, 1.0], [3]);
    let weighted = Batch { weight: Some(weight), ..Batch::of(matrix(x[..12].to_vec(), 4), vec![0, 1, 2]) };
    [repeated, weighted]
}

#[test]
fn a_weight_of_two_is_the_row_twice() {
    let x = normals(Key::from_seed(5), 12);
    for estimator in
        ["{kind='elbo', draws=3}", "{kind='importance', draws=3}", "{kind='plain'}", "{kind='mixed'}"]
    {
        for (terms, single) in [
            ("{distortion={}, rate={}}", false),
            ("{distortion={weight=0.7}, rate={weight=2.0, free_bits=0.3}}", true),
        ] {
            if single && estimator.contains("importance") {
                continue;
            }
            for scale in ["learned", "optimal"] {
                let text = format!(
                    "{SMALL}\nlikelihood.scale='{scale}'\nobjective.estimator={estimator}\nobjective.terms={terms}"
                );
                let made = make(&text, &reals(4));
                let found = repeated_and_weighted(&x).map(|batch| {
                    let weights = made.weights.tracked(|_| true);
                    let view = View::training(&made.model, &weights, Key::from_seed(1));
                    let draws = made.objective.estimator.draws();
                    let pass = Pass::new(view, &batch, draws, Key::from_seed(1));
                    let loss = made.objective.loss(&pass, None);
                    let mut all: Vec<f64> = loss.terms.iter().map(|(_, value)| scalar(value)).collect();
                    let mut gradients = loss.total.backward();
                    for (id, weight) in made.weights.iter().filter(|(_, w)| w.is_trained()) {
                        let own = weights.gradient(id, &mut gradients);
                        all.extend(own.map_or(vec![0.0; weight.shape().iter().product()], |g| host_f64(&g)));
                    }
                    all
                });
                all_close(&found[0], &found[1], 1e-10);
            }
        }
    }
    // Rows that count for nothing are not there, and a batch of them moves nothing.
    let made = make(SMALL, &reals(4));
    let none = Device::cpu().double().tensor_f64(vec![0.0, 0.0, 0.0], [3]);
    let [_, weighted] = repeated_and_weighted(&x);
    let nothing = Batch { weight: Some(none), ..weighted };
    let loss = made.objective.loss(&Pass::new(made.view(), &nothing, 1, Key::from_seed(1)), None);
    assert_eq!(scalar(&loss.total), 0.0);
}

#[test]
fn weights_reach_rate_distortion_and_bound() {
    let made = make(SMALL, &reals(4));
    let x = normals(Key::from_seed(5), 12);
    let weight = [0.5, 2.0, 0.25];
    let tensor = Device::cpu().double().tensor_f64(weight.to_vec(), [3]);
    let batch = Batch { weight: Some(tensor), ..Batch::of(matrix(x, 4), vec![0, 1, 2]) };
    let pass = Pass::new(made.view(), &batch, 2, Key::from_seed(1));
    let mean = |values: Vec<f64>| {
        let draws = values.len() / 3;
        let sum: f64 = values.iter().enumerate().map(|(i, v)| v * weight[i % 3]).sum();
        sum / (weight.iter().sum::<f64>() * draws as f64)
    };
    let (distortion, rate) = (mean(host_f64(pass.distortion())), mean(host_f64(&pass.rate().unwrap().total)));
    let loss = made.objective.loss(&pass, None);
    let terms: BTreeMap<&str, f64> = loss.terms.iter().map(|(n, v)| (n.as_str(), scalar(v))).collect();
    close(terms["distortion"], distortion, 1e-12);
    close(terms["rate"], rate, 1e-12);
    close(terms["loss"], distortion + rate, 1e-12);
    let bound = make(&format!("{SMALL}\nobjective.estimator={{kind='importance', draws=2}}"), &reals(4));
    let log_w = host_f64(&pass.log_weights().unwrap());
    let rows = (0..3).map(|i| -((log_w[i].exp() + log_w[i + 3].exp()) / 2.0).ln()).collect();
    close(scalar(&bound.objective.loss(&pass, None).total), mean(rows), 1e-12);
}

#[test]
fn parts_of_a_weighted_batch_count_as_their_rows_do() {
    let text = format!("{SMALL}\ntrain.steps=3\ntrain.batch=30\ntrain.validate_every=0.1");
    let [whole, parts] = [1, 4].map(|parts| trained(&format!("{text}\ntrain.accumulate={parts}"), true).1);
    assert_eq!(whole.len(), parts.len());
    for (a, b) in whole.iter().zip(&parts) {
        for name in ["loss", "distortion", "rate"] {
            close(b.get(name).unwrap(), a.get(name).unwrap(), 1e-4);
        }
        if !a.validation {
            close(b.get("gradient_norm").unwrap(), a.get("gradient_norm").unwrap(), 1e-4);
        }
    }
    // Weights do count.
    assert_ne!(trained(&text, false).1[0].get("loss"), whole[0].get("loss"));
}

/// A draw made elsewhere takes the place of the pass's own.
#[test]
fn a_pass_takes_draws_from_elsewhere() {
    let made = make(SMALL, &reals(4));
    let x = Batch::of(matrix(normals(Key::from_seed(5), 8), 4), vec![0, 1]);
    let pass = Pass::new(made.view(), &x, 1, Key::from_seed(1));
    let own = host_f64(pass.distortion());
    let same = Pass::new(made.view(), &x, 1, Key::from_seed(2)).with_draw(pass.draw().clone());
    assert_eq!(host_f64(same.distortion()), own);
    let zero = Pass::new(made.view(), &x, 1, Key::from_seed(1)).with_draw(Draw::new(matrix(vec![0.0; 4], 2)));
    assert_ne!(host_f64(zero.distortion()), own);
}
