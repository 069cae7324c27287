//! Networks of maps at every size, and the layers that couple or disturb rows: normalisation against the host, noise by key.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use latent::batch::{Batch, Given};
use latent::data::{SampleShape, ValueKind};
use latent::device::{Device, host, host_f64};
use latent::member::{Call, Life, Mode, Progress, Recorder};
use latent::model::View;
use latent::network::layer::{BatchNorm, Dropout, GroupNorm, InputNoise, Signal};
use latent::network::{Layer, Network, Sequence};
use latent::optimizer::MODEL;
use latent::train::{Autoencoder, Moment, Trainable};
use latent::weights::{Init, WeightId, Weights};
use latent::{Activation, Key};

use crate::common::*;

fn image(channels: usize, height: usize, width: usize) -> SampleShape {
    SampleShape::Image { channels, height, width }
}

fn spatial(factor: usize, norm: &str) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed' }}
        posterior = {{ kind = 'diagonal-normal', latent = {{ channels = 2, factor = {factor} }} }}
        network = {{ kind = 'spatial', channels = [3, 4], groups = 2, norm = '{norm}' }}"
    )
}

/// The shape of what flows.
fn flows(signal: &Signal) -> SampleShape {
    match signal {
        Signal::Rows(rows) => vector(rows.dims()[1]),
        Signal::Maps(maps) => {
            let [_, channels, height, width] = maps.dims();
            image(channels, height, width)
        }
    }
}

/// Passes rows through a network layer by layer: each makes the shape that it says. Returns what comes out.
fn walked(network: &dyn Network, call: &Call<'_>, from: SampleShape, x: Tensor<2>) -> Tensor<2> {
    let (mut signal, mut shape) = (Signal::Rows(x.clone()), from);
    assert!(!network.layers().is_empty());
    for layer in network.layers() {
        (signal, shape) = (layer.apply(call, signal), layer.shape(shape));
        // Rows that stand for an image are its maps, flattened.
        let found = flows(&signal);
        assert!(found == shape || found == vector(shape.features()), "{}: {found:?} {shape:?}", layer.name());
    }
    let out = signal.rows();
    assert_eq!(host(&out), host(&network.forward(call, x)));
    out
}

#[test]
fn any_size_goes_in_and_comes_out() {
    let sizes =
        [(1, 1), (1, 5), (5, 1), (3, 2), (2, 9), (7, 11), (16, 16), (28, 28), (33, 17), (97, 61), (97, 97)];
    let mut looked_at = 0;
    for (height, width) in sizes {
        for channels in [1, 3] {
            for factor in [1, 2, 4, 8] {
                for norm in ["group", "batch", "none"] {
                    let facts = facts(image(channels, height, width), ValueKind::Real);
                    let checked = checked(&spatial(factor, norm), &facts).unwrap();
                    let (model, weights) = checked.build(&Device::cpu()).unwrap();
                    let what = format!("{channels}×{height}×{width} / {factor}, {norm}");
                    let (h, w) = (height.div_ceil(factor), width.div_ceil(factor));
                    assert_eq!(model.latent.blocks[0].shape, [2, h, w], "{what}");
                    let mut x = vec![0.0; 2 * facts.shape.features()];
                    Key::from_seed(1).normals(&mut x);
                    let x = Device::cpu().tensor(x, [2, facts.shape.features()]);
                    for mode in [Mode::Evaluation, Mode::Training] {
                        let call = Call { mode, ..Call::evaluation(&weights) };
                        let heads = walked(model.encoder.as_ref(), &call, facts.shape, x.clone());
                        assert_eq!(heads.dims(), [2, 4 * h * w], "{what}");
                        let z = heads.clone().narrow(1, 0, 2 * h * w);
                        let outputs = walked(model.decoder.as_ref(), &call, image(2, h, w), z);
                        assert_eq!(outputs.dims(), [2, facts.shape.features()], "{what}");
                        for out in [heads, outputs] {
                            assert!(host(&out).iter().all(|v| v.is_finite()), "{what}");
                        }
                    }
                    looked_at += 1;
                }
            }
        }
    }
    println!("{looked_at} shapes");
}

