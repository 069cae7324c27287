//! What can be wrong with a file of ours.

use std::path::PathBuf;

/// A model file or checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused to write.
    #[error("{}", crate::files::refusal(path, source))]
    Io { path: PathBuf, source: std::io::Error },
    /// The operating system refused to read.
    #[error("{}", crate::files::unreadable(path, source))]
    Read { path: PathBuf, source: std::io::Error },
    /// Not a safetensors file, or cut short.
    #[error("{}: {what}; {remedy}", path.display())]
    Malformed { path: PathBuf, what: String, remedy: String },
    /// A safetensors file of something else.
    #[error("{}: a safetensors file, but not one that latent wrote: {what}", path.display())]
    Foreign { path: PathBuf, what: String },
    /// Written by a later version.
    #[error("{}: written by a newer version (format {found}, this program reads up to {known}); install that version to use it", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
    /// A run folder whose training is not over.
    #[error("{}: this run has no model yet; finish it with `latent train ... --resume`", path.display())]
    Unfinished { path: PathBuf },
    /// What other runtimes have no operations for, or would need what a file cannot hold.
    #[error("{what} cannot be written as an ONNX graph; {remedy}")]
    NoGraph { what: String, remedy: String },
    /// A folder without a run.
    #[error("{}: a folder, but not one of a run: it holds neither run.toml nor model.safetensors", path.display())]
    NoRun { path: PathBuf },
}

impl StoreError {
    /// The refusal of what cannot be exported.
    pub fn no_graph(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::NoGraph { what: what.into(), remedy: remedy.into() }
    }
}
