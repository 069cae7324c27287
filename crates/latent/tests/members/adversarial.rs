//! The critic: its optimum on two known normals, who moves what, and which files its arrays are in.
//!
//! At the optimum its log-odds are ln p(z) − ln q(z), and its loss is ln 2 − JS(p, q).

use std::fs;
use std::path::Path;

use latent::batch::{Batch, Draw};
use latent::data::{Data, DataSettings, Facts, Memory, ValueKind};
use latent::device::{Device, host_f64};
use latent::model::View;
use latent::objective::{Objective, Pass};
use latent::optimizer::{MODEL, Player};
use latent::store::TensorFile;
use latent::train::{Autoencoder, Line, RunFolder};
use latent::weights::Weights;
use latent::{Key, Layers, Model, Options, Training};

use crate::common::*;

const X: usize = 3;

fn real() -> Facts {
    facts(vector(X), ValueKind::Real)
}

/// Rows without a meaning.
fn data(rows: usize) -> Data {
    let numbers: Vec<f32> = normals(Key::from_seed(1), rows * X).into_iter().map(|v| v as f32).collect();
    let memory = Memory::new(vector(X), numbers);
    Data::from_memory(memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {}).unwrap()
}

fn training(text: &str, rows: usize) -> Training {
    let table: toml::Table = text.parse().unwrap();
    let layers = Layers { table: table.clone(), explicit: table };
    Training::in_memory(&layers, data(rows), Options::default(), &mut |_| {}).unwrap()
}

fn set(weights: &mut Weights, path: &str, values: Vec<f32>) {
    let id = weights.iter().find(|(_, w)| w.path() == path).unwrap().0;
    weights.set_values(id, values);
}

/// Where the codes of the data are: q = N(1.25, 1) whatever x is.
const MEAN: f64 = 1.25;

/// −ln D of each code under the critic `name`, by the model's side of the term.
fn surprise(task: &Autoencoder, name: &str, z: &[f64]) -> Vec<f64> {
    let view = View::evaluation(&task.model, &task.weights);
    let n = z.len();
    let device = Device::of(&task.weights.iter().next().unwrap().1.flat());
    let rows = Batch::of(device.tensor(vec![0.0; n * X], [n, X]), (0..n as u64).collect());
    let codes = Draw::new(device.tensor_f64(z.to_vec(), [n, 1]));
    let pass = Pass::new(view, &rows, 1, Key::from_seed(1)).with_draw(codes);
    let weighted = task.objective.terms.iter().find(|t| t.name == name).unwrap();
    host_f64(&weighted.term.value(&pass).unwrap().log)
}

/// ∫ f(z) over the line.
fn integral(f: impl Fn(f64) -> f64) -> f64 {
    let (points, step) = grid(-12.0, 14.0, 2601);
    simpson(&points.into_iter().map(f).collect::<Vec<_>>(), step)
}

