//! What is done to a row between the file and the model: normalise, draw bits, mirror.
//!
//! All of it is a function of the row's id and, for training rows, the epoch: the same row looks the same
//! whatever batch or thread it is prepared in, and however often a run was interrupted. Bits that are drawn once are a
//! function of what the row holds, and look the same wherever it stands.

use std::sync::Arc;

use super::content::content;
use super::settings::{Binarize, DataSettings, Flip};
use super::{Normalisation, Split, Table};
use crate::Key;

/// How rows are prepared.
#[derive(Clone, Debug)]
pub(crate) struct Preparation {
    pub normalisation: Normalisation,
    /// The levels of a mixed table, in the normalisation's place.
    pub table: Option<Arc<Table>>,
    pub binarize: Binarize,
    pub threshold: f32,
    pub flip: Flip,
    /// The probability by which each attribute is hidden from a training row.
    pub condition_dropout: f32,
    pub key: Key,
    /// The data's own seed and its key, by which bits are drawn that are drawn once.
    pub once: Option<(u64, Key)>,
}

impl Preparation {
    pub(crate) fn new(
        normalisation: Normalisation,
        table: Option<Arc<Table>>,
        settings: &DataSettings,
        key: Key,
    ) -> Self {
        let DataSettings { binarize, threshold, flip, .. } = *settings;
        let once = settings.seed.zip(settings.key());
        let condition_dropout = settings.condition_dropout.unwrap_or(0.0) as f32;
        Self { normalisation, table, binarize, threshold, flip, condition_dropout, key, once }
    }

    /// The number of what a row holds, where the data has a seed of its own.
    pub(crate) fn content(&self, values: &[f64]) -> Option<u64> {
        self.once.map(|(seed, _)| content(seed, values))
    }

    /// `values` (the user's units, NaN where missing) → x and the mask, for the row `id` in that split and epoch. The
    /// mask has a number for each of x, or none where the data has no gaps.
    pub(crate) fn prepare(
        &self,
        values: &[f64],
        x: &mut [f32],
        mask: &mut [f32],
        id: u64,
        split: Split,
        epoch: u64,
    ) {
        if let Some(table) = &self.table {
            // Gaps are part of x.
            table.x_from_value(values, x);
            return;
        }
        self.normalisation.x_from_value(values, x);
        match self.binarize {
            Binarize::None => {}
            Binarize::Threshold => {
                x.iter_mut().for_each(|x| *x = f32::from(u8::from(*x >= self.threshold)));
            }
            Binarize::Dynamic if split == Split::Train => {
                draw_bits(x, self.key.fold("dynamic").fold(epoch).fold(id));
            }
            Binarize::Static | Binarize::Dynamic => draw_bits(
                x,
                match self.once {
                    Some((seed, key)) => key.fold("static").fold(content(seed, values)),
                    None => self.key.fold("static").fold(id),
                },
            ),
        }
        for ((mask, x), value) in mask.iter_mut().zip(x.iter_mut()).zip(values) {
            *mask = f32::from(u8::from(!value.is_nan()));
            if value.is_nan() {
                *x = 0.0;
            }
        }
    }

    /// Whether the training row with that id is shown in a mirror in an epoch.
    pub(crate) fn is_mirrored(&self, id: u64, epoch: u64) -> bool {
        let mut coin = [0.0];
        self.key.fold("flip").fold(epoch).fold(id).uniforms(&mut coin);
        self.flip == Flip::Horizontal && coin[0] < 0.5
    }
}

/// Each x becomes 1 with probability x.
fn draw_bits(x: &mut [f32], key: Key) {
    let mut uniforms = vec![0.0; x.len()];
    key.uniforms(&mut uniforms);
    for (x, uniform) in x.iter_mut().zip(uniforms) {
        *x = f32::from(u8::from(uniform < *x));
    }
}
