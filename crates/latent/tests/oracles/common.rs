//! What the tests share: models from a few lines of TOML, weights by path, quadrature, moments, exact normals.

use burn::tensor::Tensor;
use faer::prelude::*;
use faer::{Mat, Side};
use latent::batch::{Batch, Latent};
use latent::config::ConfigError;
use latent::data::{Facts, Normalisation, SampleShape, StoredType, ValueKind};
use latent::density::Density;
use latent::device::{Device, host_f64};
use latent::model::{LatentModel, Parts, View};
use latent::objective::Objective;
use latent::run::{Layers, Run, resolve};
use latent::weights::{WeightId, Weights};
use latent::{Key, Registry};

/// The processor in double precision.
pub fn double() -> Device {
    Device::cpu().double()
}

/// Standard normal numbers.
pub fn normals(key: Key, n: usize) -> Vec<f64> {
    let mut values = vec![0.0; n];
    key.normals(&mut values);
    values.into_iter().map(f64::from).collect()
}

/// Uniform numbers in (0, 1).
pub fn uniforms(key: Key, n: usize) -> Vec<f64> {
    let mut values = vec![0.0; n];
    key.uniforms(&mut values);
    values.into_iter().map(f64::from).collect()
}

pub fn vector(columns: usize) -> SampleShape {
    SampleShape::Vector { columns }
}

pub fn image(channels: usize, height: usize, width: usize) -> SampleShape {
    SampleShape::Image { channels, height, width }
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

/// A model built from a configuration, with its objective.
pub struct Made {
    pub run: Run,
    pub parts: Parts,
    pub model: LatentModel,
    pub weights: Weights,
    pub objective: Objective,
}

/// Resolves and builds as `latent train` does, on `device`.
pub fn try_make(text: &str, facts: &Facts, device: &Device) -> Result<Made, ConfigError> {
    let table: toml::Table = text.parse().expect("the test's TOML");
    let layers = Layers { table: table.clone(), explicit: table };
    let (checked, _) = resolve(&layers, facts, &Registry::default())?;
    let (model, weights, objective) = checked.build_for_training(None, device)?;
    Ok(Made { run: checked.run, parts: checked.parts, model, weights, objective })
}

/// The same in double precision, where nothing can go wrong.
pub fn make(text: &str, facts: &Facts) -> Made {
    try_make(text, facts, &double()).expect("a sound configuration")
}

impl Made {
    pub fn view(&self) -> View<'_> {
        View::evaluation(&self.model, &self.weights)
    }

    pub fn training(&self) -> View<'_> {
        View::training(&self.model, &self.weights, Key::from_seed(0))
    }

    /// How many numbers the likelihood wants from the decoder.
    pub fn outputs(&self) -> usize {
        self.parts.declare(&self.run.facts).expect("a sound configuration").outputs.shape.features()
    }

    /// Gives every array, zeros included, normal numbers of this deviation.
    #[must_use]
    pub fn randomised(mut self, key: Key, deviation: f64) -> Self {
        randomise(&mut self.weights, key, deviation);
        self
    }

    pub fn set(&mut self, path: &str, values: Vec<f64>) {
        let id = self.id(path);
        let n = values.len();
        assert_eq!(
            n,
            self.weights.iter().find(|(i, _)| *i == id).unwrap().1.shape().iter().product::<usize>()
        );
        let flat = self.weights.device().tensor_f64(values, [n]);
        self.weights.set(id, flat);
    }

    pub fn get(&self, path: &str) -> Vec<f64> {
        values(&self.weights, self.id(path))
    }

    fn id(&self, path: &str) -> WeightId {
        let all: Vec<&str> = self.weights.iter().map(|(_, w)| w.path()).collect();
        let found = self.weights.iter().find(|(_, w)| w.path() == path).map(|(id, _)| id);
        found.unwrap_or_else(|| panic!("{path} among {all:?}"))
    }
}

pub fn randomise(weights: &mut Weights, key: Key, deviation: f64) {
    let all: Vec<(WeightId, usize, String)> =
        weights.iter().map(|(id, w)| (id, w.shape().iter().product(), w.path().to_string())).collect();
    for (id, n, path) in all {
        let values = normals(key.fold(path.as_str()), n).into_iter().map(|v| v * deviation).collect();
        let flat = weights.device().tensor_f64(values, [n]);
        weights.set(id, flat);
    }
}

pub fn values(weights: &Weights, id: WeightId) -> Vec<f64> {
    let (_, weight) = weights.iter().find(|(known, _)| *known == id).expect("a weight");
    host_f64(&weight.flat())
}

/// Rows with ids 0, 1, 2 …
pub fn batch(x: Vec<f64>, features: usize) -> Batch {
    let n = x.len() / features;
    Batch::of(double().tensor_f64(x, [n, features]), (0..n as u64).collect())
}

pub fn matrix(values: Vec<f64>, width: usize) -> Tensor<2> {
    let rows = values.len() / width;
    double().tensor_f64(values, [rows, width])
}

pub fn codes(values: Vec<f64>, width: usize) -> Latent {
    Latent::new(matrix(values, width))
}

