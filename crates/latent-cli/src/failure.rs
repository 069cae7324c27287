//! What a command ends with when it cannot do its work: exit code 2 for what the user can mend, 1 for our fault.

use std::path::{Path, PathBuf};

use latent::config::ConfigError;
use latent::words::shown;

use crate::output::lines;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library says why.
    #[error(transparent)]
    Latent(#[from] latent::Error),
    /// A flag makes no sense.
    #[error("{flag}: {what}; {remedy}")]
    Flag { flag: &'static str, what: String, remedy: String },
    /// A path that a command was given is not what it needs.
    #[error("{}: {what}; {remedy}", at.display())]
    Path { at: PathBuf, what: String, remedy: String },
    /// A file exists that would be overwritten.
    #[error("{}: exists already; give another path, or add --force to replace it", .0.display())]
    Exists(PathBuf),
    /// A run folder whose training hasn't ended.
    #[error("{}: training has not ended, so there is no model yet; go on with: latent train --out {} --resume", .0.display(), .0.display())]
    Unfinished(PathBuf),
    /// The environment asks for what there isn't.
    #[error(transparent)]
    Kernels(#[from] latent_kernels::UnknownLimit),
    /// The program met what it holds to be impossible.
    #[error("{what} ({place}). This is a bug in latent: please report it, with the command")]
    Bug { what: String, place: String },
}

impl Failure {
    /// A flag makes no sense: what is wrong with it, and what to do.
    pub fn flag(flag: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Flag { flag, what: what.into(), remedy: remedy.into() }
    }

    /// A path that a command was given: what is wrong with it, and what to do.
    pub fn path(at: &Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Path { at: at.into(), what: what.into(), remedy: remedy.into() }
    }

    /// The message, on one line; only where TOML is wrong it shows the place below.
    pub fn shown(&self) -> String {
        match self {
            Self::Latent(latent::Error::Config(ConfigError::Syntax { path: file, message })) => {
                format!("{}: {}", shown(&file.to_string_lossy()), lines(message))
            }
            other => shown(&other.to_string()),
        }
    }

    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Latent(error) => error.exit_code(),
            Self::Flag { .. }
            | Self::Path { .. }
            | Self::Exists(_)
            | Self::Unfinished(_)
            | Self::Kernels(_) => 2,
            Self::Bug { .. } => 1,
        }
    }
}

/// Each room's error is the library's.
macro_rules! from_rooms {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Latent(error.into())
            }
        })*
    };
}

from_rooms!(
    latent::config::ConfigError,
    latent::data::DataError,
    latent::device::DeviceError,
    latent::figure::FigureError,
    latent::generate::GenerateError,
    latent::generate::SamplerError,
    latent::model::ModelError,
    latent::store::StoreError,
    latent::train::TrainError,
);

/// What a command gives.
pub type Done = Result<std::process::ExitCode, Failure>;
