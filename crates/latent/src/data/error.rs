//! What can be wrong with data.

use std::path::PathBuf;

/// Reading, checking or splitting data failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The path does not exist, and no data set has that name.
    #[error("{}: no such file or folder, and no data set of that name (known names: {known})", path.display())]
    NotFound { path: PathBuf, known: String },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// The file is not what it claims to be.
    #[error("{}: {what}; {remedy}", path.display())]
    Malformed { path: PathBuf, what: String, remedy: String },
    /// A setting of `[data]` does not fit the data.
    #[error("data.{key}: {what}; {remedy}")]
    Setting { key: &'static str, what: String, remedy: String },
}
