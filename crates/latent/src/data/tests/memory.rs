//! Data that a program holds: the same as files, and what only it can say (gaps, weights).

use super::*;
use crate::data::table::WordColumn;

fn from_memory(text: &str, memory: Memory) -> Result<Data, DataError> {
    let settings: DataSettings = toml::from_str(text).unwrap();
    Data::from_memory(memory, &settings, Key::from_seed(1), &mut |_| {})
}

fn assert_same(memory: &Data, file: &Data) {
    assert_eq!(Facts { source: file.facts().source.clone(), ..memory.facts().clone() }, *file.facts());
    for split in Split::ALL {
        let positions: Vec<usize> = (0..file.len(split)).collect();
        assert_eq!(memory.rows(split, &positions, 3).unwrap(), file.rows(split, &positions, 3).unwrap());
    }
}

#[test]
fn memory_is_what_a_file_of_the_same_numbers_is() {
    let folder = tempfile::tempdir().unwrap();
    let levels: Vec<u8> = (0..600u32).map(|v| (v * v % 251) as u8).collect();
    let reals: Vec<f32> = levels.iter().map(|&v| f32::from(v) / 7.0 - 3.0).collect();
    let bytes: Vec<u8> = reals.iter().flat_map(|v| v.to_le_bytes()).collect();
    let deep: Vec<u16> = levels.iter().map(|&v| u16::from(v) * 250).collect();
    let deep_bytes: Vec<u8> = deep.iter().flat_map(|v| v.to_le_bytes()).collect();
    for text in ["", "flip = 'horizontal'\nlimit = 20", "image.size = 3\nvalidation = 0.3"] {
        let file = open_with(text, &npy(folder.path(), "|u1", false, "(25, 4, 6)", &levels)).unwrap();
        assert_same(&from_memory(text, Memory::images(levels.clone(), 1, 4, 6)).unwrap(), &file);
        let file = open_with(text, &npy(folder.path(), "<u2", false, "(12, 2, 5, 5)", &deep_bytes));
        let memory = from_memory(text, Memory::images(deep.clone(), 2, 5, 5));
        assert_same(&memory.unwrap(), &file.unwrap());
    }
    for text in ["", "normalise = 'unit'\nbinarize = 'dynamic'"] {
        let shape = SampleShape::Vector { columns: 24 };
        let file = open_with(text, &npy(folder.path(), "<f4", false, "(25, 24)", &bytes)).unwrap();
        assert_same(&from_memory(text, Memory::new(shape, reals.clone())).unwrap(), &file);
    }
    let memory = from_memory("", Memory::images(levels, 1, 4, 6).named("levels")).unwrap();
    assert_eq!(memory.facts().source, "levels");
    assert_eq!(memory.summary(&DataSettings::default()).format, "memory");
}

