//! Posteriors with correlations and flows of steps, and the prior of couplings: determinants against numerical Jacobians, ways back,
//! integrals, rates against quadrature.

use burn::tensor::Tensor;
use latent::Key;
use latent::batch::{Latent, Noise};
use latent::data::ValueKind;
use latent::density::{Density, DiagonalNormal, FullNormal, Step, kl_total};
use latent::device::{Device, host_f64};
use latent::model::Rate;

use crate::common::*;

/// Steps, each with its directions.
const STEPS: [(Step, usize); 6] = [
    (Step::Planar, 0),
    (Step::Radial, 0),
    (Step::Householder, 0),
    (Step::Sylvester, 1),
    (Step::Sylvester, 2),
    (Step::Sylvester, 9),
];

/// How wild parameters are tried: both triangles of a Sylvester step multiply, so that it loses more digits.
fn scales(step: Step) -> &'static [f64] {
    if step == Step::Sylvester { &[0.3, 0.6, 1.0] } else { &[0.5, 3.0, 8.0] }
}

const POSTERIORS: [&str; 7] = [
    "kind = 'full-normal', latent = 2",
    "kind = 'flow', steps = 3, base = { kind = 'diagonal-normal', latent = 2 }",
    "kind = 'flow', step = 'radial', steps = 3, base = { kind = 'diagonal-normal', latent = 2 }",
    "kind = 'flow', step = 'householder', steps = 2, base = { kind = 'diagonal-normal', latent = 2 }",
    "kind = 'flow', steps = 2, amortised = false, base = { kind = 'full-normal', latent = 2 }",
    "kind = 'flow', step = 'sylvester', steps = 2, base = { kind = 'diagonal-normal', latent = 2 }",
    "kind = 'flow', step = 'sylvester', steps = 2, rank = 1, base = { kind = 'diagonal-normal', latent = 2 }",
];

fn made(posterior: &str, prior: &str) -> Made {
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = 'fixed' }}
         posterior = {{ {posterior} }}\nprior = {{ {prior} }}
         network = {{ kind = 'mlp', hidden = [6], activation = 'silu' }}"
    );
    make(&text, &facts(vector(3), ValueKind::Real)).randomised(Key::from_seed(7), 0.5)
}

fn determinant(m: &[Vec<f64>]) -> f64 {
    if m.is_empty() {
        return 1.0;
    }
    let minor = |j: usize| -> Vec<Vec<f64>> {
        m[1..].iter().map(|row| (0..m.len()).filter(|k| *k != j).map(|k| row[k]).collect()).collect()
    };
    (0..m.len()).map(|j| (1.0 - 2.0 * (j % 2) as f64) * m[0][j] * determinant(&minor(j))).sum()
}

#[test]
fn a_step_has_the_determinant_of_its_jacobian_and_a_way_back() {
    for (step, rank) in STEPS {
        let (mut worst, mut back): (f64, f64) = (0.0, 0.0);
        for dims in [1, 2, 4] {
            // Wild parameters too: what they say is kept invertible.
            for (seed, &scale) in scales(step).iter().enumerate() {
                let (seed, width) = (seed as u64, step.parameters(dims, rank));
                let draw = |key: Key, n: usize| normals(key, n).into_iter().map(|v| scale * v).collect();
                let parameters = matrix(draw(Key::from_seed(seed), width), width);
                let z: Vec<f64> = normals(Key::from_seed(seed).fold("z"), dims);
                let forth = |z: Vec<f64>| {
                    let (z, log_determinant) = step.forth(&parameters, matrix(z, dims));
                    (host_f64(&z), host_f64(&log_determinant)[0])
                };
                let h = 1e-6;
                let column = |j: usize| {
                    let moved = |by: f64| {
                        let mut z = z.clone();
                        z[j] += by;
                        forth(z).0
                    };
                    moved(h).iter().zip(moved(-h)).map(|(a, b)| (a - b) / (2.0 * h)).collect::<Vec<f64>>()
                };
                let jacobian: Vec<Vec<f64>> = (0..dims).map(column).collect();
                let (moved, log_determinant) = forth(z.clone());
                worst = worst.max((determinant(&jacobian).abs().ln() - log_determinant).abs());
                let again = host_f64(&step.back(&parameters, matrix(moved, dims)));
                back = again.iter().zip(&z).map(|(a, b)| (a - b).abs()).fold(back, f64::max);
            }
        }
        println!("{step:?} {rank}: ln |det| off by {worst:.1e}, the way back by {back:.1e}");
        assert!(worst < 1e-5 && back < 1e-6, "{step:?}: {worst:.1e} {back:.1e}");
    }
}

