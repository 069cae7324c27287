//! What the tests share: models from a few lines of TOML, weights by path, noise, quadrature.
#![allow(dead_code)]

use burn::tensor::Tensor;
use latent::batch::{Batch, Latent};
use latent::config::ConfigError;
use latent::data::{Attribute, Facts, Normalisation, SampleShape, StoredType, ValueKind};
use latent::density::Density;
use latent::device::{Device, host_f64};
use latent::model::{LatentModel, View};
use latent::objective::Objective;
use latent::run::{Checked, Run, resolve};
use latent::weights::{WeightId, Weights};
use latent::{Key, Layers, Registry};

/// The processor in double precision.
pub fn double() -> Device {
    Device::cpu().double()
}

pub fn vector(columns: usize) -> SampleShape {
    SampleShape::Vector { columns }
}

/// Facts of data of that shape, with mean ½ or 0 and variance 1.
pub fn facts(shape: SampleShape, kind: ValueKind) -> Facts {
    let centre = if kind == ValueKind::Real { 0.0 } else { 0.5 };
    Facts {
        source: "made for a test".into(),
        shape,
        kind,
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored: StoredType::F64,
            range: None,
            whole: Vec::new(),
        },
        columns: Vec::new(),
        constant: Vec::new(),
        classes: Vec::new(),
        rows: [100, 10, 10],
        mean: vec![centre; shape.features()],
        variance: vec![1.0; shape.features()],
        hash: String::new(),
        overlaps: Vec::new(),
        condition: Vec::new(),
        table: None,
    }
}

/// The same facts of data whose model is told one of so many classes.
pub fn told(facts: Facts, classes: usize) -> Facts {
    let names = (0..classes).map(|class| format!("c{class}")).collect();
    let counts = vec![10; classes];
    Facts {
        condition: vec![Attribute::Class { name: "label".into(), classes: names, counts, unknown: false }],
        ..facts
    }
}

/// A model built from a configuration, with its objective.
pub struct Made {
    pub run: Run,
    pub model: LatentModel,
    pub weights: Weights,
    pub objective: Objective,
}

/// Resolves as `latent train` does.
pub fn checked(text: &str, facts: &Facts) -> Result<Checked, ConfigError> {
    let table: toml::Table = text.parse().expect("the test's TOML");
    let layers = Layers { table: table.clone(), explicit: table };
    Ok(resolve(&layers, facts, &Registry::default())?.0)
}

/// Resolves and builds as `latent train` does, in double precision.
pub fn try_make(text: &str, facts: &Facts) -> Result<Made, ConfigError> {
    let checked = checked(text, facts)?;
    let (model, weights, objective) = checked.build_for_training(None, &double())?;
    Ok(Made { run: checked.run, model, weights, objective })
}

/// The same where nothing can go wrong.
pub fn make(text: &str, facts: &Facts) -> Made {
    try_make(text, facts).expect("a sound configuration")
}

/// What is said against a configuration.
pub fn refusal(text: &str, facts: &Facts) -> String {
    try_make(text, facts).err().unwrap_or_else(|| panic!("not refused: {text}")).to_string()
}

impl Made {
    pub fn view(&self) -> View<'_> {
        View::evaluation(&self.model, &self.weights)
    }

    /// Gives every trained array, zeros included, normal numbers of this deviation.
    #[must_use]
    pub fn randomised(mut self, key: Key, deviation: f64) -> Self {
        let all: Vec<(WeightId, usize, String)> = self
            .weights
            .iter()
            .filter(|(_, w)| w.is_trained())
            .map(|(id, w)| (id, w.shape().iter().product(), w.path().to_string()))
            .collect();
        for (id, n, path) in all {
            let values = normals(key.fold(path.as_str()), n).into_iter().map(|v| v * deviation).collect();
            self.weights.set(id, double().tensor_f64(values, [n]));
        }
        self
    }

    pub fn id(&self, path: &str) -> WeightId {
        let all: Vec<&str> = self.weights.iter().map(|(_, w)| w.path()).collect();
        let found = self.weights.iter().find(|(_, w)| w.path() == path).map(|(id, _)| id);
        found.unwrap_or_else(|| panic!("{path} among {all:?}"))
    }

    pub fn get(&self, path: &str) -> Vec<f64> {
        values(&self.weights, self.id(path))
    }

    pub fn set(&mut self, path: &str, values: &[f64]) {
        let n = values.len();
        assert_eq!(n, self.get(path).len(), "{path}");
        self.weights.set(self.id(path), double().tensor_f64(values.to_vec(), [n]));
    }
}

