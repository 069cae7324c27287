//! Tables as they come: without a header, with columns that never change, far from 0, beyond what was seen in training.

use super::*;

fn heard(settings: &DataSettings) -> (Data, Vec<String>) {
    let mut heard = Vec::new();
    let data = Data::open(settings, Key::from_seed(1), &mut |line| heard.push(line)).unwrap();
    (data, heard)
}

fn table(folder: &Path, name: &str, text: &str) -> DataSettings {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    DataSettings { source: path.display().to_string(), ..DataSettings::default() }
}

#[test]
fn a_first_line_of_values_is_a_row_and_said() {
    let root = tempfile::tempdir().unwrap();
    let lines: String = (0..40).map(|row| format!("{},{},{}\n", row % 9, row, ["u", "v"][row % 2])).collect();
    let settings = DataSettings { label: Some("column-3".into()), ..table(root.path(), "t.csv", &lines) };
    let (data, notes) = heard(&settings);
    assert_eq!(data.facts().rows.iter().sum::<u64>(), 40);
    assert_eq!(data.facts().columns, ["column-1", "column-2"]);
    assert_eq!(data.facts().classes, ["u", "v"]);
    assert!(notes[0].contains("the first line looks like a row"), "{notes:?}");
    assert!(notes[0].contains("data.header = \"first-line\""), "{notes:?}");
    // Asked for, nothing is said; the rows are the same.
    let (asked, notes) = heard(&DataSettings { header: Header::None, ..settings.clone() });
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(all_x(&asked), all_x(&data));
    // Years are names where one says so.
    let years = table(root.path(), "y.csv", &format!("2019,2020\n{}", "1,2\n3,5\n".repeat(9)));
    assert_eq!(heard(&years).0.facts().rows.iter().sum::<u64>(), 19);
    let (named, notes) = heard(&DataSettings { header: Header::FirstLine, ..years.clone() });
    assert_eq!((named.facts().columns.clone(), notes.len()), (vec!["2019".into(), "2020".into()], 0));
    assert_ne!(named.facts().hash, heard(&years).0.facts().hash);

    // Other rows for the model: with the made-up names as a header, as they are written, and without.
    for other in ["column-2,column-1\n7,3\n", "3,7,w\n"] {
        let other = DataSettings { source: table(root.path(), "o.csv", other).source, ..settings.clone() };
        let opened = Data::open_for(asked.facts(), &other, Key::from_seed(1), &mut |_| {});
        match opened {
            Ok(opened) => {
                let x = opened.rows(Split::Test, &[0], 0).unwrap().x;
                assert_eq!(x, data_row(&data, &[3.0, 7.0]));
            }
            Err(error) => panic!("{error}"),
        }
    }
    let named = table(root.path(), "n.csv", &format!("a,b\n{}", "1,2\n3,5\n".repeat(9)));
    let (model, _) = heard(&named);
    let other = table(root.path(), "o.csv", "1,2\n3,4\n");
    let error = message(Data::open_for(model.facts(), &other, Key::from_seed(1), &mut |_| {}));
    assert!(error.contains("name the columns in it, a, b"), "{error}");
}

/// A time stamp, a number with many digits, and two columns that vary, one of them by less than a billionth.
fn with_constants(rows: usize) -> String {
    let line = |row: usize| {
        format!("1700000000123,{},0.30000000000000004,{}\n", row % 7, 1e12 + 0.25 * (row % 5) as f64)
    };
    format!("time,a,third,near\n{}", (0..rows).map(line).collect::<String>())
}

