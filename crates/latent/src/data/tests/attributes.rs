//! Attributes of images, from a table beside them and from their names.

use super::*;

/// Forty pictures `KIND_AGE_NUMBER.png`: kinds boot and dress in turn, ages from 20 on; in folders a/ and b/ if `nested`.
fn pictures(folder: &Path, nested: bool) -> Vec<String> {
    let name = |row: usize| {
        let below = if nested { ["a/", "b/"][row % 2] } else { "" };
        format!("{below}{}_{}_{row:02}.png", ["boot", "dress"][row % 2], 20 + row)
    };
    let names: Vec<String> = (0..40).map(name).collect();
    for (row, name) in names.iter().enumerate() {
        png(&folder.join(name), (4, 4), image::ExtendedColorType::L8, &[6 * row as u8; 16]);
    }
    names
}

/// kind and age of each row, read off its first pixel.
fn expected(data: &Data, split: Split) -> Vec<(f64, usize)> {
    let positions: Vec<usize> = (0..data.len(split)).collect();
    let rows = data.rows(split, &positions, 0).unwrap();
    let row = |x: &[f32]| (255.0 * f64::from(x[0]) / 6.0).round();
    rows.x.chunks(16).map(row).map(|row| (20.0 + row, row as usize % 2)).collect()
}

/// Each row is told its own age, standardised, and its kind.
fn is_told(data: &Data) {
    let Attribute::Number { mean, deviation, .. } = data.facts().condition[0] else { panic!() };
    let Attribute::Class { classes, .. } = &data.facts().condition[1] else { panic!() };
    assert_eq!(classes, &["boot", "dress"]);
    let width = data.facts().condition_width();
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        let told = data.rows(split, &positions, 0).unwrap().condition;
        for (c, (age, kind)) in told.chunks(width).zip(expected(data, split)) {
            assert!((f64::from(c[0]) * deviation + mean - age).abs() < 1e-4, "{c:?} for {age}");
            assert_eq!((c[width - 2], c[width - 1]), [(1.0, 0.0), (0.0, 1.0)][kind]);
        }
    }
}

const TOLD: &str = "label = 'kind'\ncondition = ['age', 'label']\n";

#[test]
fn names_and_a_table_tell_the_same() {
    for nested in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let names = pictures(folder.path(), nested);
        let named = open_with(&format!("{TOLD}pattern = '{{kind}}_{{age}}_*'"), folder.path()).unwrap();
        is_told(&named);
        // In another order than the files'.
        let line = |name: &String| {
            let parts: Vec<&str> = name.rsplit('/').next().unwrap().split('_').collect();
            format!("{name},{},\"{}\"\n", parts[1], parts[0])
        };
        let table: String = names.iter().rev().map(line).collect();
        fs::write(folder.path().join("about.csv"), format!("file,age,kind\n{table}")).unwrap();
        let listed = open_with(&format!("{TOLD}attributes = 'about.csv'"), folder.path()).unwrap();
        is_told(&listed);
        assert_eq!(named.facts().condition, listed.facts().condition);
        assert_eq!(named.facts().classes, listed.facts().classes);
    }
}

#[test]
fn an_empty_cell_is_unknown_where_that_is_learned() {
    let folder = tempfile::tempdir().unwrap();
    let names = pictures(folder.path(), false);
    let line = |(row, name): (usize, &String)| match row % 4 {
        0 => format!("{name},,boot\n"),
        3 => format!("{name},{},\n", 20 + row),
        row_of => format!("{name},{},{}\n", 20 + row, ["boot", "dress"][row_of % 2]),
    };
    let table: String = names.iter().enumerate().map(line).collect();
    fs::write(folder.path().join("about.csv"), format!("file,age,kind\n{table}")).unwrap();
    let text = format!("{TOLD}attributes = 'about.csv'");
    let said = message(open_with(&text, folder.path()));
    assert!(said.contains("condition_dropout"), "{said}");
    let data = open_with(&format!("{text}\ncondition_dropout = 0.0"), folder.path()).unwrap();
    // A number, whether it is unknown; two classes, whether it is unknown.
    assert_eq!(data.facts().condition_width(), 5);
    let mut unknown = [0, 0];
    for split in Split::ALL {
        let positions: Vec<usize> = (0..data.len(split)).collect();
        let told = data.rows(split, &positions, 0).unwrap().condition;
        for (c, (age, kind)) in told.chunks(5).zip(expected(&data, split)) {
            let row = (age - 20.0) as usize;
            assert_eq!(c[1] == 1.0, row.is_multiple_of(4), "{c:?}");
            assert_eq!(c[4] == 1.0, row % 4 == 3, "{c:?}");
            assert!(c[1] == 0.0 || c[0] == 0.0);
            let class = if row % 4 == 3 { [0.0, 0.0] } else { [[1.0, 0.0], [0.0, 1.0]][kind] };
            assert_eq!(c[2..4], class);
            unknown[0] += usize::from(c[1] == 1.0);
            unknown[1] += usize::from(c[4] == 1.0);
        }
    }
    assert_eq!(unknown, [10, 10]);
}

#[test]
fn attributes_that_fit_no_file_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let names = pictures(folder.path(), false);
    let table = |lines: &[String]| {
        fs::write(folder.path().join("about.csv"), format!("file,age,kind\n{}", lines.concat())).unwrap();
        message(open_with(&format!("{TOLD}attributes = 'about.csv'"), folder.path()))
    };
    let whole: Vec<String> = names.iter().map(|name| format!("{name},30,boot\n")).collect();
    let absent = [&whole[..], &["gone.png,1,boot\n".into()]].concat();
    assert!(table(&absent).contains("gone.png"), "{}", table(&absent));
    assert!(table(&whole[1..]).contains(&names[0]), "{}", table(&whole[1..]));
    let twice = [&whole[..], &whole[..1]].concat();
    assert!(table(&twice).contains(&names[0]), "{}", table(&twice));
    let pattern = |pattern: &str| message(open_with(&format!("{TOLD}pattern = '{pattern}'"), folder.path()));
    assert!(pattern("{kind}-{age}").contains(&names[0]), "{}", pattern("{kind}-{age}"));
    assert!(pattern("{kind}_{years}_*").contains("age"), "{}", pattern("{kind}_{years}_*"));
    let both =
        message(open_with(&format!("{TOLD}attributes = 'about.csv'\npattern = '{{kind}}_*'"), folder.path()));
    assert!(both.contains("data.pattern"), "{both}");
    let none = message(open_with(&format!("{TOLD}attributes = 'nothing.csv'"), folder.path()));
    assert!(none.contains("nothing.csv"), "{none}");
}
