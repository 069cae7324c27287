//! Every sort of column comes back as it went in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Alike, Column, DateFormat, GAP, Kind, NumberFormat, Scale, Table};
use crate::Key;
use crate::data::{ColumnKind, ColumnSettings, Data, DataError, DataSettings, Part, Rows, Split, ValueKind};

fn file(folder: &tempfile::TempDir, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn settings(path: &Path) -> DataSettings {
    DataSettings {
        source: path.display().to_string(),
        validation: Some(Part::Fraction(0.0)),
        test: Some(Part::Fraction(0.0)),
        ..DataSettings::default()
    }
}

fn open(path: &Path) -> Result<Data, DataError> {
    Data::open(&settings(path), Key::from_seed(1), &mut |_| {})
}

fn opened(text: impl AsRef<[u8]>) -> Data {
    let folder = tempfile::tempdir().unwrap();
    open(&file(&folder, "t.csv", text)).unwrap()
}

fn rows(data: &Data) -> Rows {
    data.rows(Split::Train, &(0..data.len(Split::Train)).collect::<Vec<_>>(), 0).unwrap()
}

fn table(data: &Data) -> Arc<Table> {
    data.facts().table.clone().unwrap()
}

fn column<'a>(table: &'a Table, name: &str) -> &'a Column {
    table.columns.iter().find(|column| column.name == name).unwrap()
}

/// The words of all rows, as a file would have them.
fn written(data: &Data) -> Vec<Vec<String>> {
    table(data).words(&rows(data).x, Key::from_seed(1)).columns
}

const PEOPLE: &str = "id,age,price,city,member,when,day,note,nothing\n\
    P-0007,39,1.50,Köln,yes,2010-01-02T00:00:00+02:00,31.12.1999,x,\n\
    P-0008,?,2.25,\"a, \"\"b\"\"\nc\",no,2010-01-02T01:00:00+02:00,01.01.2000,x,\n\
    P-0009,17,10.00,Köln,yes,2010-03-28T12:30:00+02:00,NA,x,\n\
    P-0010,90,0.05,東京,,2010-01-02T01:00:00+02:00,29.02.2000,x,\n";

#[test]
fn columns_are_what_they_look_like() {
    let data = opened(PEOPLE);
    let table = table(&data);
    let kinds: Vec<&str> = table.columns.iter().map(|column| column.kind.name()).collect();
    let expected =
        ["identifier", "number", "number", "category", "boolean", "date", "date", "constant", "constant"];
    // Four rows are too few to call anything an identifier: it is asked for below.
    assert_eq!(kinds[1..], expected[1..]);
    assert_eq!(data.facts().kind, ValueKind::Mixed);
    let folder = tempfile::tempdir().unwrap();
    let mut asked = settings(&file(&folder, "t.csv", PEOPLE));
    asked.columns.insert(
        "id".into(),
        ColumnSettings { kind: Some(ColumnKind::Identifier), ..ColumnSettings::default() },
    );
    let data = Data::open(&asked, Key::from_seed(1), &mut |_| {}).unwrap();
    let words = written(&data);
    assert_eq!(words[0], ["P-0011", "P-0012", "P-0013", "P-0014"]);
    assert_eq!(data.identifiers(Split::Train).unwrap().1, ["P-0007", "P-0008", "P-0009", "P-0010"]);
    // Everything else comes back to the letter.
    assert_eq!(words[1], ["39", "?", "17", "90"]);
    assert_eq!(words[2], ["1.50", "2.25", "10.00", "0.05"]);
    assert_eq!(words[3], ["Köln", "a, \"b\"\nc", "Köln", "東京"]);
    assert_eq!(words[4], ["yes", "no", "yes", ""]);
    assert_eq!(words[5][2], "2010-03-28T12:30:00+02:00");
    assert_eq!(words[6], ["31.12.1999", "01.01.2000", "NA", "29.02.2000"]);
    assert_eq!((words[7][0].as_str(), words[8][0].as_str()), ("x", ""));
}

