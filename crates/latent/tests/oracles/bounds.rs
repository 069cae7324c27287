//! The family of importance-weighted bounds: each reduces to the ELBO or to IWAE's at the ends of its parameters, exactly; each
//! approaches the known ln P(x) of a linear model; each gradient is of the bound it says.

use latent::Key;
use latent::batch::Batch;
use latent::data::ValueKind;
use latent::device::{host_f64, scalar};
use latent::model::View;
use latent::objective::Pass;
use latent::optimizer::MODEL;

use crate::common::*;
use crate::estimators::Linear;
use crate::gradients::gradient_error;

const ROWS: usize = 3;

fn made(estimator: &str) -> Made {
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = 'learned' }}\nposterior.latent = 2\n\
         network = {{ kind = 'mlp', hidden = [5], activation = 'tanh' }}\nobjective.estimator = {{ {estimator} }}"
    );
    make(&text, &facts(vector(4), ValueKind::Real)).randomised(Key::from_seed(130), 0.5)
}

fn rows() -> Batch {
    batch(normals(Key::from_seed(131), ROWS * 4), 4)
}

/// The loss of a player under this estimator; all draw the same codes.
fn loss_of(player: &str, estimator: &str) -> f64 {
    let (made, rows) = (made(estimator), rows());
    let draws = made.objective.estimator.draws();
    let pass = Pass::of(player, made.view(), &rows, draws, Key::from_seed(132));
    scalar(&made.objective.loss(&pass, None).total)
}

fn loss(estimator: &str) -> f64 {
    loss_of(MODEL, estimator)
}

/// log w of six draws of each row.
fn log_weights() -> Vec<f64> {
    let (made, rows) = (made("kind = 'importance', draws = 6"), rows());
    host_f64(&Pass::new(made.view(), &rows, 6, Key::from_seed(132)).log_weights().unwrap())
}

#[test]
fn each_reduces_exactly_to_the_elbo_and_to_the_importance_weighted_bound() {
    let iwae = loss("kind = 'importance', draws = 6");
    let elbo = loss("kind = 'importance', draws = 1, groups = 6");
    let w = log_weights();
    close(elbo, -w.iter().sum::<f64>() / w.len() as f64, 1e-12);
    // MIWAE: one group, or groups of one.
    assert_eq!(loss("kind = 'importance', draws = 6, groups = 1"), iwae);
    // CIWAE: nothing of the ELBO, or nothing else.
    assert_eq!(loss("kind = 'importance', draws = 6, elbo = 0.0"), iwae);
    assert_eq!(loss("kind = 'importance', draws = 6, elbo = 1.0"), elbo);
    close(loss("kind = 'importance', draws = 6, elbo = 0.3"), 0.7 * iwae + 0.3 * elbo, 1e-12);
    // PIWAE: the decoder on IWAE's bound, the encoder on MIWAE's, which is either at its ends.
    for (draws, groups, wanted) in [(6, 1, iwae), (1, 6, elbo)] {
        let estimator = format!("kind = 'partial', draws = {draws}, groups = {groups}");
        assert_eq!(loss(&estimator), iwae);
        assert_eq!(loss_of("encoder", &estimator), wanted);
    }
    // Between the ends: two groups of three, by hand.
    let group = |row: usize, group: usize| {
        let own: Vec<f64> = (0..3).map(|d| w[(group * 3 + d) * ROWS + row]).collect();
        log_sum(&own) - 3f64.ln()
    };
    let wanted = -(0..ROWS).map(|row| (group(row, 0) + group(row, 1)) / 2.0).sum::<f64>() / ROWS as f64;
    let miwae = loss("kind = 'importance', draws = 3, groups = 2");
    close(miwae, wanted, 1e-12);
    close(loss_of("encoder", "kind = 'partial', draws = 3, groups = 2"), wanted, 1e-12);
    assert!(iwae < miwae && miwae < elbo, "{iwae} {miwae} {elbo}");
    // However they are differentiated, they have one value.
    for gradient in ["sticking-the-landing", "doubly-reparameterised"] {
        for (shape, wanted) in
            [("draws = 6", iwae), ("draws = 3, groups = 2", miwae), ("draws = 6, elbo = 1.0", elbo)]
        {
            close(loss(&format!("kind = 'importance', {shape}, gradient = '{gradient}'")), wanted, 1e-12);
        }
    }
}

