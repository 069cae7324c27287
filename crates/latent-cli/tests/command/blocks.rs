//! Models of other kinds than one normal vector go through every command: blocks side by side, a model that is told a class,
//! codes that are whole numbers. What does not apply to one is absent, with the reason.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::common::{Ended, refuse, run_words, succeed};
use latent::array::Array;
use latent::data::read_matrix;
use latent::generate::sampler::{FittedSampler, How};
use latent::{Key, Model, Registry};
use serde_json::Value;

/// Few rows, small dense networks: a second of training.
const SMALL: &str = "--epochs 1 --seed 3 --set data.limit=400";
const DENSE: &str = "--set network.kind=mlp --set network.hidden=[32]";

/// A folder with a run `run`, trained by this command line and these `--set` whose values have blanks.
fn trained(line: &str, set: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let line = format!("train --data embedded --out run {SMALL} {line}");
    let mut words: Vec<&str> = line.split_whitespace().collect();
    set.iter().for_each(|set| words.extend(["--set", set]));
    let ended = run_words(folder.path(), &words);
    assert_eq!(ended.code, Some(0), "{}{}", ended.out, ended.err);
    folder
}

/// A normal block z of 3 and a bit block b of 2: columns b1 b2 z1 z2 z3.
fn blocks() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let posterior = "posterior={kind='blocks', blocks={z={kind='diagonal-normal', latent=3}, \
                     b={kind='bits', latent=2}}}";
    let prior = "prior={kind='blocks', blocks={z={kind='standard-normal'}, b={kind='bits'}}}";
    FOLDER.get_or_init(|| trained(DENSE, &[posterior, prior])).path()
}

/// One test at a time: they share folders, and a refusal must leave every file as it was.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A model that is told the class of each row.
fn told() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let line = "--preset conditional-vae --set network.hidden=[32] --set posterior.latent=4";
    FOLDER.get_or_init(|| trained(line, &[])).path()
}

/// Maps of 7 × 7 indices of 8 codes.
fn quantized() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let line = "--preset vq-vae --set posterior.codes=8 --set posterior.latent.channels=4 --set network.channels=[4,8,8]";
    FOLDER.get_or_init(|| trained(line, &[])).path()
}

/// Two stages of 7 × 7 indices of 8 codes.
fn residual() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let line = "--preset residual-vq-vae --set posterior.codes=8 --set posterior.stages=2 \
                --set posterior.latent.channels=4 --set network.channels=[4,8,8]";
    FOLDER.get_or_init(|| trained(line, &[])).path()
}

fn matrix(path: &Path, width: usize) -> Array {
    Array::matrix(read_matrix(path, width).expect("a matrix"), width)
}

fn column(codes: &Array, column: usize) -> Vec<f32> {
    (0..codes.rows()).map(|row| codes.row(row)[column]).collect()
}

fn is_bit(value: &f32) -> bool {
    *value == 0.0 || *value == 1.0
}

/// The last line of JSON that a command said.
fn json(ended: &Ended) -> Value {
    serde_json::from_str(ended.out.lines().last().expect("a line")).expect("JSON")
}

/// The codes that a fitted sampler draws.
fn drawn(at: &Path, sampler: &str) -> Array {
    let model = Model::load(at.join("run")).expect("a model");
    let fitted = FittedSampler::load(&model, &at.join("run"), sampler, &Registry::default()).expect(sampler);
    let told = model.told(200, Key::from_seed(5)).expect("conditions");
    fitted.draw_told(&model, &told, &How::default(), Key::from_seed(6)).expect("codes")
}

/// Evaluates and returns the sections; every number in them is finite, and every absence has a reason.
fn evaluated(at: &Path, sections: &str) -> Vec<Value> {
    succeed(at, &format!("evaluate run --minutes 0.02 {sections}"));
    let text = fs::read_to_string(at.join("run/evaluation.json")).expect("an evaluation");
    let evaluation: Value = serde_json::from_str(&text).expect("JSON");
    let sections = evaluation["sections"].as_array().expect("sections").clone();
    for section in &sections {
        println!("{}", section["name"]);
        for measure in section["measures"].as_array().expect("measures") {
            println!("  {} {} [{} {}]", measure["name"], measure["value"], measure["low"], measure["high"]);
            for part in ["value", "low", "high"] {
                assert!(measure[part].is_number(), "{part} of {measure}");
            }
        }
        for absent in section["absent"].as_array().expect("a list") {
            println!("  absent: {absent}");
            assert!(absent.as_str().is_some_and(|said| said.contains(": ")), "no reason: {absent}");
        }
    }
    assert!(fs::metadata(at.join("run/report.html")).expect("a report").len() > 10_000);
    sections
}

