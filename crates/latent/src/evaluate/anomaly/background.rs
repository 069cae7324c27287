//! What x costs without the model: plain pictures are likely under any model, and are no less foreign for that.
//!
//! *Input complexity* is the length of x as a PNG file, in bits; the score is −log₂ p(x) − L(x). *Background* is
//! a model that knows no shapes: every pixel independent, with the levels' shares among all training pixels; the score
//! is log p_background(x) − log p(x).
//!
//! References: Serrà et al., *Input complexity and out-of-distribution detection with likelihood-based generative models*
//! (arXiv 1909.11480); Ren et al., *Likelihood ratios for out-of-distribution detection* (arXiv 1906.02845), whose
//! background is a second network trained on perturbed rows.

use std::collections::BTreeMap;
use std::path::Path;

use crate::data::{Facts, ValueKind, png_of_sample};
use crate::error::Result;

/// Whether x is an image of levels, so that it has a complexity and its pixels a distribution of levels.
pub fn has_levels(facts: &Facts) -> bool {
    facts.shape.is_image() && (facts.normalisation.stored.is_integer() || facts.kind == ValueKind::Binary)
}

/// The length of each row of normalised x, `[rows, features]`, as a PNG file, in bits.
///
/// # Errors
/// [`crate::data::DataError::Malformed`] if the rows are no images of 1 to 4 channels.
pub fn png_bits(facts: &Facts, x: &[f32]) -> Result<Vec<f64>> {
    let rows = x.chunks(facts.shape.features().max(1));
    rows.map(|row| {
        let values = facts.normalisation.values(row);
        let png = png_of_sample(Path::new("input complexity"), facts.shape, &facts.normalisation, &values)?;
        Ok(8.0 * png.len() as f64)
    })
    .collect()
}

/// The shares of the levels among pixels.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Levels {
    counts: BTreeMap<i64, u64>,
    total: u64,
}

impl Levels {
    /// Counts the levels of rows of normalised x.
    pub fn count(&mut self, facts: &Facts, x: &[f32]) {
        for value in facts.normalisation.values(x) {
            *self.counts.entry(value.round() as i64).or_default() += 1;
            self.total += 1;
        }
    }

    /// log p_background of each row in nats, each level counted once more than it was seen.
    pub fn log_density(&self, facts: &Facts, x: &[f32]) -> Vec<f64> {
        let (least, most) = facts.normalisation.range.unwrap_or((0.0, 1.0));
        let levels = match facts.kind {
            ValueKind::Binary => 2.0,
            _ => f64::from(most - least) + 1.0,
        };
        let of = |value: f64| {
            let count = self.counts.get(&(value.round() as i64)).copied().unwrap_or(0);
            ((count + 1) as f64 / (self.total as f64 + levels)).ln()
        };
        let rows = x.chunks(facts.shape.features().max(1));
        rows.map(|row| facts.normalisation.values(row).into_iter().map(of).sum()).collect()
    }
}
