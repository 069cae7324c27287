//! What commands print: text for people, JSON lines for programs. Notes and errors go to standard error.

use serde::Serialize;

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
        if self.json {
            match serde_json::to_string(value) {
                Ok(line) => say(&line),
                Err(error) => eprintln!("error: cannot write JSON: {error}"),
            }
        } else {
            say(text.as_ref());
        }
    }

    /// Something the user should know on the way.
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.json {
            eprintln!("{}", text.as_ref());
        }
    }

    /// Why a command failed.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            eprintln!(
                "{}",
                serde_json::json!({ "error": failure.to_string(), "exit_code": failure.exit_code() })
            );
        } else {
            eprintln!("error: {failure}");
        }
    }
}

/// Prints a line; a reader that has gone away is no error.
fn say(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}
