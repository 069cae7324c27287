//! How like real rows are others, and runs beside each other.

use std::path::{Path, PathBuf};

use latent::Key;
use latent::array::Array;
use latent::data::{Data, DataSettings, Memory, Part, Split};
use latent::evaluate::compare::{comparable, compare as compared};
use latent::evaluate::features::{Columns as ColumnFeatures, EfficientNetLite0, Features};
use latent::evaluate::samples::{NEIGHBOURS, frechet, kernel_distance, neighbourhoods};
use latent::evaluate::tables::{self, Column, Columns, Effort, Kinds, TableError, read};
use latent::evaluate::{Estimate, Evaluation};
use latent::generate::Samples;
use latent::generate::sampler::two_sample;
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyFileNotFoundError, PyUserWarning, PyValueError};
use pyo3::prelude::*;

use crate::arrays::Rows;
use crate::errors::{Failure, Result, detached};

/// One number: name, title, value, lower and upper end of its 95 % interval, on how many rows.
type Measure = (String, String, f64, f64, f64, usize);

/// The distances of `fake` from `real` in the features of a network (tables: standardised columns); and the name of those.
#[pyfunction]
pub fn evaluate(
    py: Python<'_>,
    real: &Bound<'_, Rows>,
    fake: &Bound<'_, Rows>,
    seed: u64,
) -> PyResult<(String, Vec<Measure>)> {
    let (real, fake) = (real.get().memory(), fake.get().memory());
    detached(py, || judged(real, fake, Key::from_seed(seed).fold("evaluate")))
}

fn judged(real: Memory, fake: Memory, key: Key) -> Result<(String, Vec<Measure>)> {
    let none = || Some(Part::Fraction(0.0));
    let settings = DataSettings { validation: none(), test: none(), ..DataSettings::default() };
    let real = Data::from_memory(real, &settings, key, &mut |_| {})?;
    let fake = Data::memory_for(real.facts(), fake, &settings, key, &mut |_| {})?;
    let features: Box<dyn Features> = match real.facts().shape.is_image() {
        true => Box::new(EfficientNetLite0::embedded()?),
        false => Box::new(ColumnFeatures::new(real.facts())),
    };
    let a = of(features.as_ref(), &real, Split::Train)?;
    let b = of(features.as_ref(), &fake, Split::Test)?;
    // Sets of one size, in a keyed order: distances depend on how many rows there are.
    let n = a.rows().min(b.rows());
    let (a, b) = (some(&a, n, key.fold("real")), some(&b, n, key.fold("fake")));
    let mut found = Vec::new();
    let mut add = |name: &str, title: &str, estimate: Estimate| {
        found.push((name.to_string(), title.to_string(), estimate.value, estimate.low, estimate.high, n));
    };
    if let Some(distance) = frechet(&a, &b) {
        add("frechet", "Fréchet distance", distance);
    }
    if let Some(distance) = kernel_distance(&a, &b) {
        add("kid", "kernel distance", distance);
    }
    if let Some(near) = neighbourhoods(&a, &b, NEIGHBOURS) {
        add("precision", "improved precision", near.precision);
        add("recall", "improved recall", near.recall);
        add("density", "density", near.density);
        add("coverage", "coverage", near.coverage);
    }
    if n >= 8 {
        let told = two_sample(&a, &b, key.fold("two-sample"))?;
        let estimate = Estimate { value: told.accuracy, low: told.accuracy_low, high: told.accuracy_high };
        add("c2st", "accuracy of a classifier that tells them apart", estimate);
    }
    if found.is_empty() {
        return Err(Failure::value(format!("{n} rows of each are too few to compare: give more")));
    }
    Ok((features.name().to_string(), found))
}

/// The features of all rows of a split.
fn of(features: &dyn Features, data: &Data, split: Split) -> Result<Array> {
    const PART: usize = 64;
    let mut values = Vec::new();
    for start in (0..data.len(split)).step_by(PART) {
        let positions: Vec<usize> = (start..data.len(split).min(start + PART)).collect();
        values.extend(features.of(&Samples::new(data.rows(split, &positions, 0)?.x, data.facts()))?.values);
    }
    Ok(Array::matrix(values, features.dims()))
}

fn some(rows: &Array, n: usize, key: Key) -> Array {
    let order = key.permutation(rows.rows());
    Array::matrix(order[..n].iter().flat_map(|&row| rows.row(row)).copied().collect(), rows.width())
}

