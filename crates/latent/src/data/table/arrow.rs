//! Parquet and Arrow files: their columns as words, and words as columns of the types that they were.
//!
//! A value is the word that Arrow's own formatting makes of it, a null an empty word. Arrow's own cast makes values of words
//! again, so that a column of 16-bit integers, of decimals or of dictionary codes is written as one.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch, RecordBatchReader, StringArray};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_cast::{CastOptions, cast, cast_with_options};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::cells::Written;
use super::{Column, Kind, WordColumn};
use crate::data::storage::open_regular;
use crate::data::{ColumnKind, DataError, DataSettings};
use crate::files::write_whole;

/// How a file with typed columns is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Typed {
    /// Apache Parquet.
    Parquet,
    /// Apache Arrow's file format, which Feather (version 2) is.
    Arrow,
}

impl Typed {
    /// By what a file begins with.
    pub(crate) fn of_start(start: &[u8]) -> Option<Self> {
        match start {
            start if start.starts_with(b"PAR1") => Some(Self::Parquet),
            start if start.starts_with(b"ARROW1") => Some(Self::Arrow),
            _ => None,
        }
    }

    /// By what a path ends with.
    pub(crate) fn of_ending(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "parquet" => Some(Self::Parquet),
            "arrow" | "feather" => Some(Self::Arrow),
            _ => None,
        }
    }

    /// In a word, as `data inspect` says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Arrow => "arrow",
        }
    }
}

/// The columns of a file, and the type of each in Arrow's words (`Int16`, `Timestamp(ns)`).
pub(crate) struct TypedColumns {
    pub cells: Vec<WordColumn>,
    pub types: Vec<String>,
}

/// Reads all columns but those that the settings drop.
///
/// # Errors
/// What is no such file, and a column of lists, structures or bytes.
pub(crate) fn read(path: &Path, kind: Typed, settings: &DataSettings) -> Result<TypedColumns, DataError> {
    // A damaged file must not end a program, whatever a reader assumes of it.
    let read = catch_unwind(AssertUnwindSafe(|| read_columns(path, kind, settings)));
    read.unwrap_or_else(|_| Err(damaged(path, kind, "its parts do not fit together")))
}

fn damaged(path: &Path, kind: Typed, what: impl std::fmt::Display) -> DataError {
    DataError::malformed(path, format!("no sound {} file: {what}", kind.name()), "write it again")
}

fn read_columns(path: &Path, kind: Typed, settings: &DataSettings) -> Result<TypedColumns, DataError> {
    let (file, _) = open_regular(path)?;
    let unsound = |error: ArrowError| damaged(path, kind, error);
    let reader: Box<dyn RecordBatchReader> = match kind {
        Typed::Parquet => {
            let builder = ParquetRecordBatchReaderBuilder::try_new(file);
            Box::new(builder.and_then(|builder| builder.build()).map_err(|error| unsound(error.into()))?)
        }
        Typed::Arrow => Box::new(arrow_ipc::reader::FileReader::try_new(file, None).map_err(unsound)?),
    };
    let schema = reader.schema();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().map_err(unsound)?;
    let mut found = TypedColumns { cells: Vec::new(), types: Vec::new() };
    for (at, field) in schema.fields().iter().enumerate() {
        let name = field.name();
        // What pandas keeps its row names in.
        if name.starts_with("__index_level_") {
            continue;
        }
        let dropped = settings.columns.get(name).and_then(|asked| asked.kind) == Some(ColumnKind::Drop);
        let parts: Vec<ArrayRef> = batches.iter().map(|batch| batch.column(at).clone()).collect();
        let rows: usize = parts.iter().map(|part| part.len()).sum();
        let cells = match is_flat(field.data_type()) {
            true => words(name, &parts).map_err(unsound)?,
            false if dropped => WordColumn::of_each(name, std::iter::repeat_n("", rows)),
            false => {
                let what = format!("column {name:?} holds values of the type {}", field.data_type());
                let remedy = format!(
                    "leave it out ([data.columns.{name}] kind = \"drop\"), or make columns of its parts"
                );
                return Err(DataError::malformed(path, what, remedy));
            }
        };
        found.cells.push(cells);
        found.types.push(field.data_type().to_string());
    }
    Ok(found)
}

/// Whether a value is one word.
fn is_flat(of: &DataType) -> bool {
    match of {
        DataType::Dictionary(_, value) => is_flat(value),
        of => !of.is_nested() && !matches!(of, DataType::Interval(_)) && !is_binary(of),
    }
}

fn is_binary(of: &DataType) -> bool {
    use DataType::{Binary, BinaryView, FixedSizeBinary, LargeBinary};
    matches!(of, Binary | LargeBinary | BinaryView | FixedSizeBinary(_))
}

/// The words of a column that comes in parts.
fn words(name: &str, parts: &[ArrayRef]) -> Result<WordColumn, ArrowError> {
    let parts: Vec<ArrayRef> = parts.iter().map(plain).collect::<Result<_, _>>()?;
    let has_fractions = parts.iter().map(has_fractions).collect::<Result<Vec<_>, _>>()?.contains(&true);
    // One format for all, where Arrow leaves out decimals that are 0.
    let (time, zoned, alone) = match has_fractions {
        true => ("%Y-%m-%d %H:%M:%S%.6f", "%Y-%m-%d %H:%M:%S%.6f%:z", "%H:%M:%S%.6f"),
        false => ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M:%S%:z", "%H:%M:%S"),
    };
    let options = FormatOptions::new()
        .with_display_error(false)
        .with_timestamp_format(Some(time))
        .with_timestamp_tz_format(Some(zoned))
        .with_time_format(Some(alone));
    let mut column = Written::default();
    let mut word = String::new();
    for part in &parts {
        let formatter = ArrayFormatter::try_new(part, &options)?;
        for row in 0..part.len() {
            word.clear();
            if part.is_valid(row) {
                write!(word, "{}", formatter.value(row)).map_err(|_| {
                    ArrowError::CastError(format!("column {name:?}, row {row} cannot be written"))
                })?;
            }
            column.push(&word);
        }
    }
    Ok(column.finish(name.to_string()))
}

