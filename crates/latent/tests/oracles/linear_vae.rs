//! The optimum: a linear VAE trained by the real loop reaches probabilistic PCA's maximum likelihood.
//!
//! max 1/n Σ ln N(x; b, WᵀW + σ² I) = −½ [D ln 2π + Σ_{i ≤ q} ln λ_i + (D − q) ln σ² + D], with λ the eigenvalues of
//! the covariance of the data, greatest first, and σ² the mean of those after the q-th.
//!
//! Reference: Tipping & Bishop, *Probabilistic Principal Component Analysis* (1999). `bench/ppca.py` gets the same
//! number from scikit-learn.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use faer::Mat;
use latent::Key;
use latent::Layers;
use latent::data::{DataError, Examples, Rows, Split, ValueKind};
use latent::device::Device;
use latent::train::{Autoencoder, Outcome, Trainer};
use latent::weights::Weights;
use latent::{Options, Training};

use crate::common::*;

struct Table {
    x: Vec<f64>,
    columns: usize,
}

impl Examples for Table {
    /// The training rows serve as validation too: it is their likelihood that has a known maximum.
    fn len(&self, split: Split) -> usize {
        let rows = self.x.len() / self.columns;
        if split == Split::Test { 0 } else { rows }
    }

    fn features(&self) -> usize {
        self.columns
    }

    fn rows(&self, _: Split, positions: &[usize], _: u64) -> Result<Rows, DataError> {
        let row = |&at: &usize| self.x[at * self.columns..][..self.columns].iter().map(|&v| v as f32);
        Ok(Rows {
            x: positions.iter().flat_map(row).collect(),
            ids: positions.iter().map(|&at| at as u64).collect(),
            ..Rows::default()
        })
    }
}

/// The greatest mean log-likelihood in nats that q components reach.
fn maximum(x: &[f64], columns: usize, q: usize) -> f64 {
    let n = (x.len() / columns) as f64;
    let mean: Vec<f64> = (0..columns).map(|j| x.iter().skip(j).step_by(columns).sum::<f64>() / n).collect();
    let mut covariance = Mat::<f64>::zeros(columns, columns);
    for row in x.chunks(columns) {
        for i in 0..columns {
            for j in 0..columns {
                covariance[(i, j)] += (row[i] - mean[i]) * (row[j] - mean[j]) / n;
            }
        }
    }
    let mut lambda = eigenvalues(&covariance);
    lambda.reverse();
    let rest = (columns - q) as f64;
    let variance = lambda[q..].iter().sum::<f64>() / rest;
    let logs: f64 = lambda[..q].iter().map(|l| l.ln()).sum();
    let d = columns as f64;
    -0.5 * (d * (2.0 * std::f64::consts::PI).ln() + logs + rest * variance.ln() + d)
}

/// The exact mean log-likelihood of x under the trained decoder and σ.
fn reached(weights: &Weights, x: &[f64], columns: usize) -> f64 {
    let get = |path: &str| -> Vec<f64> {
        let weight = weights.iter().find(|(_, w)| w.path() == path).expect("a linear model").1;
        weight.values().into_iter().map(f64::from).collect()
    };
    let variance = get("likelihood.log_variance")[0].exp();
    let p = linear_marginal(&get("decoder.0.weight"), &get("decoder.0.bias"), variance);
    let rows = x.chunks(columns);
    rows.clone().map(|x| p.log_density(x)).sum::<f64>() / rows.count() as f64
}

/// Trains, and returns the maximum, the exact mean log-likelihood of the trained weights, and the mean ELBO.
fn train(name: &str, x: Vec<f64>, columns: usize, latent: usize, scale: &str, settings: &str) -> [f64; 3] {
    let most = maximum(&x, columns, latent);
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = '{scale}', sigma = 1.0 }}\n\
         posterior = {{ kind = 'diagonal-normal', latent = {latent} }}\nnetwork = {{ kind = 'linear' }}\n\
         objective.terms = {{ distortion = {{}}, rate = {{}} }}\n\
         train = {{ batch = 128, keep = 'last', schedule = {{ kind = 'cosine' }}, validate_every = 1000.0, {settings} }}"
    );
    let made = try_make(&text, &facts(vector(columns), ValueKind::Real), &Device::cpu()).unwrap();
    let mut task = Autoencoder::new(made.model, made.weights, made.objective);
    let examples = Arc::new(Table { x, columns });
    let stop = AtomicBool::new(false);
    let trainer = Trainer {
        settings: &made.run.train,
        examples: examples.clone(),
        folder: None,
        key: Key::from_seed(made.run.seed).fold("train"),
        stop: &stop,
    };
    let began = std::time::Instant::now();
    let mut elbo = f64::NAN;
    let outcome = trainer.train(&mut task, false, &mut |event| {
        if let latent::train::Event::Validated { line, .. } = event {
            elbo = -line.get("loss").unwrap_or(f64::NAN);
        }
    });
    assert_eq!(outcome.unwrap(), Outcome::Finished);
    let reached = reached(&task.weights, &examples.x, columns);
    println!(
        "{name}: maximum {most:.4} nats, reached {reached:.4}, gap {:.4}; ELBO {elbo:.4}; {:.1} s",
        most - reached,
        began.elapsed().as_secs_f64()
    );
    [most, reached, elbo]
}