fn section<'a>(sections: &'a [Value], name: &str) -> &'a Value {
    sections.iter().find(|section| section["name"] == name).unwrap_or_else(|| panic!("no section {name}"))
}

fn has(section: &Value, measure: &str) -> bool {
    section["measures"].as_array().is_some_and(|all| all.iter().any(|one| one["name"] == measure))
}

fn absent(section: &Value) -> String {
    section["absent"].to_string()
}

/// What was decoded from a file of codes is what reconstructing gives.
fn decoded_is_reconstructed(at: &Path, width: usize, condition: bool) -> Array {
    succeed(at, "encode run --out z.npy");
    if !condition {
        succeed(at, "decode run --codes z.npy --out x.npy");
        succeed(at, "reconstruct run --count 1000 --out again.npy");
        let read = |name: &str| fs::read(at.join(name)).expect("a file");
        assert!(read("x.npy") == read("again.npy"));
    }
    matrix(&at.join("z.npy"), width)
}

#[test]
fn codes_of_blocks_are_encoded_decoded_and_scored() {
    let _alone = alone();
    let at = blocks();
    let z = decoded_is_reconstructed(at, 5, false);
    for bits in [column(&z, 0), column(&z, 1)] {
        assert!(bits.iter().all(is_bit), "{bits:?}");
    }
    for reals in [column(&z, 2), column(&z, 3), column(&z, 4)] {
        assert!(reals.iter().all(|v| v.is_finite()) && !reals.iter().any(is_bit), "{reals:?}");
    }
    // Beside each value its deviation: of a bit √(p (1 − p)), at most ½.
    succeed(at, "encode run --with-deviation --out sd.npy");
    let both = matrix(&at.join("sd.npy"), 10);
    assert_eq!(both.rows(), z.rows());
    assert!([5, 6].iter().all(|&bit| column(&both, bit).iter().all(|sd| (0.0..=0.5).contains(sd))));
    succeed(at, "score run --k 5 --out s.csv");
    let scores = fs::read_to_string(at.join("s.csv")).expect("scores");
    assert_eq!(scores.lines().next(), Some("log_p_lower,k,se,ess,p_value,label"));
    assert_eq!(scores.lines().count(), z.rows() + 1);
    succeed(at, "interpolate run --count 2 --steps 4 --out between.png");
    succeed(at, "inspect run");
    succeed(at, "report run");
}

#[test]
fn each_dimension_of_blocks_walks_through_what_it_takes() {
    let _alone = alone();
    let said = json(&succeed(blocks(), "traverse run --steps 3 --json --out t.png"));
    let dims: Vec<u64> = said["dims"].as_array().expect("dims").iter().filter_map(Value::as_u64).collect();
    let mut sorted = dims.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [0, 1, 2, 3, 4]);
    for (dim, values) in dims.iter().zip(said["values"].as_array().expect("values")) {
        let wanted =
            if *dim < 2 { serde_json::json!([0.0, 1.0]) } else { serde_json::json!([-3.0, 0.0, 3.0]) };
        assert_eq!(*values, wanted, "dimension {dim}");
    }
}

#[test]
fn samplers_of_blocks_draw_bits_that_are_bits() {
    let _alone = alone();
    let at = blocks();
    succeed(at, "fit-sampler run --sampler gaussian-mixture --set components=3");
    succeed(at, "fit-sampler run --minutes 0.05");
    for sampler in ["prior", "normal", "gaussian-mixture", "two-stage", "maf", "flow-matching"] {
        let codes = drawn(at, sampler);
        for dim in 0..2 {
            let bits = column(&codes, dim);
            assert!(bits.iter().all(is_bit), "{sampler}: {bits:?}");
        }
        for dim in 2..5 {
            let reals = column(&codes, dim);
            assert!(reals.iter().all(|v| v.is_finite()) && !reals.iter().any(is_bit), "{sampler}");
        }
        succeed(at, &format!("sample run --sampler {sampler} --count 4 --out {sampler}.npy"));
    }
    succeed(at, "sample run --count 9 --out samples.png");
    // Which codes a mixture of all kinds has no density of, and why, is said.
    refuse(
        at,
        "score run --k 5 --sampler gaussian-mixture --out sm.csv",
        &["no density", "score with the prior: blocks of several kinds"],
    );
    refuse(at, "fit-sampler run --sampler autoregressive-bits", &["not bits alone", "use gaussian-mixture"]);
    refuse(at, "fit-sampler run --sampler autoregressive", &["not of one kind", "use gaussian-mixture"]);
}

