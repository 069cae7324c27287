//! Adam and Muon against their recurrences on the host, and a batch in parts against the whole.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use latent::Key;
use latent::data::{DataError, Examples, Rows, Split, ValueKind};
use latent::device::host_f64;
use latent::train::{Autoencoder, Decay, Optimizer, OptimizerKind, OptimizerSettings, Trainer};
use latent::weights::{Init, Initial, Weights};

use crate::common::*;

#[test]
fn adam_is_its_recurrence() {
    for (kind, weight_decay, initial_second_moment) in [
        (OptimizerKind::Adam, 0.0, 0.0),
        (OptimizerKind::Adam, 0.1, 0.0),
        (OptimizerKind::AdamW, 0.1, 0.0),
        (OptimizerKind::Adam, 0.0, 1.0),
    ] {
        let settings = OptimizerSettings {
            kind,
            learning_rate: 0.01,
            beta1: 0.8,
            beta2: 0.95,
            epsilon: 1e-3,
            weight_decay,
            decay: Decay::All,
            initial_second_moment,
        };
        let mut weights = Weights::new(&double());
        let id = Init::new(&mut weights, Key::from_seed(120)).weight("w", &[2, 3], Initial::Normal(1.0));
        let mut w = values(&weights, id);
        let (mut m, mut v) = (vec![0.0; 6], vec![initial_second_moment; 6]);
        let mut optimizer = Optimizer::default();
        for step in 1..=6i32 {
            let rate = 0.01 / f64::from(step);
            let gradient = normals(Key::from_seed(121).fold(step as u64), 6);
            optimizer.step(
                &settings,
                rate,
                &mut weights,
                vec![(id, double().tensor_f64(gradient.clone(), [6]))],
            );
            for i in 0..6 {
                let decayed = if kind == OptimizerKind::Adam { weight_decay * w[i] } else { 0.0 };
                let g = gradient[i] + decayed;
                m[i] = 0.8 * m[i] + 0.2 * g;
                v[i] = 0.95 * v[i] + 0.05 * g * g;
                let (m_hat, v_hat) = (m[i] / (1.0 - 0.8f64.powi(step)), v[i] / (1.0 - 0.95f64.powi(step)));
                if kind == OptimizerKind::AdamW {
                    w[i] -= rate * weight_decay * w[i];
                }
                w[i] -= rate * m_hat / (v_hat.sqrt() + 1e-3);
            }
            all_close(&values(&weights, id), &w, 1e-13);
        }
    }
}

/// Row-major matrices.
#[derive(Clone)]
struct Matrix(usize, usize, Vec<f64>);

impl Matrix {
    fn transpose(&self) -> Self {
        let (n, m) = (self.0, self.1);
        Self(m, n, (0..n * m).map(|k| self.2[(k % n) * m + k / n]).collect())
    }

    fn times(&self, other: &Self) -> Self {
        let at = |i: usize, j: usize| {
            (0..self.1).map(|k| self.2[i * self.1 + k] * other.2[k * other.1 + j]).sum::<f64>()
        };
        Self(self.0, other.1, (0..self.0 * other.1).map(|k| at(k / other.1, k % other.1)).collect())
    }

    fn plus(&self, factor: f64, other: &Self) -> Self {
        Self(self.0, self.1, self.2.iter().zip(&other.2).map(|(a, b)| a + factor * b).collect())
    }
}

/// The authors' iteration, on the side that they take.
fn towards_orthogonal(g: &Matrix) -> Matrix {
    if g.0 > g.1 {
        return towards_orthogonal(&g.transpose()).transpose();
    }
    let norm = g.2.iter().map(|v| v * v).sum::<f64>().sqrt();
    let mut x = Matrix(g.0, g.1, g.2.iter().map(|v| v / norm).collect());
    for _ in 0..5 {
        let a = x.times(&x.transpose());
        let zero = Matrix(a.0, a.1, vec![0.0; a.2.len()]);
        let b = zero.plus(-4.7750, &a).plus(2.0315, &a.times(&a));
        x = b.times(&x).plus(3.4445, &x);
    }
    x
}

#[test]
fn muon_is_the_authors_rule() {
    for (shape, rows, columns) in
        [(vec![16, 24], 16, 24), (vec![24, 16], 24, 16), (vec![20, 3, 3, 3], 20, 27)]
    {
        let settings = OptimizerSettings {
            kind: OptimizerKind::Muon,
            weight_decay: 0.1,
            ..OptimizerSettings::default()
        };
        let mut weights = Weights::new(&double());
        let id = Init::new(&mut weights, Key::from_seed(125)).matrix("w", &shape, Initial::Normal(1.0));
        let n = rows * columns;
        let mut w = values(&weights, id);
        let mut m = Matrix(rows, columns, vec![0.0; n]);
        let mut optimizer = Optimizer::default();
        for step in 1..=4u64 {
            let rate = 0.01 / step as f64;
            let gradient = normals(Key::from_seed(126).fold(step), n);
            let given = vec![(id, double().tensor_f64(gradient.clone(), [n]))];
            optimizer.step(&settings, rate, &mut weights, given);
            let g = Matrix(rows, columns, gradient);
            m = Matrix(rows, columns, m.2.iter().zip(&g.2).map(|(m, g)| m + 0.05 * (g - m)).collect());
            let ahead = g.plus(19.0, &m);
            let o = towards_orthogonal(&ahead);
            let factor = 0.2 * (rows.max(columns) as f64).sqrt();
            w = w.iter().zip(&o.2).map(|(w, o)| w - rate * (0.1 * w + factor * o)).collect();
            all_close(&values(&weights, id), &w, 1e-10);
            // Nearly orthogonal: all singular values are near 1.
            let small = if rows < columns { o.times(&o.transpose()) } else { o.transpose().times(&o) };
            let gram = faer::MatRef::from_row_major_slice(&small.2, small.0, small.0);
            for square in gram.self_adjoint_eigenvalues(faer::Side::Lower).unwrap() {
                assert!(
                    (0.6..1.25).contains(&square.sqrt()),
                    "{shape:?}: a singular value of {}",
                    square.sqrt()
                );
            }
        }
    }
}

