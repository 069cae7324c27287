//! A file again, cell by cell as it was, but for the empty cells that were filled in.

use std::io::Read;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder, WriterBuilder};

use super::arrow::{self, Typed};
use super::{Column, Kind, Table};
use crate::data::csv::first_line;
use crate::data::{DataError, DataSettings, open};
use crate::files::write_whole;

/// Writes `source` to `path` with each empty cell of a modelled column replaced: `word` gives the cell's word by its row and
/// the column's place in x. Everything else stays as it is, the types of a Parquet or Arrow file too.
///
/// # Errors
/// What cannot be read or written; typed columns that are to become a text file, and the other way round.
pub fn fill_gaps(
    source: &Path,
    path: &Path,
    table: &Table,
    word: &dyn Fn(usize, usize) -> Option<String>,
) -> Result<u64, DataError> {
    match (Typed::of_start(&open::start_of(source)?), Typed::of_ending(path)) {
        (None, None) => {}
        (Some(from), Some(to)) => return fill_typed(source, from, path, to, table, word),
        _ => {
            let what = format!("it is filled from {}, which is laid out otherwise", source.display());
            return Err(DataError::malformed(
                path,
                what,
                "end both alike: .csv and .csv, or .parquet and .parquet",
            ));
        }
    }
    let mut text = open::text_of(source)?;
    let (start, separator) = first_line(&mut text).map_err(|error| DataError::io(source, error))?;
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(start.as_slice().chain(text));
    let names: Vec<&str> = table.modelled().map(|column| column.name.as_str()).collect();
    let bad = |error: csv::Error| DataError::malformed(source, error.to_string(), "mend the file");
    let plain = |cell: &[u8]| {
        let text = String::from_utf8_lossy(cell).into_owned();
        text.trim().trim_start_matches('\u{feff}').to_string()
    };
    let mut places: Option<Vec<Option<usize>>> = None;
    let mut lines: Vec<ByteRecord> = Vec::new();
    let (mut row, mut filled) = (0, 0);
    for record in reader.byte_records() {
        let record = record.map_err(bad)?;
        let Some(places) = &places else {
            let first: Vec<String> = record.iter().map(plain).collect();
            let is_header = first.iter().any(|name| table.columns.iter().any(|column| column.name == *name));
            if is_header {
                let place = |name: &String| names.iter().position(|known| known == name);
                places = Some(first.iter().map(place).collect());
                lines.push(record);
                continue;
            }
            // Without names columns are called by their places.
            let made: Vec<String> = (1..=first.len()).map(|at| format!("column-{at}")).collect();
            let known = made.iter().map(|name| names.iter().position(|known| known == name)).collect();
            let known: Vec<Option<usize>> = known;
            lines.push(filled_line(&record, &known, row, word, &mut filled));
            places = Some(known);
            row += 1;
            continue;
        };
        if record.len() == 1 && record[0].is_empty() && places.len() > 1 {
            continue;
        }
        lines.push(filled_line(&record, places, row, word, &mut filled));
        row += 1;
    }
    write_whole(path, |out| {
        let mut writer = WriterBuilder::new().delimiter(separator).flexible(true).from_writer(out);
        for line in &lines {
            writer.write_byte_record(line)?;
        }
        writer.flush()
    })
    .map_err(|error| DataError::Write { path: path.into(), source: error })?;
    Ok(filled)
}

/// The same for typed columns.
fn fill_typed(
    source: &Path,
    from: Typed,
    path: &Path,
    to: Typed,
    table: &Table,
    word: &dyn Fn(usize, usize) -> Option<String>,
) -> Result<u64, DataError> {
    let found = arrow::read(source, from, &DataSettings::default())?;
    let mut filled = 0;
    let columns: Vec<(Column, Vec<String>)> = found
        .cells
        .into_iter()
        .zip(found.types)
        .map(|(cells, stored)| {
            let place = table.place(&cells.name);
            let words = cells.of.iter().enumerate().map(|(row, at)| {
                let found = place.and_then(|place| word(row, place));
                filled += u64::from(found.is_some());
                found.unwrap_or_else(|| cells.words[*at as usize].clone())
            });
            let words = words.collect();
            let kind = Kind::Category { words: Vec::new() };
            let (why, gaps) = (String::new(), Vec::new());
            let stored = Some(stored);
            (Column { name: cells.name, kind, why, gaps, gap_share: 0.0, scale: None, stored }, words)
        })
        .collect();
    arrow::write(path, to, columns.iter().map(|(column, words)| (column, words.as_slice())))?;
    Ok(filled)
}

fn filled_line(
    record: &ByteRecord,
    places: &[Option<usize>],
    row: usize,
    word: &dyn Fn(usize, usize) -> Option<String>,
    filled: &mut u64,
) -> ByteRecord {
    let mut line = ByteRecord::new();
    for (at, cell) in record.iter().enumerate() {
        match places.get(at).copied().flatten().and_then(|place| word(row, place)) {
            Some(word) => {
                *filled += 1;
                line.push_field(word.as_bytes());
            }
            None => line.push_field(cell),
        }
    }
    line
}
