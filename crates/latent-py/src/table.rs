//! Rows of mixed columns: words in, words out, each different word once and which of them each row has.

use latent::Key;
use latent::data::Split;
use latent::data::table::{Kind, WordColumn};
use latent::generate::columns::Group;
use latent::generate::{Observe, Samples, Told, Wanted};
use numpy::PyArray1;
use pyo3::prelude::*;

use crate::arrays::{Rows, codes};
use crate::errors::{Result, detached};
use crate::model::Model;
use crate::sampler::{self, Asked, Sampler, or_prior};

/// Name, words, and the place of each row's among them.
type Column<'py> = (String, Vec<String>, Bound<'py, PyArray1<u32>>);

/// The columns of the table that a model was trained on: name, kind, whether its numbers are whole, whether it has gaps.
/// None for a model of anything else.
#[pyfunction]
pub fn columns(model: &Bound<'_, Model>) -> Option<Vec<(String, &'static str, bool, bool)>> {
    let table = model.get().engine().facts.table.as_deref()?;
    let kept = table.columns.iter().filter(|column| !matches!(column.kind, Kind::Dropped { .. }));
    let about = |column: &latent::data::table::Column| {
        let whole = match &column.kind {
            Kind::Number(format) => format.decimals == Some(0),
            Kind::Date(format) => !format.pattern.contains('H'),
            _ => false,
        };
        (column.name.clone(), column.kind.name(), whole, column.has_gaps())
    };
    Some(kept.map(about).collect())
}

/// What a cell may be: whether from the first word to the second, else the first word; no word for a gap, or for an open side.
type Cell = (bool, Option<String>, Option<String>);

/// What is asked of a column: its name, and what its cells may be.
type Asking = (String, Vec<Cell>);

/// Too much to ask: the conditions, how many rows were drawn, and how many codes carry them.
type Thin = (String, usize, f64);

/// New rows; those that meet conditions, by column or as a text, or as many of each value of a column, with what was too much to
/// ask: conditions, rows, and how many codes carry them.
#[allow(clippy::too_many_arguments, reason = "Python names them")]
#[pyfunction]
#[pyo3(signature = (model, count, seed, conditions=Vec::new(), text="", balance=None, sampler=None, how=None))]
pub fn draw_rows<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    count: usize,
    seed: u64,
    conditions: Vec<Asking>,
    text: &str,
    balance: Option<&str>,
    sampler: Option<&Bound<'py, Sampler>>,
    how: Option<Asked>,
) -> PyResult<(Vec<Column<'py>>, Vec<Thin>)> {
    let model = model.get().engine();
    let sampler = sampler.map(|sampler| sampler.get());
    let key = Key::from_seed(seed).fold("sample");
    let (found, thin) = detached(py, || {
        let table = model.table()?;
        let mut asked = table.conditions(text)?;
        for (name, cells) in conditions {
            let wanted: Vec<Wanted> = cells.into_iter().map(wanted).collect();
            asked.push(table.condition_of(&name, &wanted)?);
        }
        let groups = match balance {
            Some(column) => table.balanced(&asked, column)?,
            None => vec![asked],
        };
        or_prior(model, sampler, |sampler| {
            if groups.iter().all(Vec::is_empty) {
                let (told, how) = (model.told(count, key)?, sampler::how(sampler, how)?);
                let samples = model.sample_with(sampler, &told, &how, Observe::Draw, key)?;
                return Ok((words(model, &samples, key)?, Vec::new()));
            }
            let (samples, found) = model.sample_groups(sampler, &groups, count, key)?;
            let thin = found.into_iter().filter(Group::is_thin);
            let thin = thin.map(|group| (group.text, group.rows, group.effective)).collect();
            Ok((words(model, &samples, key)?, thin))
        })
    })?;
    Ok((arrays(py, found), thin))
}

fn wanted((is_range, first, second): Cell) -> Wanted {
    match (is_range, first) {
        (true, from) => Wanted::Range(from, second),
        (false, Some(word)) => Wanted::Value(word),
        (false, None) => Wanted::Gap,
    }
}

