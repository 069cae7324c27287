//! The section `likelihood` of an evaluation: its numbers against exact ones, and what it says where there are none.

use std::fmt::Write;
use std::path::Path;

use latent::batch::Batch;
use latent::data::{Data, Split};
use latent::device::{Device, host_f64};
use latent::evaluate::likelihood::Units;
use latent::evaluate::{Section, Subject, likelihood};
use latent::model::{LinearGaussian, log_density_by_enumeration};
use latent::run::{Layers, resolve};
use latent::{Key, Model, Registry};

use crate::common::*;

/// Data by these settings and an untrained model of it.
pub fn open(settings: &[&str], deviation: f64) -> (Data, Model) {
    let mut layers = Layers::default();
    settings.iter().for_each(|setting| layers.set(setting).expect("a known key"));
    let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).expect("data");
    let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).expect("a sound configuration");
    let (functions, mut weights) = checked.build(&Device::cpu()).expect("a model");
    if deviation > 0.0 {
        randomise(&mut weights, Key::from_seed(80), deviation);
    }
    let run = checked.run;
    let text = run.to_toml().expect("a text");
    let model = Model { facts: run.facts, data: run.data, seed: run.seed, functions, weights, run: text };
    (data, model)
}

pub fn judge(model: &Model, data: &Data, seconds: f64) -> Section {
    judge_by(model, data, seconds, None, 81)
}

fn judge_by(model: &Model, data: &Data, seconds: f64, rows: Option<usize>, seed: u64) -> Section {
    let subject = Subject {
        model,
        held_out: (data, Split::Test),
        train: Some(data),
        foreign: None,
        samplers: &[],
        features: None,
        seconds: Some(seconds),
        set: None,
        rows,
        key: Key::from_seed(seed),
        progress: &|_, share| assert!((0.0..=1.0).contains(&share)),
    };
    let section = likelihood(&subject).expect("a section");
    for m in &section.measures {
        println!(
            "{} {:.3} [{:.3}, {:.3}] n {} {}",
            m.name, m.estimate.value, m.estimate.low, m.estimate.high, m.n, m.note
        );
        assert!(m.estimate.low <= m.estimate.value && m.estimate.value <= m.estimate.high, "{m:?}");
    }
    section
}

/// Correlated columns of very unlike units.
fn table(folder: &Path) -> String {
    let path = folder.join("table.csv");
    let noise = normals(Key::from_seed(82), 400 * 3);
    let mut text = String::from("metres,grams\n");
    for e in noise.chunks(3) {
        writeln!(text, "{:.5},{:.3}", 5.0 + 0.02 * (e[0] + 0.3 * e[1]), 1e4 + 900.0 * (e[0] + e[2])).unwrap();
    }
    std::fs::write(&path, text).unwrap();
    format!("data.source='{}'", path.display())
}