#[test]
fn blocks_are_judged_with_reasons_for_what_does_not_apply() {
    let _alone = alone();
    let sections = evaluated(blocks(), "--sections likelihood,latents,reconstruction,samples");
    let likelihood = section(&sections, "likelihood");
    assert!(has(likelihood, "elbo") && has(likelihood, "iw_5000"), "{likelihood}");
    assert!(absent(likelihood).contains("annealed"), "{}", absent(likelihood));
    let latents = section(&sections, "latents");
    assert!(has(latents, "rate") && has(latents, "linear_probe"), "{latents}");
    assert!(absent(latents).contains("overlap and holes"), "{}", absent(latents));
    let names: Vec<&str> = sections.iter().filter_map(|section| section["name"].as_str()).collect();
    assert_eq!(names, ["likelihood", "latents", "reconstruction", "samples"]);
}

#[test]
fn a_model_that_is_told_a_class_goes_through_every_command() {
    let _alone = alone();
    let at = told();
    let z = decoded_is_reconstructed(at, 4, true);
    succeed(at, "decode run --codes z.npy --condition label=Trouser --out x.npy");
    succeed(at, "decode run --codes z.npy --condition label=Bag --out bags.npy");
    let read = |name: &str| fs::read(at.join(name)).expect("a file");
    assert!(read("x.npy") != read("bags.npy"), "the decoder does not listen");
    succeed(at, "reconstruct run --count 8 --out r.png");
    succeed(at, "score run --k 5 --out s.csv");
    assert_eq!(fs::read_to_string(at.join("s.csv")).expect("scores").lines().count(), z.rows() + 1);
    succeed(at, "sample run --count 9 --out any.npy");
    succeed(at, "sample run --condition label=Trouser --count 9 --out trousers.npy");
    assert!(read("any.npy") != read("trousers.npy"));
    succeed(at, "traverse run --condition label=Trouser --steps 3 --out t.png");
    succeed(at, "traverse run --row 2 --steps 3 --out tr.png");
    succeed(at, "interpolate run --count 2 --steps 4 --out between.png");
    succeed(at, "inspect run");
    succeed(at, "report run");
    for command in
        ["sample run --out w.npy", "decode run --codes z.npy --out w.npy", "traverse run --out w.png"]
    {
        refuse(at, &format!("{command} --condition label=Trousr"), &["Trousr", "did you mean", "Trouser"]);
        refuse(at, &format!("{command} --condition lable=Trouser"), &["lable", "did you mean", "label"]);
        refuse(at, &format!("{command} --condition label"), &["no `=`"]);
    }
    // Codes in a file do not say whose they are.
    refuse(at, "decode run --codes z.npy --out w.npy", &["label", "--condition"]);
}

#[test]
fn a_model_that_is_told_a_class_has_samplers() {
    let _alone = alone();
    let at = told();
    succeed(at, "fit-sampler run --sampler gaussian-mixture --set components=3");
    succeed(at, "sample run --sampler gaussian-mixture --condition label=Trouser --count 4 --out m.npy");
    assert!(drawn(at, "gaussian-mixture").values.iter().all(|v| v.is_finite()));
}

#[test]
fn a_model_that_is_told_a_class_is_judged() {
    let _alone = alone();
    let sections = evaluated(told(), "--sections likelihood,latents,reconstruction");
    let likelihood = section(&sections, "likelihood");
    assert!(has(likelihood, "loss") || has(likelihood, "elbo"), "{likelihood}");
    assert!(has(section(&sections, "latents"), "rate"));
    // Others that don't say what they are told are told it, beside the model's own rows, which do.
    let at = told();
    succeed(at, "sample run --count 30 --out others");
    let line = "evaluate run --against others --sections anomaly --minutes 0.05";
    succeed(at, &format!("{line} --condition label=Trouser"));
    refuse(at, line, &["no labels", "the model is told the class"]);
    refuse(at, "evaluate run --condition label=Trouser", &["--data <DATA>|--against <DATA>"]);
}

