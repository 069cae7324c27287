//! Strided convolutions down to a small map, a dense layer to the code, and the way back.
//!
//! The encoder halves the map with each layer (rounding up), so that any height, width and number of
//! channels fits; the decoder remembers each size and goes back to it exactly. Up goes by nearest-neighbour
//! upsampling and a 3×3 convolution, which leaves no checkerboard (Odena et al. 2016), or by transposed
//! convolution.

use burn::tensor::Tensor;
use latent_kernels::Activation;
use serde::{Deserialize, Serialize};

use super::layers::{Conv, ConvTranspose, Dense};
use super::{DecoderShape, Network, NetworkSettings, activation};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::weights::{Init, Weights};

/// Channels, activation and the way up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConvSettings {
    /// Channels after each halving; the decoder has them in reverse. At most as many halvings are used as
    /// the image allows.
    pub channels: Vec<usize>,
    /// The activation between layers.
    #[serde(with = "activation")]
    pub activation: Activation,
    /// The decoder's way up.
    pub up: Up,
}

/// How a decoder enlarges a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Up {
    /// Nearest-neighbour upsampling, then a 3×3 convolution.
    Nearest,
    /// A 4×4 transposed convolution with stride 2.
    Transposed,
}

impl Default for ConvSettings {
    fn default() -> Self {
        Self { channels: vec![32, 64, 128], activation: Activation::Silu, up: Up::Nearest }
    }
}

/// The image sizes from the sample down to the smallest map: `[h, w]` at each scale.
pub(super) fn sizes(height: usize, width: usize, halvings: usize) -> Vec<[usize; 2]> {
    let mut sizes = vec![[height, width]];
    for _ in 0..halvings {
        let [h, w] = sizes[sizes.len() - 1];
        if h == 1 && w == 1 {
            break;
        }
        sizes.push([h.div_ceil(2), w.div_ceil(2)]);
    }
    sizes
}

/// `channels × height × width` of an image; a vector counts as one row of one channel.
pub(super) fn image(sample: SampleShape) -> [usize; 3] {
    match sample {
        SampleShape::Image { channels, height, width } => [channels, height, width],
        SampleShape::Vector { columns } => [1, 1, columns],
    }
}

/// Refuses vectors and empty or zero channel lists.
pub(super) fn check(sample: SampleShape, channels: &[usize]) -> Result<(), ConfigError> {
    if let SampleShape::Vector { columns } = sample {
        return Err(ConfigError::Combination {
            what: format!("a convolution needs images, and these rows are vectors of {columns} columns"),
            remedy: "use network.kind = \"mlp\"".into(),
        });
    }
    if channels.is_empty() || channels.contains(&0) {
        return Err(ConfigError::Value {
            key: "channels".into(),
            what: format!("{channels:?} is not a list of positive numbers"),
            remedy: "give at least one, such as [32, 64]".into(),
        });
    }
    Ok(())
}

impl NetworkSettings for ConvSettings {
    fn check(&self, sample: SampleShape) -> Result<(), ConfigError> {
        check(sample, &self.channels)
    }

    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        let [channels, height, width] = image(sample);
        let sizes = sizes(height, width, self.channels.len());
        let mut inputs = channels;
        let mut down = Vec::new();
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            down.push(Conv::new(init, &format!("down{index}"), [inputs, next], 3, 2, self.activation));
            inputs = next;
        }
        let [h, w] = sizes[sizes.len() - 1];
        let head = Dense::new(init, "head", inputs * h * w, outputs, Activation::Identity, None);
        Box::new(ConvEncoder { input: [channels, height, width], down, head })
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
        let mut up = Vec::new();
        for step in (0..steps).rev() {
            let next = if step == 0 { self.channels[0] } else { self.channels[step - 1] };
            let (name, pair) = (format!("up{step}"), [inputs, next]);
            let layer = match self.up {
                Up::Nearest => UpLayer::Nearest(Conv::new(init, &name, pair, 3, 1, self.activation)),
                Up::Transposed => {
                    UpLayer::Transposed(ConvTranspose::new(init, &name, pair, self.activation, None))
                }
            };
            up.push((layer, sizes[step]));
            inputs = next;
        }
        let outputs = shape.parameters * channels;
        let head = Conv::last(init, "head", [inputs, outputs], 3, channel_bias(shape));
        Box::new(ConvDecoder { start, stem, up, head })
    }
}

/// The mean of the wished-for bias over each output channel: a convolution has one bias a channel.
pub(super) fn channel_bias(shape: &DecoderShape) -> Option<Vec<f32>> {
    let [_, height, width] = image(shape.sample);
    let area = (height * width).max(1);
    shape.bias.as_ref().map(|bias| bias.chunks(area).map(|c| c.iter().sum::<f32>() / area as f32).collect())
}

struct ConvEncoder {
    input: [usize; 3],
    down: Vec<Conv>,
    head: Dense,
}

impl Network for ConvEncoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.input;
        let map = input.reshape([rows, channels, height, width]);
        let map = self.down.iter().fold(map, |map, layer| layer.apply(weights, map));
        self.head.apply(weights, map.flatten(1, 3))
    }
}

struct ConvDecoder {
    start: [usize; 3],
    stem: Dense,
    up: Vec<(UpLayer, [usize; 2])>,
    head: Conv,
}

enum UpLayer {
    Nearest(Conv),
    Transposed(ConvTranspose),
}

impl Network for ConvDecoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.start;
        let map = self.stem.apply(weights, input).reshape([rows, channels, height, width]);
        let map = self.up.iter().fold(map, |map, (layer, size)| match layer {
            UpLayer::Nearest(conv) => conv.apply_upsampled(weights, map, *size),
            UpLayer::Transposed(conv) => conv.apply(weights, map, *size),
        });
        self.head.apply(weights, map).flatten(1, 3)
    }
}
