//! What every density of a registered posterior or prior keeps to.

use latent::batch::{Batch, Noise};
use latent::data::{Facts, SampleShape, ValueKind};
use latent::density::Density;
use latent::device::host_f64;
use latent::model::posterior::PosteriorSettings;
use latent::model::prior::PriorSettings;
use latent::model::{LatentModel, View};
use latent::weights::Weights;
use latent::{Key, Registry};

use crate::common::*;

const X: usize = 4;
const ROWS: usize = 5;

/// Pairs of a posterior and a prior that go together.
const PAIRS: [(&str, &str); 33] = [
    ("kind = 'point', latent = 2", "kind = 'standard-normal'"),
    ("kind = 'point', latent = 2, unit_interval = true", "kind = 'uniform'"),
    ("kind = 'diagonal-normal', latent = 3", "kind = 'standard-normal'"),
    ("kind = 'diagonal-normal', latent = 3", "kind = 'mixture', components = 3"),
    ("kind = 'diagonal-normal', latent = 3", "kind = 'vamp', components = 4"),
    ("kind = 'diagonal-normal', latent = 1", "kind = 'vamp', components = 1"),
    ("kind = 'diagonal-normal', latent = 3", "kind = 'exemplar', exemplars = 7"),
    ("kind = 'diagonal-normal', latent = 2", "kind = 'conditional-normal', hidden = [4]"),
    ("kind = 'diagonal-normal', latent = 3", "kind = 'real-nvp', layers = 3, hidden = [4]"),
    ("kind = 'full-normal', latent = 3", "kind = 'standard-normal'"),
    ("kind = 'full-normal', latent = 1", "kind = 'vamp', components = 3"),
    (
        "kind = 'flow', steps = 2, base = { kind = 'diagonal-normal', latent = 3 }",
        "kind = 'vamp', components = 3",
    ),
    (
        "kind = 'flow', step = 'radial', amortised = false, base = { kind = 'diagonal-normal', latent = 2 }",
        "kind = 'standard-normal'",
    ),
    (
        "kind = 'flow', step = 'householder', base = { kind = 'full-normal', latent = 3 }",
        "kind = 'mixture', components = 2",
    ),
    (
        "kind = 'flow', step = 'sylvester', rank = 2, base = { kind = 'diagonal-normal', latent = 3 }",
        "kind = 'vamp', components = 3",
    ),
    ("kind = 'bits', latent = 3", "kind = 'bits', learned = true"),
    ("kind = 'bits', latent = 3, gradient = 'relaxed'", "kind = 'bits'"),
    ("kind = 'bits', latent = 3", "kind = 'vamp', components = 3"),
    ("kind = 'quantized', latent = 4, codes = 3, width = 2", "kind = 'categorical', learned = true"),
    (
        "kind = 'quantized', latent = 4, codes = 3, width = 2, distance = 'cosine', gradient = 'rotation'",
        "kind = 'categorical'",
    ),
    ("kind = 'gumbel', latent = 2, categories = 3", "kind = 'categorical', learned = true"),
    ("kind = 'gumbel', latent = 1, categories = 2, straight_through = true", "kind = 'categorical'"),
    ("kind = 'fsq', latent = 2, levels = [3, 4]", "kind = 'categorical', learned = true"),
    ("kind = 'lfq', latent = 2, signs = 3", "kind = 'categorical'"),
    ("kind = 'lfq', latent = 2, signs = 3, sphere = true", "kind = 'categorical', learned = true"),
    ("kind = 'simvq', latent = 4, codes = 3, width = 2", "kind = 'categorical'"),
    ("kind = 'residual', latent = 4, codes = 3, width = 2, stages = 3", "kind = 'categorical'"),
    ("kind = 'residual', latent = 2, codes = 3, stages = 2, dropout = 1.0", "kind = 'categorical'"),
    (
        "kind = 'iaf', hidden = [5], context = 2, base = { kind = 'diagonal-normal', latent = 3 }",
        "kind = 'mixture', components = 3",
    ),
    (
        "kind = 'iaf', hidden = [5], context = 0, base = { kind = 'diagonal-normal', latent = 1 }",
        "kind = 'standard-normal'",
    ),
    (
        "kind = 'iaf', hidden = [5], context = 2, base = { kind = 'iaf', steps = 1, hidden = [4], context = 1, base = { kind = 'diagonal-normal', latent = 2 } }",
        "kind = 'conditional-normal'",
    ),
    (
        "kind = 'blocks', blocks = { a = { kind = 'bits', latent = 2 }, b = { kind = 'iaf', hidden = [5], context = 1, base = { kind = 'diagonal-normal', latent = 2 } } }",
        "kind = 'blocks', blocks = { a = { kind = 'bits' }, b = { kind = 'conditional-normal' } }",
    ),
    (
        "kind = 'blocks', blocks = { a = { kind = 'quantized', latent = 2, codes = 3 }, b = { kind = 'diagonal-normal', latent = 2 } }",
        "kind = 'blocks', blocks = { a = { kind = 'categorical' }, b = { kind = 'mixture', components = 2 } }",
    ),
];