/// A column of a table to judge: numbers, or different words and the place of each row's ("" is a gap).
#[derive(FromPyObject)]
pub enum TableColumn<'py> {
    /// NaN for a gap.
    Numbers(PyReadonlyArray1<'py, f64>),
    /// Categories.
    Words(Vec<String>, PyReadonlyArray1<'py, u32>),
}

/// A table to judge, column by column.
type JudgedTable<'py> = Vec<(String, TableColumn<'py>)>;

/// What is found, as text, as JSON, and as a page.
type Verdict = (String, String, String);

/// How much work is done: rows whose neighbours are looked for, and whether there are baselines.
type Work = (usize, bool);

/// Judges a synthetic table, given as columns.
#[pyfunction]
pub fn judge_tables(
    py: Python<'_>,
    real: JudgedTable<'_>,
    synthetic: JudgedTable<'_>,
    test: Option<JudgedTable<'_>>,
    target: Option<&str>,
    work: Work,
    seed: u64,
) -> PyResult<Verdict> {
    let mut tables = vec![columns(real)?, columns(synthetic)?];
    tables.extend(test.map(columns).transpose()?);
    detached(py, || verdict(&tables, target, work, seed))
}

/// The same of csv files, of which columns may be named as numbers or as categories.
#[allow(clippy::too_many_arguments, reason = "Python names them")]
#[pyfunction]
pub fn judge_files(
    py: Python<'_>,
    real: PathBuf,
    synthetic: PathBuf,
    test: Option<PathBuf>,
    numbers: Vec<String>,
    categories: Vec<String>,
    target: Option<&str>,
    work: Work,
    seed: u64,
) -> PyResult<Verdict> {
    let mut notes = Vec::new();
    let found = detached(py, || {
        let mut paths: Vec<&Path> = vec![&real, &synthetic];
        paths.extend(test.as_deref());
        let tables = read(&paths, &Kinds { numbers, categories }, &mut |line| notes.push(line))?;
        verdict(&tables, target, work, seed)
    })?;
    for note in notes {
        let text = std::ffi::CString::new(note).unwrap_or_default();
        PyErr::warn(py, &py.get_type::<PyUserWarning>(), &text, 1)?;
    }
    Ok(found)
}

fn columns(table: JudgedTable<'_>) -> PyResult<Columns> {
    let wrong = |error: TableError| PyValueError::new_err(error.to_string());
    let (mut names, mut all) = (Vec::new(), Vec::new());
    for (name, column) in table {
        names.push(name);
        all.push(match column {
            TableColumn::Numbers(values) => Column::Numbers(values.as_array().to_vec()),
            TableColumn::Words(levels, codes) => {
                Column::Categories { codes: codes.as_array().to_vec(), levels }
            }
        });
    }
    Columns::new(names, all).map_err(wrong)
}

fn verdict(tables: &[Columns], target: Option<&str>, work: Work, seed: u64) -> Result<Verdict> {
    let [real, synthetic, rest @ ..] = tables else { return Err(Failure::value("two tables are judged")) };
    let effort = Effort { neighbours: work.0, baselines: work.1, ..Effort::default() };
    let key = Key::from_seed(seed).fold("judge");
    let report = tables::judge(real, rest.first(), synthetic, target, effort, key)
        .map_err(|error| Failure::value(error.to_string()))?;
    let json = serde_json::json!({ "report": report, "findings": report.findings() });
    Ok((report.text(), json.to_string(), tables::page(&report, real, synthetic)?.html()?))
}

/// Runs that `latent evaluate` has judged beside each other: as text, as a table and as a page.
#[pyfunction]
pub fn compare(py: Python<'_>, runs: Vec<(String, PathBuf)>) -> PyResult<(String, String, String)> {
    detached(py, || {
        let mut judged = Vec::new();
        for (name, folder) in runs {
            let Some(found) = Evaluation::load(&folder)? else {
                let message =
                    format!("{0}: no evaluation.json; judge it first: latent evaluate {0}", folder.display());
                return Err(Failure::Python(PyFileNotFoundError::new_err(message)));
            };
            judged.push((name, found));
        }
        let (runs, _) = comparable(judged);
        let found = compared(&runs);
        Ok((found.text(false), found.csv(), found.page(&[]).html()?))
    })
}
