//! The VampPrior: 1/K Σ_k q(z|u_k), against the posteriors of its pseudo-inputs and quadrature.

use latent::batch::{Batch, Draw, Given, Latent, Noise};
use latent::data::{Data, DataError, DataSettings, Facts, Memory, ValueKind};
use latent::density::Density;
use latent::device::{Device, host, host_f64};
use latent::model::View;
use latent::objective::Pass;
use latent::train::{Autoencoder, Trainable};
use latent::weights::Weights;
use latent::{Key, Layers, Model, Options, Training};

use crate::common::*;

const X: usize = 3;

fn text(components: usize) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed' }}
         posterior = {{ kind = 'diagonal-normal', latent = 2 }}
         prior = {{ kind = 'vamp', components = {components} }}
         network = {{ kind = 'mlp', hidden = [8], activation = 'silu' }}"
    )
}

fn real() -> Facts {
    facts(vector(X), ValueKind::Real)
}

fn vamp(components: usize) -> Made {
    make(&text(components), &real()).randomised(Key::from_seed(3), 0.7)
}

fn prior(made: &Made) -> Box<dyn Density> {
    made.view().prior(Given::none())
}

/// μ and σ² of q(z|u_k) in two dimensions, from the encoder's outputs.
fn components(made: &Made, inputs: Batch) -> Vec<[f64; 4]> {
    let outputs = host_f64(&made.view().encoder_outputs(&inputs));
    outputs.chunks(4).map(|o| [o[0], o[1], o[2].exp(), o[3].exp()]).collect()
}

fn mixture(parts: &[[f64; 4]], z: &[f64]) -> f64 {
    let each = parts.iter().map(|[a, b, s, t]| log_normal(z[0], *a, *s) + log_normal(z[1], *b, *t));
    log_sum(&each.collect::<Vec<_>>()) - (parts.len() as f64).ln()
}

#[track_caller]
fn is_mixture(p: &dyn Density, parts: &[[f64; 4]]) {
    let z: Vec<f64> = normals(Key::from_seed(8), 80).into_iter().map(|v| 2.0 * v).collect();
    let wanted: Vec<f64> = z.chunks(2).map(|z| mixture(parts, z)).collect();
    all_close(&log_density(p, z, 2), &wanted, 1e-11);
}

#[test]
fn the_density_is_the_mean_of_the_posteriors_of_the_pseudo_inputs_and_integrates_to_one() {
    let made = vamp(5);
    let parts = components(&made, batch(made.get("prior.inputs"), X));
    let p = prior(&made);
    is_mixture(p.as_ref(), &parts);
    // As far as any component reaches, in steps that the narrowest can bear.
    let deviations = parts.iter().flat_map(|p| [p[2].sqrt(), p[3].sqrt()]);
    let (narrow, wide) = deviations.fold((f64::MAX, 0.0), |(a, b): (f64, f64), s| (a.min(s), b.max(s)));
    let centres = parts.iter().flat_map(|p| [p[0], p[1]]);
    let (from, to) = centres.fold((0.0, 0.0), |(a, b): (f64, f64), m| (a.min(m), b.max(m)));
    let (from, to) = (from - 8.0 * wide, to + 8.0 * wide);
    let count = 2 * ((to - from) / narrow) as usize + 1;
    let total = integral_2d(p.as_ref(), from, to, count);
    println!("∫ p = 1 + {:.1e} on {count} × {count} points from {from:.1} to {to:.1}", total - 1.0);
    close(total, 1.0, 1e-9);
    assert!(p.log_density_per_dimension(&Latent::new(matrix(vec![0.0; 2], 2))).is_none());
}

#[test]
fn pseudo_inputs_of_grey_data_are_seen_within_its_range() {
    let made = make(&text(4), &facts(vector(X), ValueKind::Grey)).randomised(Key::from_seed(4), 1.0);
    let inputs = made.get("prior.inputs");
    assert!(inputs.iter().any(|u| *u < 0.0) && inputs.iter().any(|u| *u > 1.0));
    let seen = inputs.into_iter().map(|u| u.clamp(0.0, 1.0)).collect();
    is_mixture(prior(&made).as_ref(), &components(&made, batch(seen, X)));
}