#[test]
fn a_named_table_is_what_a_csv_file_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.csv");
    let row = |n: usize| [(n * n % 13) as f64, 20.0 + n as f64, n as f64 / 8.0];
    let lines = (0..60).map(|n| {
        let [a, age, b] = row(n);
        format!("{a},{age},{b},{},{}\n", ["v", "u"][n % 2], n / 3)
    });
    fs::write(&path, format!("a,age,b,label,person\n{}", lines.collect::<String>())).unwrap();
    let told = "condition = ['label', 'age']";
    let file = open_with(&format!("{told}\nlabel = 'label'\ngroup = 'person'"), &path).unwrap();
    let labels = || (0..60).map(|n| ["v", "u"][n % 2]);
    let groups = || (0..60).map(|n| n / 3);
    let columns = Memory::table(["a", "age", "b"], (0..60).flat_map(row).collect::<Vec<f64>>());
    let columns = from_memory(told, columns.labels(labels()).groups(groups())).unwrap();
    let apart = (0..60).map(row).flat_map(|[a, _, b]| [a, b]).collect::<Vec<f64>>();
    let apart = Memory::table(["a", "b"], apart).condition("age", (0..60).map(|n| row(n)[1]).collect());
    let apart = from_memory(told, apart.labels(labels()).groups(groups())).unwrap();
    assert_same(&apart, &columns);
    // Names of columns are part of the hash by the settings alone.
    let settings = |data: &Data| Facts { hash: String::new(), source: String::new(), ..data.facts().clone() };
    assert_eq!(settings(&columns), settings(&file));
    assert_eq!(columns.rows(Split::Test, &[0, 1], 0).unwrap(), file.rows(Split::Test, &[0, 1], 0).unwrap());

    // For a trained model, columns are found by name.
    let other = || Memory::table(["b", "extra", "a"], vec![1.0f32, 9.0, 2.0]).labels(["u"]);
    let other_for =
        |memory| Data::memory_for(file.facts(), memory, &settings_of(told), Key::from_seed(1), &mut |_| {});
    let opened = other_for(other().condition("age", vec![33.0])).unwrap();
    let got = opened.rows(Split::Test, &[0], 0).unwrap();
    assert_eq!(got.x, data_row(&file, &[2.0, 1.0]));
    let typed = [("label".to_string(), "u".to_string()), ("age".into(), "33".into())];
    assert_eq!(got.condition, file.facts().condition_of(&typed).unwrap());
    assert_eq!(
        message(other_for(other())),
        "memory: there is no column \"age\", which the model is told beside x; give it with `Memory::condition`"
    );
    let error = message(other_for(Memory::table(["b", "c"], vec![1.0f32, 9.0])));
    assert_eq!(
        error,
        "memory: there is no column \"a\", which the model was trained on; the model wants a, b"
    );
}

fn settings_of(text: &str) -> DataSettings {
    toml::from_str(text).unwrap()
}

#[test]
fn conditions_that_are_given_and_not_used_are_mentioned() {
    let memory = || Memory::table(["a"], vec![1.0f32; 20]).condition("age", vec![1.0; 20]);
    let mut heard = Vec::new();
    Data::from_memory(memory(), &DataSettings::default(), Key::from_seed(1), &mut |line| heard.push(line))
        .unwrap();
    assert!(heard[0].starts_with("the condition \"age\" is not used"), "{heard:?}");
    assert_eq!(
        message(from_memory("condition = ['ages']", memory())),
        "data.condition: the rows in memory have no numbers \"ages\" (did you mean \"age\"?); they have \"age\", \"a\""
    );
    assert!(message(from_memory("condition = ['label']", memory())).contains("`Memory::labels`"));
    let constant = from_memory("condition = ['age']", memory()).unwrap().summary(&DataSettings::default());
    assert!(constant.warnings.iter().any(|w| w.starts_with("age is 1 in every training row")), "{constant}");
}

