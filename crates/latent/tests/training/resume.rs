//! A run that was interrupted or killed and went on ends with the same bits as one that never was.

use std::fs;
use std::io::Write;
use std::path::Path;

use crate::common::*;
use latent::Error;
use latent::Layers;
use latent::train::{Event, Outcome, TrainError};

/// Dense, bits drawn anew each epoch, each step in two parts, early stopping.
const DYNAMIC: &str = "
    data.binarize=dynamic
    likelihood.kind=bernoulli
    posterior={kind='diagonal-normal', latent=4}
    network={kind='mlp', hidden=[24]}
    train.batch=32
    train.epochs=12
    train.accumulate=2
    train.patience=2
    train.optimizer.learning_rate=0.02
    train.checkpoint_every=7
";

/// Convolutions on an image folder, mirrored by coin, with averaged weights and a measured σ.
const CONV: &str = "
    data.flip=horizontal
    data.workers=2
    likelihood={kind='normal', scale='optimal'}
    posterior={kind='diagonal-normal', latent=3}
    network={kind='conv', channels=[4, 6]}
    objective.terms.rate.schedule={kind='linear', epochs=1}
    train.batch=16
    train.epochs=3
    train.ema=0.9
    train.clip=5.0
    train.schedule={kind='cosine', warmup=3}
    train.checkpoint_every=4
";

/// Runs straight; then stopped and resumed; then resumed from copies of the folder made while it ran, as a
/// crash would leave them.
fn survives(layers: &Layers, root: &Path, stops: &[u64]) -> End {
    let straight = root.join("straight");
    let mut moments = Vec::new();
    let mut training = prepare(layers, &straight, false).unwrap();
    training
        .train(&Default::default(), &mut |event| {
            let name = match event {
                Event::Started { .. } => "started".to_string(),
                Event::Step { line, .. } if stops.contains(&line.step) => format!("step {}", line.step),
                // The best weights are written here, the checkpoint that counts on them is not.
                Event::Validated { line, best } => format!("validated {} best {best}", line.step),
                _ => return,
            };
            let copied = root.join(&name);
            copy(&straight, &copied);
            moments.push(copied);
        })
        .unwrap();
    drop(training);
    let expected = end(&straight);

    let stopped = root.join("stopped");
    let mut first = true;
    loop {
        let outcome = train(layers, &stopped, !first, |step| stops.contains(&step));
        first = false;
        if outcome == Outcome::Finished {
            break;
        }
    }
    assert_same(&expected, &end(&stopped), "stopped and resumed");

    for copied in moments {
        // Lines that no checkpoint counts on, the last one cut, and a file half-written.
        let mut log = fs::OpenOptions::new().append(true).open(copied.join("metrics.jsonl")).unwrap();
        log.write_all(b"{\"step\": 9, \"loss\": 1}\n{\"st").unwrap();
        let half = copied.join("checkpoints/last.safetensors.1.tmp");
        fs::write(&half, b"half").unwrap();
        assert_eq!(train(layers, &copied, true, |_| false), Outcome::Finished);
        assert_same(&expected, &end(&copied), &copied.display().to_string());
        assert!(!half.exists());
    }
    expected
}

#[test]
fn dense_with_dynamic_bits_parts_and_early_stopping() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 120, 6);
    let expected = survives(&layers(&data, DYNAMIC), root.path(), &[1, 5, 8, 20, 21]);
    let steps = expected.metrics.lines().filter(|line| line.contains("\"train\"")).count();
    assert!(steps < 12 * 3, "patience never ran out in {steps} steps");
}

#[test]
fn conv_with_average_on_an_image_folder() {
    let root = tempfile::tempdir().unwrap();
    let data = pngs(root.path(), 90, 9);
    survives(&layers(&data, CONV), root.path(), &[2, 4, 9, 11]);
}

#[test]
fn what_a_finished_run_lacks_is_written_and_nothing_else_touched() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    // --resume where there is nothing starts at 0.
    assert_eq!(train(&layers, &run, true, |_| false), Outcome::Finished);
    let expected = end(&run);
    let stamps = |run: &Path| {
        ["run.toml", "model.safetensors", "metrics.jsonl", "checkpoints/last.safetensors"]
            .map(|name| fs::metadata(run.join(name)).unwrap().modified().unwrap())
    };
    let before = stamps(&run);
    assert_eq!(train(&layers, &run, true, |_| panic!("a step was taken")), Outcome::Finished);
    assert_eq!(before, stamps(&run));
    // Killed between the last checkpoint and the model.
    fs::remove_file(run.join("model.safetensors")).unwrap();
    train(&layers, &run, true, |_| panic!("a step was taken"));
    assert_same(&expected, &end(&run), "model written anew");
}