#[test]
fn generated_data() {
    // Three directions of lengths 3, 2 and 1 in eight columns, off the origin.
    let (columns, n) = (8, 2000);
    let key = Key::from_seed(100);
    let w: Vec<f64> = normals(key.fold("w"), 3 * columns)
        .iter()
        .enumerate()
        .map(|(i, v)| v * [3.0, 2.0, 1.0][i / columns] / (columns as f64).sqrt())
        .collect();
    let b = normals(key.fold("b"), columns);
    let p = linear_marginal(&w, &b, 0.25);
    let noise = normals(key.fold("noise"), n * columns);
    let x: Vec<f64> = noise.chunks(columns).flat_map(|e| p.draw(e)).collect();
    // A scale that is measured on each batch and frozen at the end finds the same maximum as a learned one.
    for scale in ["learned", "optimal"] {
        let settings = "epochs = 120, optimizer = { learning_rate = 1e-2 }";
        let [most, reached, elbo] =
            train(&format!("generated, {scale} σ"), x.clone(), columns, 3, scale, settings);
        assert!(reached <= most + 1e-9, "no weights beat the maximum");
        assert!(most - reached < 0.1);
        assert!(elbo < reached + 0.05 && reached - elbo < 0.2, "the bound is tight at the optimum");
    }
}

/// From a file to a trained model by the preset's own settings, as `latent train` goes.
#[test]
fn real_data() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/tabular/magic04.data");
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("skipped: {} is not here", path.display());
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("magic04.csv");
    let names = "length,width,size,conc,conc1,asym,m3long,m3trans,alpha,dist,class";
    std::fs::write(&csv, format!("{names}\n{}", text.replace('\t', ","))).unwrap();
    let mut layers = Layers::default();
    layers.preset("linear-vae").unwrap();
    layers.set(&format!("data.source=\"{}\"", csv.display())).unwrap();
    for setting in ["data.label=class", "posterior.latent=4", "train.validate_every=10"] {
        layers.set(setting).unwrap();
    }
    let run = folder.path().join("run");
    let mut training = Training::prepare(&layers, &run, Options::default(), &mut |_| {}).unwrap();
    training.train(&AtomicBool::new(false), &mut |_| {}).unwrap();
    let (rows, columns) = (training.data.len(Split::Train), 10);
    let positions: Vec<usize> = (0..rows).collect();
    let x: Vec<f64> =
        training.data.rows(Split::Train, &positions, 0).unwrap().x.into_iter().map(f64::from).collect();
    let (most, reached) = (maximum(&x, columns, 4), reached(&training.task.weights, &x, columns));
    println!(
        "magic04, 4 of 10, preset linear-vae: maximum {most:.4} nats, reached {reached:.4}, gap {:.4}",
        most - reached
    );
    assert!(reached <= most + 1e-6);
    assert!(most - reached < 0.5);
}

#[test]
fn real_pictures() {
    // The embedded images, each 4×4 block its mean: 49 numbers.
    let bytes = include_bytes!("../../assets/fashion-mnist/t10k-images-idx3-ubyte.gz");
    let mut raw = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&bytes[..]), &mut raw)
        .expect("an embedded file");
    let mut x: Vec<f64> = Vec::new();
    for image in raw[16..].chunks(784).take(5000) {
        for block in 0..49 {
            let (top, left) = (block / 7 * 4, block % 7 * 4);
            let pixel = |i: usize| f64::from(image[(top + i / 4) * 28 + left + i % 4]);
            x.push((0..16).map(pixel).sum::<f64>() / 16.0 / 64.0);
        }
    }
    let [most, reached, _] = train(
        "Fashion-MNIST 7×7, 5 of 49",
        x,
        49,
        5,
        "learned",
        "steps = 6000, optimizer = { learning_rate = 1e-2 }",
    );
    assert!(reached <= most + 1e-9);
    assert!(most - reached < 0.5);
}
