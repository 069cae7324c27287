//! The textbook's steps: all of them run, and each leaves the pictures that it names.

use std::fs;

use crate::common::succeed;

/// The lines of JSON that a command printed.
fn lines(out: &str) -> Vec<serde_json::Value> {
    out.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

#[test]
fn all_runs_every_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let listed = lines(&succeed(folder.path(), "textbook --json").out);
    let mut wanted: Vec<&str> = listed[0]["steps"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|step| step["step"].as_str().expect("a name"))
        .collect();
    assert_eq!(wanted.pop(), Some("all"));
    let taught = lines(&succeed(folder.path(), "textbook all --quick --json").out);
    let run: Vec<&str> = taught.iter().map(|step| step["step"].as_str().expect("a step")).collect();
    assert_eq!(run, wanted);
    for step in &taught {
        let pictures = step["pictures"].as_array().expect("pictures");
        assert!(!pictures.is_empty() && step["quick"] == true, "{step}");
        for picture in pictures {
            let name = picture.as_str().expect("a path");
            assert!(name.starts_with("textbook/quick/"), "{name}");
            let bytes = fs::read(folder.path().join(name)).expect("a picture");
            assert!(bytes.starts_with(b"\x89PNG"), "{name}");
        }
    }
    // What is only to be seen to run leaves the place of the real ones alone.
    let beside: Vec<_> = fs::read_dir(folder.path().join("textbook")).expect("a folder").flatten().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
}
