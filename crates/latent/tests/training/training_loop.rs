//! The loop's parts: accumulation, clipping, averaging, judging, stopping, and what it writes.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::common::*;
use latent::Error;
use latent::store::TensorFile;
use latent::train::{Event, Line, Outcome, RunFolder, TrainError};

fn lines(run: &Path) -> Vec<Line> {
    fs::read_to_string(run.join("metrics.jsonl")).unwrap().lines().filter_map(Line::parse).collect()
}

fn checkpoint(run: &Path) -> TensorFile {
    TensorFile::load(&run.join("checkpoints/last.safetensors")).unwrap()
}

#[test]
fn parts_of_a_batch_give_the_gradient_of_the_whole() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    layers.set("train.steps=1").unwrap();
    // 5 does not divide 32: parts of unequal size.
    let first: Vec<_> = ["1", "5"]
        .into_iter()
        .map(|parts| {
            layers.set(&format!("train.accumulate={parts}")).unwrap();
            let run = root.path().join(parts);
            train(&layers, &run, false, |_| false);
            (checkpoint(&run), lines(&run).remove(0))
        })
        .collect();
    let [(whole, a), (parts, b)] = &first[..] else { panic!() };
    for name in ["loss", "distortion", "rate", "gradient_norm"] {
        let (a, b) = (a.get(name).unwrap(), b.get(name).unwrap());
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1.0), "{name}: {a} {b}");
    }
    // Adam's first moment after a step is a tenth of the gradient.
    for (name, array) in whole.arrays.iter().filter(|(name, _)| name.starts_with("first/")) {
        for (a, b) in array.values.iter().zip(&parts.arrays[name].values) {
            assert!((a - b).abs() < 1e-5, "{name}: {a} {b}");
        }
    }
}

#[test]
fn accumulation_is_refused_where_rows_are_coupled() {
    let root = tempfile::tempdir().unwrap();
    let data = npy(root.path(), 100, 6);
    for coupled in ["likelihood={kind='normal', scale='optimal'}", "objective.terms.mmd={weight=1.0}"] {
        let mut layers = layers(&data, DENSE);
        layers.set("likelihood={kind='normal', scale='fixed'}").unwrap();
        layers.set(coupled).unwrap();
        layers.set("train.accumulate=2").unwrap();
        let error = prepare(&layers, &root.path().join("run"), false).err().expect(coupled).to_string();
        assert!(error.contains("train.accumulate = 1"), "{error}");
        // Refused before anything is made.
        assert!(!root.path().join("run").exists());
    }
}

#[test]
fn clipping_bounds_the_norm_of_all_gradients_together() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    layers.set("train.steps=1").unwrap();
    layers.set("train.clip=0.5").unwrap();
    let run = root.path().join("run");
    train(&layers, &run, false, |_| false);
    assert!(lines(&run)[0].get("gradient_norm").unwrap() > 0.5);
    let moments = checkpoint(&run);
    let moments = moments.arrays.iter().filter(|(name, _)| name.starts_with("first/"));
    let norm = moments.flat_map(|(_, a)| &a.values).map(|&m| f64::from(10.0 * m).powi(2)).sum::<f64>().sqrt();
    assert!((norm - 0.5).abs() < 1e-4, "{norm}");
}

#[test]
fn the_average_follows_and_is_what_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    layers.set("train.ema=0.99").unwrap();
    layers.set("train.keep=last").unwrap();
    layers.set("train.steps=2").unwrap();
    layers.set("train.checkpoint_every=1").unwrap();
    let run = root.path().join("run");
    let mut states = Vec::new();
    let mut training = prepare(&layers, &run, false).unwrap();
    training
        .train(&Default::default(), &mut |event| {
            if matches!(event, Event::Started { .. } | Event::Step { .. }) {
                states.push(checkpoint(&run));
            }
        })
        .unwrap();
    states.push(checkpoint(&run));
    // An event comes before the checkpoint of its step: at the start, still the start, after step 1, after step 2.
    let (before, one, two) = (&states[0], &states[2], &states[3]);
    let name = "encoder.0.weight";
    let of = |file: &TensorFile, set: &str| file.arrays[&format!("{set}/{name}")].values.clone();
    let follows = |old: &[f32], now: &[f32], average: &[f32], d: f32| {
        for ((old, now), average) in old.iter().zip(now).zip(average) {
            assert!((old * d + now * (1.0 - d) - average).abs() < 1e-6);
        }
    };
    follows(&of(before, "weights"), &of(one, "weights"), &of(one, "average"), 0.1);
    follows(&of(one, "average"), &of(two, "weights"), &of(two, "average"), 2.0 / 11.0);
    assert_eq!(of(two, "average"), of(two, "kept"));
    let model = TensorFile::load(&run.join("model.safetensors")).unwrap();
    assert_eq!(of(&model, "weights"), of(two, "kept"));
}

