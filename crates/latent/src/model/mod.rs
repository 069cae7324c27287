//! The latent-variable model: encoder, posterior, prior, decoder, likelihood, and what follows from them.
//!
//! A [`LatentModel`] is functions; its numbers are [`Weights`]. A [`View`] joins the two for one use: training or
//! evaluation. Members see the model through the view alone, and rows as a [`Batch`]: x with what is known beside it.
//! [`Parts`] are the members' settings, from which a model is built; a [`Model`] is one that was trained.
//!
//! ```text
//! here                            LatentModel and View: x → q(z|x) → z → p(x|z), and p(z)
//! likelihood/ posterior/ prior/   the axes, one file a member
//! build                           Parts: declarations first, then each member is built
//! rate                            KL(q‖p) of each row, exact or over draws
//! score                           log P(x) from below, by importance sampling
//! lesson                          what both networks are taught before the first step
//! exact, linear, monte_carlo      P(x) where it is known: few codes, a linear model, many draws
//! trained                         Model
//! ```

mod build;
mod error;
mod exact;
mod lesson;
pub mod likelihood;
mod linear;
mod monte_carlo;
pub mod posterior;
pub mod prior;
mod rate;
mod score;
mod trained;

use burn::tensor::Tensor;

pub(crate) use build::weights_key;
pub use build::{Part, Parts};
pub use error::ModelError;
pub(crate) use exact::MOST_CODES;
pub use exact::log_density_by_enumeration;
pub(crate) use lesson::teach;
pub use likelihood::{BaseMeasure, Likelihood};
pub use linear::LinearGaussian;
pub use monte_carlo::plain_monte_carlo;
pub use posterior::Posterior;
pub use prior::Prior;
pub use rate::{ACTIVE_NATS, Rate};
pub use score::{Score, log_weights, score, score_under};
pub(crate) use score::{Weighed, score_in_blocks};
pub use trained::Model;

use crate::batch::{Batch, Draw, Given, Latent, LatentShape, Noise};
use crate::data::SampleShape;
use crate::density::Density;
use crate::key::Key;
use crate::member::{Call, Mode, Progress, Recorder};
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
    /// How many numbers of a condition come beside each row.
    pub condition: usize,
}

/// A model with its weights, for training or for evaluation.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The functions.
    pub model: &'a LatentModel,
    /// The numbers.
    pub weights: &'a Weights,
    /// Whether surrogate gradients and batch statistics are in force.
    pub mode: Mode,
    /// What noise inside networks descends from.
    pub key: Key,
    /// Where members put what they follow.
    pub record: Option<&'a Recorder>,
    /// How far the run is; none outside of one.
    pub progress: Option<Progress>,
}

impl<'a> View<'a> {
    /// A model as it is used once trained.
    pub fn evaluation(model: &'a LatentModel, weights: &'a Weights) -> Self {
        Self { model, weights, mode: Mode::Evaluation, key: Key::from_seed(0), record: None, progress: None }
    }

    /// A model in a step of training, whose noise descends from `key`.
    pub fn training(model: &'a LatentModel, weights: &'a Weights, key: Key) -> Self {
        Self { mode: Mode::Training, key, ..Self::evaluation(model, weights) }
    }

    /// Whether surrogate gradients and batch statistics are in force.
    pub fn is_training(&self) -> bool {
        self.mode.is_training()
    }

    /// A call of the network `who`, for these rows.
    pub(crate) fn call<'b>(&'b self, who: &str, given: Given<'b>) -> Call<'b> {
        let Self { weights, mode, record, .. } = *self;
        Call { weights, mode, key: self.key.fold(who), given, record }
    }

    /// The encoder's outputs for each row, `[n, outputs]`.
    pub fn encoder_outputs(&self, batch: &Batch) -> Tensor<2> {
        self.model.encoder.forward(&self.call("encoder", batch.given()), batch.x.clone())
    }

    /// q(z|x) of each row.
    pub fn encode(&self, batch: &Batch) -> Box<dyn Density> {
        self.model.posterior.density(self, batch, self.encoder_outputs(batch))
    }

    /// Whether the rate of this pair of posterior and prior has a closed form, or is a mean over draws; none where it is
    /// infinite.
    pub fn rate_is_exact(&self) -> Option<bool> {
        let batch = self.blank();
        let q = self.encode(&batch);
        let draw = q.draw(1, Noise::new(Key::from_seed(0), &[0]));
        Some(Rate::new(q.as_ref(), self.prior(batch.given()).as_ref(), &draw, 1)?.exact)
    }

    /// One row of zeros: to ask what sort of densities the model has.
    pub fn blank(&self) -> Batch {
        let (device, features) = (self.weights.device(), self.model.sample.features());
        let zeros = |width: usize| device.tensor(vec![0.0; width], [1, width]);
        let condition = (self.model.condition > 0).then(|| zeros(self.model.condition));
        Batch { condition, ..Batch::of(zeros(features), vec![0]) }
    }

    /// p(z), for rows of which this is known.
    pub fn prior(&self, given: Given<'_>) -> Box<dyn Density> {
        self.model.prior.density(self, given)
    }

    /// The likelihood's parameters for each code, `[rows, outputs]`.
    pub fn decode(&self, z: &Latent, given: Given<'_>) -> Tensor<2> {
        self.decode_features(self.model.posterior.features(self, z), given)
    }

    /// The same for codes as they were drawn, with the gradients that come with them.
    pub fn decode_draw(&self, draw: &Draw, given: Given<'_>) -> Tensor<2> {
        match &draw.features {
            Some(features) => self.decode_features(features.clone(), given),
            None => self.decode(&draw.z, given),
        }
    }

    fn decode_features(&self, features: Tensor<2>, given: Given<'_>) -> Tensor<2> {
        self.model.decoder.forward(&self.call("decoder", given), features)
    }

    /// E[x|z] for each code, `[rows, features]`.
    pub fn mean(&self, z: &Latent, given: Given<'_>) -> Tensor<2> {
        self.model.likelihood.mean(self, self.decode(z, given))
    }

    /// log p(x|z) in nats, `[k·n]`.
    pub fn log_likelihood(&self, batch: &Batch, z: &Latent) -> Tensor<1> {
        self.model.likelihood.log_density(self, self.decode(z, batch.given()), batch)
    }
}
