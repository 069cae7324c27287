//! The critic of patches: gradients against differences, its spectral norm against singular values, λ against the gradients
//! it compares, when it moves and when it is heard, any size of image.

use latent::batch::Batch;
use latent::data::{Data, DataSettings, Facts, Memory, SampleShape, ValueKind};
use latent::device::{host_f64, scalar};
use latent::member::Progress;
use latent::model::View;
use latent::objective::Pass;
use latent::optimizer::MODEL;
use latent::train::{Autoencoder, Line, RunFolder, Trainable};
use latent::weights::Weights;
use latent::{Key, Layers, Options, Training};

use crate::common::*;

fn image(channels: usize, height: usize, width: usize) -> SampleShape {
    SampleShape::Image { channels, height, width }
}

fn grey(height: usize, width: usize) -> Facts {
    facts(image(1, height, width), ValueKind::Grey)
}

fn text(keys: &str) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.5 }}
        posterior = {{ kind = 'diagonal-normal', latent = 2 }}
        network = {{ kind = 'mlp', hidden = [5], activation = 'silu' }}
        objective.terms.distortion = {{}}
        objective.terms.sharp = {{ kind = 'patch-critic', channels = [3, 4], {keys} }}"
    )
}

/// A step late in a run.
const LATE: Option<Progress> = Some(Progress { step: 90, steps_per_epoch: 10, total: 100 });

/// A task whose critic has found its singular directions: `start` takes some steps of the power method each time.
fn settled(made: Made) -> Autoencoder {
    let width = made.model.sample.features();
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    for _ in 0..40 {
        task.start(&|count, _| Ok(batch(vec![0.0; count * width], width)), Key::from_seed(1)).unwrap();
    }
    task
}

fn rows(n: usize, width: usize) -> Batch {
    let x = normals(Key::from_seed(4), n * width).into_iter().map(|v| 0.5 + 0.3 * v).collect();
    batch(x, width)
}

fn total(task: &Autoencoder, weights: &Weights, player: &str, rows: &Batch) -> burn::tensor::Tensor<1> {
    let view = View::training(&task.model, weights, Key::from_seed(1));
    let draws = task.objective.estimator.draws();
    let pass = Pass::of(player, view, rows, draws, Key::from_seed(5)).at(LATE);
    task.objective.loss(&pass, LATE).total
}

#[test]
fn gradients_of_model_and_critic_are_those_of_differences() {
    for keys in [
        "adaptive = false",
        "adaptive = false, loss = 'logistic', prior = true, weight = 2.0",
        "adaptive = false, features = 0.7, weight = 0.3",
    ] {
        let made = make(&format!("{}\nobjective.estimator.draws = 2", text(keys)), &grey(9, 6));
        let task = settled(made.randomised(Key::from_seed(2), 0.5));
        let rows = rows(3, 54);
        for player in task.players() {
            let tracked = task.weights.tracked(&player.moves);
            let mut gradients = total(&task, &tracked, &player.name, &rows).backward();
            let (mut worst, mut touched): (f64, _) = (0.0, 0);
            for (id, weight) in task.weights.iter() {
                let own = weight.path().starts_with("objective.sharp.") == (player.name == "sharp");
                assert_eq!((player.moves)(weight.path()), own, "{} moves {}", player.name, weight.path());
                let found = tracked.gradient(id, &mut gradients).map(|g| host_f64(&g));
                let Some(found) = found.filter(|_| weight.is_trained()) else { continue };
                assert!(own, "{}: a gradient of {}", player.name, weight.path());
                touched += 1;
                let at = values(&task.weights, id);
                for place in (0..at.len()).step_by(1 + at.len() / 7) {
                    let moved = |by: f64| {
                        let (mut weights, mut values) = (task.weights.clone(), at.clone());
                        values[place] += by;
                        weights.set(id, double().tensor_f64(values, [at.len()]));
                        scalar(&total(&task, &weights, &player.name, &rows))
                    };
                    let wanted = (moved(1e-6) - moved(-1e-6)) / 2e-6;
                    worst = worst.max((found[place] - wanted).abs() / wanted.abs().max(1.0));
                }
            }
            println!("{keys}: {}: {touched} arrays, gradients off by {worst:.1e}", player.name);
            assert!(touched >= 6 && worst < 1e-6, "{keys} {}: {touched} {worst:.1e}", player.name);
        }
    }
}

#[test]
fn every_layer_of_the_critic_has_the_greatest_singular_value_one() {
    // Scores are linear in what comes into the head, so that kernels of any size give the same scores.
    let scores = |scale: f64| {
        let mut made = make(&text("adaptive = false"), &grey(9, 6)).randomised(Key::from_seed(2), 0.5);
        for layer in ["critic0", "critic1", "critic"] {
            let path = format!("objective.sharp.{layer}.weight");
            let own: Vec<f64> = made.get(&path).into_iter().map(|w| scale * w).collect();
            made.set(&path, &own);
        }
        let task = settled(made);
        // The last kernel has one output: its singular value is its length, and it is divided by it.
        let id = task.weights.iter().find(|(_, w)| w.path() == "objective.sharp.critic.direction").unwrap().0;
        close(values(&task.weights, id)[0].abs(), 1.0, 1e-12);
        scalar(&total(&task, &task.weights, "sharp", &rows(3, 54)))
    };
    let [once, thrice] = [1.0, 3.0].map(scores);
    close(once, thrice, 1e-9);
}

