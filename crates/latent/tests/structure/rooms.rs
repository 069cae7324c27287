//! No arrow runs upward: a room of the library reaches only rooms that stand under it, in the order that
//! `docs/architecture.md` draws in its block `rooms`. Page and code cannot drift apart: this test reads both.
//!
//! Read are `use` trees and paths in code that begin with `crate`, `super` or `self`; a room is a module of `lib.rs`, and
//! a name that `lib.rs` re-exports belongs to the room that it comes from. Comments, strings and tests are left out: a
//! test may ask whoever knows. Methods in upper rooms of types from lower ones (`Model::load`) are no arrows.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

#[test]
fn no_arrow_runs_upward() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    read_sources(&here.join("src"), &[], &mut sources);
    let page = fs::read_to_string(here.join("../../docs/architecture.md")).unwrap();
    let wrong = upward(&sources, &order(&page));
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// The rows of the page's block `rooms`, top first; rooms in one row know nothing of each other.
fn order(page: &str) -> Vec<Vec<String>> {
    let block = page.split("```rooms\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default();
    // What a room is stands after its name and two spaces.
    let row =
        |line: &str| line.split("  ").next().unwrap_or_default().split(", ").map(String::from).collect();
    block.lines().filter(|line| !line.trim().is_empty()).map(row).collect()
}

/// One file: where it lies in `src`, the path of its module, its text.
struct Source {
    file: String,
    module: Vec<String>,
    text: String,
}

fn read_sources(folder: &Path, module: &[String], sources: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().unwrap().to_str().unwrap();
        let inside = [module, &[name.to_string()]].concat();
        if path.is_dir() {
            read_sources(&path, &inside, sources);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let module = if ["lib", "mod"].contains(&name) { module.to_vec() } else { inside };
            let file = format!("{}/{}", folder.display(), path.file_name().unwrap().display());
            let file = file.split_once("/src/").map_or(file.clone(), |(_, inner)| inner.to_string());
            sources.push(Source { file, module, text: fs::read_to_string(&path).unwrap() });
        }
    }
}

/// Every arrow that does not run downward, and every room without a place.
fn upward(sources: &[Source], order: &[Vec<String>]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut rows = BTreeMap::new();
    for (row, name) in
        order.iter().enumerate().flat_map(|(row, names)| names.iter().map(move |name| (row, name)))
    {
        if rows.insert(name.as_str(), row).is_some() {
            wrong.push(format!("docs/architecture.md: {name} stands in the order twice"));
        }
    }
    let walks: Vec<Walk> = sources.iter().map(|source| Walk::new(&source.text, &source.module)).collect();
    let root = sources.iter().zip(&walks).find(|(source, _)| source.module.is_empty());
    let Some((_, root)) = root else { return vec!["no lib.rs".into()] };
    let rooms: BTreeSet<&str> = root.modules.iter().map(String::as_str).collect();
    wrong.extend(rooms.iter().filter(|room| !rows.contains_key(*room)).map(|room| {
        format!("lib.rs: {room} has no place in the order of docs/architecture.md: give it one")
    }));
    wrong.extend(rows.keys().filter(|room| !rooms.contains(*room)).map(|room| {
        format!("docs/architecture.md: {room} stands in the order and lib.rs has no such module")
    }));
    // The room behind a name of the root; none for another crate's.
    let named = |name: &str| -> Option<Option<&str>> {
        if let Some(room) = rooms.get(name) {
            return Some(Some(room));
        }
        let import = root.imports.iter().find(|import| import.name == name)?;
        let first = import.path.iter().find(|segment| !["crate", "self"].contains(&segment.as_str()))?;
        Some(rooms.get(first.as_str()).copied())
    };
    let tests: Vec<&Vec<String>> = walks.iter().flat_map(|walk| &walk.tests).collect();
    for (source, walk) in sources.iter().zip(&walks) {
        let Some(own) = source.module.first() else { continue };
        if tests.iter().any(|test| source.module.starts_with(test)) {
            continue;
        }
        for Reach { line, path } in &walk.reaches {
            let place = format!("crates/latent/src/{}:{line}", source.file);
            let Some(target) = path.first().and_then(|name| named(name)) else {
                let path = path.join("::");
                wrong.push(format!("{place}: crate::{path} names no room: write the path of what is meant"));
                continue;
            };
            let Some(target) = target.filter(|target| target != own) else { continue };
            let (Some(from), Some(to)) = (rows.get(own.as_str()), rows.get(target)) else { continue };
            if to <= from {
                let where_it_stands = if to == from { "beside" } else { "above" };
                let path = path.join("::");
                wrong.push(format!(
                    "{place}: {own} → {target} (crate::{path}), and {target} stands {where_it_stands} {own}: \
                     move what is needed down"
                ));
            }
        }
    }
    wrong
}

