//! SIGKILL at any moment, then resumed: the run ends with the bits of one that was left alone.
//!
//! The run is this test binary started again; `bench/kills.py` does so with ten kinds of run of the command `latent`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::common::*;

/// The folder of data and runs, and the run's name in it: set for the process that is to be killed.
const CHILD: &str = "LATENT_TEST_KILLED_RUN";

/// A checkpoint every other step, so that many kills hit one being written.
const SETTINGS: &str = "
    data.flip=horizontal
    data.workers=2
    likelihood={kind='normal', scale='optimal'}
    posterior={kind='diagonal-normal', latent=3}
    network={kind='conv', channels=[8, 8]}
    train.batch=8
    train.epochs=40
    train.ema=0.9
    train.checkpoint_every=2
";

#[test]
fn child() {
    if let Ok(run) = std::env::var(CHILD) {
        let run = PathBuf::from(run);
        let data = run.parent().unwrap().join("images");
        train(&layers(&data, SETTINGS), &run, true, |_| false);
    }
}

fn start(run: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["kill::child", "--exact"])
        .env(CHILD, run)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn killed_three_times_it_ends_as_if_left_alone() {
    let root = tempfile::tempdir().unwrap();
    pngs(root.path(), 120, 16);
    let (alone, killed) = (root.path().join("alone"), root.path().join("killed"));
    let begun = Instant::now();
    assert!(start(&alone).wait().unwrap().success());
    let whole = begun.elapsed();
    let mut hit = 0;
    for share in [0.15, 0.4, 0.35] {
        let mut child = start(&killed);
        std::thread::sleep(whole.mul_f64(share).max(Duration::from_millis(30)));
        hit += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(start(&killed).wait().unwrap().success());
    assert!(hit > 0, "it was never killed while it ran");
    assert_same(&end(&alone), &end(&killed), "killed");
}