#[test]
fn the_best_counts_from_when_the_terms_have_their_weights() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    layers.set("objective.terms.rate.schedule={kind='linear', epochs=3}").unwrap();
    let run = root.path().join("run");
    let mut training = prepare(&layers, &run, false).unwrap();
    let (mut judged, mut steps_per_epoch) = (Vec::new(), 0);
    training
        .train(&Default::default(), &mut |event| match event {
            Event::Started { steps_per_epoch: steps, .. } => steps_per_epoch = steps,
            Event::Validated { line, best } => {
                judged.push((line.step / steps_per_epoch, best, line.get("loss").unwrap()))
            }
            _ => {}
        })
        .unwrap();
    assert_eq!(
        judged[..3].iter().map(|j| (j.0, j.1)).collect::<Vec<_>>(),
        [(1, false), (2, false), (3, true)]
    );
    // Validation always sees the final weights of the terms, and the file with the best weights is the last that was best.
    let best = judged.iter().rfind(|j| j.1).unwrap();
    let least = judged[2..].iter().map(|j| j.2).fold(f64::INFINITY, f64::min);
    assert_eq!(best.2, least);
    let kept: Vec<_> = fs::read_dir(run.join("checkpoints"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("best-"))
        .collect();
    // Beside it lies that of the checkpoint before the last, where it is another.
    assert!(
        kept.len() <= 2 && kept.contains(&format!("best-{}.safetensors", best.0 * steps_per_epoch)),
        "{kept:?}"
    );
}

#[test]
fn steps_and_minutes_stop_a_run_that_can_then_go_on() {
    let root = tempfile::tempdir().unwrap();
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    layers.set("train.steps=5").unwrap();
    layers.set("train.minutes=0.0000001").unwrap();
    assert_eq!(train(&layers, &run, false, |_| false), Outcome::Finished);
    let steps =
        |run: &Path| lines(run).into_iter().filter(|l| !l.validation).map(|l| l.step).collect::<Vec<_>>();
    assert_eq!(steps(&run), [1]);
    assert!(run.join("model.safetensors").exists());
    layers.set("train.minutes=0").unwrap();
    train(&layers, &run, true, |_| false);
    assert_eq!(steps(&run), [1, 2, 3, 4, 5]);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let file = root.path().join("file");
    fs::write(&file, b"in the way").unwrap();
    match prepare(&layers, &file.join("run"), false).err() {
        Some(Error::Train(TrainError::Io { path, source })) => {
            assert!(path.starts_with(&file));
            assert_eq!(source.kind(), ErrorKind::NotADirectory);
        }
        other => panic!("{other:?}"),
    }
    // A folder stands where the log should be.
    let run = root.path().join("run");
    drop(RunFolder::open(&run).unwrap());
    fs::create_dir(run.join("metrics.jsonl")).unwrap();
    let mut training = prepare(&layers, &run, false).unwrap();
    let error = training.train(&Default::default(), &mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("metrics.jsonl"), "{error}");
}

/// On Linux as root: a file system of 300 kB, on which a run cannot end.
#[test]
fn a_full_disk_is_said_and_loses_nothing() {
    let root = tempfile::tempdir().unwrap();
    let small = root.path().join("small");
    fs::create_dir(&small).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=300k", "none"])
        .arg(&small)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("skipped: a small file system cannot be mounted here");
        return;
    }
    let mut layers = layers(&npy(root.path(), 100, 6), DENSE);
    layers.set("train.checkpoint_every=2").unwrap();
    let run = small.join("run");
    let mut training = prepare(&layers, &run, false).unwrap();
    let mut filled = false;
    let error = training.train(&Default::default(), &mut |event| {
        if let Event::Step { line, .. } = event
            && line.step == 5
        {
            filled = fs::write(small.join("fill"), vec![0; 300_000]).is_err();
        }
    });
    let (text, left) = (error.map_err(|e| e.to_string()), checkpoint(&run));
    fs::remove_file(small.join("fill")).unwrap();
    drop(training);
    train(&layers, &run, true, |_| false);
    let ended = end(&run);
    let whole = root.path().join("whole");
    train(&layers, &whole, false, |_| false);
    let expected = end(&whole);
    std::process::Command::new("umount").arg(&small).status().unwrap();
    assert!(filled);
    let text = text.unwrap_err();
    assert!(text.contains("make room on the disk"), "{text}");
    assert!(left.header["state"].contains("\"step\":4,"));
    assert_same(&expected, &ended, "after the disk was full");
}

#[test]
fn tensorboard_gets_the_names_of_the_log() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 100, 6), DENSE);
    let run = root.path().join("run");
    train(&layers, &run, false, |step| step == 5);
    train(&layers, &run, true, |_| false);
    // One file a process; a run that does nothing more writes none.
    train(&layers, &run, true, |_| false);
    let mut files: Vec<_> =
        fs::read_dir(run.join("events")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    let bytes = fs::read(&files[1]).unwrap();
    let holds = |tag: &str| bytes.windows(tag.len()).filter(|part| *part == tag.as_bytes()).count();
    let (steps, validations): (Vec<_>, Vec<_>) =
        lines(&run).into_iter().filter(|line| line.step > 5).partition(|line| !line.validation);
    assert_eq!(holds("train/gradient_norm"), steps.len());
    assert_eq!(holds("validation/distortion"), validations.len());
}
