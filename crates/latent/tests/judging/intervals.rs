//! Do the 95 % intervals hold what they say? A short look at made-up sets, in seconds: over 200 draws the share of intervals
//! that hold the expectation, and how wide they are against the spread of the estimates. The long look, on features of real
//! pictures, is `cargo run --release --example intervals` (docs/results/intervals.md).

use latent::Key;
use latent::array::Array;
use latent::evaluate::anomaly::auroc;
use latent::evaluate::samples::{Neighbourhoods, frechet, kernel_distance, neighbourhoods};
use latent::evaluate::{Estimate, copying_score};
use latent_kernels::host::map;

const DRAWS: usize = 200;

/// Rows of skewed numbers that hang together, shifted by so much.
fn rows(key: Key, n: usize, dims: usize, shift: f32) -> Array {
    let mut values = vec![0.0; n * (dims + 1)];
    key.normals(&mut values);
    let row = |z: &[f32]| -> Vec<f32> {
        let common = (0.4 * z[dims]).exp();
        z[..dims].iter().enumerate().map(|(j, z)| common * z + shift * (j % 2) as f32).collect()
    };
    Array::matrix(values.chunks(dims + 1).flat_map(row).collect(), dims)
}

/// What the draws of two sets give, the second shifted by 0.5.
fn draws<T: Send + Sync>(n: usize, dims: usize, of: impl Fn(&Array, &Array) -> T + Sync) -> Vec<T> {
    map(DRAWS, |draw| {
        let key = Key::from_seed(1).fold(draw);
        of(&rows(key.fold("a"), n, dims, 0.0), &rows(key.fold("b"), n, dims, 0.5))
    })
}

/// 95 % of 200 are 190, and chance alone gives 181 to 198; a method known to be cautious may hold all. The width is the mean
/// half interval over 1.96 standard deviations of the estimates.
fn check(what: &str, estimates: &[Estimate], widths: std::ops::Range<f64>) {
    let count = estimates.len() as f64;
    let mean = estimates.iter().map(|e| e.value).sum::<f64>() / count;
    let held = estimates.iter().filter(|e| e.low <= mean && mean <= e.high).count();
    let sd = (estimates.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
    let width = estimates.iter().map(|e| (e.high - e.low) / 2.0).sum::<f64>() / count / (1.96 * sd);
    println!("{what}: {held} of {} held, width {width:.2}", estimates.len());
    assert!(held >= 181, "{what}: {held} of {} hold {mean:.4}", estimates.len());
    assert!(widths.contains(&width), "{what}: {width:.2} times as wide as the estimates spread");
}

#[test]
fn means_and_shares_of_pairs_hold() {
    let means =
        draws(100, 1, |a, _| Estimate::mean(&a.values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>()));
    check("mean", &means, 0.85..1.15);
    let scores = |set: &Array| set.values.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
    let shifted = draws(100, 2, |a, b| auroc(&scores(b), &scores(a)).unwrap());
    check("AUROC", &shifted, 0.85..1.3);
}

#[test]
fn distances_between_sets_hold() {
    check("Fréchet, rows enough", &draws(120, 6, |a, b| frechet(a, b).unwrap()), 0.85..1.35);
    check("kernel distance", &draws(80, 6, |a, b| kernel_distance(a, b).unwrap()), 0.85..1.35);
}

#[test]
fn neighbourhoods_hold_and_stay_inside() {
    let found = draws(150, 3, |a, b| neighbourhoods(a, b, 5).unwrap());
    let of = |pick: fn(&Neighbourhoods) -> Estimate| found.iter().map(pick).collect::<Vec<Estimate>>();
    for (name, estimates) in
        [("precision", of(|f| f.precision)), ("recall", of(|f| f.recall)), ("coverage", of(|f| f.coverage))]
    {
        check(name, &estimates, 0.9..2.5);
        assert!(
            estimates.iter().all(|e| e.low >= 0.0 && e.high <= 1.0 && e.low <= e.value && e.value <= e.high)
        );
    }
    let density = of(|f| f.density);
    check("density", &density, 0.9..2.0);
    assert!(density.iter().all(|e| e.low >= 0.0));
    // Sets that hardly meet: the plain interval reached below 0.
    let apart: Vec<Neighbourhoods> = map(20, |draw| {
        let key = Key::from_seed(2).fold(draw);
        neighbourhoods(&rows(key.fold("a"), 150, 3, 0.0), &rows(key.fold("b"), 150, 3, 4.0), 5).unwrap()
    });
    for found in apart {
        for e in [found.precision, found.recall, found.coverage] {
            assert!(e.low >= 0.0 && e.high <= 1.0 && (e.high > e.value || e.value == 1.0), "{e:?}");
        }
    }
}

/// The interval of C_T is that of an honest model, so it is asked of one.
#[test]
fn scores_of_honest_models_hold() {
    let train = rows(Key::from_seed(9), 400, 3, 0.0);
    let found = map(DRAWS, |draw| {
        let key = Key::from_seed(3).fold(draw);
        let set = |name: &str| rows(key.fold(name), 200, 3, 0.0);
        copying_score(&train, &set("held-out"), &set("samples"), Key::from_seed(2)).unwrap()
    });
    check("C_T", &found, 0.8..1.25);
}
