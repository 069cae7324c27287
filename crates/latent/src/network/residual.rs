//! Residual convolution blocks at each scale: more depth for the same optimisation.
//!
//! block(h) = h + conv₂(a(conv₁(h))); the second convolution starts at 0, so that a fresh block is the
//! identity.
//!
//! References: He et al. (arXiv 1603.05027); Zhang et al., *Fixup initialization* (arXiv 1901.09321).

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{ConvConfig, DenseConfig, Layer, image};
use super::sequence::{Sequence, join};
use super::{Network, activation, channel_bias, check_images, sizes};
use crate::config::ConfigError;
use crate::member::{Context, Named, Role, Settings, Wiring};
use crate::weights::Init;

/// Channels, depth and activation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResidualSettings {
    /// Channels after each halving; the decoder has them in reverse.
    pub channels: Vec<usize>,
    /// Residual blocks at each scale.
    pub blocks: usize,
    /// The activation.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
}

impl Default for ResidualSettings {
    fn default() -> Self {
        Self { channels: vec![32, 64, 128], blocks: 2, activation: Activation::Silu }
    }
}

/// More blocks at a scale are taken for a mistake.
const MOST_BLOCKS: usize = 1000;

impl Named for ResidualSettings {
    const KIND: &'static str = "residual-conv";
    const ABOUT: &'static str = "residual convolution blocks at each scale";
}

impl Settings<dyn Network> for ResidualSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.blocks > MOST_BLOCKS {
            return Err(ConfigError::value(
                "blocks",
                format!("{} residual blocks at each scale", self.blocks),
                format!("give {MOST_BLOCKS} at most"),
            ));
        }
        check_images(&context.wiring, &self.channels)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let layers = match context.wiring.role {
            Role::Encoder => self.encoder(&context.wiring, init),
            Role::Decoder => self.decoder(&context.wiring, init),
        };
        Ok(Box::new(Sequence::new(layers)))
    }
}

impl ResidualSettings {
    fn encoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [channels, height, width] = image(wiring.from);
        let sizes = sizes(height, width, self.channels.len());
        let mut layers = vec![Layer::Maps([channels, height, width])];
        let mut inputs = channels;
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            let down = ConvConfig::new(inputs, next).with_stride(2).with_activation(self.activation);
            layers.push(Layer::Conv(down.init(init, &format!("down{index}"))));
            self.blocks(&mut layers, init, &format!("scale{index}"), next);
            inputs = next;
        }
        let [h, w] = sizes[sizes.len() - 1];
        layers.push(Layer::Flatten);
        let units = inputs * h * w + join(&mut layers, wiring.condition);
        layers.push(Layer::Dense(DenseConfig::new(units, wiring.to.features()).init(init, "head")));
        layers
    }

    fn decoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [outputs, height, width] = image(wiring.to);
        let sizes = sizes(height, width, self.channels.len());
        let steps = sizes.len() - 1;
        let [h, w] = sizes[steps];
        let mut inputs = if steps == 0 { self.channels[0] } else { self.channels[steps - 1] };
        let start = [inputs, h, w];
        let mut layers = Vec::new();
        let units = wiring.from.features() + join(&mut layers, wiring.condition);
        let stem = DenseConfig::new(units, start.iter().product()).with_activation(self.activation);
        layers.push(Layer::Dense(stem.init(init, "stem")));
        layers.push(Layer::Maps(start));
        for step in (0..steps).rev() {
            self.blocks(&mut layers, init, &format!("scale{step}"), inputs);
            let next = if step == 0 { self.channels[0] } else { self.channels[step - 1] };
            let up = ConvConfig::new(inputs, next).with_activation(self.activation);
            layers.push(Layer::Upsample(up.init(init, &format!("up{step}")), sizes[step]));
            inputs = next;
        }
        let head = ConvConfig::new(inputs, outputs).with_bias(channel_bias(wiring));
        layers.push(Layer::Conv(head.init(init, "head")));
        layers
    }

    /// h + conv₂(a(conv₁(h))), so many times.
    fn blocks(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, channels: usize) {
        for index in 0..self.blocks {
            let mut init = init.scope(format!("{name}.block{index}"));
            let first = ConvConfig::new(channels, channels).with_activation(self.activation);
            let second = ConvConfig::new(channels, channels).with_zeros();
            layers.push(Layer::Residual(vec![
                Layer::Conv(first.init(&mut init, "0")),
                Layer::Conv(second.init(&mut init, "1")),
            ]));
        }
    }
}
