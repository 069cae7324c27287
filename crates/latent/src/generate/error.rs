//! What can go wrong with a model at work: its own errors, and those of the rooms that it asks.

use super::sampler::SamplerError;
use crate::config::ConfigError;
use crate::data::DataError;
use crate::figure::FigureError;
use crate::model::ModelError;
use crate::store::StoreError;
use crate::train::TrainError;

/// A model at work could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GenerateError {
    /// A sampler's settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Reading rows.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Drawing or writing a picture.
    #[error(transparent)]
    Figure(#[from] FigureError),
    /// What the model cannot give.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// Fitting or drawing from a sampler.
    #[error(transparent)]
    Sampler(#[from] SamplerError),
    /// A sampler's file.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Training a sampler.
    #[error(transparent)]
    Train(#[from] TrainError),
}

/// The result of a model at work.
pub type Result<T, E = GenerateError> = std::result::Result<T, E>;
