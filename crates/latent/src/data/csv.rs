//! csv: a header line (which may be missing), then one row of numbers a line.
//!
//! Comma, semicolon and tab are told apart by the header. Every cell must be a finite number, save in the
//! column of labels and the column of groups, which are no part of x. Columns of numbers that are told beside x
//! are no part of it either.

use std::io::Read;
use std::path::{Path, PathBuf};

use ::csv::{ReaderBuilder, StringRecord, Trim};
use sha2::{Digest, Sha256};

use super::classes::{listed, nearest};
use super::dataset::{Dataset, Labels, Number, Visit};
use super::header::{LOOKED_AT, is_missing, is_row, made_up};
use super::settings::Header;
use super::{DataError, Facts, SampleShape};

/// A table in memory.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    columns: Vec<String>,
    /// `[rows, columns]`
    values: Vec<f64>,
    labels: Option<Labels>,
    groups: Option<Vec<u32>>,
    /// What is told beside x.
    numbers: Vec<(String, Vec<f64>)>,
}

/// Which columns mean what.
#[derive(Clone, Copy, Default)]
pub(crate) struct Roles<'a> {
    pub label: Option<&'a str>,
    pub group: Option<&'a str>,
    /// Columns of numbers that are told beside x.
    pub numbers: &'a [String],
    /// The facts of a trained model: its columns in their order, and after them those of its constant columns that
    /// are there. Others are then left out, and labels and groups may be missing.
    pub wanted: Option<&'a Facts>,
    pub header: Header,
    /// Whether what is told beside x may be missing: the class, which has an empty name then, and numbers, which are NaN.
    pub gaps: bool,
}