fn told_facts() -> Facts {
    told(facts(vector(X), ValueKind::Real), 2)
}

#[test]
fn the_pairs_have_every_member() {
    let registry = Registry::default();
    let posteriors = registry.members::<PosteriorSettings>().unwrap().list();
    let priors = registry.members::<PriorSettings>().unwrap().list();
    let starts = |all: Vec<&str>, kind: &str| all.iter().any(|t| t.starts_with(&format!("kind = '{kind}'")));
    for (kind, _) in posteriors {
        assert!(starts(PAIRS.iter().map(|p| p.0).collect(), kind), "posterior {kind}");
    }
    for (kind, _) in priors {
        assert!(starts(PAIRS.iter().map(|p| p.1).collect(), kind), "prior {kind}");
    }
}

fn rows_of(values: &[f64], dims: usize, rows: &[usize]) -> Vec<f64> {
    rows.iter().flat_map(|&row| values[row * dims..(row + 1) * dims].to_vec()).collect()
}

/// `n` rows of the density; a density for all rows gives any.
fn keeps_to_it(what: &str, density: &dyn Density, dims: usize) {
    let (draws, ids): (usize, Vec<u64>) = (3, (10..10 + ROWS as u64).collect());
    let noise = |ids| Noise::new(Key::from_seed(4), ids);
    let draw = density.draw(draws, noise(&ids));
    let z = host_f64(&draw.z.z);
    assert_eq!(z.len(), draws * ROWS * dims, "{what}: as many codes as were asked for");
    assert!(z.iter().all(|v| v.is_finite()), "{what}: finite draws");
    let found = density.log_density(&draw.z).map(|log_q| host_f64(&log_q));
    if let Some(found) = &found {
        assert!(found.len() == draws * ROWS && found.iter().all(|v| v.is_finite()), "{what}: {found:?}");
        let carried = host_f64(&density.log_density_of(&draw).unwrap());
        let off = carried.iter().zip(found).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(off < 1e-8, "{what}: carried and found differ by {off:.1e}");
        if let Some(split) = density.log_density_per_dimension(&draw.z) {
            let sums: Vec<f64> = host_f64(&split).chunks(dims).map(|row| row.iter().sum()).collect();
            sums.iter().zip(found).for_each(|(a, b)| assert!((a - b).abs() < 1e-10, "{what}: split"));
        }
    }
    // Detached: the same numbers.
    let apart = density.detached();
    let same = apart.draw(draws, noise(&ids));
    assert_eq!(host_f64(&same.z.z), z, "{what}: detached draws");
    assert_eq!(apart.log_density(&same.z).map(|l| host_f64(&l)), found, "{what}: detached density");
    assert_eq!(host_f64(&apart.centre().z), host_f64(&density.centre().z), "{what}: detached centre");
    // Some rows, in another order and one twice: what the whole says of them.
    let chosen = [3, 0, 3];
    let few = density.rows(&chosen);
    let own: Vec<u64> = chosen.iter().map(|&row| ids[row]).collect();
    let part = few.draw(draws, noise(&own));
    let places: Vec<usize> = (0..draws).flat_map(|d| chosen.map(|row| d * ROWS + row)).collect();
    let off = host_f64(&part.z.z)
        .iter()
        .zip(rows_of(&z, dims, &places))
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f64::max);
    assert!(off < 1e-12, "{what}: rows draw as in the whole, off by {off:.1e}");
    if let Some(found) = found {
        let of_part = host_f64(&few.log_density(&part.z).unwrap());
        for (a, b) in of_part.iter().zip(rows_of(&found, 1, &places)) {
            assert!((a - b).abs() < 1e-9, "{what}: rows have the density of the whole: {a} {b}");
        }
    }
    if let (Some(whole), Some(few)) = (density.deviation(), few.deviation()) {
        assert!(host_f64(&whole).iter().all(|s| s.is_finite() && *s >= 0.0), "{what}: deviation");
        if whole.dims()[0] == ROWS {
            assert_eq!(
                host_f64(&few),
                rows_of(&host_f64(&whole), dims, &chosen),
                "{what}: deviation of rows"
            );
        }
    }
    assert!(density.parameters().iter().all(|(_, t)| host_f64(t).iter().all(|v| v.is_finite())), "{what}");
}