/// Something that a file names, by its path from the root.
struct Reach {
    line: usize,
    path: Vec<String>,
}

/// A name that a `use` brings, with the path as it is written.
struct Import {
    line: usize,
    name: String,
    path: Vec<String>,
}

/// What one file says.
#[derive(Default)]
struct Walk {
    reaches: Vec<Reach>,
    imports: Vec<Import>,
    /// The modules that it declares at its top.
    modules: Vec<String>,
    /// Those of them, with their whole path, that only tests have.
    tests: Vec<Vec<String>>,
}

impl Walk {
    fn new(text: &str, module: &[String]) -> Self {
        let tokens = tokens(text);
        let is = |at: usize, wanted: &str| tokens.get(at).is_some_and(|token: &Token| token.text == wanted);
        let mut walk = Self::default();
        let mut here = module.to_vec();
        // How many braces are open, and at how many each inline module began.
        let (mut depth, mut inline) = (0, Vec::new());
        let mut at = 0;
        while let Some(Token { text, line }) = tokens.get(at) {
            match text.as_str() {
                "#" if is_test(&tokens[at..]) => {
                    let item = after_attributes(&tokens, at);
                    let (next, module) = after_item(&tokens, item);
                    walk.tests.extend(module.map(|name| [&here[..], &[name]].concat()));
                    at = next;
                    continue;
                }
                "mod" if is(at + 2, ";") && inline.is_empty() => {
                    walk.modules.push(tokens[at + 1].text.clone())
                }
                "mod" if is(at + 2, "{") => {
                    here.push(tokens[at + 1].text.clone());
                    inline.push(depth);
                    depth += 1;
                    at += 3;
                    continue;
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inline.last() == Some(&depth) {
                        inline.pop();
                        here.pop();
                    }
                }
                // `+ use<'a>` captures and imports nothing.
                "use" if !is(at + 1, "<") => {
                    let first = walk.imports.len();
                    at = tree(&tokens, at + 1, &[], &mut walk.imports);
                    let found = walk.imports[first..].iter();
                    let found =
                        found.filter_map(|import| Some((import.line, absolute(&here, &import.path)?)));
                    walk.reaches.extend(found.map(|(line, path)| Reach { line, path }));
                    continue;
                }
                "crate" | "super" | "self" if is(at + 1, "::") => {
                    let mut path = vec![text.clone()];
                    while is(at + 1, "::") && tokens.get(at + 2).is_some_and(Token::is_name) {
                        path.push(tokens[at + 2].text.clone());
                        at += 2;
                    }
                    walk.reaches.extend(absolute(&here, &path).map(|path| Reach { line: *line, path }));
                }
                _ => {}
            }
            at += 1;
        }
        walk
    }
}

/// The path from the root; none where it begins with a name of the module itself or of another crate.
fn absolute(module: &[String], path: &[String]) -> Option<Vec<String>> {
    let mut place = match path.first()?.as_str() {
        "crate" => Vec::new(),
        "self" | "super" => module.to_vec(),
        _ => return None,
    };
    for segment in path {
        match segment.as_str() {
            "crate" | "self" => {}
            "super" => {
                place.pop();
            }
            name => place.push(name.into()),
        }
    }
    Some(place)
}

/// Reads a `use` tree from `at` on; returns the place after it.
fn tree(tokens: &[Token], mut at: usize, prefix: &[String], imports: &mut Vec<Import>) -> usize {
    let mut path = prefix.to_vec();
    while let Some(Token { text, line }) = tokens.get(at) {
        match text.as_str() {
            "::" => at += 1,
            "{" => {
                at += 1;
                while tokens.get(at).is_some_and(|token| token.text != "}") {
                    at = tree(tokens, at, &path, imports);
                    at += usize::from(tokens.get(at).is_some_and(|token| token.text == ","));
                }
                return at + 1;
            }
            "as" => {
                let name = tokens.get(at + 1).map(|token| token.text.clone()).unwrap_or_default();
                imports.push(Import { line: *line, name, path });
                return at + 2;
            }
            "," | "}" | ";" => {
                let name = path.iter().rfind(|segment| *segment != "self").cloned().unwrap_or_default();
                imports.push(Import { line: tokens[at - 1].line, name, path });
                return at;
            }
            name => {
                path.push(name.into());
                at += 1;
            }
        }
    }
    at
}

