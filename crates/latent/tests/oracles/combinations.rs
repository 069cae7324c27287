//! Infinite rates and impossible combinations are refused when the configuration is read, with the reason.

use latent::config::ConfigError;
use latent::data::{Facts, ValueKind};
use latent::device::Device;

use crate::common::*;

/// The configuration is refused as a combination, with these words.
#[track_caller]
fn refused(text: &str, facts: &Facts, what: &str, remedy: &str) {
    match try_make(text, facts, &Device::cpu()) {
        Err(ConfigError::Combination { what: found, remedy: advice }) => {
            assert_eq!(found, what);
            assert_eq!(advice, remedy);
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted: {text}"),
    }
}

fn table() -> Facts {
    facts(vector(4), ValueKind::Real)
}

#[test]
fn a_point_with_a_rate() {
    let remedy = "set objective.terms.rate.weight = 0 and objective.estimator.kind = \"plain\", or use posterior.kind = \
         \"diagonal-normal\"";
    refused("posterior.kind = 'point'", &table(), "a point posterior has an infinite rate", remedy);
    // Without the term it is an autoencoder.
    let plain = "posterior.kind = 'point'\nobjective = { estimator.kind = 'plain', terms.distortion = {} }";
    try_make(plain, &table(), &Device::cpu()).unwrap();
}

#[test]
fn a_rate_that_is_infinite_is_absent_not_zero() {
    let text = "posterior = { kind = 'point', latent = 2 }\nobjective.terms.rate.weight = 0.0";
    let remedy = "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"";
    let what = "a point posterior has no density, so there is no evidence lower bound";
    refused(text, &table(), what, remedy);
    let made = make(&format!("{text}\nobjective.estimator.kind = 'plain'"), &table());
    let rows = batch(vec![0.5; 8], 4);
    let pass = latent::objective::Pass::new(made.view(), &rows, 1, latent::Key::from_seed(1));
    let names: Vec<String> =
        made.objective.loss(&pass, None).terms.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["loss", "distortion"]);
}

#[test]
fn an_importance_bound_of_a_point() {
    let text =
        "posterior.kind = 'point'\nobjective = { estimator.kind = 'importance', terms.distortion = {} }";
    refused(
        text,
        &table(),
        "a point posterior has no density to weigh draws with, so there is no importance-weighted bound",
        "use objective.estimator.kind = \"plain\", or posterior.kind = \"diagonal-normal\"",
    );
}

#[test]
fn codes_and_prior_on_different_spaces() {
    let remedy = |kind: &str| {
        format!("set prior.kind = \"{kind}\", or choose a posterior whose codes lie where the prior does")
    };
    let cases = [
        ("prior.kind = 'uniform'", "the reals", "the unit cube", "standard-normal"),
        ("prior.kind = 'bits'", "the reals", "bits", "standard-normal"),
        ("posterior.kind = 'bits'", "bits", "the reals", "bits"),
        ("posterior.kind = 'bits'\nprior.kind = 'mixture'", "bits", "the reals", "bits"),
        ("posterior.kind = 'bits'\nprior.kind = 'uniform'", "bits", "the unit cube", "bits"),
    ];
    for (text, ours, theirs, kind) in cases {
        let what = format!(
            "the posterior's codes are {ours} and the prior lives on {theirs}, so the rate is infinite"
        );
        refused(text, &table(), &what, &remedy(kind));
    }
    // Where there is no rate, nothing is infinite, and still no discrepancy would ever vanish.
    let wae = "posterior = { kind = 'point', unit_interval = true }\n\
               objective = { estimator.kind = 'plain', terms = { distortion = {}, mmd = {} } }";
    let what =
        "the posterior's codes are the unit cube and the prior lives on the reals, so the rate is infinite";
    refused(wae, &table(), what, &remedy("uniform"));
    try_make(&format!("{wae}\nprior.kind = 'uniform'"), &table(), &Device::cpu()).unwrap();
}