fn both(what: &str, model: &LatentModel, weights: &Weights, batch: &Batch) {
    let dims = model.latent.dims();
    let key = Key::from_seed(2);
    for view in [View::evaluation(model, weights), View::training(model, weights, key)] {
        let mode = format!("{what} {:?}", view.mode);
        keeps_to_it(&format!("q of {mode}"), view.encode(batch).as_ref(), dims);
        keeps_to_it(&format!("p of {mode}"), view.prior(batch.given()).as_ref(), dims);
    }
}

#[test]
fn draws_rows_and_copies_of_every_density_agree_with_it() {
    for (posterior, prior) in PAIRS {
        let estimator = if posterior.contains("'point'") { "plain" } else { "elbo" };
        let text = format!(
            "posterior = {{ {posterior} }}\nprior = {{ {prior} }}\nnetwork = {{ kind = 'mlp', hidden = [6], activation = 'silu' }}
             objective = {{ estimator = {{ kind = '{estimator}' }}, terms = {{ distortion = {{}} }} }}"
        );
        let what = format!("{posterior} / {prior}");
        let made = try_make(&text, &told_facts()).unwrap_or_else(|error| panic!("{what}: {error}"));
        let made = made.randomised(Key::from_seed(1), 0.5);
        let x = normals(Key::from_seed(3), ROWS * X);
        both(&what, &made.model, &made.weights, &batch_of(x, X, &[0, 1, 1, 0, 1], 2));
        // Under gradients too.
        let tracked = made.weights.tracked(|_| true);
        let x = normals(Key::from_seed(3), ROWS * X);
        both(&what, &made.model, &tracked, &batch_of(x, X, &[0, 1, 1, 0, 1], 2));
    }
}

#[test]
fn maps_are_codes_like_any_other() {
    let facts = facts(SampleShape::Image { channels: 1, height: 4, width: 4 }, ValueKind::Grey);
    let map = "latent = { channels = 2, factor = 2 }";
    for (posterior, prior) in [
        (format!("kind = 'diagonal-normal', {map}"), "kind = 'vamp', components = 3"),
        (
            format!("kind = 'iaf', hidden = [5], context = 2, base = {{ kind = 'diagonal-normal', {map} }}"),
            "kind = 'standard-normal'",
        ),
        (format!("kind = 'quantized', codes = 3, {map}"), "kind = 'categorical'"),
        (format!("kind = 'gumbel', categories = 3, {map}"), "kind = 'categorical'"),
        (format!("kind = 'fsq', levels = [3, 4], {map}"), "kind = 'categorical'"),
        (format!("kind = 'lfq', signs = 3, {map}"), "kind = 'categorical'"),
        (format!("kind = 'simvq', codes = 3, {map}"), "kind = 'categorical'"),
        (format!("kind = 'residual', codes = 3, stages = 2, {map}"), "kind = 'categorical'"),
        (format!("kind = 'bits', {map}"), "kind = 'bits'"),
    ] {
        let text = format!(
            "posterior = {{ {posterior} }}\nprior = {{ {prior} }}\nnetwork = {{ kind = 'mlp', hidden = [6] }}"
        );
        let made = make(&text, &facts).randomised(Key::from_seed(1), 0.3);
        let x = normals(Key::from_seed(3), ROWS * 16).into_iter().map(|v| v.abs().min(1.0)).collect();
        both(&posterior, &made.model, &made.weights, &batch(x, 16));
    }
}
