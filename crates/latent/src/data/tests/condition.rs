//! What a model is told beside x: from files to rows, and as a user types it.

use super::*;

/// Columns a, age, kind, b; ages 20, 21 …; kinds u and v in turn, w once in five rows.
fn people(folder: &Path, name: &str, rows: usize) -> std::path::PathBuf {
    let line = |row: usize| {
        let kind = if row.is_multiple_of(5) { "w" } else { ["u", "v"][row % 2] };
        format!("{},{},{kind},{}\n", row * row % 17, 20 + row, row % 7)
    };
    let path = folder.join(name);
    fs::write(&path, format!("a,age,kind,b\n{}", (0..rows).map(line).collect::<String>())).unwrap();
    path
}

const TOLD: &str = "label = 'kind'\ncondition = ['age', 'label']";

fn given(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn a_class_is_one_hot_and_a_number_standardised() {
    let folder = tempfile::tempdir().unwrap();
    let path = people(folder.path(), "t.csv", 100);
    let data = open_with(TOLD, &path).unwrap();
    let facts = data.facts();
    assert_eq!((facts.columns.clone(), data.features()), (vec!["a".to_string(), "b".into()], 2));
    assert_eq!(facts.condition_width(), 4);
    let train = data.ids(Split::Train);
    let ages: Vec<f64> = train.iter().map(|id| 20.0 + *id as f64).collect();
    let mean = ages.iter().sum::<f64>() / 80.0;
    let about = (ages.iter().map(|age| (age - mean).powi(2)).sum::<f64>() / 80.0).sqrt();
    // The sum may be taken in another order.
    let Attribute::Number { deviation, .. } = facts.condition[0] else { panic!("{facts:?}") };
    assert!((deviation - about).abs() < 1e-12 * about);
    let kind = |id: u64| if id.is_multiple_of(5) { 2 } else { (id % 2) as usize };
    let count = |class| train.iter().filter(|id| kind(**id) == class).count() as u64;
    let expected = [
        Attribute::Number {
            name: "age".into(),
            mean,
            deviation,
            range: [ages[0], *ages.last().unwrap()],
            unknown: false,
        },
        Attribute::Class {
            name: "kind".into(),
            classes: vec!["u".into(), "v".into(), "w".into()],
            counts: vec![count(0), count(1), count(2)],
            unknown: false,
        },
    ];
    assert_eq!(facts.condition, expected);
    for split in Split::ALL {
        let rows = data.rows(split, &[3, 1], 0).unwrap();
        for (id, c) in rows.ids.iter().zip(rows.condition.chunks(4)) {
            let mut row = vec![((20.0 + *id as f64 - mean) / deviation) as f32, 0.0, 0.0, 0.0];
            row[1 + kind(*id)] = 1.0;
            assert_eq!(c, row);
        }
    }
    // The column's own name means the class as well; the order is the setting's, and both are in the hash.
    let named = open_with("label = 'kind'\ncondition = ['kind', 'age']", &path).unwrap();
    assert_eq!(named.facts().condition, [expected[1].clone(), expected[0].clone()]);
    assert_ne!(named.facts().hash, facts.hash);
    let text = toml::to_string(facts).unwrap();
    assert_eq!(toml::from_str::<Facts>(&text).unwrap(), *facts);
    assert!(text.contains("kind = \"number\"") && text.contains("kind = \"class\""), "{text}");
    let settings: DataSettings = toml::from_str(TOLD).unwrap();
    let again: DataSettings = toml::from_str(&toml::to_string(&settings).unwrap()).unwrap();
    assert_eq!(again.condition, ["age", "label"]);
    let summary = data.summary(&settings).to_string();
    assert!(summary.contains("\ngiven    age (20 to 119, mean "), "{summary}");
    assert!(summary.contains("); kind (3 classes)\n"), "{summary}");
}

#[test]
fn data_that_tells_nothing_is_as_before() {
    // The hash as it was before there were conditions, made by a program of its own.
    let data = open(Path::new("embedded")).unwrap();
    assert_eq!(data.facts().hash, "f6e23ae79bd6e6e56f1b6b83f1af3df6db5e89afe4c66cb88af8f1225c465226");
    let rows = data.rows(Split::Train, &[0, 1], 0).unwrap();
    assert!(rows.condition.is_empty() && rows.mask.is_empty() && rows.weight.is_empty());
    assert!(!toml::to_string(data.facts()).unwrap().contains("condition"));
    assert!(!toml::to_string(&DataSettings::default()).unwrap().contains("condition"));
    assert_eq!(
        DataSettings { seed: None, ..DataSettings::default() }.fingerprint(true),
        "None 0.5 ImageSettings { size: None, crop: None, channels: Auto } None Auto None Auto None None None \
         None None"
    );
}

#[test]
fn classes_of_images_are_told_with_their_counts() {
    let data = open_with("condition = ['label']\nclasses = [1, 'Bag']", Path::new("embedded")).unwrap();
    let expected = Attribute::Class {
        name: "label".into(),
        classes: vec!["Trouser".into(), "Bag".into()],
        counts: [0, 1]
            .map(|class| data.labels(Split::Train).iter().filter(|l| **l == class).count() as u64)
            .to_vec(),
        unknown: false,
    };
    assert_eq!(data.facts().condition, [expected]);
    let rows = data.rows(Split::Test, &[0, 1, 2, 3], 0).unwrap();
    for (label, c) in rows.labels.iter().zip(rows.condition.chunks(2)) {
        assert_eq!(c, [f32::from(u8::from(*label == 0)), f32::from(u8::from(*label == 1))]);
    }
}

#[test]
fn what_is_not_there_cannot_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = people(folder.path(), "t.csv", 30);
    let shown = path.display();
    let columns =
        "its columns are \"a\", \"age\", \"kind\", \"b\", and \"label\" means the class of each row";
    for (text, expected) in [
        (
            "condition = ['agee']",
            format!("data.condition: {shown} has no column \"agee\" (did you mean \"age\"?); {columns}"),
        ),
        (
            "condition = ['kind']",
            format!(
                "{shown}: line 2, column \"kind\": \"w\" is no number; turn the column into numbers, or, if it is \
                 the class, name it by data.label"
            ),
        ),
        (
            "label = 'kind'\ncondition = ['a', 'age', 'b']",
            format!("{shown}: no column is left for x; give at least one column of numbers"),
        ),
        (
            "label = 'kind'\ncondition = ['kind', 'label']",
            "data.condition: \"label\" is named twice; name each condition once (\"label\" is the column of \
             data.label)"
                .into(),
        ),
        (
            "condition = ['age', 'age']",
            "data.condition: \"age\" is named twice; name each condition once (\"label\" is the column of \
             data.label)"
                .into(),
        ),
    ] {
        assert_eq!(message(open_with(text, &path)), expected);
    }
    fs::write(&path, "a,age\n1,2\n3,4\n5,6\n").unwrap();
    assert_eq!(
        message(open_with("condition = ['label']", &path)),
        format!(
            "data.condition: \"label\" means the class of each row, and {shown} has no labels; set data.label to the \
             column that holds the class"
        )
    );
    fs::write(&path, "a,age\n1,2\n3,\n").unwrap();
    assert_eq!(
        message(open_with("condition = ['age']", &path)),
        format!(
            "{shown}: line 3, column \"age\": the cell is empty; fill the missing value in, or remove the row"
        )
    );
    let path = npy(folder.path(), "|u1", false, "(20, 2)", &[7; 40]);
    assert_eq!(
        message(open_with("condition = ['age']", &path)),
        format!(
            "data.condition: \"age\" names a column, and {} is npy, not csv; condition on \"label\", the class of \
             each row, or give a csv table with that column",
            path.display()
        )
    );
    assert!(message(open_with("condition = ['label']", &path)).contains("in one npz file"));
}