#[test]
fn a_condition_comes_beside_both_ends() {
    for norm in ["group", "none"] {
        let facts = told(facts(image(1, 6, 5), ValueKind::Real), 3);
        let made = make(&spatial(2, norm), &facts).randomised(Key::from_seed(3), 0.4);
        let x = normals(Key::from_seed(4), 2 * 30);
        let outputs = |labels: &[usize]| {
            let batch = batch_of(x.clone(), 30, labels, 3);
            let call = Call { given: batch.given(), ..Call::evaluation(&made.weights) };
            let heads = walked(made.model.encoder.as_ref(), &call, image(1, 6, 5), batch.x.clone());
            let z = matrix(normals(Key::from_seed(5), 2 * 18), 18);
            let decoded = walked(made.model.decoder.as_ref(), &call, image(2, 3, 3), z);
            (host_f64(&heads), host_f64(&decoded))
        };
        let (same, other) = (outputs(&[0, 1]), outputs(&[0, 2]));
        for (a, b) in [(&same.0, &other.0), (&same.1, &other.1)] {
            let half = a.len() / 2;
            assert_eq!(a[..half], b[..half], "{norm}: the first row is told the same");
            assert!(a[half..] != b[half..], "{norm}: the second is not");
        }
        // Draws of a row are told what the row is.
        let batch = batch_of(x.clone(), 30, &[2, 1], 3);
        let call = Call { given: batch.given(), ..Call::evaluation(&made.weights) };
        let z = normals(Key::from_seed(6), 4 * 18);
        let four = host_f64(&made.model.decoder.forward(&call, matrix(z.clone(), 18)));
        let last = host_f64(&made.model.decoder.forward(&call, matrix(z[2 * 18..].to_vec(), 18)));
        all_close(&four[60..], &last, 1e-12);
    }
}

