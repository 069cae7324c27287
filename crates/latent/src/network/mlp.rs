//! The multilayer perceptron: dense layers with an activation between, mirrored in the decoder.
//!
//! h_0 = x,  h_{i+1} = a(h_i W_i + b_i) [· σ(h_i V_i + c_i) where gated],  output = h_L W_L + b_L
//!
//! Where asked for, each hidden layer has a gate (with `activation = "identity"` that of the VampPrior's networks), hidden layers
//! are normalised over the batch, units are left out while training, and the encoder's input gets noise (a denoising
//! autoencoder).
//!
//! References: Dauphin et al., *Language modeling with gated convolutional networks* (arXiv 1612.08083); Tomczak & Welling
//! (arXiv 1705.07120), whose networks are gated.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{BatchNorm, DenseConfig, Dropout, InputNoise, Layer};
use super::sequence::{Sequence, gated, join};
use super::{Network, activation, is_default, refuse_levels};
use crate::config::ConfigError;
use crate::member::{Context, Named, Role, Settings};
use crate::weights::Init;

/// Widths and activation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpSettings {
    /// The widths of the encoder's hidden layers; the decoder has them in reverse.
    pub hidden: Vec<usize>,
    /// The activation between layers.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
    /// Whether each hidden layer is multiplied by a gate, σ of a second affine map of the same input.
    #[serde(skip_serializing_if = "is_default")]
    pub gated: bool,
    /// Whether hidden layers are normalised over the batch.
    #[serde(skip_serializing_if = "is_default")]
    pub batch_norm: bool,
    /// The share of hidden units that are left out while training.
    #[serde(skip_serializing_if = "is_default")]
    pub dropout: f64,
    /// The standard deviation of noise on the encoder's input while training.
    #[serde(skip_serializing_if = "is_default")]
    pub noise: f64,
}

impl Default for MlpSettings {
    fn default() -> Self {
        Self {
            hidden: vec![400],
            activation: Activation::Relu,
            gated: false,
            batch_norm: false,
            dropout: 0.0,
            noise: 0.0,
        }
    }
}

impl Named for MlpSettings {
    const KIND: &'static str = "mlp";
    const ABOUT: &'static str = "dense layers with an activation between";
}

impl Settings<dyn Network> for MlpSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        refuse_levels(context)?;
        if self.hidden.contains(&0) {
            return Err(ConfigError::value(
                "hidden",
                format!("{:?} has a layer of width 0", self.hidden),
                "give each layer at least one unit, or leave the layer out",
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::value(
                "dropout",
                format!("{} is not a share", self.dropout),
                "give a number in [0, 1), such as 0.2",
            ));
        }
        if !(self.noise.is_finite() && self.noise >= 0.0) {
            return Err(ConfigError::value(
                "noise",
                format!("{} is not a standard deviation", self.noise),
                "give a number from 0",
            ));
        }
        if self.batch_norm {
            let instead = format!("or {}.batch_norm = false", context.path);
            context.couple("batch normalisation couples the rows of a batch", instead);
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let wiring = &context.wiring;
        let mut hidden = self.hidden.clone();
        let mut layers = Vec::new();
        match wiring.role {
            Role::Decoder => hidden.reverse(),
            Role::Encoder if self.noise > 0.0 => {
                layers.push(Layer::Noise(InputNoise { deviation: self.noise, name: init.path("noise") }));
            }
            Role::Encoder => {}
        }
        let mut width = wiring.from.features() + join(&mut layers, wiring.condition);
        for (index, &next) in hidden.iter().enumerate() {
            let name = index.to_string();
            let dense = DenseConfig::new(width, next);
            let gate = dense.clone().with_activation(Activation::Sigmoid);
            let own = match self.batch_norm {
                true => vec![
                    Layer::Dense(dense.init(init, &name)),
                    Layer::BatchNorm(BatchNorm::new(init, &format!("norm{index}"), next)),
                    Layer::Activation(self.activation),
                ],
                false => vec![Layer::Dense(dense.with_activation(self.activation).init(init, &name))],
            };
            let gate = self.gated.then(|| Layer::Dense(gate.init(init, &format!("gate{index}"))));
            layers.extend(gated(own, gate));
            if self.dropout > 0.0 {
                let name = init.path(&format!("dropout{index}"));
                layers.push(Layer::Dropout(Dropout { probability: self.dropout, name }));
            }
            width = next;
        }
        let last = DenseConfig::new(width, wiring.to.features()).with_bias(wiring.bias.clone());
        layers.push(Layer::Dense(last.init(init, &hidden.len().to_string())));
        Ok(Box::new(Sequence::new(layers)))
    }
}
