//! Residual blocks with normalisation, from images to maps and back: codes with a place.
//!
//! block(h) = h + conv₂(a(norm(conv₁(a(norm(h))))));  the second convolution starts at 0, so that a fresh block is the identity
//!
//! The encoder halves the map until it has the code's size and ends in a convolution to the code's channels; the decoder goes
//! the same way back by nearest-neighbour upsampling. Any height, width and number of channels fits. A condition comes as
//! further channels that are the same at every place.
//!
//! References: He et al. (arXiv 1603.05027); the autoencoders of Rombach et al., *High-Resolution Image Synthesis with Latent
//! Diffusion Models* (arXiv 2112.10752), without attention.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{BatchNorm, ConvConfig, GroupNorm, Layer, image};
use super::sequence::{Sequence, join};
use super::{Network, activation, channel_bias, check_images, sizes};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::member::{Context, Named, Role, Settings, Wiring};
use crate::weights::Init;

/// Channels, depth and normalisation.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SpatialSettings {
    /// Channels at each scale from the image's down; the last goes on where there are more scales.
    pub channels: Vec<usize>,
    /// Residual blocks at each scale below the image's own.
    pub blocks: usize,
    /// What is normalised.
    pub norm: Norm,
    /// Groups of channels, at most, for group normalisation.
    pub groups: usize,
    /// The activation.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
}

/// Which normalisation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// Groups of channels of each row.
    Group,
    /// Channels over the batch.
    Batch,
    /// Nothing.
    None,
}

impl Default for SpatialSettings {
    fn default() -> Self {
        Self {
            channels: vec![16, 32, 64],
            blocks: 1,
            norm: Norm::Group,
            groups: 8,
            activation: Activation::Silu,
        }
    }
}

/// More blocks at a scale are taken for a mistake.
const MOST_BLOCKS: usize = 100;

impl Named for SpatialSettings {
    const KIND: &'static str = "spatial";
    const ABOUT: &'static str = "normalised residual blocks between images and maps of codes";
}

/// How often an image is halved until it has the code's size; none where it never has.
fn halvings(image_size: [usize; 2], code_size: [usize; 2]) -> Option<usize> {
    let all = sizes(image_size[0], image_size[1], usize::BITS as usize);
    all.iter().position(|size| *size == code_size)
}

/// The image's shape and the code's, of either network.
fn ends(wiring: &Wiring) -> (SampleShape, SampleShape) {
    match wiring.role {
        Role::Encoder => (wiring.from, wiring.to),
        Role::Decoder => (wiring.to, wiring.from),
    }
}

impl Settings<dyn Network> for SpatialSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_images(&context.wiring, &self.channels)?;
        if self.blocks > MOST_BLOCKS {
            let what = format!("{} residual blocks at each scale", self.blocks);
            return Err(ConfigError::value("blocks", what, format!("give {MOST_BLOCKS} at most")));
        }
        if self.groups == 0 {
            return Err(ConfigError::value("groups", "0 groups", "give at least 1"));
        }
        let (outer, inner) = ends(&context.wiring);
        let ([_, height, width], [_, h, w]) = (image(outer), image(inner));
        // A declaration about the data alone has no code yet.
        let known = inner.features() > 0;
        if known && (!inner.is_image() || halvings([height, width], [h, w]).is_none()) {
            return Err(ConfigError::combination(
                format!("this network has codes with a place, and the posterior's are {inner}"),
                format!(
                    "set posterior.latent = {{ channels = 4, factor = 4 }}, or use {}.kind = \"conv\"",
                    context.path
                ),
            ));
        }
        if self.norm == Norm::Batch {
            let instead = format!("or {}.norm = \"group\"", context.path);
            context.couple("batch normalisation couples the rows of a batch", instead);
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let layers = match context.wiring.role {
            Role::Encoder => self.encoder(&context.wiring, init),
            Role::Decoder => self.decoder(&context.wiring, init),
        };
        Ok(Box::new(Sequence::new(layers)))
    }
}

