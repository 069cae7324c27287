//! What can be wrong with a file of ours.

use std::path::PathBuf;

/// A model file or checkpoint cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
    /// Not a safetensors file, or cut short.
    #[error("{}: {what}; {remedy}", path.display())]
    Malformed { path: PathBuf, what: String, remedy: String },
    /// A safetensors file of something else.
    #[error("{}: a safetensors file, but not one that latent wrote: {what}", path.display())]
    Foreign { path: PathBuf, what: String },
    /// Written by a later version.
    #[error("{}: written by a newer version (format {found}, this program reads up to {known}); install that version to use it", path.display())]
    Newer { path: PathBuf, found: u32, known: u32 },
}
