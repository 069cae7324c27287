//! Adam against its recurrence on the host, and a batch in parts against the whole.

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
