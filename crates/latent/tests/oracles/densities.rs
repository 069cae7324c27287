//! Densities: log density by independent formula and quadrature, draws by their moments.

use latent::Key;
use latent::batch::{Latent, Noise};
use latent::density::*;
use latent::device::{host_f64, scalar};

use crate::common::*;

const DRAWS: usize = 20_000;

/// Draws of row `row` in dimension `j`, draw-major.
fn column(z: &Latent, rows: usize, row: usize, j: usize) -> Vec<f64> {
    let dims = z.z.dims()[1];
    let all = host_f64(&z.z);
    (0..z.rows() / rows).map(|d| all[(d * rows + row) * dims + j]).collect()
}

/// The largest distance, in standard errors, of draws' means and variances from what `centre` and `deviation` say.
fn worst_moment(density: &dyn Density, rows: usize) -> f64 {
    let ids: Vec<u64> = (0..rows as u64).collect();
    let z = density.draw(DRAWS, Noise::new(Key::from_seed(11), &ids)).z;
    let (centre, deviation) = (host_f64(&density.centre().z), host_f64(&density.deviation().unwrap()));
    let dims = z.z.dims()[1];
    assert_eq!(z.rows(), DRAWS * rows);
    let mut worst: f64 = 0.0;
    for row in 0..rows {
        for j in 0..dims {
            let draws = column(&z, rows, row, j);
            let at = (row * dims + j) % centre.len();
            worst = worse(worst, mean_z(draws.iter().copied(), centre[at]).abs());
            worst = worse(worst, variance_z(draws.iter().copied(), centre[at], deviation[at].powi(2)).abs());
        }
    }
    worst
}

fn normal_log_density(z: f64, mean: f64, log_variance: f64) -> f64 {
    -0.5 * ((2.0 * std::f64::consts::PI).ln() + log_variance + (z - mean).powi(2) / log_variance.exp())
}

#[test]
fn diagonal_normal_is_the_product_of_its_dimensions() {
    let (n, dims, draws) = (3, 2, 4);
    let key = Key::from_seed(1);
    let (mean, log_variance) = (normals(key.fold("mean"), n * dims), normals(key.fold("variance"), n * dims));
    let q = DiagonalNormal {
        mean: matrix(mean.clone(), dims),
        log_variance: matrix(log_variance.iter().map(|v| 2.0 * v).collect(), dims),
    };
    let z = normals(key.fold("z"), draws * n * dims);
    let wanted: Vec<f64> = (0..draws * n)
        .map(|row| {
            let term = |j: usize| {
                let at = row % n * dims + j;
                normal_log_density(z[row * dims + j], mean[at], 2.0 * log_variance[at])
            };
            (0..dims).map(term).sum()
        })
        .collect();
    all_close(&log_density(&q, z, dims), &wanted, 1e-13);
    let worst = worst_moment(&q, n);
    println!("diagonal normal: worst moment {worst:.2} standard errors");
    assert!(worst < 5.0);
}

#[test]
fn normals_integrate_to_one() {
    let (z, step) = grid(-40.0, 40.0, 8001);
    let standard = StandardNormal { dims: 1, device: double() };
    let q = DiagonalNormal { mean: matrix(vec![1.5], 1), log_variance: matrix(vec![1.2], 1) };
    for density in [&standard as &dyn Density, &q] {
        let p: Vec<f64> = log_density(density, z.clone(), 1).into_iter().map(f64::exp).collect();
        close(simpson(&p, step), 1.0, 1e-10);
    }
    let standard = StandardNormal { dims: 3, device: double() };
    let at = vec![0.3, -2.0, 5.0];
    let wanted = at.iter().map(|&z| normal_log_density(z, 0.0, 0.0)).sum::<f64>();
    close(log_density(&standard, at, 3)[0], wanted, 1e-14);
    assert!(worst_moment(&standard, 1) < 5.0);
}

#[test]
fn uniform_is_flat_inside_the_cube_and_nothing_outside() {
    let p = Uniform { dims: 2, device: double() };
    let found = log_density(&p, vec![0.5, 0.5, 0.0, 1.0, 1.001, 0.5, 0.5, -0.001, 7.0, -7.0], 2);
    assert_eq!(found[..2], [0.0, 0.0]);
    assert!(found[2..].iter().all(|&v| v == f64::NEG_INFINITY), "{found:?}");
    assert!(worst_moment(&p, 1) < 5.0);
}

fn mixture(dims: usize) -> (NormalMixture, Vec<f64>, Vec<f64>, Vec<f64>) {
    let key = Key::from_seed(2);
    let logits = normals(key.fold("logits"), 3);
    let mean: Vec<f64> = normals(key.fold("mean"), 3 * dims).into_iter().map(|v| 2.0 * v).collect();
    let log_variance = normals(key.fold("variance"), 3 * dims);
    let p = NormalMixture {
        logits: matrix(logits.clone(), 3),
        mean: matrix(mean.clone(), dims),
        log_variance: matrix(log_variance.clone(), dims),
    };
    (p, logits, mean, log_variance)
}

