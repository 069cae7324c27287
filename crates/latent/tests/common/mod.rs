//! Small runs on made-up data, that the tests of training share.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use latent::Key;
use latent::Layers;
use latent::data::{Normalisation, SampleShape, StoredType, write_images, write_npy};
use latent::store::TensorFile;
use latent::train::{Event, Outcome};
use latent::{Options, Training};

/// Blurred blobs in [0, 255]: `count` images of `channels × side × side`.
pub fn blobs(count: usize, channels: usize, side: usize) -> Vec<f64> {
    let mut noise = vec![0.0; count * 3];
    Key::from_seed(5).uniforms(&mut noise);
    let mut values = Vec::new();
    for place in noise.chunks(3) {
        for channel in 0..channels {
            for row in 0..side {
                for column in 0..side {
                    let distance = |at: usize, centre: f32| (at as f32 / side as f32 - centre).powi(2);
                    let near = (-12.0 * (distance(row, place[0]) + distance(column, place[1]))).exp();
                    let tint = 0.4 + 0.6 * (place[2] * (channel + 1) as f32).fract();
                    values.push(f64::from((near * tint * 255.0).round()));
                }
            }
        }
    }
    values
}

/// Grey blobs as `[n, side, side]` bytes in an npy file.
pub fn npy(folder: &Path, count: usize, side: usize) -> PathBuf {
    let path = folder.join("blobs.npy");
    write_npy(&path, &[count, side, side], StoredType::U8, &blobs(count, 1, side)).unwrap();
    path
}

/// Colour blobs as a folder of PNG files.
pub fn pngs(folder: &Path, count: usize, side: usize) -> PathBuf {
    let path = folder.join("images");
    let shape = SampleShape::Image { channels: 3, height: side, width: side };
    let normalisation = Normalisation {
        offset: vec![0.0],
        scale: vec![255.0],
        stored: StoredType::U8,
        range: Some((0.0, 255.0)),
        whole: Vec::new(),
    };
    write_images(&path, shape, &normalisation, &blobs(count, 3, side)).unwrap();
    path
}

/// A configuration from `key=value` lines on that data.
pub fn layers(data: &Path, settings: &str) -> Layers {
    let mut layers = Layers::default();
    layers.set(&format!("data.source='{}'", data.display())).unwrap();
    for line in settings.lines().map(str::trim).filter(|line| !line.is_empty()) {
        layers.set(line).unwrap();
    }
    layers
}

pub fn prepare(layers: &Layers, folder: &Path, resume: bool) -> latent::Result<Training> {
    Training::prepare(layers, folder, Options { resume, ..Options::default() }, &mut |_| {})
}

/// Trains to the end, or until `stop` says so after a step.
pub fn train(layers: &Layers, folder: &Path, resume: bool, mut stop: impl FnMut(u64) -> bool) -> Outcome {
    let flag = AtomicBool::new(false);
    let mut training = prepare(layers, folder, resume).unwrap();
    training
        .train(&flag, &mut |event| {
            if let Event::Step { line, .. } = event
                && stop(line.step)
            {
                flag.store(true, Ordering::Relaxed);
            }
        })
        .unwrap()
}

/// What a run ends with: the model file byte for byte, the log, and the last weights.
#[derive(PartialEq)]
pub struct End {
    pub model: Vec<u8>,
    pub metrics: String,
    pub last: BTreeMap<String, Vec<u32>>,
}

pub fn end(folder: &Path) -> End {
    let last = TensorFile::load(&folder.join("checkpoints/last.safetensors")).unwrap();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    End {
        model: fs::read(folder.join("model.safetensors")).unwrap(),
        metrics: fs::read_to_string(folder.join("metrics.jsonl")).unwrap(),
        last: last.arrays.into_iter().map(|(name, array)| (name, bits(array.values))).collect(),
    }
}

/// Says what differs without printing the bytes.
pub fn assert_same(a: &End, b: &End, when: &str) {
    for (i, (left, right)) in a.metrics.lines().zip(b.metrics.lines()).enumerate() {
        assert_eq!(left, right, "{when}: line {i} of metrics.jsonl");
    }
    assert_eq!(a.metrics.len(), b.metrics.len(), "{when}: length of metrics.jsonl");
    let different: Vec<_> = a.last.keys().filter(|name| a.last.get(*name) != b.last.get(*name)).collect();
    assert!(different.is_empty() && a.last.len() == b.last.len(), "{when}: arrays {different:?}");
    assert!(a.model == b.model, "{when}: model.safetensors");
}

/// A copy of a folder as it lies on disk.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A dense net on few grey images: steps of a millisecond.
pub const DENSE: &str = "
    likelihood.kind=bernoulli
    posterior={kind='diagonal-normal', latent=4}
    network={kind='mlp', hidden=[24]}
    train.batch=32
    train.epochs=6
    train.checkpoint_every=7
";