#[test]
fn both_gradients_at_the_decoder_s_outputs_are_equally_long() {
    // Of one row, a linear decoder's bias has the gradient of the outputs.
    let gradient = |keys: &str| {
        let linear = text(keys).replace("kind = 'mlp', hidden = [5], activation = 'silu'", "kind = 'linear'");
        let task = settled(make(&linear, &grey(9, 6)).randomised(Key::from_seed(2), 0.5));
        let tracked = task.weights.tracked(|path| path == "decoder.0.bias");
        let mut gradients = total(&task, &tracked, MODEL, &rows(1, 54)).backward();
        let id = task.weights.iter().find(|(_, w)| w.path() == "decoder.0.bias").unwrap().0;
        host_f64(&tracked.gradient(id, &mut gradients).unwrap())
    };
    let none = gradient("weight = 0.0");
    let less = |keys: &str| -> Vec<f64> { gradient(keys).iter().zip(&none).map(|(a, b)| a - b).collect() };
    let (plain, measured) = (less("adaptive = false"), less("weight = 0.5"));
    let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    close(length(&measured), 0.5 * length(&none), 1e-9);
    let factor = 0.5 * length(&none) / length(&plain);
    println!("λ = {:.2}", 2.0 * factor);
    all_close(&measured, &plain.iter().map(|v| factor * v).collect::<Vec<_>>(), 1e-9);
}

#[test]
fn before_the_start_and_in_validation_the_model_does_not_hear_it() {
    let task =
        settled(make(&text("start = 0.5, lead = 0.1"), &grey(9, 6)).randomised(Key::from_seed(2), 0.5));
    let rows = rows(3, 54);
    let loss = |progress: Option<Progress>| {
        let view = View::training(&task.model, &task.weights, Key::from_seed(1));
        let pass = Pass::of(MODEL, view, &rows, 1, Key::from_seed(5)).at(progress);
        let loss = task.objective.loss(&pass, progress);
        let get = |name: &str| loss.terms.iter().find(|(n, _)| n == name).map(|(_, value)| scalar(value));
        (get("loss").unwrap(), get("distortion").unwrap(), get("sharp"))
    };
    let at = |step: u64| Progress { step, steps_per_epoch: 10, total: 100 };
    let (sum, distortion, said) = loss(Some(at(49)));
    assert!(said.is_none() && sum == distortion && !task.settled(at(49)));
    let (sum, distortion, said) = loss(Some(at(50)));
    assert!(said.is_some() && sum != distortion && task.settled(at(50)));
    let (sum, distortion, said) = loss(None);
    assert!(said.is_some() && sum == distortion);
    let critic = task.players().remove(1);
    assert!(critic.moves_at(40, 100) && !critic.moves_at(39, 100), "it learns before it is heard");
}

#[test]
fn images_of_any_size_and_rows_of_tables_are_judged() {
    for (channels, height, width) in
        [(1, 1, 1), (1, 2, 2), (3, 3, 7), (1, 28, 28), (3, 33, 17), (1, 64, 64), (3, 32, 128)]
    {
        let kind = if channels == 1 { ValueKind::Grey } else { ValueKind::Colour };
        let made = make(
            &text("features = 1.0, prior = true").replace("[3, 4]", "[3, 4, 5, 6]"),
            &facts(image(channels, height, width), kind),
        );
        let task = settled(made);
        for player in [MODEL, "sharp"] {
            let found = scalar(&total(&task, &task.weights, player, &rows(2, channels * height * width)));
            assert!(found.is_finite(), "{channels}×{height}×{width}: {found}");
        }
    }
    let task = settled(make(&text("features = 1.0"), &facts(vector(6), ValueKind::Real)));
    assert!(
        [MODEL, "sharp"]
            .iter()
            .all(|player| scalar(&total(&task, &task.weights, player, &rows(2, 6))).is_finite())
    );
}

/// Noise of strong contrast as 120 images of 8 × 8.
fn noise() -> Data {
    let mut x = vec![0.0f32; 120 * 64];
    Key::from_seed(1).uniforms(&mut x);
    x.iter_mut().for_each(|v| *v = v.round());
    // Not bits alone.
    x.iter_mut().step_by(64).for_each(|v| *v = 0.25 + 0.5 * *v);
    let memory = Memory::new(image(1, 8, 8), x);
    Data::from_memory(memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {}).unwrap()
}

fn training(text: &str) -> Training {
    let table: toml::Table = text.parse().unwrap();
    let layers = Layers { table: table.clone(), explicit: table };
    Training::in_memory(&layers, noise(), Options::default(), &mut |_| {}).unwrap()
}