/// Values by themselves rather than by codes; spans of time as numbers; times of a zone in UTC, whose offset is the same all year.
fn plain(part: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match part.data_type() {
        DataType::Dictionary(_, value) => plain(&cast(part, value)?),
        DataType::Date64 => cast(part, &DataType::Date32),
        DataType::Float16 => cast(part, &DataType::Float32),
        DataType::Duration(_) => cast(part, &DataType::Int64),
        DataType::Timestamp(unit, Some(_)) => cast(part, &DataType::Timestamp(*unit, Some("+00:00".into()))),
        _ => Ok(part.clone()),
    }
}

/// Whether some times lie between full seconds.
fn has_fractions(part: &ArrayRef) -> Result<bool, ArrowError> {
    let unit = match part.data_type() {
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) => unit,
        _ => return Ok(false),
    };
    let second = match unit {
        TimeUnit::Second => return Ok(false),
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    };
    let numbers = match part.data_type() {
        DataType::Time32(_) => cast(&cast(part, &DataType::Int32)?, &DataType::Int64)?,
        _ => cast(part, &DataType::Int64)?,
    };
    Ok(numbers.as_primitive::<Int64Type>().iter().flatten().any(|value| value % second != 0))
}

/// The type that a column is written as: the one that it came as, else the one that its words ask for.
fn type_of(column: &Column) -> DataType {
    if let Some(known) = column.stored.as_deref().and_then(|text| text.parse().ok()) {
        return known;
    }
    match &column.kind {
        Kind::Number(format) if format.decimals == Some(0) => DataType::Int64,
        Kind::Number(_) => DataType::Float64,
        Kind::Date(format) if format.pattern == "Y-m-d" => DataType::Date32,
        Kind::Date(format) if format.pattern.starts_with("Y-m-d") && format.pattern.contains('H') => {
            let zone = (!format.zone.is_empty()).then(|| "+00:00".into());
            DataType::Timestamp(TimeUnit::Microsecond, zone)
        }
        Kind::Category { words }
            if words.iter().all(|word| ["true", "false"].contains(&word.to_lowercase().as_str())) =>
        {
            DataType::Boolean
        }
        _ => DataType::Utf8,
    }
}

/// Writes columns of words, gaps as nulls.
///
/// # Errors
/// A word that is no value of its column's type; what the system says.
pub(super) fn write<'a>(
    path: &Path,
    kind: Typed,
    columns: impl Iterator<Item = (&'a Column, &'a [String])>,
) -> Result<(), DataError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (column, words) in columns {
        let of = type_of(column);
        let words: ArrayRef = Arc::new(words.iter().map(|word| value(column, word)).collect::<StringArray>());
        let array = typed(&words, &of).map_err(|error| {
            let what = format!("column {:?} cannot be written as {of}: {error}", column.name);
            DataError::malformed(path, what, "write a .csv, which has words alone")
        })?;
        fields.push(Field::new(&column.name, of, true));
        arrays.push(array);
    }
    let schema = Arc::new(Schema::new(fields));
    let bytes = RecordBatch::try_new(schema, arrays).and_then(|batch| encoded(&batch, kind));
    let bytes = bytes.map_err(|error| DataError::malformed(path, error.to_string(), "write a .csv"))?;
    write_whole(path, |out| out.write_all(&bytes))
        .map_err(|source| DataError::Write { path: path.into(), source })
}

/// A word as Arrow reads it, none where it stands for a gap. Numbers lose decimal commas and the like.
fn value(column: &Column, word: &str) -> Option<String> {
    if word.is_empty() || column.gaps.iter().any(|(gap, _)| gap == word) {
        return None;
    }
    match &column.kind {
        Kind::Number(_) if column.stored.is_none() => Some(column.value(word)?.to_string()),
        _ => Some(word.to_string()),
    }
}

/// Words as values of a type.
fn typed(words: &ArrayRef, of: &DataType) -> Result<ArrayRef, ArrowError> {
    let exactly = |array: &ArrayRef, of: &DataType| {
        cast_with_options(array, of, &CastOptions { safe: false, ..CastOptions::default() })
    };
    match of {
        DataType::Dictionary(_, value) => exactly(&typed(words, value)?, of),
        DataType::Date64 => exactly(&exactly(words, &DataType::Date32)?, of),
        DataType::Float16 => exactly(&exactly(words, &DataType::Float32)?, of),
        DataType::Duration(_) => exactly(&exactly(words, &DataType::Int64)?, of),
        DataType::Timestamp(unit, Some(_)) => {
            let utc = DataType::Timestamp(*unit, Some("+00:00".into()));
            exactly(&exactly(words, &utc)?, of)
        }
        of => exactly(words, of),
    }
}

fn encoded(batch: &RecordBatch, kind: Typed) -> Result<Vec<u8>, ArrowError> {
    let mut bytes = Vec::new();
    match kind {
        Typed::Parquet => {
            let how = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(how))?;
            writer.write(batch)?;
            writer.close()?;
        }
        Typed::Arrow => {
            let mut writer = arrow_ipc::writer::FileWriter::try_new(&mut bytes, &batch.schema())?;
            writer.write(batch)?;
            writer.finish()?;
        }
    }
    Ok(bytes)
}

#[cfg(test)]
pub(crate) mod tests;
