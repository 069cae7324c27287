//! What a command ends with when it cannot do its work: exit code 2 for what the user can mend, 1 for our fault.

use std::path::PathBuf;

/// A command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The library says why.
    #[error(transparent)]
    Latent(#[from] latent::Error),
    /// A flag makes no sense.
    #[error("{flag}: {what}; {remedy}")]
    Flag { flag: &'static str, what: String, remedy: String },
    /// A file exists that would be overwritten.
    #[error("{}: exists already; give another path, or add --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io { path: PathBuf, source: std::io::Error },
}

impl Failure {
    /// The exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Latent(error) => error.exit_code(),
            Self::Flag { .. } | Self::Exists(_) | Self::Io { .. } => 2,
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
    latent::model::ModelError,
    latent::store::StoreError,
    latent::train::TrainError,
);

/// What a command gives.
pub type Done = Result<std::process::ExitCode, Failure>;
