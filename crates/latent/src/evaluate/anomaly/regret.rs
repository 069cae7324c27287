//! Likelihood regret: how much better than the encoder's could q(z|x) be for this very x?
//!
//! regret(x) = max_q ELBO(x; q) − ELBO(x; q(z|x)) ≥ 0
//!
//! On rows like the training data the encoder is near the best q; on foreign rows it is far off, however likely they are.
//! q is a normal with independent dimensions that starts as the encoder's and climbs by Adam, each row on its own. Both
//! bounds are taken with the same draws, and the best of what was passed is kept, the start included.
//!
//! Reference: Xiao, Yan & Amit, *Likelihood regret: an out-of-distribution detection score for variational auto-encoder*
//! (arXiv 2003.02977).

use burn::tensor::Tensor;

use crate::batch::{Batch, Support};
use crate::density::{Density, DiagonalNormal};
use crate::device::{host_f64, untracked};
use crate::key::Key;
use crate::model::{ModelError, Rate, View};

/// How q is improved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Climb {
    /// Steps of Adam.
    pub steps: usize,
    /// Draws of q in a step.
    pub draws: usize,
    /// Adam's first learning rate, in units of z and of ln σ²; it falls to 0 linearly.
    pub learning_rate: f64,
    /// Draws of q that the bounds are compared with.
    pub judged: usize,
}

impl Default for Climb {
    /// 100 steps of 4 draws at a rate of 0.05, judged by 32 draws.
    fn default() -> Self {
        Self { steps: 100, draws: 4, learning_rate: 0.05, judged: 32 }
    }
}

/// How often on the way the bound is compared.
const LOOKS: usize = 4;

/// The regret of each row in nats, at least 0. A row's number is the same in any batch.
///
/// # Errors
/// [`ModelError::NoDensity`] where q has no density on the reals.
pub fn regret(view: &View<'_>, batch: &Batch, climb: &Climb, key: Key) -> Result<Vec<f64>, ModelError> {
    let q = view.encode(batch);
    let real = view.model.latent.blocks.iter().all(|block| block.support == Support::Reals);
    let Some(deviation) = q.deviation().filter(|_| real && view.model.posterior.has_density()) else {
        return Err(ModelError::NoDensity {
            what: "likelihood regret improves a normal q(z|x), and this posterior is none".into(),
            remedy: "train a model with posterior.kind = \"diagonal-normal\"".into(),
        });
    };
    let prior = view.prior(batch.given());
    let bound = |q: &DiagonalNormal, draws: usize, key: Key| -> Tensor<1> {
        let draw = q.draw(draws, batch.noise(key));
        let n = batch.len();
        let log_likelihood = view.log_likelihood(batch, &draw.z).reshape([draws, n]).mean_dim(0).reshape([n]);
        match Rate::new(q, prior.as_ref(), &draw, draws) {
            Some(rate) => log_likelihood - rate.total,
            None => log_likelihood,
        }
    };
    let judge = |q: &DiagonalNormal| host_f64(&untracked(bound(q, climb.judged.max(1), key.fold("judge"))));
    let mut parameters = [q.centre().z, deviation.log() * 2.0];
    let start = judge(&normal(&parameters));
    let mut best = start.clone();
    let mut moments = parameters.each_ref().map(|p| [p.zeros_like(), p.zeros_like()]);
    for step in 0..climb.steps {
        let leaves = parameters.each_ref().map(|p| p.clone().autodiff().require_grad());
        let value = bound(&normal(&leaves), climb.draws.max(1), key.fold("climb").fold(step));
        let mut gradients = value.sum().backward();
        let rate = climb.learning_rate * (1.0 - step as f64 / climb.steps as f64);
        for ((parameter, leaf), moments) in parameters.iter_mut().zip(leaves).zip(&mut moments) {
            if let Some(gradient) = leaf.grad_remove(&mut gradients) {
                *parameter = parameter.clone() + ascent(gradient, moments, step) * rate;
            }
        }
        if (step + 1) * LOOKS / climb.steps > step * LOOKS / climb.steps {
            let found = judge(&normal(&parameters));
            best.iter_mut().zip(found).for_each(|(best, found)| *best = best.max(found));
        }
    }
    Ok(best.iter().zip(&start).map(|(best, start)| best - start).collect())
}

fn normal([mean, log_variance]: &[Tensor<2>; 2]) -> DiagonalNormal {
    DiagonalNormal { mean: mean.clone(), log_variance: log_variance.clone() }
}

/// Adam's direction, each row's by its own gradient.
fn ascent(gradient: Tensor<2>, [first, second]: &mut [Tensor<2>; 2], step: usize) -> Tensor<2> {
    let (b1, b2, t) = (0.9f64, 0.999f64, step as i32 + 1);
    *first = first.clone() * b1 + gradient.clone() * (1.0 - b1);
    *second = second.clone() * b2 + gradient.clone() * gradient * (1.0 - b2);
    let (mean, square) =
        (first.clone() * (1.0 / (1.0 - b1.powi(t))), second.clone() * (1.0 / (1.0 - b2.powi(t))));
    mean / (square.sqrt() + 1e-8)
}