#[test]
fn dates_of_every_format_come_back() {
    for words in [
        &["2024-02-29", "1969-12-31"][..],
        &["29.02.2024", "01.03.0001"],
        &["12/31/1999", "01/02/2000"],
        &["2024-02-29 23:59:59", "1900-01-01 00:00:00"],
        &["2024-02-29T23:59:59.250Z", "2024-02-29T23:59:59.000Z"],
        &["2024-02-29 23:59-0530", "2024-03-01 00:00-0530"],
        &["23:59", "00:00"],
        &["1/2/2024", "31/12/2024"],
        &["2024-07"],
    ] {
        let format = DateFormat::of(words, None).unwrap_or_else(|| panic!("{words:?}"));
        for word in words {
            assert_eq!(format.word(format.value(word).unwrap()), *word, "{format:?}");
        }
    }
    for bad in [&["2023-02-29"][..], &["2024-13-01"], &["2024-01-01", "x"], &["24:00"], &["12"], &["1.5"]] {
        assert!(DateFormat::of(bad, None).is_none(), "{bad:?}");
    }
    // Several zones are one instant each.
    let format = DateFormat::of(&["2024-01-01 12:00+01:00", "2024-01-01 11:00+00:00"], None).unwrap();
    assert!(format.several_zones);
    assert_eq!(format.value("2024-01-01 12:00+01:00"), format.value("2024-01-01 11:00+00:00"));
}

#[test]
fn numbers_keep_their_decimals_and_their_grid() {
    for (words, grid) in [
        (&["1", "5", "9"][..], Some((4.0, 1.0))),
        (&["0.25", "0.50", "1.00"], Some((0.25, 0.25))),
        (&["1.5", "2", "-3.25"], Some((0.25, -3.25))),
        (&["1000000", "3000000"], Some((2_000_000.0, 1_000_000.0))),
        (&["0.123456789012", "2"], None),
        (&["-0.001", "0"], Some((0.001, -0.001))),
    ] {
        let format = NumberFormat::of(words.iter().copied(), false);
        assert_eq!(format.grid(), grid, "{words:?}");
        words.iter().for_each(|word| assert_eq!(format.word(format.value(word).unwrap()), *word));
    }
    let comma = NumberFormat::of(["1,5", "2,25"].into_iter(), true);
    assert_eq!((comma.value("1,5"), comma.word(2.25)), (Some(1.5), "2,25".into()));
    for code in ["007", "inf", "nan", "0x1", "1e999", "", "-", "1 2"] {
        assert_eq!(super::number::parse(code, false), None, "{code}");
    }
}

#[test]
fn levels_hold_the_training_rows_and_reach_their_ends() {
    // A zero-inflated, heavy-tailed column of cents.
    let value =
        |i: u32| if i.is_multiple_of(3) { 0.0 } else { (f64::from(i * i % 99_991) * 7.0).round() / 100.0 };
    let values: Vec<f64> = (0..9000).map(value).collect();
    let scale = Scale::of_values(values.clone(), 0.01);
    scale.check().unwrap();
    let (least, most) = (0.0, values.iter().copied().fold(0.0, f64::max));
    assert_eq!((scale.low[0], scale.high[scale.levels() - 1]), (least, most));
    assert_eq!((scale.low[0], scale.high[0]), (0.0, 0.0), "what comes often is a level of its own");
    assert!((f64::from(scale.shares[0]) - 1.0 / 3.0).abs() < 0.01);
    assert!((scale.shares.iter().sum::<f32>() - 1.0).abs() < 1e-4);
    for value in &values {
        let level = scale.level_of(*value);
        assert!(scale.low[level] <= *value && *value <= scale.high[level], "{value} {level}");
        let x = scale.x_from_value(*value);
        assert_eq!(x as usize, level);
        // x is in single precision: within a wide level a value is known to a step of its grid.
        assert!((scale.value_from_x(x) - value).abs() < 0.01 + 1e-6, "{value} {}", scale.value_from_x(x));
        assert_eq!(scale.level(scale.digits(level)), level);
    }
    // Every value of the grid between the ends is in just one level, so that its probabilities sum to 1.
    let held: f64 = (0..scale.levels()).map(|level| scale.width(level)).sum();
    assert!(held <= (most / 0.01).round() + 1.0);
    // Beyond the ends is the end.
    assert_eq!(scale.level_of(-5.0), 0);
    assert_eq!(scale.level_of(1e12), scale.levels() - 1);
}