/// One layer with weights of any size.
fn layer(make: impl FnOnce(&mut Init<'_>) -> Layer) -> (Sequence, Weights) {
    let mut weights = Weights::new(&double());
    let layer = make(&mut Init::new(&mut weights, Key::from_seed(1)));
    let trained: Vec<(WeightId, usize)> =
        weights.iter().filter(|(_, w)| w.is_trained()).map(|(id, w)| (id, w.shape()[0])).collect();
    for (id, n) in trained {
        let values = normals(Key::from_seed(7).fold(id_of(&weights, id).as_str()), n);
        weights.set(id, double().tensor_f64(values, [n]));
    }
    (Sequence::new(vec![layer]), weights)
}

fn id_of(weights: &Weights, id: WeightId) -> String {
    weights.iter().find(|(known, _)| *known == id).unwrap().1.path().to_string()
}

fn of(weights: &Weights, path: &str) -> Vec<f64> {
    let (_, weight) = weights.iter().find(|(_, w)| w.path() == path).unwrap_or_else(|| panic!("no {path}"));
    host_f64(&weight.flat())
}

/// Maps of 3 rows, 4 channels, 2 × 3.
const SHAPE: [usize; 4] = [3, 4, 2, 3];

fn maps() -> Vec<f64> {
    normals(Key::from_seed(8), SHAPE.iter().product()).into_iter().map(|v| 1.5 * v + 0.3).collect()
}

fn apply(network: &Sequence, call: &Call<'_>, x: &[f64]) -> Vec<f64> {
    let shape = SHAPE;
    let maps = Signal::Maps(double().tensor_f64(x.to_vec(), shape));
    host_f64(&network.layers()[0].apply(call, maps).rows())
}

/// (x − μ)/√(σ² + ε) · γ + β, with μ and σ² over the places that share `group_of`.
fn normalised(
    x: &[f64],
    group_of: impl Fn(usize, usize) -> usize,
    gain: &[f64],
    shift: &[f64],
) -> (Vec<f64>, Vec<[f64; 3]>) {
    let [_, channels, height, width] = SHAPE;
    let place = |at: usize| (at / (channels * height * width), at / (height * width) % channels);
    let mut groups: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for (at, v) in x.iter().enumerate() {
        let (row, channel) = place(at);
        groups.entry(group_of(row, channel)).or_default().push(*v);
    }
    let statistics: Vec<[f64; 3]> = groups
        .values()
        .map(|all| {
            let n = all.len() as f64;
            let mean = all.iter().sum::<f64>() / n;
            let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            [mean, variance, n]
        })
        .collect();
    let each = x.iter().enumerate().map(|(at, v)| {
        let (row, channel) = place(at);
        let [mean, variance, _] = statistics[group_of(row, channel)];
        (v - mean) / (variance + 1e-5).sqrt() * gain[channel] + shift[channel]
    });
    (each.collect(), statistics)
}

/// The gradient of Σ c·y by finite differences against the layer's own.
fn gradient_is_exact(network: &Sequence, call: &Call<'_>) {
    let x = maps();
    let c = normals(Key::from_seed(12), x.len());
    let value = |x: &[f64]| apply(network, call, x).iter().zip(&c).map(|(y, c)| y * c).sum::<f64>();
    let leaf = double().tensor_f64::<4>(x.clone(), SHAPE).autodiff().require_grad();
    let y = network.layers()[0].apply(call, Signal::Maps(leaf.clone())).rows();
    let width = y.dims()[1];
    let mut gradients = (y * matrix(c.clone(), width)).sum().backward();
    let found = host_f64(&leaf.grad_remove(&mut gradients).unwrap());
    let h = 1e-5;
    let wanted: Vec<f64> = (0..x.len())
        .map(|i| {
            let moved = |by: f64| {
                let mut x = x.clone();
                x[i] += by;
                value(&x)
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        })
        .collect();
    all_close(&found, &wanted, 1e-7);
}

#[test]
fn batch_norm_is_that_of_the_host_and_follows() {
    let (network, mut weights) = layer(|init| Layer::BatchNorm(BatchNorm::new(init, "norm", 4)));
    assert!(network.couples_rows());
    let (gain, shift) = (of(&weights, "norm.gain"), of(&weights, "norm.shift"));
    let x = maps();
    let recorder = Recorder::default();
    let call = Call { mode: Mode::Training, record: Some(&recorder), ..Call::evaluation(&weights) };
    let (wanted, statistics) = normalised(&x, |_, channel| channel, &gain, &shift);
    all_close(&apply(&network, &call, &x), &wanted, 1e-12);
    gradient_is_exact(&network, &Call { record: None, ..call });
    // The averages start at 0 and 1 and take a tenth of the batch's, the variance unbiased.
    let kept = recorder.into_kept();
    network.follow(&mut weights, &kept, Progress { step: 0, steps_per_epoch: 1, total: 1 });
    let mean: Vec<f64> = statistics.iter().map(|[mean, ..]| 0.1 * mean).collect();
    let variance: Vec<f64> =
        statistics.iter().map(|[_, variance, n]| 0.9 + 0.1 * variance * n / (n - 1.0)).collect();
    all_close(&of(&weights, "norm.mean"), &mean, 1e-12);
    all_close(&of(&weights, "norm.variance"), &variance, 1e-12);
    // Evaluation goes by the averages, whatever else is in the batch.
    let call = Call::evaluation(&weights);
    let wanted: Vec<f64> = x
        .iter()
        .enumerate()
        .map(|(at, v)| {
            let channel = at / 6 % 4;
            (v - mean[channel]) / (variance[channel] + 1e-5).sqrt() * gain[channel] + shift[channel]
        })
        .collect();
    all_close(&apply(&network, &call, &x), &wanted, 1e-12);
    gradient_is_exact(&network, &call);
}

#[test]
fn group_norm_is_that_of_the_host() {
    for (asked, groups) in [(1, 1), (2, 2), (3, 2), (4, 4), (8, 4)] {
        let (network, weights) =
            layer(|init| Layer::GroupNorm(GroupNorm::new(init, "norm", 4, asked, Activation::Identity)));
        assert!(!network.couples_rows());
        let (gain, shift) = (of(&weights, "norm.gain"), of(&weights, "norm.shift"));
        let x = maps();
        let group = |row: usize, channel: usize| row * groups + channel / (4 / groups);
        let (wanted, _) = normalised(&x, group, &gain, &shift);
        for mode in [Mode::Training, Mode::Evaluation] {
            let call = Call { mode, ..Call::evaluation(&weights) };
            all_close(&apply(&network, &call, &x), &wanted, 1e-12);
        }
        gradient_is_exact(&network, &Call::evaluation(&weights));
    }
}

const NORMED: &str = "
    likelihood = { kind = 'normal', scale = 'fixed' }
    posterior = { kind = 'diagonal-normal', latent = 2 }
    network = { kind = 'mlp', hidden = [4], batch_norm = true, activation = 'tanh' }
";

#[test]
fn freezing_takes_every_training_row_once() {
    let facts = facts(vector(3), ValueKind::Real);
    let made = make(NORMED, &facts).randomised(Key::from_seed(3), 0.7);
    let (w, b) = (made.get("encoder.0.weight"), made.get("encoder.0.bias"));
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    // The last batch is smaller: its rows count as much as others.
    let x = normals(Key::from_seed(5), 11 * 3);
    let all = batch(x.clone(), 3);
    let parts = [all.slice(0, 4), all.slice(4, 4), all.slice(8, 3)];
    task.freeze(
        &|visit| {
            parts.iter().for_each(visit);
            Ok(())
        },
        Key::from_seed(1),
    )
    .unwrap();
    let hidden = |row: usize, j: usize| b[j] + (0..3).map(|i| x[3 * row + i] * w[4 * i + j]).sum::<f64>();
    let (mut mean, mut variance) = (vec![0.0; 4], vec![0.0; 4]);
    for rows in [0..4, 4..8, 8..11] {
        let n = rows.len() as f64;
        for j in 0..4 {
            let values: Vec<f64> = rows.clone().map(|row| hidden(row, j)).collect();
            let own = values.iter().sum::<f64>() / n;
            mean[j] += n / 11.0 * own;
            variance[j] += n / 11.0 * values.iter().map(|v| (v - own).powi(2)).sum::<f64>() / (n - 1.0);
        }
    }
    all_close(&of(&task.weights, "encoder.norm0.mean"), &mean, 1e-12);
    all_close(&of(&task.weights, "encoder.norm0.variance"), &variance, 1e-12);
    assert!(of(&task.weights, "decoder.norm0.variance").iter().all(|v| *v > 0.0 && *v != 1.0));
}

#[test]
fn what_couples_rows_is_not_split_and_the_key_is_named() {
    let image = facts(image(1, 6, 6), ValueKind::Real);
    let said = refusal(&format!("{}\ntrain.accumulate = 2", spatial(2, "batch")), &image);
    assert!(said.contains("network.norm = \"group\"") && said.contains("train.accumulate = 1"), "{said}");
    let part = spatial(2, "batch").replace("network =", "encoder =")
        + "\ndecoder = { kind = 'spatial' }\ntrain.accumulate = 2";
    let said = refusal(&part, &image);
    assert!(said.contains("encoder.norm = \"group\""), "{said}");
    let said = refusal(&format!("{NORMED}\ntrain.accumulate = 2"), &facts(vector(3), ValueKind::Real));
    assert!(said.contains("network.batch_norm = false"), "{said}");
    for text in [spatial(2, "group"), spatial(2, "none")] {
        checked(&format!("{text}\ntrain.accumulate = 2"), &image).unwrap();
    }
    // Codes without a place.
    let vectors = spatial(2, "group").replace("{ channels = 2, factor = 2 }", "4");
    let said = refusal(&vectors, &image);
    assert!(said.contains("posterior.latent") && said.contains("network.kind"), "{said}");
    let said = refusal(&spatial(3, "group"), &image);
    assert!(said.contains("posterior.latent") && said.contains("power of two"), "{said}");
    let said = refusal(&spatial(2, "group").replace("groups = 2", "groups = 0"), &image);
    assert!(said.contains("network.groups"), "{said}");
}

#[test]
fn masks_and_noise_are_those_of_the_row_and_the_step() {
    let x = normals(Key::from_seed(8), 4 * 6);
    let dropout = Layer::Dropout(Dropout { probability: 0.4, name: "encoder.dropout0".into() });
    let noise = Layer::Noise(InputNoise { deviation: 0.5, name: "encoder.noise".into() });
    let weights = Weights::new(&double());
    for layer in [dropout, noise] {
        let apply = |ids: &[u64], x: &[f64], key: Key, mode: Mode| {
            let given = Given { ids, condition: None };
            let call = Call { mode, key, given, ..Call::evaluation(&weights) };
            host_f64(&layer.apply(&call, Signal::Rows(matrix(x.to_vec(), 6))).rows())
        };
        let key = Key::from_seed(1);
        let all = apply(&[10, 11, 12, 13], &x, key, Mode::Training);
        // The third row in other company.
        let other = apply(&[12, 99], &[&x[12..18], &x[..6]].concat(), key, Mode::Training);
        assert_eq!(all[12..18], other[..6]);
        // Two draws of a row are disturbed each by itself, the first as ever.
        let twice = apply(&[12], &[&x[12..18], &x[12..18]].concat(), key, Mode::Training);
        assert!(twice[..6] == all[12..18] && twice[6..] != twice[..6]);
        assert_ne!(all, apply(&[10, 11, 12, 13], &x, key.fold("next"), Mode::Training));
        assert_eq!(x, apply(&[10, 11, 12, 13], &x, key, Mode::Evaluation));
        if let Layer::Dropout(_) = layer {
            for (y, x) in all.iter().zip(&x) {
                assert!(*y == 0.0 || (y - x / 0.6).abs() < 1e-12);
            }
        }
    }
    // Of many units as many are left out as should be, and noise has its width.
    let ids: Vec<u64> = (0..4000).collect();
    let given = Given { ids: &ids, condition: None };
    let call = Call { mode: Mode::Training, key: Key::from_seed(2), given, ..Call::evaluation(&weights) };
    let ones = || Signal::Rows(matrix(vec![1.0; 4000 * 6], 6));
    let dropout = Dropout { probability: 0.4, name: "d".into() };
    let kept = host_f64(&dropout.apply(&call, ones()).rows());
    assert!(mean_z(kept.iter().copied(), 1.0).abs() < 4.0);
    let noise = InputNoise { deviation: 0.5, name: "n".into() };
    let moved = host_f64(&noise.apply(&call, ones()).rows());
    assert!(mean_z(moved.iter().map(|v| (v - 1.0).powi(2)), 0.25).abs() < 4.0);
}

#[test]
fn a_step_sees_noise_and_validation_does_not() {
    let facts = facts(vector(3), ValueKind::Real);
    let text = NORMED.replace("batch_norm = true", "dropout = 0.3, noise = 0.2");
    let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
    let task = Autoencoder::new(made.model, made.weights, made.objective);
    let x = batch(normals(Key::from_seed(5), 6 * 3), 3);
    let heads = |x: &Batch, mode: Mode, key: Key| {
        let view = View { mode, key, ..View::evaluation(&task.model, &task.weights) };
        host_f64(&view.encoder_outputs(x))
    };
    let (a, b) = (Key::from_seed(1), Key::from_seed(2));
    assert_eq!(heads(&x, Mode::Evaluation, a), heads(&x, Mode::Evaluation, b));
    assert_ne!(heads(&x, Mode::Training, a), heads(&x, Mode::Training, b));
    assert_eq!(heads(&x, Mode::Training, a)[8..], heads(&x.slice(2, 4), Mode::Training, a)[..]);
    let loss = |progress: Option<Progress>, key: Key| {
        let moment = Moment { progress, key };
        let loss = task.loss(&task.players()[0], &task.weights, &x, moment).unwrap();
        assert_eq!(task.players()[0].name, MODEL);
        host_f64(&loss.total)[0]
    };
    let step = Progress { step: 0, steps_per_epoch: 1, total: 1 };
    assert_ne!(loss(Some(step), a), loss(None, a));
}

/// Images of 8×8 whose blocks of 4×4 are all combinations of two patterns: two numbers a block tell everything.
fn two_patterns(count: usize) -> Vec<f64> {
    let amounts = normals(Key::from_seed(31), count * 4 * 2);
    let pattern = |which: usize, y: usize, x: usize| if which == 0 { 1.0 } else { y as f64 - x as f64 * 0.5 };
    let pixel = |i: usize| {
        let (row, y, x) = (i / 64, i / 8 % 8, i % 8);
        let block = row * 4 + y / 4 * 2 + x / 4;
        0.5 + (0..2).map(|k| 0.1 * amounts[2 * block + k] * pattern(k, y % 4, x % 4)).sum::<f64>()
    };
    (0..count * 64).map(pixel).collect()
}

#[test]
fn a_shortcut_starts_as_the_best_linear_code_of_blocks() {
    let text = "likelihood = { kind = 'laplace', mean = 'line' }
        posterior = { kind = 'diagonal-normal', latent = { channels = 2, factor = 4 } }
        network = { kind = 'spatial', channels = [4, 6], patch = 2, shortcut = true }";
    let facts = facts(image(1, 8, 8), ValueKind::Grey);
    let made = make(text, &facts);
    let x = two_patterns(60);
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    let all = batch(x.clone(), 64);
    let rows = |count: usize, _: Key| {
        assert!(count >= 60);
        Ok(all.clone())
    };
    task.start(&rows, Key::from_seed(1)).unwrap();
    let view = View::evaluation(&task.model, &task.weights);
    let heads = view.encoder_outputs(&all);
    let codes = host_f64(&heads.clone().narrow(1, 0, 8));
    // Each channel has variance 1 over rows and places, and mean 0.
    for channel in 0..2 {
        let own: Vec<f64> =
            codes.chunks(8).flat_map(|row| row[4 * channel..4 * channel + 4].to_vec()).collect();
        let mean = own.iter().sum::<f64>() / own.len() as f64;
        let variance = own.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / own.len() as f64;
        assert!(mean.abs() < 1e-5 && (variance - 1.0).abs() < 1e-4, "{channel}: {mean} {variance}");
    }
    // ln σ² starts where codes are nearly points.
    assert!(host_f64(&heads.clone().narrow(1, 8, 8)).iter().all(|v| (v + 4.0).abs() < 1e-6));
    let decoded = task.model.decoder.forward(&Call::evaluation(&task.weights), heads.narrow(1, 0, 8));
    let again = host_f64(&task.model.likelihood.mean(&view, decoded));
    let worst = again.iter().zip(&x).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(worst < 1e-4, "two numbers tell all of a block, and it comes back off by {worst}");
}

#[test]
fn patches_and_shortcuts_fit_any_size() {
    for (height, width) in [(8, 8), (9, 13), (28, 28), (33, 17)] {
        for (patch, factor) in [(1, 2), (2, 2), (2, 4), (4, 8)] {
            for shortcut in [false, true] {
                let text = format!(
                    "likelihood = {{ kind = 'laplace', mean = 'line' }}
                    posterior = {{ kind = 'diagonal-normal', latent = {{ channels = 3, factor = {factor} }} }}
                    network = {{ kind = 'spatial', channels = [3, 4], groups = 2, patch = {patch}, shortcut = {shortcut} }}"
                );
                let facts = facts(image(3, height, width), ValueKind::Colour);
                let made = make(&text, &facts);
                let (h, w) = (height.div_ceil(factor), width.div_ceil(factor));
                let call = Call::evaluation(&made.weights);
                let x =
                    matrix(normals(Key::from_seed(7), 2 * facts.shape.features()), facts.shape.features());
                let heads = walked(made.model.encoder.as_ref(), &call, facts.shape, x);
                assert_eq!(heads.dims(), [2, 6 * h * w]);
                let z = heads.narrow(1, 0, 3 * h * w);
                let outputs = walked(made.model.decoder.as_ref(), &call, image(3, h, w), z);
                assert_eq!(outputs.dims(), [2, facts.shape.features()]);
            }
        }
    }
    let text = |patch: usize| {
        format!(
            "posterior = {{ kind = 'diagonal-normal', latent = {{ channels = 3, factor = 2 }} }}
            network = {{ kind = 'spatial', patch = {patch} }}"
        )
    };
    let facts = facts(image(1, 8, 8), ValueKind::Grey);
    for (patch, said) in [(3, "patch"), (4, "patch = 2 or less")] {
        let error = refusal(&text(patch), &facts);
        assert!(error.contains(said), "{patch}: {error}");
    }
}
