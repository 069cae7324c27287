//! Files of ours that were changed at random: an error or a value, never a panic, never much memory.
//!
//! `LATENT_FUZZ=1000000 cargo test --release --test fuzz_files` tries that many inputs for each reader; without it, a few
//! thousand. Memory is counted by the allocator and must stay under 256 MB.

mod common;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use common::*;
use latent::run::{Checked, Layers, Run, presets, resolve};
use latent::store::TensorFile;
use latent::{Key, Model};
use latent_kernels::memory;

#[global_allocator]
static ALLOCATOR: memory::Counting = memory::Counting;

const MOST_MEMORY: usize = 256 << 20;

fn inputs(few: u64) -> u64 {
    std::env::var("LATENT_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(few)
}

/// Numbers and words that readers trip over.
const WORDS: [&str; 24] = [
    "0",
    "-1",
    "1e999",
    "nan",
    "9223372036854775807",
    "18446744073709551616",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "'",
    "=",
    "\n",
    ".",
    ",",
    "true",
    "1000000000",
    "[[",
    "kind",
    "4294967296",
    "\u{0}",
    "ü",
    "65536",
];

/// A few changes to `whole`: bits, bytes, words, cut or repeated parts, numbers made large.
fn mutated(whole: &[u8], other: &[u8], key: Key) -> Vec<u8> {
    let mut draws = [0.0f32; 40];
    key.uniforms(&mut draws);
    let mut draws = draws.into_iter();
    let mut below = |n: usize| (draws.next().unwrap_or(0.5) * n as f32) as usize;
    let mut bytes = whole.to_vec();
    for _ in 0..1 + below(3) {
        let length = bytes.len().max(1);
        let at = below(length).min(bytes.len());
        let end = (at + below(24)).min(bytes.len());
        match below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << below(8),
            1 if at < bytes.len() => bytes[at] = below(256) as u8,
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            5 => {
                let from = below(other.len());
                let to = (from + below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            // A number in the text becomes another.
            6 => {
                if let Some(start) = (at..bytes.len()).find(|&i| bytes[i].is_ascii_digit()) {
                    let stop =
                        (start..bytes.len()).find(|&i| !bytes[i].is_ascii_digit()).unwrap_or(bytes.len());
                    bytes.splice(start..stop, WORDS[below(WORDS.len())].bytes());
                }
            }
            _ => drop(bytes.splice(at..at, WORDS[below(WORDS.len())].bytes())),
        }
    }
    bytes
}

/// Puts `few` mutations of each of `wholes` into `read`.
fn fuzz(name: &str, wholes: &[Vec<u8>], few: u64, read: impl Fn(&[u8])) {
    for n in 0..inputs(few) {
        let whole = &wholes[n as usize % wholes.len()];
        let other = &wholes[(n as usize / wholes.len()) % wholes.len()];
        let input = mutated(whole, other, Key::from_seed(77).fold(name).fold(n));
        let before = memory::current();
        memory::reset_peak();
        let calm = catch_unwind(AssertUnwindSafe(|| read(&input)));
        let used = memory::peak().saturating_sub(before);
        if calm.is_err() || used > MOST_MEMORY {
            let path = std::env::temp_dir().join(format!("latent-fuzz-{name}-{n}"));
            fs::write(&path, &input).unwrap();
            panic!("input {n} of {name} ({used} bytes), kept as {}", path.display());
        }
    }
}

fn model() -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/model-v1.safetensors")).unwrap()
}

/// The model file with its header alone changed, so that the checksum holds and what it describes is reached.
#[test]
fn model_files() {
    let path = Path::new("fuzz");
    let whole = model();
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let (header, numbers) = (whole[8..8 + length].to_vec(), whole[8 + length..].to_vec());
    fuzz("model", std::slice::from_ref(&whole), 1500, |input| drop(Model::parse(input, path)));
    fuzz("header", &[header], 1500, |header| {
        let file = [&(header.len() as u64).to_le_bytes()[..], header, &numbers].concat();
        drop(TensorFile::parse(&file, path));
        drop(Model::parse(&file, path));
    });
    // The run in the header alone, in a file that is otherwise whole.
    let file = TensorFile::parse(&whole, path).unwrap();
    let root = tempfile::tempdir().unwrap();
    let written = root.path().join("model.safetensors");
    fuzz("run-in-model", &[file.header["run"].clone().into_bytes()], 1500, |text| {
        let mut file = file.clone();
        file.header.insert("run".into(), String::from_utf8_lossy(text).into_owned());
        file.save(&written).unwrap();
        if let Ok(model) = Model::load(&written) {
            let (view, row) = (model.view(), model.view().blank());
            let z = view.prior(row.given()).draw(1, latent::batch::Noise::new(Key::from_seed(1), &row.ids)).z;
            view.mean(&z, row.given());
        }
    });
}

#[test]
fn configurations() {
    let root = tempfile::tempdir().unwrap();
    let run = root.path().join("run");
    drop(prepare(&layers(&npy(root.path(), 60, 4), DENSE), &run, false).unwrap());
    let mut wholes = vec![fs::read(run.join("run.toml")).unwrap()];
    wholes.extend(presets().iter().map(|preset| preset.text.as_bytes().to_vec()));
    let file = root.path().join("fuzz.toml");
    let facts = {
        let text = fs::read_to_string(run.join("run.toml")).unwrap();
        Run::from_toml(&text, &file).unwrap().facts
    };
    let registry = latent::Registry::default();
    fuzz("run.toml", &wholes[..1], 3000, |input| {
        if let Ok(text) = std::str::from_utf8(input) {
            drop(Run::from_toml(text, &file).and_then(|run| Checked::new(run, &registry)?.outline()));
        }
    });
    fuzz("layers", &wholes, 3000, |input| {
        fs::write(&file, input).unwrap();
        let mut layers = Layers::default();
        if layers.file(&file).is_ok() {
            drop(layers.data());
            drop(layers.seed());
            if let Ok((checked, _)) = resolve(&layers, &facts, &registry) {
                drop(checked.outline());
            }
        }
    });
    let assignments: Vec<Vec<u8>> = [
        "train.epochs=20",
        "network={kind='conv', channels=[16, 32]}",
        "objective.terms.rate.schedule={kind='linear', epochs=3}",
        "data.image.size=[32, 64]",
        "train.optimizer.learning_rate=1e-3",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    fuzz("set", &assignments, 6000, |input| {
        let mut layers = Layers::default();
        if let Ok(text) = std::str::from_utf8(input)
            && layers.set(text).is_ok()
        {
            drop(layers.data());
            drop(layers.seed());
            drop(resolve(&layers, &facts, &registry));
        }
    });
    assert!(Layers::default().set(&format!("{}=1", ["a"; 100_000].join("."))).is_err());
}

/// Checkpoints are read back only by the run that wrote them, but a disk may have damaged them.
#[test]
fn checkpoints() {
    let root = tempfile::tempdir().unwrap();
    let layers = layers(&npy(root.path(), 60, 4), DENSE);
    let run = root.path().join("run");
    train(&layers, &run, false, |step| step == 3);
    let last = run.join("checkpoints/last.safetensors");
    let whole = fs::read(&last).unwrap();
    let mut task = prepare(&layers, &run, true).unwrap().task;
    let file = root.path().join("last.safetensors");
    let text = TensorFile::parse(&whole, &last).unwrap();
    let task = std::sync::Mutex::new(&mut task.weights);
    fuzz("checkpoint", &[whole], 1000, |input| {
        fs::write(&file, input).unwrap();
        drop(latent::train::State::load(&file, &mut task.lock().unwrap()));
    });
    fuzz("state", &[text.header["state"].clone().into_bytes()], 1000, |input| {
        let mut changed = text.clone();
        changed.header.insert("state".into(), String::from_utf8_lossy(input).into_owned());
        changed.save(&file).unwrap();
        drop(latent::train::State::load(&file, &mut task.lock().unwrap()));
    });
}