#[test]
fn other_data_is_told_as_the_model_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = open_with(TOLD, &people(folder.path(), "t.csv", 100)).unwrap();
    let other = folder.path().join("o.csv");
    let shown = other.display();
    let settings =
        |text: &str| DataSettings { source: other.display().to_string(), ..toml::from_str(text).unwrap() };
    let open = |text| Data::open_for(data.facts(), &settings(text), Key::from_seed(1), &mut |_| {});
    // Other order, other columns, fewer classes; the column of labels is known from the facts.
    fs::write(&other, "kind,b,extra,age,a\nw,1,9,30,2\nu,1,9,41.5,2\n").unwrap();
    for text in [TOLD, ""] {
        let opened = open(text).unwrap();
        assert_eq!(opened.facts().condition, data.facts().condition);
        let rows = opened.rows(Split::Test, &[0, 1], 0).unwrap();
        let typed = [[("kind", "w"), ("age", "30")], [("kind", "u"), ("age", "41.5")]];
        let typed: Vec<f32> =
            typed.iter().flat_map(|pairs| data.facts().condition_of(&given(pairs)).unwrap()).collect();
        assert_eq!(rows.condition, typed);
        assert_eq!(rows.condition[1..4], [0.0, 0.0, 1.0]);
    }
    for (text, expected) in [
        (
            "kind,b,a\nw,1,2\n",
            "there is no column \"age\", which the model is told beside x; add it; the columns are \"kind\", \"b\", \
             \"a\"",
        ),
        (
            "b,a,age\n1,2,3\n",
            "there are no labels, and the model is told the class of each row (kind); set data.label to the column \
             that holds the class",
        ),
        (
            "kind,b,a,age\nW,1,2,3\nu,1,2,3\n",
            "the class \"W\" is none that the model is told (did you mean \"w\"?); leave its rows out, or name it as the model does: \
             \"u\", \"v\", \"w\"",
        ),
        ("kind,b,a,age\nu,1,2,1e38\n", ""),
    ] {
        fs::write(&other, text).unwrap();
        match open(TOLD) {
            Ok(opened) => assert!(opened.rows(Split::Test, &[0], 0).unwrap().condition[0].is_finite()),
            Err(error) => assert_eq!(error.to_string(), format!("{shown}: {expected}")),
        }
    }
    // A test set beside the data is told likewise, and must hold what is told.
    let test = people(folder.path(), "test.csv", 7);
    let beside = format!("{TOLD}\ntest = '{}'", test.display());
    let data = open_with(&beside, &folder.path().join("t.csv")).unwrap();
    let last = data.rows(Split::Test, &[6], 0).unwrap();
    assert_eq!(last.condition, data.facts().condition_of(&given(&[("label", "u"), ("age", "26")])).unwrap());
    fs::write(&test, "a,b,kind\n1,2,u\n").unwrap();
    let error = message(open_with(&beside, &folder.path().join("t.csv")));
    assert!(error.contains("test.csv: there is no column \"age\""), "{error}");
    // A model of files with columns is not fed arrays.
    let array = npy(folder.path(), "|u1", false, "(20, 2)", &[7; 40]);
    let settings = DataSettings { source: array.display().to_string(), ..DataSettings::default() };
    let error = message(Data::open_for(data.facts(), &settings, Key::from_seed(1), &mut |_| {}));
    assert!(error.contains("no column \"age\"") && error.contains("give a csv table"), "{error}");
}

