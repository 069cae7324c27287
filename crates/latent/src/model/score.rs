//! How likely is x? Importance sampling from the posterior:
//!
//! log p(x) ≥ E log 1/k Σ_d w_d,  log w_d = log p(x|z_d) + log p(z_d) − log q(z_d|x),  z_d ~ q(z|x)
//!
//! The mean weight is unbiased for p(x); its logarithm is a lower bound in expectation, tighter with k.
//!
//! Reference: Burda, Grosse & Salakhutdinov, *Importance Weighted Autoencoders* (arXiv 1509.00519).

use burn::tensor::Tensor;

use super::{ModelError, View};
use crate::batch::{Batch, Draw, Latent, Noise};
use crate::density::Density;
use crate::device::host_f64;
use crate::key::Key;

/// What importance sampling says of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// log 1/k Σ w in nats: a lower bound of log p(x) in expectation.
    pub log_p_lower: f64,
    /// The standard error of `log_p_lower` by the delta method: sd(w) / (√k · mean(w)). NaN for a single draw, which
    /// has no spread, and where every weight is 0.
    pub standard_error: f64,
    /// (Σ w)² / Σ w²: how many of the k draws count.
    pub effective_samples: f64,
}

/// log w of each draw, `[k·n]` draw-major, and the draws.
///
/// # Errors
/// [`ModelError::NoDensity`] where q is a point.
pub fn log_weights(
    view: &View<'_>,
    batch: &Batch,
    q: &dyn Density,
    p: &dyn Density,
    draws: usize,
    noise: Noise<'_>,
) -> Result<(Tensor<1>, Draw), ModelError> {
    log_weights_under(view, batch, q, &|z| p.log_density(z), draws, noise)
}

/// ln p(z) of codes, from wherever it comes.
type LogPrior<'a> = dyn Fn(&Latent) -> Option<Tensor<1>> + 'a;

fn log_weights_under(
    view: &View<'_>,
    batch: &Batch,
    q: &dyn Density,
    log_p: &LogPrior<'_>,
    draws: usize,
    noise: Noise<'_>,
) -> Result<(Tensor<1>, Draw), ModelError> {
    let draw = q.draw(draws, noise);
    let (Some(log_q), Some(log_p)) = (q.log_density_of(&draw), log_p(&draw.z)) else {
        return Err(ModelError::NoDensity {
            what: "the posterior is a point and has no density, so the model gives no log P(x)".into(),
            remedy: "read the distortion instead, or train a model with posterior.kind = \"diagonal-normal\""
                .into(),
        });
    };
    Ok((view.log_likelihood(batch, &draw.z) + log_p - log_q, draw))
}

/// Scores each row of a batch with `k` draws, a part of the draws at a time so that memory stays flat.
///
/// # Errors
/// [`ModelError::NoDensity`] where q is a point.
pub fn score(view: &View<'_>, batch: &Batch, k: usize, key: Key) -> Result<Vec<Score>, ModelError> {
    let p = view.prior(batch.given());
    score_under(view, batch, k, key, &|z| p.log_density(z))
}

/// The same under another p(z), whose log density in nats `log_prior` gives for each code.
///
/// # Errors
/// [`ModelError::NoDensity`] where q is a point, or `log_prior` gives nothing.
pub fn score_under(
    view: &View<'_>,
    batch: &Batch,
    k: usize,
    key: Key,
    log_prior: &dyn Fn(&Latent) -> Option<Tensor<1>>,
) -> Result<Vec<Score>, ModelError> {
    let mut sums = vec![Weighed::default(); batch.len()];
    for_weights(view, batch, k, key, log_prior, &mut |row, log_w| sums[row].add(log_w))?;
    Ok(sums.iter().map(Weighed::score).collect())
}

