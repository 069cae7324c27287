//! The latent-variable model: encoder, posterior, prior, decoder, likelihood, and what follows from them.
//!
//! A [`LatentModel`] is functions; its numbers are [`Weights`]. A [`View`] joins the two for one use: training or
//! evaluation. Members see the model through the view alone.

mod build;
mod error;
mod exact;
pub mod likelihood;
mod linear;
mod monte_carlo;
pub mod posterior;
pub mod prior;
mod rate;
mod score;

use burn::tensor::Tensor;

pub use crate::config::Registry;
pub use build::{build, outline};
pub use error::ModelError;
pub(crate) use exact::MOST_BITS;
pub use exact::log_density_by_enumeration;
pub use likelihood::{BaseMeasure, Likelihood};
pub use linear::LinearGaussian;
pub use monte_carlo::plain_monte_carlo;
pub use posterior::Posterior;
pub use prior::Prior;
pub use rate::{ACTIVE_NATS, Rate};
pub(crate) use score::Weighed;
pub use score::{Score, log_weights, score, score_under};

use crate::batch::{Latent, LatentShape};
use crate::data::SampleShape;
use crate::density::Density;
use crate::network::Network;
use crate::weights::Weights;

/// x ──f──▶ q(z|x) ──▶ z ──g──▶ p(x|z), and p(z).
pub struct LatentModel {
    /// f: x to the numbers that the posterior wants.
    pub encoder: Box<dyn Network>,
    /// q(z|x)
    pub posterior: Box<dyn Posterior>,
    /// p(z)
    pub prior: Box<dyn Prior>,
    /// g: z to the parameters that the likelihood wants.
    pub decoder: Box<dyn Network>,
    /// p(x|z)
    pub likelihood: Box<dyn Likelihood>,
    /// The shape of z.
    pub latent: LatentShape,
    /// The shape of x.
    pub sample: SampleShape,
}

/// A model with its weights, for training or for evaluation.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The functions.
    pub model: &'a LatentModel,
    /// The numbers.
    pub weights: &'a Weights,
    /// Whether surrogate gradients and batch statistics are in force.
    pub training: bool,
}

impl<'a> View<'a> {
    /// A model as it is used once trained.
    pub fn evaluation(model: &'a LatentModel, weights: &'a Weights) -> Self {
        Self { model, weights, training: false }
    }

    /// q(z|x) of each row of x `[n, features]`.
    pub fn encode(&self, x: Tensor<2>) -> Box<dyn Density> {
        self.model.posterior.density(self, self.model.encoder.forward(self.weights, x))
    }

    /// Whether the rate of this pair of posterior and prior has a closed form, or is a mean over draws; none where it is
    /// infinite.
    pub fn rate_is_exact(&self) -> Option<bool> {
        let device = self.weights.device();
        let features = self.model.sample.features();
        let q = self.encode(device.tensor(vec![0.0; features], [1, features]));
        let z = q.draw(1, crate::batch::Noise::new(crate::Key::from_seed(0), &[0]));
        Some(Rate::new(q.as_ref(), self.prior().as_ref(), &z, 1)?.exact)
    }

    /// p(z)
    pub fn prior(&self) -> Box<dyn Density> {
        self.model.prior.density(self)
    }

    /// The likelihood's parameters for each code, `[rows, parameters · features]`.
    pub fn decode(&self, z: &Latent) -> Tensor<2> {
        self.model.decoder.forward(self.weights, z.z.clone())
    }

    /// E[x|z] for each code, `[rows, features]`.
    pub fn mean(&self, z: &Latent) -> Tensor<2> {
        self.model.likelihood.mean(self, self.decode(z))
    }

    /// log p(x|z) in nats, `[k·n]`.
    pub fn log_likelihood(&self, x: &Tensor<2>, z: &Latent) -> Tensor<1> {
        self.model.likelihood.log_density(self, self.decode(z), x)
    }
}
