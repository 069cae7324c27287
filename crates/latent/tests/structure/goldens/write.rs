//! How the goldens were made.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use latent::data::{StoredType, write_npy};
use latent::generate::sampler::{CodeSet, FitOptions, FittedSampler};
use latent::{Key, Registry};
use serde_json::Value;

use super::{Outputs, expected, golden, model_outputs, names, sampler_outputs, samplers};
use crate::common::{blobs, layers, prepare};

/// A model: its name, its data, its settings, and the samplers that are fitted on its codes.
type Spec = (&'static str, Made, &'static str, &'static [&'static str]);

/// Made-up data.
#[derive(Clone, Copy)]
enum Made {
    /// Grey images of that height and width.
    Grey(usize, usize),
    /// Colour images of that side.
    Colour(usize),
    /// Two columns of real numbers and one of whole ones, in two classes.
    Table,
}

const ROWS: usize = 200;

/// Every member at least once, and every activation.
const MODELS: [Spec; 12] = [
    (
        "linear",
        Made::Grey(4, 4),
        "likelihood={kind='normal', scale='learned', mean='line'}
        posterior={kind='diagonal-normal', latent=2}
        network.kind=linear",
        &["kind='gaussian-mixture'\nmost=5", FLOW_MATCHING],
    ),
    (
        "binary",
        Made::Grey(4, 4),
        "data.binarize=threshold
        data.threshold=0.3
        likelihood.kind=bernoulli
        posterior={kind='diagonal-normal', latent=2}
        prior={kind='mixture', components=3}
        network={kind='mlp', hidden=[6], activation='tanh'}",
        &[],
    ),
    (
        "conv-nearest",
        Made::Grey(8, 8),
        "likelihood.kind=bernoulli
        posterior={kind='diagonal-normal', latent=2}
        network={kind='conv', channels=[2, 3], up='nearest'}
        objective.terms.rate={weight=2.0, free_bits=0.05}",
        &[],
    ),
    (
        "conv-transposed",
        Made::Grey(7, 5),
        "likelihood.kind=continuous-bernoulli
        posterior={kind='diagonal-normal', latent=2}
        network={kind='conv', channels=[2, 3], kernel=4, dense=[4], activation='silu', up='transposed'}
        objective.estimator={kind='importance', draws=3}",
        &[],
    ),
    (
        "residual",
        Made::Colour(8),
        "likelihood={kind='discretised-logistic', per_feature=false}
        posterior={kind='diagonal-normal', latent=2}
        network={kind='residual-conv', channels=[2, 3], blocks=1, activation='gelu'}
        train.ema=0.9
        train.schedule={kind='cosine', warmup=5}",
        &[],
    ),
    (
        "logistic",
        Made::Grey(4, 4),
        "likelihood={kind='discretised-logistic', per_feature=true}
        posterior={kind='diagonal-normal', latent=2}
        network={kind='mlp', hidden=[6], activation='leaky-relu'}",
        &[],
    ),
    (
        "two-networks",
        Made::Colour(8),
        "likelihood={kind='normal', scale='optimal'}
        posterior={kind='diagonal-normal', latent=2}
        encoder={kind='conv', channels=[2], activation='silu'}
        decoder={kind='mlp', hidden=[4], activation='softplus'}",
        &[],
    ),
    (
        "point",
        Made::Grey(4, 4),
        "likelihood={kind='normal', scale='fixed', sigma=0.3, mean='unit'}
        posterior={kind='point', latent=2}
        network={kind='mlp', hidden=[6], activation='elu'}
        objective.estimator.kind=plain
        objective.terms={distortion={}}",
        &[],
    ),
    (
        "point-unit",
        Made::Grey(4, 4),
        "likelihood={kind='normal', scale='optimal'}
        posterior={kind='point', latent=2, unit_interval=true}
        prior.kind=uniform
        network={kind='mlp', hidden=[6], activation='sigmoid'}
        objective.estimator.kind=plain
        objective.terms={distortion={}, mmd={weight=10.0}}",
        &["kind='kernel-density'\ncentres=24"],
    ),
    (
        "bits",
        Made::Grey(4, 4),
        "likelihood={kind='normal', scale='optimal'}
        posterior={kind='bits', latent=4, gradient='straight-through'}
        prior={kind='bits', learned=true}
        network={kind='mlp', hidden=[6]}",
        &["kind='autoregressive-bits'\nhidden=[4]\nsteps=300\nbatch=32\nlearning_rate=0.02"],
    ),
    (
        "bits-relaxed",
        Made::Grey(4, 4),
        "likelihood.kind=bernoulli
        posterior={kind='bits', latent=4, gradient='relaxed'}
        prior={kind='bits', learned=false}
        network={kind='mlp', hidden=[6], activation='identity'}",
        &[],
    ),
    (
        "table",
        Made::Table,
        "data.label=side
        data.validation=0.2
        likelihood={kind='normal', scale='optimal'}
        posterior={kind='diagonal-normal', latent=2}
        network={kind='mlp', hidden=[6]}
        objective.terms.rate.weight=0.2",
        &[
            "kind='normal'",
            "kind='gaussian-mixture'\ncomponents=2\nrestarts=1\niterations=20",
            "kind='kernel-density'\ncentres=16",
            "kind='two-stage'\nhidden=[4]\nsteps=300\nbatch=32\nlearning_rate=0.02",
            "kind='maf'\nlayers=2\nhidden=[4]\nsteps=300\nbatch=32\nlearning_rate=0.02",
            "kind='real-nvp'\nlayers=2\nhidden=[4]\nsteps=300\nbatch=32\nlearning_rate=0.02",
            FLOW_MATCHING,
        ],
    ),
];