/// z + Q R tanh(R̃ Qᵀz + b) written out on the host.
#[test]
fn a_sylvester_step_is_its_formula() {
    let (dims, rank, key) = (4, 3, Key::from_seed(21));
    let all = normals(key, Step::Sylvester.parameters(dims, rank));
    assert_eq!(all.len(), rank * dims + rank * (rank - 1) + 3 * rank);
    let z = normals(key.fold("z"), dims);
    // Q: the first columns of H_1 H_2 H_3.
    let reflect = |v: &[f64], z: Vec<f64>| -> Vec<f64> {
        let (dot, square): (f64, f64) =
            (v.iter().zip(&z).map(|(a, b)| a * b).sum(), v.iter().map(|a| a * a).sum());
        z.iter().zip(v).map(|(z, v)| z - 2.0 * v * dot / square).collect()
    };
    let mirrors: Vec<&[f64]> = all[..rank * dims].chunks(dims).collect();
    let column = |j: usize| {
        let unit = (0..dims).map(|i| f64::from(u8::from(i == j))).collect();
        mirrors.iter().rev().fold(unit, |z, v| reflect(v, z))
    };
    let q: Vec<Vec<f64>> = (0..rank).map(column).collect();
    for (i, a) in q.iter().enumerate() {
        for (j, b) in q.iter().enumerate() {
            let dot: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            close(dot, f64::from(u8::from(i == j)), 1e-12);
        }
    }
    let most = (1.0 - 1e-3_f64).sqrt();
    let rest = &all[rank * dims..];
    let triangle = |above: &[f64], diagonal: &[f64], i: usize, j: usize| match (i, j) {
        _ if i == j => most * diagonal[i].tanh(),
        (0, 1) => above[0],
        (0, 2) => above[1],
        (1, 2) => above[2],
        _ => 0.0,
    };
    let along: Vec<f64> = q.iter().map(|q| q.iter().zip(&z).map(|(q, z)| q * z).sum()).collect();
    let apply = |above: &[f64], diagonal: &[f64], y: &[f64]| -> Vec<f64> {
        (0..rank).map(|i| (0..rank).map(|j| triangle(above, diagonal, i, j) * y[j]).sum()).collect()
    };
    let t: Vec<f64> = apply(&rest[3..6], &rest[9..12], &along)
        .iter()
        .zip(&rest[12..15])
        .map(|(a, b)| (a + b).tanh())
        .collect();
    let moved = apply(&rest[..3], &rest[6..9], &t);
    let wanted: Vec<f64> =
        (0..dims).map(|i| z[i] + (0..rank).map(|j| q[j][i] * moved[j]).sum::<f64>()).collect();
    let width = all.len();
    let (found, _) = Step::Sylvester.forth(&matrix(all, width), matrix(z, dims));
    all_close(&host_f64(&found), &wanted, 1e-11);
}

#[test]
fn a_way_back_holds_in_single_precision() {
    for (step, rank) in STEPS {
        let mut worst: f64 = 0.0;
        for (seed, scale) in (0..40).flat_map(|seed| scales(step).iter().map(move |&scale| (seed, scale))) {
            let draw = |what: &str, n: usize, scale: f64| -> Tensor<2> {
                let values =
                    normals(Key::from_seed(seed).fold(what), n).into_iter().map(|v| scale * v).collect();
                Device::cpu().tensor_f64(values, [1, n])
            };
            let parameters = draw("parameters", step.parameters(4, rank), scale);
            let z = draw("z", 4, 1.0);
            let (moved, log_determinant) = step.forth(&parameters, z.clone());
            assert!(host_f64(&log_determinant)[0].is_finite(), "{step:?} {seed} {scale}");
            let again = host_f64(&step.back(&parameters, moved));
            worst = again.iter().zip(host_f64(&z)).map(|(a, b)| (a - b).abs()).fold(worst, f64::max);
        }
        println!("{step:?} {rank}: the way back off by {worst:.1e}");
        // Where a step narrows to a thousandth, so much of what single precision holds is left.
        assert!(worst < 5e-3, "{step:?}: {worst:.1e}");
    }
}

#[test]
fn they_integrate_to_one_and_know_their_gradient() {
    for posterior in POSTERIORS {
        let made = made(posterior, "kind = 'standard-normal'");
        let x = batch(normals(Key::from_seed(1), 9), 3);
        let q = made.view().encode(&x).rows(&[1]);
        let total = integral_2d(q.as_ref(), -14.0, 14.0, 1121);
        println!("{posterior}: ∫ q = 1 + {:.1e}", total - 1.0);
        close(total, 1.0, 1e-4);
        // With respect to codes from anywhere, through the way back.
        let z = normals(Key::from_seed(12), 2);
        let tracked = matrix(z.clone(), 2).autodiff().require_grad();
        let log_q = q.log_density(&Latent::new(tracked.clone())).unwrap();
        let found = host_f64(&tracked.grad(&log_q.sum().backward()).unwrap());
        for j in 0..2 {
            let at = |by: f64| {
                let mut z = z.clone();
                z[j] += by;
                log_density(q.as_ref(), z, 2)[0]
            };
            close(found[j], (at(1e-5) - at(-1e-5)) / 2e-5, 1e-6);
        }
    }
    let made = made("kind = 'diagonal-normal', latent = 2", "kind = 'real-nvp', layers = 4, hidden = [8]");
    let p = made.view().prior(latent::batch::Given::none());
    let total = integral_2d(p.as_ref(), -14.0, 14.0, 1121);
    println!("real-nvp prior: ∫ p = 1 + {:.1e}", total - 1.0);
    close(total, 1.0, 1e-4);
}

