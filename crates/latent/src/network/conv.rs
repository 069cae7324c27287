//! Strided convolutions down to a small map, dense layers to the code, and the way back.
//!
//! The encoder halves the map with each layer (rounding up), so that any height, width and number of
//! channels fits; the decoder remembers each size and goes back to it exactly. Up goes by nearest-neighbour
//! upsampling and a 3×3 convolution, which leaves no checkerboard (Odena et al. 2016), or by transposed
//! convolutions, the mirror of the encoder.

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
    /// The side of the encoder's kernels.
    pub kernel: usize,
    /// Widths of dense layers between the smallest map and the code; the decoder has them in reverse.
    pub dense: Vec<usize>,
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
    /// A 4×4 transposed convolution with stride 2; the last one gives the outputs.
    Transposed,
}

impl Default for ConvSettings {
    fn default() -> Self {
        Self {
            channels: vec![32, 64, 128],
            kernel: 3,
            dense: Vec::new(),
            activation: Activation::Silu,
            up: Up::Nearest,
        }
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

/// Larger kernels are taken for a mistake.
const GREATEST_KERNEL: usize = 15;

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
        if !(2..=GREATEST_KERNEL).contains(&self.kernel) {
            return Err(ConfigError::Value {
                key: "kernel".into(),
                what: format!("a kernel of {0}×{0}", self.kernel),
                remedy: format!("give a side from 2 to {GREATEST_KERNEL}"),
            });
        }
        if self.dense.contains(&0) {
            return Err(ConfigError::Value {
                key: "dense".into(),
                what: format!("{:?} has a layer of width 0", self.dense),
                remedy: "give each layer at least one unit, or leave the layer out".into(),
            });
        }
        check(sample, &self.channels)
    }

    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        let [channels, height, width] = image(sample);
        let sizes = sizes(height, width, self.channels.len());
        let mut inputs = channels;
        let mut down = Vec::new();
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            let (name, pair) = (format!("down{index}"), [inputs, next]);
            down.push(Conv::new(init, &name, pair, self.kernel, 2, self.activation));
            inputs = next;
        }
        let [h, w] = sizes[sizes.len() - 1];
        let mut units = inputs * h * w;
        let mut dense = Vec::new();
        for (index, &next) in self.dense.iter().enumerate() {
            dense.push(Dense::new(init, &format!("dense{index}"), units, next, self.activation, None));
            units = next;
        }
        dense.push(Dense::new(init, "head", units, outputs, Activation::Identity, None));
        Box::new(ConvEncoder { input: [channels, height, width], down, dense })
    }

    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network> {
        let [channels, height, width] = image(shape.sample);
        let sizes = sizes(height, width, self.channels.len());
        let steps = sizes.len() - 1;
        let [h, w] = sizes[steps];
        let mut units = shape.latent;
        let mut dense = Vec::new();
        for (index, &next) in self.dense.iter().rev().enumerate() {
            dense.push(Dense::new(init, &format!("dense{index}"), units, next, self.activation, None));
            units = next;
        }
        let mut inputs = if steps == 0 { self.channels[0] } else { self.channels[steps - 1] };
        let start = [inputs, h, w];
        dense.push(Dense::new(init, "stem", units, start.iter().product(), self.activation, None));
        let (outputs, bias) = (shape.parameters * channels, channel_bias(shape));
        let mut up = Vec::new();
        for step in (0..steps).rev() {
            let next = self.channels[step.saturating_sub(1)];
            let (name, size) = (format!("up{step}"), sizes[step]);
            up.push(match self.up {
                Up::Nearest => {
                    let conv = Conv::new(init, &name, [inputs, next], 3, 1, self.activation);
                    Layer::Nearest(conv, size)
                }
                Up::Transposed if step > 0 => {
                    let conv = ConvTranspose::new(init, &name, [inputs, next], self.activation, None);
                    Layer::Transposed(conv, size)
                }
                Up::Transposed => {
                    let pair = [inputs, outputs];
                    let conv = ConvTranspose::new(init, "head", pair, Activation::Identity, bias.clone());
                    Layer::Transposed(conv, size)
                }
            });
            inputs = next;
        }
        if self.up == Up::Nearest || steps == 0 {
            up.push(Layer::Same(Conv::last(init, "head", [inputs, outputs], 3, bias)));
        }
        Box::new(ConvDecoder { start, dense, up })
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
    dense: Vec<Dense>,
}

impl Network for ConvEncoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.input;
        let map = input.reshape([rows, channels, height, width]);
        let map = self.down.iter().fold(map, |map, layer| layer.apply(weights, map));
        self.dense.iter().fold(map.flatten(1, 3), |hidden, layer| layer.apply(weights, hidden))
    }
}

struct ConvDecoder {
    dense: Vec<Dense>,
    start: [usize; 3],
    up: Vec<Layer>,
}

/// A layer of the decoder and the size that it goes to.
enum Layer {
    Nearest(Conv, [usize; 2]),
    Transposed(ConvTranspose, [usize; 2]),
    Same(Conv),
}

impl Network for ConvDecoder {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        let rows = input.dims()[0];
        let [channels, height, width] = self.start;
        let hidden = self.dense.iter().fold(input, |hidden, layer| layer.apply(weights, hidden));
        let map = hidden.reshape([rows, channels, height, width]);
        let map = self.up.iter().fold(map, |map, layer| match layer {
            Layer::Nearest(conv, size) => conv.apply_upsampled(weights, map, *size),
            Layer::Transposed(conv, size) => conv.apply(weights, map, *size),
            Layer::Same(conv) => conv.apply(weights, map),
        });
        map.flatten(1, 3)
    }
}