#[test]
fn draws_centre_and_deviation_have_the_moments_of_the_mixture() {
    let made = vamp(5);
    let parts = components(&made, batch(made.get("prior.inputs"), X));
    let p = prior(&made);
    let mean = |f: &dyn Fn(&[f64; 4]) -> f64| parts.iter().map(f).sum::<f64>() / parts.len() as f64;
    let (a, b) = (mean(&|p| p[0]), mean(&|p| p[1]));
    let (aa, bb) = (mean(&|p| p[0] * p[0] + p[2]), mean(&|p| p[1] * p[1] + p[3]));
    let ab = mean(&|p| p[0] * p[1]);
    all_close(&host_f64(&p.centre().z), &[a, b], 1e-12);
    let deviation = host_f64(&p.deviation().unwrap());
    all_close(&deviation, &[(aa - a * a).sqrt(), (bb - b * b).sqrt()], 1e-12);
    let ids: Vec<u64> = (0..500).collect();
    let z = host_f64(&p.draw(100, Noise::new(Key::from_seed(5), &ids)).z.z);
    let draws = || z.chunks(2);
    let off = [
        mean_z(draws().map(|z| z[0]), a),
        mean_z(draws().map(|z| z[1]), b),
        mean_z(draws().map(|z| z[0] * z[0]), aa),
        mean_z(draws().map(|z| z[1] * z[1]), bb),
        mean_z(draws().map(|z| z[0] * z[1]), ab),
    ];
    println!("50,000 draws: moments off by {off:.2?} standard errors");
    assert!(off.iter().all(|z| z.abs() < 4.0), "{off:?}");
}

#[test]
fn a_draw_is_the_same_in_any_batch_and_in_parts_of_a_series() {
    let made = vamp(5);
    let p = prior(&made);
    let key = Key::from_seed(6);
    let rows = |draw: Draw| -> Vec<Vec<f64>> { host_f64(&draw.z.z).chunks(2).map(<[f64]>::to_vec).collect() };
    let whole = rows(p.draw(4, Noise::new(key, &[3, 7, 9])));
    for (place, id) in [3, 7, 9].into_iter().enumerate() {
        let alone = rows(p.draw(4, Noise::new(key, &[id])));
        (0..4).for_each(|draw| assert_eq!(alone[draw], whole[draw * 3 + place]));
    }
    let later = rows(p.draw(2, Noise { key, ids: &[3, 7, 9], first: 2 }));
    assert_eq!(later, whole[6..]);
    let first: Vec<&Vec<f64>> = whole.iter().collect();
    assert!(first.iter().enumerate().all(|(i, z)| !first[..i].contains(z)), "all draws differ");
}

#[test]
fn one_component_is_the_posterior_of_its_input() {
    let made = vamp(1);
    let p = prior(&made);
    let q = made.view().encode(&batch(made.get("prior.inputs"), X));
    let z = normals(Key::from_seed(2), 20);
    all_close(&log_density(p.as_ref(), z.clone(), 2), &log_density(q.as_ref(), z, 2), 1e-14);
    let (ids, key) = ([4, 5, 6], Key::from_seed(1));
    let draws = |d: &dyn Density| host_f64(&d.draw(3, Noise::new(key, &ids)).z.z);
    assert_eq!(draws(p.as_ref()), draws(q.as_ref()));
    let few = p.rows(&[2, 0]);
    assert_eq!(draws(few.as_ref()), draws(p.as_ref()));
}

#[test]
fn the_encoder_is_told_what_each_pseudo_input_was_told() {
    let facts = told(real(), 2);
    let mut made = make(&text(3), &facts).randomised(Key::from_seed(3), 0.7);
    let labels = [1, 0, 1];
    made.set("prior.told", &host_f64(&one_hot(&labels, 2)));
    let inputs = batch_of(made.get("prior.inputs"), X, &labels, 2);
    let parts = components(&made, inputs.clone());
    is_mixture(prior(&made).as_ref(), &parts);
    let other = components(&made, batch_of(made.get("prior.inputs"), X, &[0, 0, 1], 2));
    assert_ne!(parts, other);
    // It is one density, whatever a row is told.
    let rows = batch_of(vec![0.0; 2 * X], X, &[0, 1], 2);
    is_mixture(made.view().prior(rows.given()).as_ref(), &parts);
}