/// Whether these tokens begin with an attribute that leaves an item to tests.
fn is_test(tokens: &[Token]) -> bool {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    if (text(1), text(2)) != ("[", "cfg") {
        return false;
    }
    let inside: Vec<&str> =
        tokens.iter().skip(2).map(|token| token.text.as_str()).take_while(|text| *text != "]").collect();
    inside.contains(&"test") && !inside.contains(&"not")
}

fn after_attributes(tokens: &[Token], mut at: usize) -> usize {
    while tokens.get(at).is_some_and(|token| token.text == "#") {
        at = after_brackets(tokens, at + 1);
    }
    at
}

/// The place after the brackets that open at `at`.
fn after_brackets(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth <= 0 {
            break;
        }
    }
    at
}

/// The place after an item, and its name if it is a module in a file of its own.
fn after_item(tokens: &[Token], mut at: usize) -> (usize, Option<String>) {
    let mut before: Vec<&str> = Vec::new();
    while let Some(token) = tokens.get(at) {
        match token.text.as_str() {
            ";" => {
                let module = before.iter().position(|text| *text == "mod").and_then(|at| before.get(at + 1));
                return (at + 1, module.map(|name| name.to_string()));
            }
            "{" if !before.contains(&"use") => return (after_brackets(tokens, at), None),
            "(" | "[" | "{" => at = after_brackets(tokens, at),
            text => {
                before.push(text);
                at += 1;
            }
        }
    }
    (at, None)
}

/// A word or a sign of code, and its line.
struct Token {
    text: String,
    line: usize,
}

