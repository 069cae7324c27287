//! Tables with mixed columns: what each column is, and how a cell becomes one number of x and comes back.
//!
//! ```text
//! word in the file ── kind ──▶ value (f64) ── scale ──▶ x = level + fraction        gap: x = −1, unknown: x = −2
//! ```
//!
//! A [`Kind`] reads and writes words: numbers with their decimals, dates with their format and zone, categories. A
//! [`Scale`] cuts the values of a column into levels: every category, every value of a column of few values, every value
//! that comes often is a level of its own; what lies between is cut into cells of equal mass, so that least and greatest
//! value of the training rows come back exactly and values on a grid (whole numbers, cents) come back on it.
//!
//! ```text
//! kind       what a column is, found out from its words, and why
//! number, date, identifier      words ↔ values
//! scale      values ↔ levels, and the digits that levels are predicted by
//! cells      columns of words, before they mean anything
//! arrow      Parquet and Arrow files as such columns, and back
//! read       from words to columns; rows as a data set
//! write      rows of x back into a file
//! fill       a file as it was, its empty cells filled in
//! constraint what holds in every row
//! alike      columns whose values come near each other, or a sum of two, in the same row
//! ```

mod alike;
pub(crate) mod arrow;
mod cells;
pub(crate) mod constraint;
mod date;
mod fill;
mod identifier;
mod kind;
mod number;
mod read;
mod scale;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

pub use alike::Alike;
pub use cells::WordColumn;
pub use constraint::{Breach, Constraint, Kept, Rule, Suggestion, breaches};
pub use date::DateFormat;
pub use fill::fill_gaps;
pub use identifier::Pattern;
pub use kind::Kind;
pub use number::NumberFormat;
pub(crate) use read::{of_columns, of_file, read};
pub use scale::{Digits, Scale};
pub use write::{Words, write_rows};

use super::DataError;

/// x of a cell that is empty in the file: its emptiness is part of the data.
pub const GAP: f32 = -1.0;

/// x of a cell of which nothing is known, not even whether it is empty.
pub const UNKNOWN: f32 = -2.0;

/// All columns of a table, in the order of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// What stands between cells.
    pub separator: char,
    /// Whether the first line names the columns.
    pub header: bool,
    /// What holds in every row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<Kept>,
    /// Columns whose values come near each other in the same row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alike: Vec<Alike>,
}

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Why it is taken for that, in words.
    pub why: String,
    /// How empty cells are spelled, and how many are spelled so.
    pub gaps: Vec<(String, u64)>,
    /// The share of cells that are empty.
    pub gap_share: f64,
    /// The levels of its values; none before training rows were seen, and for columns that are no part of x.
    pub scale: Option<Scale>,
    /// The type that it had in a Parquet or Arrow file, in Arrow's words (`Int16`, `Timestamp(ns)`); none for words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stored: Option<String>,
}

impl Column {
    /// Whether the column is part of x.
    pub fn is_modelled(&self) -> bool {
        matches!(self.kind, Kind::Number(_) | Kind::Date(_) | Kind::Category { .. })
    }

    /// Whether cells of it may be empty.
    pub fn has_gaps(&self) -> bool {
        self.gap_share > 0.0
    }

    /// Whether its values have an order and distances.
    pub fn is_ordered(&self) -> bool {
        matches!(self.kind, Kind::Number(_) | Kind::Date(_))
    }

    /// The value of a word; none where it has none of this kind.
    pub fn value(&self, word: &str) -> Option<f64> {
        match &self.kind {
            Kind::Number(format) => format.value(word),
            Kind::Date(format) => format.value(word),
            Kind::Category { words, .. } => words.iter().position(|known| known == word).map(|at| at as f64),
            _ => None,
        }
    }

