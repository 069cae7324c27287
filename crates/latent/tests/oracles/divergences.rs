//! Kullback–Leibler divergences: closed forms against quadrature, enumeration and Monte Carlo.

use latent::Key;
use latent::batch::{Draw, Noise};
use latent::density::*;
use latent::device::host_f64;
use latent::model::Rate;

use crate::common::*;

fn normal(mean: &[f64], log_variance: &[f64]) -> DiagonalNormal {
    let dims = mean.len();
    DiagonalNormal { mean: matrix(mean.to_vec(), dims), log_variance: matrix(log_variance.to_vec(), dims) }
}

fn bits(logits: Vec<f64>) -> FactorisedBits {
    let dims = logits.len();
    FactorisedBits { logits: matrix(logits, dims), gradient: BitGradient::None }
}

/// ∫ q (ln q − ln p) in one dimension.
fn by_quadrature(q: &dyn Density, p: &dyn Density) -> f64 {
    let (z, step) = grid(-60.0, 60.0, 24_001);
    let (log_q, log_p) = (log_density(q, z.clone(), 1), log_density(p, z, 1));
    simpson(&log_q.iter().zip(&log_p).map(|(q, p)| q.exp() * (q - p)).collect::<Vec<_>>(), step)
}

#[test]
fn normals_agree_with_quadrature() {
    let standard = StandardNormal { dims: 1, device: double() };
    let other = normal(&[-0.7], &[0.9]);
    for (mean, log_variance) in [(0.0, 0.0), (1.3, -2.0), (-4.0, 1.5), (0.2, -6.0)] {
        let q = normal(&[mean], &[log_variance]);
        for p in [&standard as &dyn Density, &other] {
            let closed = host_f64(&kl(&q, p).unwrap())[0];
            close(closed, by_quadrature(&q, p), 1e-9);
        }
        close(host_f64(&kl(&q, &q).unwrap())[0], 0.0, 1e-14);
    }
}

#[test]
fn closed_forms_agree_with_monte_carlo_row_by_row() {
    let (n, dims, draws) = (3, 2, 20_000);
    let key = Key::from_seed(21);
    let q = DiagonalNormal {
        mean: matrix(normals(key.fold("mean"), n * dims), dims),
        log_variance: matrix(normals(key.fold("variance"), n * dims), dims),
    };
    let ids = [3, 1, 2];
    let z = q.draw(draws, Noise::new(key, &ids));
    let standard = StandardNormal { dims, device: double() };
    let one = normal(&[0.5, -1.0], &[1.0, 0.3]);
    let mut worst: f64 = 0.0;
    for p in [&standard as &dyn Density, &one] {
        let exact = host_f64(&sum_dimensions(kl(&q, p).unwrap()));
        let log_q = host_f64(&q.log_density(&z.z).unwrap());
        let log_p = host_f64(&p.log_density(&z.z).unwrap());
        for (i, exact) in exact.iter().enumerate() {
            let ratios = (0..draws).map(|d| log_q[d * n + i] - log_p[d * n + i]);
            worst = worse(worst, mean_z(ratios, *exact).abs());
        }
    }
    println!("KL of normals by Monte Carlo: worst {worst:.2} standard errors");
    assert!(worst < 4.5);
}

#[test]
fn bits_agree_with_enumeration_even_where_they_are_certain() {
    for (q, p) in [
        (vec![0.3, -1.0, 2.0], vec![0.0, 0.0, 0.0]),
        (vec![30.0, -30.0, 0.0], vec![-1.0, 2.0, 5.0]),
        (vec![800.0, -800.0, 1.0], vec![-1.0, 2.0, 1.0]),
    ] {
        let (q, p) = (bits(q), bits(p));
        let (log_q, log_p) = (log_density(&q, all_codes(3), 3), log_density(&p, all_codes(3), 3));
        let wanted: f64 =
            log_q.iter().zip(&log_p).map(|(q, p)| if q.exp() > 0.0 { q.exp() * (q - p) } else { 0.0 }).sum();
        close(host_f64(&sum_dimensions(kl(&q, &p).unwrap()))[0], wanted, 1e-10);
    }
}

#[test]
fn a_pair_without_a_closed_form_is_estimated_without_bias() {
    // A mixture of one component N(0, I) is the standard normal, whose divergence is known.
    let (n, draws) = (2, 20_000);
    let q = DiagonalNormal {
        mean: matrix(vec![0.5, -1.0, 2.0, 0.0], 2),
        log_variance: matrix(vec![-1.0, 0.5, 0.0, -2.0], 2),
    };
    let p = NormalMixture {
        logits: matrix(vec![3.0], 1),
        mean: matrix(vec![0.0; 2], 2),
        log_variance: matrix(vec![0.0; 2], 2),
    };
    assert!(kl(&q, &p).is_none());
    let z = q.draw(draws, Noise::new(Key::from_seed(22), &[0, 1]));
    let rate = Rate::new(&q, &p, &z, draws).unwrap();
    assert!(!rate.exact && rate.per_dimension.is_none());
    let standard = StandardNormal { dims: 2, device: double() };
    let exact = Rate::new(&q, &standard, &z, draws).unwrap();
    assert!(exact.exact);
    let log_q = host_f64(&q.log_density(&z.z).unwrap());
    let log_p = host_f64(&p.log_density(&z.z).unwrap());
    for (i, (found, wanted)) in host_f64(&rate.total).iter().zip(host_f64(&exact.total)).enumerate() {
        let ratios = (0..draws).map(|d| log_q[d * n + i] - log_p[d * n + i]);
        close(*found, moments(ratios.clone()).1, 1e-10);
        assert!(mean_z(ratios, wanted).abs() < 4.5);
    }
}

#[test]
fn a_point_has_no_finite_rate() {
    let q = Point { code: matrix(vec![0.0], 1) };
    let p = StandardNormal { dims: 1, device: double() };
    assert!(Rate::new(&q, &p, &Draw::new(matrix(vec![0.0], 1)), 1).is_none());
}