#[test]
fn an_importance_bound_with_weights_of_its_own() {
    let what = |name: &str| {
        format!(
            "the importance-weighted bound holds `{name}` inside its weights, so it can have no weight, schedule or \
             free bits of its own"
        )
    };
    let remedy = |name: &str| {
        format!("leave [objective.terms.{name}] plain, or use objective.estimator.kind = \"elbo\"")
    };
    for (name, settings) in [
        ("rate", "weight = 4.0"),
        ("rate", "free_bits = 0.1"),
        ("rate", "schedule = { kind = 'linear', epochs = 1.0 }"),
        ("distortion", "weight = 2.0"),
    ] {
        let text =
            format!("[objective.estimator]\nkind = 'importance'\n[objective.terms.{name}]\n{settings}");
        refused(&text, &table(), &what(name), &remedy(name));
    }
    // The same terms under other names would be counted twice.
    let text = "[objective.estimator]\nkind = 'importance'\n[objective.terms]\ndistortion = {}\nkl = { kind = 'rate' }";
    refused(
        text,
        &table(),
        "the importance-weighted bound holds the rate inside its weights, so the term `kl` would count it twice",
        "leave [objective.terms.kl] out, or use objective.estimator.kind = \"elbo\"",
    );
    let text = "[objective.estimator]\nkind = 'importance'\n[objective.terms]\ndistortion = { kind = 'mmd' }";
    refused(
        text,
        &table(),
        "objective.terms.distortion: the importance-weighted bound calls its own distortion so, and this is of kind `mmd`",
        "give the term another name",
    );
    let free = "[objective.estimator]\nkind = 'importance'\n[objective.terms]\ndistortion = {}\nrate = {}\nmmd = { weight = 2.0 }";
    try_make(free, &table(), &Device::cpu()).unwrap();
}

#[test]
fn free_bits_of_a_rate_that_does_not_split() {
    refused(
        "prior.kind = 'mixture'\nobjective.terms.rate.free_bits = 0.1",
        &table(),
        "the term `rate` has free bits for each dimension, and the density of the prior or of the posterior does not split over dimensions",
        "set objective.terms.rate.free_bits = 0, or use posterior.kind = \"diagonal-normal\" and prior.kind = \"standard-normal\"",
    );
}

#[test]
fn likelihoods_of_other_data() {
    refused(
        "likelihood.kind = 'continuous-bernoulli'",
        &facts(vector(4), ValueKind::Binary),
        "likelihood `continuous-bernoulli` is a density on [0, 1], and this data is binary",
        "use likelihood.kind = \"bernoulli\"",
    );
    for kind in ["bernoulli", "continuous-bernoulli", "discretised-logistic"] {
        refused(
            &format!("likelihood.kind = '{kind}'"),
            &table(),
            &format!("likelihood `{kind}` describes values in [0, 1], and this data is real numbers"),
            "use likelihood.kind = \"normal\"",
        );
    }
}

#[test]
fn convolutions_of_vectors() {
    for kind in ["conv", "residual-conv"] {
        refused(
            &format!("network.kind = '{kind}'"),
            &table(),
            "a convolution needs images, and these rows are vectors of 4 columns",
            "use network.kind = \"mlp\"",
        );
    }
}

#[test]
fn accumulation_of_what_couples_rows() {
    let remedy = "set train.accumulate = 1";
    let what = |term: &str| {
        format!("the term `{term}` couples the rows of a batch, so a batch cannot be split for accumulation")
    };
    let fixed = "likelihood.scale = 'fixed'\ntrain.accumulate = 2\n";
    refused(&format!("{fixed}objective.terms.mmd = {{}}"), &table(), &what("mmd"), remedy);
    refused(&format!("{fixed}objective.terms.rate.free_bits = 0.1"), &table(), &what("rate"), remedy);
    // The optimal σ is measured on the batch.
    refused(
        "likelihood.scale = 'optimal'\ntrain.accumulate = 2",
        &table(),
        "the likelihood measures its scale on the whole batch, so a batch cannot be split for accumulation",
        "set train.accumulate = 1, or likelihood.scale = \"learned\"",
    );
    try_make(fixed, &table(), &Device::cpu()).unwrap();
}

#[test]
fn sizes_of_nothing() {
    for (text, key) in [
        ("posterior.latent = 0", "posterior.latent"),
        ("posterior = { kind = 'bits', temperature = 0.0 }", "posterior.temperature"),
        ("prior = { kind = 'mixture', components = 0 }", "prior.components"),
        ("likelihood = { kind = 'normal', sigma = 0.0 }", "likelihood.sigma"),
        ("objective.estimator.draws = 0", "objective.estimator.draws"),
        ("objective.terms.rate.free_bits = -1.0", "objective.terms.rate.free_bits"),
        ("objective.terms.rate.weight = nan", "objective.terms.rate.weight"),
        ("objective.terms.mmd.scales = []", "objective.terms.mmd.scales"),
        (
            "objective.terms.rate.schedule = { kind = 'cyclic', cycles = 0, ratio = 0.5 }",
            "objective.terms.rate.schedule",
        ),
    ] {
        match try_make(text, &table(), &Device::cpu()) {
            Err(ConfigError::Value { key: found, .. }) => assert_eq!(found, key),
            Err(other) => panic!("{text}: {other}"),
            Ok(_) => panic!("accepted: {text}"),
        }
    }
}