#[test]
fn missing_values_are_left_out_and_masked() {
    let nan = f64::NAN;
    // Columns: 0 to 29, of which every third is missing; and a constant.
    let observed = |row: usize| !row.is_multiple_of(3);
    let values = |gap: f64| -> Vec<f64> {
        (0..30).flat_map(|row| [if observed(row) { row as f64 } else { gap }, 5.0]).collect()
    };
    let mask: Vec<bool> = (0..30).flat_map(|row| [observed(row), true]).collect();
    let memory = |gap| Memory::table(["a", "b"], values(gap)).mask(mask.clone());
    let data = from_memory("", memory(nan)).unwrap();
    let kept: Vec<f64> =
        data.ids(Split::Train).iter().filter(|id| observed(**id as usize)).map(|id| *id as f64).collect();
    let mean = kept.iter().sum::<f64>() / kept.len() as f64;
    let variance = kept.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / kept.len() as f64;
    let normalisation = &data.facts().normalisation;
    assert!((normalisation.offset[0] - mean).abs() < 1e-5);
    assert!((normalisation.scale[0] - variance.sqrt()).abs() < 1e-5);
    assert!(data.facts().mean[0].abs() < 1e-6 && (data.facts().variance[0] - 1.0).abs() < 1e-5);
    // The constant is put back, and is no number of x.
    assert_eq!((normalisation.whole.as_slice(), data.features()), ([0].as_slice(), 1));
    assert_eq!(data.facts().constant[0].column, 1);
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        let rows = data.rows(split, &positions, 0).unwrap();
        assert_eq!(rows.mask.len(), rows.x.len());
        for ((id, x), mask) in rows.ids.iter().zip(&rows.x).zip(&rows.mask) {
            let is_there = observed(*id as usize);
            let expected = (*id as f64 - normalisation.offset[0]) / normalisation.scale[0];
            assert_eq!(*x, if is_there { expected as f32 } else { 0.0 });
            assert_eq!(*mask, f32::from(u8::from(is_there)));
        }
    }
    // What stands in a gap is never read; that it is a gap is part of the hash.
    assert_eq!(from_memory("", memory(1e300)).unwrap().facts(), data.facts());
    let zeros = from_memory("", Memory::table(["a", "b"], values(0.0))).unwrap();
    assert_ne!(zeros.facts().hash, data.facts().hash);
    let all = from_memory("", Memory::table(["a", "b"], values(0.0)).mask(vec![true; 60])).unwrap();
    assert_eq!(all.facts(), zeros.facts());
    assert!(all.rows(Split::Train, &[0], 0).unwrap().mask.is_empty());
    assert_eq!(
        message(from_memory("", Memory::table(["a", "b"], values(nan)))),
        "memory: row 0, column 0 is NaN; remove the row, fill in a number, or mark it as missing with a mask (rows \
         and columns are counted from 0)"
    );
    let none: Vec<bool> = (0..60).map(|at| at % 2 == 0).collect();
    assert_eq!(
        message(from_memory("", Memory::table(["a", "b"], values(0.0)).mask(none))),
        "memory: column \"b\" is missing in every training row; leave it out, or give rows that have it"
    );
    // Other data for a trained model may lack everything.
    let empty = Memory::table(["a", "b"], vec![nan; 4]).mask(vec![false; 4]);
    let empty =
        Data::memory_for(data.facts(), empty, &DataSettings::default(), Key::from_seed(1), &mut |_| {});
    let rows = empty.unwrap().rows(Split::Test, &[0, 1], 0).unwrap();
    assert_eq!((rows.x, rows.mask), (vec![0.0; 2], vec![0.0; 2]));
}

#[test]
fn masks_of_images_turn_with_them() {
    // The left column of each image is missing, the rest counts up.
    let levels: Vec<u8> = (0..40 * 6).map(|v| (v % 6 * 40) as u8).collect();
    let mask: Vec<bool> = (0..40 * 6).map(|v| v % 3 != 0).collect();
    let memory = || Memory::images(levels.clone(), 1, 2, 3).mask(mask.clone());
    let data = from_memory("flip = 'horizontal'", memory()).unwrap();
    assert_eq!(data.facts().kind, ValueKind::Grey);
    let straight = ([0.0, 1.0, 1.0, 0.0, 1.0, 1.0], [0.0, 40.0, 80.0, 0.0, 160.0, 200.0]);
    let turned = ([1.0, 1.0, 0.0, 1.0, 1.0, 0.0], [80.0, 40.0, 0.0, 200.0, 160.0, 0.0]);
    let mut seen = [0, 0];
    for epoch in 0..30 {
        let rows = data.rows_to_learn(Split::Train, &[0], epoch).unwrap();
        let levels: Vec<f32> = rows.x.iter().map(|x| (x * 255.0).round()).collect();
        assert!(
            (rows.mask == straight.0 && levels == straight.1)
                || (rows.mask == turned.0 && levels == turned.1)
        );
        seen[usize::from(rows.mask == turned.0)] += 1;
    }
    assert!(seen[0] > 3 && seen[1] > 3, "{seen:?}");
    // A picture as a whole is standardised by the pixels that are there: 40, 80, 160, 200.
    let whole = from_memory("normalise = 'standardise'", memory()).unwrap();
    assert_eq!(whole.facts().normalisation.offset, [120.0]);
    assert!((whole.facts().normalisation.scale[0] - 4000f64.sqrt()).abs() < 1e-4);
    assert_eq!(whole.facts().mean[0], 0.0);
    // Fixed bits are counted where they are there.
    let bits = from_memory("binarize = 'threshold'", memory()).unwrap();
    assert_eq!(bits.facts().mean, [0.0, 0.0, 0.0, 0.0, 1.0, 1.0]);
    let error = message(from_memory("image.size = 2", memory()));
    assert!(error.starts_with("data.image: a mask belongs to the pixels"), "{error}");
    let error = message(from_memory("", Memory::images(levels.clone(), 1, 2, 3).mask(vec![false; 240])));
    assert!(error.contains("every pixel of the training rows is missing"), "{error}");
}