#[test]
fn a_linear_model_is_judged_in_the_users_units() {
    let folder = tempfile::tempdir().unwrap();
    let source = table(folder.path());
    let net = [
        "network.kind=linear",
        "posterior.latent=1",
        "likelihood={kind=\"normal\", scale=\"learned\", mean=\"line\"}",
    ];
    let (data, model) = open(&[[source.as_str()].as_slice(), &net].concat(), 0.4);
    // More than it takes, so that every row is taken.
    let section = judge(&model, &data, 30.0);
    // log p(v) = log p(x) − Σ ln scale, exactly.
    let scale: f64 = model.facts.normalisation.scale.iter().map(|s| s.ln()).sum();
    assert!((Units::of(&model).log_scale - scale).abs() < 1e-12 && scale > 1.0);
    let exact = LinearGaussian::of(&model.view()).unwrap();
    let positions: Vec<usize> = (0..data.len(Split::Test)).collect();
    let rows = data.rows(Split::Test, &positions, 0).unwrap();
    let value = |id: u64| {
        let row = rows.ids.iter().position(|&own| own == id).expect("a test row");
        let x: Vec<f64> = rows.x[2 * row..2 * row + 2].iter().map(|&v| f64::from(v)).collect();
        exact.log_density(&x) - scale
    };
    for (name, tolerance) in [("iw_5000", 0.05), ("ais_encoder", 0.15), ("ais_prior", 0.15)] {
        let measure = section.get(name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(measure.rows.len(), measure.n);
        let off: Vec<f64> = measure.rows.iter().map(|(id, found)| found - value(*id)).collect();
        let mean = off.iter().sum::<f64>() / off.len() as f64;
        println!("{name} off by {mean:.4} on {} rows", off.len());
        assert!(mean.abs() < tolerance, "{name}: {mean}");
    }
    let elbo = section.get("elbo").unwrap();
    assert!(elbo.rows.iter().all(|(id, bound)| *bound < value(*id) + 1.0));
    let terms = ["distortion", "rate"].map(|name| section.get(name).unwrap().estimate.value);
    close(-terms[0] - terms[1], elbo.estimate.value, 1e-9);
    assert!(elbo.estimate.value < section.get("iw_50").unwrap().estimate.value);
    for start in ["encoder", "prior"] {
        let gap = section.get(&format!("ais_{start}_gap")).unwrap();
        // Of a model of one dimension annealing is nearly exact, and its bracket narrow.
        assert!(gap.estimate.low > -0.2 && gap.estimate.high < 0.5, "{gap:?}");
        assert!(
            gap.title.contains("rows that the model made") && gap.note.contains("held-out rows"),
            "{gap:?}"
        );
    }
    // The scores of rows are in the same units.
    for (id, score) in rows.ids.iter().zip(model.score(&rows, 2000, Key::from_seed(83)).unwrap()) {
        assert!((score.log_p_lower - value(*id)).abs() < 0.5, "{} {}", score.log_p_lower, value(*id));
    }
    // What the encoder is off, on the same rows.
    let gap = section.get("inference_gap").unwrap();
    let annealed = section.get("ais_encoder").unwrap();
    let bounds: Vec<f64> =
        annealed.rows.iter().map(|(id, _)| elbo.rows.iter().find(|(own, _)| own == id).unwrap().1).collect();
    let paired =
        annealed.rows.iter().zip(&bounds).map(|((_, p), b)| p - b).sum::<f64>() / bounds.len() as f64;
    close(gap.estimate.value, paired, 1e-9);
    assert!(
        section.get("bits_per_dimension").is_none()
            && section.absent.iter().any(|a| a.contains("a unit of its own"))
    );
    assert!(section.get("train_test_gap").is_some());
}

const NET: [&str; 3] = ["data.source=embedded", "data.limit=300", "network={kind=\"mlp\", hidden=[8]}"];

#[test]
fn bits_are_summed_over_and_bits_per_dimension_follow() {
    let more = ["data.binarize=threshold", "posterior={kind=\"bits\", latent=4}", "prior.kind=bits"];
    let (data, model) = open(&[NET.as_slice(), &more].concat(), 0.2);
    let section = judge(&model, &data, 2.0);
    let measure = section.get("log_p").unwrap();
    let rows = data.rows(Split::Test, &(0..data.len(Split::Test)).collect::<Vec<_>>(), 0).unwrap();
    let batch = Batch::new(rows.clone(), 784, &Device::cpu());
    let exact = host_f64(&log_density_by_enumeration(&model.view(), &batch).unwrap());
    for (id, found) in &measure.rows {
        let row = rows.ids.iter().position(|own| own == id).unwrap();
        close(*found, exact[row], 1e-5);
    }
    let bits = section.get("bits_per_dimension").unwrap();
    close(bits.estimate.value, -measure.estimate.value / (784.0 * 2f64.ln()), 1e-12);
    assert!(bits.note.contains("probabilities on 2 levels (x cut to bits at a threshold)"));
    assert!(
        section.absent.iter().any(|a| a.contains("annealed") && a.contains("bits and indices have none"))
    );
    assert!(section.get("elbo").unwrap().estimate.value <= section.get("iw_5000").unwrap().estimate.value);
}

#[test]
fn what_there_is_not_is_absent_with_the_reason() {
    // Grey values under Bernoulli: no density.
    let (data, model) =
        open(&[NET.as_slice(), &["posterior.latent=2", "likelihood.kind=bernoulli"]].concat(), 0.0);
    let section = judge(&model, &data, 1.0);
    let names: Vec<&str> = section.measures.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["distortion", "rate", "loss"]);
    assert!(section.absent.iter().any(|a| a.contains("cross-entropy on grey values")));
    // A point has no rate, but P(X) under the prior has an estimate.
    let point = [
        "data.binarize=threshold",
        "posterior={kind=\"point\", latent=2}",
        "objective={estimator.kind=\"plain\", terms.distortion={}}",
        "likelihood.kind=bernoulli",
    ];
    let (data, model) = open(&[NET.as_slice(), &point].concat(), 0.0);
    let section = judge(&model, &data, 1.0);
    assert!(section.get("elbo").is_none() && section.get("ais_encoder").is_none());
    assert!(section.get("ais_prior").is_some() && section.get("bits_per_dimension").is_some());
    assert!(section.absent.iter().any(|a| a.contains("the posterior is a point")));
    // Levels of pixels under a density: bits per dimension, with what they are.
    let (data, model) =
        open(&[NET.as_slice(), &["posterior.latent=2", "likelihood.kind=normal"]].concat(), 0.0);
    let section = judge(&model, &data, 2.0);
    close(Units::of(&model).log_scale, 784.0 * 255f64.ln(), 1e-12);
    assert!(section.get("elbo").unwrap().note.contains("bounds no probability of levels"));
    let bits = section.get("bits_per_dimension").unwrap();
    assert!(bits.note.contains("probabilities on 256 levels") && bits.n == section.get("elbo").unwrap().n);
}

