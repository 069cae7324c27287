//! Annealed importance sampling against the linear model, whose P(X) and p(z|x) are known, and against quadrature.

use latent::Key;
use latent::batch::{Batch, Given, Noise};
use latent::data::ValueKind;
use latent::device::host_f64;
use latent::evaluate::likelihood::{
    Annealing, Path, Schedule, Start, anneal, bidirectional, leapfrog, simulate, transition,
};
use latent::model::score;

use crate::common::*;
use crate::estimators::Linear;

fn settings(temperatures: usize, chains: usize) -> Annealing {
    Annealing { temperatures, chains, ..Annealing::default() }
}

/// A linear model whose encoder is half as wide again as the exact posterior and beside it.
fn linear(key: Key, orthogonal: bool) -> Linear {
    let mut linear = Linear::new(key, orthogonal);
    let variance: Vec<f64> =
        if orthogonal { linear.variance.clone() } else { vec![linear.widest; linear.latent] };
    let shift: Vec<f64> = variance.iter().map(|v| 0.5 * v.sqrt()).collect();
    linear.encode_with(&variance.iter().map(|v| 1.5 * v).collect::<Vec<_>>(), &shift);
    linear
}

/// A decoder with a bend in it.
fn bent(likelihood: &str, kind: ValueKind, key: Key) -> Made {
    let text = format!(
        "likelihood = {likelihood}\nposterior.latent = 1\nnetwork = {{ kind = 'mlp', hidden = [5], activation = 'tanh' }}"
    );
    make(&text, &facts(vector(3), kind)).randomised(key, 1.0)
}

#[test]
fn temperatures_rise_from_0_to_1() {
    for schedule in [Schedule::Linear, Schedule::Sigmoid] {
        let betas: Vec<f64> = (0..=20).map(|t| schedule.beta(f64::from(t) / 20.0)).collect();
        assert!(betas[0] == 0.0 && betas[20] == 1.0 && betas.windows(2).all(|pair| pair[0] < pair[1]));
        // Symmetric about the middle.
        close(betas[5] + betas[15], 1.0, 1e-12);
    }
    close(
        Schedule::Sigmoid.beta(0.25),
        (sigmoid(-2.0) - sigmoid(-4.0)) / (sigmoid(4.0) - sigmoid(-4.0)),
        1e-14,
    );
}

#[test]
fn leapfrog_leads_back_when_the_momentum_is_turned() {
    let key = Key::from_seed(70);
    let made = bent("{ kind = 'normal', scale = 'learned' }", ValueKind::Real, key);
    let rows = batch(normals(key.fold("x"), 4 * 3), 3);
    for start in [Start::Prior, Start::Encoder] {
        let path = Path::new(made.view(), &rows, start).unwrap();
        let from = path.start(3, Noise::new(key, &rows.ids));
        let momentum = matrix(normals(key.fold("momentum"), 12), 1);
        let step = matrix(vec![0.05; 12], 1);
        let (there, speed) = leapfrog(&path, 0.7, &from, momentum.clone(), &step, 10);
        let moved: Vec<f64> = host_f64(&(there.z.clone() - from.z.clone()).abs());
        assert!(moved.iter().all(|&by| by > 1e-3), "{moved:?}");
        let (back, speed) = leapfrog(&path, 0.7, &there, speed.neg(), &step, 10);
        all_close(&host_f64(&back.z), &host_f64(&from.z), 1e-12);
        all_close(&host_f64(&speed.neg()), &host_f64(&momentum), 1e-12);
        // The gradient is that of the density: central differences.
        let (beta, by) = (0.7, 1e-5);
        let shifted = |by: f64| path.at(from.z.clone() + by).log_density(beta);
        let (more, less) = (shifted(by), shifted(-by));
        for ((more, less), slope) in more.iter().zip(less).zip(host_f64(&from.gradient(beta))) {
            close(slope, (more - less) / (2.0 * by), 1e-7);
        }
    }
}

