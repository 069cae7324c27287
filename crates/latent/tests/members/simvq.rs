//! A frozen book times a learned matrix, against the product on the host.

use latent::Key;
use latent::batch::Noise;
use latent::device::host_f64;
use latent::objective::Pass;

use crate::common::*;
use crate::quantized::{images, nearest, rows, two, vectors};

/// Two positions of a vector, or maps of 2 × 2 places, of three numbers: the model's text, its facts, places, and whether maps.
fn layouts() -> [(String, latent::data::Facts, usize, bool); 2] {
    let text = |posterior: &str, network: &str| {
        format!(
            "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.7 }}
             posterior = {{ kind = 'simvq', codes = 5, {posterior} }}
             prior = {{ kind = 'categorical' }}
             network = {{ {network} }}
             objective.terms = {{ distortion = {{}}, rate = {{}}, commitment = {{ weight = 0.25 }}, codebook = {{}} }}"
        )
    };
    [
        (text("latent = 6, width = 3", "kind = 'mlp', hidden = [5], activation = 'tanh'"), two(), 2, false),
        (
            text(
                "latent = { channels = 3, factor = 4 }",
                "kind = 'spatial', channels = [3, 4], norm = 'none', activation = 'tanh'",
            ),
            images(),
            4,
            true,
        ),
    ]
}

/// C W, `[5, 3]`.
fn product(frozen: &[f64], matrix: &[f64]) -> Vec<f64> {
    let of = |c: &[f64], j: usize| (0..3).map(|k| c[k] * matrix[3 * k + j]).sum::<f64>();
    frozen.chunks(3).flat_map(|c| (0..3).map(|j| of(c, j)).collect::<Vec<_>>()).collect()
}

#[test]
fn codes_are_the_frozen_book_times_the_matrix() {
    for (text, facts, places, maps) in layouts() {
        let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
        let book = product(&made.get("posterior.frozen"), &made.get("posterior.matrix"));
        let x = rows(6, facts.shape.features());
        let outputs = normals(Key::from_seed(6), 6 * places * 3);
        let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), places * 3));
        let all = vectors(&outputs, places, 3, maps);
        let wanted: Vec<usize> = all.iter().map(|v| nearest(&book, 3, v)).collect();
        let found: Vec<usize> = host_f64(&q.centre().z).iter().map(|v| *v as usize).collect();
        assert_eq!(found, wanted);
        let draw = q.draw(1, Noise::new(Key::from_seed(1), &x.ids));
        let codes: Vec<f64> = wanted.iter().flat_map(|c| book[3 * c..3 * c + 3].to_vec()).collect();
        for seen in [draw.features.unwrap(), made.model.posterior.features(&made.view(), &draw.z)] {
            all_close(&vectors(&host_f64(&seen), places, 3, maps).concat(), &codes, 1e-12);
        }
        // Both terms are the same number, with gradients to either side.
        let off: Vec<f64> = all.concat().iter().zip(&codes).map(|(f, e)| (f - e).powi(2)).collect();
        let each: Vec<f64> = off.chunks(places * 3).map(|row| row.iter().sum()).collect();
        all_close(&host_f64(&q.commitment().unwrap()), &each, 1e-12);
        all_close(&host_f64(&q.codebook().unwrap()), &each, 1e-12);
    }
}

#[test]
fn the_codebook_term_alone_moves_the_matrix() {
    for (text, facts, places, maps) in layouts() {
        let made = make(&text, &facts).randomised(Key::from_seed(3), 0.7);
        let (frozen, whole) = (made.get("posterior.frozen"), made.get("posterior.matrix"));
        let kind = |path: &str| made.weights.iter().find(|(_, w)| w.path() == path).unwrap().1.is_trained();
        assert!(!kind("posterior.frozen") && kind("posterior.matrix"));
        let x = rows(6, facts.shape.features());
        let tracked = made.weights.tracked(|_| true);
        let view = latent::model::View::training(&made.model, &tracked, Key::from_seed(1));
        // A graph is good for one way back.
        let pass = || Pass::new(view, &x, 1, Key::from_seed(1));
        let all = vectors(&host_f64(&made.view().encoder_outputs(&x)), places, 3, maps);
        let index: Vec<usize> = all.iter().map(|v| nearest(&product(&frozen, &whole), 3, v)).collect();
        let gradient = |value: burn::tensor::Tensor<1>, path: &str| {
            let mut gradients = value.sum().backward();
            tracked.gradient(made.id(path), &mut gradients).map(|g| host_f64(&g))
        };
        let found = gradient(pass().q.codebook().unwrap(), "posterior.matrix").unwrap();
        // With the indices held: Σ ‖f − c W‖².
        let value = |w: &[f64]| -> f64 {
            let book = product(&frozen, w);
            let off = |(v, code): (&Vec<f64>, &usize)| {
                v.iter().zip(&book[3 * code..]).map(|(f, e)| (f - e).powi(2)).sum::<f64>()
            };
            all.iter().zip(&index).map(off).sum()
        };
        let h = 1e-5;
        let wanted: Vec<f64> = (0..9)
            .map(|i| {
                let moved = |by: f64| {
                    let mut w = whole.clone();
                    w[i] += by;
                    value(&w)
                };
                (moved(h) - moved(-h)) / (2.0 * h)
            })
            .collect();
        assert!(wanted.iter().any(|g| g.abs() > 0.1), "{wanted:?}");
        all_close(&found, &wanted, 1e-6);
        let none = |found: Option<Vec<f64>>| found.is_none_or(|g| g.iter().all(|g| *g == 0.0));
        assert!(none(gradient(pass().q.commitment().unwrap(), "posterior.matrix")));
        assert!(none(gradient(pass().distortion().clone(), "posterior.matrix")));
        assert!(none(gradient(
            pass().q.codebook().unwrap(),
            if maps { "encoder.down0.weight" } else { "encoder.0.weight" }
        )));
    }
}
