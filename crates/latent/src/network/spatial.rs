//! Residual blocks with normalisation, from images to maps and back: codes with a place.
//!
//! block(h) = h + conv₂(a(norm(conv₁(a(norm(h))))));  the second convolution starts at 0, so that a fresh block is the identity
//!
//! The encoder halves the map until it has the code's size and ends in a convolution to the code's channels; the decoder goes
//! the same way back by nearest-neighbour upsampling. Any height, width and number of channels fits. A condition comes as
//! further channels that are the same at every place. With a patch of 2 nothing is computed at the image's own size, where
//! convolutions cost most: blocks of 2×2 pixels enter and leave as channels.
//!
//! References: He et al. (arXiv 1603.05027); the autoencoders of Rombach et al., *High-Resolution Image Synthesis with Latent
//! Diffusion Models* (arXiv 2112.10752), without attention; Shi et al. (arXiv 1609.05158) for pixels as channels.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{BatchNorm, ConvConfig, GroupNorm, Layer, image};
use super::sequence::{Sequence, join};
use super::shortcut::Shortcut;
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
    /// Blocks of so many by so many pixels enter and leave as channels: 1, 2, 4 or 8.
    pub patch: usize,
    /// Whether a straight way stands beside the layers, which starts as the best linear code of blocks of pixels. For likelihoods
    /// whose decoder gives values and not logits, such as normal or laplace with mean = "line".
    pub shortcut: bool,
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
            patch: 1,
            shortcut: false,
            norm: Norm::Group,
            groups: 8,
            activation: Activation::Silu,
        }
    }
}

/// The sides that a patch may have.
const PATCHES: [usize; 4] = [1, 2, 4, 8];

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
        if !PATCHES.contains(&self.patch) {
            return Err(ConfigError::value("patch", format!("{} pixels", self.patch), "give 1, 2, 4 or 8"));
        }
        if self.groups == 0 {
            return Err(ConfigError::value("groups", "0 groups", "give at least 1"));
        }
        let (outer, inner) = ends(&context.wiring);
        let ([_, height, width], [_, h, w]) = (image(outer), image(inner));
        // A declaration about the data alone has no code yet.
        let known = inner.features() > 0;
        let found = halvings([height, width], [h, w]).filter(|_| inner.is_image());
        if known && found.is_none() {
            return Err(ConfigError::combination(
                format!("this network has codes with a place, and the posterior's are {inner}"),
                format!(
                    "set posterior.latent = {{ channels = 4, factor = 4 }}, or use {}.kind = \"conv\"",
                    context.path
                ),
            ));
        }
        if let Some(halvings) = found.filter(|&halvings| known && halvings < self.skipped()) {
            return Err(ConfigError::combination(
                format!(
                    "the code's maps have 1/{} of the image's sides, less than a patch has",
                    1 << halvings
                ),
                format!("set {}.patch = {} or less", context.path, 1 << halvings),
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
        if !self.shortcut {
            return Ok(Box::new(Sequence::new(layers)));
        }
        let wiring = &context.wiring;
        let (outer, inner) = ends(wiring);
        let [channels, height, width] = image(outer);
        let [outputs, h, w] = image(inner);
        let factor = 1 << halvings([height, width], [h, w]).unwrap_or(0);
        // An encoder may give more than one number for each of the code.
        let code = match wiring.role {
            Role::Encoder => image(context.features)[0].min(outputs),
            Role::Decoder => outputs,
        };
        let shortcut = Shortcut::new(init, wiring.role, [channels, height, width], [code, outputs], factor);
        Ok(Box::new(Sequence::beside(layers, shortcut)))
    }
}

impl SpatialSettings {
    /// The scales that a patch takes the place of.
    fn skipped(&self) -> usize {
        self.patch.trailing_zeros() as usize
    }

    /// The sizes from the first that is worked at down to the code's, and the channels at each.
    fn scales(&self, wiring: &Wiring) -> Vec<([usize; 2], usize)> {
        let (outer, inner) = ends(wiring);
        let ([_, height, width], [_, h, w]) = (image(outer), image(inner));
        let steps = halvings([height, width], [h, w]).unwrap_or(0);
        let last = self.channels.last().copied().unwrap_or(1);
        let channels = self.channels.iter().copied().chain(std::iter::repeat(last));
        sizes(height, width, steps).into_iter().skip(self.skipped()).zip(channels).collect()
    }

    fn encoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [channels, height, width] = image(wiring.from);
        let mut layers = vec![Layer::Maps([channels, height, width])];
        let told = join(&mut layers, wiring.condition);
        let scales = self.scales(wiring);
        let mut inputs = channels + told;
        if self.patch > 1 {
            layers.push(Layer::SpaceToDepth(self.patch));
            inputs *= self.patch * self.patch;
        }
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
        layers.push(Layer::Conv(self.head(ConvConfig::new(inputs, outputs)).init(init, "head")));
        layers
    }

    /// The last convolution, which starts at 0 beside a straight way.
    fn head(&self, head: ConvConfig) -> ConvConfig {
        if self.shortcut { head.with_zeros().with_bias(None) } else { head }
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
        let [outputs, height, width] = image(wiring.to);
        // Each channel's bias for every pixel of its patch.
        let pixels = self.patch * self.patch;
        let bias = channel_bias(wiring).map(|bias| bias.iter().flat_map(|&b| vec![b; pixels]).collect());
        let head = self.head(ConvConfig::new(inputs, outputs * pixels).with_bias(bias));
        layers.push(Layer::Conv(head.init(init, "head")));
        if self.patch > 1 {
            layers.push(Layer::DepthToSpace(self.patch, [height, width]));
        }
        layers
    }

    /// At the image's own size blocks would cost more than all others together: they are there only if there is no other.
    fn has_blocks(&self, index: usize, wiring: &Wiring) -> bool {
        index + self.skipped() > 0 || self.scales(wiring).len() == 1
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