#[test]
fn transitions_leave_the_exact_posterior_as_it_is() {
    const CHAINS: usize = 20_000;
    let key = Key::from_seed(71);
    let mut linear = Linear::new(key.fold(3u64), true);
    linear.encode_with(&linear.variance.clone(), &vec![0.0; linear.latent]);
    let row = linear.rows(key, 1);
    let view = linear.made.view();
    let q = view.encode(&row);
    let (mean, deviation) = (host_f64(&q.centre().z), host_f64(&q.deviation().unwrap()));
    let check = |z: &[f64]| {
        for d in 0..linear.latent {
            let column = z.iter().skip(d).step_by(linear.latent).copied();
            assert!(mean_z(column.clone(), mean[d]).abs() < 4.0);
            assert!(variance_z(column, mean[d], deviation[d].powi(2)).abs() < 4.0);
        }
    };
    // From exact draws, with steps so long that a third is refused; from the prior, until it is forgotten.
    for (start, epsilon, moves) in [(Start::Encoder, 1.4, 3), (Start::Prior, 0.5, 20)] {
        let path = Path::new(view, &row, start).unwrap();
        let mut state = path.start(CHAINS, Noise::new(key.fold("start"), &row.ids));
        let mut last = 0.0;
        for step in 0..moves {
            let noise = Noise::new(key.fold("move").fold(step as u64), &row.ids);
            let (moved, acceptance) = transition(&path, 1.0, state, &[epsilon], 7, noise);
            last = moments(acceptance.into_iter()).1;
            state = moved;
        }
        println!("HMC from {start:?}: acceptance {last:.2}");
        assert!((0.4..0.999).contains(&last), "{last}");
        check(&host_f64(&state.z));
    }
}

#[test]
fn one_temperature_is_importance_sampling() {
    let key = Key::from_seed(72);
    let linear = linear(key, false);
    let rows = linear.rows(key, 5);
    let view = linear.made.view();
    let found = anneal(&view, &rows, Start::Encoder, &settings(1, 9), key).unwrap();
    let wanted = score(&view, &rows, 9, key.fold("start")).unwrap();
    for (found, wanted) in found.iter().zip(wanted) {
        close(found.score.log_p_lower, wanted.log_p_lower, 1e-12);
        close(found.score.standard_error, wanted.standard_error, 1e-9);
        assert!(found.acceptance.is_nan());
    }
}

#[test]
fn the_mean_weight_is_p_of_x_at_linear_models() {
    let (mut worst, mut squares, mut count) = (0.0f64, 0.0f64, 0.0f64);
    let mut gap = 0.0f64;
    for number in 0..6u64 {
        let key = Key::from_seed(73).fold(number);
        let linear = linear(key, number % 2 == 0);
        let rows = linear.rows(key, 3);
        let exact = linear.exact(&rows);
        for (start, temperatures) in [(Start::Prior, 60), (Start::Encoder, 12)] {
            let found =
                anneal(&linear.made.view(), &rows, start, &settings(temperatures, 200), key.fold("anneal"))
                    .unwrap();
            for (found, exact) in found.iter().zip(&exact) {
                let ratio = (found.score.log_p_lower - exact).exp();
                let z = (ratio - 1.0) / (found.score.standard_error * ratio);
                worst = worse(worst, z.abs());
                gap = worse(gap, (found.score.log_p_lower - exact).abs());
                (squares, count) = (squares + z * z, count + 1.0);
                assert!((0.45..0.85).contains(&found.acceptance), "{found:?}");
            }
        }
    }
    let spread = (squares / count).sqrt();
    println!(
        "annealing at 6 linear models: worst |z| {worst:.2} of {count}, root mean square {spread:.2}, off by {gap:.3} nats at most"
    );
    assert!(worst < 4.0 && (0.6..1.4).contains(&spread) && gap < 0.3);
}

#[test]
fn bidirectional_chains_sandwich_the_exact_value() {
    for number in 0..3u64 {
        let key = Key::from_seed(74).fold(number);
        let linear = linear(key, number % 2 == 0);
        let view = linear.made.view();
        let (rows, z) = simulate(&view, 60, None, key.fold("simulate"));
        let exact = linear.exact(&rows);
        for start in [Start::Prior, Start::Encoder] {
            let mut gaps = Vec::new();
            for temperatures in [4, 40] {
                let found =
                    bidirectional(&view, (&rows, &z), start, &settings(temperatures, 6), key).unwrap();
                let below = found.iter().zip(&exact).map(|(f, exact)| f.lower.log_p_lower - exact);
                let above = found.iter().zip(&exact).map(|(f, exact)| f.upper - exact);
                assert!(mean_z(below.clone(), 0.0) < 4.0, "{start:?} below");
                assert!(mean_z(above.clone(), 0.0) > -4.0, "{start:?} above");
                gaps.push(moments(above.zip(below).map(|(above, below)| above - below)).1);
            }
            println!("linear model {number} from {start:?}: gap {gaps:.3?} nats at 4 and 40 temperatures");
            assert!(gaps[1] < 0.3 * gaps[0] && gaps[1] < 0.5, "{gaps:?}");
        }
    }
}

