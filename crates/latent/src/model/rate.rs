//! The rate: how many nats a code costs under the prior, KL(q(z|x) ‖ p(z)).

use burn::tensor::Tensor;

use crate::batch::Draw;
use crate::density::{Density, kl, kl_total, sum_dimensions};

/// A dimension counts as active from this many nats on.
pub const ACTIVE_NATS: f64 = 0.01;

/// KL(q‖p) of each row.
#[derive(Clone, Debug)]
pub struct Rate {
    /// In nats, `[n]`.
    pub total: Tensor<1>,
    /// The same split over dimensions, `[n, dims]`, where both families factorise.
    pub per_dimension: Option<Tensor<2>>,
    /// Whether it is a closed form; otherwise the mean over the draws of log q(z) − log p(z).
    pub exact: bool,
}

impl Rate {
    /// In closed form where the pair of families has one, by Monte Carlo over the draws otherwise. None where
    /// q has no density: the rate is infinite then.
    pub fn new(q: &dyn Density, p: &dyn Density, draw: &Draw, draws: usize) -> Option<Self> {
        if let Some(per_dimension) = kl(q, p) {
            let total = sum_dimensions(per_dimension.clone());
            return Some(Self { total, per_dimension: Some(per_dimension), exact: true });
        }
        if let Some(total) = kl_total(q, p) {
            return Some(Self { total, per_dimension: None, exact: true });
        }
        let z = &draw.z;
        let n = z.rows() / draws.max(1);
        let mean = |values: Tensor<1>| values.reshape([draws, n]).mean_dim(0).reshape([n]);
        let both = match &draw.log_density {
            // Splitting it would invert the draw again.
            Some(_) => (None, None),
            None => (q.log_density_per_dimension(z), p.log_density_per_dimension(z)),
        };
        if let (Some(log_q), Some(log_p)) = both {
            let dims = log_q.dims()[1];
            let difference = (log_q - log_p).reshape([draws, n, dims]).mean_dim(0).reshape([n, dims]);
            let total = sum_dimensions(difference.clone());
            return Some(Self { total, per_dimension: Some(difference), exact: false });
        }
        let difference = q.log_density_of(draw)? - p.log_density(z)?;
        Some(Self { total: mean(difference), per_dimension: None, exact: false })
    }
}
