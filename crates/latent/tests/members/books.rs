//! Looking up in a book: cosine codes and the rotation trick against vectors and matrices on the host.

use std::collections::BTreeMap;

use latent::Key;
use latent::batch::Noise;
use latent::device::host_f64;
use latent::model::View;
use latent::optimizer::MODEL;
use latent::train::Trainable;

use crate::common::*;
use crate::quantized::{gradient_at_outputs, moment, nearest, recorded, rows, task, two};

/// Two positions of a vector, each one of four codes of three numbers.
fn text(posterior: &str) -> String {
    format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed', sigma = 0.7 }}
         posterior = {{ latent = 6, width = 3, codes = 4, {posterior} }}
         prior = {{ kind = 'categorical' }}
         network = {{ kind = 'mlp', hidden = [5], activation = 'tanh' }}
         objective.terms = {{ distortion = {{}}, rate = {{}}, commitment = {{ weight = 0.25 }} }}"
    )
}

fn made(posterior: &str) -> Made {
    let mut made = make(&text(posterior), &two()).randomised(Key::from_seed(3), 0.7);
    made.set("posterior.book", &normals(Key::from_seed(4), 12));
    made
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn unit(v: &[f64]) -> Vec<f64> {
    let length = dot(v, v).sqrt();
    v.iter().map(|v| v / length).collect()
}

#[test]
fn a_rotation_turns_the_vector_into_its_code_and_the_gradient_back() {
    let made = made("kind = 'quantized', gradient = 'rotation'");
    let (x, book) = (rows(7, 3), made.get("posterior.book"));
    let (outputs, weights) = (normals(Key::from_seed(6), 42), normals(Key::from_seed(7), 42));
    let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), 6));
    let noise = Noise::new(Key::from_seed(1), &x.ids);
    let seen = host_f64(&q.draw(1, noise).features.unwrap());
    let found = gradient_at_outputs(&made, &x, &outputs, |q| {
        (q.draw(1, noise).features.unwrap() * matrix(weights.clone(), 6).autodiff()).sum()
    });
    let mut turned = 0.0f64;
    for (at, f) in outputs.chunks(3).enumerate() {
        let code = nearest(&book, 3, f);
        let e = &book[3 * code..3 * code + 3];
        let (from, to) = (unit(f), unit(e));
        let r = unit(&from.iter().zip(&to).map(|(a, b)| a + b).collect::<Vec<_>>());
        let scale = (dot(e, e) / dot(f, f)).sqrt();
        // R = I − 2 r rᵀ + 2 ê f̂ᵀ
        let turn: Vec<Vec<f64>> = (0..3)
            .map(|i| {
                (0..3)
                    .map(|j| f64::from(u8::from(i == j)) - 2.0 * r[i] * r[j] + 2.0 * to[i] * from[j])
                    .collect()
            })
            .collect();
        // A rotation of the plane of the two: orthogonal.
        for i in 0..3 {
            for j in 0..3 {
                close(dot(&turn[i], &turn[j]), f64::from(u8::from(i == j)), 1e-12);
            }
        }
        let mapped: Vec<f64> = turn.iter().map(|row| scale * dot(row, f)).collect();
        all_close(&mapped, e, 1e-12);
        all_close(&seen[3 * at..3 * at + 3], e, 1e-12);
        // The gradient is λ Rᵀ w.
        let w = &weights[3 * at..3 * at + 3];
        let wanted: Vec<f64> =
            (0..3).map(|j| scale * (0..3).map(|i| turn[i][j] * w[i]).sum::<f64>()).collect();
        all_close(&found[3 * at..3 * at + 3], &wanted, 1e-10);
        turned = turned.max(wanted.iter().zip(w).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max));
    }
    assert!(turned > 0.1, "it is no straight-through gradient: {turned}");
}

#[test]
fn a_vector_opposite_to_its_code_or_of_no_length_still_gives_it() {
    let mut made = made("kind = 'quantized', gradient = 'rotation'");
    // One code far off, so that it is the nearest to what is opposite to it, too.
    made.set("posterior.book", &[1.0, 2.0, -1.0, 90.0, 0.0, 0.0, 0.0, 90.0, 0.0, 0.0, 0.0, 90.0]);
    let x = rows(1, 3);
    let outputs = vec![-1.0, -2.0, 1.0, 0.0, 0.0, 0.0];
    let noise = Noise::new(Key::from_seed(1), &x.ids);
    let q = made.model.posterior.density(&made.view(), &x, matrix(outputs.clone(), 6));
    all_close(&host_f64(&q.draw(1, noise).features.unwrap()), &[1.0, 2.0, -1.0, 1.0, 2.0, -1.0], 1e-9);
    let found = gradient_at_outputs(&made, &x, &outputs, |q| q.draw(1, noise).features.unwrap().sum());
    assert!(found.iter().all(|g| g.is_finite()), "{found:?}");
}

