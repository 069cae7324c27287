//! Columns that never change: no part of x, and put back as they were.
//!
//! A column of real numbers with one value in all training rows has no density, and a σ that is learned would shrink on
//! it without end. So a model never sees it, its likelihoods are of the other columns, and what it writes has it again,
//! digit by digit. Zeros and ones, levels of images and bits have probabilities: they stay.

use serde::{Deserialize, Serialize};

use super::dataset::Dataset;
use super::moments::Moments;
use super::{DataError, Facts, Normalisation, SampleShape};

/// A column with one value in all training rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Constant {
    /// Its place among the columns of the data, counted from 0.
    pub column: usize,
    /// Its name; empty where columns have none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Its value, in the user's units.
    pub value: f64,
}

impl Constant {
    /// The name, or the place.
    pub(super) fn called(&self) -> String {
        if self.name.is_empty() { format!("column {}", self.column) } else { self.name.clone() }
    }
}

impl Facts {
    /// How many numbers a row of the user's data has: those of x, and the constant ones.
    pub fn width(&self) -> usize {
        self.shape.features() + self.constant.len()
    }

    /// The places of the numbers of x in a row of the user's data.
    pub(crate) fn places(&self) -> impl Iterator<Item = usize> {
        let mut constants = self.constant.iter().peekable();
        (0..self.width()).filter(move |at| constants.next_if(|constant| constant.column == *at).is_none())
    }

    /// What the numbers of x are called: `x0`, `x1` … by their places, where the data has no names.
    pub fn names_of_x(&self) -> Vec<String> {
        if self.columns.is_empty() {
            self.places().map(|at| format!("x{at}")).collect()
        } else {
            self.columns.clone()
        }
    }

    /// What all columns of the user's data are called, constant ones at their places.
    pub fn names_of_values(&self) -> Vec<String> {
        let mut names = self.names_of_x();
        for constant in &self.constant {
            let name =
                if self.columns.is_empty() { format!("x{}", constant.column) } else { constant.name.clone() };
            names.insert(constant.column.min(names.len()), name);
        }
        names
    }

    /// Rows of x, `[rows, features]`, in the user's units: `[rows, width]`, with constant columns put back.
    pub fn values_from_x(&self, x: &[f32]) -> Vec<f64> {
        if let Some(table) = &self.table {
            let mut values = vec![0.0; x.len()];
            table.value_from_x(x, &mut values);
            return values;
        }
        let values = self.normalisation.values(x);
        self.with_constants(&values)
    }

    /// Puts constant columns between the values of x.
    pub(crate) fn with_constants(&self, values: &[f64]) -> Vec<f64> {
        if self.constant.is_empty() {
            return values.to_vec();
        }
        let mut whole = Vec::with_capacity(values.len() / self.shape.features().max(1) * self.width());
        for row in values.chunks_exact(self.shape.features().max(1)) {
            let mut rest = row.iter();
            let mut constants = self.constant.iter().peekable();
            for at in 0..self.width() {
                match constants.next_if(|constant| constant.column == at) {
                    Some(constant) => whole.push(constant.value),
                    None => whole.extend(rest.next()),
                }
            }
        }
        whole
    }

    /// Whether constant columns fit the rest, as a file may claim.
    pub(crate) fn check_constants(&self) -> Result<(), String> {
        let rising = self.constant.windows(2).all(|pair| pair[0].column < pair[1].column);
        let inside = self.constant.last().is_none_or(|last| last.column < self.width());
        let finite = self.constant.iter().all(|constant| constant.value.is_finite());
        let table = !self.shape.is_image() || self.constant.is_empty();
        if rising && inside && finite && table {
            return Ok(());
        }
        Err("facts.constant does not fit the columns of the data".into())
    }
}

