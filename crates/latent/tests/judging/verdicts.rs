//! A collapsed, an overfitted and a good model get three different verdicts, each from its numbers.

use std::sync::atomic::AtomicBool;

use latent::Layers;
use latent::evaluate::{RunReport, report};
use latent::{Options, Training};

fn judged(settings: &[&str]) -> RunReport {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut layers = Layers::default();
    layers.preset("vae").expect("a preset that ships");
    for setting in
        ["data.source=embedded", "network.hidden=[200]", "posterior.latent=8"].iter().chain(settings)
    {
        layers.set(setting).expect("a known key");
    }
    let path = folder.path().join("run");
    let mut training =
        Training::prepare(&layers, &path, Options::default(), &mut |_| ()).expect("a sound run");
    training.train(&AtomicBool::new(false), &mut |_| ()).expect("training ends");
    let written = report(&path, &training.data, 1).expect("a report");
    for file in &written.files {
        assert!(file.exists(), "{}", file.display());
    }
    let page = std::fs::read_to_string(path.join("report.html")).expect("the page");
    for verdict in &written.verdicts {
        assert!(page.contains(&verdict.headline), "{}", verdict.headline);
    }
    written
}

fn names(report: &RunReport) -> Vec<&str> {
    report.verdicts.iter().map(|v| v.name).collect()
}

#[test]
fn a_model_whose_rate_weighs_too_much_has_collapsed() {
    let report = judged(&["objective.terms.rate.weight=500", "train.epochs=3", "data.limit=3000"]);
    assert!(names(&report).contains(&"collapsed"), "{:?}", report.verdicts);
    assert!(!names(&report).contains(&"good"));
    assert!(report.findings.held_out.rate.expect("a rate").value < 0.1);
}

#[test]
fn a_model_of_few_rows_trained_for_long_has_overfitted() {
    let settings = [
        "likelihood.kind=normal",
        "posterior.latent=20",
        "data.limit=300",
        "train.epochs=120",
        "train.keep=last",
        "train.batch=50",
    ];
    let report = judged(&settings);
    assert_eq!(names(&report).first(), Some(&"overfitted"), "{:?}", report.verdicts);
    assert!(!names(&report).contains(&"good"));
}

#[test]
fn a_code_that_holds_for_new_rows_is_good_and_samples_are_asked_apart() {
    let report = judged(&["train.epochs=8"]);
    // Of eight latents trained for so long the codes don't lie as the prior does.
    assert_eq!(names(&report), ["prior-mismatch", "good-code"], "{:?}", report.verdicts);
}
