//! One error type a room; this is their union, above them all: no room that has errors of its own imports it.
//!
//! An error says what was wrong, where (file, row, key, tensor, step), and what to do next. Each room owns
//! its enum in a file `error.rs`; [`Error::exit_code`] tells a user's mistake (2) from ours (1).

use crate::config::ConfigError;
use crate::data::DataError;
use crate::device::DeviceError;
use crate::figure::FigureError;
use crate::generate::{GenerateError, SamplerError};
use crate::model::ModelError;
use crate::store::StoreError;
use crate::train::TrainError;

/// Anything that can go wrong in the library.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum Error {
    /// A preset, a file of settings, a `--set`.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The device asked for.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A model asked for what it cannot give.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A model file or checkpoint.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Training.
    #[error(transparent)]
    Train(TrainError),
    /// Reading, checking or splitting data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Drawing or writing a picture or a report.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// Fitting or drawing from a sampler.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
}

impl From<TrainError> for Error {
    /// What the loop only passed on is what it was.
    fn from(error: TrainError) -> Self {
        match error {
            TrainError::Data(error) => Self::Data(error),
            TrainError::Store(error) => Self::Store(error),
            own => Self::Train(own),
        }
    }
}

impl From<GenerateError> for Error {
    fn from(error: GenerateError) -> Self {
        match error {
            GenerateError::Config(error) => Self::Config(error),
            GenerateError::Data(error) => Self::Data(error),
            GenerateError::Figure(error) => Self::Figure(error),
            GenerateError::Model(error) => Self::Model(error),
            GenerateError::Sampler(error) => Self::Sampler(error),
            GenerateError::Store(error) => Self::Store(error),
            GenerateError::Train(error) => error.into(),
        }
    }
}

/// The result of a library call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The exit code of a command that ends with this error: 2 for what the user can mend, 1 for our fault.
    pub fn exit_code(&self) -> u8 {
        let ours = matches!(
            self,
            Self::Config(ConfigError::Unwritable { .. })
                | Self::Data(DataError::Worker { .. })
                | Self::Figure(FigureError::Raster { .. } | FigureError::Input { .. })
        );
        if ours { 1 } else { 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_cannot_mend_is_our_fault() {
        let ours: [Error; 4] = [
            FigureError::Raster { what: "no memory".into() }.into(),
            FigureError::Input { figure: "grid", what: "no image".into(), remedy: "give one" }.into(),
            DataError::Worker { what: "a thread ended".into() }.into(),
            ConfigError::Unwritable { key: "run".into(), what: "a map".into() }.into(),
        ];
        let theirs: [Error; 3] = [
            DataError::NotFound { path: "x".into(), known: "embedded".into() }.into(),
            FigureError::Extension { path: "x.gif".into() }.into(),
            TrainError::Exists { path: "run".into() }.into(),
        ];
        assert!(ours.iter().all(|error| error.exit_code() == 1));
        assert!(theirs.iter().all(|error| error.exit_code() == 2));
    }
}
