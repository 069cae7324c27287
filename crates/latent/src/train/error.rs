//! What can stop training.

use std::path::PathBuf;

use crate::data::DataError;
use crate::store::StoreError;

/// Training could not start, go on, or save.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum TrainError {
    /// Another process writes to the run folder.
    #[error("{}: another process is training into this folder; wait for it, or choose another folder", path.display())]
    Locked { path: PathBuf },
    /// The folder already holds a run.
    #[error("{}: holds a run already; add --resume to go on with it, or choose another folder", path.display())]
    Exists { path: PathBuf },
    /// The folder holds files that no run wrote.
    #[error("{}: holds {}, so it is no run folder of latent{why}; nothing in it was touched. Choose a new or an empty folder", path.display(), file.display())]
    Foreign { path: PathBuf, file: PathBuf, why: String },
    /// The run in the folder is of other data.
    #[error("{}: the data has changed since this run began (hash {found:.12}, was {expected:.12}); \
             train into another folder, or give back the old data", path.display())]
    DataChanged { path: PathBuf, expected: String, found: String },
    /// The run in the folder has other settings.
    #[error("{}: `{key}` differs from the run in this folder; only train.epochs, train.steps, train.minutes, \
             train.patience, data.source and data.workers may change on --resume", path.display())]
    SettingsChanged { path: PathBuf, key: String },
    /// Numbers went bad too often.
    #[error(
        "training met a number that is not finite {tries} times and gave up; the last: {finding}.{remains} \
             Try a lower train.optimizer.learning_rate or train.clip = 1.0"
    )]
    Diverged { tries: u32, finding: String, remains: String },
    /// The training or validation split is empty.
    #[error("the {split} split has no rows; give more data or other data.validation and data.test")]
    Empty { split: &'static str },
    /// A checkpoint is not readable.
    #[error("{}: {what}; delete it to start again from the beginning", path.display())]
    Checkpoint { path: PathBuf, what: String },
    /// The model would not fit into memory.
    #[error(
        "a step of {batch} rows needs about {needed} of memory and {available} is free; \
             set train.batch = {fits}, or train.accumulate = {accumulate} to keep the batch"
    )]
    Memory { batch: usize, needed: String, available: String, fits: usize, accumulate: usize },
    /// A single row does not fit into memory.
    #[error(
        "even a step of one row needs about {needed} of memory and {available} is free; use a smaller network"
    )]
    MemoryOneRow { needed: String, available: String },
    /// Reading rows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Reading or writing a checkpoint.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operating system refused to write.
    #[error("{}", crate::files::refusal(path, source))]
    Io { path: PathBuf, source: std::io::Error },
    /// The operating system refused to read.
    #[error("{}", crate::files::unreadable(path, source))]
    Read { path: PathBuf, source: std::io::Error },
}

/// The result of what the loop does.
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

impl TrainError {
    /// An error of the file system at `path`.
    pub(crate) fn io(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Io { path: path.into(), source }
    }

    /// The same while reading.
    pub(crate) fn read(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::Read { path: path.into(), source }
    }
}
