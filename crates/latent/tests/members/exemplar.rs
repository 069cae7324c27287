//! The exemplar prior: 1/K Σ_k N(z; μ(x_k), σ² I), against sums on the host over the codes of training rows, and quadrature.

use std::collections::BTreeMap;

use latent::batch::{Batch, Given, Latent, Noise};
use latent::data::{Data, DataError, DataSettings, Examples, Memory, Split, ValueKind};
use latent::density::{Density, IsotropicMixture};
use latent::device::{Device, host_f64};
use latent::member::Progress;
use latent::model::View;
use latent::objective::Pass;
use latent::optimizer::{MODEL, Player};
use latent::train::{Moment, Trainable};
use latent::weights::Weights;
use latent::{Key, Layers, Model, Options, Training};

use crate::common::*;

const X: usize = 3;
const EXEMPLARS: usize = 20;

fn text(subset: usize) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed' }}
         posterior = {{ kind = 'diagonal-normal', latent = 2 }}
         prior = {{ kind = 'exemplar', exemplars = {EXEMPLARS}, subset = {subset} }}
         network = {{ kind = 'mlp', hidden = [8], activation = 'silu' }}
         train = {{ steps = 7, batch = 10, keep = 'last' }}"
    )
}

/// A run that is built on rows and has begun, in double precision, its weights far from where they start.
fn begun(subset: usize) -> Training {
    let numbers: Vec<f32> = normals(Key::from_seed(1), 60 * X).into_iter().map(|v| v as f32).collect();
    let layers = Layers { table: text(subset).parse().unwrap(), ..Layers::default() };
    let memory = Memory::new(vector(X), numbers);
    let data = Data::from_memory(memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {}).unwrap();
    let options = Options { device: double(), ..Options::default() };
    let mut training = Training::in_memory(&layers, data, options, &mut |_| {}).unwrap();
    shake(&mut training.task.weights, 3);
    let nothing =
        |_: usize, _: Key| -> Result<Batch, DataError> { Ok(Batch::of(matrix(vec![0.0; X], X), vec![0])) };
    training.task.start(&nothing, Key::from_seed(1)).unwrap();
    training
}

fn shake(weights: &mut Weights, seed: u64) {
    let all: Vec<_> =
        weights.iter().filter(|(_, w)| w.is_trained()).map(|(id, w)| (id, w.values().len())).collect();
    for (place, (id, n)) in all.into_iter().enumerate() {
        let values = normals(Key::from_seed(seed).fold(place), n).into_iter().map(|v| 0.6 * v).collect();
        weights.set(id, double().tensor_f64(values, [n]));
    }
}

/// The places of the exemplars among the training rows.
fn places(training: &Training) -> Vec<usize> {
    let key = Key::from_seed(0).fold("exemplars").fold(training.run.facts.hash.as_str());
    let mut places = key.permutation(Examples::len(training.data.as_ref(), Split::Train));
    places.truncate(EXEMPLARS);
    places
}

fn rows(training: &Training, places: &[usize]) -> Batch {
    Batch::new(Examples::rows(training.data.as_ref(), Split::Train, places, 0).unwrap(), X, &double())
}

/// μ of these training rows under these weights.
fn means(training: &Training, weights: &Weights, places: &[usize]) -> Vec<[f64; 2]> {
    let view = View::evaluation(&training.task.model, weights);
    host_f64(&view.encoder_outputs(&rows(training, places))).chunks(4).map(|o| [o[0], o[1]]).collect()
}

fn get(weights: &Weights, path: &str) -> Vec<f64> {
    values(weights, weights.iter().find(|(_, w)| w.path() == path).unwrap().0)
}

fn mixture(means: &[[f64; 2]], variance: f64, z: &[f64]) -> f64 {
    let each = means.iter().map(|m| log_normal(z[0], m[0], variance) + log_normal(z[1], m[1], variance));
    log_sum(&each.collect::<Vec<_>>()) - (means.len() as f64).ln()
}

#[test]
fn a_row_sees_all_exemplars_but_itself() {
    let training = begun(EXEMPLARS);
    let weights = &training.task.weights;
    let (chosen, variance) = (places(&training), get(weights, "prior.log_variance")[0].exp());
    let all = means(&training, weights, &chosen);
    let ids = training.data.ids(Split::Train);
    // Two rows that are exemplars and one that is none.
    let other = (0..ids.len()).find(|place| !chosen.contains(place)).unwrap();
    let seen = [chosen[4], other, chosen[0]];
    let given: Vec<u64> = seen.iter().map(|&place| ids[place]).collect();
    let view = View::training(&training.task.model, weights, Key::from_seed(5));
    let p = view.prior(Given::rows(&given));
    // Two draws of each.
    let z = normals(Key::from_seed(8), 12);
    let wanted: Vec<f64> = z
        .chunks(2)
        .enumerate()
        .map(|(row, z)| {
            let left = |(place, mean): (&usize, &[f64; 2])| (*place != seen[row % 3]).then_some(*mean);
            let left: Vec<[f64; 2]> = chosen.iter().zip(&all).filter_map(left).collect();
            assert_eq!(left.len(), EXEMPLARS - usize::from(row % 3 != 1));
            mixture(&left, variance, z)
        })
        .collect();
    all_close(&log_density(p.as_ref(), z.clone(), 2), &wanted, 1e-9);
    // Judged, nothing is left out, and the codes are those that are kept.
    let p = View::evaluation(&training.task.model, weights).prior(Given::rows(&given));
    let wanted: Vec<f64> = z.chunks(2).map(|z| mixture(&all, variance, z)).collect();
    all_close(&log_density(p.as_ref(), z, 2), &wanted, 1e-5);
    assert!(p.log_density_per_dimension(&Latent::new(matrix(vec![0.0; 2], 2))).is_none());
    let total = integral_2d(p.as_ref(), -14.0, 14.0, 561);
    println!("∫ p = 1 + {:.1e}", total - 1.0);
    close(total, 1.0, 1e-6);
}