/// Training rows that can be told apart, by key.
fn rows(count: usize, classes: usize) -> impl Fn(usize, Key) -> Result<Batch, DataError> {
    move |wanted, key| {
        let mut places = key.permutation(count);
        places.truncate(wanted);
        let x: Vec<f64> = places.iter().flat_map(|&p| [p as f64, 0.5, p as f64 / 8.0]).collect();
        let labels: Vec<usize> = places.iter().map(|p| p % 2).collect();
        Ok(if classes == 0 { batch(x, X) } else { batch_of(x, X, &labels, classes) })
    }
}

fn started(made: Made, filled: &[&str], key: Key, count: usize, classes: usize) -> Weights {
    let filled = filled.iter().map(|path| made.id(path)).collect();
    let mut task = Autoencoder { filled, ..Autoencoder::new(made.model, made.weights, made.objective) };
    task.start(&rows(count, classes), key).unwrap();
    task.weights
}

fn get(weights: &Weights, path: &str) -> Vec<f64> {
    values(weights, weights.iter().find(|(_, w)| w.path() == path).unwrap().0)
}

#[test]
fn pseudo_inputs_start_as_training_rows_by_key_and_stay_as_they_were_filled() {
    let start = |filled: &[&str], seed: u64| started(vamp(6), filled, Key::from_seed(seed), 20, 0);
    let inputs = get(&start(&[], 1), "prior.inputs");
    let mut places: Vec<f64> = inputs.chunks(X).map(|u| u[0]).collect();
    for u in inputs.chunks(X) {
        assert_eq!(u, [u[0], 0.5, u[0] / 8.0]);
        assert!(u[0] < 20.0 && u[0].fract() == 0.0);
    }
    places.sort_by(f64::total_cmp);
    places.dedup();
    assert_eq!(places.len(), 6, "without replacement");
    assert_eq!(get(&start(&[], 1), "prior.inputs"), inputs);
    assert_ne!(get(&start(&[], 2), "prior.inputs"), inputs);
    // Nothing else moves, and what another model filled stays.
    let (before, after) = (vamp(6), start(&["prior.inputs"], 1));
    for (id, weight) in before.weights.iter() {
        assert_eq!(values(&before.weights, id), values(&after, id), "{}", weight.path());
    }
}

#[test]
fn a_book_larger_than_the_data_repeats_its_rows_with_what_they_were_told() {
    let made = make(&text(7), &told(real(), 2));
    let weights = started(made, &[], Key::from_seed(1), 3, 2);
    let (inputs, told) = (get(&weights, "prior.inputs"), get(&weights, "prior.told"));
    let rows: Vec<(&[f64], &[f64])> = inputs.chunks(X).zip(told.chunks(2)).collect();
    assert_eq!(rows.len(), 7);
    for (place, (u, told)) in rows.iter().enumerate() {
        assert_eq!((u, told), (&rows[place % 3].0, &rows[place % 3].1));
        let class = u[0] as usize % 2;
        assert_eq!(**told, [f64::from(u8::from(class == 0)), f64::from(u8::from(class == 1))]);
    }
}

#[test]
fn a_run_that_starts_from_a_model_keeps_its_pseudo_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let numbers: Vec<f32> = normals(Key::from_seed(1), 60 * X).into_iter().map(|v| v as f32).collect();
    let mut layers = Layers { table: text(4).parse().unwrap(), ..Layers::default() };
    layers.set("train = { steps = 1, batch = 20, keep = 'last' }").unwrap();
    let prepare = |from: Option<&std::path::Path>| {
        let memory = Memory::new(vector(X), numbers.clone());
        let data =
            Data::from_memory(memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {}).unwrap();
        let options = Options { init_from: from, ..Options::default() };
        Training::in_memory(&layers, data, options, &mut |_| {}).unwrap()
    };
    let mut first = prepare(None);
    first.train(&Default::default(), &mut |_| {}).unwrap();
    let path = folder.path().join("model.safetensors");
    Model::save(&first.run, &first.task.weights, &path).unwrap();
    let trained = get(&first.task.weights, "prior.inputs");
    let mut second = prepare(Some(&path));
    assert_eq!(get(&second.task.weights, "prior.inputs"), trained);
    let rows = |_: usize, _: Key| -> Result<Batch, DataError> {
        Ok(Batch::of(Device::cpu().tensor(vec![9.0; 4 * X], [4, X]), vec![0, 1, 2, 3]))
    };
    second.task.start(&rows, Key::from_seed(1)).unwrap();
    assert_eq!(get(&second.task.weights, "prior.inputs"), trained);
    let mut third = prepare(None);
    third.task.start(&rows, Key::from_seed(1)).unwrap();
    assert_eq!(get(&third.task.weights, "prior.inputs"), [9.0; 4 * X]);
    // Each pseudo-input of the first run is a row within one step of Adam.
    let all = host(&first.task.weights.iter().find(|(_, w)| w.path() == "prior.inputs").unwrap().1.flat());
    let data = &first.data;
    let train = (0..data.facts().rows[0] as usize).collect::<Vec<_>>();
    let x = latent::data::Examples::rows(data.as_ref(), latent::data::Split::Train, &train, 0).unwrap().x;
    let apart = |u: &[f32], x: &[f32]| u.iter().zip(x).map(|(u, x)| (u - x).abs()).fold(0.0, f32::max);
    assert!(all.chunks(X).all(|u| x.chunks(X).any(|x| apart(u, x) < 1.1e-3)));
}

