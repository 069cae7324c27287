//! Every type comes back as it went in.

use std::path::PathBuf;

use arrow_array::builder::{Int32Builder, ListBuilder};
use arrow_array::{
    BooleanArray, Date32Array, Decimal128Array, DurationSecondArray, Float32Array, Float64Array, Int8Array,
    Int64Array, Time64MicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt16Array,
};

use super::*;
use crate::Key;
use crate::data::table::{fill_gaps, write_rows};
use crate::data::{ColumnSettings, Data, Part, Split, TableAs};

const ROWS: usize = 60;

/// A value of each row, each seventh a null.
fn with_nulls<T>(of: impl Fn(usize) -> T) -> impl Iterator<Item = Option<T>> {
    (0..ROWS).map(move |row| (row % 7 != 3).then(|| of(row)))
}

/// A column of every type that is one word a value.
fn batch() -> RecordBatch {
    let words: ArrayRef =
        Arc::new(with_nulls(|row| ["Köln", "a, \"b\"\nc", " 東京"][row % 3]).collect::<StringArray>());
    let as_type = |of: DataType| cast(&words, &of).unwrap();
    let dictionary = DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::Utf8));
    let second = |row: usize| 1_600_000_000 + 1800 * (row % 5) as i64;
    let times =
        TimestampNanosecondArray::from_iter(with_nulls(|row| second(row) * 1_000_000_000 + 500_000_000));
    let berlin = TimestampMillisecondArray::from_iter(with_nulls(|row| second(row) * 1000))
        .with_timezone("Europe/Berlin");
    let ahead =
        TimestampMillisecondArray::from_iter(with_nulls(|row| second(row) * 1000)).with_timezone("+02:00");
    let money = Decimal128Array::from_iter(with_nulls(|row| 1999 + 50 * (row % 4) as i128));
    let days = Date32Array::from_iter(with_nulls(|row| 18_000 + (row % 6) as i32));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("tiny", Arc::new(Int8Array::from_iter(with_nulls(|row| (row % 5) as i8 - 2)))),
        ("count", Arc::new(UInt16Array::from_iter(with_nulls(|row| 60_000 + (row % 4) as u16)))),
        ("large", Arc::new(Int64Array::from_iter(with_nulls(|row| 4_000_000_000_000 + (row % 3) as i64)))),
        ("single", Arc::new(Float32Array::from_iter(with_nulls(|row| 0.1 * (row % 5) as f32)))),
        ("double", Arc::new(Float64Array::from_iter(with_nulls(|row| 1e-7 * (row % 5) as f64)))),
        ("money", Arc::new(money.with_precision_and_scale(10, 2).unwrap())),
        ("is", Arc::new(BooleanArray::from_iter(with_nulls(|row| row % 2 == 0)))),
        ("city", words.clone()),
        ("long", as_type(DataType::LargeUtf8)),
        ("view", as_type(DataType::Utf8View)),
        ("coded", as_type(dictionary)),
        ("midnight", cast(&days, &DataType::Date64).unwrap()),
        ("day", Arc::new(days)),
        ("time", Arc::new(times)),
        ("berlin", Arc::new(berlin)),
        ("ahead", Arc::new(ahead)),
        (
            "clock",
            Arc::new(Time64MicrosecondArray::from_iter(with_nulls(|row| second(row) % 86_400 * 1_000_000))),
        ),
        ("span", Arc::new(DurationSecondArray::from_iter(with_nulls(|row| (row % 4) as i64 * 90)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .unwrap()
}

/// A file of them.
pub(crate) fn bytes(kind: Typed) -> Vec<u8> {
    encoded(&batch(), kind).unwrap()
}

fn file(folder: &tempfile::TempDir, name: &str, batch: &RecordBatch) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, encoded(batch, Typed::of_ending(&path).unwrap()).unwrap()).unwrap();
    path
}

fn settings(path: &Path) -> DataSettings {
    let none = Some(Part::Fraction(0.0));
    DataSettings {
        source: path.display().to_string(),
        validation: none.clone(),
        test: none,
        ..DataSettings::default()
    }
}

fn open(settings: &DataSettings) -> Result<Data, DataError> {
    Data::open(settings, Key::from_seed(1), &mut |_| {})
}

/// What a file holds: the type of each column, and the values of each row, in whatever order.
fn contents(path: &Path) -> (Vec<String>, Vec<Vec<String>>) {
    let TypedColumns { cells, types } =
        read(path, Typed::of_ending(path).unwrap(), &DataSettings::default()).unwrap();
    let word =
        |row: usize| cells.iter().map(|column| column.words[column.of[row] as usize].clone()).collect();
    let mut rows: Vec<Vec<String>> = (0..cells[0].of.len()).map(word).collect();
    rows.sort();
    (types, rows)
}

