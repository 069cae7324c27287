//! Latent: generative autoencoders.
//!
//! ```text
//! x ──encoder f──▶ q(z|x) ──draw──▶ z ──decoder g──▶ p(x|z)          p(z) the prior
//!                                    P(X) = ∫ p(X|z) p(z) dz
//! ```
//!
//! Data X has an unknown distribution P(X). The library learns a latent-variable model of it and
//! puts the model to work: new samples, codes, reconstructions, likelihoods, pictures of the space
//! between. A model is a choice on each of a few axes (likelihood, posterior, prior, objective,
//! network); a paper is a preset that names those choices.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod array;
pub mod batch;
pub mod config;
pub mod data;
pub mod density;
pub mod device;
pub mod evaluate;
pub mod figure;
pub mod generate;
pub mod model;
pub mod network;
pub mod objective;
pub mod store;
pub mod train;
pub mod weights;
pub mod words;

mod error;
mod estimate;
mod files;
mod key;
mod proportion;

/// The tensor library, for members of one's own.
pub use burn;
pub use error::{Error, Result};
pub use key::Key;
/// The activations of networks.
pub use latent_kernels::Activation;
pub use store::Model;