#[test]
fn the_gradient_of_the_rate_agrees_with_finite_differences() {
    let (rows, key) = (batch(normals(Key::from_seed(9), 4 * X), X), Key::from_seed(10));
    for kind in [ValueKind::Real, ValueKind::Grey] {
        let mut made = make(&text(5), &facts(vector(X), kind)).randomised(Key::from_seed(3), 0.5);
        if kind == ValueKind::Grey {
            // Inside the range, where the gradient passes.
            let inside: Vec<f64> =
                made.get("prior.inputs").iter().map(|u| (u.abs() * 0.4 + 0.1).min(0.9)).collect();
            made.set("prior.inputs", &inside);
        }
        let rate = |weights: &Weights| {
            let pass = Pass::new(View::training(&made.model, weights, key), &rows, 3, key);
            assert!(!pass.rate().unwrap().exact);
            pass.rate().unwrap().total.clone().mean()
        };
        let tracked = made.weights.tracked(|_| true);
        let mut gradients = rate(&tracked).backward();
        let mut worst: f64 = 0.0;
        // The encoder matters twice: through q of the rows and of the pseudo-inputs.
        for path in ["prior.inputs", "encoder.0.weight", "encoder.1.bias"] {
            let id = made.id(path);
            let found = host_f64(&tracked.gradient(id, &mut gradients).unwrap());
            let at = made.get(path);
            for place in 0..at.len() {
                let h = 1e-5;
                let moved = |by: f64| {
                    let mut weights = made.weights.clone();
                    let mut values = at.clone();
                    values[place] += by;
                    weights.set(id, double().tensor_f64(values, [at.len()]));
                    host_f64(&rate(&weights))[0]
                };
                let wanted = (moved(h) - moved(-h)) / (2.0 * h);
                worst = worst.max((found[place] - wanted).abs() / wanted.abs().max(1.0));
            }
        }
        println!("{kind:?}: the gradient is off by {worst:.1e} at most");
        assert!(worst < 1e-7, "{worst:.1e}");
    }
}

#[test]
fn what_has_no_aggregate_is_refused() {
    let said = refusal(&text(0), &real());
    assert!(said.starts_with("`prior.components`"), "{said}");
    let point = text(3).replace("'diagonal-normal'", "'point'") + "\nobjective.estimator.kind = 'plain'";
    assert!(refusal(&point, &real()).contains("point"));
    // A mixture of certain indices gives all other codes no mass: the rate would be infinite.
    let book = text(3).replace("'diagonal-normal'", "'quantized'");
    let said = refusal(&book, &real());
    assert!(said.contains("VampPrior") && said.contains("infinite"), "{said}");
    // Each code under each component by a flow that goes back dimension by dimension.
    let flow = text(3)
        .replace("'diagonal-normal', latent = 2", "'iaf', base = { kind = 'diagonal-normal', latent = 2 }");
    let said = refusal(&flow, &real());
    assert!(said.contains("prior.kind = \"standard-normal\""), "{said}");
    // It is the posterior of a whole code.
    let blocks = "posterior = { kind = 'blocks', blocks = { a = { kind = 'diagonal-normal', latent = 2 }, b = { kind = 'bits', latent = 2 } } }
        prior = { kind = 'blocks', blocks = { a = { kind = 'vamp', components = 3 }, b = { kind = 'bits' } } }
        network = { kind = 'mlp', hidden = [4] }";
    let said = refusal(blocks, &real());
    assert!(said.contains("whole"), "{said}");
}
