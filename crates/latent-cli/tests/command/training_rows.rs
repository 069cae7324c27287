//! Rows that a model has learned are no test of it, in whatever file they come; and no row is a reference of itself.

use std::fs;
use std::path::Path;

use crate::common::{refuse, succeed, write_npy_bytes};
use latent::Key;

const ROWS: usize = 600;

/// Rows of four numbers, sorted by class: a half that lies close together, and one that lies wide apart.
fn made() -> Vec<f64> {
    let mut values = vec![0.0f32; 4 * ROWS];
    Key::from_seed(1).normals(&mut values);
    let wide = |at: usize| if at < 2 * ROWS { 0.3 } else { 3.0 };
    values.iter().enumerate().map(|(at, v)| f64::from(*v) * wide(at)).collect()
}

fn write(path: &Path, rows: &[&[f64]], as_f32: bool) {
    let shape = format!("({}, 4)", rows.len());
    let numbers = rows.concat();
    if as_f32 {
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| (*v as f32).to_le_bytes()).collect();
        write_npy_bytes(path, "<f4", &shape, &bytes);
    } else {
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        write_npy_bytes(path, "<f8", &shape, &bytes);
    }
}

/// A folder with a run of these rows, most of which are held out.
fn trained() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let values = made();
    write(&folder.path().join("x.npy"), &values.chunks(4).collect::<Vec<_>>(), false);
    let settings = "--set data.validation=0.5 --set network.hidden=[16] --no-report";
    succeed(folder.path(), &format!("train --data x.npy --out run --epochs 3 {settings}"));
    folder
}

fn json(line: &str, at: &Path) -> serde_json::Value {
    let out = succeed(at, &format!("{line} --json")).out;
    serde_json::from_str(out.lines().last().expect("a line")).expect("JSON")
}

#[test]
fn training_rows_are_no_test_set() {
    let folder = trained();
    let at = folder.path();
    let values = made();
    // The rows backwards, in another format; then rows that nobody has seen, and one of them.
    write(&at.join("copy.npy"), &values.chunks(4).rev().collect::<Vec<_>>(), true);
    let others: Vec<f64> = values.iter().map(|v| v * 0.9 + 0.05).collect();
    let mut rows: Vec<&[f64]> = others.chunks(4).collect();
    write(&at.join("new.npy"), &rows, true);
    for row in values.chunks(4).take(20) {
        rows.push(row);
    }
    write(&at.join("nearly.npy"), &rows, true);

    let judge = "--sections reconstruction --minutes 0.01";
    refuse(
        at,
        &format!("evaluate run --data copy.npy {judge}"),
        &["240 of 600 rows", "no test", "--training-rows"],
    );
    let asked = json(&format!("evaluate run --data copy.npy --training-rows {judge}"), at);
    let warnings = asked["evaluation"]["sections"][0]["warnings"].to_string();
    assert!(warnings.contains("no test") && warnings.contains("240 of 600"), "{warnings}");
    let new = json(&format!("evaluate run --data new.npy {judge}"), at);
    assert_eq!(new["evaluation"]["sections"][0]["warnings"], serde_json::json!([]));
    // Scores are given, and the count is said.
    assert_eq!(json("score run --data copy.npy --k 2 --out copy.csv", at)["training_rows"], 240);
    assert_eq!(json("score run --data new.npy --k 2 --out new.csv", at)["training_rows"], 0);
    let few = json("score run --data nearly.npy --k 2 --out nearly.csv", at)["training_rows"].as_u64();
    assert!(few.is_some_and(|few| few < 20), "{few:?}");
}

fn p_values(path: &Path) -> Vec<f64> {
    let text = fs::read_to_string(path).expect("scores");
    text.lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().expect("a cell").parse().expect("a number"))
        .collect()
}

#[test]
fn p_values_stand_on_rows_of_all_kinds_and_never_on_the_row_itself() {
    let folder = trained();
    let at = folder.path();
    succeed(at, "score run --k 20 --out own.csv");
    let own = p_values(&at.join("own.csv"));
    // Each row is held against the others: the lowest of n has 1/n.
    let least = own.iter().copied().fold(1.0, f64::min);
    assert_eq!((own.len(), (1.0 / least).round()), (300, 300.0));
    // Wide rows are unlikely, but not more unlikely than wide rows: half of the reference is of them, wherever they stand.
    succeed(at, "score run --k 20 --reference 60 --out few.csv");
    let few = p_values(&at.join("few.csv"));
    let low = few.iter().filter(|p| **p <= 0.05).count() as f64 / few.len() as f64;
    assert!(low < 0.15, "{low}");
    // The same rows in another file have the same reference, less themselves.
    write(&at.join("copy.npy"), &made().chunks(4).collect::<Vec<_>>(), false);
    succeed(at, "score run --k 20 --data copy.npy --out copy.csv");
    let copy = p_values(&at.join("copy.csv"));
    let least = copy.iter().copied().fold(1.0, f64::min);
    assert!([300.0, 301.0].contains(&(1.0 / least).round()), "{least}");
}