#[test]
fn the_critic_of_two_normals_finds_their_log_odds_and_its_loss_their_divergence() {
    for hidden in ["[]", "[16]"] {
        let text = format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed' }}
             posterior = {{ kind = 'diagonal-normal', latent = 1 }}\nnetwork.kind = 'linear'
             objective.estimator.kind = 'plain'
             [objective.terms]
             distortion = {{}}
             judge = {{ kind = 'adversarial', hidden = {hidden}, optimizer = {{ learning_rate = 2e-2, beta1 = 0.5, beta2 = 0.99 }}, learning_rate = {{ kind = 'cosine' }} }}
             [train]
             steps = 1200\nbatch = 512\nkeep = 'last'\nvalidate_every = 10000.0
             optimizer = {{ learning_rate = 1e-30 }}"
        );
        let mut training = training(&text, 700);
        let weights = &mut training.task.weights;
        set(weights, "encoder.0.weight", vec![0.0; X * 2]);
        set(weights, "encoder.0.bias", vec![MEAN as f32, 0.0]);
        training.train(&Default::default(), &mut |_| {}).unwrap();
        let task = &training.task;
        // ln p − ln q = m²/2 − m z
        let z = [-1.0, 0.0, 0.625, 1.0, 2.0];
        let off: Vec<f64> = surprise(task, "judge", &z)
            .into_iter()
            .zip(z)
            // −ln D = ln(1 + e^−l)
            .map(|(s, z)| -(s.exp_m1()).ln() - (MEAN * MEAN / 2.0 - MEAN * z))
            .collect();
        println!("hidden {hidden}: log-odds off by {off:.3?}");
        assert!(off.iter().all(|off| off.abs() < 0.1), "{off:?}");
        // Its loss on fresh draws.
        let (p, q) = (|z: f64| log_normal(z, 0.0, 1.0).exp(), |z: f64| log_normal(z, MEAN, 1.0).exp());
        let middle = |z: f64| (p(z) + q(z)) / 2.0;
        let js = 0.5
            * (integral(|z| p(z) * (p(z) / middle(z)).max(1e-300).ln())
                + integral(|z| q(z) * (q(z) / middle(z)).max(1e-300).ln()));
        let n = 20_000;
        let rows = Batch::of(Device::cpu().tensor(vec![0.0; n * X], [n, X]), (0..n as u64).collect());
        let loss = |player: &str| {
            let view = View::evaluation(&task.model, &task.weights);
            let pass = Pass::of(player, view, &rows, 1, Key::from_seed(3));
            let values = task.objective.terms.iter().find(|t| t.name == "judge").unwrap().term.value(&pass);
            let values = host_f64(&values.unwrap().log);
            assert_eq!(values.len(), n);
            values
        };
        let own = mean_z(loss("judge").into_iter(), 2f64.ln() - js);
        // The model's side: E_q ln(1 + e^−l) at the critic's optimum.
        let model = integral(|z| q(z) * ((p(z) + q(z)) / p(z)).ln());
        let its = mean_z(loss(MODEL).into_iter(), model);
        let mean = loss("judge").iter().sum::<f64>() / n as f64;
        println!(
            "loss {mean:.4}, ln 2 − JS = {:.4}: {own:.1} standard errors; the model's side: {its:.1}",
            2f64.ln() - js
        );
        assert!(own.abs() < 4.0 && (mean - (2f64.ln() - js)).abs() < 0.01);
        assert!((loss(MODEL).iter().sum::<f64>() / n as f64 - model).abs() < 0.05);
    }
}

const TWO: &str = "likelihood = { kind = 'normal', scale = 'fixed' }
    posterior = { kind = 'diagonal-normal', latent = 2 }
    network = { kind = 'mlp', hidden = [5], activation = 'silu' }
    objective.estimator.kind = 'plain'
    objective.terms.distortion = {}
    objective.terms.judge = { kind = 'adversarial', weight = 3.0, hidden = [6] }
    objective.terms.judge2 = { kind = 'adversarial', hidden = [4], every = 3, moves_a_turn = 2 }";

fn loss(objective: &Objective, player: &str, view: View<'_>, rows: &Batch) -> burn::tensor::Tensor<1> {
    objective.loss(&Pass::of(player, view, rows, 2, Key::from_seed(5)), None).total
}

fn owner(path: &str) -> &str {
    path.strip_prefix("objective.").and_then(|rest| rest.split('.').next()).unwrap_or(MODEL)
}

#[test]
fn each_player_moves_its_own_weights_and_its_gradient_touches_no_others() {
    let made = make(TWO, &real()).randomised(Key::from_seed(2), 0.6);
    let players = made.objective.players();
    let names: Vec<&str> = players.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, [MODEL, "judge", "judge2"]);
    let rows = batch(normals(Key::from_seed(4), 4 * X), X);
    for player in &players {
        let mut touched = 0;
        let tracked = made.weights.tracked(&player.moves);
        let total = loss(
            &made.objective,
            &player.name,
            View::training(&made.model, &tracked, Key::from_seed(1)),
            &rows,
        );
        let mut gradients = total.backward();
        let mut worst: f64 = 0.0;
        for (id, weight) in made.weights.iter() {
            let (path, own) = (weight.path(), owner(weight.path()) == player.name);
            assert_eq!((player.moves)(path), own, "{} moves {path}", player.name);
            assert_eq!(weight.is_training_only(), owner(path) != MODEL, "{path}");
            let found = tracked.gradient(id, &mut gradients);
            if !own || !weight.is_trained() {
                assert!(found.is_none(), "{}: a gradient of {path}", player.name);
                continue;
            }
            let Some(found) = found.map(|g| host_f64(&g)) else { continue };
            touched += 1;
            // Against differences, the noise held.
            let at = values(&made.weights, id);
            for place in (0..at.len()).step_by(3) {
                let moved = |by: f64| {
                    let (mut weights, mut values) = (made.weights.clone(), at.clone());
                    values[place] += by;
                    weights.set(id, double().tensor_f64(values, [at.len()]));
                    let view = View::training(&made.model, &weights, Key::from_seed(1));
                    host_f64(&loss(&made.objective, &player.name, view, &rows))[0]
                };
                let wanted = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                worst = worst.max((found[place] - wanted).abs() / wanted.abs().max(1.0));
            }
        }
        println!("{}: {touched} arrays, gradients off by {worst:.1e}", player.name);
        assert!(touched >= 4 && worst < 1e-6, "{}: {touched} {worst:.1e}", player.name);
    }
    // The weight is the model's: a critic minimises its own loss alone.
    let view = made.view();
    let term = |pass: &Pass<'_>| host_f64(&made.objective.terms[1].term.value(pass).unwrap().log.mean())[0];
    let pass = Pass::of("judge", view, &rows, 2, Key::from_seed(5));
    close(host_f64(&loss(&made.objective, "judge", view, &rows))[0], term(&pass), 1e-12);
    let of_model = made.objective.loss(&Pass::of(MODEL, view, &rows, 2, Key::from_seed(5)), None);
    let get = |name: &str| host_f64(&of_model.terms.iter().find(|(n, _)| n == name).unwrap().1)[0];
    close(get("loss"), get("distortion") + 3.0 * get("judge") + get("judge2"), 1e-12);
}