const FLOW_MATCHING: &str =
    "kind='flow-matching'\nhidden=[4]\nsteps=300\nbatch=32\nlearning_rate=0.02\nema=0.9\nsolver_steps=4";

const TRAIN: &str = "
    train.batch=20
    train.epochs=100
    train.optimizer.learning_rate=0.02
";

/// Writes the data below `folder`; its path and its name.
fn data(made: Made, folder: &Path) -> (PathBuf, &'static str) {
    let (name, shape, values) = match made {
        Made::Grey(height, width) => {
            let side = height.max(width);
            let cut = |image: &[f64]| -> Vec<f64> {
                image.chunks(side).take(height).flat_map(|row| row[..width].to_vec()).collect()
            };
            let images = blobs(ROWS, 1, side).chunks(side * side).flat_map(cut).collect();
            ("blobs.npy", vec![ROWS, height, width], images)
        }
        Made::Colour(side) => ("blobs.npy", vec![ROWS, 3, side, side], blobs(ROWS, 3, side)),
        Made::Table => {
            let path = folder.join("points.csv");
            fs::write(&path, points()).unwrap();
            return (path, "points.csv");
        }
    };
    let path = folder.join(name);
    write_npy(&path, &shape, StoredType::U8, &values).unwrap();
    (path, name)
}

/// Points about two centres, and how far out each lies.
fn points() -> String {
    let mut noise = vec![0.0; 2 * ROWS];
    Key::from_seed(6).normals(&mut noise);
    let row = |(index, noise): (usize, &[f32])| {
        let (side, centre) = [("left", -3.0), ("right", 2.0)][index % 2];
        let out = (10.0 * noise[0].hypot(noise[1])).round();
        format!("{:.3},{:.3},{out},{side}\n", centre + noise[0], centre * noise[1] + 1.0)
    };
    let rows: String = noise.chunks(2).enumerate().map(row).collect();
    format!("length,width,steps,side\n{rows}")
}

/// Trains the model and fits its samplers in `folder`, and leaves no trace of where.
fn make((_, made, settings, samplers): Spec, folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    let (data, name) = data(made, folder);
    let run = folder.join("run");
    let mut training = prepare(&layers(&data, &format!("{settings}{TRAIN}")), &run, false).unwrap();
    training.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let rows = training.data.clone();
    let model = training.into_model().unwrap();
    let codes = CodeSet::of(&model, &rows, ROWS, Key::from_seed(2), &|_| ()).unwrap();
    let registry = Registry::default();
    let options = FitOptions { seed: 3, minutes: None, registry: &registry, progress: &|_, _| () };
    for table in samplers {
        let fitted = FittedSampler::fit(&model, &codes, &table.parse().unwrap(), &options).unwrap();
        fitted.save(&model, &run).unwrap();
    }
    let path = run.join("model.safetensors");
    let file = fs::read(&path).unwrap();
    let length = u64::from_le_bytes(file[..8].try_into().unwrap()) as usize;
    let mut header: Value = serde_json::from_slice(&file[8..8 + length]).unwrap();
    let text = header["__metadata__"]["run"].as_str().unwrap().replace(&*data.to_string_lossy(), name);
    header["__metadata__"]["run"] = text.into();
    let mut header = header.to_string();
    // The numbers start at a multiple of 8 bytes.
    header.extend(std::iter::repeat_n(' ', header.len().next_multiple_of(8) - header.len()));
    let whole = [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &file[8 + length..]].concat();
    fs::write(path, whole).unwrap();
}

/// One output a line.
fn text(all: &[(String, Outputs)]) -> String {
    let line = |(what, numbers): (&String, &Vec<f64>)| {
        let numbers: Vec<_> = numbers.iter().map(|number| format!("{number:.6e}")).collect();
        format!("    {}: [{}]", Value::from(what.as_str()), numbers.join(", "))
    };
    let model = |(name, outputs): &(String, Outputs)| {
        let lines: Vec<_> = outputs.iter().map(line).collect();
        format!("  {}: {{\n{}\n  }}", Value::from(name.as_str()), lines.join(",\n"))
    };
    format!("{{\n{}\n}}\n", all.iter().map(model).collect::<Vec<_>>().join(",\n"))
}

#[test]
#[ignore = "writes the goldens that are not there yet"]
fn write_goldens() {
    let mut known = expected();
    for spec in MODELS.iter().filter(|spec| !golden().join(spec.0).exists()) {
        let root = tempfile::tempdir().unwrap();
        make(*spec, root.path());
        known.remove(spec.0);
        let (from, to) = (root.path().join("run"), golden().join(spec.0));
        fs::create_dir_all(&to).unwrap();
        fs::copy(from.join("model.safetensors"), to.join("model.safetensors")).unwrap();
        for entry in fs::read_dir(from.join("samplers")).into_iter().flatten().map(Result::unwrap) {
            fs::create_dir_all(to.join("samplers")).unwrap();
            fs::copy(entry.path(), to.join("samplers").join(entry.file_name())).unwrap();
        }
    }
    let outputs = |name: String| {
        let all = known.get(&name).cloned().unwrap_or_else(|| {
            let own = samplers(&name).into_iter().flat_map(|kind| sampler_outputs(&name, &kind));
            model_outputs(&name).into_iter().chain(own).collect()
        });
        (name, all)
    };
    let all: Vec<_> = names().into_iter().map(outputs).collect();
    fs::write(golden().join("expected.json"), text(&all)).unwrap();
}