fn facts_told() -> Facts {
    let folder = tempfile::tempdir().unwrap();
    let mut facts = open_with(TOLD, &people(folder.path(), "t.csv", 40)).unwrap().facts().clone();
    facts.condition = vec![
        Attribute::Number {
            name: "age".into(),
            mean: 40.0,
            deviation: 10.0,
            range: [18.0, 81.5],
            unknown: false,
        },
        Attribute::Class {
            name: "kind".into(),
            classes: vec!["Trouser".into(), "7".into(), "Bag".into()],
            counts: vec![30, 10, 0],
            unknown: false,
        },
    ];
    facts
}

#[test]
fn what_a_user_types_becomes_numbers() {
    let facts = facts_told();
    let of = |pairs: &[(&str, &str)]| facts.condition_of(&given(pairs));
    assert_eq!(of(&[("kind", "Bag"), ("age", "30")]).unwrap(), [-1.0, 0.0, 0.0, 1.0]);
    assert_eq!(of(&[("age", " 65 "), ("label", "7")]).unwrap(), [2.5, 0.0, 1.0, 0.0]);
    assert_eq!(of(&[("age", "40"), ("label", "0")]).unwrap(), [0.0, 1.0, 0.0, 0.0]);
    for (pairs, expected) in [
        (
            &[("label", "Trousers"), ("age", "1")][..],
            "condition label=Trousers: there is no class \"Trousers\" (did you mean \"Trouser\"?); the classes are \
             \"Trouser\", \"7\", \"Bag\"",
        ),
        (
            &[("kind", "3"), ("age", "1")],
            "condition kind=3: there is no class \"3\"; the classes are \"Trouser\", \"7\", \"Bag\"",
        ),
        (
            &[("agee", "1")],
            "condition agee=1: the model is told no \"agee\" (did you mean \"age\"?); it is told \"age\", \"kind\"",
        ),
        (
            &[("age", "old")],
            "condition age=old: \"old\" is no finite number; give a number; the training rows reach from 18 to 81.5",
        ),
        (
            &[("age", "1e300")],
            "condition age=1e300: \"1e300\" is no finite number; give a number; the training rows reach from 18 to \
             81.5",
        ),
        (&[("age", "1"), ("age", "2")], "condition age=2: \"age\" was given before; give it once"),
        (
            &[("age", "1")],
            "condition kind: no class is given; add --condition kind=CLASS; the classes are \"Trouser\", \"7\", \
             \"Bag\"",
        ),
        (
            &[("kind", "7")],
            "condition age: its value is not given; add --condition age=VALUE; the training rows reach from 18 to \
             81.5",
        ),
    ] {
        assert_eq!(of(pairs).unwrap_err().to_string(), expected);
    }
    let silent = Facts { condition: Vec::new(), ..facts.clone() };
    assert_eq!(silent.condition_of(&[]).unwrap(), Vec::<f32>::new());
    assert_eq!(
        silent.condition_of(&given(&[("age", "3")])).unwrap_err().to_string(),
        "condition age=3: the model is told nothing beside x; leave it out, or train with data.condition = [\"age\"]"
    );
}