#[test]
fn texture_is_told_from_what_has_none() {
    // A decoder that does not move and gives one grey. Where data and what is made have nothing in common, the hinge goes to 0
    // and the critic says −1 or less of what is made.
    for (loss, most) in [("hinge", 0.1), ("logistic", 0.2)] {
        let text = format!(
            "{}\nobjective.estimator.kind = 'plain'
            train = {{ steps = 150, batch = 32, keep = 'last', validate_every = 1000.0, optimizer = {{ learning_rate = 1e-30 }} }}",
            text(&format!("start = 0.0, loss = '{loss}', optimizer = {{ learning_rate = 1e-2 }}"))
                .replace("[3, 4]", "[8, 8]")
        );
        let root = tempfile::tempdir().unwrap();
        let mut training = training(&text);
        training.folder = Some(RunFolder::open(root.path()).unwrap());
        training.train(&Default::default(), &mut |_| {}).unwrap();
        let lines = std::fs::read_to_string(root.path().join("metrics.jsonl")).unwrap();
        let steps: Vec<Line> =
            lines.lines().filter_map(Line::parse).filter(|line| !line.validation).collect();
        let (first, last) = (&steps[0], steps.last().unwrap());
        let of = |line: &Line, name: &str| line.get(name).unwrap();
        println!(
            "{loss}: the critic's {:.3} → {:.3}, the model's {:.3} → {:.3}",
            of(first, "sharp/loss"),
            of(last, "sharp/loss"),
            of(first, "sharp"),
            of(last, "sharp")
        );
        assert!(of(last, "sharp/loss") < most && of(first, "sharp/loss") > 0.5);
        assert!(of(last, "sharp") > 0.9);
    }
}

#[test]
fn it_moves_late_and_its_arrays_are_for_training_alone() {
    let text = format!(
        "{}\ntrain = {{ steps = 20, batch = 32, ema = 0.9 }}",
        text("start = 0.5, lead = 0.1, every = 2")
    );
    let root = tempfile::tempdir().unwrap();
    let mut training = training(&text);
    let said = training.preflight().unwrap();
    assert!(said.steps == 20 && said.seconds_per_step > 0.0);
    training.folder = Some(RunFolder::open(root.path()).unwrap());
    training.train(&Default::default(), &mut |_| {}).unwrap();
    let lines = std::fs::read_to_string(root.path().join("metrics.jsonl")).unwrap();
    let steps: Vec<Line> = lines.lines().filter_map(Line::parse).filter(|line| !line.validation).collect();
    for (step, line) in steps.iter().enumerate() {
        assert_eq!(line.get("sharp/loss").is_some(), step >= 8 && step % 2 == 0, "step {step}");
        assert_eq!(line.get("sharp").is_some(), step >= 10, "step {step}");
    }
    let arrays = |file: &str| -> Vec<String> {
        latent::store::TensorFile::load(&root.path().join(file)).unwrap().arrays.into_keys().collect()
    };
    let last = arrays("checkpoints/last.safetensors");
    for name in ["weights/objective.sharp.critic0.direction", "first/sharp/objective.sharp.critic.weight"] {
        assert!(last.iter().any(|found| found == name), "{name} in {last:?}");
    }
    assert!(!arrays("model.safetensors").iter().any(|name| name.contains("objective")));
}

#[test]
fn errors_name_the_keys_of_the_term() {
    let grey = grey(9, 6);
    for (keys, key) in [
        ("start = 1.0", "start"),
        ("lead = -0.1", "lead"),
        ("features = -1.0", "features"),
        ("every = 0", "every"),
        ("optimizer = { beta1 = 1.0 }", "optimizer.beta1"),
        ("learning_rate = { kind = 'exponential', gamma = 0.0 }", "learning_rate.gamma"),
        ("weight = -1.0", "weight"),
    ] {
        let said = refusal(&text(keys), &grey);
        assert!(said.starts_with(&format!("`objective.terms.sharp.{key}`")), "{said}");
    }
    let said = refusal(&text("").replace("[3, 4]", "[3, 0]"), &grey);
    assert!(said.starts_with("`objective.terms.sharp.channels`"), "{said}");
    let note = |kind: ValueKind| {
        let likelihood = "likelihood = { kind = 'normal', scale = 'fixed', sigma = 0.5 }";
        let text = text("").replace(likelihood, "likelihood.kind = 'bernoulli'");
        make(&text, &facts(image(1, 9, 6), kind)).objective.terms[1].term.note()
    };
    assert!(
        note(ValueKind::Binary).is_some_and(|said| said.contains("bits")) && note(ValueKind::Grey).is_none()
    );
    let split = |keys: &str| format!("{}\ntrain = {{ batch = 8, accumulate = 2 }}", text(keys));
    let said = refusal(&split(""), &grey);
    assert!(said.contains("whole batch") && said.contains("adaptive = false"), "{said}");
    assert!(try_make(&split("adaptive = false"), &grey).is_ok());
}