pub fn values(weights: &Weights, id: WeightId) -> Vec<f64> {
    let (_, weight) = weights.iter().find(|(known, _)| *known == id).expect("a weight");
    host_f64(&weight.flat())
}

/// Standard normal numbers.
pub fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut values = vec![0.0; n];
    key.normals(&mut values);
    values.into_iter().map(f64::from).collect()
}

pub fn matrix(values: Vec<f64>, width: usize) -> Tensor<2> {
    let rows = values.len() / width;
    double().tensor_f64(values, [rows, width])
}

/// Rows with ids 0, 1, 2 …
pub fn batch(x: Vec<f64>, features: usize) -> Batch {
    let ids = (0..(x.len() / features) as u64).collect();
    Batch::of(matrix(x, features), ids)
}

/// The same of these classes, of so many.
pub fn batch_of(x: Vec<f64>, features: usize, labels: &[usize], classes: usize) -> Batch {
    Batch { condition: Some(one_hot(labels, classes)), ..batch(x, features) }
}

pub fn one_hot(labels: &[usize], classes: usize) -> Tensor<2> {
    let each = labels.iter().flat_map(|&label| (0..classes).map(move |c| f64::from(u8::from(c == label))));
    matrix(each.collect(), classes)
}

/// log density at each code, on the host.
pub fn log_density(density: &dyn Density, z: Vec<f64>, dims: usize) -> Vec<f64> {
    host_f64(&density.log_density(&Latent::new(matrix(z, dims))).expect("a density"))
}

/// ln N(z; μ, σ²)
pub fn log_normal(z: f64, mean: f64, variance: f64) -> f64 {
    -0.5 * ((2.0 * std::f64::consts::PI * variance).ln() + (z - mean).powi(2) / variance)
}

/// ln Σ e^v
pub fn log_sum(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + values.iter().map(|v| (v - greatest).exp()).sum::<f64>().ln()
}

/// Simpson's rule over equally spaced values; an odd number of them.
pub fn simpson(values: &[f64], step: f64) -> f64 {
    assert!(values.len() % 2 == 1);
    let last = values.len() - 1;
    let factor = |i: usize| match i {
        _ if i == 0 || i == last => 1.0,
        _ if i % 2 == 1 => 4.0,
        _ => 2.0,
    };
    values.iter().enumerate().map(|(i, v)| v * factor(i)).sum::<f64>() * step / 3.0
}

/// `count` (odd) equally spaced numbers and their distance.
pub fn grid(from: f64, to: f64, count: usize) -> (Vec<f64>, f64) {
    let step = (to - from) / (count - 1) as f64;
    ((0..count).map(|i| from + i as f64 * step).collect(), step)
}

/// ∫ e^log density over a square.
pub fn integral_2d(density: &dyn Density, from: f64, to: f64, count: usize) -> f64 {
    let (points, step) = grid(from, to, count);
    let line = |&a: &f64| {
        let z = points.iter().flat_map(|&b| [a, b]).collect();
        let p: Vec<f64> = log_density(density, z, 2).into_iter().map(f64::exp).collect();
        simpson(&p, step)
    };
    simpson(&points.iter().map(line).collect::<Vec<_>>(), step)
}

/// How many standard errors the mean of draws is from `mean`, given the draws' own spread.
pub fn mean_z(values: impl Iterator<Item = f64> + Clone, mean: f64) -> f64 {
    let n = values.clone().count() as f64;
    let found = values.clone().sum::<f64>() / n;
    let variance = values.map(|v| (v - found).powi(2)).sum::<f64>() / n;
    (found - mean) / (variance / n).sqrt()
}

#[track_caller]
pub fn close(found: f64, wanted: f64, tolerance: f64) {
    let error = (found - wanted).abs() / wanted.abs().max(1.0);
    assert!(error <= tolerance, "{found} is not {wanted}: {error:.2e} > {tolerance:.0e}");
}

#[track_caller]
pub fn all_close(found: &[f64], wanted: &[f64], tolerance: f64) {
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(wanted) {
        close(*found, *wanted, tolerance);
    }
}
