//! The codes that samplers are fitted on: of training rows, with those of validation rows to judge by.

use crate::array::Array;
use crate::data::{Data, Rows, SampleShape, Split};
use crate::generate::Result;
use crate::key::Key;
use crate::model::Model;

use super::super::Told;
use super::SamplerError;

/// Codes of training and validation rows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CodeSet {
    /// Of training rows, `rows × dims`.
    pub train: Array,
    /// Of validation rows, `rows × dims`.
    pub validation: Array,
    /// What a conditional model is told of each training row.
    pub train_told: Told,
    /// What a conditional model is told of each validation row: samplers are judged on the same.
    pub validation_told: Told,
    /// The class of each training row; empty without labels.
    pub train_labels: Vec<u32>,
    /// The class of each validation row; empty without labels.
    pub validation_labels: Vec<u32>,
}

/// Rows that are read and encoded at once.
const PART: usize = 512;

impl CodeSet {
    /// One draw of q(z|x) for each row of the training and the validation split, at most `most` of each in a keyed order;
    /// the code itself where q is a point. Training rows that are mirrored count both ways round. Test rows are not read.
    ///
    /// # Errors
    /// What reading rows says; [`SamplerError::NotFinite`] for a code that is no number.
    pub fn of(model: &Model, data: &Data, most: usize, key: Key, progress: &dyn Fn(f64)) -> Result<Self> {
        let counts = [Split::Train, Split::Validation].map(|split| data.len(split).min(most));
        let all = (counts[0] * if data.is_mirrored() { 2 } else { 1 } + counts[1]).max(1) as f64;
        let mut set = Self::default();
        let mut done = 0;
        for (split, count) in [Split::Train, Split::Validation].into_iter().zip(counts) {
            let mut positions = key.fold("rows").fold(split as u64).permutation(data.len(split));
            positions.truncate(count);
            // In the order of the files, which is the quickest to read.
            positions.sort_unstable();
            let (mut values, mut labels, mut told) = (Vec::new(), Vec::new(), Rows::default());
            let ways: &[bool] =
                if split == Split::Train && data.is_mirrored() { &[false, true] } else { &[false] };
            for (part, &in_mirror) in
                positions.chunks(PART).flat_map(|part| ways.iter().map(move |way| (part, way)))
            {
                let mut rows = data.rows(split, part, 0)?;
                if in_mirror && let SampleShape::Image { width, .. } = data.facts().shape {
                    rows.mirror(width, |_| true);
                }
                labels.append(&mut rows.labels);
                told.ids.extend_from_slice(&rows.ids);
                told.condition.extend_from_slice(&rows.condition);
                let codes =
                    model.draw_codes(&rows, key.fold(if in_mirror { "mirrored" } else { "codes" }))?;
                if let Some(at) = codes.values.iter().position(|v| !v.is_finite()) {
                    return Err(SamplerError::NotFinite { row: rows.ids[at / codes.width().max(1)] }.into());
                }
                values.extend(codes.values);
                done += part.len();
                progress(done as f64 / all);
            }
            let codes = Array::matrix(values, model.dims());
            let told = Told::of(&told);
            match split {
                Split::Train => (set.train, set.train_labels, set.train_told) = (codes, labels, told),
                _ => (set.validation, set.validation_labels, set.validation_told) = (codes, labels, told),
            }
        }
        Ok(set)
    }

    /// Whether every row has a class.
    pub fn has_labels(&self) -> bool {
        let whole = |codes: &Array, labels: &[u32]| codes.rows() > 0 && codes.rows() == labels.len();
        whole(&self.train, &self.train_labels) && whole(&self.validation, &self.validation_labels)
    }

    /// The rows of one class.
    pub fn of_class(&self, class: u32) -> Self {
        let pick = |codes: &Array, labels: &[u32]| {
            let rows = labels.iter().enumerate().filter(|(_, label)| **label == class);
            Array::matrix(rows.flat_map(|(row, _)| codes.row(row).to_vec()).collect(), codes.width())
        };
        Self {
            train: pick(&self.train, &self.train_labels),
            validation: pick(&self.validation, &self.validation_labels),
            ..Self::default()
        }
    }

    /// Refuses sets too small to fit or to judge on.
    pub(super) fn enough(&self) -> Result<(), SamplerError> {
        let remedy = "train on more rows, or set data.validation to a larger share";
        for (what, codes) in [("training codes", &self.train), ("validation codes", &self.validation)] {
            if codes.rows() < LEAST_ROWS {
                return Err(SamplerError::TooFew {
                    what: what.into(),
                    rows: codes.rows(),
                    wanted: LEAST_ROWS,
                    remedy: remedy.into(),
                });
            }
        }
        Ok(())
    }
}

/// Fewer rows than this fit nothing.
const LEAST_ROWS: usize = 8;
