//! The pages of `docs/members` say of each member what its source says: the head of its file, its settings, its presets.
//!
//! `LATENT_WRITE=1 cargo test --release --test structure pages` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use latent::Registry;
use latent::config::Setting;
use latent::run::{Section, presets, sections};

/// Sections with members: the page, its title, where their files are.
const PAGES: [(&str, &str, &str, &str); 7] = [
    ("likelihood", "likelihoods", "Likelihoods", "model/likelihood"),
    ("posterior", "posteriors", "Posteriors", "model/posterior"),
    ("prior", "priors", "Priors", "model/prior"),
    ("network", "networks", "Networks", "network"),
    ("objective.terms.NAME", "terms", "Terms of the objective", "objective"),
    ("objective.estimator", "estimators", "Estimators", "objective/estimator"),
    ("sampler", "samplers", "Samplers", "generate/sampler"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder and of the folders in it, whose members are others where `but` says so.
fn files(folder: &Path, but: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut all: Vec<PathBuf> = entries
        .filter(|path| but.is_empty() || !path.ends_with(but))
        .flat_map(|path| if path.is_dir() { files(&path, "") } else { vec![path] })
        .collect();
    all.sort();
    all
}

/// Kind → the file that names it.
fn sources(folder: &str) -> BTreeMap<String, PathBuf> {
    let but = if folder == "objective" { "estimator" } else { "" };
    let own = Path::new("crates/latent/src").join(folder);
    let mut found = BTreeMap::new();
    for path in files(&root().join(&own), but) {
        let text = fs::read_to_string(&path).unwrap();
        for rest in text.split("const KIND: &'static str = \"").skip(1) {
            let kind = rest.split('"').next().unwrap().to_string();
            found.insert(kind, path.strip_prefix(root()).unwrap().to_path_buf());
        }
    }
    found
}

/// The head of a source file as Markdown: a paragraph that is no sentence is a formula.
fn head(text: &str) -> String {
    let lines = text.lines().take_while(|line| line.starts_with("//!"));
    let text: Vec<&str> = lines.map(|line| line.trim_start_matches("//!").trim_start_matches(' ')).collect();
    let text = text.join("\n").replace("[`", "`").replace("`]", "`").replace("\\[", "[").replace("\\]", "]");
    let paragraph = |paragraph: &str| {
        let is_words = paragraph.ends_with(['.', ':', ';', ')']) || paragraph.starts_with("- ");
        if is_words { paragraph.to_string() } else { format!("```text\n{paragraph}\n```") }
    };
    text.split("\n\n").map(paragraph).collect::<Vec<_>>().join("\n\n")
}

fn row(setting: &Setting) -> String {
    let default = match &setting.default {
        Some(value) => format!("`{value}`"),
        None if setting.required => "required".into(),
        None => String::new(),
    };
    let choices: Vec<String> = setting.choices.iter().map(|choice| format!("`{}`", choice.name)).collect();
    let choices = if choices.is_empty() { String::new() } else { format!(" One of {}.", choices.join(", ")) };
    let cell = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    format!(
        "| `{}` | {} | {} |\n",
        setting.key,
        cell(&default),
        cell(&format!("{}{choices}", setting.meaning))
    )
}

/// The presets that pick that member.
fn picked(section: &str, kind: &str) -> Vec<&'static str> {
    let picks = |preset: &&latent::run::Preset| {
        let table = preset.table().unwrap();
        let is = |value: Option<&toml::Value>| {
            value.and_then(|v| v.get("kind")).and_then(|v| v.as_str()) == Some(kind)
        };
        let objective = table.get("objective");
        match section {
            "objective.estimator" => is(objective.and_then(|o| o.get("estimator"))),
            "objective.terms.NAME" => {
                let terms =
                    objective.and_then(|o| o.get("terms")).and_then(|terms| terms.as_table()).unwrap();
                terms
                    .iter()
                    .any(|(name, term)| is(Some(term)) || (name == kind && term.get("kind").is_none()))
            }
            _ => is(table.get(section)),
        }
    };
    presets().iter().filter(picks).map(|preset| preset.name).collect()
}

fn page(section: &Section, title: &str, folder: &str) -> String {
    let sources = sources(folder);
    let mut page = format!("# {title}\n\n{}\n\n", section.about);
    page.push_str(
        "Made from the sources (`LATENT_WRITE=1 cargo test --release --test structure pages`).\n\n",
    );
    for member in &section.members {
        writeln!(page, "- [`{0}`](#{0}): {1}", member.kind, member.about).unwrap();
    }
    for member in &section.members {
        let source = sources.get(member.kind).unwrap_or_else(|| panic!("no file names {:?}", member.kind));
        let text = fs::read_to_string(root().join(source)).unwrap();
        write!(page, "\n## `{}`\n\n{}\n\n", member.kind, head(&text)).unwrap();
        if !member.settings.is_empty() {
            page.push_str("| key | default | meaning |\n| --- | --- | --- |\n");
            member.settings.iter().for_each(|setting| page.push_str(&row(setting)));
            page.push('\n');
        }
        let presets = picked(section.name, member.kind);
        let presets = match presets.is_empty() {
            true => String::new(),
            false => format!("Presets: `{}`. ", presets.join("`, `")),
        };
        writeln!(page, "{presets}Source: [{0}](../../{0})", source.display()).unwrap();
    }
    page
}

#[test]
fn pages_of_members_say_what_their_sources_say() {
    let folder = root().join("docs/members");
    let sections = sections(&Registry::default());
    let writes = std::env::var_os("LATENT_WRITE").is_some();
    for (name, file, title, sources) in PAGES {
        let section = sections.iter().find(|section| section.name == name).unwrap();
        let (path, wanted) = (folder.join(format!("{file}.md")), page(section, title, sources));
        if writes {
            fs::create_dir_all(&folder).unwrap();
            fs::write(&path, &wanted).unwrap();
        }
        let found = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == wanted,
            "docs/members/{file}.md is old: LATENT_WRITE=1 cargo test --release --test structure pages"
        );
    }
    // And the index by question leaves out no preset, and leads nowhere that is not there.
    let index = fs::read_to_string(folder.join("README.md")).unwrap();
    for preset in presets() {
        assert!(
            index.contains(&format!("`{}`", preset.name)),
            "docs/members/README.md does not name {}",
            preset.name
        );
    }
    for link in index.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let text = fs::read_to_string(folder.join(file)).unwrap_or_else(|_| panic!("{link} is not there"));
        assert!(anchor.is_empty() || text.contains(&format!("\n## `{anchor}`\n")), "{link} is not there");
    }
}