#[test]
fn columns_that_never_change_stay_out_of_x_and_come_back() {
    let root = tempfile::tempdir().unwrap();
    let settings = table(root.path(), "t.csv", &with_constants(100));
    let (data, notes) = heard(&settings);
    let facts = data.facts();
    assert_eq!(
        (&facts.columns[..], facts.shape),
        (&["a".into(), "near".into()][..], SampleShape::Vector { columns: 2 })
    );
    assert_eq!(facts.names_of_values(), ["time", "a", "third", "near"]);
    assert!(
        notes.iter().any(|note| note.starts_with("2 columns hold one value") && note.contains("time, third"))
    );
    assert_eq!((facts.mean.len(), facts.normalisation.whole.clone()), (2, vec![0]));
    // Both columns have mean 0 and variance 1, the near one too.
    assert!(facts.mean.iter().all(|mean| mean.abs() < 1e-3), "{:?}", facts.mean);
    assert!(facts.variance.iter().all(|variance| (variance - 1.0).abs() < 1e-3), "{:?}", facts.variance);
    for (id, x) in all_x(&data).iter().enumerate() {
        let values = facts.values_from_x(x);
        assert_eq!(values[..3], [1_700_000_000_123.0, (id % 7) as f64, 0.30000000000000004]);
        assert!((values[3] - 1e12 - 0.25 * (id % 5) as f64).abs() < 1e-3, "{values:?}");
    }
    let again: Facts = toml::from_str(&toml::to_string(facts).unwrap()).unwrap();
    assert_eq!(again, *facts);
    again.check_constants().unwrap();

    // The same by place, without names: npy.
    let path = root.path().join("t.npy");
    let values: Vec<f64> = (0..40).flat_map(|row| [5.0, f64::from(row), 1e15]).collect();
    write_npy(&path, &[40, 3], StoredType::F64, &values).unwrap();
    let plain = open(&path).unwrap();
    assert_eq!(
        (plain.features(), plain.facts().names_of_values()),
        (1, vec!["x0".into(), "x1".into(), "x2".into()])
    );
    assert_eq!(plain.facts().values_from_x(&all_x(&plain).concat()), values);
    let other = DataSettings { source: path.display().to_string(), ..DataSettings::default() };
    let other = Data::open_for(plain.facts(), &other, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!(all_x(&other), all_x(&plain));

    // Rows that differ where the model saw one value are said to.
    let changed = with_constants(20).replace("\n1700000000123", "\n1700000000999");
    let mut notes = Vec::new();
    let other = table(root.path(), "o.csv", &changed);
    Data::open_for(facts, &other, Key::from_seed(1), &mut |note| notes.push(note)).unwrap();
    assert!(
        notes.iter().any(|note| note.contains("time is 1700000000123") && note.contains("1700000000999")),
        "{notes:?}"
    );
    // Nothing to learn at all; and bits, which have probabilities, all stay.
    let error =
        message(open(Path::new(&table(root.path(), "c.csv", &format!("a,b\n{}", "1,7\n".repeat(9))).source)));
    assert!(error.contains("there is nothing to learn"), "{error}");
    let bits = table(root.path(), "b.csv", &format!("a,b\n{}", "1,0\n1,1\n".repeat(9)));
    assert_eq!(heard(&bits).0.features(), 2);
}

/// What version 0.1 made of a table stays so where its facts are given, whatever would be chosen today.
#[test]
fn data_that_is_opened_again_means_what_it_meant() {
    let root = tempfile::tempdir().unwrap();
    let settings = table(root.path(), "t.csv", &with_constants(100));
    let (now, _) = heard(&settings);
    let columns = ["time", "a", "third", "near"].map(String::from).to_vec();
    let normalisation = Normalisation {
        offset: vec![f64::from(1_700_000_000_123f32), 3.0, 0.0, 0.0],
        scale: vec![1.0, 2.0, 3.0, 4.0],
        whole: vec![0, 1],
        ..now.facts().normalisation.clone()
    };
    let old = Facts {
        shape: SampleShape::Vector { columns: 4 },
        columns,
        constant: Vec::new(),
        normalisation,
        ..now.facts().clone()
    };
    let again = Data::open_again(&old, &settings, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!(again.facts().hash, now.facts().hash);
    assert_eq!((again.features(), &again.facts().normalisation), (4, &old.normalisation));
    assert_eq!(again.facts().mean.len(), 4);
    let mut expected = vec![0.0; 4];
    old.normalisation.x_from_value(&[1_700_000_000_123.0, 0.0, 0.30000000000000004, 1e12], &mut expected);
    assert_eq!(all_x(&again)[0], expected);
    // Data of other columns is opened as if for the first time: its hash tells it apart.
    let other = table(root.path(), "o.csv", &with_constants(100).replace("near", "far"));
    let other = Data::open_again(&old, &other, Key::from_seed(1), &mut |_| {}).unwrap();
    assert_eq!((other.features(), other.facts().hash == old.hash), (2, false));
}

#[test]
fn what_is_measured_is_measured_on_the_training_rows() {
    let root = tempfile::tempdir().unwrap();
    let rows = |values: &[f64]| {
        format!("a,b\n{}", values.iter().map(|v| format!("{v},{}\n", 2.0 - v)).collect::<String>())
    };
    let test = table(root.path(), "test.csv", &rows(&[5.0, 20.0, -4.0])).source;
    let train: Vec<f64> = (0..11).map(f64::from).collect();
    let settings = DataSettings {
        normalise: Normalise::Unit,
        validation: Some(Part::Fraction(0.0)),
        test: Some(Part::Path(test)),
        ..table(root.path(), "train.csv", &rows(&train))
    };
    let (data, notes) = heard(&settings);
    assert_eq!((data.facts().normalisation.offset[0], data.facts().normalisation.scale[0]), (0.0, 10.0));
    let x: Vec<f32> = data.rows(Split::Test, &[0, 1, 2], 0).unwrap().x.chunks(2).map(|x| x[0]).collect();
    assert_eq!(x, [0.5, 2.0, -0.4]);
    assert!(notes.iter().any(|note| note.contains("reach beyond the training rows in a, b")), "{notes:?}");

    // Real images without a customary range.
    let images = |name: &str, values: &[f64]| {
        let path = root.path().join(name);
        write_npy(&path, &[values.len() / 4, 2, 2], StoredType::F32, values).unwrap();
        path.display().to_string()
    };
    let settings = DataSettings {
        source: images("train.npy", &(0..40).map(|v| f64::from(v) * 10.0 - 50.0).collect::<Vec<_>>()),
        validation: Some(Part::Fraction(0.0)),
        test: Some(Part::Path(images("test.npy", &[-89.0, 0.0, 340.0, 730.0]))),
        ..DataSettings::default()
    };
    let (data, notes) = heard(&settings);
    assert_eq!(data.facts().normalisation.range, Some((-50.0, 340.0)));
    assert_eq!(data.rows(Split::Test, &[0], 0).unwrap().x, [-0.1, 50.0 / 390.0, 1.0, 2.0]);
    assert!(notes.iter().any(|note| note.contains("reach from -89 to 730")), "{notes:?}");
    // As other data the same rows are carried too; what is far beyond is taken for other units.
    let other = |source| DataSettings { source, ..DataSettings::default() };
    let open_for = |source| Data::open_for(data.facts(), &other(source), Key::from_seed(1), &mut |_| {});
    assert!(open_for(images("o.npy", &[-89.0, 0.0, 340.0, 730.0])).is_ok());
    assert!(message(open_for(images("p.npy", &[0.0, 0.0, 0.0, 9000.0]))).contains("reach from 0 to 9000"));
}

#[test]
fn numbers_that_are_told_keep_their_digits_far_from_0() {
    let root = tempfile::tempdir().unwrap();
    let text: String = (0..50).map(|row| format!("{},{}\n", row % 7, 1e14 + f64::from(row % 4))).collect();
    let settings = DataSettings {
        condition: vec!["time".into()],
        ..table(root.path(), "t.csv", &format!("a,time\n{text}"))
    };
    let (data, _) = heard(&settings);
    let rows = data.rows(Split::Train, &(0..data.len(Split::Train)).collect::<Vec<_>>(), 0).unwrap();
    let square = rows.condition.iter().map(|c| f64::from(*c).powi(2)).sum::<f64>() / rows.len() as f64;
    assert!((square - 1.0).abs() < 0.02, "{square}");
}