#[test]
fn rows_count_by_their_weights() {
    let memory =
        |weight: Vec<f32>| Memory::table(["a"], (0..20).map(f64::from).collect::<Vec<_>>()).weight(weight);
    let weights: Vec<f32> = (0..20).map(|row| row as f32 / 4.0).collect();
    let data = from_memory("", memory(weights.clone())).unwrap();
    let rows = data.rows(Split::Train, &[4, 0], 0).unwrap();
    assert_eq!(rows.weight, rows.ids.iter().map(|id| weights[*id as usize]).collect::<Vec<_>>());
    let plain = Memory::table(["a"], (0..20).map(f64::from).collect::<Vec<_>>());
    let plain = from_memory("", plain).unwrap();
    assert_ne!(plain.facts().hash, data.facts().hash);
    assert_eq!(plain.facts().normalisation, data.facts().normalisation);
    let with = |row: usize, weight: f32| {
        let mut weights = weights.clone();
        weights[row] = weight;
        message(from_memory("", memory(weights)))
    };
    assert_eq!(with(3, f32::NAN), "memory: the weight of row 3 is NaN; give finite weights from 0 up");
    assert_eq!(with(0, -1.0), "memory: the weight of row 0 is -1; give finite weights from 0 up");
    assert!(with(19, f32::INFINITY).contains("row 19 is inf"));
    assert_eq!(
        message(from_memory("", memory(vec![0.0; 20]))),
        "memory: all weights are 0; give some rows a weight above 0"
    );
    let mut test_alone = vec![0.0; 20];
    plain.ids(Split::Test).iter().for_each(|id| test_alone[*id as usize] = 1.0);
    assert_eq!(
        message(from_memory("", memory(test_alone))),
        "memory: the weights of all 16 rows of the train split are 0; leave rows of weight 0 out, or try another data.seed"
    );
}

#[test]
fn no_size_is_a_panic() {
    let table = || Memory::table(["a", "b"], vec![1.0f32; 40]);
    let huge = usize::MAX;
    for (memory, expected) in [
        (Memory::images(vec![0u8; 10], huge, huge, 2), "holds no number, or more than"),
        (Memory::images(vec![0u8; 10], 0, 3, 2), "holds no number"),
        (Memory::new(SampleShape::Vector { columns: 0 }, Vec::<f64>::new()), "holds no number"),
        (Memory::new(SampleShape::Vector { columns: huge }, vec![1.0f32]), "holds no number, or more than"),
        (Memory::table(Vec::<String>::new(), vec![1.0f32]), "holds no number"),
        (Memory::images(Vec::<u8>::new(), 1, 3, 2), "0 values are no whole number of rows of 6"),
        (Memory::images(vec![0u8; 10], 1, 3, 2), "10 values are no whole number of rows of 6"),
        (Memory::table(["a", "a"], vec![1.0f32; 40]), "two columns are named \"a\""),
        (Memory::table(["a", ""], vec![1.0f32; 40]), "a column has no name"),
        (table().condition("b", vec![0.0; 20]), "two columns are named \"b\""),
        (table().condition("", vec![0.0; 20]), "a column has no name"),
        (table().condition("c", vec![0.0; 19]), "there are 20 rows and 19 values of \"c\""),
        (table().condition("c", vec![f64::NAN; 20]), "the condition \"c\" is NaN in row 0"),
        (table().labels([1, 2]), "there are 20 rows and 2 labels"),
        (table().groups(Vec::<u32>::new()), "there are 20 rows and 0 groups"),
        (table().groups([1; 20]), "1 groups can't be cut into 3 splits"),
        (table().weight(vec![1.0; 21]), "there are 20 rows and 21 weights"),
        (table().mask(vec![true; 20]), "there are 40 values and 20 in the mask"),
        (Memory::table(["a"], vec![f64::MAX; 20]), "row 0, column 0 is 179769"),
        (Memory::table(["a"], vec![1.0f32; 2]), "2 rows can't be cut into 3 splits"),
        (Memory::images(vec![0u8; 90], 9, 1, 1).named(""), ""),
    ] {
        match from_memory("", memory) {
            Ok(_) => assert_eq!(expected, ""),
            Err(error) => assert!(error.to_string().contains(expected) && !expected.is_empty(), "{error}"),
        }
    }
    let gap = Memory::table(["a", "b"], vec![1.0f32; 40]).mask((0..40).map(|at| at != 7).collect());
    assert_eq!(
        message(from_memory("condition = ['b']", gap)),
        "memory: the condition \"b\" is missing in row 3; fill it in, or remove the row"
    );
    assert!(message(from_memory("condition = ['a', 'b']", table())).contains("no column is left for x"));
    assert!(message(from_memory("label = 'a'", table())).starts_with("data.label: \"a\" names a column"));
    assert!(from_memory("", Memory::images(vec![0u8; 60], 6, 1, 1)).is_ok());
    assert!(
        message(from_memory("image.channels = 'grey'", Memory::images(vec![0u8; 60], 6, 1, 1)))
            .contains("6 channels")
    );
}

