//! What x costs without the model: plain pictures are likely under any model, and are no less foreign for that.
//!
//! *Input complexity* is the length L(x) of the picture once compressed, in bits; the score is −log₂ p(x) − L(x).
//! *Background* is a model that knows no shapes: every pixel independent, with the levels' shares among all training pixels; the score
//! is log p_background(x) − log p(x).
//!
//! References: Serrà et al., *Input complexity and out-of-distribution detection with likelihood-based generative models*
//! (arXiv 1909.11480); Ren et al., *Likelihood ratios for out-of-distribution detection* (arXiv 1906.02845), whose
//! background is a second network trained on perturbed rows.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::Compression;
use flate2::read::DeflateEncoder;

use crate::data::{Facts, SampleShape, StoredType, ValueKind};

/// Whether x is an image of levels, so that it has a complexity and its pixels a distribution of levels.
pub fn has_levels(facts: &Facts) -> bool {
    facts.shape.is_image() && (facts.normalisation.stored.is_integer() || facts.kind == ValueKind::Binary)
}

/// The length of each image of normalised x, `[rows, features]`, in bits: deflated at its best after the best of three of
/// PNG's filters (none, the difference to the left, the difference to above), without the headers of a file.
pub fn compressed_bits(facts: &Facts, x: &[f32]) -> Vec<f64> {
    let width = match facts.shape {
        SampleShape::Image { width, .. } => width.max(1),
        SampleShape::Vector { columns } => columns.max(1),
    };
    let rows = x.chunks(facts.shape.features().max(1));
    rows.map(|row| {
        let levels: Vec<u16> =
            facts.normalisation.values(row).into_iter().map(|v| v.round() as u16).collect();
        let less = |i: usize, earlier: Option<usize>| match earlier {
            Some(earlier) => levels[i].wrapping_sub(levels[earlier]),
            None => levels[i],
        };
        let left = |i: usize| less(i, (!i.is_multiple_of(width)).then(|| i - 1));
        let above = |i: usize| less(i, i.checked_sub(width));
        let plain = |i: usize| levels[i];
        let filters: [&dyn Fn(usize) -> u16; 3] = [&plain, &left, &above];
        let lengths =
            filters.iter().map(|filter| deflated(&(0..levels.len()).map(filter).collect::<Vec<_>>(), facts));
        8.0 * lengths.min().unwrap_or(0) as f64
    })
    .collect()
}

/// Bytes of these levels once deflated.
fn deflated(levels: &[u16], facts: &Facts) -> usize {
    let bytes: Vec<u8> = match facts.normalisation.stored {
        StoredType::U16 => levels.iter().flat_map(|level| level.to_be_bytes()).collect(),
        _ => levels.iter().map(|&level| level as u8).collect(),
    };
    let mut out = Vec::new();
    // Reading from memory does not fail.
    let _ = DeflateEncoder::new(bytes.as_slice(), Compression::best()).read_to_end(&mut out);
    out.len()
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
            _ => most - least + 1.0,
        };
        let of = |value: f64| {
            let count = self.counts.get(&(value.round() as i64)).copied().unwrap_or(0);
            ((count + 1) as f64 / (self.total as f64 + levels)).ln()
        };
        let rows = x.chunks(facts.shape.features().max(1));
        rows.map(|row| facts.normalisation.values(row).into_iter().map(of).sum()).collect()
    }
}
