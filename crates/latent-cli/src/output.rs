//! What commands print: text for people, JSON lines for programs. Results go to standard output, notes and errors to
//! standard error. A reader that has gone away is no error: a run under way goes on.
//!
//! Names of files, classes and columns may hold anything: control characters in them are shown, never sent to a terminal.

use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::json;

use crate::failure::Failure;

/// Where and how a command speaks.
pub struct Output {
    json: bool,
}

impl Output {
    /// Text, or JSON lines.
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether JSON is asked for.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// A result: `text` for people, `value` for programs.
    pub fn result<T: Serialize>(&self, text: impl AsRef<str>, value: &T) {
        if !self.json {
            say(&lines(text.as_ref()));
            return;
        }
        match serde_json::to_string(value) {
            Ok(line) => say(&line),
            Err(error) => whisper(&json!({ "error": format!("cannot write JSON: {error}") }).to_string()),
        }
    }

    /// Something the user should know on the way.
    pub fn note(&self, text: impl AsRef<str>) {
        if self.json {
            whisper(&json!({ "note": text.as_ref().trim() }).to_string());
        } else {
            whisper(&lines(text.as_ref()));
        }
    }

    /// A line from the library, which may name files: it stays one line.
    pub fn told(&self, line: impl AsRef<str>) {
        self.note(if self.json { line.as_ref().into() } else { shown(line.as_ref()) });
    }

    /// Why a command failed.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            whisper(&json!({ "error": failure.to_string(), "exit_code": failure.exit_code() }).to_string());
        } else {
            whisper(&format!("error: {}", failure.shown()));
        }
    }
}

/// Text with every control character as it is written in Rust: a name stays on its line and colours nothing.
pub fn shown(text: &str) -> String {
    escaped(text, &|_| false)
}

/// A path in a sentence.
pub fn path(path: &Path) -> String {
    shown(&path.to_string_lossy())
}

/// A path for programs: JSON is text, so what is no text is replaced.
pub fn json_path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Paths for programs.
pub fn json_paths(paths: &[PathBuf]) -> Vec<String> {
    paths.iter().map(|path| json_path(path)).collect()
}

/// Text of several lines; bold, which tables use, stays.
pub fn lines(text: &str) -> String {
    const BOLD: [&str; 2] = ["\u{1b}[1m", "\u{1b}[0m"];
    escaped(text, &|rest| rest.starts_with('\n') || BOLD.iter().any(|code| rest.starts_with(code)))
}

/// `text` with its control characters escaped, but where `allowed` knows what begins there.
fn escaped(text: &str, allowed: &dyn Fn(&str) -> bool) -> String {
    let mut all = String::with_capacity(text.len());
    for (at, letter) in text.char_indices() {
        if letter.is_control() && !allowed(&text[at..]) {
            let _ = write!(all, "{}", letter.escape_default());
        } else {
            all.push(letter);
        }
    }
    all
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn whisper(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_neither_colour_nor_break_lines() {
        assert_eq!(shown("a\u{1b}[31mb\nc\td\u{9b}"), r"a\u{1b}[31mb\nc\td\u{9b}");
        assert_eq!(shown("σ = ½, Trouser"), "σ = ½, Trouser");
        assert_eq!(lines("x\n\u{1b}[1my\u{1b}[0m\u{1b}[2J"), "x\n\u{1b}[1my\u{1b}[0m\\u{1b}[2J");
    }
}