fn lines(run: &Path) -> Vec<Line> {
    fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().filter_map(Line::parse).collect()
}

fn arrays(path: &Path) -> Vec<String> {
    let mut names: Vec<String> = TensorFile::load(path).unwrap().arrays.into_keys().collect();
    names.sort();
    names
}

#[test]
fn a_critic_is_in_every_checkpoint_and_in_nothing_that_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let text = format!(
        "{TWO}
         [train]\nsteps = 20\nbatch = 16\nema = 0.9\nkeep = 'best'\nvalidate_every = 1.0\nschedule = {{ kind = 'linear' }}"
    )
    .replace("kind = 'adversarial', weight = 3.0", "kind = 'adversarial', weight = 3.0, learning_rate = { kind = 'step', milestones = [2.0], gamma = 0.5 }, optimizer = { learning_rate = 4e-3 }");
    let mut training = training(&text, 90);
    let run = training.run.to_toml().unwrap();
    training.folder = Some(RunFolder::open(root.path()).unwrap());
    training.train(&Default::default(), &mut |_| {}).unwrap();
    let last = arrays(&root.path().join("checkpoints/last.safetensors"));
    let with = |prefix: &str| last.iter().filter(|name| name.starts_with(prefix)).count();
    // Two layers each, weight and bias.
    assert_eq!((with("weights/objective.judge."), with("weights/objective.judge2.")), (4, 4));
    assert_eq!((with("first/judge/objective.judge."), with("first/judge2/objective.judge2.")), (4, 4));
    assert_eq!((with("first/judge/"), with("first/judge2/"), with("first/model/objective")), (4, 4, 0));
    assert!(with("first/model/encoder") > 0 && with("average/encoder") > 0 && with("kept/encoder") > 0);
    assert_eq!((with("average/objective"), with("kept/objective")), (0, 0));
    let best: Vec<_> = fs::read_dir(root.path().join("checkpoints"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("best-"))
        .collect();
    // The last checkpoint's, and that of the one before it where it is another.
    assert!((1..=2).contains(&best.len()), "{best:?}");
    for file in [best[0].clone(), root.path().join("model.safetensors")] {
        let names = arrays(&file);
        assert!(names.iter().any(|name| name == "weights/encoder.0.weight"));
        assert!(!names.iter().any(|name| name.contains("objective")), "{names:?}");
    }
    assert!(Model::load(root.path().join("model.safetensors")).is_ok());
    // Its rate and schedule are its own; it sits out what is not its turn.
    let steps: Vec<Line> = lines(root.path()).into_iter().filter(|line| !line.validation).collect();
    assert_eq!(steps.len(), 20);
    let (data, per_epoch) = (&training.data, steps[0].epoch);
    assert!(data.facts().rows[0] > 0 && per_epoch > 0.0);
    let mut moves = 0;
    for (step, line) in steps.iter().enumerate() {
        let close = |name: &str, wanted: f64| {
            let found = line.get(name).unwrap();
            assert!((found - wanted).abs() < 1e-5 * wanted, "step {step}: {name} {found} {wanted}");
        };
        close("learning_rate", 1e-3 * (1.0 - step as f64 / 20.0));
        let epochs = step as f64 * per_epoch;
        close("judge/learning_rate", if epochs >= 2.0 - 1e-9 { 2e-3 } else { 4e-3 });
        for name in ["judge/loss", "judge/gradient_norm", "judge", "judge2", "distortion"] {
            assert!(line.get(name).is_some_and(f64::is_finite), "{name}");
        }
        let turn = step % 3 == 0;
        moves += if turn { 2 } else { 0 };
        assert_eq!(line.get("judge2/loss").is_some(), turn, "step {step}");
        if turn {
            close("judge2/learning_rate", 5e-4);
        }
    }
    let validations: Vec<Line> = lines(root.path()).into_iter().filter(|line| line.validation).collect();
    assert!(!validations.is_empty());
    assert!(
        validations.iter().all(|line| line.get("judge/loss").is_some() && line.get("judge2/loss").is_some())
    );
    let state = TensorFile::load(&root.path().join("checkpoints/last.safetensors")).unwrap();
    let state = state.header["state"].clone();
    for counted in ["[\"judge\",20]".to_string(), format!("[\"judge2\",{moves}]"), "[\"model\",20]".into()] {
        assert!(state.contains(&counted), "{counted} in {state}");
    }
    // What was asked for of the term is written down.
    let run: toml::Table = run.parse().unwrap();
    let term = &run["objective"]["terms"]["judge2"];
    assert_eq!((term["kind"].as_str(), term["every"].as_integer()), (Some("adversarial"), Some(3)));
}

