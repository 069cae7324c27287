//! Tables from text, with kinds found out: enough to judge files that no model of ours has seen.
//!
//! The real table says what a column holds, the others are read alike. Kinds are decided in [`is_numeric`] alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::columns::{Column, Columns, GAP};
use crate::data::table::arrow::{self, Typed, TypedColumns};
use crate::data::{DataError, DataSettings};

/// Whole numbers of no more values than this are categories.
const FEW: usize = 10;

/// What a column holds, where the user says so.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// Columns of numbers.
    pub numbers: Vec<String>,
    /// Columns of categories.
    pub categories: Vec<String>,
}

/// Reads tables of the same columns; kinds are those of the first.
///
/// # Errors
/// Where a file cannot be read or is no table, a cell of a column of numbers is none, or a name of `kinds` is no column.
pub fn read(paths: &[&Path], kinds: &Kinds) -> Result<Vec<Columns>, DataError> {
    let raw = paths.iter().map(|path| Raw::read(path)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = raw.first() else { return Ok(Vec::new()) };
    for name in kinds.numbers.iter().chain(&kinds.categories) {
        if !first.header.contains(name) {
            let remedy = format!("its columns are {}", first.header.join(", "));
            return Err(malformed(paths[0], format!("has no column {name:?}"), &remedy));
        }
    }
    let numeric: BTreeMap<&str, bool> = first
        .header
        .iter()
        .zip(&first.cells)
        .map(|(name, cells)| {
            let said = |names: &[String]| names.iter().any(|said| said == name);
            let numeric = said(&kinds.numbers) || (!said(&kinds.categories) && is_numeric(cells));
            (name.as_str(), numeric)
        })
        .collect();
    raw.iter().zip(paths).map(|(raw, path)| raw.typed(path, &numeric)).collect()
}

/// Whether these cells are quantities: all that are no gaps are numbers, and not just a few whole ones.
fn is_numeric(cells: &[String]) -> bool {
    let mut distinct = BTreeSet::new();
    let mut whole = true;
    for cell in cells.iter().filter(|cell| !is_gap(cell)) {
        let Some(value) = number(cell) else { return false };
        whole &= value.fract() == 0.0;
        if distinct.len() <= FEW {
            distinct.insert(value.to_bits());
        }
    }
    !(whole && distinct.len() <= FEW)
}

/// The spellings of a missing value.
fn is_gap(cell: &str) -> bool {
    ["", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"].contains(&cell)
}

fn number(cell: &str) -> Option<f64> {
    cell.parse().ok().filter(|value: &f64| value.is_finite())
}

fn malformed(path: &Path, what: String, remedy: &str) -> DataError {
    DataError::Malformed { path: path.into(), what, remedy: remedy.into() }
}

/// A table as text, column by column.
struct Raw {
    header: Vec<String>,
    cells: Vec<Vec<String>>,
    /// The line of each row.
    lines: Vec<u64>,
}

impl Raw {
    fn read(path: &Path) -> Result<Self, DataError> {
        let unread = |source| DataError::Io { path: path.into(), source };
        let bytes = std::fs::read(path).map_err(unread)?;
        if let Some(kind) = Typed::of_start(&bytes) {
            return Self::of_typed(arrow::read(path, kind, &DataSettings::default())?);
        }
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |byte: &u8| first.iter().filter(|other| *other == byte).count();
        let delimiter = *b",;\t|".iter().rev().max_by_key(|byte| count(byte)).unwrap_or(&b',');
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(bytes);
        let mut record = StringRecord::new();
        let mut next = |record: &mut StringRecord| {
            reader
                .read_record(record)
                .map_err(|error| malformed(path, error.to_string(), "save it as UTF-8 text"))
        };
        if !next(&mut record)? {
            return Err(malformed(path, "is empty".into(), "give a line of names and rows"));
        }
        let header: Vec<String> = record.iter().map(String::from).collect();
        if let Some(cell) = header.iter().find(|cell| number(cell).is_some()) {
            let what = format!("the first line holds the number {cell}, so it is no line of names");
            return Err(malformed(path, what, "put the names of the columns above the rows"));
        }
        let mut raw = Self { cells: vec![Vec::new(); header.len()], header, lines: Vec::new() };
        while next(&mut record)? {
            let line = record.position().map_or(0, csv::Position::line);
            if record.len() != raw.header.len() {
                let what = format!("line {line} has {} cells, the header {}", record.len(), raw.header.len());
                return Err(malformed(path, what, "give every line as many cells as the header"));
            }
            raw.cells.iter_mut().zip(&record).for_each(|(cells, cell)| cells.push(cell.into()));
            raw.lines.push(line);
        }
        Ok(raw)
    }

    /// Typed columns as the text that they would be; a row's line is its number, from 1.
    fn of_typed(found: TypedColumns) -> Result<Self, DataError> {
        let rows = found.cells.first().map_or(0, |column| column.of.len());
        let (mut header, mut cells) = (Vec::new(), Vec::new());
        for column in found.cells {
            cells.push(column.of.iter().map(|at| column.words[*at as usize].clone()).collect());
            header.push(column.name);
        }
        Ok(Self { header, cells, lines: (1..=rows as u64).collect() })
    }

    fn typed(&self, path: &Path, numeric: &BTreeMap<&str, bool>) -> Result<Columns, DataError> {
        let columns = self.header.iter().zip(&self.cells).map(|(name, cells)| {
            if !numeric.get(name.as_str()).copied().unwrap_or_default() {
                return Ok(categories(cells));
            }
            let value = |(cell, line): (&String, &u64)| match number(cell) {
                Some(value) => Ok(value),
                None if is_gap(cell) => Ok(f64::NAN),
                None => Err(DataError::Cell {
                    path: path.into(),
                    line: *line,
                    column: name.clone(),
                    what: format!("{cell:?} is no number"),
                    remedy: format!(
                        "mend it, or say that the column holds categories: --categories {name:?}"
                    ),
                }),
            };
            Ok(Column::Numbers(cells.iter().zip(&self.lines).map(value).collect::<Result<_, _>>()?))
        });
        let columns = columns.collect::<Result<_, DataError>>()?;
        Columns::new(self.header.clone(), columns).map_err(|error| malformed(path, error.what, &error.remedy))
    }
}

/// Levels in the order in which they occur; what is written as a number is that number, so that `1` and `1.0` are one level.
fn categories(cells: &[String]) -> Column {
    let (mut places, mut levels): (BTreeMap<String, u32>, Vec<String>) = (BTreeMap::new(), Vec::new());
    let code = |cell: &String| {
        let level = match number(cell) {
            _ if is_gap(cell) => GAP.to_string(),
            Some(value) => (value + 0.0).to_string(),
            None => cell.clone(),
        };
        *places.entry(level.clone()).or_insert_with(|| {
            levels.push(level);
            levels.len() as u32 - 1
        })
    };
    let codes = cells.iter().map(code).collect();
    Column::Categories { codes, levels }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_texts(texts: &[&str], kinds: &Kinds) -> Result<Vec<Columns>, DataError> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> =
            (0..texts.len()).map(|place| folder.path().join(format!("{place}.csv"))).collect();
        paths.iter().zip(texts).for_each(|(path, text)| std::fs::write(path, text).unwrap());
        read(&paths.iter().map(|path| path.as_path()).collect::<Vec<_>>(), kinds)
    }

    #[test]
    fn kinds_are_found_out_and_may_be_said() {
        let rows: String = (0..30).map(|i| format!("{i};{};{}\n", i % 3, ["x", "?"][i % 2])).collect();
        let text = format!("\u{feff}age;grade;word\n{rows}");
        let fake = "age;word;grade\n1.5;x;2.0\n;y;1\n";
        let tables = read_texts(&[&text, fake], &Kinds::default()).unwrap();
        let kinds: Vec<bool> = tables[0].columns().iter().map(Column::is_numeric).collect();
        assert_eq!(kinds, [true, false, false]);
        assert_eq!((tables[0].columns()[2].gaps(), tables[1].columns()[0].gaps()), (15, 1));
        // 2.0 is the level 2.
        let Column::Categories { levels, .. } = &tables[1].columns()[2] else { panic!() };
        assert_eq!(levels, &["2", "1"]);
        let kinds = Kinds { numbers: vec!["grade".into()], categories: vec!["age".into()] };
        let tables = read_texts(&[&text], &kinds).unwrap();
        assert!(tables[0].columns()[1].is_numeric() && !tables[0].columns()[0].is_numeric());
    }

    #[test]
    fn wrong_files_are_refused_with_the_place() {
        let said = |texts: &[&str], kinds: &Kinds| read_texts(texts, kinds).unwrap_err().to_string();
        let real: String = (0..30).map(|i| format!("{i}\n")).collect();
        let real = format!("age\n{real}");
        let none = Kinds::default();
        let wrong = said(&[&real, "age\n1\nold\n"], &none);
        assert!(
            wrong.contains("line 3") && wrong.contains("age") && wrong.contains("\"old\" is no number"),
            "{wrong}"
        );
        assert!(said(&["a,b\n1\n"], &none).contains("line 2 has 1 cells, the header 2"));
        assert!(said(&["1,2\n1,2\n"], &none).contains("no line of names"));
        assert!(said(&[""], &none).contains("is empty"));
        let unknown = Kinds { numbers: vec!["b".into()], ..Kinds::default() };
        assert!(said(&["a\n1\n"], &unknown).contains("no column \"b\""));
    }
}
