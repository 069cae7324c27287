//! One error type a room; this is their union.
//!
//! An error says what was wrong, where (file, row, key, tensor, step), and what to do next. Each room owns
//! its enum in a file `error.rs`; [`Error::exit_code`] tells a user's mistake (2) from ours (1).

use crate::data::DataError;
use crate::figure::FigureError;

/// Anything that can go wrong in the library.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Reading, checking or splitting data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Drawing or writing a picture or a report.
    #[error(transparent)]
    Figure(#[from] FigureError),
}

/// The result of a library call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The exit code of a command that ends with this error: 2 for what the user can mend, 1 for our fault.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Data(_) | Self::Figure(_) => 2,
        }
    }
}
