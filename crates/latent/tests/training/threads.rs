//! The bits of a run depend on nothing but the run: neither on the number of threads nor on chance.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;

use latent::Layers;
use latent::{Options, Training};

/// A small run on the embedded images.
fn prepare(preset: &str, keys: &[&str], folder: &Path) -> Training {
    let mut layers = Layers::default();
    if !preset.is_empty() {
        layers.preset(preset).unwrap();
    }
    let own = ["data.source=embedded", "data.limit=600", "train.steps=12", "train.keep=last"];
    for key in own.iter().chain(keys) {
        layers.set(key).unwrap();
    }
    Training::prepare(&layers, folder, Options::default(), &mut |_| {}).unwrap()
}

const RUNS: [(&str, &[&str]); 3] = [
    ("vae", &["train.batch=100"]),
    ("iwae", &["objective.estimator.draws=5"]),
    ("", &["train.batch=32", "train.validate_every=0.5"]),
];

#[test]
#[ignore = "run by the_bits_of_a_run_are_the_same_at_any_thread_count"]
fn train_into_the_folder() {
    let folder = std::env::var("LATENT_TEST_FOLDER").unwrap();
    for (index, (preset, keys)) in RUNS.into_iter().enumerate() {
        let mut training = prepare(preset, keys, &Path::new(&folder).join(index.to_string()));
        training.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
    }
}

/// Every loss (metrics.jsonl) and all final weights (the model file), byte for byte; twice at 2 threads.
#[test]
fn the_bits_of_a_run_are_the_same_at_any_thread_count() {
    let root = tempfile::tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let runs: Vec<Vec<Vec<u8>>> = ["1", "2", "2", "4"]
        .into_iter()
        .enumerate()
        .map(|(attempt, threads)| {
            let folder = root.path().join(attempt.to_string());
            let status = Command::new(&program)
                .args(["threads::train_into_the_folder", "--exact", "--ignored"])
                .env("RAYON_NUM_THREADS", threads)
                .env("LATENT_TEST_FOLDER", &folder)
                .output()
                .unwrap()
                .status;
            assert!(status.success());
            (0..RUNS.len())
                .flat_map(|run| {
                    ["metrics.jsonl", "model.safetensors"].map(|file| folder.join(run.to_string()).join(file))
                })
                .map(|path| std::fs::read(path).unwrap())
                .collect()
        })
        .collect();
    for other in &runs[1..] {
        for (file, (one, other)) in runs[0].iter().zip(other).enumerate() {
            assert!(one == other, "file {file} differs");
        }
    }
}