#[test]
fn every_type_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let batch = batch();
    for ending in ["parquet", "arrow", "feather"] {
        let path = file(&folder, &format!("t.{ending}"), &batch);
        let data = open(&settings(&path)).unwrap();
        let table = data.facts().table.clone().unwrap();
        let rows = data.rows(Split::Train, &(0..ROWS).collect::<Vec<_>>(), 0).unwrap();
        let back = folder.path().join(format!("back.{ending}"));
        write_rows(&back, &table, &table.words(&rows.x, Key::from_seed(1))).unwrap();
        let ((types, read), (wanted, was)) = (contents(&back), contents(&path));
        assert_eq!(types, wanted);
        assert_eq!(types[5], "Decimal128(10, 2)");
        assert_eq!(read, was);
        let kinds: Vec<&str> = table.columns.iter().map(|column| column.kind.name()).collect();
        assert_eq!(kinds[..7], ["number", "number", "number", "number", "number", "number", "boolean"]);
        assert_eq!(kinds[11..], ["date", "date", "date", "date", "date", "date", "number"]);
    }
    // Words are those of a csv file: times of one format, with decimals only where there are some.
    let (_, rows) = contents(&folder.path().join("t.parquet"));
    let row = rows.iter().find(|row| row[1] == "60000" && row[0] == "-2").unwrap();
    assert_eq!(
        row[11..18],
        [
            "2019-04-14",
            "2019-04-14",
            "2020-09-13 12:26:40.500000",
            "2020-09-13 12:26:40+00:00",
            "2020-09-13 12:26:40+00:00",
            "12:26:40",
            "0"
        ]
        .map(String::from)
    );
}

#[test]
fn a_text_file_is_written_with_types() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let line = |row: usize| {
        format!(
            "{},{},{},{},{}\n",
            row % 9,
            if row.is_multiple_of(5) { "?".into() } else { format!("{}.5", row % 7) },
            ["yes", "no"][row % 2],
            ["True", "False"][row % 2],
            ["2020-01-02", "2020-02-29"][row % 2]
        )
    };
    let text: String = (0..ROWS).map(line).collect();
    std::fs::write(&path, format!("n,x,word,is,day\n{text}")).unwrap();
    let data = open(&settings(&path)).unwrap();
    let table = data.facts().table.clone().unwrap();
    let rows = data.rows(Split::Train, &(0..ROWS).collect::<Vec<_>>(), 0).unwrap();
    let back = folder.path().join("t.parquet");
    write_rows(&back, &table, &table.words(&rows.x, Key::from_seed(1))).unwrap();
    let (types, read) = contents(&back);
    assert_eq!(types, ["Int64", "Float64", "Utf8", "Boolean", "Date32"]);
    assert_eq!(read.iter().filter(|row| row[1].is_empty()).count(), ROWS / 5);
}

#[test]
fn gaps_are_filled_and_all_else_stays() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, "t.parquet", &batch());
    let data = open(&settings(&path)).unwrap();
    let table = data.facts().table.clone().unwrap();
    let (place, full) = (table.place("tiny").unwrap(), folder.path().join("full.parquet"));
    let gaps = (0..ROWS).filter(|row| row % 7 == 3).count() as u64;
    let word = |row: usize, column: usize| (row % 7 == 3 && column == place).then(|| "2".to_string());
    assert_eq!(fill_gaps(&path, &full, &table, &word).unwrap(), gaps);
    let ((types, read), (wanted, was)) = (contents(&full), contents(&path));
    assert_eq!(types, wanted);
    let filled = |mut row: Vec<String>| {
        if row[0].is_empty() {
            row[0] = "2".into();
        }
        row
    };
    let mut was: Vec<_> = was.into_iter().map(filled).collect();
    was.sort();
    assert_eq!(read, was);
    let error = fill_gaps(&path, &folder.path().join("full.csv"), &table, &word).unwrap_err().to_string();
    assert!(error.contains("end both alike"), "{error}");
}

#[test]
fn what_is_no_word_is_refused_unless_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut lists = ListBuilder::new(Int32Builder::new());
    (0..ROWS).for_each(|row| lists.append_value([Some(row as i32), None]));
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter((0..ROWS).map(|row| Some((row % 8) as i64))));
    let both = [("n", numbers), ("parts", Arc::new(lists.finish()) as ArrayRef)];
    let path = file(&folder, "t.parquet", &RecordBatch::try_from_iter(both).unwrap());
    let mut settings = settings(&path);
    let error = open(&settings).unwrap_err().to_string();
    assert!(
        error.contains("column \"parts\" holds values of the type List") && error.contains("drop"),
        "{error}"
    );
    settings
        .columns
        .insert("parts".into(), ColumnSettings { kind: Some(ColumnKind::Drop), ..ColumnSettings::default() });
    assert_eq!(open(&settings).unwrap().facts().columns, ["n"]);
    settings.table = TableAs::Numbers;
    assert!(open(&settings).unwrap_err().to_string().contains("leave data.table out"));
}

#[test]
fn damaged_files_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    for ending in ["parquet", "arrow"] {
        let path = file(&folder, &format!("t.{ending}"), &batch());
        let whole = std::fs::read(&path).unwrap();
        for length in [8, whole.len() / 2, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let error = open(&settings(&path)).unwrap_err().to_string();
            assert!(error.contains("no sound") && error.contains("write it again"), "{error}");
        }
    }
}
