//! Every example of every help text is run, in one folder, in the order of the work.

use crate::common::{evaluation, latent, succeed};

/// Commands whose examples others need come first.
const FIRST: [&str; 2] = ["train", "encode"];

#[test]
fn examples_of_help_texts_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut commands = commands(&succeed(folder.path(), "--help").out);
    assert!(commands.len() >= 14, "{commands:?}");
    commands.sort_by_key(|name| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let mut seen = Vec::new();
    for name in &commands {
        let mut pages = vec![name.clone()];
        if name == "data" {
            pages.push("data inspect".into());
        }
        if name == "compare" {
            judged(folder.path());
        }
        if name == "judge" {
            for (file, rows) in [("table.csv", 200), ("rows.csv", 150), ("held-out.csv", 100)] {
                crate::common::write_table(&folder.path().join(file), rows);
            }
        }
        let mut found = 0;
        for page in pages {
            // On a narrow terminal, where a long example would be cut in two.
            let words: Vec<&str> = page.split(' ').chain(["--help"]).collect();
            let help = latent(folder.path()).args(words).env("COLUMNS", "80").output().expect("help").stdout;
            let help = String::from_utf8(help).expect("UTF-8");
            for line in help.lines().filter_map(|line| line.strip_prefix("  latent ")) {
                found += 1;
                if seen.contains(&line.to_string()) {
                    continue;
                }
                seen.push(line.to_string());
                let words: Vec<&str> = line.split_whitespace().collect();
                let ended = latent(folder.path()).args(&words).output().expect("the binary runs");
                let said = String::from_utf8_lossy(&ended.stderr);
                assert!(ended.status.success(), "the example `latent {line}` fails:\n{said}");
                if let Some(at) = words.iter().position(|word| *word == "--out") {
                    assert!(folder.path().join(words[at + 1]).exists(), "`latent {line}` writes nothing");
                }
            }
        }
        // What `impute` fills is a table of mixed columns, which the runs of these examples are not of.
        assert!(found > 0 || name == "impute", "the help of `latent {name}` has no example");
    }
}

/// What `latent evaluate` leaves behind in runs that it has judged.
fn judged(folder: &std::path::Path) {
    for (run, value) in [("one", 0.5), ("beta", 0.25)] {
        let path = folder.join("runs").join(run).join("evaluation.json");
        if !path.exists() {
            let measure = format!(
                r#"{{"name":"mse","title":"squared error","unit":"","value":{value},"low":{value},"high":{value},"n":9,
                "better":"lower","note":""}}"#
            );
            std::fs::write(path, evaluation(&measure)).expect("a file");
        }
    }
}

/// The commands that the help names: indented, lower case, before the options.
fn commands(help: &str) -> Vec<String> {
    let lines = help.lines().take_while(|line| !line.starts_with("Options:"));
    let names = lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next());
    names.map(String::from).collect()
}