/// A density of levels may exceed 1, their probability may not: bits per dimension are not negative.
#[test]
fn bits_of_levels_under_a_density_are_those_of_dequantised_levels() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("flat.npy");
    // Level 100 throughout, but for a corner.
    let values: Vec<f64> =
        (0..300 * 16).map(|i| if i % 16 == 0 { f64::from(99 + i / 16 % 3) } else { 100.0 }).collect();
    latent::data::write_npy(&path, &[300, 4, 4], latent::data::StoredType::U8, &values).unwrap();
    let source = format!("data.source='{}'", path.display());
    for (sigma, least, most) in [(0.001, 0.28, 0.9), (0.1, 5.9, 6.1)] {
        let likelihood =
            format!("likelihood={{kind=\"normal\", scale=\"fixed\", sigma={sigma}, mean=\"line\"}}");
        let net = ["network={kind=\"mlp\", hidden=[4]}", "posterior.latent=1", "data.normalise=\"unit\""];
        let (data, mut model) = open(&[&net[..], &[&source, &likelihood]].concat(), 0.0);
        // Nothing depends on z, and the mean is the data's.
        let layers: Vec<_> = model
            .weights
            .iter()
            .filter(|(_, w)| w.is_matrix())
            .map(|(id, w)| (id, w.values().len()))
            .collect();
        layers.into_iter().for_each(|(id, n)| model.weights.set_values(id, vec![0.0; n]));
        let section = judge_by(&model, &data, 1.0, Some(30), 81);
        let [bits, by_elbo] =
            ["bits_per_dimension", "bits_per_dimension_elbo"].map(|name| section.get(name).unwrap());
        println!("σ {sigma}: {} and {} bits", bits.estimate, by_elbo.estimate);
        // −log₂ of N(0; σ) in levels, and E u² / 2σ² more; the corner is a level off in two rows of three.
        let (value, bound) = (bits.estimate.value, by_elbo.estimate.value);
        assert!(least < value && value < bound + 1e-4 && bound < most, "{value} {bound}");
        // What was called so before: below 0 where σ is a quarter of a level.
        let density = -section.get("elbo").unwrap().estimate.value / (16.0 * 2f64.ln());
        assert_eq!(density < 0.0, sigma < 0.01);
    }
}

#[test]
fn more_draws_raise_the_bound_however_few_rows_have_them() {
    let net = ["data.binarize=threshold", "likelihood.kind=bernoulli", "posterior.latent=4"];
    let (data, model) = open(&[NET.as_slice(), &net].concat(), 0.1);
    for seed in 0..5 {
        // The dear bound gets the least that it can: 8 of 30 rows.
        let section = judge_by(&model, &data, 0.02, None, seed);
        let [cheap, dear] = ["iw_50", "iw_5000"].map(|name| section.get(name).unwrap());
        assert!(dear.n < cheap.n, "{} {}", dear.n, cheap.n);
        assert!(dear.estimate.value >= cheap.estimate.value, "{} {}", dear.estimate, cheap.estimate);
        assert!(dear.note.contains("plus the mean gain"), "{}", dear.note);
    }
}

#[test]
fn with_rows_given_nothing_depends_on_the_clock() {
    let net = ["data.binarize=threshold", "likelihood.kind=bernoulli", "posterior.latent=2"];
    let (data, model) = open(&[NET.as_slice(), &net].concat(), 0.3);
    let [hurried, idle] = [0.001, 1e6].map(|seconds| judge_by(&model, &data, seconds, Some(12), 81));
    assert_eq!(hurried, idle);
    let counted = hurried.measures.iter().filter(|measure| !measure.name.ends_with("_gap"));
    assert!(counted.clone().count() > 6 && counted.into_iter().all(|measure| measure.n == 12));
}

/// `RUN=folder SECONDS=90 cargo test --release --test oracles print_a_run -- --ignored --nocapture`
#[test]
#[ignore = "prints the section of a run"]
fn print_a_run() {
    let model = Model::load(std::env::var("RUN").expect("RUN=folder")).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let seconds = std::env::var("SECONDS").map_or(60.0, |s| s.parse().unwrap());
    let begun = std::time::Instant::now();
    let section = judge(&model, &data, seconds);
    println!("{:.1} seconds", begun.elapsed().as_secs_f64());
    section.warnings.iter().for_each(|w| println!("warning: {w}"));
    section.absent.iter().for_each(|a| println!("absent: {a}"));
}
