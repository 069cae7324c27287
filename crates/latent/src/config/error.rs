//! What can be wrong with a configuration.

use std::path::PathBuf;

/// A preset, a TOML file, a `--set` or their combination is wrong.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum ConfigError {
    /// No setting has that name.
    #[error("unknown key `{key}`{}", hint(nearest))]
    UnknownKey { key: String, nearest: Option<String> },
    /// The table is of a kind that has no such setting.
    #[error("unknown key `{key}`: only {kinds} has it; choose that, or leave the key out")]
    OtherKind { key: String, kinds: String },
    /// No member of the axis, or no preset, has that name.
    #[error("unknown {axis} `{name}`{}; known: {known}", hint(nearest))]
    UnknownMember { axis: String, name: String, nearest: Option<String>, known: String },
    /// The value of a key has the wrong type or range.
    #[error("`{key}`: {what}; {remedy}")]
    Value { key: String, what: String, remedy: String },
    /// Two choices do not go together.
    #[error("{what}; {remedy}")]
    Combination { what: String, remedy: String },
    /// The file is not TOML.
    #[error("{}: {message}", path.display())]
    Syntax { path: PathBuf, message: String },
    /// A resolved run cannot be written down: our fault.
    #[error("`{key}` cannot be written as TOML: {what}; report this as a bug")]
    Unwritable { key: String, what: String },
    /// The file cannot be read.
    #[error("{}", crate::files::unreadable(path, source))]
    Io { path: PathBuf, source: std::io::Error },
}

impl ConfigError {
    /// A value that cannot be, at `key` of the member's own table.
    pub fn value(key: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Value { key: key.into(), what: what.into(), remedy: remedy.into() }
    }

    /// Two choices that do not go together.
    pub fn combination(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Combination { what: what.into(), remedy: remedy.into() }
    }

    /// The same of a key that stands in `section`.
    pub(crate) fn within(self, section: &str) -> Self {
        match self {
            Self::Value { key, what, remedy } if !section.is_empty() => {
                Self::Value { key: format!("{section}.{key}"), what, remedy }
            }
            other => other,
        }
    }
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|n| format!(" (did you mean `{n}`?)")).unwrap_or_default()
}

/// How like each other two names are, from 0 to 1.
pub(crate) fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(a, b)
}

/// The candidate most like `name`, if any is like it at all.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    candidates
        .into_iter()
        // Two letters are somewhere in every long name.
        .filter(|candidate| candidate.len() <= 3 * name.len())
        .map(|candidate| (likeness(name, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate.to_string())
}
