//! SIGKILL at any moment, then resumed, for members whose state is more than weights that gradients move: a book with its
//! counts, a critic with an optimiser of its own, batch statistics beside a moving average of the weights. The run ends with
//! the bits of one that was left alone.
//!
//! As in `kill.rs` the run is this test binary started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;
use latent::Layers;

/// The folder of data and runs, and the run's name in it: set for the process that is to be killed.
const CHILD: &str = "LATENT_TEST_KILLED_RUN";
/// Which of the configurations it is.
const CHILD_KIND: &str = "LATENT_TEST_KILLED_KIND";

/// A checkpoint every other step, so that many kills hit one being written.
const PACE: &str = "
    train.batch=16
    train.epochs=30
    train.checkpoint_every=2
";

/// Preset and what is smaller than in it.
fn configuration(kind: &str) -> (&'static str, &'static str) {
    match kind {
        // Codes die and are revived all along.
        "book" => (
            "vq-vae",
            "posterior={kind='quantized', codes=8, revive=0.6, decay=0.9, latent={channels=4, factor=4}}
            network.channels=[4, 8]",
        ),
        // A book a stage, and rows that see the first stages alone.
        "stages" => (
            "residual-vq-vae",
            "posterior={kind='residual', stages=2, codes=8, revive=0.6, decay=0.9, latent={channels=4, factor=4}}
            network.channels=[4, 8]",
        ),
        "critic" => (
            "wae-gan",
            "network={kind='conv', channels=[6, 6]}
            posterior.latent=3
            objective.terms.adversarial.hidden=[16]
            objective.terms.adversarial.every=2
            objective.terms.adversarial.moves_a_turn=3",
        ),
        // Heard from the middle on, with the singular directions of its kernels in buffers.
        "patches" => (
            "spatial-vae",
            "network={kind='spatial', channels=[4, 8]}
            objective.terms.sharp={kind='patch-critic', channels=[4, 4], start=0.4, lead=0.1, moves_a_turn=2}
            train.ema=0.9",
        ),
        // A subset of exemplars a step, whose codes are kept.
        "exemplars" => (
            "exemplar-vae",
            "prior={kind='exemplar', exemplars=40, subset=6}
            network={kind='mlp', hidden=[12]}
            posterior.latent=3",
        ),
        "statistics" => (
            "spatial-vae",
            "network={kind='spatial', channels=[4, 8], norm='batch'}
            train.ema=0.9",
        ),
        other => panic!("no configuration {other}"),
    }
}

fn settings(kind: &str, root: &Path) -> Layers {
    let (preset, own) = configuration(kind);
    let mut all = Layers::default();
    all.preset(preset).unwrap();
    all.set(&format!("data.source='{}'", root.join("blobs.npy").display())).unwrap();
    for line in own.lines().chain(PACE.lines()).map(str::trim).filter(|line| !line.is_empty()) {
        all.set(line).unwrap();
    }
    all
}

#[test]
fn child() {
    if let (Ok(run), Ok(kind)) = (std::env::var(CHILD), std::env::var(CHILD_KIND)) {
        let run = PathBuf::from(run);
        train(&settings(&kind, run.parent().unwrap()), &run, true, |_| false);
    }
}

fn start(run: &Path, kind: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill_members::child", "--exact"])
        .env(CHILD, run)
        .env(CHILD_KIND, kind)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn ends_as_if_left_alone(kind: &str, state: &[&str]) {
    let root = tempfile::tempdir().unwrap();
    npy(root.path(), 120, 12);
    let (alone, killed) = (root.path().join("alone"), root.path().join("killed"));
    let begun = Instant::now();
    assert!(start(&alone, kind).wait().unwrap().success());
    let whole = begun.elapsed();
    let mut hit = 0;
    for share in [0.3, 0.5, 0.4] {
        let mut child = start(&killed, kind);
        std::thread::sleep(whole.mul_f64(share).max(Duration::from_millis(30)));
        hit += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start(&killed, kind).wait().unwrap().success());
    assert!(hit > 0, "it was never killed while it ran");
    let (alone, killed) = (end(&alone), end(&killed));
    // What makes this run another than a plain one is in its checkpoint.
    for part in state {
        assert!(alone.last.keys().any(|name| name.contains(part)), "no {part} among {:?}", alone.last.keys());
    }
    assert_same(&alone, &killed, kind);
}

#[test]
fn a_book_goes_on() {
    ends_as_if_left_alone("book", &["posterior.book", "posterior.counts", "posterior.sums"]);
}

#[test]
fn books_of_stages_go_on() {
    ends_as_if_left_alone("stages", &["posterior.0.book", "posterior.1.counts", "posterior.1.sums"]);
}

#[test]
fn a_critic_goes_on() {
    ends_as_if_left_alone("critic", &["objective.adversarial.critic"]);
}

#[test]
fn a_critic_of_patches_goes_on() {
    ends_as_if_left_alone(
        "patches",
        &["objective.sharp.critic0.direction", "first/sharp/objective.sharp.critic.weight"],
    );
}

#[test]
fn codes_of_exemplars_go_on() {
    ends_as_if_left_alone("exemplars", &["prior.codes"]);
}

#[test]
fn batch_statistics_and_a_moving_average_go_on() {
    ends_as_if_left_alone("statistics", &["norm.mean", "norm.variance"]);
}
