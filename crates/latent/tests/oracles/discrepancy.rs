//! Maximum mean discrepancy: the unbiased estimate against a double sum, its mean against a closed form.
//!
//! Between N(m, I) and N(0, I) with the Gaussian kernel exp(−‖a − b‖²/C):
//! MMD² = 2 (1 + 4/C)^{−d/2} (1 − exp(−‖m‖²/(C + 4))).

use latent::Key;
use latent::batch::{Draw, Given, Noise};
use latent::data::ValueKind;
use latent::device::{host_f64, scalar};
use latent::objective::Pass;

use crate::common::*;

const DIMS: usize = 2;

fn made(draws: usize, mmd: &str) -> Made {
    let text = format!(
        "posterior = {{ kind = 'point', latent = {DIMS} }}\nnetwork.kind = 'linear'\nlikelihood.scale = 'fixed'\n\
         objective = {{ estimator = {{ kind = 'plain', draws = {draws} }}, terms = {{ distortion = {{}}, mmd = {{ {mmd} }} }} }}"
    );
    make(&text, &facts(vector(3), ValueKind::Real))
}

/// The term's value at these codes.
fn value(made: &Made, codes: Vec<f64>, key: Key) -> f64 {
    let n = codes.len() / DIMS / made.objective.estimator.draws();
    let rows = batch(vec![0.0; n * 3], 3);
    let pass = Pass::new(made.view(), &rows, made.objective.estimator.draws(), key);
    let pass = pass.with_draw(Draw::new(matrix(codes, DIMS)));
    let term = made.objective.terms.iter().find(|t| t.name == "mmd").unwrap();
    scalar(&term.term.value(&pass).expect("a value").log)
}

#[test]
fn it_is_the_double_sum() {
    let (n, key) = (6, Key::from_seed(110));
    let a = normals(key.fold("codes"), n * DIMS);
    let ids: Vec<u64> = (0..n as u64).collect();
    for (kernel, scales) in [("imq", vec![0.1, 1.0, 5.0]), ("rbf", vec![0.5, 2.0])] {
        let made = made(1, &format!("kernel = '{kernel}', scales = {scales:?}"));
        let b = host_f64(&made.view().prior(Given::none()).draw(1, Noise::new(key.fold("mmd"), &ids)).z.z);
        let k = |a: &[f64], b: &[f64]| -> f64 {
            let square: f64 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
            let one = |s: &f64| {
                let c = 2.0 * DIMS as f64 * s;
                if kernel == "imq" { c / (c + square) } else { (-square / c).exp() }
            };
            scales.iter().map(one).sum()
        };
        let row = |v: &[f64], i: usize| v[i * DIMS..][..DIMS].to_vec();
        let mut wanted = 0.0;
        for i in 0..n {
            for j in 0..n {
                if i != j {
                    wanted +=
                        (k(&row(&a, i), &row(&a, j)) + k(&row(&b, i), &row(&b, j))) / (n * (n - 1)) as f64;
                }
                wanted -= 2.0 * k(&row(&a, i), &row(&b, j)) / (n * n) as f64;
            }
        }
        close(value(&made, a.clone(), key), wanted, 1e-13);
    }
    // Draws of one row are no pairs of each other: k draws give the mean over draws.
    let [one, many] = [1, 2].map(|draws| made(draws, "kernel = 'imq', scales = [1.0]"));
    let single = value(&one, a.clone(), key);
    let both = value(&many, [a.clone(), a.clone()].concat(), key);
    let noise = Noise { first: 1, ..Noise::new(key.fold("mmd"), &ids) };
    let again = host_f64(&many.view().prior(Given::none()).draw(1, noise).z.z);
    let k = |a: &[f64], b: &[f64]| 4.0 / (4.0 + a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>());
    let pairs = |u: &[f64], v: &[f64], same: bool| -> f64 {
        let rows = |v: &[f64]| v.chunks(DIMS).map(<[f64]>::to_vec).collect::<Vec<_>>();
        let (u, v) = (rows(u), rows(v));
        (0..n)
            .flat_map(|i| (0..n).map(move |j| (i, j)))
            .filter(|(i, j)| !same || i != j)
            .map(|(i, j)| k(&u[i], &v[j]))
            .sum()
    };
    let second = (pairs(&a, &a, true) + pairs(&again, &again, true)) / (n * (n - 1)) as f64
        - 2.0 * pairs(&a, &again, false) / (n * n) as f64;
    close(both, 0.5 * (single + second), 1e-12);
    // A single row has no pair to compare.
    assert_eq!(value(&made(1, "kernel = 'imq'"), vec![1.0, 2.0], key), 0.0);
}

#[test]
fn its_mean_is_the_discrepancy_of_the_laws() {
    let (n, rounds, scale) = (32, 400u64, 1.0);
    let c = 2.0 * DIMS as f64 * scale;
    let made = made(1, "kernel = 'rbf', scales = [1.0]");
    for shift in [0.0, 0.6] {
        let exact = 2.0
            * (1.0 + 4.0 / c).powf(-(DIMS as f64) / 2.0)
            * (1.0 - (-(DIMS as f64) * f64::powi(shift, 2) / (c + 4.0)).exp());
        let found: Vec<f64> = (0..rounds)
            .map(|round| {
                let key = Key::from_seed(111).fold(round);
                let codes = normals(key.fold("codes"), n * DIMS).into_iter().map(|v| v + shift).collect();
                value(&made, codes, key)
            })
            .collect();
        let z = mean_z(found.iter().copied(), exact);
        println!(
            "MMD at a shift of {shift}: {:.5}, exactly {exact:.5}, {z:.2} s.e.",
            moments(found.iter().copied()).1
        );
        assert!(z.abs() < 4.0);
    }
}
