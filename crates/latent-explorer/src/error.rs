//! What can go wrong: to a command, and to a request.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The explorer could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplorerError {
    /// The library says why.
    #[error(transparent)]
    Latent(#[from] latent::Error),
    /// No connection can be taken.
    #[error("127.0.0.1:{port}: {source}; give another --port, or 0 for any that is free")]
    Listen {
        /// The port that was asked for.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// The system gives no threads or no random numbers.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system says.
        source: std::io::Error,
    },
    /// The work was ended from outside.
    #[error("stopped before the page was written")]
    Stopped,
}

macro_rules! from_rooms {
    ($($error:ty),* $(,)?) => {
        $(impl From<$error> for ExplorerError {
            fn from(error: $error) -> Self {
                Self::Latent(error.into())
            }
        }
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::bad(error.to_string())
            }
        })*
    };
}

from_rooms!(
    latent::data::DataError,
    latent::generate::GenerateError,
    latent::generate::SamplerError,
    latent::model::ModelError,
    latent::figure::FigureError,
);

/// Why a request was refused.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub status: StatusCode,
    pub what: String,
}

/// What a refused request is answered with.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Refused {
    /// What was wrong, and what to do.
    pub error: String,
}

impl Refusal {
    pub fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Self { status, what: what.into() }
    }

    pub fn bad(what: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, what)
    }

    pub fn missing(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status, Json(Refused { error: self.what })).into_response()
    }
}
