//! Total correlation of the aggregate posterior q(z) = 1/N Σ_i q(z|x_i), estimated from a batch:
//!
//! TC = KL(q(z) ‖ Π_j q(z_j)) = E_{q(z)} [ln q(z) − Σ_j ln q(z_j)]
//!
//! A batch of M of the N training rows gives q(z) at a code z_i of its own row i as Σ_m w_im q(z_i|x_m):
//!
//! - *weighted*: w = 1/NM throughout. It has q(z) too low by a factor between M and N, in the joint and in each dimension, so that
//!   the logged number is too high, mostly by (dims − 1) ln N, which no gradient sees;
//! - *stratified*: w_ii = 1/N, one other row (N − M + 1)/N(M − 1), the rest 1/(M − 1). Unbiased for q(z).
//!
//! With distortion and rate, a weight of β − 1 makes the loss of β-TCVAE at α = γ = 1.
//!
//! Reference: Chen et al., *Isolating Sources of Disentanglement in VAEs* (arXiv 1802.04942), equation 4 and appendix C. The
//! authors' code has the stratified weights in its first two columns; the formula has the row itself, as here.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::Latent;
use crate::config::ConfigError;
use crate::density::{Density, log_sum_exp, sum_dimensions};
use crate::device::Device;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// How q(z) is estimated.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TotalCorrelationSettings {
    /// What the rows of a batch count.
    pub sampling: Sampling,
}

/// What the rows of a batch count in the mean over all rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// All alike.
    #[default]
    Weighted,
    /// The row that a code is of stands for itself alone.
    Stratified,
}

struct TotalCorrelation {
    sampling: Sampling,
    /// N, the number of training rows.
    rows: usize,
}

impl Named for TotalCorrelationSettings {
    const KIND: &'static str = "total-correlation";
    const ABOUT: &'static str = "KL(q(z) ‖ Π q(z_j)) of the aggregate posterior, from a batch";
}

impl Settings<dyn Term> for TotalCorrelationSettings {
    fn formula(&self) -> Option<String> {
        Some("KL(q(z) ‖ Π_j q(z_j))".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(context.has_density && context.posterior_factorises) {
            return Err(ConfigError::combination(
                "the total correlation is estimated from densities of single dimensions, and this posterior has none",
                "use posterior.kind = \"diagonal-normal\", or a term of kind \"density-ratio\"",
            ));
        }
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(TotalCorrelation { sampling: self.sampling, rows: context.facts.rows[0] as usize }))
    }
}

impl TotalCorrelation {
    /// ln w, `[n, n]`: of row m against a code of row i.
    fn log_weights(&self, n: usize, device: &Device) -> Tensor<2> {
        let all = self.rows.max(n) as f64;
        let others = (n - 1) as f64;
        let weight = |i: usize, m: usize| match self.sampling {
            Sampling::Weighted => 1.0 / (all * n as f64),
            Sampling::Stratified if i == m => 1.0 / all,
            // The one that stands for all that are not in the batch.
            Sampling::Stratified if m == (i + 1) % n => (all - others) / (all * others),
            Sampling::Stratified => 1.0 / others,
        };
        let places = (0..n * n).map(|place| weight(place / n, place % n).ln());
        device.tensor_f64(places.collect(), [n, n])
    }

    /// ln q(z_i) − Σ_j ln q(z_ij) for one code of each row, `[n, dims]` → `[n]`.
    fn of(&self, q: &dyn Density, z: Tensor<2>) -> Option<Tensor<1>> {
        let [n, dims] = z.dims();
        let log_weights = self.log_weights(n, &Device::of(&z));
        // Row i·n + m is the code of row i, beside the density of row m.
        let each = z.reshape([n, 1, dims]).expand([n, n, dims]).reshape([n * n, dims]);
        let log_q = q.log_density_per_dimension(&Latent::new(each))?;
        let joint = sum_dimensions(log_q.clone()).reshape([n, n]) + log_weights.clone();
        let single = log_q.reshape([n, n, dims]) + log_weights.reshape([n, n, 1]);
        let single = log_sum_exp(single.swap_dims(1, 2).reshape([n * dims, n])).reshape([n, dims]);
        Some(log_sum_exp(joint) - sum_dimensions(single))
    }
}

impl Term for TotalCorrelation {
    /// `[k·n]`; undefined for a single row.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let n = pass.batch.len();
        if n < 2 {
            return None;
        }
        let z = &pass.draw().z.z;
        let part = |draw: usize| self.of(pass.q.as_ref(), z.clone().narrow(0, draw * n, n));
        let each: Option<Vec<_>> = (0..pass.draws).map(part).collect();
        Some(Value::new(Tensor::cat(each?, 0)))
    }
}

impl Life for TotalCorrelation {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host_f64;

    /// Over all batches that a row can be in, the stratified weights give each of the N rows 1/N.
    #[test]
    fn stratified_weights_are_unbiased_for_the_mean_over_all_rows() {
        let (rows, n) = (5, 3);
        let term = TotalCorrelation { sampling: Sampling::Stratified, rows };
        let weights: Vec<f64> = host_f64(&term.log_weights(n, &Device::cpu().double()).reshape([n * n]))
            .iter()
            .map(|w| w.exp())
            .collect();
        for place in 0..n {
            let (mut sums, mut batches) = (vec![0.0; rows], 0.0);
            // Row 0 stands at this place of the batch; the others are drawn without replacement, in any order.
            for a in 1..rows {
                for b in (1..rows).filter(|&b| b != a) {
                    let mut others = [a, b].into_iter();
                    for m in 0..n {
                        let row = if m == place { Some(0) } else { others.next() };
                        sums[row.unwrap()] += weights[place * n + m];
                    }
                    batches += 1.0;
                }
            }
            assert!(
                sums.iter().all(|sum| (sum / batches - 1.0 / rows as f64).abs() < 1e-12),
                "{sums:?} {batches}"
            );
        }
    }
}
