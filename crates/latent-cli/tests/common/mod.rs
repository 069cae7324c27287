//! The real binary, run in a folder of its own.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use latent::data::{Normalisation, SampleShape, StoredType, write_images};

/// How a command ended.
pub struct Ended {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
    }
}

/// The binary, to be run in `folder`.
pub fn latent(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latent"));
    command.current_dir(folder);
    command
}

/// Runs a command line, words separated by blanks.
pub fn run(folder: &Path, line: &str) -> Ended {
    run_words(folder, &line.split_whitespace().collect::<Vec<_>>())
}

/// Runs the words of a command line.
pub fn run_words(folder: &Path, words: &[&str]) -> Ended {
    let ended: Ended = latent(folder).args(words).output().expect("the binary runs").into();
    let all = format!("{}{}", ended.out, ended.err);
    for word in ["panicked", "bug in latent", "RUST_BACKTRACE"] {
        assert!(!all.contains(word), "`{}` says {word:?}:\n{all}", words.join(" "));
    }
    ended
}

/// Runs a command that must succeed.
pub fn succeed(folder: &Path, line: &str) -> Ended {
    let ended = run(folder, line);
    assert_eq!(ended.code, Some(0), "`latent {line}`:\n{}{}", ended.out, ended.err);
    ended
}

/// Runs a command that must be refused with exit code 2, say each of `said`, and leave every file as it was.
pub fn refuse(folder: &Path, line: &str, said: &[&str]) {
    let before = files(folder);
    let ended = run(folder, line);
    println!("$ latent {line}\n{}", ended.err);
    assert_eq!(ended.code, Some(2), "`latent {line}`:\n{}{}", ended.out, ended.err);
    for said in said {
        assert!(ended.err.contains(said), "`latent {line}` does not say {said:?}:\n{}", ended.err);
    }
    assert_eq!(before, files(folder), "`latent {line}` left something behind");
}

/// Every file below a folder with its bytes; folders end in a slash. The lock of a run is no content.
pub fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                found.insert(path.join(""), Vec::new());
                open.push(path);
            } else if path.file_name().is_some_and(|name| name != ".lock") {
                let bytes = fs::read(&path).expect("a file");
                found.insert(path, bytes);
            }
        }
    }
    found
}

/// A folder with a trained model of images, `runs/first`, and one of a table, `runs/table` (of `table.csv`).
pub fn trained() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let folder = tempfile::tempdir().expect("a folder");
            write_table(&folder.path().join("table.csv"), 300);
            succeed(folder.path(), &format!("train --data embedded --out runs/first --no-report {SMALL}"));
            let line = "train --data table.csv --out runs/table --epochs 3 --no-report --set data.label=kind";
            succeed(folder.path(), line);
            folder
        })
        .path()
}

/// A run that takes a second.
pub const SMALL: &str = "--epochs 1 --set data.limit=300 --set network.kind=mlp --set network.hidden=[32]";

/// A table of reals, whole numbers and classes.
pub fn write_table(path: &Path, rows: usize) {
    let mut text = String::from("length,rings,kind,share\n");
    for row in 0..rows {
        let length = 1.5 + (row as f64 * 0.7).sin();
        let kind = if row % 3 == 0 { "short" } else { "long" };
        text.push_str(&format!("{length:.4},{},{kind},{:.3}\n", (8.0 * length) as i64, 0.5 - length / 9.0));
    }
    fs::write(path, text).expect("a table");
}

/// `count` images of `channels` channels, 12 × 10.
pub fn write_pictures(folder: &Path, count: usize, channels: usize) {
    let shape = SampleShape::Image { channels, height: 12, width: 10 };
    let normalisation = Normalisation {
        offset: vec![0.0],
        scale: vec![255.0],
        stored: StoredType::U8,
        range: Some((0.0, 255.0)),
        whole: Vec::new(),
    };
    let values: Vec<f64> =
        (0..count * shape.features()).map(|i| ((i * 7 + i / 120 * 31) % 256) as f64).collect();
    write_images(folder, shape, &normalisation, &values).expect("pictures");
}

/// An npy file with this header and these bytes.
pub fn write_npy_bytes(path: &Path, descr: &str, shape: &str, data: &[u8]) {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    fs::write(path, bytes).expect("an array");
}

/// What `latent evaluate` writes of a run, with one section of these measures as JSON.
#[allow(dead_code, reason = "not every test program compares")]
pub fn evaluation(measures: &str) -> String {
    format!(
        r#"{{"program":"0","model":"","data":"d","split":"test","rows":100,"data_hash":"","base_measure":"none","seed":1,
        "full":false,"seconds":1.0,"pictures":[],
        "sections":[{{"name":"r","title":"How near?","measures":[{measures}],"warnings":[],"absent":[]}}]}}"#
    )
}

/// A copy of a folder as it lies on disk.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").map(|entry| entry.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            fs::copy(&entry, target).expect("a copy");
        }
    }
}
