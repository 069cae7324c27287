//! What a conditional model is told of each row: as users say it, as rows of data carry it, or drawn as the training rows
//! had it.

use burn::tensor::Tensor;

use super::error::Result;
use crate::batch::Given;
use crate::data::{Attribute, Facts, Rows, values_told};
use crate::device::Device;
use crate::key::Key;
use crate::model::ModelError;

/// The condition of each of some rows; nothing for a model without conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Told {
    rows: usize,
    /// `[rows, width]`
    values: Vec<f32>,
    width: usize,
}

impl Told {
    /// Nothing, for so many rows.
    pub fn nothing(rows: usize) -> Self {
        Self { rows, ..Self::default() }
    }

    /// `given`, such as `("label", "Trouser")`, for each of `count` new samples; a class that isn't given is drawn as often
    /// as the training rows had it.
    ///
    /// # Errors
    /// An unknown name or value, or a number that isn't given.
    pub fn drawn(facts: &Facts, given: &[(String, String)], count: usize, key: Key) -> Result<Self> {
        let ids: Vec<u64> = (0..count as u64).collect();
        let width = facts.condition_width();
        let values = match (width, given.is_empty()) {
            // Naming a condition of a model that has none is said there.
            (0, true) => Vec::new(),
            _ => facts.condition_drawn(given, key.fold("condition"), &ids)?,
        };
        Ok(Self { rows: count, values, width })
    }

    /// `given` for each of `rows` rows alike.
    ///
    /// # Errors
    /// An unknown name or value, or an attribute that isn't given.
    pub fn same(facts: &Facts, given: &[(String, String)], rows: usize) -> Result<Self> {
        if facts.condition_width() == 0 && given.is_empty() {
            return Ok(Self::nothing(rows));
        }
        let row = facts.condition_of(given)?;
        Ok(Self { rows, width: row.len(), values: row.repeat(rows) })
    }

    /// The same with `given`, such as `("label", "Trouser")`, in the place of what each row says itself.
    ///
    /// # Errors
    /// An unknown name or value.
    pub fn instead(mut self, facts: &Facts, given: &[(String, String)]) -> Result<Self> {
        facts.condition_instead(given, &mut self.values)?;
        Ok(self)
    }

    /// What rows of data are told of.
    pub fn of(rows: &Rows) -> Self {
        let width = rows.condition.len() / rows.len().max(1);
        Self { rows: rows.len(), width, values: rows.condition.clone() }
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers each is told.
    pub fn width(&self) -> usize {
        self.width
    }

    /// What one row is told, `[width]`.
    pub(crate) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// The place among the data's classes of what each row is told; none where that is unknown. Empty for a model that isn't told
    /// the class of rows.
    pub(crate) fn classes(&self, facts: &Facts) -> Vec<Option<usize>> {
        let is_class = |attribute: &Attribute| match attribute {
            Attribute::Class { classes, .. } => !classes.is_empty() && *classes == facts.classes,
            Attribute::Number { .. } => false,
        };
        let Some(index) = facts.condition.iter().position(is_class) else { return Vec::new() };
        let places = values_told(&facts.condition, &self.values).swap_remove(index);
        places.into_iter().map(|place| (!place.is_nan()).then_some(place as usize)).collect()
    }

    /// Refuses what is told of another number of rows.
    ///
    /// # Errors
    /// [`ModelError::Shape`].
    pub(super) fn is_of(&self, rows: usize) -> Result<()> {
        if self.width == 0 || self.rows == rows {
            return Ok(());
        }
        let what = "rows that are told of".into();
        let remedy = "tell of each row".into();
        Err(ModelError::Shape { what, found: self.rows, wanted: rows, remedy }.into())
    }

    /// The same for the rows `which`, over and over.
    #[must_use]
    pub fn select(&self, which: &[usize]) -> Self {
        let row = |&row: &usize| self.values[row * self.width..(row + 1) * self.width].iter().copied();
        Self { rows: which.len(), values: which.iter().flat_map(row).collect(), width: self.width }
    }

    /// What the rows `range` are told, `[rows, width]`.
    pub(crate) fn tensor(&self, range: std::ops::Range<usize>, device: &Device) -> Option<Tensor<2>> {
        (self.width > 0).then(|| {
            let values = self.values[range.start * self.width..range.end * self.width].to_vec();
            device.tensor(values, [range.len(), self.width])
        })
    }
}

/// Rows and what they are told, for one call.
pub(crate) fn given<'a>(ids: &'a [u64], told: &'a Option<Tensor<2>>) -> Given<'a> {
    Given { ids, condition: told.as_ref() }
}
