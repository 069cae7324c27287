//! From the settings of members to a model: declarations first, from the data inwards, then each member is built.

use crate::config::ConfigError;
use crate::data::{Data, Facts, SampleShape};
use crate::device::Device;
use crate::key::Key;
use crate::member::{Context, Role, Settings, Wiring};
use crate::model::{LatentModel, Likelihood, Posterior, Prior};
use crate::network::Network;
use crate::weights::{Init, MOST_OUTLINED, Weights};

/// The settings of one member and where its table stands: in errors, keys are those that the user wrote.
pub struct Part<M: ?Sized> {
    /// Such as `posterior`; `network` where that is how the encoder was written.
    pub path: String,
    /// The settings.
    pub settings: Box<dyn Settings<M>>,
}

impl<M: ?Sized> Part<M> {
    /// Settings at that path.
    pub fn new(path: &str, settings: Box<dyn Settings<M>>) -> Self {
        Self { path: path.into(), settings }
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        context.at(&self.path, |context| self.settings.declare(context))
    }

    fn init(&self, context: &mut Context<'_>, init: &mut Init<'_>) -> Result<Box<M>, ConfigError> {
        context.at(&self.path, |context| self.settings.init(context, init))
    }
}

/// The settings of a whole model.
pub struct Parts {
    /// p(x|z)
    pub likelihood: Part<dyn Likelihood>,
    /// q(z|x)
    pub posterior: Part<dyn Posterior>,
    /// p(z)
    pub prior: Part<dyn Prior>,
    /// f
    pub encoder: Part<dyn Network>,
    /// g
    pub decoder: Part<dyn Network>,
}

/// A sample has at most this many numbers.
const MOST_FEATURES: usize = 1 << 24;

impl Parts {
    /// What all members declare together, or why they do not go together.
    ///
    /// # Errors
    /// The first member's that refuses, with its key.
    pub fn declare<'a>(&self, facts: &'a Facts) -> Result<Context<'a>, ConfigError> {
        check_features(facts)?;
        let mut context = Context::new(facts);
        self.likelihood.declare(&mut context)?;
        self.posterior.declare(&mut context)?;
        self.prior.declare(&mut context)?;
        context.wiring = encoder_wiring(&context);
        self.encoder.declare(&mut context)?;
        context.wiring = decoder_wiring(&context);
        self.decoder.declare(&mut context)?;
        Ok(context)
    }

    /// Builds the model with fresh weights, keyed by `seed`.
    ///
    /// # Errors
    /// As [`Parts::declare`].
    pub fn build(
        &self,
        facts: &Facts,
        seed: u64,
        device: &Device,
    ) -> Result<(LatentModel, Weights), ConfigError> {
        self.build_on(facts, None, seed, device)
    }

    /// The same to be trained on `data`, which members may look at.
    ///
    /// # Errors
    /// As [`Parts::declare`]; what reading its rows says.
    pub fn build_on(
        &self,
        facts: &Facts,
        data: Option<&Data>,
        seed: u64,
        device: &Device,
    ) -> Result<(LatentModel, Weights), ConfigError> {
        let mut weights = Weights::new(device);
        let model = self.init(facts, data, &mut Init::new(&mut weights, weights_key(seed)))?;
        Ok((model, weights))
    }

    /// The name and shape of every array of the model, in order, without building it: so that a model that is
    /// too large, or not the one a file holds, is refused before it takes memory.
    ///
    /// # Errors
    /// As [`Parts::declare`]; [`ConfigError::Value`] for a network of absurdly many layers.
    pub fn outline(&self, facts: &Facts) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
        let mut weights = Weights::outline();
        self.init(facts, None, &mut Init::new(&mut weights, weights_key(0)))?;
        if weights.iter().count() >= MOST_OUTLINED {
            return Err(ConfigError::value(
                "network",
                format!("a network of {MOST_OUTLINED} arrays or more"),
                "use fewer layers",
            ));
        }
        Ok(weights.kept().map(|(_, weight)| (weight.path().to_string(), weight.shape().to_vec())).collect())
    }

    /// Builds the model's functions and makes their arrays.
    fn init(
        &self,
        facts: &Facts,
        data: Option<&Data>,
        init: &mut Init<'_>,
    ) -> Result<LatentModel, ConfigError> {
        let mut context = Context { data, ..self.declare(facts)? };
        context.wiring = encoder_wiring(&context);
        let encoder = self.encoder.init(&mut context, &mut init.scope("encoder"))?;
        let posterior = self.posterior.init(&mut context, &mut init.scope("posterior"))?;
        let prior = self.prior.init(&mut context, &mut init.scope("prior"))?;
        context.wiring = decoder_wiring(&context);
        let decoder = self.decoder.init(&mut context, &mut init.scope("decoder"))?;
        let likelihood = self.likelihood.init(&mut context, &mut init.scope("likelihood"))?;
        Ok(LatentModel {
            encoder,
            posterior,
            prior,
            decoder,
            likelihood,
            latent: context.latent.clone(),
            sample: facts.shape,
            condition: context.condition(),
        })
    }
}

/// What all weights of a run descend from.
pub(crate) fn weights_key(seed: u64) -> Key {
    Key::from_seed(seed).fold("weights")
}

fn encoder_wiring(context: &Context<'_>) -> Wiring {
    let condition = context.condition();
    Wiring { role: Role::Encoder, from: context.facts.shape, to: context.heads, bias: None, condition }
}

fn decoder_wiring(context: &Context<'_>) -> Wiring {
    let (outputs, condition) = (context.outputs.clone(), context.condition());
    Wiring { role: Role::Decoder, from: context.features, to: outputs.shape, bias: outputs.bias, condition }
}

/// Refuses samples without numbers, or beyond all memory.
fn check_features(facts: &Facts) -> Result<(), ConfigError> {
    let features = match facts.shape {
        SampleShape::Image { channels, height, width } => {
            channels.checked_mul(height).and_then(|area| area.checked_mul(width))
        }
        SampleShape::Vector { columns } => Some(columns),
    };
    if features.is_none_or(|features| features == 0 || features > MOST_FEATURES) {
        return Err(ConfigError::value(
            "facts.shape",
            format!("{:?} is no shape of a sample", facts.shape),
            format!("a sample has 1 to {MOST_FEATURES} numbers"),
        ));
    }
    Ok(())
}