#[test]
fn mixture_is_the_weighted_sum_of_its_components() {
    let (p, logits, mean, log_variance) = mixture(2);
    let z = normals(Key::from_seed(3), 10);
    let wanted: Vec<f64> = z
        .chunks(2)
        .map(|z| {
            let component = |c: usize| {
                let dim = |j: usize| normal_log_density(z[j], mean[c * 2 + j], log_variance[c * 2 + j]);
                logits[c] - log_sum(&logits) + dim(0) + dim(1)
            };
            log_sum(&[component(0), component(1), component(2)])
        })
        .collect();
    all_close(&log_density(&p, z, 2), &wanted, 1e-13);
    let worst = worst_moment(&p, 2);
    println!("mixture: worst moment {worst:.2} standard errors");
    assert!(worst < 5.0);
    // A part of a long series of draws is the same as those draws of the whole.
    let ids = [4, 9];
    let whole = host_f64(&p.draw(6, Noise::new(Key::from_seed(5), &ids)).z.z);
    let part = host_f64(&p.draw(2, Noise { first: 3, ..Noise::new(Key::from_seed(5), &ids) }).z.z);
    assert_eq!(whole[3 * 4..5 * 4], part);
}

#[test]
fn mixture_integrates_to_one_in_one_and_two_dimensions() {
    let (line, step) = grid(-25.0, 25.0, 4001);
    let p: Vec<f64> = log_density(&mixture(1).0, line, 1).into_iter().map(f64::exp).collect();
    close(simpson(&p, step), 1.0, 1e-9);
    let (line, step) = grid(-20.0, 20.0, 321);
    let plane: Vec<f64> = line.iter().flat_map(|&a| line.iter().flat_map(move |&b| [a, b])).collect();
    let p: Vec<f64> = log_density(&mixture(2).0, plane, 2).into_iter().map(f64::exp).collect();
    let rows: Vec<f64> = p.chunks(line.len()).map(|row| simpson(row, step)).collect();
    close(simpson(&rows, step), 1.0, 1e-8);
}

#[test]
fn log_sum_exp_neither_overflows_nor_vanishes() {
    let sums = |values: Vec<f64>, width| host_f64(&log_sum_exp(matrix(values, width)));
    all_close(&sums(vec![1e4, 1e4, -1e4, -1e4], 2), &[1e4 + 2f64.ln(), -1e4 + 2f64.ln()], 1e-14);
    close(sums(vec![700.0, -700.0, 0.0], 3)[0], 700.0, 1e-14);
    // Impossible draws weigh nothing; where all are impossible so is the sum.
    let none = f64::NEG_INFINITY;
    close(sums(vec![none, 1.0, none], 3)[0], 1.0, 1e-14);
    assert_eq!(sums(vec![none, none], 2), [none]);
    // Its gradient is the softmax.
    let values = matrix(vec![1e4, 1e4 + 1.0, 0.0], 3).autodiff().require_grad();
    let gradients = log_sum_exp(values.clone()).backward();
    let gradient = host_f64(&values.grad(&gradients).unwrap());
    all_close(&gradient, &[sigmoid(-1.0), sigmoid(1.0), 0.0], 1e-12);
}

#[test]
fn bits_sum_to_one_and_fall_as_often_as_they_say() {
    let logits = vec![0.0, 1.5, -2.0, 40.0, -40.0];
    let bits = |gradient| FactorisedBits { logits: matrix(logits.clone(), 5), gradient };
    let q = bits(BitGradient::None);
    let log_p = log_density(&q, all_codes(5), 5);
    close(log_p.iter().map(|v| v.exp()).sum(), 1.0, 1e-13);
    let wanted: Vec<f64> = all_codes(5)
        .chunks(5)
        .map(|z| z.iter().zip(&logits).map(|(z, l)| -softplus(if *z > 0.5 { -l } else { *l })).sum())
        .collect();
    all_close(&log_p, &wanted, 1e-13);
    let noise = Noise::new(Key::from_seed(4), &[7]);
    let hard = q.draw(DRAWS, noise).z;
    for (j, &l) in logits.iter().enumerate() {
        let draws = column(&hard, 1, 0, j);
        let (n, mean, _) = moments(draws.iter().copied());
        let p = sigmoid(l);
        assert!((mean - p).abs() <= 5.0 * (p * (1.0 - p) / n).sqrt() + 1e-12, "{mean} {p}");
    }
    // Straight-through draws are the same hard bits, exactly; soft ones lie on the same side of a half.
    let hard = host_f64(&hard.z);
    assert!(hard.iter().all(|&z| z == 0.0 || z == 1.0));
    assert_eq!(host_f64(&bits(BitGradient::StraightThrough).draw(DRAWS, noise).z.z), hard);
    for temperature in [0.3, 1.0] {
        let soft = host_f64(&bits(BitGradient::Relaxed(temperature)).draw(DRAWS, noise).z.z);
        assert!(soft.iter().zip(&hard).all(|(soft, hard)| (*soft > 0.5) == (*hard > 0.5)));
        assert!(soft.iter().all(|z| (0.0..=1.0).contains(z)));
    }
    assert_eq!(host_f64(&q.centre().z), [0.0, 1.0, 0.0, 1.0, 0.0]);
    close(host_f64(&q.deviation().unwrap())[0], 0.5, 1e-14);
}

#[test]
fn a_point_has_no_density() {
    let q = Point { code: matrix(vec![1.0, 2.0], 1) };
    assert!(q.log_density(&codes(vec![1.0, 2.0], 1)).is_none());
    assert_eq!(host_f64(&q.draw(2, Noise::new(Key::from_seed(0), &[0, 1])).z.z), [1.0, 2.0, 1.0, 2.0]);
    assert_eq!(scalar(&q.centre().z.slice([1..2, 0..1])), 2.0);
}