#[test]
fn subsets_are_right_on_average() {
    let training = begun(4);
    let weights = &training.task.weights;
    let (chosen, variance) = (places(&training), get(weights, "prior.log_variance")[0].exp());
    let all = means(&training, weights, &chosen);
    let ids = training.data.ids(Split::Train);
    let other = (0..ids.len()).find(|place| !chosen.contains(place)).unwrap();
    for place in [chosen[2], other] {
        let z = [0.3, -0.2];
        let left: Vec<[f64; 2]> =
            chosen.iter().zip(&all).filter(|(p, _)| **p != place).map(|(_, mean)| *mean).collect();
        let (given, wanted) = ([ids[place]], mixture(&left, variance, &z));
        let found: Vec<f64> = (0..2000u64)
            .map(|step| {
                let view = View::training(&training.task.model, weights, Key::from_seed(6).fold(step));
                log_density(view.prior(Given::rows(&given)).as_ref(), z.to_vec(), 2)[0]
            })
            .collect();
        let off = mean_z(found.iter().map(|v| v.exp()), wanted.exp());
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        println!("2,000 subsets: p off by {off:.2} standard errors; mean ln p {mean:.3} ≤ {wanted:.3}");
        assert!(off.abs() < 4.0 && mean < wanted);
    }
}

#[test]
fn draws_have_the_moments_of_the_mixture_of_each_row() {
    let (k, dims) = (5, 2);
    let mean = normals(Key::from_seed(2), k * dims);
    let mut own = vec![0.0; 2 * k];
    own[3] = 1.0;
    let (mean, log_variance) = (matrix(mean, dims), matrix(vec![-0.7], 1));
    let p = IsotropicMixture { mean: mean.clone(), log_variance, own: Some(matrix(own, k)) };
    let (centre, deviation) = (host_f64(&p.centre().z), host_f64(&p.deviation().unwrap()));
    let means: Vec<f64> = host_f64(&mean);
    for row in 0..2 {
        let left: Vec<usize> = (0..k).filter(|&c| row == 1 || c != 3).collect();
        for j in 0..dims {
            let first = left.iter().map(|c| means[c * dims + j]).sum::<f64>() / left.len() as f64;
            let second = left.iter().map(|c| means[c * dims + j].powi(2)).sum::<f64>() / left.len() as f64;
            let variance = second - first * first + (-0.7_f64).exp();
            close(centre[row * dims + j], first, 1e-12);
            close(deviation[row * dims + j], variance.sqrt(), 1e-12);
            let draws = host_f64(&p.draw(20_000, Noise::new(Key::from_seed(5), &[7, 9])).z.z);
            let own = || draws.chunks(2 * dims).map(|both| both[row * dims + j]);
            let off = [mean_z(own(), first), mean_z(own().map(|v| (v - first).powi(2)), variance)];
            println!("row {row}, z{}: moments off by {off:.2?} standard errors", j + 1);
            assert!(off.iter().all(|z| z.abs() < 4.0));
        }
    }
    // In single precision, where the variance is small and the codes lie far out, distances keep their digits.
    let far: Vec<f64> = normals(Key::from_seed(3), 8).into_iter().map(|v| 1000.0 + v).collect();
    let z: Vec<f64> = far[..2].iter().map(|v| v + 0.05).collect();
    let of = |device: &Device| {
        let mean = device.tensor_f64(far.clone(), [4, 2]);
        let p = IsotropicMixture { mean, log_variance: device.tensor_f64(vec![-6.0], [1, 1]), own: None };
        host_f64(&p.log_density(&Latent::new(device.tensor_f64(z.clone(), [1, 2]))).unwrap())[0]
    };
    close(of(&Device::cpu()), of(&double()), 0.05);
}