#[test]
fn stretches_of_real_numbers_touch_each_other() {
    let values: Vec<f64> =
        (0..5000).map(|i: u32| (f64::from(i) * 0.7).sin() * (1.0 + f64::from(i % 7))).collect();
    let scale = Scale::of_values(values.clone(), 0.0);
    scale.check().unwrap();
    let span: f64 = (0..scale.levels()).filter(|l| scale.is_stretch(*l)).map(|l| scale.width(l)).sum();
    let (least, most) = (scale.low[0], scale.high[scale.levels() - 1]);
    assert!((span - (most - least)).abs() < 1e-9, "{span} {least} {most}");
    for value in values {
        assert!((scale.value_from_x(scale.x_from_value(value)) - value).abs() < 1e-3 * (most - least));
    }
}

#[test]
fn tables_at_the_edge() {
    let error = |text: &str| {
        let folder = tempfile::tempdir().unwrap();
        open(&file(&folder, "t.csv", text)).unwrap_err().to_string()
    };
    // One column, of one row each.
    let data = opened("a\nx\ny\nx\n");
    assert_eq!(written(&data)[0], ["x", "y", "x"]);
    assert_eq!(written(&opened("a,b\nx,1\n"))[0], ["x"]);
    // A column with one word in every row is no part of x.
    let data = opened("a,b\nx,p\nx,q\nx,p\n");
    assert_eq!((data.features(), written(&data)[0].clone()), (1, vec!["x".to_string(); 3]));
    assert!(error("a,b\nx,y\nx,y\n").contains("no column is left"));
    assert!(error("a,b\nx,1\ny\n").contains("line 3"));
    let mut typo: String = "a,b\n".into();
    (0..40).for_each(|i| typo.push_str(&format!("{i},u\n")));
    typo.push_str("4O,v\n");
    let said = error(&typo);
    assert!(said.contains("line 42") && said.contains("\"4O\"") && said.contains("missing = "), "{said}");
    let mut text: String = "a,b\n".into();
    (0..60)
        .for_each(|i| text.push_str(&format!("{} {} words,{}\n", i * 7, "many ".repeat(i % 5 + 1), i % 2)));
    assert!(error(&text).contains("free text"), "{}", error(&text));
    assert!(error("a,b\n\u{fffd}").contains("line 2"));
    // Many columns.
    let names: Vec<String> = (0..3000).map(|i| format!("c{i}")).collect();
    let line = |row: usize| (0..3000).map(|i| ["u", "v", "w"][(i + row) % 3]).collect::<Vec<_>>().join(",");
    let data = opened(format!("{}\n{}\n{}\n{}\n", names.join(","), line(0), line(1), line(2)));
    assert_eq!((data.features(), written(&data)[7][0].as_str()), (3000, "v"));
}

#[test]
fn separators_marks_and_packing_are_found_out() {
    let plain = written(&opened("a;b\nx;1,5\ny;2,25\nx;1,5\n"));
    assert_eq!(plain, [["x", "y", "x"], ["1,5", "2,25", "1,5"]]);
    let marked = opened("\u{feff}a\tb\r\nx\t1\r\ny\t\r\n");
    assert_eq!(written(&marked)[1], ["1", ""]);
    assert_eq!(rows(&marked).x[3], GAP);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv.gz");
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, b"a,b\nx,1\ny,2\n").unwrap();
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    assert_eq!(written(&open(&path).unwrap())[0], ["x", "y"]);
    // Without names columns have numbers, and the file that is written has no names.
    let headless = opened("M,1\nF,2\nM,3\n");
    let table = table(&headless);
    assert_eq!((table.header, table.columns[0].name.as_str()), (false, "column-1"));
}

