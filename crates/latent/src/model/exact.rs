//! P(x) exactly, where the latent has few values: log p(x) = ln Σ_z p(z) p(x|z) over every code.

use burn::tensor::Tensor;

use super::{ModelError, View};
use crate::batch::{Batch, Given, Latent, LatentShape};
use crate::density::log_sum_exp;

/// The most codes that are summed over: 16 bits.
pub(crate) const MOST_CODES: usize = 1 << 16;

/// Rows that go through the likelihood at once.
const PART_ROWS: usize = 8192;

/// log p(x) in nats of each row, `[n]`, by a sum over every code.
///
/// # Errors
/// [`ModelError::NoDensity`] for codes that are no whole numbers, [`ModelError::TooManyCodes`] for too many of them.
pub fn log_density_by_enumeration(view: &View<'_>, batch: &Batch) -> Result<Tensor<1>, ModelError> {
    let codes = all_codes(&view.model.latent)?;
    let dims = view.model.latent.dims();
    let groups = batch.by_condition();
    let mut found = Vec::with_capacity(groups.len());
    for rows in &groups {
        let batch = batch.select(rows);
        found.push(of_one_condition(view, &batch, &codes, dims));
    }
    Ok(in_order(Tensor::cat(found, 0), &groups))
}

/// Rows that share a condition share the decoded codes.
fn of_one_condition(view: &View<'_>, batch: &Batch, codes: &[f32], dims: usize) -> Tensor<1> {
    let n = batch.len();
    let shared = batch.condition.as_ref().map(|condition| condition.clone().narrow(0, 0, 1));
    let given = Given { ids: &[], condition: shared.as_ref() };
    let prior = view.prior(given);
    let part = (PART_ROWS / n.max(1)).clamp(1, 256);
    let mut columns = Vec::new();
    for chunk in codes.chunks(part * dims) {
        let count = chunk.len() / dims;
        let z = Latent::new(view.weights.device().tensor(chunk.to_vec(), [count, dims]));
        let Some(log_prior) = prior.log_density(&z) else { continue };
        let outputs = view.decode(&z, given);
        let width = outputs.dims()[1];
        // Every code against every row, draw-major: code c and row i at c·n + i.
        let outputs =
            outputs.reshape([count, 1, width]).expand([count, n, width]).reshape([count * n, width]);
        let log_likelihood = view.model.likelihood.log_density(view, outputs, batch).reshape([count, n]);
        columns.push(log_likelihood + log_prior.reshape([count, 1]));
    }
    log_sum_exp(Tensor::cat(columns, 0).transpose())
}

/// Values of the rows of `groups`, one group after the other, in the order of the rows.
pub(super) fn in_order(values: Tensor<1>, groups: &[Vec<usize>]) -> Tensor<1> {
    if groups.len() == 1 {
        return values;
    }
    let mut places: Vec<(usize, usize)> =
        groups.iter().flatten().copied().enumerate().map(|(at, row)| (row, at)).collect();
    places.sort_unstable();
    Tensor::cat(places.into_iter().map(|(_, at)| values.clone().narrow(0, at, 1)).collect(), 0)
}

/// Every code of that shape, row-major, the last dimension fastest.
fn all_codes(latent: &LatentShape) -> Result<Vec<f32>, ModelError> {
    let sizes: Option<Vec<usize>> = latent.supports().into_iter().map(|support| support.values()).collect();
    let Some(sizes) = sizes else {
        return Err(ModelError::NoDensity {
            what: "the latent is not bits or indices, so its codes cannot be enumerated".into(),
            remedy: "use importance sampling (`latent score`)".into(),
        });
    };
    let count = sizes.iter().try_fold(1usize, |count, size| count.checked_mul(*size));
    let Some(count) = count.filter(|count| *count <= MOST_CODES) else {
        let bits = sizes.iter().map(|size| (*size as f64).log2()).sum::<f64>();
        return Err(ModelError::TooManyCodes {
            bits: bits.ceil() as usize,
            most: MOST_CODES.ilog2() as usize,
        });
    };
    let code = |code: usize| {
        let mut rest = code;
        let mut digits: Vec<f32> = Vec::with_capacity(sizes.len());
        for size in sizes.iter().rev() {
            digits.push((rest % size) as f32);
            rest /= size;
        }
        digits.reverse();
        digits
    };
    Ok((0..count).flat_map(code).collect())
}