#[test]
fn classes_are_drawn_as_often_as_they_were_seen() {
    let facts = facts_told();
    let key = Key::from_seed(3);
    let ids: Vec<u64> = (0..4000).collect();
    let rows = facts.condition_drawn(&given(&[("age", "50")]), key, &ids).unwrap();
    assert_eq!(rows.len(), 4000 * 4);
    let count = |class: usize| rows.chunks(4).filter(|row| row[1 + class] == 1.0).count() as f64;
    // Five standard errors of a proportion of 3/4 among 4000.
    assert!((count(0) - 3000.0).abs() < 5.0 * (4000.0f64 * 0.75 * 0.25).sqrt(), "{}", count(0));
    assert_eq!((count(0) + count(1), count(2)), (4000.0, 0.0));
    assert!(rows.chunks(4).all(|row| row[0] == 1.0));
    // A row's draw is its own, whatever the others.
    assert_eq!(facts.condition_drawn(&given(&[("age", "50")]), key, &ids[70..72]).unwrap(), rows[280..288]);
    let both = given(&[("label", "Bag"), ("age", "40")]);
    assert_eq!(facts.condition_drawn(&both, key, &[5, 6]).unwrap(), [0.0, 0.0, 0.0, 1.0].repeat(2));
    let error = facts.condition_drawn(&given(&[("label", "Bag")]), key, &ids).unwrap_err().to_string();
    assert!(error.starts_with("condition age: its value is not given; add --condition age=VALUE"), "{error}");
    // Facts that count no row are no reason to panic.
    let odd = Facts {
        condition: vec![Attribute::Class {
            name: "c".into(),
            classes: vec!["x".into(); 2],
            counts: vec![],
            unknown: false,
        }],
        ..facts
    };
    assert_eq!(odd.condition_drawn(&[], key, &[1, 2, 3]).unwrap().iter().sum::<f32>(), 3.0);
}
