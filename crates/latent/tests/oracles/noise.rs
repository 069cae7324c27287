//! Noise has a key: the same row gets the same noise in any batch, and orders are uniform.

use latent::Key;
use latent::batch::Noise;
use latent::data::ValueKind;
use latent::device::{Device, host, host_f64};
use latent::objective::Pass;

use crate::common::*;

#[test]
fn a_row_draws_the_same_in_any_batch() {
    let (key, device, dims) = (Key::from_seed(80), Device::cpu(), 5);
    let ids: Vec<u64> = vec![4, 1_000_000_007, 0, 17, 3, 9];
    let whole = host(&Noise::new(key, &ids).normals(3, dims, &device));
    for start in 0..ids.len() {
        for count in 1..=ids.len() - start {
            let part = host(&Noise::new(key, &ids[start..start + count]).normals(3, dims, &device));
            for d in 0..3 {
                let from_whole = &whole[(d * ids.len() + start) * dims..][..count * dims];
                assert_eq!(&part[d * count * dims..][..count * dims], from_whole);
            }
        }
    }
    // A series drawn in parts is the series.
    let late = host(&Noise { first: 2, ..Noise::new(key, &ids) }.normals(1, dims, &device));
    assert_eq!(late, &whole[2 * ids.len() * dims..]);
    // Other rows, draws, purposes and steps draw otherwise.
    assert!(whole.chunks(dims).enumerate().all(|(i, a)| whole.chunks(dims).skip(i + 1).all(|b| a != b)));
    assert_ne!(host(&Noise::new(key.fold(1u64), &ids).normals(3, dims, &device)), whole);
    // Single precision and double precision see the same noise.
    let double: Vec<f32> = host(&Noise::new(key, &ids).normals(3, dims, &double()));
    assert_eq!(double, whole);
}

#[test]
fn a_row_costs_the_same_in_any_batch() {
    for text in [
        "posterior.latent = 2\nnetwork = { kind = 'mlp', hidden = [4] }\nlikelihood = { kind = 'normal', scale = 'fixed' }",
        "posterior.latent = 2\nnetwork = { kind = 'mlp', hidden = [4] }\nlikelihood = { kind = 'normal', scale = 'fixed' }\n\
         prior = { kind = 'mixture', components = 2 }",
        "posterior = { kind = 'bits', latent = 3 }\nprior.kind = 'bits'\nnetwork.kind = 'linear'\n\
         likelihood = { kind = 'normal', scale = 'fixed' }",
    ] {
        let made = make(text, &facts(vector(3), ValueKind::Real)).randomised(Key::from_seed(81), 0.5);
        let rows = batch(normals(Key::from_seed(82), 8 * 3), 3);
        let key = Key::from_seed(83);
        let cost = |start: usize, count: usize| {
            let part = rows.slice(start, count);
            let pass = Pass::new(made.training(), &part, 2, key);
            let rate = host_f64(&pass.rate().unwrap().total);
            let distortion = host_f64(pass.distortion());
            (0..count).map(|i| distortion[i] + distortion[count + i] + rate[i]).collect::<Vec<f64>>()
        };
        let whole = cost(0, 8);
        all_close(&cost(3, 4), &whole[3..7], 1e-12);
        all_close(&cost(7, 1), &whole[7..], 1e-12);
    }
}

#[test]
fn orders_are_uniform() {
    // Each of the 24 orders of four rows equally often: chi-squared with 23 degrees of freedom.
    let mut counts = std::collections::BTreeMap::new();
    let rounds = 24_000u64;
    for round in 0..rounds {
        *counts.entry(Key::from_seed(84).fold(round).permutation(4)).or_insert(0.0) += 1.0;
    }
    assert_eq!(counts.len(), 24);
    let wanted = rounds as f64 / 24.0;
    let square: f64 = counts.values().map(|c: &f64| (c - wanted).powi(2) / wanted).sum();
    println!("24 orders: chi-squared {square:.1} with 23 degrees of freedom");
    assert!((5.0..60.0).contains(&square));
    assert!(Key::from_seed(0).permutation(0).is_empty());
}
