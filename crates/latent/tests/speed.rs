//! What a training step costs, counted rather than timed, so that no noise can hide a change.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use latent::Layers;
use latent::train::Event;
use latent::{Options, Training};
use latent_kernels::{launches, memory};

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

/// A small run on the embedded images.
fn prepare(preset: &str, keys: &[&str], steps: u64, folder: &Path) -> Training {
    let mut layers = Layers::default();
    if !preset.is_empty() {
        layers.preset(preset).unwrap();
    }
    for key in
        ["data.source=embedded", "data.limit=600", "data.workers=1", "train.keep=last"].iter().chain(keys)
    {
        layers.set(key).unwrap();
    }
    layers.set(&format!("train.steps={steps}")).unwrap();
    Training::prepare(&layers, folder, Options::default(), &mut |_| {}).unwrap()
}

/// Fused and plain calls, requests for memory and thousands of bytes asked for, a step.
fn cost(preset: &str, keys: &[&str]) -> [f64; 4] {
    const FROM: u64 = 10;
    const TO: u64 = 50;
    let root = tempfile::tempdir().unwrap();
    let keys: Vec<&str> = keys.iter().copied().chain(["train.validate_every=1e6"]).collect();
    let mut training = prepare(preset, &keys, TO + 10, &root.path().join("run"));
    let mut marks = Vec::new();
    training
        .train(&AtomicBool::new(false), &mut |event| {
            if let Event::Step { line, .. } = event
                && [FROM, TO].contains(&line.step)
            {
                marks.push((launches(), memory::Mark::now(), 0, 0));
                if let [(_, first, ..), (.., requests, bytes)] = &mut marks[..] {
                    (*requests, *bytes) = first.since();
                }
            }
        })
        .unwrap();
    let [(before, ..), (after, _, requests, bytes)] = marks[..] else { panic!("two marks") };
    let each = |count: u64| count as f64 / (TO - FROM) as f64;
    [each(after.fused - before.fused), each(after.plain - before.plain), each(requests), each(bytes) / 1e3]
}

/// The gate: a fused function that falls back to its plain body, and memory asked for without need, fail here.
///
/// Recorded: fused calls (exact), requests and thousands of bytes a step (a tenth may be added by a change that needs
/// it; more wants a new record and a reason). The one test of its program, so that nothing else asks for memory meanwhile.
#[test]
fn a_step_costs_what_is_recorded() {
    let cases: [(&str, &[&str], [f64; 3]); 4] = [
        ("vae", &[], [16.0, 1077.0, 4930.0]),
        ("iwae", &["objective.estimator.draws=1"], [24.0, 1253.0, 2372.0]),
        ("iwae", &["objective.estimator.draws=5"], [25.0, 1247.0, 3255.0]),
        ("", &["train.batch=32", "likelihood.kind=bernoulli"], [31.0, 1691.0, 25382.0]),
    ];
    let mut wrong = Vec::new();
    for (preset, keys, [fused, requests, kilobytes]) in cases {
        let found = cost(preset, keys);
        let within = |found: f64, recorded: f64| found <= 1.1 * recorded && found >= 0.5 * recorded;
        if found[0] != fused || found[1] != 0.0 || !within(found[2], requests) || !within(found[3], kilobytes)
        {
            wrong.push(format!(
                "{preset:?} {keys:?}: {found:.1?}, recorded [{fused}, 0, {requests}, {kilobytes}]"
            ));
        }
    }
    assert!(wrong.is_empty(), "fused calls, plain calls, requests, kB a step:\n{}", wrong.join("\n"));
}