    /// The word of a value.
    pub fn word(&self, value: f64) -> String {
        match &self.kind {
            _ if value.is_nan() => self.gaps.first().map(|(word, _)| word.clone()).unwrap_or_default(),
            Kind::Number(format) => format.word(value),
            Kind::Date(format) => format.word(value),
            Kind::Category { words, .. } => words.get(value as usize).cloned().unwrap_or_default(),
            Kind::Constant { word } => word.clone(),
            Kind::Identifier(_) | Kind::Dropped { .. } => String::new(),
        }
    }

    /// The grid that its values lie on, and the first of them; none where they lie anywhere.
    pub(crate) fn grid(&self) -> Option<(f64, f64)> {
        match &self.kind {
            Kind::Number(format) => format.grid(),
            Kind::Date(format) => format.grid(),
            _ => None,
        }
    }
}

impl Table {
    /// The columns that x has, in order.
    pub fn modelled(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| column.is_modelled())
    }

    /// The place in x of the column of that name.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.modelled().position(|column| column.name == name)
    }

    /// Rows of values, NaN where cells are empty, as x.
    pub fn x_from_value(&self, values: &[f64], x: &mut [f32]) {
        let scales: Vec<Option<&Scale>> = self.modelled().map(|column| column.scale.as_ref()).collect();
        let width = scales.len().max(1);
        for (index, (x, value)) in x.iter_mut().zip(values).enumerate() {
            *x = match scales.get(index % width) {
                Some(Some(scale)) if !value.is_nan() => scale.x_from_value(*value),
                _ => GAP,
            };
        }
    }

    /// Rows of x as values, NaN where cells are empty, constraints kept.
    pub fn value_from_x(&self, x: &[f32], values: &mut [f64]) {
        let columns: Vec<&Column> = self.modelled().collect();
        let width = columns.len().max(1);
        for (index, (value, x)) in values.iter_mut().zip(x).enumerate() {
            let scale = columns.get(index % width).and_then(|column| column.scale.as_ref());
            *value = match scale {
                Some(scale) if *x >= 0.0 => scale.value_from_x(*x),
                _ => f64::NAN,
            };
        }
        if !self.constraints.is_empty() {
            values.chunks_exact_mut(width).for_each(|row| self.settle(row, &|_| false));
        }
    }

    /// Whether what a file claims holds together: every modelled column has levels, and they rise.
    pub(crate) fn check(&self) -> Result<(), String> {
        for column in self.columns.iter().filter(|column| column.is_modelled()) {
            let Some(scale) = &column.scale else {
                return Err(format!("the column {:?} has no levels", column.name));
            };
            scale.check().map_err(|what| format!("the column {:?}: {what}", column.name))?;
        }
        let width = self.modelled().count();
        if width == 0 {
            return Err("no column is modelled".into());
        }
        self.constraints.iter().try_for_each(|kept| kept.rule.check(width))?;
        let known = |alike: &Alike| {
            alike.column < width && alike.like < width && alike.and.is_none_or(|(column, _)| column < width)
        };
        if !self.alike.iter().all(known) {
            return Err("columns are alike that are not there".into());
        }
        Ok(())
    }

    /// As text for the header of a model file.
    ///
    /// # Errors
    /// What JSON cannot hold.
    pub fn to_json(&self) -> Result<String, String> {
        serde_json::to_string(self).map_err(|error| error.to_string())
    }

    /// From such text.
    ///
    /// # Errors
    /// What is no table, or does not hold together.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let table: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        table.check()?;
        Ok(table)
    }
}

/// The refusal of a table of which nothing can be modelled.
pub(super) fn nothing_left(path: &std::path::Path, table: &Table) -> DataError {
    let all: Vec<String> =
        table.columns.iter().map(|column| format!("{} is {}", column.name, column.kind.name())).collect();
    DataError::malformed(
        path,
        format!("no column is left to be modelled: {}", all.join(", ")),
        "give columns that vary and repeat, or say what one is: [data.columns.NAME] kind = \"category\"",
    )
}
