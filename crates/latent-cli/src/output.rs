//! What commands print: text for people, JSON lines for programs. Results go to standard output, notes and errors to
//! standard error. A reader that has gone away is no error: a run under way goes on.
//!
//! Names of files, classes and columns may hold anything: control characters in them are shown, never sent to a terminal.

use std::io::Write;
use std::path::{Path, PathBuf};

use latent::words::shown;
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

/// Text of several lines, each [shown]; bold, which tables use, stays.
pub fn lines(text: &str) -> String {
    const BOLD: [&str; 2] = ["\u{1b}[1m", "\u{1b}[0m"];
    let plain = |text: &str| text.split('\n').map(shown).collect::<Vec<_>>().join("\n");
    let parts =
        text.split(BOLD[0]).map(|part| part.split(BOLD[1]).map(plain).collect::<Vec<_>>().join(BOLD[1]));
    parts.collect::<Vec<_>>().join(BOLD[0])
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
    fn only_lines_and_bold_are_left() {
        assert_eq!(lines("x\n\u{1b}[1my\u{1b}[0m\u{1b}[2J"), "x\n\u{1b}[1my\u{1b}[0m\\u{1b}[2J");
    }
}
