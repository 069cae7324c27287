//! What can be wrong with data: what, where (file, row, line, column), and what to do about it.

use std::path::{Path, PathBuf};

use super::Split;

/// Reading, checking, splitting or writing data failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum DataError {
    /// The path does not exist, and no data set has that name.
    #[error("{}: no such file or folder, and no data set of that name ({known})", path.display())]
    NotFound {
        /// What was asked for.
        path: PathBuf,
        /// The names that would have been understood, or where a known name was looked for.
        known: String,
    },
    /// The operating system refused to read.
    #[error("{}", crate::files::unreadable(path, source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The operating system refused to write.
    #[error("{}", crate::files::refusal(path, source))]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not what it claims to be.
    #[error("{}: {what}; {remedy}", path.display())]
    Malformed {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A file was written to after it was opened.
    #[error(
        "{}: {what} while it was in use, and rows may no longer be what they were; put back what it held and go on \
         (training: with --resume), or begin anew with what it holds now",
        path.display()
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What is seen of it, as "it was written to".
        what: String,
    },
    /// A value is NaN or infinite.
    #[error(
        "{}: row {row}, column {column} is {value}; remove the row or fill in a number (rows and columns are counted from 0)",
        path.display()
    )]
    NotFinite {
        /// The file.
        path: PathBuf,
        /// The row, counted from 0.
        row: u64,
        /// The feature within the row, counted from 0.
        column: u64,
        /// What stands there.
        value: f64,
    },
    /// A cell of a table can't be used.
    #[error("{}: line {line}, column {column:?}: {what}; {remedy}", path.display())]
    Cell {
        /// The file.
        path: PathBuf,
        /// The line of the file, counted from 1 (the header).
        line: u64,
        /// The name of the column.
        column: String,
        /// What is wrong.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A setting of `[data]` does not fit the data.
    #[error("data.{key}: {what}; {remedy}")]
    Setting {
        /// The key within `[data]`.
        key: &'static str,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// Data does not fit the model (or the training data) it is opened for.
    #[error("{}: {what}; {remedy}", path.display())]
    Mismatch {
        /// The data.
        path: PathBuf,
        /// What differs.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// What a model is told beside x was given wrongly, or not at all.
    #[error("condition {given}: {what}; {remedy}")]
    Condition {
        /// The assignment as it was given, or the name of what is missing.
        given: String,
        /// What is wrong with it.
        what: String,
        /// What to do.
        remedy: String,
    },
    /// A row was asked for that the split does not have.
    #[error("row {position} of the {split} split was asked for, which has {rows}; ask for less")]
    Position {
        /// The split.
        split: Split,
        /// The position asked for.
        position: usize,
        /// How many rows there are.
        rows: usize,
    },
    /// Threads that prepare data could not start, or one ended too early.
    #[error("preparing data: {what}; set data.workers = 1, and report this as a bug")]
    Worker {
        /// What happened.
        what: String,
    },
}

impl DataError {
    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }

    /// The same for data that is opened as a trained model's own was: where a setting was to be the remedy, there is none to
    /// set.
    #[must_use]
    pub fn for_model(mut self, data: &Path) -> Self {
        const REMEDY: &str =
            "rows for a trained model are read with the settings of its run.toml: give them in that form";
        match &mut self {
            Self::Setting { what, .. } => return Self::mismatch(data, std::mem::take(what), REMEDY),
            Self::Malformed { remedy, .. } | Self::Cell { remedy, .. } | Self::Mismatch { remedy, .. }
                if remedy.contains("data.") =>
            {
                *remedy = REMEDY.into();
            }
            _ => {}
        }
        self
    }

    pub(crate) fn malformed(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Malformed { path: path.to_path_buf(), what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn mismatch(path: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Mismatch { path: path.to_path_buf(), what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn condition(
        given: impl Into<String>,
        what: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self::Condition { given: given.into(), what: what.into(), remedy: remedy.into() }
    }

    pub(crate) fn setting(key: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Setting { key, what: what.into(), remedy: remedy.into() }
    }
}
