//! The latents section on small runs: what is measured for which kind of code, and what is absent and why.

use latent::data::Split;
use latent::evaluate::{Section, Subject, latents};
use latent::{Key, Model};

use crate::common::*;

/// Trains a few epochs on 800 embedded images and asks everything of the held-out rows.
fn section(settings: &str, seconds: Option<f64>) -> Section {
    let folder = tempfile::tempdir().unwrap();
    let mut layers = latent::Layers::default();
    layers.set("data.source='embedded'").unwrap();
    for line in settings.lines().map(str::trim).filter(|line| !line.is_empty()) {
        layers.set(line).unwrap();
    }
    let common = "data.limit=800\ndata.validation=0.4\nnetwork={kind='mlp',hidden=[32]}\ntrain.batch=64\ntrain.epochs=8";
    common.lines().for_each(|line| layers.set(line).unwrap());
    train(&layers, folder.path(), false, |_| false);
    let model = Model::load(folder.path()).unwrap();
    let data = model.open_own(&mut |_| {}).unwrap();
    let subject = Subject {
        model: &model,
        held_out: (&data, Split::Validation),
        train: Some(&data),
        foreign: None,
        samplers: &[],
        features: None,
        seconds,
        set: None,
        rows: None,
        key: Key::from_seed(3),
        progress: &|_, share| assert!((0.0..=1.0).contains(&share)),
    };
    let found = latents(&subject).unwrap();
    let again = latents(&subject).unwrap();
    // A value that is not finite would be unequal to itself: none is.
    assert_eq!(found.measures, again.measures);
    for measure in &found.measures {
        let e = measure.estimate;
        assert!(e.low <= e.value && e.value <= e.high, "{measure:?}");
        assert!(measure.n > 0);
    }
    found
}

fn value(section: &Section, name: &str) -> f64 {
    section.get(name).unwrap_or_else(|| panic!("no `{name}`")).estimate.value
}

fn is_absent(section: &Section, words: &str) -> bool {
    section.absent.iter().any(|line| line.contains(words))
}

#[test]
fn a_vae_has_all_but_perplexity() {
    let found = section("posterior={kind='diagonal-normal',latent=6}", None);
    let parts = value(&found, "mutual_information") + value(&found, "marginal_kl");
    let split = value(&found, "total_correlation") + value(&found, "dimension_wise_kl");
    assert!((split - value(&found, "marginal_kl")).abs() < 1e-3);
    // The split is taken at one draw a row, the rate in closed form: equal but for the draws.
    let rate = value(&found, "rate");
    assert!((parts - rate).abs() < 0.1 * rate + 0.1, "{parts} {rate}");
    assert!(value(&found, "mutual_information") <= 320f64.ln() + 1e-6);
    assert!(value(&found, "active_units") >= 1.0);
    assert!(value(&found, "linear_probe") > 3.0 * value(&found, "majority_class"));
    assert!(value(&found, "nearest_neighbours") > 3.0 * value(&found, "majority_class"));
    for name in ["mmd", "two_sample_accuracy", "overlap", "holes", "hole_gap", "participation_ratio"] {
        value(&found, name);
    }
    assert!(is_absent(&found, "perplexity"));
    assert_eq!(found.figures.len(), 3);
    assert_eq!(found.get("linear_probe").unwrap().rows.len(), 320);
}

#[test]
fn a_point_has_no_rate() {
    let plain =
        "posterior={kind='point',latent=3}\nobjective={estimator={kind='plain'},terms={distortion={}}}";
    let found = section(plain, Some(0.001));
    assert!(found.get("rate").is_none() && is_absent(&found, "rate: the posterior is a point"));
    assert!(is_absent(&found, "mutual information") && is_absent(&found, "overlap and holes"));
    // An autoencoder's codes are not where the prior is.
    assert!(value(&found, "two_sample_accuracy") > 0.6 && !found.warnings.is_empty());
    // Little time: the pairwise questions take 256 rows, and say so.
    assert_eq!(found.get("mmd").unwrap().n, 256);
}

#[test]
fn bits_have_a_perplexity() {
    let found = section("posterior={kind='bits',latent=8}\nprior={kind='bits'}", None);
    let perplexity = value(&found, "perplexity");
    assert!((2.0..=256.0).contains(&perplexity), "{perplexity}");
    assert!(value(&found, "bits_in_use") >= 2.0 && is_absent(&found, "overlap and holes"));
    assert!(value(&found, "mutual_information") <= 320f64.ln() + 1e-6);
}