#[test]
fn other_data_is_read_by_the_models_columns() {
    let data = opened("a,b,c\nred,1,u\ngreen,2,v\nred,3,u\nblue,2,v\n");
    let folder = tempfile::tempdir().unwrap();
    let mut log = Vec::new();
    let mut other = |text: &str| {
        let path = file(&folder, "o.csv", text);
        log.clear();
        let opened =
            Data::open_for(data.facts(), &settings(&path), Key::from_seed(1), &mut |line| log.push(line));
        (opened.map_err(|error| error.to_string()), log.join("\n"))
    };
    // Reordered, with one more.
    let (found, said) = other("z,c,b,a\n9,u,2,blue\n");
    let found = found.unwrap();
    let own = found.rows(Split::Test, &[0], 0).unwrap();
    let columns = table(&data);
    assert_eq!(columns.words(&own.x, Key::from_seed(1)).columns, [["blue"], ["2"], ["u"]]);
    assert!(said.contains("left out: z"), "{said}");
    assert!(other("a,b\nred,1\n").0.unwrap_err().contains("no column \"c\""));
    assert!(other("a,b,c\nred,many,u\n").0.unwrap_err().contains("is no number"));
    // A word that training never had is as good as none, and said, with the nearest that it had.
    let (found, said) = other("a,b,c\ngren,2,u\nred,2,u\n");
    assert_eq!(found.unwrap().rows(Split::Test, &[0], 0).unwrap().x[0], GAP);
    assert!(said.contains("green"), "{said}");
}

#[test]
fn a_table_goes_through_the_header_of_a_model_file() {
    let data = opened(PEOPLE);
    let table = table(&data);
    assert_eq!(Table::from_json(&table.to_json().unwrap()).unwrap(), *table);
    let mut broken = (*table).clone();
    let scale = broken.columns.iter_mut().find_map(|column| column.scale.as_mut()).unwrap();
    scale.groups[0] = 5;
    assert!(Table::from_json(&broken.to_json().unwrap()).is_err());
    assert!(matches!(column(&table, "member").kind, Kind::Category { .. }));
}

#[test]
fn columns_that_repeat_each_other_are_found_and_others_are_not() {
    // b is a in two rows of three, c has the same values in another order, d is a in other units.
    let line = |i: u64| {
        let a = i * 7919 % 3001;
        let b = if i.is_multiple_of(3) { i * 104_729 % 3001 } else { a };
        format!("{a},{b},{},{},{}", i * 15_485_863 % 3001, 5000 + 10 * a, ["x", "y"][i as usize % 2])
    };
    let lines: Vec<String> = (0..3000).map(line).collect();
    let table = table(&opened(format!("a,b,c,d,e\n{}\n", lines.join("\n"))));
    let pairs: Vec<(usize, usize)> = table.alike.iter().map(|alike| (alike.column, alike.like)).collect();
    assert_eq!(pairs, [(0, 1), (1, 0)]);
    // Rows are near in two of three, and by chance in one of 32.
    for alike in &table.alike {
        assert!((alike.share - 0.646).abs() < 0.03, "{}", alike.share);
    }
    assert_eq!(Table::from_json(&table.to_json().unwrap()).unwrap(), *table);
}

#[test]
fn columns_that_are_a_sum_of_two_others_in_many_rows_are_found() {
    // In half of the rows what is owed is what was owed with 2 % interest, less what was paid, and nothing is told of the others.
    let line = |i: u64| {
        let [old, paid] = [i * 7919 % 1501, i * 104_729 % 907];
        let owed = if i.is_multiple_of(2) {
            (102 * old) as i64 / 100 - paid as i64
        } else {
            (i * 15_485_863 % 1409) as i64
        };
        format!("{old},{paid},{owed},{},{}", i * 32_452_843 % 1013, ["x", "y"][i as usize % 2])
    };
    let lines: Vec<String> = (0..4000).map(line).collect();
    let table = table(&opened(format!("old,paid,owed,other,word\n{}\n", lines.join("\n"))));
    let sums: Vec<&Alike> = table.alike.iter().filter(|alike| alike.and.is_some()).collect();
    assert_eq!(sums.iter().map(|sum| sum.column).collect::<Vec<_>>(), [0, 1, 2]);
    for sum in sums {
        let and = sum.and.unwrap();
        let expected = match sum.column {
            0 => [(1, 1.0 / 1.02), (2, 1.0 / 1.02)],
            1 => [(0, 1.02), (2, -1.0)],
            _ => [(0, 1.02), (1, -1.0)],
        };
        let mut parts = [(sum.like, sum.times), and];
        parts.sort_by_key(|part| part.0);
        for ((column, times), (other, exact)) in parts.into_iter().zip(expected) {
            assert!(column == other && (times / exact - 1.0).abs() < 0.01, "{sum:?}");
        }
        assert!((0.3..0.5).contains(&sum.share), "{sum:?}");
    }
    assert_eq!(Table::from_json(&table.to_json().unwrap()).unwrap(), *table);
}
