//! Distortion and rate over the rows of a split, each with its standard error, and what the code carries.
//!
//! What the code is worth is read off by shuffling: the distortion of x under another row's code, less that under its
//! own. It is 0 for a decoder that ignores z.

use burn::tensor::Tensor;

use crate::batch::{Batch, Latent};
use crate::data::{Data, Split};
use crate::device::{host, host_f64};
use crate::error::Result;
use crate::estimate::Mean;
use crate::key::Key;
use crate::model::Model;
use crate::model::Rate;

/// What a model says of a split, in nats per sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// How many rows were read.
    pub rows: usize,
    /// −log p(x|z), z ~ q(z|x)
    pub distortion: Mean,
    /// KL(q‖p); none where q has no density.
    pub rate: Option<Mean>,
    /// Distortion + rate: minus the evidence lower bound, where the likelihood is a density.
    pub bound: Option<Mean>,
    /// The distortion of x under the code of another row, less its own.
    pub shuffle_loss: Mean,
    /// The mean rate of each dimension.
    pub rate_per_dimension: Vec<f64>,
    /// Mean squared error of the reconstruction, per feature, normalised units.
    pub squared_error: Mean,
    /// The mean of all codes, per dimension.
    pub code_mean: Vec<f64>,
    /// The variance of all codes (draws of q), per dimension.
    pub code_variance: Vec<f64>,
    /// The prior's mean, per dimension.
    pub prior_mean: Vec<f64>,
    /// The prior's variance, per dimension; empty where it has none.
    pub prior_variance: Vec<f64>,
}

/// Reads up to `limit` rows of a split.
///
/// # Errors
/// What reading rows says.
pub fn terms(model: &Model, data: &Data, split: Split, limit: usize, key: Key) -> Result<Terms> {
    let view = model.view();
    let features = model.functions.sample.features();
    let dims = model.functions.latent.dims();
    let rows = data.len(split).min(limit);
    let (mut distortion, mut rate, mut shuffle_loss, mut error) = (vec![], vec![], vec![], vec![]);
    let mut per_dimension = vec![0.0; dims];
    let (mut sum, mut squares) = (vec![0.0; dims], vec![0.0; dims]);
    // In a keyed order: rows sorted by class would make the first ones, and neighbours, of one class.
    let mut positions = key.fold("some rows").permutation(data.len(split));
    positions.truncate(rows);
    for part in positions.chunks(256) {
        let batch = Batch::new(data.rows(split, part, 0)?, features, model.weights.device());
        let n = batch.len();
        let (q, prior) = (view.encode(&batch), view.prior(batch.given()));
        let draw = q.draw(1, batch.noise(key.fold("terms")));
        let z = &draw.z;
        let own = host_f64(&view.log_likelihood(&batch, z).neg());
        let other = if n > 1 {
            let rolled = Tensor::cat(vec![z.z.clone().narrow(0, 1, n - 1), z.z.clone().narrow(0, 0, 1)], 0);
            host_f64(&view.log_likelihood(&batch, &Latent::new(rolled)).neg())
        } else {
            own.clone()
        };
        shuffle_loss.extend(other.iter().zip(&own).map(|(other, own)| other - own));
        distortion.extend(own);
        if let Some(r) = Rate::new(q.as_ref(), prior.as_ref(), &draw, 1) {
            rate.extend(host_f64(&r.total));
            if let Some(d) = r.per_dimension {
                for (sum, value) in per_dimension.iter_mut().zip(host(&d.sum_dim(0))) {
                    *sum += f64::from(value);
                }
            }
        }
        let difference = view.mean(&q.centre(), batch.given()) - batch.x.clone();
        error.extend(host_f64(&(difference.clone() * difference).mean_dim(1)));
        for code in host(&z.z).chunks(dims) {
            for (d, &value) in code.iter().enumerate() {
                sum[d] += f64::from(value);
                squares[d] += f64::from(value).powi(2);
            }
        }
    }
    let n = rows.max(1) as f64;
    let code_mean: Vec<f64> = sum.iter().map(|s| s / n).collect();
    let code_variance = squares.iter().zip(&code_mean).map(|(s, m)| (s / n - m * m).max(0.0)).collect();
    let bound: Vec<f64> = distortion.iter().zip(&rate).map(|(d, r)| d + r).collect();
    let blank = view.blank();
    let prior = view.prior(blank.given());
    Ok(Terms {
        rows,
        distortion: Mean::of(&distortion),
        bound: (!bound.is_empty()).then(|| Mean::of(&bound)),
        shuffle_loss: Mean::of(&shuffle_loss),
        rate_per_dimension: if rate.is_empty() {
            Vec::new()
        } else {
            per_dimension.iter().map(|v| v / n).collect()
        },
        rate: (!rate.is_empty()).then(|| Mean::of(&rate)),
        squared_error: Mean::of(&error),
        code_mean,
        code_variance,
        prior_mean: host_f64(&prior.centre().z),
        prior_variance: prior.deviation().map(|d| host_f64(&(d.clone() * d))).unwrap_or_default(),
    })
}
