//! The library's errors as Python's: a wrong value is a `ValueError`, a missing file a `FileNotFoundError`, everything else
//! `LatentError`; each with the message that the command prints.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use latent::Error;
use latent::data::DataError;
use latent::generate::SamplerError;
use latent::store::StoreError;
use latent::train::TrainError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyFileExistsError, PyFileNotFoundError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    latent,
    LatentError,
    PyException,
    "What went wrong in training, in a file, or (an internal error) in latent itself."
);

/// An error that came from the library or from Python.
pub enum Failure {
    /// The library's.
    Engine(Error),
    /// Python's, such as that of a callback.
    Python(PyErr),
    /// A panic: our fault.
    Internal(String),
}

pub type Result<T> = std::result::Result<T, Failure>;

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Engine(error.into())
    }
}

impl Failure {
    /// A value that makes no sense.
    pub fn value(message: impl Into<String>) -> Self {
        Self::Python(PyValueError::new_err(message.into()))
    }

    /// What a thread panicked with.
    pub fn panicked(panic: &(dyn Any + Send)) -> Self {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
        Self::Internal(text.into())
    }
}

impl From<Failure> for PyErr {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Engine(error) => translated(error),
            Failure::Python(error) => error,
            Failure::Internal(what) => LatentError::new_err(format!(
                "internal error, which is a bug of latent and none of yours: {what}; please report it with what you called"
            )),
        }
    }
}

/// The Python error of one of ours.
fn translated(error: Error) -> PyErr {
    let message = error.to_string();
    let is_missing = |source: &std::io::Error| source.kind() == std::io::ErrorKind::NotFound;
    match error {
        Error::Data(DataError::NotFound { .. })
        | Error::Store(StoreError::NoRun { .. } | StoreError::Unfinished { .. }) => {
            PyFileNotFoundError::new_err(message)
        }
        Error::Store(StoreError::Read { ref source, .. }) if is_missing(source) => {
            PyFileNotFoundError::new_err(message)
        }
        Error::Train(TrainError::Exists { .. }) => PyFileExistsError::new_err(message),
        Error::Config(_) | Error::Data(_) | Error::Device(_) | Error::Model(_) => {
            PyValueError::new_err(message)
        }
        Error::Sampler(SamplerError::Request { .. } | SamplerError::Unsuitable { .. }) => {
            PyValueError::new_err(message)
        }
        Error::Store(StoreError::NoGraph { .. }) => PyValueError::new_err(message),
        _ => LatentError::new_err(message),
    }
}

/// Lets the GIL go, does `work`, and catches a panic.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    py.detach(|| {
        catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(Failure::panicked(panic.as_ref())))
    })
    .map_err(PyErr::from)
}