/// Draws of p(x|z) at these codes.
#[pyfunction]
pub fn decode_rows<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    z: &Bound<'py, PyAny>,
    seed: u64,
) -> PyResult<Vec<Column<'py>>> {
    let (z, model, key) = (codes(z)?, model.get().engine(), Key::from_seed(seed).fold("decode"));
    let found = detached(py, || {
        let told = Told::same(&model.facts, &[], z.rows())?;
        words(model, &model.decode_told(&z, &told, Observe::Draw, key)?, key)
    })?;
    Ok(arrays(py, found))
}

/// Each row through its code and back.
#[pyfunction]
pub fn reconstruct_rows<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    rows: &Bound<'py, Rows>,
) -> PyResult<Vec<Column<'py>>> {
    let (model, rows) = (model.get(), rows.get());
    let found = detached(py, || {
        let mut x = Vec::new();
        model.parts(rows, |part| {
            x.extend(model.engine().reconstruct(&part)?.x);
            Ok(())
        })?;
        let samples = Samples::new(x, &model.engine().facts);
        words(model.engine(), &samples, Key::from_seed(0).fold("words"))
    })?;
    Ok(arrays(py, found))
}

/// The modelled columns with their gaps drawn from what the model says of them given the other cells of their row.
#[pyfunction]
pub fn fill_rows<'py>(
    py: Python<'py>,
    model: &Bound<'py, Model>,
    rows: &Bound<'py, Rows>,
    passes: usize,
    seed: u64,
) -> PyResult<Vec<Column<'py>>> {
    const PART: usize = 4096;
    let (model, rows) = (model.get(), rows.get());
    let found = detached(py, || {
        let (data, engine) = (model.data(rows)?, model.engine());
        let (count, width) = (data.len(Split::Test), engine.facts.shape.features());
        let key = Key::from_seed(seed).fold("impute");
        let mut values = data.values(Split::Test, &(0..count).collect::<Vec<_>>())?;
        let has_gap =
            |(row, values): (usize, &[f64])| values.iter().any(|value| value.is_nan()).then_some(row);
        let with_gaps: Vec<usize> = values.chunks_exact(width).enumerate().filter_map(has_gap).collect();
        // Only rows with empty cells go through the model.
        for part in with_gaps.chunks(PART) {
            let known = data.values(Split::Test, part)?;
            let filled = engine.filled(&data.rows(Split::Test, part, 0)?, &known, passes, key)?;
            for (row, filled) in part.iter().zip(filled.chunks_exact(width)) {
                values[row * width..(row + 1) * width].copy_from_slice(filled);
            }
        }
        let table = engine.table()?;
        let columns = table.modelled().enumerate().map(|(at, column)| {
            let word = |value: &f64| if value.is_nan() { String::new() } else { column.word(*value) };
            WordColumn::of_each(&column.name, values.iter().skip(at).step_by(width).map(word))
        });
        Ok(columns.collect())
    })?;
    Ok(arrays(py, found))
}

/// Rows as the columns of the table, gaps as empty words.
fn words(model: &latent::Model, samples: &Samples, key: Key) -> Result<Vec<WordColumn>> {
    let table = model.table()?;
    let columns = table.words(&samples.x, key.fold("words")).columns;
    let kept = table.columns.iter().filter(|column| !matches!(column.kind, Kind::Dropped { .. }));
    let column = |(column, words): (&latent::data::table::Column, Vec<String>)| {
        let is_gap = |word: &str| column.gaps.iter().any(|(gap, _)| gap == word);
        let plain = words.iter().map(|word| if is_gap(word) { "" } else { word.as_str() });
        WordColumn::of_each(&column.name, plain)
    };
    Ok(kept.zip(columns).map(column).collect())
}

fn arrays(py: Python<'_>, columns: Vec<WordColumn>) -> Vec<Column<'_>> {
    columns
        .into_iter()
        .map(|WordColumn { name, words, of }| (name, words, PyArray1::from_vec(py, of)))
        .collect()
}