/// ∫ q (ln q − ln p) over a square.
fn quadrature(q: &dyn Density, p: &dyn Density) -> f64 {
    let (points, step) = grid(-12.0, 12.0, 961);
    let line = |&a: &f64| {
        let z: Vec<f64> = points.iter().flat_map(|&b| [a, b]).collect();
        let (log_q, log_p) = (log_density(q, z.clone(), 2), log_density(p, z, 2));
        simpson(&log_q.iter().zip(&log_p).map(|(q, p)| q.exp() * (q - p)).collect::<Vec<_>>(), step)
    };
    simpson(&points.iter().map(line).collect::<Vec<_>>(), step)
}

#[test]
fn rates_in_closed_form_are_those_of_quadrature() {
    let turned = format!(
        "kind = 'flow', step = 'householder', steps = 2, base = {{ {} }}",
        "kind = 'full-normal', latent = 2"
    );
    for (posterior, prior) in [
        (POSTERIORS[0], "kind = 'standard-normal'"),
        (POSTERIORS[3], "kind = 'standard-normal'"),
        (turned.as_str(), "kind = 'standard-normal'"),
    ] {
        let made = made(posterior, prior);
        let x = batch(normals(Key::from_seed(1), 3), 3);
        let (q, p) = (made.view().encode(&x), made.view().prior(x.given()));
        let draw = q.draw(1, Noise::new(Key::from_seed(2), &x.ids));
        let rate = Rate::new(q.as_ref(), p.as_ref(), &draw, 1).unwrap();
        assert!(rate.exact && rate.per_dimension.is_none());
        close(host_f64(&rate.total)[0], quadrature(q.as_ref(), p.as_ref()), 1e-5);
    }
    // Of a full normal and a diagonal one.
    let made = made(POSTERIORS[0], "kind = 'standard-normal'");
    let q = made.view().encode(&batch(normals(Key::from_seed(1), 3), 3));
    let p = DiagonalNormal { mean: matrix(vec![0.3, -0.5], 2), log_variance: matrix(vec![0.4, -0.2], 2) };
    let rate = host_f64(&kl_total(q.as_ref(), &p).unwrap())[0];
    close(rate, quadrature(q.as_ref(), &p), 1e-5);
    // A diagonal normal is a full one without correlations.
    let (mean, log_variance) = (matrix(vec![0.8, -1.1, 0.2], 3), matrix(vec![-0.3, 0.6, 0.1], 3));
    let full =
        FullNormal { mean: mean.clone(), log_variance: log_variance.clone(), below: matrix(vec![0.0; 3], 3) };
    let diagonal = DiagonalNormal { mean, log_variance };
    let standard = made.view().prior(latent::batch::Given::none());
    let of = |q: &dyn Density| host_f64(&kl_total(q, standard.as_ref()).unwrap())[0];
    close(of(&full), of(&diagonal), 1e-12);
    all_close(&host_f64(&full.deviation().unwrap()), &host_f64(&diagonal.deviation().unwrap()), 1e-12);
    let z = normals(Key::from_seed(4), 3);
    close(log_density(&full, z.clone(), 3)[0], log_density(&diagonal, z, 3)[0], 1e-12);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let refused = |text: &str| refusal(text, &facts(vector(3), ValueKind::Real));
    let own = |own: &str| refused(&format!("posterior = {{ {own} }}"));
    assert!(own("kind = 'flow', steps = 0").starts_with("`posterior.steps`"));
    assert!(own("kind = 'flow', step = 'cubic'").contains("planar"));
    assert!(own("kind = 'flow', step = 'sylvester', rank = 0").starts_with("`posterior.rank`"));
    assert!(own("kind = 'flow', base = { kind = 'bits', latent = 2 }").starts_with("`posterior.base`"));
    assert!(own("kind = 'full-normal', latent = 129").starts_with("`posterior.latent`"));
    assert!(refused("prior = { kind = 'real-nvp', layers = 0 }").starts_with("`prior.layers`"));
    // Free bits for each dimension are none where the density does not split.
    let free =
        refused("posterior = { kind = 'full-normal', latent = 2 }\nobjective.terms.rate.free_bits = 0.1");
    assert!(free.contains("free bits"), "{free}");
}
