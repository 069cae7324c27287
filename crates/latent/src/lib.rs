//! Latent: generative autoencoders.
//!
//! ```text
//! x ──encoder f──▶ q(z|x) ──draw──▶ z ──decoder g──▶ p(x|z)          p(z) the prior
//!                                    P(X) = ∫ p(X|z) p(z) dz
//! ```
//!
//! Data X has an unknown distribution P(X). The library learns a latent-variable model of it and
//! puts the model to work: new samples, codes, reconstructions, likelihoods, pictures of the space
//! between. A model is a choice on each of a few axes (likelihood, posterior, prior, network, objective);
//! a paper is a preset that names those choices.
//!
//! # From rows to new rows
//!
//! ```
//! use std::sync::atomic::AtomicBool;
//!
//! use latent::data::{Data, Memory};
//! use latent::model::posterior::{DiagonalNormalSettings, LatentSize};
//! use latent::network::MlpSettings;
//! use latent::train::TrainSettings;
//! use latent::{Key, Layers, Options, Training};
//!
//! // What is not chosen follows from the data. `Layers::from_preset("vae")?` begins with a paper.
//! let layers = Layers::default()
//!     .with_posterior(&DiagonalNormalSettings { latent: LatentSize::Dims(1) })?
//!     .with_network(&MlpSettings { hidden: vec![16], ..MlpSettings::default() })?
//!     .with_train(&TrainSettings { steps: 20, ..TrainSettings::default() })?;
//!
//! // Points on a circle.
//! let values: Vec<f64> = (0..500).map(f64::from).flat_map(|n| [n.cos(), n.sin()]).collect();
//! let circle = Memory::table(["x", "y"], values);
//! let data = Data::from_memory(circle, &layers.data()?, Key::from_seed(1), &mut |_| {})?;
//!
//! // `Training::prepare` is the same with a run folder, to go on from after an interruption.
//! let note = &mut |line: String| println!("{line}");
//! let mut training = Training::in_memory(&layers, data, Options::default(), note)?;
//! training.train(&AtomicBool::new(false), &mut |_| {})?;
//! let model = training.into_model()?;
//!
//! // Samples in the units of the data.
//! let samples = model.sample(5, Key::from_seed(7))?;
//! assert_eq!(samples.values().len(), 5 * 2);
//!
//! // Where a point lies in the latent space.
//! let point = model.rows(Memory::table(["x", "y"], vec![1.0, 0.0]))?;
//! assert_eq!(model.encode(&point)?.mean.shape, [1, 1]);
//! # Ok::<(), latent::Error>(())
//! ```
//!
//! # The rooms
//!
//! Each module reaches only those above it in this list (`docs/architecture.md` draws all of them).
//!
//! - [`words`], [`mod@array`]: numbers as people say them, and numbers on the host with a shape.
//! - [`device`]: where tensors live and in which precision.
//! - [`config`]: tables of TOML and what can be wrong with them.
//! - [`data`]: where x comes from: files, folders, tables, memory; splits; what the data is like.
//! - [`figure`]: pictures from plain numbers, and the page that shows them.
//! - [`batch`], [`weights`]: what goes from room to room: rows and codes; a model's numbers, apart from its functions.
//! - [`store`]: named arrays in a file.
//! - [`member`]: what the members of all axes share: how one is named, born, called, and how it lives.
//! - [`network`]: the functions f and g.
//! - [`density`]: distributions over latents, and the divergence between two.
//! - [`optimizer`]: how gradients move weights, and who moves which.
//! - [`model`]: likelihood, posterior and prior, and the model that they make.
//! - [`objective`]: what training minimises.
//! - [`train`]: the loop.
//! - [`generate`]: a trained model at work, and samplers that are fitted on its codes.
//! - [`run`]: from a configuration to a trained model, and the model file.
//! - [`evaluate`]: how good the model is.

#![deny(missing_docs)]
#![warn(clippy::missing_errors_doc)]
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
pub mod member;
pub mod model;
pub mod network;
pub mod objective;
pub mod optimizer;
pub mod run;
pub mod store;
pub mod train;
pub mod weights;
pub mod words;

mod error;
mod estimate;
mod files;
mod key;
mod logistic;
mod nearest;
mod proportion;

/// The tensor library, for members of one's own.
pub use burn;
pub use error::{Error, Result};
pub use key::Key;
/// The activations of networks.
pub use latent_kernels::Activation;
pub use member::Registry;
pub use model::Model;
pub use run::{Layers, Options, Training};
/// What reads names, types and doc comments off settings, for members of one's own.
pub use schemars;