#[test]
fn a_finished_run_can_be_extended_and_killed_then_too() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    train(&layers, &run, false, |_| false);
    let first = end(&run);
    let killed = root.path().join("killed");
    copy(&run, &killed);

    layers.set("train.epochs=9").unwrap();
    train(&layers, &run, true, |_| false);
    let second = end(&run);
    assert!(second.metrics.starts_with(&first.metrics) && second.metrics.len() > first.metrics.len());
    assert!(first.last != second.last);
    let copied = root.path().join("stale");
    copy(&run, &copied);
    // Killed before the new model was written: the old one is still there.
    fs::write(copied.join("model.safetensors"), &first.model).unwrap();
    train(&layers, &copied, true, |_| panic!("a step was taken"));
    assert_same(&second, &end(&copied), "stale model");

    train(&layers, &killed, true, |step| step == 20);
    train(&layers, &killed, true, |_| false);
    assert_same(&second, &end(&killed), "extended and interrupted");
}

#[test]
fn weights_of_another_run_are_not_lost_by_a_crash_at_the_start() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let (other, run, killed) =
        (root.path().join("other"), root.path().join("run"), root.path().join("killed"));
    train(&layers, &other, false, |_| false);
    let start = |folder: &Path, resume| {
        let options = latent::Options { resume, init_from: Some(&other), ..Default::default() };
        latent::Training::prepare(&layers, folder, options, &mut |_| {}).unwrap()
    };
    start(&run, false).train(&Default::default(), &mut |_| {}).unwrap();
    // Prepared, and killed before the first checkpoint.
    drop(start(&killed, false));
    assert!(!killed.join("checkpoints/last.safetensors").exists());
    train(&layers, &killed, true, |_| false);
    assert_same(&end(&run), &end(&killed), "killed at the start");
}

#[test]
fn a_log_that_lost_lines_says_so_and_the_run_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let (run, short) = (root.path().join("run"), root.path().join("short"));
    train(&layers, &run, false, |_| false);
    train(&layers, &short, false, |step| step == 10);
    let log = short.join("metrics.jsonl");
    let lines = fs::read_to_string(&log).unwrap();
    fs::write(&log, &lines[..lines.len() / 2]).unwrap();
    train(&layers, &short, true, |_| false);
    assert!(end(&run).model == end(&short).model);
    let text = fs::read_to_string(&log).unwrap();
    assert!(text.contains("earlier lines of this file are missing"));
    let last = |text: &str| text.lines().last().map(String::from);
    assert_eq!(last(&text), last(&fs::read_to_string(run.join("metrics.jsonl")).unwrap()));
}

#[test]
fn what_was_prepared_and_never_trained_may_be_begun_anew() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    drop(prepare(&layers, &run, false).unwrap());
    layers.set("train.batch=16").unwrap();
    train(&layers, &run, false, |_| false);
    assert!(fs::read_to_string(run.join("run.toml")).unwrap().contains("batch = 16"));
}

#[test]
fn what_may_not_go_on_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 100, 6);
    let run = root.path().join("run");
    let fine = layers(&data, DENSE);
    train(&fine, &run, false, |step| step == 3);
    let refusal = |layers: &Layers, resume: bool| match prepare(layers, &run, resume) {
        Err(Error::Train(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("not refused"),
    };
    assert!(matches!(refusal(&fine, false), TrainError::Exists { .. }));
    for (setting, name) in [
        ("train.batch=16", "train.batch"),
        ("network.hidden=[25]", "encoder.hidden"),
        ("seed=9", "seed"),
        ("objective.terms.rate.weight=0.5", "objective.terms.rate.weight"),
    ] {
        let mut other = fine.clone();
        other.set(setting).unwrap();
        assert!(
            matches!(refusal(&other, true), TrainError::SettingsChanged { key, .. } if key == name),
            "{setting}"
        );
    }
    let mut preset = fine.clone();
    preset.preset("vae").unwrap();
    assert!(matches!(refusal(&preset, true), TrainError::SettingsChanged { key, .. } if key == "preset"));
    {
        let _held = prepare(&fine, &run, true).unwrap();
        assert!(matches!(refusal(&fine, true), TrainError::Locked { .. }));
    }
    // The same rows elsewhere are the same data; other rows at the same place are not.
    let moved = root.path().join("moved.npy");
    fs::copy(&data, &moved).unwrap();
    prepare(&layers(&moved, DENSE), &run, true).unwrap();
    npy(root.path(), 101, 6);
    assert!(matches!(refusal(&fine, true), TrainError::DataChanged { .. }));
    fs::remove_file(run.join("run.toml")).unwrap();
    assert!(matches!(refusal(&fine, true), TrainError::Checkpoint { .. }));
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    train(&layers, &run, false, |step| step == 10);
    let last = run.join("checkpoints/last.safetensors");
    // Without the one before it, from which training would go on.
    for name in ["planned", "previous"] {
        let _ = fs::remove_file(run.join(format!("checkpoints/{name}.safetensors")));
    }
    let whole = fs::read(&last).unwrap();
    let mut flipped = whole.clone();
    let at = flipped.len() - 100;
    flipped[at] ^= 4;
    for damaged in [&whole[..whole.len() - 7], &whole[..20], &flipped] {
        fs::write(&last, damaged).unwrap();
        let mut training = prepare(&layers, &run, true).unwrap();
        let error = training.train(&Default::default(), &mut |_| {}).unwrap_err().to_string();
        assert!(error.contains("last.safetensors"), "{error}");
    }
}