/// The same model and weights under another estimator.
fn like(linear: &Linear, estimator: &str) -> Made {
    let text = format!(
        "likelihood = {{ kind = 'normal', scale = 'learned' }}\nposterior.latent = {}\nnetwork.kind = 'linear'\n\
         objective.estimator = {{ {estimator} }}",
        linear.latent
    );
    let mut made = make(&text, &linear.made.run.facts);
    made.weights = linear.made.weights.clone();
    made
}

#[test]
fn with_more_draws_each_approaches_what_is_known() {
    let mut linear = Linear::new(Key::from_seed(133).fold(2u64), false);
    linear.encode_with(&vec![linear.widest * 1.3; linear.latent], &vec![0.2; linear.latent]);
    let rows = linear.rows(Key::from_seed(134), 200);
    let exact = linear.exact(&rows);
    let exact = exact.iter().sum::<f64>() / exact.len() as f64;
    let gap = |estimator: &str| {
        let made = like(&linear, estimator);
        let pass = Pass::new(made.view(), &rows, made.objective.estimator.draws(), Key::from_seed(135));
        scalar(&made.objective.loss(&pass, None).total) + exact
    };
    let [few, more, many] = [4, 64, 2048].map(|k| gap(&format!("kind = 'importance', draws = {k}")));
    println!("bounds of 4, 64, 2048 draws are {few:.4}, {more:.4}, {many:.4} nats off");
    // What is left of those with many draws is the chance of 200 rows.
    assert!(few > 0.1 && more.abs() < 0.03 && many.abs() < 0.01);
    // Groups of 64 stay at the bound of 64; a share of the ELBO keeps its share of the gap.
    close(gap("kind = 'importance', draws = 64, groups = 32"), more, 0.05);
    let elbo = gap("kind = 'importance', draws = 2048, elbo = 1.0");
    close(gap("kind = 'importance', draws = 2048, elbo = 0.25"), 0.25 * elbo + 0.75 * many, 1e-9);
}

#[test]
fn the_plain_gradient_of_groups_and_shares_is_that_of_their_value() {
    for estimator in ["draws = 3, groups = 2", "draws = 4, elbo = 0.3", "draws = 2, groups = 3, elbo = 0.6"] {
        let made = made(&format!("kind = 'importance', {estimator}"));
        let rows = rows();
        let loss = |weights: &latent::weights::Weights| {
            let view = View::training(&made.model, weights, Key::from_seed(136));
            let pass = Pass::new(view, &rows, made.objective.estimator.draws(), Key::from_seed(136));
            made.objective.loss(&pass, None).total
        };
        let (error, at) = gradient_error(&made.weights, Key::from_seed(137), loss, |w| scalar(&loss(w)));
        assert!(error < 1e-6, "{estimator}: {error:.1e} at {at}");
    }
}

/// The gradient of a loss by every trained array, flat, by path.
fn gradients(made: &Made, rows: &Batch, key: Key) -> Vec<(String, Vec<f64>)> {
    let tracked = made.weights.tracked(|_| true);
    let view = View::training(&made.model, &tracked, key);
    let pass = Pass::new(view, rows, made.objective.estimator.draws(), key);
    let mut all = made.objective.loss(&pass, None).total.backward();
    let trained = made.weights.iter().filter(|(_, w)| w.is_trained());
    trained
        .filter_map(|(id, w)| Some((w.path().to_string(), host_f64(&tracked.gradient(id, &mut all)?))))
        .collect()
}

