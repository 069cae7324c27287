//! What can go wrong while drawing.

use std::path::PathBuf;

/// Drawing or writing a picture or a report failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// The operating system refused to write.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}
