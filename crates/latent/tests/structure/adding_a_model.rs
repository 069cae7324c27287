//! The page that walks through a member quotes code that compiles: that of the example, word for word.

use std::fs;
use std::path::Path;

/// The fenced blocks of that language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    page.split(fence.as_str()).skip(1).filter_map(|rest| rest.split("\n```").next()).collect()
}

#[test]
fn the_page_quotes_the_example_word_for_word() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/adding-a-model.md")).unwrap();
    let example = fs::read_to_string(root.join("examples/adding_a_model.rs")).unwrap();
    let quoted = blocks(&page, "rust");
    assert_eq!(quoted.len(), 5);
    for block in &quoted {
        assert!(example.contains(block), "not in examples/adding_a_model.rs:\n{block}");
    }
    // And nothing of the member is left out.
    let quoted: usize = quoted.iter().map(|block| block.lines().count()).sum();
    let unquoted = |line: &&str| line.starts_with("use ") || line.starts_with("//") || line.is_empty();
    let own = example.lines().filter(|line| !unquoted(line)).count();
    assert!(quoted >= own, "{quoted} lines quoted of {own}");
    let preset = fs::read_to_string(root.join("presets/vamp-vae.toml")).unwrap();
    for line in blocks(&page, "toml")[0].lines() {
        assert!(preset.contains(line), "not in presets/vamp-vae.toml: {line}");
    }
}