#[test]
fn codes_are_those_last_encoded_and_in_the_end_all_of_the_final_encoder() {
    let mut training = begun(6);
    let chosen = places(&training);
    let flat = |codes: Vec<[f64; 2]>| codes.into_iter().flatten().collect::<Vec<f64>>();
    let before = get(&training.task.weights, "prior.codes");
    all_close(&before, &flat(means(&training, &training.task.weights, &chosen)), 1e-5);
    // One step under other weights: six codes are new, the rest as they were.
    shake(&mut training.task.weights, 4);
    let after = flat(means(&training, &training.task.weights, &chosen));
    let progress = Progress { step: 0, steps_per_epoch: 4, total: 9 };
    let moment = Moment { progress: Some(progress), key: Key::from_seed(3) };
    let batch = rows(&training, &[0, 1, 2]);
    let loss = training.task.loss(&Player::model(), &training.task.weights, &batch, moment).unwrap();
    training.task.follow(&BTreeMap::from([(MODEL.to_string(), loss.kept)]), progress);
    let found = get(&training.task.weights, "prior.codes");
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
    let is = |of: &[f64]| found.chunks(2).zip(of.chunks(2)).filter(|(a, b)| near(a, b)).count();
    assert_eq!((is(&after), is(&before)), (6, EXEMPLARS - 6));
    // A whole run ends with the codes of its last encoder, and they are what is stored.
    training.train(&Default::default(), &mut |_| {}).unwrap();
    let weights = &training.task.weights;
    all_close(&get(weights, "prior.codes"), &flat(means(&training, weights, &chosen)), 1e-5);
    let own: Vec<&str> =
        weights.kept().map(|(_, w)| w.path()).filter(|path| path.starts_with("prior")).collect();
    assert_eq!(own, ["prior.codes", "prior.log_variance"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    Model::save(&training.run, weights, &path).unwrap();
    let stored = Model::load(&path).unwrap();
    let p = stored.view().prior(Given::none());
    let (codes, variance) = (get(weights, "prior.codes"), get(weights, "prior.log_variance")[0].exp());
    let means: Vec<[f64; 2]> = codes.chunks(2).map(|c| [c[0], c[1]]).collect();
    let z = normals(Key::from_seed(8), 20);
    let wanted: Vec<f64> = z.chunks(2).map(|z| mixture(&means, variance, z)).collect();
    let at = Latent::new(Device::cpu().tensor_f64(z, [10, 2]));
    all_close(&host_f64(&p.log_density(&at).unwrap()), &wanted, 1e-4);
    assert_eq!(stored.sample(9, Key::from_seed(1)).unwrap().len(), 9);
}

#[test]
fn the_gradient_of_the_rate_agrees_with_finite_differences() {
    let training = begun(8);
    let (batch, key) = (rows(&training, &places(&training)[..4]), Key::from_seed(10));
    let rate = |weights: &Weights| {
        let pass = Pass::new(View::training(&training.task.model, weights, key), &batch, 3, key);
        assert!(!pass.rate().unwrap().exact);
        pass.rate().unwrap().total.clone().mean()
    };
    let weights = &training.task.weights;
    let tracked = weights.tracked(|_| true);
    let mut gradients = rate(&tracked).backward();
    let mut worst: f64 = 0.0;
    // The encoder matters twice: through q of the rows and through the exemplars.
    for path in ["prior.log_variance", "encoder.0.weight", "encoder.1.bias"] {
        let id = weights.iter().find(|(_, w)| w.path() == path).unwrap().0;
        let found = host_f64(&tracked.gradient(id, &mut gradients).unwrap());
        let at = get(weights, path);
        for place in 0..at.len() {
            let h = 1e-5;
            let moved = |by: f64| {
                let (mut weights, mut values) = (weights.clone(), at.clone());
                values[place] += by;
                weights.set(id, double().tensor_f64(values, [at.len()]));
                host_f64(&rate(&weights))[0]
            };
            let wanted = (moved(h) - moved(-h)) / (2.0 * h);
            worst = worst.max((found[place] - wanted).abs() / wanted.abs().max(1.0));
        }
    }
    println!("the gradient is off by {worst:.1e} at most");
    assert!(worst < 1e-6, "{worst:.1e}");
}

#[test]
fn what_has_no_exemplars_is_refused() {
    let refused = |text: &str, rows: u64| {
        let facts = facts(vector(X), ValueKind::Real);
        refusal(text, &latent::data::Facts { rows: [rows, 10, 10], ..facts })
    };
    let own = |own: &str| refused(&format!("prior = {{ kind = 'exemplar', {own} }}"), 100);
    assert!(own("exemplars = 1").starts_with("`prior.exemplars`"));
    assert!(own("subset = 0").starts_with("`prior.subset`"));
    assert!(refused("prior.kind = 'exemplar'", 1).contains("training rows"));
    let bits = refused("posterior = { kind = 'bits', latent = 2 }\nprior.kind = 'exemplar'", 100);
    assert!(bits.contains("infinite"), "{bits}");
    let blocks = "posterior = { kind = 'blocks', blocks = { a = { kind = 'diagonal-normal', latent = 2 }, b = { kind = 'bits', latent = 2 } } }
        prior = { kind = 'blocks', blocks = { a = { kind = 'exemplar' }, b = { kind = 'bits' } } }";
    assert!(refused(blocks, 100).contains("whole codes"));
}