#[test]
fn a_bent_decoder_is_annealed_to_what_quadrature_says() {
    let key = Key::from_seed(75);
    let kinds = [
        ("{ kind = 'normal', scale = 'fixed', sigma = 0.3 }", ValueKind::Real),
        ("{ kind = 'bernoulli' }", ValueKind::Binary),
    ];
    for (likelihood, kind) in kinds {
        let made = bent(likelihood, kind, key);
        let view = made.view();
        let (rows, _) = simulate(&view, 6, None, key.fold("rows"));
        let (z, step) = grid(-9.0, 9.0, 4001);
        let log_prior = log_density(view.prior(Given::none()).as_ref(), z.clone(), 1);
        for start in [Start::Prior, Start::Encoder] {
            let found = anneal(&view, &rows, start, &settings(80, 300), key.fold("anneal")).unwrap();
            for (row, found) in found.iter().enumerate() {
                let one = rows.slice(row, 1);
                let joint: Vec<f64> = host_f64(&view.log_likelihood(&one, &codes(z.clone(), 1)))
                    .iter()
                    .zip(&log_prior)
                    .map(|(likelihood, prior)| (likelihood + prior).exp())
                    .collect();
                let ratio = found.score.log_p_lower.exp() / simpson(&joint, step);
                let off = (ratio - 1.0) / (found.score.standard_error * ratio);
                assert!(
                    off.abs() < 4.0 && found.score.standard_error < 0.2,
                    "{likelihood} {start:?}: {ratio} {found:?}"
                );
            }
        }
    }
}

#[test]
fn a_row_is_annealed_alike_in_any_batch() {
    let key = Key::from_seed(76);
    let linear = linear(key, true);
    // 60 rows of 16 chains are two parts.
    let rows = linear.rows(key, 60);
    let view = linear.made.view();
    for start in [Start::Prior, Start::Encoder] {
        let all = anneal(&view, &rows, start, &settings(6, 16), key).unwrap();
        let alone: Batch = rows.slice(47, 1);
        let alone = anneal(&view, &alone, start, &settings(6, 16), key).unwrap();
        close(alone[0].score.log_p_lower, all[47].score.log_p_lower, 1e-9);
        close(alone[0].acceptance, all[47].acceptance, 1e-9);
    }
}

#[test]
fn models_without_a_path_say_why() {
    let key = Key::from_seed(77);
    let rows = batch(vec![0.0; 8], 4);
    let refused = |text: &str, kind: ValueKind, start: Start| {
        let made = make(text, &facts(vector(4), kind));
        let error = anneal(&made.view(), &rows, start, &settings(2, 2), key).unwrap_err();
        error.to_string()
    };
    let net = "network.kind = 'linear'\n";
    let bits = format!(
        "{net}likelihood.kind = 'bernoulli'\nposterior = {{ kind = 'bits', latent = 3 }}\nprior.kind = 'bits'"
    );
    assert!(refused(&bits, ValueKind::Binary, Start::Prior).contains("bits and indices have none"));
    let grey = format!("{net}likelihood.kind = 'bernoulli'\nposterior.latent = 2");
    assert!(refused(&grey, ValueKind::Grey, Start::Prior).contains("no density, so there is no log P(x)"));
    let point = format!(
        "{net}likelihood.kind = 'bernoulli'\nposterior = {{ kind = 'point', latent = 2 }}\nobjective = {{ estimator.kind = 'plain', terms.distortion = {{}} }}"
    );
    assert!(refused(&point, ValueKind::Binary, Start::Encoder).contains("start from the prior"));
    let made = make(&point, &facts(vector(4), ValueKind::Binary));
    assert!(anneal(&made.view(), &rows, Start::Prior, &settings(3, 2), key).is_ok());
}
