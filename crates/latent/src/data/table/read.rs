//! From a file to columns: separator, header and what each column is are found out; rows are then a data set.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ReaderBuilder, StringRecord, Trim};
use sha2::{Digest, Sha256};

use super::arrow::{self, Typed, TypedColumns};
use super::cells::{self, WordColumn, Written};
use super::constraint::{Origin, Rule, resolve};
use super::kind::{Found, Refused, is_gap};
use super::{Column, Kind, Scale, Table, alike, nothing_left};
use crate::data::classes::nearest;
use crate::data::csv::{Roles, check_header, first_line, next};
use crate::data::dataset::{Dataset, Labels, Number, Visit};
use crate::data::header::{LOOKED_AT, is_missing, is_row, made_up};
use crate::data::settings::{DataSettings, Header};
use crate::data::{DataError, SampleShape};

/// Rows of mixed columns, in memory: four bytes a cell and each different word once while it is read, eight bytes a cell
/// of x after that.
pub(crate) struct MixedRows {
    path: PathBuf,
    format: &'static str,
    table: Arc<Table>,
    names: Vec<String>,
    /// `[rows, modelled columns]`, NaN where cells are empty.
    values: Vec<f64>,
    rows: usize,
    labels: Option<Labels>,
    groups: Option<Vec<u32>>,
    numbers: Vec<(String, Vec<f64>)>,
    /// The name of the first column of identifiers, and that of each row.
    identifiers: Option<(String, Vec<String>)>,
    /// Whether each row breaks a constraint; nothing where none does.
    broken: Vec<bool>,
}

