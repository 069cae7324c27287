//! Residual convolution blocks at each scale: more depth for the same optimisation.
//!
//! block(h) = h + conv₂(a(conv₁(h))); the second convolution starts at 0, so that a fresh block is the
//! identity.
//!
//! References: He et al. (arXiv 1603.05027); Zhang et al., *Fixup initialization* (arXiv 1901.09321).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use serde::{Deserialize, Serialize};

use super::conv::{channel_bias, check, image, sizes};
use super::layers::{Conv, Dense};
use super::{DecoderShape, Network, NetworkSettings, activation};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::weights::{Init, Weights};

/// Channels, depth and activation.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResidualSettings {
    /// Channels after each halving; the decoder has them in reverse.
    pub channels: Vec<usize>,
    /// Residual blocks at each scale.
    pub blocks: usize,
    /// The activation.
    #[serde(with = "activation")]
    pub activation: Activation,
}

impl Default for ResidualSettings {
    fn default() -> Self {
        Self { channels: vec![32, 64, 128], blocks: 2, activation: Activation::Silu }
    }
}

/// More blocks at a scale are taken for a mistake.
const MOST_BLOCKS: usize = 1000;

/// h + conv₂(a(conv₁(h)))
struct ResidualBlock {
    first: Conv,
    second: Conv,
}

impl ResidualBlock {
    fn new(init: &mut Init<'_>, name: &str, channels: usize, activation: Activation) -> Self {
        let mut init = init.scope(name);
        Self {
            first: Conv::new(&mut init, "0", [channels; 2], 3, 1, activation),
            second: Conv::zero(&mut init, "1", [channels; 2], 3),
        }
    }

    fn apply(&self, weights: &Weights, h: Tensor<4>) -> Tensor<4> {
        h.clone() + self.second.apply(weights, self.first.apply(weights, h))
    }
}

impl NetworkSettings for ResidualSettings {
    fn check(&self, sample: SampleShape) -> Result<(), ConfigError> {
        if self.blocks > MOST_BLOCKS {
            return Err(ConfigError::Value {
                key: "blocks".into(),
                what: format!("{} residual blocks at each scale", self.blocks),
                remedy: format!("give {MOST_BLOCKS} at most"),
            });
        }
        check(sample, &self.channels)
    }

    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        let [channels, height, width] = image(sample);
        let sizes = sizes(height, width, self.channels.len());
        let mut inputs = channels;
        let mut stages = Vec::new();
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            let down = Conv::new(init, &format!("down{index}"), [inputs, next], 3, 2, self.activation);
            stages.push((down, self.blocks(init, &format!("scale{index}"), next)));
            inputs = next;
        }
        let [h, w] = sizes[sizes.len() - 1];
        let head = Dense::new(init, "head", inputs * h * w, outputs, Activation::Identity, None);
        Box::new(ResidualEncoder { input: [channels, height, width], stages, head })
    }

    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network> {
        let [channels, height, width] = image(shape.sample);
        let sizes = sizes(height, width, self.channels.len());
        let steps = sizes.len() - 1;
        let [h, w] = sizes[steps];
        let smallest = if steps == 0 { self.channels[0] } else { self.channels[steps - 1] };
        let start = [smallest, h, w];
        let stem = Dense::new(init, "stem", shape.latent, start.iter().product(), self.activation, None);
        let mut inputs = smallest;
        let mut stages = Vec::new();
        for step in (0..steps).rev() {
            let blocks = self.blocks(init, &format!("scale{step}"), inputs);
            let next = if step == 0 { self.channels[0] } else { self.channels[step - 1] };
            let up = Conv::new(init, &format!("up{step}"), [inputs, next], 3, 1, self.activation);
            stages.push((blocks, up, sizes[step]));
            inputs = next;
        }
        let outputs = shape.parameters * channels;
        let head = Conv::last(init, "head", [inputs, outputs], 3, channel_bias(shape));
        Box::new(ResidualDecoder { start, stem, stages, head })
    }
}

impl ResidualSettings {
    fn blocks(&self, init: &mut Init<'_>, name: &str, channels: usize) -> Vec<ResidualBlock> {
        (0..self.blocks)
            .map(|i| ResidualBlock::new(init, &format!("{name}.block{i}"), channels, self.activation))
            .collect()
    }
}

struct ResidualEncoder {
    input: [usize; 3],
    stages: Vec<(Conv, Vec<ResidualBlock>)>,
    head: Dense,
}

impl Network for ResidualEncoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.input;
        let mut map = input.reshape([rows, channels, height, width]);
        for (down, blocks) in &self.stages {
            map = down.apply(weights, map);
            map = blocks.iter().fold(map, |map, block| block.apply(weights, map));
        }
        self.head.apply(weights, map.flatten(1, 3))
    }
}

struct ResidualDecoder {
    start: [usize; 3],
    stem: Dense,
    stages: Vec<(Vec<ResidualBlock>, Conv, [usize; 2])>,
    head: Conv,
}

impl Network for ResidualDecoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.start;
        let mut map = self.stem.apply(weights, input).reshape([rows, channels, height, width]);
        for (blocks, up, size) in &self.stages {
            map = blocks.iter().fold(map, |map, block| block.apply(weights, map));
            map = up.apply_upsampled(weights, map, *size);
        }
        self.head.apply(weights, map).flatten(1, 3)
    }
}