#[test]
fn moves_of_one_turn_have_noise_of_their_own() {
    // A critic without hidden layers: after its first turn of two moves, Adam's moments tell whether both gradients were one.
    let moments = |moves: u64| {
        let root = tempfile::tempdir().unwrap();
        let text = format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed' }}
             posterior = {{ kind = 'diagonal-normal', latent = 1 }}\nnetwork.kind = 'linear'
             objective.terms.distortion = {{}}
             objective.terms.judge = {{ kind = 'adversarial', hidden = [], moves_a_turn = {moves}, optimizer = {{ learning_rate = 1e-12, beta1 = 0.5 }} }}
             train = {{ steps = 1, batch = 32, keep = 'last' }}"
        );
        let mut training = training(&text, 80);
        training.folder = Some(RunFolder::open(root.path()).unwrap());
        training.train(&Default::default(), &mut |_| {}).unwrap();
        let file = TensorFile::load(&root.path().join("checkpoints/last.safetensors")).unwrap();
        f64::from(file.arrays["first/judge/objective.judge.critic.weight"].values[0])
    };
    let (one, two) = (moments(1), moments(2));
    // m₁ = g₁/2, m₂ = g₁/4 + g₂/2
    let (first, second) = (2.0 * one, 2.0 * (two - one / 2.0));
    assert!((first - second).abs() > 1e-3 * first.abs(), "{first} {second}");
}

#[test]
fn the_player_is_called_what_the_term_is() {
    let name = |table: &str| -> Vec<String> {
        let text = format!(
            "posterior = {{ kind = 'point', latent = 2 }}\nnetwork.kind = 'linear'\nobjective.estimator.kind = 'plain'
             [objective.terms.distortion]\n{table}"
        );
        make(&text, &real()).objective.players().into_iter().map(|p: Player| p.name).collect()
    };
    assert_eq!(name("[objective.terms.adversarial]"), [MODEL, "adversarial"]);
    assert_eq!(name("[objective.terms.judge]\nkind = 'adversarial'"), [MODEL, "judge"]);
    // The model's player has that name, and a path has dots.
    for taken in ["model", "'a.b'"] {
        let text = format!(
            "posterior = {{ kind = 'point', latent = 2 }}\nnetwork.kind = 'linear'\nobjective.estimator.kind = 'plain'
             objective.terms.distortion = {{}}\nobjective.terms.{taken} = {{ kind = 'adversarial' }}"
        );
        let said = refusal(&text, &real());
        assert!(said.contains("another name"), "{said}");
    }
}

#[test]
fn errors_name_the_keys_of_the_term() {
    let said = |keys: &str| {
        let text = format!(
            "posterior = {{ kind = 'point', latent = 2 }}\nnetwork.kind = 'linear'\nobjective.estimator.kind = 'plain'
             objective.terms.distortion = {{}}\nobjective.terms.judge = {{ kind = 'adversarial', {keys} }}"
        );
        refusal(&text, &real())
    };
    for (keys, key) in [
        ("every = 0", "every"),
        ("moves_a_turn = 101", "moves_a_turn"),
        ("hidden = [3, 0]", "hidden"),
        ("optimizer = { beta1 = 1.0 }", "optimizer.beta1"),
        ("learning_rate = { kind = 'exponential', gamma = 0.0 }", "learning_rate.gamma"),
        ("weight = -1.0", "weight"),
    ] {
        let said = said(keys);
        assert!(said.starts_with(&format!("`objective.terms.judge.{key}`")), "{said}");
    }
}
