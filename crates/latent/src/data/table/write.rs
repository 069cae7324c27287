//! Rows of x back into a file: the same columns in the same order, each word as the file would have it.

use std::path::Path;

use super::arrow::{self, Typed};
use super::{Column, Kind, Table};
use crate::data::DataError;
use crate::files::write_whole;
use crate::key::Key;

/// The words of some rows, a list for each column of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Words {
    /// `[columns][rows]`
    pub columns: Vec<Vec<String>>,
}

impl Table {
    /// The words of rows of x: gaps in the spellings of the file, identifiers made anew, constant columns put back. A column
    /// that was left out is left out here, too.
    pub fn words(&self, x: &[f32], key: Key) -> Words {
        let width = self.modelled().count().max(1);
        let rows = x.len() / width;
        let mut values = vec![0.0; x.len()];
        self.value_from_x(x, &mut values);
        let mut place = 0;
        let mut columns = Vec::new();
        for column in &self.columns {
            match &column.kind {
                Kind::Dropped { .. } => continue,
                Kind::Constant { word } => {
                    columns.push(self.with_gaps(column, key, (0..rows).map(|_| word.clone()).collect()))
                }
                Kind::Identifier(pattern) => columns.push(pattern.made(rows, key.fold(column.name.as_str()))),
                _ => {
                    let spelled = self.spellings(column, rows, key);
                    let own = values.iter().skip(place).step_by(width).zip(spelled);
                    let words =
                        own.map(|(value, gap)| if value.is_nan() { gap } else { column.word(*value) });
                    columns.push(words.collect());
                    place += 1;
                }
            }
        }
        Words { columns }
    }

    /// How an empty cell of each row would be spelled.
    fn spellings(&self, column: &super::Column, rows: usize, key: Key) -> Vec<String> {
        let all: u64 = column.gaps.iter().map(|(_, count)| count).sum();
        if column.gaps.len() < 2 {
            return vec![column.gaps.first().map(|(word, _)| word.clone()).unwrap_or_default(); rows];
        }
        let mut uniforms = vec![0.0; rows];
        key.fold("spelling").fold(column.name.as_str()).uniforms(&mut uniforms);
        let pick = |u: f32| {
            let mut left = f64::from(u) * all as f64;
            let found = column.gaps.iter().find(|(_, count)| {
                left -= *count as f64;
                left < 0.0
            });
            found.or(column.gaps.last()).map(|(word, _)| word.clone()).unwrap_or_default()
        };
        uniforms.into_iter().map(pick).collect()
    }

    /// A constant column has its gaps at the rate of the file.
    fn with_gaps(&self, column: &super::Column, key: Key, mut words: Vec<String>) -> Vec<String> {
        if column.gap_share > 0.0 {
            let mut uniforms = vec![0.0; words.len()];
            key.fold("gaps").fold(column.name.as_str()).uniforms(&mut uniforms);
            let spelled = self.spellings(column, words.len(), key);
            for ((word, u), gap) in words.iter_mut().zip(uniforms).zip(spelled) {
                if f64::from(u) < column.gap_share {
                    *word = gap;
                }
            }
        }
        words
    }

    /// The names of the columns that are written.
    pub fn written(&self) -> impl Iterator<Item = &str> {
        self.kept().map(|column| column.name.as_str())
    }

    fn kept(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !matches!(column.kind, Kind::Dropped { .. }))
    }
}

/// Writes rows as the file was: header or none, separator (a tab for `.tsv`). A path that ends in `.parquet`, `.arrow` or
/// `.feather` becomes such a file, each column of the type that it came as or else of one that its words ask for, gaps as nulls.
///
/// # Errors
/// A word that is no value of its column's type; what the system says.
pub fn write_rows(path: &Path, table: &Table, words: &Words) -> Result<(), DataError> {
    if let Some(kind) = Typed::of_ending(path) {
        let columns = table.kept().zip(&words.columns);
        return arrow::write(path, kind, columns.map(|(column, words)| (column, words.as_slice())));
    }
    let is_tsv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("tsv"));
    let separator = if is_tsv { b'\t' } else { table.separator as u8 };
    let rows = words.columns.first().map_or(0, Vec::len);
    write_whole(path, |out| {
        let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(out);
        if table.header {
            writer.write_record(table.written())?;
        }
        for row in 0..rows {
            writer.write_record(words.columns.iter().map(|column| column[row].as_str()))?;
        }
        writer.flush()
    })
    .map_err(|source| DataError::Write { path: path.into(), source })
}