impl Token {
    fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The code, without comments, strings, characters and lifetimes.
fn tokens(source: &str) -> Vec<Token> {
    let source: Vec<char> = source.chars().collect();
    let char_at = |at: usize| source.get(at).copied().unwrap_or('\0');
    let find = |from: usize, what: &str| {
        let what: Vec<char> = what.chars().collect();
        (from..source.len())
            .find(|at| source[*at..].starts_with(&what))
            .map_or(source.len(), |at| at + what.len())
    };
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let (mut tokens, mut line, mut at): (Vec<Token>, usize, usize) = (Vec::new(), 1, 0);
    while at < source.len() {
        let start = at;
        let mut text = None;
        match (char_at(at), char_at(at + 1)) {
            ('/', '/') => at = find(at, "\n"),
            ('/', '*') => {
                let mut open = 0;
                loop {
                    match (char_at(at), char_at(at + 1)) {
                        ('/', '*') => (open, at) = (open + 1, at + 2),
                        ('*', '/') => (open, at) = (open - 1, at + 2),
                        _ => at += 1,
                    }
                    if open == 0 || at >= source.len() {
                        break;
                    }
                }
            }
            ('"', _) => {
                at += 1;
                while at < source.len() && char_at(at) != '"' {
                    at += if char_at(at) == '\\' { 2 } else { 1 };
                }
                at += 1;
            }
            ('\'', '\\') => at = find(at + 3, "'"),
            ('\'', _) if char_at(at + 2) == '\'' => at += 3,
            ('\'', _) => {
                at += 1;
                while is_word(char_at(at)) {
                    at += 1;
                }
            }
            (c, _) if is_word(c) => {
                while is_word(char_at(at)) {
                    at += 1;
                }
                let word: String = source[start..at].iter().collect();
                let hashes = source[at..].iter().take_while(|c| **c == '#').count();
                let raw = ["r", "br", "cr"].contains(&word.as_str());
                if raw && char_at(at + hashes) == '"' {
                    at = find(at + hashes + 1, &format!("\"{}", "#".repeat(hashes)));
                } else if raw && hashes == 1 {
                    // A raw name: what follows is the name.
                    at += 1;
                } else if !(["b", "c"].contains(&word.as_str()) && ['"', '\''].contains(&char_at(at))) {
                    text = Some(word);
                }
            }
            (':', ':') => {
                at += 2;
                text = Some("::".into());
            }
            (c, _) => {
                at += 1;
                text = Some(c.to_string()).filter(|_| !c.is_whitespace());
            }
        }
        tokens.extend(text.map(|text| Token { text, line }));
        line += source[start..at.min(source.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

/// What the checker says of made-up files: `model` over `density` beside `network` over `key`.
fn made_up(files: &[(&str, &str)]) -> Vec<String> {
    let page = "# Rooms\n\n```rooms\nmodel             functions\ndensity, network  what they are made of\nkey  \n```\n";
    let root = "pub mod model;\npub mod density;\npub mod network;\nmod key;\npub use burn;\npub use key::Key;\n\
                pub use model::{View as Sight, LatentModel};\n";
    let source = |file: &str, text: &str| {
        let module = file.trim_end_matches(".rs").split('/').filter(|name| !["lib", "mod"].contains(name));
        Source { file: file.into(), module: module.map(String::from).collect(), text: text.into() }
    };
    let mut sources = vec![source("lib.rs", root)];
    sources.extend(files.iter().map(|(file, text)| source(file, text)));
    upward(&sources, &order(page))
}

#[test]
fn a_made_up_upward_arrow_is_found() {
    let found = |file: &str, text: &str, arrow: &str| {
        let wrong = made_up(&[(file, text)]);
        let all = wrong.iter().all(|line| line.contains(arrow));
        assert!(!wrong.is_empty() && all, "{file}: {text}: {wrong:?}");
    };
    let up = "density → model";
    found(
        "density/kl.rs",
        "use crate::key::Key;\nuse crate::model::View;",
        "density/kl.rs:2: density → model",
    );
    found("density/kl.rs", "use crate::{key::{Key}, model::{rate::{self, Rate}}};", up);
    found("density/kl.rs", "use crate::{\n    key::Key,\n    model,\n};", "kl.rs:3: density → model");
    found("density/kl.rs", "fn f(view: &crate::model::View<'_>) {}", up);
    found("density/kl.rs", "fn f() { let r#x = '\"'; crate::model::g::<u8>(); }", up);
    found("density/kl.rs", "use crate::Sight;", up);
    found("density/kl.rs", "fn f(_: crate::LatentModel, _: crate::Key) {}", up);
    found("density/flow/mod.rs", "use super::super::model::View;", up);
    found("density/flow/coupling.rs", "use super::super::super::{model as m};", up);
    found("density/mod.rs", "mod inner { fn f() { super::super::model::g() } } use self::inner::f;", up);
    found("density.rs", "pub(crate) use super::model::*;", up);
    found(
        "density/kl.rs",
        "#[cfg(test)]\nmod tests { use crate::model::View; }\nuse crate::model::View;",
        "kl.rs:3",
    );
    found("density/kl.rs", "#[cfg(not(test))] use crate::model::View;", up);
    found("density/kl.rs", "use crate::network::Dense;", "network stands beside density");
    found("key.rs", "macro_rules! m { () => { $crate::density::f() } }", "key → density");
    found("density/kl.rs", "use super::super as root;", "names no room");
    found("density/kl.rs", "use crate::*;", "names no room");
    found("attic.rs", "use crate::attic::x;", "names no room");
}

#[test]
fn what_is_no_arrow_is_left_alone() {
    let fine =
        |file: &str, text: &str| assert_eq!(made_up(&[(file, text)]), Vec::<String>::new(), "{file}: {text}");
    fine("model/mod.rs", "use crate::{density::kl, network::Network, Key}; use crate::burn::Tensor;");
    fine("density/kl.rs", "use super::Density; use super::super::density::flow; use crate::density::bits;");
    fine(
        "density/kl.rs",
        "// crate::model::View\n/* crate::model /* nested */ crate::model */ //! [`crate::model`]",
    );
    fine(
        "density/kl.rs",
        r####"const A: &str = "crate::model \" x"; const B: &str = r#"" crate::model::x"#;"####,
    );
    fine(
        "density/kl.rs",
        "fn f<'a>(x: &'a u8) -> impl Iterator + use<'a> { self.model::<u8>(b'\\'', '\\'') }",
    );
    fine("density/kl.rs", "pub(in crate::density) fn f() {}  pub(super) fn g() { model::View }");
    fine("density/kl.rs", "#[cfg(test)]\n#[allow(x)]\nfn f() -> [u8; 2] { crate::model::f() }\nfn g() {}");
    fine("density/kl.rs", "#[cfg(all(test, unix))] use crate::{model::View, key};\nfn g() {}");
    let files = [
        ("density/mod.rs", "#[cfg(test)]\nmod tests;"),
        ("density/tests/deep.rs", "use crate::model::View;"),
    ];
    assert_eq!(made_up(&files), Vec::<String>::new());
}

#[test]
fn every_room_has_one_place() {
    let page = |rows: &str| order(&format!("```rooms\n{rows}\n```\n"));
    let root = Source { file: "lib.rs".into(), module: Vec::new(), text: "mod a; mod b;".into() };
    let wrong = |rows: &str| upward(std::slice::from_ref(&root), &page(rows));
    assert!(wrong("a, b").is_empty());
    assert!(wrong("a")[0].contains("b has no place"));
    assert!(wrong("a\nb\nc")[0].contains("no such module"));
    assert!(wrong("a, b\na")[0].contains("twice"));
}
