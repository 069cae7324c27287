//! `latent compare` through the real binary, and what training says of a collapse.

use std::fs;
use std::path::Path;

use crate::common::{evaluation, refuse, succeed, trained};

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for name in ["model.safetensors", "run.toml"] {
        fs::copy(from.join(name), to.join(name)).expect("a copy");
    }
}

fn judged(run: &Path, mse: f64) {
    fs::create_dir_all(run).expect("a folder");
    let measure = format!(
        r#"{{"name":"mse","title":"squared error","unit":"","value":{mse},"low":{},"high":{},"n":100,"better":"lower",
        "note":""}}"#,
        mse - 0.01,
        mse + 0.01
    );
    fs::write(run.join("evaluation.json"), evaluation(&measure)).expect("a file");
}

#[test]
fn a_better_run_is_marked_in_every_form() {
    let at = tempfile::tempdir().expect("a folder");
    for (name, mse) in [("one", 0.5), ("two", 0.3)] {
        judged(&at.path().join(name), mse);
    }
    let ended = succeed(at.path(), "compare one two --csv out/c.csv --html c.html");
    assert!(ended.out.contains("0.300 ± 0.010*") && ended.out.contains("squared error ↓"), "{}", ended.out);
    let csv = fs::read_to_string(at.path().join("out/c.csv")).expect("the table");
    assert!(csv.contains("r,mse,,lower,two,0.3,0.29,0.31,100,true,"), "{csv}");
    let page = fs::read_to_string(at.path().join("c.html")).expect("the page");
    assert!(page.contains("<b>0.300 ± 0.010</b>"));
    let json = succeed(at.path(), "compare one two --json").out;
    assert!(json.contains(r#""measure":"mse""#) && json.contains(r#""best":true"#), "{json}");
    refuse(at.path(), "compare one two --html c.html", &["c.html", "exists already"]);
    refuse(at.path(), "compare one two --html c.png", &["--html", "end it in .html"]);
    refuse(at.path(), "compare one three", &["three", "no evaluation.json", "latent evaluate three"]);
    let path = at.path().join("two/evaluation.json");
    let text = fs::read_to_string(&path).expect("a file");
    let other = text.replacen(r#""split":"test""#, r#""split":"validation""#, 1);
    assert_ne!(text, other);
    fs::write(&path, other).expect("a file");
    assert!(succeed(at.path(), "compare one two").err.contains("different rows"));
    fs::write(at.path().join("two/evaluation.json"), "[{").expect("a file");
    refuse(at.path(), "compare one two", &["evaluation.json", "not an evaluation", "latent evaluate two"]);
}

#[test]
fn seeds_of_a_method_are_replicates() {
    // The data of a run is named relative to where it was trained.
    let at = trained().join("seeds");
    for (name, mse) in [("a-seed1", 0.5), ("a-seed2", 0.52), ("b-seed1", 0.1), ("b-seed2", 0.12)] {
        copied(&trained().join("runs/first"), &at.join(name));
        judged(&at.join(name), mse);
    }
    let runs = "seeds/a-seed1 seeds/a-seed2 seeds/b-seed1 seeds/b-seed2";
    let ended = succeed(trained(), &format!("compare {runs} --by-seed"));
    assert!(ended.out.contains("0.11") && ended.out.contains("ranking"), "{}", ended.out);
    // Two seeds each, far apart for their spread: t = 28 with two degrees of freedom.
    assert!(ended.out.contains('*'), "{}", ended.out);
}

/// Runs of version 0.1 split their data by their own seed, and the data's hash has no word of it.
#[test]
fn runs_with_other_splits_are_not_paired() {
    let at = trained().join("splits");
    for (name, seed) in [("one", 1), ("again", 1), ("two", 2)] {
        let run = at.join(name);
        copied(&trained().join("runs/first"), &run);
        let text = fs::read_to_string(run.join("run.toml")).expect("a run");
        let mut table: toml::Table = text.parse().expect("a table");
        table["data"].as_table_mut().expect("[data]").remove("seed").expect("a seed");
        table["seed"] = toml::Value::Integer(seed);
        fs::write(run.join("run.toml"), table.to_string()).expect("a run");
        judged(&run, 0.5);
        let path = run.join("evaluation.json");
        let mut evaluation: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).expect("a file")).expect("JSON");
        evaluation["data_hash"] = table["facts"]["hash"].as_str().into();
        fs::write(path, evaluation.to_string()).expect("a file");
    }
    let said = |runs: &str| succeed(trained(), &format!("compare {runs}")).err;
    assert!(!said("splits/one splits/again").contains("different rows"));
    assert!(said("splits/one splits/two").contains("different rows"));
}

#[test]
fn a_collapse_is_told_while_training() {
    let at = tempfile::tempdir().expect("a folder");
    let heavy = "train --data embedded --out run --no-report --epochs 30 --set data.limit=300 --set network.kind=mlp \
                 --set network.hidden=[32] --set posterior.latent=4 --set objective.terms.rate.weight=1000 \
                 --set train.optimizer.learning_rate=0.01";
    let ended = succeed(at.path(), heavy);
    let said = format!("{}{}", ended.out, ended.err);
    assert!(said.contains("active ") && said.contains("the code is collapsing"), "{said}");
    assert!(said.contains("objective.terms.rate.free_bits"), "{said}");
    let log = fs::read_to_string(at.path().join("run/metrics.jsonl")).expect("the log");
    assert!(log.contains(r#""active_units":"#), "{log}");
}
