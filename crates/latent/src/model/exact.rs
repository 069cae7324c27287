//! P(x) exactly, where the latent is a few bits: log p(x) = ln Σ_z p(z) p(x|z) over all 2^b codes.

use burn::tensor::Tensor;

use super::{ModelError, View};
use crate::batch::{Latent, Support};
use crate::density::log_sum_exp;

/// The most bits that are summed over.
pub(crate) const MOST_BITS: usize = 16;

/// Rows that go through the likelihood at once.
const PART_ROWS: usize = 8192;

/// log p(x) in nats of each row, `[n]`, by a sum over every code. Bits only.
pub fn log_density_by_enumeration(view: &View<'_>, x: &Tensor<2>) -> Result<Tensor<1>, ModelError> {
    let latent = &view.model.latent;
    if latent.blocks.iter().any(|block| block.support != Support::Bits) {
        return Err(ModelError::NoDensity {
            what: "the latent is not bits, so its codes cannot be enumerated".into(),
            remedy: "use importance sampling (`latent score`)".into(),
        });
    }
    let bits = latent.dims();
    if bits > MOST_BITS {
        return Err(ModelError::TooManyCodes { bits, most: MOST_BITS });
    }
    let codes = all_codes(bits);
    let (n, prior) = (x.dims()[0], view.prior());
    let part = (PART_ROWS / n.max(1)).clamp(1, 256);
    let mut columns = Vec::new();
    for chunk in codes.chunks(part * bits) {
        let count = chunk.len() / bits;
        let z = Latent::new(view.weights.device().tensor(chunk.to_vec(), [count, bits]));
        let Some(log_prior) = prior.log_density(&z) else { continue };
        let outputs = view.decode(&z);
        let width = outputs.dims()[1];
        // Every code against every row, draw-major: code c and row i at c·n + i.
        let outputs =
            outputs.reshape([count, 1, width]).expand([count, n, width]).reshape([count * n, width]);
        let log_likelihood = view.model.likelihood.log_density(view, outputs, x).reshape([count, n]);
        columns.push(log_likelihood + log_prior.reshape([count, 1]));
    }
    Ok(log_sum_exp(Tensor::cat(columns, 0).transpose()))
}

/// All codes of `bits` bits, `[2^bits, bits]`, the last bit fastest.
fn all_codes(bits: usize) -> Vec<f32> {
    (0..1usize << bits)
        .flat_map(|code| (0..bits).rev().map(move |bit| if code >> bit & 1 == 1 { 1.0 } else { 0.0 }))
        .collect()
}