#[test]
fn columns_of_words_are_the_table_that_a_csv_file_is() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<[String; 3]> = (0..60)
        .map(|row| {
            let gap = if row % 9 == 0 { String::new() } else { format!("{}.5", row % 7) };
            [format!("{}", 20 + row % 11), ["red", "green", "blue"][row % 3].to_string(), gap]
        })
        .collect();
    let path = root.path().join("t.csv");
    let lines: String = rows.iter().map(|row| row.join(",") + "\n").collect();
    fs::write(&path, format!("age,colour,size\n{lines}")).unwrap();
    let settings = DataSettings { source: path.display().to_string(), ..DataSettings::default() };
    let file = Data::open(&settings, Key::from_seed(1), &mut |_| {}).unwrap();
    let cells = || -> Vec<WordColumn> {
        let column = |(at, name)| WordColumn::of_each(name, rows.iter().map(|row| &row[at]));
        ["age", "colour", "size"].into_iter().enumerate().map(column).collect()
    };
    let memory =
        Data::from_memory(Memory::cells(cells()), &DataSettings::default(), Key::from_seed(1), &mut |_| {})
            .unwrap();
    assert_eq!(memory.facts().table, file.facts().table);
    assert_eq!(memory.facts().hash, file.facts().hash);
    let all: Vec<usize> = (0..memory.len(Split::Train)).collect();
    assert_eq!(memory.rows(Split::Train, &all, 0).unwrap(), file.rows(Split::Train, &all, 0).unwrap());

    // Other rows for a model of it; what makes no table is refused.
    let facts = memory.facts();
    let open = |memory: Memory| {
        Data::memory_for(facts, memory, &DataSettings::default(), Key::from_seed(1), &mut |_| {})
    };
    assert_eq!(open(Memory::cells(cells())).unwrap().len(Split::Test), 60);
    let said = |memory: Memory| open(memory).map(|_| ()).unwrap_err().to_string();
    assert!(said(Memory::cells(cells()[..2].to_vec())).contains("no column \"size\""));
    let mut uneven = cells();
    uneven[1].of.pop();
    assert!(said(Memory::cells(uneven)).contains("\"colour\" has 59 rows, others 60"));
    let mut beyond = cells();
    beyond[2].of[0] = 99;
    assert!(said(Memory::cells(beyond)).contains("beyond its"));
    let mut bad = cells();
    bad[0].words[3] = "old".into();
    assert!(said(Memory::cells(bad)).contains("row 3, column \"age\": \"old\" is no number"));
    assert!(said(Memory::cells(cells()).labels(0..60)).contains("data.label"));
}