/// The columns of a table of real numbers that hold one value in all training rows.
pub(super) fn find(rows: &dyn Dataset, moments: &Moments) -> Result<Vec<Constant>, DataError> {
    // One row says of no column that it never changes.
    if rows.shape().is_image() || moments.rows < 2 {
        return Ok(Vec::new());
    }
    let spans = moments.train.least.iter().zip(&moments.train.greatest).enumerate();
    let found: Vec<Constant> = spans
        .filter(|(_, (least, greatest))| least == greatest)
        .map(|(column, (least, _))| Constant {
            column,
            name: rows.columns().get(column).cloned().unwrap_or_default(),
            value: *least,
        })
        .collect();
    if found.len() == rows.shape().features() {
        let what = "every column holds one value in all training rows, and there is nothing to learn";
        return Err(DataError::malformed(rows.path(), what, "give data that varies"));
    }
    Ok(found)
}

impl Normalisation {
    /// That of the columns at `kept` alone, which rise.
    pub(super) fn of_columns(self, kept: &[usize]) -> Self {
        let pick = |list: Vec<f64>| match list.len() {
            0 | 1 => list,
            _ => kept.iter().map(|&at| list[at]).collect(),
        };
        let whole = self.whole.iter().filter_map(|at| kept.binary_search(at).ok()).collect();
        Self { offset: pick(self.offset), scale: pick(self.scale), whole, ..self }
    }
}

/// Where a row that is read holds the numbers of x; none where all of it is x. Columns are found by name where both
/// sides have names: a reader may leave out constant ones.
pub(super) fn kept(facts: &Facts, rows: &dyn Dataset) -> Option<Vec<usize>> {
    let names = rows.columns();
    let by_name = !names.is_empty() && !facts.columns.is_empty();
    let kept: Vec<usize> = if by_name {
        facts.columns.iter().filter_map(|wanted| names.iter().position(|name| name == wanted)).collect()
    } else {
        facts.places().collect()
    };
    (!kept.iter().copied().eq(0..rows.shape().features())).then_some(kept)
}

/// Whether rows have the columns that the facts state, constant ones too.
pub(super) fn fits(facts: &Facts, rows: &dyn Dataset) -> bool {
    let named = facts.columns.is_empty() || facts.names_of_values() == rows.columns();
    named && whole_shape(facts) == rows.shape()
}

/// The shape of a row that holds constant columns too.
pub(super) fn whole_shape(facts: &Facts) -> SampleShape {
    match facts.shape {
        SampleShape::Vector { .. } => SampleShape::Vector { columns: facts.width() },
        image @ SampleShape::Image { .. } => image,
    }
}

/// The first names of a list, and how many follow.
pub(super) fn some_of(names: impl ExactSizeIterator<Item = String>) -> String {
    const SHOWN: usize = 6;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

/// What a user should know about constant columns: what becomes of them, and where rows differ from them.
pub(super) fn notes(facts: &Facts, rows: &dyn Dataset, moments: &Moments, is_other: bool) -> Vec<String> {
    let mut notes = Vec::new();
    match &facts.constant[..] {
        [] => return notes,
        _ if is_other => {}
        [one] => notes.push(format!(
            "{} is {} in all training rows: no part of the model, and put back as it was in what it writes; \
             likelihoods are of the other columns",
            one.called(),
            one.value
        )),
        many => notes.push(format!(
            "{} columns hold one value in all training rows ({}): no part of the model, and put back as they were \
             in what it writes; likelihoods are of the other columns",
            many.len(),
            some_of(many.iter().map(Constant::called))
        )),
    }
    for constant in &facts.constant {
        let names = rows.columns();
        let at = match names.is_empty() || constant.name.is_empty() {
            true => Some(constant.column),
            false => names.iter().position(|name| *name == constant.name),
        };
        let Some(at) = at.filter(|at| *at < moments.all.least.len()) else { continue };
        let (least, greatest) = (moments.all.least[at], moments.all.greatest[at]);
        if least <= greatest && (least != constant.value || greatest != constant.value) {
            notes.push(format!(
                "{} is {} in all training rows and reaches from {least} to {greatest} in others: the model does not \
                 see it",
                constant.called(),
                constant.value
            ));
        }
    }
    notes
}