/// Reads a whole table; `wanted` in the roles are the facts of a model whose columns it must have.
pub(crate) fn read(
    path: &Path,
    mut source: impl Read,
    roles: Roles<'_>,
    settings: &DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<MixedRows, DataError> {
    let (start, separator) = first_line(&mut source).map_err(|error| DataError::io(path, error))?;
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(start.as_slice().chain(source));
    let mut record = StringRecord::new();
    if !next(path, &mut reader, &mut record)? {
        return Err(DataError::malformed(path, "the file is empty", "give a header line and rows"));
    }
    let first: StringRecord = record.iter().map(|name| name.trim_start_matches('\u{feff}')).collect();
    let mut looked_at = Vec::new();
    while looked_at.len() < LOOKED_AT && next(path, &mut reader, &mut record)? {
        looked_at.push(record.clone());
    }
    let model = roles.wanted.and_then(|facts| facts.table.as_deref());
    // A file for a model has a header if its first line names the model's columns.
    let is_named = model.map(|table| first.iter().any(|name| table.columns.iter().any(|c| c.name == name)));
    let headless = match (is_named, roles.header) {
        (Some(true), _) => false,
        (Some(false), Header::Auto) => true,
        _ => is_row(&first, &looked_at, roles.header),
    };
    let header: Vec<String> = match headless {
        true => {
            if roles.header == Header::Auto {
                log(format!(
                    "{}: the first line looks like a row, not like names: the columns are called column-1 to column-{} \
                     (data.header = \"first-line\" takes it for names)",
                    path.display(),
                    first.len()
                ));
            }
            looked_at.insert(0, first.clone());
            made_up(first.len())
        }
        false => first.iter().map(String::from).collect(),
    };
    check_header(path, &header)?;
    let mut raw: Vec<Written> = header.iter().map(|_| Written::default()).collect();
    let mut lines: Vec<u32> = Vec::new();
    let mut looked_at = looked_at.into_iter();
    while looked_at.next().map(|row| record = row).is_some() || next(path, &mut reader, &mut record)? {
        let line = record.position().map_or(1, csv::Position::line);
        // A line with nothing in it ends many files.
        if record.len() == 1 && record[0].is_empty() && header.len() > 1 {
            continue;
        }
        if record.len() != header.len() {
            let column = header[record.len().min(header.len() - 1)].clone();
            let what = format!("the line has {} cells, the header {}", record.len(), header.len());
            let remedy = "give every line as many cells as the header".into();
            return Err(DataError::Cell { path: path.into(), line, column, what, remedy });
        }
        record.iter().zip(&mut raw).for_each(|(word, raw)| raw.push(word));
        lines.push(line.min(u64::from(u32::MAX)) as u32);
    }
    if lines.is_empty() {
        return Err(DataError::malformed(path, "there is a header and no row", "give rows below the header"));
    }
    let form = Form { name: "csv", separator: separator as char, header: !headless, types: Vec::new() };
    let cells = header.into_iter().zip(raw).map(|(name, raw)| raw.finish(name)).collect();
    meant(path, cells, &lines, form, roles, settings, log)
}

/// The rows of columns that a program holds; `name` is what they are called.
pub(crate) fn of_columns(
    name: &Path,
    cells: Vec<WordColumn>,
    roles: Roles<'_>,
    settings: &DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<MixedRows, DataError> {
    cells::check(name, &cells)?;
    let header: Vec<String> = cells.iter().map(|column| column.name.clone()).collect();
    check_header(name, &header)?;
    let form = Form { name: "csv", separator: ',', header: true, types: Vec::new() };
    meant(name, cells, &[], form, roles, settings, log)
}

/// The rows of a Parquet or Arrow file.
pub(crate) fn of_file(
    path: &Path,
    kind: Typed,
    roles: Roles<'_>,
    settings: &DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<MixedRows, DataError> {
    let TypedColumns { cells, types } = arrow::read(path, kind, settings)?;
    cells::check(path, &cells)?;
    let header: Vec<String> = cells.iter().map(|column| column.name.clone()).collect();
    check_header(path, &header)?;
    let form = Form { name: kind.name(), separator: ',', header: true, types };
    meant(path, cells, &[], form, roles, settings, log)
}

/// How a table is written.
struct Form {
    /// The format of the file.
    name: &'static str,
    separator: char,
    header: bool,
    /// The type of each column; none where cells are words.
    types: Vec<String>,
}

/// What cells mean: which columns are no part of x, and what the others are. `lines` are those of the file.
fn meant(
    path: &Path,
    cells: Vec<WordColumn>,
    lines: &[u32],
    form: Form,
    roles: Roles<'_>,
    settings: &DataSettings,
    log: &mut dyn FnMut(String),
) -> Result<MixedRows, DataError> {
    let header: Vec<String> = cells.iter().map(|column| column.name.clone()).collect();
    if let Some(unknown) = settings.columns.keys().find(|name| !header.contains(name)) {
        return Err(DataError::setting(
            "columns",
            format!("{} has no column {unknown:?}{}", path.display(), nearest(unknown, &header)),
            format!("its columns are {}", header.join(", ")),
        ));
    }
    let model = roles.wanted.and_then(|facts| facts.table.as_deref());
    let rows = cells.first().map_or(0, |column| column.of.len());
    let mut columns = Columns { path, header: &header, raw: cells, lines, rows };
    let labels = columns.names("label", roles.label, roles.wanted.is_some(), roles.gaps)?;
    let groups = columns.names("group", roles.group, roles.wanted.is_some(), false)?.map(|labels| labels.of);
    let numbers = columns.told(roles.numbers, roles.gaps)?;
    let aside: Vec<&str> = [roles.label, roles.group]
        .into_iter()
        .flatten()
        .chain(roles.numbers.iter().map(String::as_str))
        .collect();
    let format = form.name;
    let mut table = match model {
        Some(table) => {
            let more: Vec<&str> = header
                .iter()
                .map(String::as_str)
                .filter(|name| !aside.contains(name) && table.columns.iter().all(|c| c.name != *name))
                .collect();
            if !more.is_empty() {
                log(format!(
                    "{}: columns that the model does not have are left out: {}",
                    path.display(),
                    more.join(", ")
                ));
            }
            table.clone()
        }
        None => columns.found(settings, &aside, form, log)?,
    };
    let values = columns.values(&table, model.is_some(), log)?;
    let identifiers = columns.identifiers(&table);
    let broken = match model {
        Some(_) => broken_of(path, &table, &values, lines, log),
        None if settings.constraints.is_empty() => Vec::new(),
        None => {
            let origin = Origin { header: &header, lines };
            resolve(&settings.constraints, &mut table, &values, &origin, log)?
        }
    };
    Ok(MixedRows {
        path: path.into(),
        format,
        names: table.modelled().map(|column| column.name.clone()).collect(),
        rows,
        table: Arc::new(table),
        values,
        labels,
        groups,
        numbers,
        identifiers,
        broken,
    })
}

/// Whether each row breaks a constraint of the model's, which is said; nothing where none does.
fn broken_of(
    path: &Path,
    table: &Table,
    values: &[f64],
    lines: &[u32],
    log: &mut dyn FnMut(String),
) -> Vec<bool> {
    let width = table.modelled().count().max(1);
    let mut broken = vec![false; values.len() / width];
    for kept in &table.constraints {
        let rows = values.chunks_exact(width).enumerate().filter(|(_, row)| kept.rule.is_broken(row));
        let rows: Vec<usize> = rows.map(|(row, _)| row).collect();
        if let Some(first) = rows.first() {
            let line = lines.get(*first).map_or(format!("row {first}"), |line| format!("line {line}"));
            log(format!(
                "{}: {:?} does not hold in {} of {} rows, the first in {line}",
                path.display(),
                kept.text,
                rows.len(),
                broken.len()
            ));
        }
        rows.into_iter().for_each(|row| broken[row] = true);
    }
    if broken.contains(&true) { broken } else { Vec::new() }
}

/// What was read, before it means anything.
struct Columns<'a> {
    path: &'a Path,
    header: &'a [String],
    raw: Vec<WordColumn>,
    /// The line of the file of each row; none for columns in memory.
    lines: &'a [u32],
    rows: usize,
}

impl Columns<'_> {
    fn place(&self, name: &str) -> Option<usize> {
        self.header.iter().position(|known| known == name)
    }

    /// The first row that holds this word.
    fn cell(&self, column: usize, word: &str, what: String, remedy: String) -> DataError {
        let row = self.raw[column].first(word).unwrap_or(0);
        let name = &self.header[column];
        let Some(line) = self.lines.get(row) else {
            return DataError::malformed(self.path, format!("row {row}, column {name:?}: {what}"), remedy);
        };
        DataError::Cell { path: self.path.into(), line: u64::from(*line), column: name.clone(), what, remedy }
    }

    /// A column of names that is no part of x.
    fn names(
        &self,
        key: &'static str,
        name: Option<&str>,
        is_other: bool,
        gaps: bool,
    ) -> Result<Option<Labels>, DataError> {
        let Some(name) = name else { return Ok(None) };
        let Some(column) = self.place(name) else {
            if is_other {
                return Ok(None);
            }
            let what = format!("{} has no column {name:?}", self.path.display());
            return Err(DataError::setting(key, what, format!("its columns are {}", self.header.join(", "))));
        };
        let raw = &self.raw[column];
        if raw.words.iter().any(String::is_empty) && !gaps {
            return Err(self.cell(
                column,
                "",
                "the cell is empty".into(),
                "give every row a value here".into(),
            ));
        }
        let names: Vec<String> = raw.of.iter().map(|place| raw.words[*place as usize].clone()).collect();
        let labels = Labels::from_names(&names);
        labels.map(Some).map_err(|what| DataError::setting(key, what, "name another column"))
    }

    /// The first column of identifiers that is there.
    fn identifiers(&self, table: &Table) -> Option<(String, Vec<String>)> {
        let is_one = |column: &&Column| matches!(column.kind, Kind::Identifier(_));
        let (name, at) =
            table.columns.iter().filter(is_one).find_map(|c| Some((&c.name, self.place(&c.name)?)))?;
        let raw = &self.raw[at];
        Some((name.clone(), raw.of.iter().map(|place| raw.words[*place as usize].clone()).collect()))
    }

    /// Columns of numbers that are told beside x.
    fn told(&self, wanted: &[String], gaps: bool) -> Result<Vec<(String, Vec<f64>)>, DataError> {
        let told = |name: &String| {
            let Some(column) = self.place(name) else {
                let what = format!("{} has no column {name:?}", self.path.display());
                return Err(DataError::setting(
                    "condition",
                    what,
                    format!("its columns are {}", self.header.join(", ")),
                ));
            };
            let raw = &self.raw[column];
            let numbers: Vec<f64> = raw
                .words
                .iter()
                .map(|word| {
                    if gaps && is_missing(word) {
                        return Ok(f64::NAN);
                    }
                    super::number::parse(word, false).ok_or_else(|| {
                        let (what, remedy) = if word.is_empty() {
                            ("the cell is empty".into(), "fill the missing value in, or remove the row")
                        } else {
                            let remedy =
                                "turn the column into numbers, or, if it is the class, name it by data.label";
                            (format!("{word:?} is no number"), remedy)
                        };
                        self.cell(column, word, what, remedy.into())
                    })
                })
                .collect::<Result<_, _>>()?;
            Ok((name.clone(), raw.of.iter().map(|place| numbers[*place as usize]).collect()))
        };
        wanted.iter().map(told).collect()
    }

    /// What each column is.
    fn found(
        &mut self,
        settings: &DataSettings,
        aside: &[&str],
        form: Form,
        log: &mut dyn FnMut(String),
    ) -> Result<Table, DataError> {
        let Form { separator, header, types, .. } = form;
        let mut table =
            Table { columns: Vec::new(), separator, header, constraints: Vec::new(), alike: Vec::new() };
        for (at, name) in self.header.iter().enumerate() {
            if aside.contains(&name.as_str()) {
                continue;
            }
            let (raw, asked) = (&self.raw[at], settings.columns.get(name));
            let counts = raw.counts();
            let words = raw.words.iter().map(String::as_str).zip(counts);
            let (gaps, words): (Vec<_>, Vec<_>) = words.partition(|(word, _)| is_gap(word, asked));
            let mut gaps: Vec<(String, u64)> =
                gaps.into_iter().map(|(word, n)| (word.to_string(), n)).collect();
            let found = Found { name, words, comma: separator != ',' };
            let (kind, why, more) = found.kind(asked).map_err(|refused| {
                let Refused { word, what, remedy } = refused;
                match word {
                    Some(word) => self.cell(at, &word, what, remedy),
                    None => DataError::malformed(self.path, format!("column {name:?}: {what}"), remedy),
                }
            })?;
            gaps.extend(
                found
                    .words
                    .iter()
                    .filter(|(word, _)| more.iter().any(|gap| gap == word))
                    .map(|(w, n)| (w.to_string(), *n)),
            );
            gaps.sort_by_key(|gap| std::cmp::Reverse(gap.1));
            let empty: u64 = gaps.iter().map(|(_, count)| count).sum();
            let gap_share = empty as f64 / raw.of.len().max(1) as f64;
            if !matches!(kind, Kind::Number(_) | Kind::Date(_) | Kind::Category { .. }) {
                log(format!("{name}: {} ({why}), so no part of the model", kind.name()));
            }
            table.columns.push(Column {
                name: name.clone(),
                kind,
                why,
                gaps,
                gap_share,
                scale: None,
                stored: types.get(at).cloned(),
            });
        }
        if table.modelled().next().is_none() {
            return Err(nothing_left(self.path, &table));
        }
        Ok(table)
    }

    /// The values of the modelled columns, row by row; what was read of them is let go of.
    fn values(
        &mut self,
        table: &Table,
        is_other: bool,
        log: &mut dyn FnMut(String),
    ) -> Result<Vec<f64>, DataError> {
        let width = table.modelled().count();
        let mut values = vec![f64::NAN; self.rows * width];
        for (place, column) in table.modelled().enumerate() {
            let Some(at) = self.place(&column.name) else {
                let names: Vec<&str> = table.modelled().map(|c| c.name.as_str()).collect();
                let what = format!("there is no column {:?}, which the model was trained on", column.name);
                return Err(DataError::mismatch(
                    self.path,
                    what,
                    format!("the model wants {}", names.join(", ")),
                ));
            };
            let raw = &self.raw[at];
            let is_gap = |word: &str| column.gaps.iter().any(|(gap, _)| gap == word) || is_gap(word, None);
            let known: HashMap<&str, usize> = match &column.kind {
                Kind::Category { words } => {
                    words.iter().enumerate().map(|(at, w)| (w.as_str(), at)).collect()
                }
                _ => HashMap::new(),
            };
            let mut unknown = None;
            let mut of_words = Vec::with_capacity(raw.words.len());
            for word in &raw.words {
                let value = match &column.kind {
                    Kind::Category { .. } => known.get(word.as_str()).map(|at| *at as f64),
                    _ => column.value(word),
                };
                of_words.push(match value {
                    Some(value) => value,
                    None => {
                        if !is_gap(word) {
                            unknown.get_or_insert(word);
                        }
                        f64::NAN
                    }
                });
            }
            if let Some(word) = unknown {
                let Kind::Category { words } = &column.kind else {
                    let what = format!(
                        "{word:?} is no {}, and the model knows the column as one",
                        column.kind.name()
                    );
                    return Err(self.cell(at, word, what, "mend the cell, or leave it empty".into()));
                };
                let what = format!("no row of training had {word:?}{}", nearest(word, words));
                if of_words.iter().all(|value| value.is_nan()) || !is_other {
                    return Err(self.cell(at, word, what, "give the words of the training data".into()));
                }
                log(format!(
                    "{}: column {:?}: {what}; such cells count as empty",
                    self.path.display(),
                    column.name
                ));
            }
            for (row, of) in raw.of.iter().enumerate() {
                values[row * width + place] = of_words[*of as usize];
            }
            self.raw[at] = WordColumn::default();
        }
        Ok(values)
    }
}

impl Table {
    /// Cuts the values of training rows into levels.
    pub(crate) fn fit(&mut self, rows: &dyn Dataset, training: &[u64]) -> Result<(), DataError> {
        let width = self.modelled().count();
        let mut all: Vec<Vec<f64>> = vec![Vec::with_capacity(training.len()); width];
        let mut row = vec![0.0; width];
        let mut some = Vec::new();
        let stride = training.len().div_ceil(alike::ROWS).max(1);
        for (at, id) in training.iter().enumerate() {
            rows.read(*id, &mut row)?;
            if at % stride == 0 {
                some.extend_from_slice(&row);
            }
            for (value, all) in row.iter().zip(&mut all) {
                if !value.is_nan() {
                    all.push(*value);
                }
            }
        }
        for (column, values) in self.columns.iter_mut().filter(|column| column.is_modelled()).zip(all) {
            column.scale = Some(match &column.kind {
                Kind::Category { words } => {
                    let mut shares = vec![0.0; words.len()];
                    let one = 1.0 / values.len().max(1) as f32;
                    values.iter().for_each(|value| shares[*value as usize] += one);
                    Scale::of_categories(shares)
                }
                _ if values.is_empty() => {
                    let what = format!("column {:?} is empty in every training row", column.name);
                    return Err(DataError::malformed(
                        rows.path(),
                        what,
                        "leave it out, or give rows that have it",
                    ));
                }
                _ => Scale::of_values(values, column.grid().map_or(0.0, |(step, _)| step)),
            });
        }
        self.alike = alike::find(self, &some);
        self.check_maps()
    }

    /// What decides another column has a level for each value.
    fn check_maps(&self) -> Result<(), DataError> {
        let columns: Vec<&Column> = self.modelled().collect();
        for kept in &self.constraints {
            let Rule::Map { from, .. } = kept.rule else { continue };
            let column = columns[from];
            if column.scale.as_ref().is_some_and(|scale| scale.low != scale.high) {
                let what = format!("{:?}: {} has too many values for each to decide", kept.text, column.name);
                let remedy = format!(
                    "make words of them (--set 'data.columns.{0}.kind=category'), or leave the constraint out",
                    column.name
                );
                return Err(DataError::setting("constraints", what, remedy));
            }
        }
        Ok(())
    }
}

impl Dataset for MixedRows {
    fn path(&self) -> &Path {
        &self.path
    }

    fn format(&self) -> &'static str {
        self.format
    }

    fn rows(&self) -> u64 {
        self.rows as u64
    }

    fn shape(&self) -> SampleShape {
        SampleShape::Vector { columns: self.names.len() }
    }

    fn number(&self) -> Number {
        Number::F64
    }

    fn columns(&self) -> &[String] {
        &self.names
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

    fn table(&self) -> Option<&Arc<Table>> {
        Some(&self.table)
    }

    fn broken(&self) -> &[bool] {
        &self.broken
    }

    fn identifiers(&self) -> Option<(&str, &[String])> {
        self.identifiers.as_ref().map(|(name, all)| (name.as_str(), &all[..]))
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        let start = row as usize * self.names.len();
        values.copy_from_slice(&self.values[start..start + self.names.len()]);
        Ok(())
    }

    fn scan(
        &self,
        _threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        // Words are part of the contents: categories are counted by them.
        for column in &self.table.columns {
            hash.update(format!("{} {:?}\n", column.name, column.kind));
        }
        for (row, values) in self.values.chunks_exact(self.names.len()).enumerate() {
            values.iter().for_each(|value| hash.update(value.to_le_bytes()));
            if wanted(row as u64) {
                visit(row as u64, values)?;
            }
        }
        Ok(Vec::new())
    }
}