impl Table {
    /// Reads a whole table.
    pub(crate) fn read(
        path: &Path,
        source: impl Read,
        roles: Roles<'_>,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let wrong = |what: String, remedy: &str| DataError::malformed(path, what, remedy);
        let mut source = source;
        let (start, delimiter) = first_line(&mut source).map_err(|error| DataError::io(path, error))?;
        let mut reader = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(Trim::All)
            .from_reader(start.as_slice().chain(source));
        let mut record = StringRecord::new();
        if !next(path, &mut reader, &mut record)? {
            return Err(wrong("the file is empty".into(), "give a header line and rows of numbers"));
        }
        let first: StringRecord = record.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
        let mut looked_at = Vec::new();
        while looked_at.len() < LOOKED_AT && next(path, &mut reader, &mut record)? {
            looked_at.push(record.clone());
        }
        let headless = is_row(&first, &looked_at, roles.header);
        let header: Vec<String> = if headless {
            if roles.header == Header::Auto {
                log(format!(
                    "{}: the first line looks like a row, not like names: the columns are called column-1 to \
                     column-{} (data.header = \"first-line\" takes it for names)",
                    path.display(),
                    first.len()
                ));
            }
            looked_at.insert(0, first.clone());
            made_up(first.len())
        } else {
            first.iter().map(String::from).collect()
        };
        check_header(path, &header)?;
        let place = |name: &str| header.iter().position(|column| column == name);
        let special = |key, name: Option<&str>| match name {
            None => Ok(None),
            Some(name) => match place(name) {
                None if roles.wanted.is_none() => Err(DataError::setting(
                    key,
                    format!("{} has no column {name:?}", path.display()),
                    format!("its columns are {}", header.join(", ")),
                )),
                found => Ok(found),
            },
        };
        let label = special("label", roles.label)?;
        let group = special("group", roles.group)?;
        let told: Vec<usize> = roles
            .numbers
            .iter()
            .map(|name| place(name).ok_or_else(|| no_number(path, name, &header, roles.wanted.is_some())))
            .collect::<Result<_, _>>()?;
        let features: Vec<usize> = match roles.wanted {
            None => (0..header.len())
                .filter(|index| Some(*index) != label && Some(*index) != group && !told.contains(index))
                .collect(),
            Some(wanted) => wanted
                .columns
                .iter()
                .map(|name| {
                    place(name).ok_or_else(|| {
                        let names = wanted.columns.join(", ");
                        let remedy = match headless {
                            true => {
                                format!("the first line looks like a row: name the columns in it, {names}")
                            }
                            false => format!("the model wants {names}"),
                        };
                        let what = format!("there is no column {name:?}, which the model was trained on");
                        DataError::mismatch(path, what, remedy)
                    })
                })
                .chain(wanted.constant.iter().filter_map(|constant| place(&constant.name)).map(Ok))
                .collect::<Result<_, _>>()?,
        };
        if features.is_empty() {
            return Err(wrong("no column is left for x".into(), "give at least one column of numbers"));
        }

        let (mut values, mut label_names, mut group_names) = (Vec::new(), Vec::new(), Vec::new());
        let mut numbers: Vec<(String, Vec<f64>)> =
            roles.numbers.iter().map(|name| (name.clone(), Vec::new())).collect();
        let mut looked_at = looked_at.into_iter();
        while looked_at.next().map(|row| record = row).is_some() || next(path, &mut reader, &mut record)? {
            let line = record.position().map_or(1, ::csv::Position::line);
            let cell_error = |column: usize, what: String, remedy: String| DataError::Cell {
                path: path.to_path_buf(),
                line,
                column: header[column].clone(),
                what,
                remedy,
            };
            if record.len() != header.len() {
                let column = record.len().min(header.len() - 1);
                let what = format!("the line has {} cells, the header {}", record.len(), header.len());
                return Err(cell_error(column, what, "give every line as many cells as the header".into()));
            }
            for (names, column, gaps) in
                [(&mut label_names, label, roles.gaps), (&mut group_names, group, false)]
            {
                let Some(column) = column else { continue };
                if record[column].is_empty() && !gaps {
                    let what = "the cell is empty".to_string();
                    return Err(cell_error(column, what, "give every row a value here".into()));
                }
                names.push(record[column].to_string());
            }
            for &column in &features {
                values.push(number(&record[column]).map_err(|wrong| {
                    let remedy = match wrong {
                        Wrong::Text => format!(
                            "remove the column, turn it into numbers, or, if it is the class, set data.label = {:?}",
                            header[column]
                        ),
                        other => other.remedy(),
                    };
                    cell_error(column, wrong.what(&record[column]), remedy)
                })?);
            }
            for (&column, (_, values)) in told.iter().zip(&mut numbers) {
                if roles.gaps && is_missing(&record[column]) {
                    values.push(f64::NAN);
                    continue;
                }
                values.push(number(&record[column]).map_err(|wrong| {
                    let remedy = match wrong {
                        Wrong::Text => format!(
                            "turn the column into numbers, or, if it is the class, set data.label = {:?}",
                            header[column]
                        ),
                        other => other.remedy(),
                    };
                    cell_error(column, wrong.what(&record[column]), remedy)
                })?);
            }
        }
        if values.is_empty() {
            return Err(wrong(
                "there is a header and no row".into(),
                "give rows of numbers below the header",
            ));
        }
        let classes = |names: &[String], key| {
            Labels::from_names(names).map_err(|what| DataError::setting(key, what, "name another column"))
        };
        let labels = label.map(|_| classes(&label_names, "label")).transpose()?;
        let groups = group.map(|_| classes(&group_names, "group")).transpose()?.map(|labels| labels.of);
        let columns = features.iter().map(|&index| header[index].clone()).collect();
        Ok(Self { path: path.to_path_buf(), columns, values, labels, groups, numbers })
    }
}

/// Why a cell is no number to be used.
#[derive(Clone, Copy)]
enum Wrong {
    Missing,
    Text,
    NotFinite,
}

impl Wrong {
    fn what(self, text: &str) -> String {
        match self {
            Self::Missing if text.is_empty() => "the cell is empty".into(),
            Self::Missing | Self::Text => format!("{text:?} is no number"),
            Self::NotFinite => format!("{text} is no finite number"),
        }
    }