/// Scores of `k` draws, each with the mean of the bounds that the same draws give in blocks of `block`. That mean estimates
/// the bound of `block` draws and is never above the bound of all, so that their difference is what more draws gain.
///
/// # Errors
/// As [`score`].
pub(crate) fn score_in_blocks(
    view: &View<'_>,
    batch: &Batch,
    (k, block): (usize, usize),
    key: Key,
) -> Result<Vec<(Score, f64)>, ModelError> {
    let p = view.prior(batch.given());
    let mut rows = vec![(Weighed::default(), Weighed::default(), 0.0); batch.len()];
    for_weights(view, batch, k, key, &|z| p.log_density(z), &mut |row, log_w| {
        let (all, current, bounds) = &mut rows[row];
        all.add(log_w);
        current.add(log_w);
        if current.count as usize == block {
            *bounds += std::mem::take(current).score().log_p_lower;
        }
    })?;
    let blocks = (k / block.max(1)).max(1) as f64;
    Ok(rows.iter().map(|(all, _, bounds)| (all.score(), bounds / blocks)).collect())
}

/// Passes row and log w of each draw through `each`, draw by draw.
fn for_weights(
    view: &View<'_>,
    batch: &Batch,
    k: usize,
    key: Key,
    log_prior: &LogPrior<'_>,
    each: &mut dyn FnMut(usize, f64),
) -> Result<(), ModelError> {
    let n = batch.len();
    let q = view.encode(batch);
    let part = (PART_ROWS / n.max(1)).clamp(1, k.max(1));
    let mut first = 0;
    while first < k {
        let draws = part.min(k - first);
        let noise = Noise { first, ..batch.noise(key) };
        let (log_w, _) = log_weights_under(view, batch, q.as_ref(), log_prior, draws, noise)?;
        for (index, log_w) in host_f64(&log_w).into_iter().enumerate() {
            each(index % n, log_w);
        }
        first += draws;
    }
    Ok(())
}

/// Rows that go through the decoder at once.
pub(crate) const PART_ROWS: usize = 2048;

/// Σ w and Σ w² relative to the greatest weight so far, so that nothing overflows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weighed {
    count: f64,
    greatest: f64,
    sum: f64,
    squares: f64,
}

impl Default for Weighed {
    fn default() -> Self {
        Self { count: 0.0, greatest: f64::NEG_INFINITY, sum: 0.0, squares: 0.0 }
    }
}

impl Weighed {
    pub(crate) fn add(&mut self, log_w: f64) {
        self.count += 1.0;
        if log_w == f64::NEG_INFINITY {
            // An impossible draw counts and weighs nothing.
        } else if log_w > self.greatest {
            let shrink = (self.greatest - log_w).exp();
            self.sum = self.sum * shrink + 1.0;
            self.squares = self.squares * shrink * shrink + 1.0;
            self.greatest = log_w;
        } else {
            let w = (log_w - self.greatest).exp();
            self.sum += w;
            self.squares += w * w;
        }
    }

    pub(crate) fn score(&self) -> Score {
        let k = self.count;
        let mean = self.sum / k;
        let variance = (self.squares / k - mean * mean).max(0.0) * k / (k - 1.0);
        Score {
            log_p_lower: self.greatest + mean.ln(),
            standard_error: (variance / k).sqrt() / mean,
            effective_samples: if self.sum == 0.0 { 0.0 } else { self.sum * self.sum / self.squares },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Data, Split};
    use crate::device::Device;
    use crate::generate::first_rows;
    use crate::member::Registry;
    use crate::run::{Layers, resolve};

    #[test]
    fn blocks_of_the_same_draws_never_bound_better_than_all() {
        let mut layers = Layers::default();
        for setting in [
            "data.source=embedded",
            "data.limit=100",
            "data.binarize=threshold",
            "network={kind=\"mlp\", hidden=[8]}",
            "posterior.latent=2",
        ] {
            layers.set(setting).unwrap();
        }
        let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).unwrap();
        let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).unwrap();
        let (model, weights) = checked.build(&Device::cpu()).unwrap();
        let view = View::evaluation(&model, &weights);
        let batch = Batch::new(first_rows(&data, Split::Test, 4).unwrap(), 784, weights.device());
        let key = Key::from_seed(2);
        let whole = score(&view, &batch, 60, key).unwrap();
        for block in [1, 5, 20, 60] {
            let found = score_in_blocks(&view, &batch, (60, block), key).unwrap();
            for ((score, cheap), whole) in found.iter().zip(&whole) {
                assert_eq!(score, whole);
                assert!(*cheap <= score.log_p_lower + 1e-9, "{cheap} {score:?}");
                assert!(block == 60 || *cheap < score.log_p_lower);
            }
        }
    }
}