#[test]
fn at_the_exact_posterior_a_held_density_leaves_no_noise() {
    for estimator in ["draws = 1, groups = 4", "draws = 4", "draws = 3, groups = 2, elbo = 0.5"] {
        for gradient in ["plain", "sticking-the-landing", "doubly-reparameterised"] {
            let mut linear = Linear::new(Key::from_seed(138), true);
            linear.encode_with(&linear.variance.clone(), &vec![0.0; linear.latent]);
            let rows = linear.rows(Key::from_seed(139), 5);
            let made = like(&linear, &format!("kind = 'importance', {estimator}, gradient = '{gradient}'"));
            let all = gradients(&made, &rows, Key::from_seed(140));
            let encoder = all.iter().filter(|(path, _)| path.starts_with("encoder."));
            let greatest = encoder.flat_map(|(_, g)| g).fold(0.0, |a, g| worse(a, g.abs()));
            if gradient == "plain" {
                assert!(greatest > 1e-3, "{estimator}: {greatest:.1e}");
            } else {
                assert!(greatest < 1e-9, "{estimator}, {gradient}: {greatest:.1e}");
            }
        }
    }
}

#[test]
fn the_doubly_reparameterised_gradient_has_the_mean_of_the_plain_one() {
    // k = 4, groups and a share of the ELBO; and with one draw the density held fixed is unbiased, too.
    for (estimator, gradient) in [
        ("draws = 4", "doubly-reparameterised"),
        ("draws = 3, groups = 2, elbo = 0.4", "doubly-reparameterised"),
        ("draws = 1, groups = 2", "sticking-the-landing"),
    ] {
        let [plain, other] = ["plain", gradient]
            .map(|gradient| made(&format!("kind = 'importance', {estimator}, gradient = '{gradient}'")));
        let x: Vec<f64> = normals(Key::from_seed(141), 2 * 4).repeat(100);
        let rows = batch(x, 4);
        let mut differences: Vec<Vec<f64>> = Vec::new();
        for round in 0..40u64 {
            let key = Key::from_seed(142).fold(round);
            let [a, b] = [&plain, &other].map(|made| gradients(made, &rows, key));
            let mut own = Vec::new();
            for ((path, a), (_, b)) in a.iter().zip(&b) {
                if path.starts_with("encoder.") {
                    own.extend(a.iter().zip(b).map(|(a, b)| a - b));
                } else {
                    // The decoder's is the same, draw by draw.
                    all_close(b, a, 1e-10);
                }
            }
            differences.push(own);
        }
        let mut worst = 0.0;
        let squares: f64 = (0..differences[0].len())
            .map(|at| {
                let z = mean_z(differences.iter().map(|d| d[at]), 0.0);
                worst = worse(worst, z.abs());
                z * z
            })
            .sum();
        let spread = (squares / differences[0].len() as f64).sqrt();
        println!("{estimator}, {gradient}: worst |z| {worst:.2}, root mean square {spread:.2}");
        assert!(worst < 5.0 && spread < 1.6, "{estimator}, {gradient}: {worst:.2} {spread:.2}");
    }
}

#[test]
fn two_players_move_the_two_networks() {
    let made = made("kind = 'partial', draws = 3, groups = 2");
    let players = made.objective.players();
    assert_eq!(players.iter().map(|p| p.name.as_str()).collect::<Vec<_>>(), [MODEL, "encoder"]);
    for (_, weight) in made.weights.iter() {
        let path = weight.path();
        let movers: Vec<bool> = players.iter().map(|player| (player.moves)(path)).collect();
        assert_eq!(movers, [!path.starts_with("encoder."), path.starts_with("encoder.")], "{path}");
    }
}

#[test]
fn what_makes_no_bound_is_refused() {
    let refused = |text: &str| {
        let error = try_make(text, &facts(vector(4), ValueKind::Real), &double()).err();
        error.unwrap_or_else(|| panic!("{text} is refused")).to_string()
    };
    let with =
        |estimator: &str| refused(&format!("posterior.latent = 2\nobjective.estimator = {{ {estimator} }}"));
    assert!(with("kind = 'importance', elbo = 1.5").contains("objective.estimator.elbo"));
    assert!(with("kind = 'importance', groups = 0").contains("objective.estimator.groups"));
    assert!(with("kind = 'partial', draws = 200, groups = 200").contains("objective.estimator.draws"));
    let bits = refused(
        "posterior = { kind = 'bits', latent = 3 }\nprior.kind = 'bits'\n\
         objective.estimator = { kind = 'importance', draws = 2, gradient = 'sticking-the-landing' }",
    );
    assert!(bits.contains("objective.estimator.gradient"), "{bits}");
}