/// log density at each code, on the host.
pub fn log_density(density: &dyn Density, z: Vec<f64>, dims: usize) -> Vec<f64> {
    host_f64(&density.log_density(&codes(z, dims)).expect("a density"))
}

/// Simpson's rule over equally spaced values; an odd number of them.
pub fn simpson(values: &[f64], step: f64) -> f64 {
    assert!(values.len() % 2 == 1);
    let last = values.len() - 1;
    let weigh = |(i, v): (usize, &f64)| {
        v * if i == 0 || i == last {
            1.0
        } else if i % 2 == 1 {
            4.0
        } else {
            2.0
        }
    };
    values.iter().enumerate().map(weigh).sum::<f64>() * step / 3.0
}

/// `count` (odd) equally spaced numbers and their distance.
pub fn grid(from: f64, to: f64, count: usize) -> (Vec<f64>, f64) {
    let step = (to - from) / (count - 1) as f64;
    ((0..count).map(|i| from + i as f64 * step).collect(), step)
}

/// Mean and variance.
pub fn moments(values: impl Iterator<Item = f64> + Clone) -> (f64, f64, f64) {
    let n = values.clone().count() as f64;
    let mean = values.clone().sum::<f64>() / n;
    let variance = values.map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    (n, mean, variance)
}

/// How many standard errors the mean of draws is from `mean`, given the draws' own spread.
pub fn mean_z(values: impl Iterator<Item = f64> + Clone, mean: f64) -> f64 {
    let (n, found, variance) = moments(values);
    (found - mean) / (variance / n).sqrt()
}

/// How many standard errors the mean square deviation of draws is from `variance`.
pub fn variance_z(values: impl Iterator<Item = f64> + Clone, mean: f64, variance: f64) -> f64 {
    mean_z(values.map(|v| (v - mean).powi(2)), variance)
}

/// The greater of the two, and NaN once there is one: `f64::max` would pass it over.
pub fn worse(worst: f64, found: f64) -> f64 {
    if found > worst || found.is_nan() { found } else { worst }
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

/// N(mean, covariance), by a Cholesky factor.
pub struct Normal {
    mean: Vec<f64>,
    factor: Mat<f64>,
    log_determinant: f64,
}

impl Normal {
    pub fn new(mean: Vec<f64>, covariance: &Mat<f64>) -> Self {
        let factor = covariance.llt(Side::Lower).expect("a covariance").L().to_owned();
        let log_determinant = 2.0 * (0..mean.len()).map(|i| factor[(i, i)].ln()).sum::<f64>();
        Self { mean, factor, log_determinant }
    }

    pub fn log_density(&self, x: &[f64]) -> f64 {
        let d = self.mean.len();
        // L y = x − μ by forward substitution.
        let mut y = vec![0.0; d];
        for i in 0..d {
            let known: f64 = (0..i).map(|j| self.factor[(i, j)] * y[j]).sum();
            y[i] = (x[i] - self.mean[i] - known) / self.factor[(i, i)];
        }
        let square: f64 = y.iter().map(|v| v * v).sum();
        -0.5 * (d as f64 * (2.0 * std::f64::consts::PI).ln() + self.log_determinant + square)
    }

    /// A draw from standard normal numbers.
    pub fn draw(&self, noise: &[f64]) -> Vec<f64> {
        let row = |i: usize| self.mean[i] + (0..=i).map(|j| self.factor[(i, j)] * noise[j]).sum::<f64>();
        (0..self.mean.len()).map(row).collect()
    }
}

/// P(x) of the linear model x = z W + b + σ ε, W `[latent, features]` row-major: N(b, WᵀW + σ² I).
pub fn linear_marginal(w: &[f64], b: &[f64], variance: f64) -> Normal {
    let d = b.len();
    let latent = w.len() / d;
    let covariance = Mat::from_fn(d, d, |i, j| {
        let shared: f64 = (0..latent).map(|l| w[l * d + i] * w[l * d + j]).sum();
        shared + if i == j { variance } else { 0.0 }
    });
    Normal::new(b.to_vec(), &covariance)
}

/// Eigenvalues of a symmetric matrix, ascending.
pub fn eigenvalues(matrix: &Mat<f64>) -> Vec<f64> {
    matrix.self_adjoint_eigenvalues(Side::Lower).expect("finite numbers")
}

/// The inverse of a symmetric positive matrix.
pub fn inverse(matrix: &Mat<f64>) -> Mat<f64> {
    let n = matrix.nrows();
    matrix.llt(Side::Lower).expect("a covariance").solve(Mat::<f64>::identity(n, n))
}

pub fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// ln Σ e^v
pub fn log_sum(values: &[f64]) -> f64 {
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    greatest + values.iter().map(|v| (v - greatest).exp()).sum::<f64>().ln()
}

/// Every code of `bits` bits, one after the other.
pub fn all_codes(bits: usize) -> Vec<f64> {
    (0..1usize << bits).flat_map(|c| (0..bits).map(move |b| (c >> b & 1) as f64)).collect()
}