    fn remedy(self) -> String {
        match self {
            Self::Missing | Self::Text => "fill the missing value in, or remove the row".into(),
            Self::NotFinite => "remove the row or fill in a number".into(),
        }
    }
}

fn number(text: &str) -> Result<f64, Wrong> {
    let value: f64 = text.parse().map_err(|_| if is_missing(text) { Wrong::Missing } else { Wrong::Text })?;
    // f32 is what a model sees: what overflows there is infinite.
    if !value.is_finite() || value.abs() > f64::from(f32::MAX) {
        return Err(Wrong::NotFinite);
    }
    Ok(value)
}

/// A column that should be told beside x is not there: of the data to train on, or of other data.
fn no_number(path: &Path, name: &String, header: &[String], is_other: bool) -> DataError {
    if is_other {
        let what = format!("there is no column {name:?}, which the model is told beside x");
        return DataError::mismatch(path, what, format!("add it; the columns are {}", listed(header)));
    }
    DataError::setting(
        "condition",
        format!("{} has no column {name:?}{}", path.display(), nearest(name, header)),
        format!("its columns are {}, and \"label\" means the class of each row", listed(header)),
    )
}

/// The first line (read byte by byte up to a limit) and the separator that it uses most.
pub(super) fn first_line(source: &mut impl Read) -> std::io::Result<(Vec<u8>, u8)> {
    const MOST: usize = 1 << 20;
    let mut start = Vec::new();
    let mut chunk = [0; 4096];
    while start.len() < MOST && !start.contains(&b'\n') {
        let count = source.read(&mut chunk)?;
        if count == 0 {
            break;
        }
        start.extend_from_slice(&chunk[..count]);
    }
    let line = start.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |separator: u8| line.iter().filter(|&&byte| byte == separator).count();
    let delimiter = [b',', b';', b'\t', b'|'].into_iter().rev().max_by_key(|&separator| count(separator));
    Ok((start, delimiter.unwrap_or(b',')))
}

pub(super) fn next<R: Read>(
    path: &Path,
    reader: &mut ::csv::Reader<R>,
    record: &mut StringRecord,
) -> Result<bool, DataError> {
    reader.read_record(record).map_err(|error| {
        let what = error.to_string();
        match error.into_kind() {
            ::csv::ErrorKind::Io(source) => DataError::io(path, source),
            _ => DataError::malformed(path, what, "save the table as csv in UTF-8"),
        }
    })
}

pub(super) fn check_header(path: &Path, header: &[String]) -> Result<(), DataError> {
    let mut seen = std::collections::HashSet::new();
    for (index, name) in header.iter().enumerate() {
        if name.is_empty() {
            let what = format!("column {} of the header has no name", index + 1);
            return Err(DataError::malformed(path, what, "name every column"));
        }
        if !seen.insert(name) {
            let what = format!("two columns are named {name:?}");
            return Err(DataError::malformed(path, what, "give each column its own name"));
        }
    }
    Ok(())
}

impl Dataset for Table {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> &'static str {
        "csv"
    }

    fn rows(&self) -> u64 {
        (self.values.len() / self.columns.len()) as u64
    }

    fn shape(&self) -> SampleShape {
        SampleShape::Vector { columns: self.columns.len() }
    }

    fn number(&self) -> Number {
        Number::F64
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn groups(&self) -> Option<&[u32]> {
        self.groups.as_deref()
    }

    fn numbers(&self, name: &str) -> Option<&[f64]> {
        self.numbers.iter().find(|(known, _)| known == name).map(|(_, values)| &values[..])
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        let start = row as usize * self.columns.len();
        values.copy_from_slice(&self.values[start..start + self.columns.len()]);
        Ok(())
    }

    fn scan(
        &self,
        _threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        hash.update(self.columns.join("\n"));
        for (row, values) in self.values.chunks_exact(self.columns.len()).enumerate() {
            values.iter().for_each(|value| hash.update(value.to_le_bytes()));
            if wanted(row as u64) {
                visit(row as u64, values)?;
            }
        }
        Ok(Vec::new())
    }
}