#[test]
fn codes_of_a_book_are_whole_numbers_everywhere() {
    let _alone = alone();
    let at = quantized();
    let whole = |codes: &Array| {
        codes.values.iter().all(|v| v.fract() == 0.0 && (0.0..8.0).contains(v)) && !codes.values.is_empty()
    };
    let z = decoded_is_reconstructed(at, 49, false);
    assert!(whole(&z), "{:?}", z.values);
    succeed(at, "fit-sampler run --sampler autoregressive --set steps=30 --set hidden=[32]");
    let codes = drawn(at, "autoregressive");
    assert!(whole(&codes), "{:?}", codes.values);
    succeed(at, "sample run --sampler autoregressive --count 9 --out a.npy");
    succeed(at, "sample run --sampler prior --count 9 --out p.npy");
    assert!(fs::read(at.join("a.npy")).expect("samples") != fs::read(at.join("p.npy")).expect("samples"));
    for sampler in ["gaussian-mixture", "normal", "kernel-density", "maf", "flow-matching"] {
        refuse(at, &format!("fit-sampler run --sampler {sampler}"), &["are indices", "use autoregressive"]);
    }
    refuse(at, "fit-sampler run --sampler autoregressive-bits", &["are indices; use autoregressive"]);
    succeed(at, "score run --k 2 --out s.csv");
    succeed(at, "score run --k 2 --sampler autoregressive --out sa.csv");
    let said = json(&succeed(at, "traverse run --dims 2 --steps 3 --json --out t.png"));
    assert_eq!(said["values"], serde_json::json!([[0.0, 3.0, 7.0], [0.0, 3.0, 7.0]]));
    succeed(at, "interpolate run --count 2 --steps 4 --out between.png");
    succeed(at, "inspect run");
    succeed(at, "report run");
}

#[test]
fn codes_of_a_book_are_judged() {
    let _alone = alone();
    let sections = evaluated(quantized(), "--sections likelihood,latents");
    let likelihood = section(&sections, "likelihood");
    assert!(has(likelihood, "elbo"), "{likelihood}");
    assert!(absent(likelihood).contains("exact log P(X)"), "{}", absent(likelihood));
    let latents = section(&sections, "latents");
    for what in ["codes_used", "dead_codes", "perplexity"] {
        assert!(has(latents, what), "{what}: {latents}");
    }
    assert!(!absent(latents).contains("perplexity"), "{}", absent(latents));
    // What the run's log counts on the validation rows.
    let log = fs::read_to_string(quantized().join("run/metrics.jsonl")).expect("a log");
    let last: Value = log
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|line| line["split"] == "validation")
        .expect("a validation");
    let perplexity = last["perplexity"].as_f64().expect("a perplexity");
    assert!(
        (1.0..=8.0).contains(&perplexity) && last["codes_used"].as_f64().is_some_and(|n| n <= 8.0),
        "{last}"
    );
}

#[test]
fn indices_of_stages_are_whole_numbers_and_each_book_is_judged() {
    let _alone = alone();
    let at = residual();
    let whole = |codes: &Array| {
        codes.values.iter().all(|v| v.fract() == 0.0 && (0.0..8.0).contains(v)) && !codes.values.is_empty()
    };
    let z = decoded_is_reconstructed(at, 98, false);
    assert!(whole(&z), "{:?}", z.values);
    succeed(at, "fit-sampler run --sampler autoregressive --set steps=30 --set hidden=[32]");
    assert!(whole(&drawn(at, "autoregressive")));
    succeed(at, "sample run --sampler autoregressive --count 9 --out a.npy");
    succeed(at, "sample run --sampler prior --count 9 --out p.png");
    succeed(at, "score run --k 2 --out s.csv");
    succeed(at, "interpolate run --count 2 --steps 4 --out between.png");
    succeed(at, "traverse run --dims 2 --steps 3 --out t.png");
    succeed(at, "inspect run");
    let sections = evaluated(at, "--sections likelihood,latents");
    let latents = section(&sections, "latents");
    for stage in ["stage1", "stage2"] {
        for what in ["codes_used", "dead_codes", "perplexity"] {
            assert!(has(latents, &format!("{what}:{stage}")), "{what} of {stage}: {latents}");
        }
    }
}
