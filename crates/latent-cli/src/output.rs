//! What commands print: text for people, JSON lines for programs. Results go to standard output, notes and errors to
//! standard error. A reader that has gone away is no error: a run under way goes on.

use std::io::Write;

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
            say(text.as_ref());
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
            whisper(text.as_ref());
        }
    }

    /// Why a command failed.
    pub fn failure(&self, failure: &Failure) {
        if self.json {
            whisper(&json!({ "error": failure.to_string(), "exit_code": failure.exit_code() }).to_string());
        } else {
            whisper(&format!("error: {failure}"));
        }
    }
}

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn whisper(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