#[test]
fn under_muon_what_is_no_matrix_moves_by_adam() {
    // A bias, and a matrix with a side too short.
    for (shape, is_matrix) in [(vec![40], false), (vec![4, 40], true)] {
        let moved = |kind: OptimizerKind| {
            let settings = OptimizerSettings { kind, weight_decay: 0.1, ..OptimizerSettings::default() };
            let mut weights = Weights::new(&double());
            let mut init = Init::new(&mut weights, Key::from_seed(127));
            let id = match is_matrix {
                true => init.matrix("w", &shape, Initial::Normal(1.0)),
                false => init.weight("w", &shape, Initial::Normal(1.0)),
            };
            let n = shape.iter().product();
            let mut optimizer = Optimizer::default();
            for step in 0..3u64 {
                let gradient = normals(Key::from_seed(128).fold(step), n);
                optimizer.step(&settings, 0.01, &mut weights, vec![(id, double().tensor_f64(gradient, [n]))]);
            }
            values(&weights, id)
        };
        assert_eq!(moved(OptimizerKind::Muon), moved(OptimizerKind::AdamW));
    }
}

#[test]
fn matrices_decay_and_the_rest_does_not() {
    let text = "likelihood = { kind = 'normal', scale = 'learned' }\nposterior.latent = 2\n\
                prior = { kind = 'mixture', components = 3 }\n\
                network = { kind = 'mlp', hidden = [4], batch_norm = true }";
    for (decay, kind) in [
        (Decay::Matrices, OptimizerKind::Adam),
        (Decay::Matrices, OptimizerKind::AdamW),
        (Decay::All, OptimizerKind::Adam),
        (Decay::All, OptimizerKind::AdamW),
    ] {
        let made = make(text, &facts(vector(3), ValueKind::Real)).randomised(Key::from_seed(124), 1.0);
        let settings = OptimizerSettings { kind, weight_decay: 0.1, decay, ..OptimizerSettings::default() };
        let mut weights = made.weights.clone();
        // Gradients of 0: what moves decays.
        let trained = weights.iter().filter(|(_, w)| w.is_trained());
        let zero = trained.map(|(id, w)| (id, w.flat() * 0.0)).collect();
        Optimizer::default().step(&settings, 1e-3, &mut weights, zero);
        for ((_, old), (_, new)) in
            made.weights.iter().zip(weights.iter()).filter(|((_, w), _)| w.is_trained())
        {
            let is_layer = old.path().starts_with("encoder") || old.path().starts_with("decoder");
            let decays = decay == Decay::All || (is_layer && old.shape().len() == 2);
            assert_eq!(host_f64(&old.flat()) != host_f64(&new.flat()), decays, "{decay:?}: {}", old.path());
        }
    }
}

struct Noise;

impl Examples for Noise {
    fn len(&self, split: Split) -> usize {
        if split == Split::Train { 40 } else { 10 }
    }

    fn features(&self) -> usize {
        3
    }

    fn rows(&self, split: Split, positions: &[usize], _: u64) -> Result<Rows, DataError> {
        let ids: Vec<u64> = positions.iter().map(|&at| at as u64 + 1000 * (split as u64)).collect();
        let mut x = vec![0.0; 3 * ids.len()];
        for (x, id) in x.chunks_mut(3).zip(&ids) {
            Key::from_seed(122).fold(*id).normals(x);
        }
        Ok(Rows { x, ids, ..Rows::default() })
    }
}

#[test]
fn a_batch_in_parts_is_the_batch() {
    let train = |accumulate: usize| {
        let text = format!(
            "likelihood = {{ kind = 'normal', scale = 'learned' }}\nposterior.latent = 2\n\
             network = {{ kind = 'mlp', hidden = [4], activation = 'tanh' }}\nobjective.estimator.draws = 2\n\
             train = {{ batch = 16, steps = 20, keep = 'last', clip = 0.5, accumulate = {accumulate} }}"
        );
        let made = make(&text, &facts(vector(3), ValueKind::Real));
        let mut task = Autoencoder::new(made.model, made.weights, made.objective);
        let trainer = Trainer {
            settings: &made.run.train,
            examples: Arc::new(Noise),
            folder: None,
            key: Key::from_seed(123),
            stop: &AtomicBool::new(false),
        };
        trainer.train(&mut task, false, &mut |_| {}).unwrap();
        task.weights.iter().flat_map(|(_, w)| host_f64(&w.flat())).collect::<Vec<f64>>()
    };
    let whole = train(1);
    for parts in [2, 3, 16] {
        all_close(&train(parts), &whole, 1e-9);
    }
}
