//! Tables from text, with kinds found out: enough to judge files that no model of ours has seen.
//!
//! The real table says what a column holds, the others are read alike. Kinds are decided in [`Kind::of`] alone: dates are numbers
//! (days, or seconds), and a column of words that are nearly all different names rows: nothing of it can be compared.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use csv::{ReaderBuilder, StringRecord, Trim};

use super::columns::{Column, Columns, GAP};
use crate::data::table::DateFormat;
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

/// Reads tables of the same columns; kinds are those of the first. `note` hears which columns are left out, and why.
///
/// # Errors
/// Where a file cannot be read or is no table, a cell of a column of numbers is none, or a name of `kinds` is no column.
pub fn read(paths: &[&Path], kinds: &Kinds, note: &mut dyn FnMut(String)) -> Result<Vec<Columns>, DataError> {
    let raw = paths.iter().map(|path| Raw::read(path)).collect::<Result<Vec<_>, _>>()?;
    let Some(first) = raw.first() else { return Ok(Vec::new()) };
    for name in kinds.numbers.iter().chain(&kinds.categories) {
        if !first.header.contains(name) {
            let remedy = format!("its columns are {}", first.header.join(", "));
            return Err(malformed(paths[0], format!("has no column {name:?}"), &remedy));
        }
    }
    let named = first.header.iter().zip(&first.cells);
    let found: BTreeMap<&str, Kind> =
        named.map(|(name, cells)| (name.as_str(), Kind::of(name, cells, kinds))).collect();
    for (name, _) in found.iter().filter(|(_, kind)| **kind == Kind::Identifiers) {
        note(format!(
            "{name}: names rows (nearly every cell is another), so it is left out (--categories {name:?} otherwise)"
        ));
    }
    if found.values().all(|kind| *kind == Kind::Identifiers) {
        let remedy = "give a file that has other columns, or name them by --categories";
        return Err(malformed(paths[0], "has only columns that name rows".into(), remedy));
    }
    raw.iter().zip(paths).map(|(raw, path)| raw.typed(path, &found)).collect()
}

/// What a column holds.
#[derive(Debug, PartialEq)]
enum Kind {
    Numbers,
    Dates(DateFormat),
    Categories,
    /// Names of rows.
    Identifiers,
}

/// Of fewer words none are taken for names of rows.
const LEAST_NAMES: usize = 50;

impl Kind {
    fn of(name: &str, cells: &[String], kinds: &Kinds) -> Self {
        let said = |names: &[String]| names.iter().any(|said| said == name);
        if said(&kinds.categories) {
            return Self::Categories;
        }
        if said(&kinds.numbers) || is_numeric(cells) {
            return Self::Numbers;
        }
        let words: Vec<&str> = cells.iter().map(String::as_str).filter(|cell| !is_gap(cell)).collect();
        let distinct: HashSet<&str> = words.iter().copied().collect();
        if words.iter().all(|word| number(word).is_some()) {
            return Self::Categories;
        }
        if let Some(format) = DateFormat::of(&distinct.iter().copied().collect::<Vec<_>>(), None) {
            return Self::Dates(format);
        }
        match words.len() >= LEAST_NAMES && 20 * distinct.len() >= 19 * words.len() {
            true => Self::Identifiers,
            false => Self::Categories,
        }
    }
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

    fn typed(&self, path: &Path, found: &BTreeMap<&str, Kind>) -> Result<Columns, DataError> {
        let columns = self.header.iter().zip(&self.cells).filter_map(|(name, cells)| {
            let format = match found.get(name.as_str()) {
                Some(Kind::Numbers) => None,
                Some(Kind::Dates(format)) => Some(format),
                Some(Kind::Identifiers) => return None,
                Some(Kind::Categories) | None => return Some(Ok((name, categories(cells)))),
            };
            let read = |cell: &String| format.map_or_else(|| number(cell), |format| format.value(cell));
            let value = |(cell, line): (&String, &u64)| match read(cell) {
                Some(value) => Ok(value),
                None if is_gap(cell) => Ok(f64::NAN),
                None => Err(DataError::Cell {
                    path: path.into(),
                    line: *line,
                    column: name.clone(),
                    what: match format {
                        Some(format) => format!("{cell:?} is no date like {}", format.pattern),
                        None => format!("{cell:?} is no number"),
                    },
                    remedy: format!(
                        "mend it, or say that the column holds categories: --categories {name:?}"
                    ),
                }),
            };
            let values = cells.iter().zip(&self.lines).map(value).collect::<Result<_, _>>();
            Some(values.map(|values| (name, Column::Numbers(values))))
        });
        let columns = columns.collect::<Result<Vec<_>, DataError>>()?;
        let (names, columns) = columns.into_iter().map(|(name, column)| (name.clone(), column)).unzip();
        Columns::new(names, columns).map_err(|error| malformed(path, error.what, &error.remedy))
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
        read(&paths.iter().map(|path| path.as_path()).collect::<Vec<_>>(), kinds, &mut |_| {})
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
    fn dates_are_numbers_and_names_of_rows_are_left_out() {
        let rows: String =
            (0..60).map(|i| format!("row {i},{}.3.2020,{}\n", 1 + i % 28, ["x", "y"][i % 2])).collect();
        let text = format!("id,day,word\n{rows}");
        let tables = read_texts(&[&text, "day,id,word\n2.3.2020,new,x\n"], &Kinds::default()).unwrap();
        assert_eq!(
            (tables[0].names(), tables[1].names()),
            (&["day".into(), "word".into()][..], &["day".into(), "word".into()][..])
        );
        let Column::Numbers(days) = &tables[0].columns()[0] else { panic!() };
        assert_eq!((days[1] - days[0], tables[1].columns()[0].is_numeric()), (1.0, true));
        let error =
            read_texts(&[&text, "day,id,word\nMay,new,x\n"], &Kinds::default()).unwrap_err().to_string();
        assert!(error.contains("\"May\" is no date like d.m.Y"), "{error}");
        // What the user says holds.
        let kinds = Kinds { categories: vec!["id".into(), "day".into()], ..Kinds::default() };
        assert!(read_texts(&[&text], &kinds).unwrap()[0].columns().iter().all(|column| !column.is_numeric()));
        let only: String = (0..60).map(|i| format!("row {i}\n")).collect();
        let error = read_texts(&[&format!("id\n{only}")], &Kinds::default()).unwrap_err().to_string();
        assert!(error.contains("only columns that name rows"), "{error}");
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