#[test]
fn cosine_codes_are_found_by_angle_and_seen_at_length_1() {
    for gradient in ["straight-through", "rotation"] {
        let made = made(&format!("kind = 'quantized', distance = 'cosine', gradient = '{gradient}'"));
        let (x, book) = (rows(9, 3), made.get("posterior.book"));
        let outputs = normals(Key::from_seed(6), 54);
        let cosine = |f: &[f64]| {
            let of = |code: &usize| dot(&unit(f), &unit(&book[3 * code..3 * code + 3]));
            (0..4).max_by(|a, b| of(a).total_cmp(&of(b))).unwrap()
        };
        let wanted: Vec<usize> = outputs.chunks(3).map(cosine).collect();
        let euclidean: Vec<usize> = outputs.chunks(3).map(|f| nearest(&book, 3, f)).collect();
        assert_ne!(wanted, euclidean);
        // Longer outputs have the same codes.
        for scale in [1.0, 17.0] {
            let scaled: Vec<f64> = outputs.iter().map(|f| f * scale).collect();
            let q = made.model.posterior.density(&made.view(), &x, matrix(scaled, 6));
            let found: Vec<usize> = host_f64(&q.centre().z).iter().map(|v| *v as usize).collect();
            assert_eq!(found, wanted);
            let codes: Vec<f64> = wanted.iter().flat_map(|c| unit(&book[3 * c..3 * c + 3])).collect();
            let draw = q.draw(1, Noise::new(Key::from_seed(1), &x.ids));
            all_close(&host_f64(&draw.features.unwrap()), &codes, 1e-12);
            all_close(&host_f64(&made.model.posterior.features(&made.view(), &draw.z)), &codes, 1e-12);
            let off = |row: usize| -> f64 {
                let of = |at: usize| {
                    let f = unit(&outputs[3 * at..3 * at + 3]);
                    f.iter().zip(&codes[3 * at..]).map(|(f, e)| (f - e).powi(2)).sum::<f64>()
                };
                of(2 * row) + of(2 * row + 1)
            };
            all_close(&host_f64(&q.commitment().unwrap()), &(0..9).map(off).collect::<Vec<_>>(), 1e-12);
        }
        // Gradients pass the unit sphere: finite differences of what is held but for the vector.
        let weights = normals(Key::from_seed(7), 54);
        let noise = Noise::new(Key::from_seed(1), &x.ids);
        let found = gradient_at_outputs(&made, &x, &outputs, |q| {
            (q.draw(1, noise).features.unwrap() * matrix(weights.clone(), 6).autodiff()).sum()
        });
        let value = |at: usize, f: &[f64]| {
            let (from, to) =
                (unit(&outputs[3 * at..3 * at + 3]), unit(&book[3 * wanted[at]..3 * wanted[at] + 3]));
            let w = &weights[3 * at..3 * at + 3];
            let u = unit(f);
            match gradient {
                "rotation" => {
                    let r = unit(&from.iter().zip(&to).map(|(a, b)| a + b).collect::<Vec<_>>());
                    dot(w, &u) - 2.0 * dot(w, &r) * dot(&r, &u) + 2.0 * dot(w, &to) * dot(&from, &u)
                }
                _ => dot(w, &u),
            }
        };
        let h = 1e-6;
        for (place, found) in found.iter().enumerate() {
            let (at, k) = (place / 3, place % 3);
            let moved = |by: f64| {
                let mut f = outputs[3 * at..3 * at + 3].to_vec();
                f[k] += by;
                value(at, &f)
            };
            close(*found, (moved(h) - moved(-h)) / (2.0 * h), 1e-7);
        }
    }
}

#[test]
fn a_cosine_book_follows_unit_vectors() {
    let text = text("kind = 'quantized', distance = 'cosine', decay = 0.8, revive = 0.0");
    let mut task = task(&text, &two());
    let get = |task: &latent::train::Autoencoder, path: &str| {
        let (_, weight) = task.weights.iter().find(|(_, w)| w.path() == path).unwrap();
        host_f64(&weight.flat())
    };
    let (mut n, mut m) = (get(&task, "posterior.counts"), get(&task, "posterior.sums"));
    for step in 0..4 {
        let book = get(&task, "posterior.book");
        let x = batch(normals(Key::from_seed(50).fold(step), 27), 3);
        let outputs = host_f64(&View::evaluation(&task.model, &task.weights).encoder_outputs(&x));
        let (mut new_n, mut new_m) = (vec![0.0; 4], vec![0.0; 12]);
        for f in outputs.chunks(3) {
            let u = unit(f);
            let of = |code: &usize| dot(&u, &unit(&book[3 * code..3 * code + 3]));
            let code = (0..4).max_by(|a, b| of(a).total_cmp(&of(b))).unwrap();
            new_n[code] += 1.0;
            u.iter().enumerate().for_each(|(k, u)| new_m[3 * code + k] += u);
        }
        n.iter_mut().zip(&new_n).for_each(|(n, new)| *n = 0.8 * *n + 0.2 * new);
        m.iter_mut().zip(&new_m).for_each(|(m, new)| *m = 0.8 * *m + 0.2 * new);
        let kept = recorded(&task, &x, moment(step), 1);
        task.follow(&BTreeMap::from([(MODEL.to_string(), kept)]), moment(step).progress.unwrap());
        let wanted: Vec<f64> = m.iter().enumerate().map(|(at, m)| m / n[at / 3]).collect();
        all_close(&get(&task, "posterior.book"), &wanted, 1e-5);
    }
}