impl SpatialSettings {
    /// The sizes from the image's down to the code's, and the channels at each.
    fn scales(&self, wiring: &Wiring) -> Vec<([usize; 2], usize)> {
        let (outer, inner) = ends(wiring);
        let ([_, height, width], [_, h, w]) = (image(outer), image(inner));
        let steps = halvings([height, width], [h, w]).unwrap_or(0);
        let last = self.channels.last().copied().unwrap_or(1);
        let channels = self.channels.iter().copied().chain(std::iter::repeat(last));
        sizes(height, width, steps).into_iter().zip(channels).collect()
    }

    fn encoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [channels, height, width] = image(wiring.from);
        let mut layers = vec![Layer::Maps([channels, height, width])];
        let told = join(&mut layers, wiring.condition);
        let scales = self.scales(wiring);
        let mut inputs = channels + told;
        for (index, (_, next)) in scales.into_iter().enumerate() {
            let stride = if index == 0 { 1 } else { 2 };
            let conv = ConvConfig::new(inputs, next).with_stride(stride);
            layers.push(Layer::Conv(conv.init(init, &format!("down{index}"))));
            if self.has_blocks(index, wiring) {
                self.blocks(&mut layers, init, &format!("scale{index}"), next);
            }
            inputs = next;
        }
        self.normed(&mut layers, init, "norm", inputs);
        let [outputs, ..] = image(wiring.to);
        layers.push(Layer::Conv(ConvConfig::new(inputs, outputs).init(init, "head")));
        layers
    }

    fn decoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let code = image(wiring.from);
        let mut layers = vec![Layer::Maps(code)];
        let told = join(&mut layers, wiring.condition);
        let mut inputs = code[0] + told;
        for (index, (size, next)) in self.scales(wiring).into_iter().enumerate().rev() {
            let name = format!("up{index}");
            let conv = ConvConfig::new(inputs, next).init(init, &name);
            layers.push(match layers.len() == 1 + usize::from(told > 0) {
                true => Layer::Conv(conv),
                false => Layer::Upsample(conv, size),
            });
            if self.has_blocks(index, wiring) {
                self.blocks(&mut layers, init, &format!("scale{index}"), next);
            }
            inputs = next;
        }
        self.normed(&mut layers, init, "norm", inputs);
        let [outputs, ..] = image(wiring.to);
        let head = ConvConfig::new(inputs, outputs).with_bias(channel_bias(wiring));
        layers.push(Layer::Conv(head.init(init, "head")));
        layers
    }

    /// At the image's own size blocks would cost more than all others together: they are there only if there is no other.
    fn has_blocks(&self, index: usize, wiring: &Wiring) -> bool {
        index > 0 || self.scales(wiring).len() == 1
    }

    /// Normalisation and activation.
    fn normed(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, channels: usize) {
        match self.norm {
            Norm::Group => {
                let norm = GroupNorm::new(init, name, channels, self.groups, self.activation);
                return layers.push(Layer::GroupNorm(norm));
            }
            Norm::Batch => layers.push(Layer::BatchNorm(BatchNorm::new(init, name, channels))),
            Norm::None => {}
        }
        layers.push(Layer::Activation(self.activation));
    }

    fn blocks(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, channels: usize) {
        for index in 0..self.blocks {
            let mut init = init.scope(format!("{name}.block{index}"));
            let mut inner = Vec::new();
            self.normed(&mut inner, &mut init, "norm0", channels);
            inner.push(Layer::Conv(ConvConfig::new(channels, channels).init(&mut init, "0")));
            self.normed(&mut inner, &mut init, "norm1", channels);
            inner.push(Layer::Conv(ConvConfig::new(channels, channels).with_zeros().init(&mut init, "1")));
            layers.push(Layer::Residual(inner));
        }
    }
}
