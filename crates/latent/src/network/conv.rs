//! Strided convolutions down to a small map, dense layers to the code, and the way back.
//!
//! The encoder halves the map with each layer (rounding up), so that any height, width and number of
//! channels fits; the decoder remembers each size and goes back to it exactly. Up goes by nearest-neighbour
//! upsampling and a 3×3 convolution, which leaves no checkerboard (Odena et al. 2016), or by transposed
//! convolutions, the mirror of the encoder. Where asked for, each hidden layer has a gate, h = a(W ⋆ x + b) · σ(V ⋆ x + c).
//!
//! Four times 32 channels, kernel 4, two dense layers of 256 and the transposed way up are the network of Burgess et al. (arXiv
//! 1804.03599) for 64 pixels.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{BatchNorm, ConvConfig, ConvTransposeConfig, DenseConfig, Layer, image};
use super::sequence::{Sequence, gated, join};
use super::{Network, activation, channel_bias, check_images, is_default, sizes};
use crate::config::ConfigError;
use crate::member::{Context, Named, Role, Settings, Wiring};
use crate::weights::Init;

/// Channels, activation and the way up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
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
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
    /// Batch normalisation between each convolution and its activation.
    pub batch_norm: bool,
    /// Whether each hidden layer is multiplied by a gate, σ of a second convolution of the same input.
    #[serde(skip_serializing_if = "is_default")]
    pub gated: bool,
    /// The decoder's way up.
    pub up: Up,
}

/// How a decoder enlarges a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
            batch_norm: false,
            gated: false,
            up: Up::Nearest,
        }
    }
}

/// Larger kernels are taken for a mistake.
const GREATEST_KERNEL: usize = 15;

impl Named for ConvSettings {
    const KIND: &'static str = "conv";
    const ABOUT: &'static str = "strided convolutions down, upsampling convolutions up; any image";
}

impl Settings<dyn Network> for ConvSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(2..=GREATEST_KERNEL).contains(&self.kernel) {
            return Err(ConfigError::value(
                "kernel",
                format!("a kernel of {0}×{0}", self.kernel),
                format!("give a side from 2 to {GREATEST_KERNEL}"),
            ));
        }
        if self.dense.contains(&0) {
            return Err(ConfigError::value(
                "dense",
                format!("{:?} has a layer of width 0", self.dense),
                "give each layer at least one unit, or leave the layer out",
            ));
        }
        if self.batch_norm {
            let instead = format!("or {}.batch_norm = false", context.path);
            context.couple("batch normalisation couples the rows of a batch", instead);
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

impl ConvSettings {
    /// The activation that a convolution applies itself: none where normalisation comes between.
    fn own(&self) -> Activation {
        if self.batch_norm { Activation::Identity } else { self.activation }
    }

    /// What follows a convolution of that name.
    fn normed(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, channels: usize) {
        if self.batch_norm {
            layers.push(Layer::BatchNorm(BatchNorm::new(init, &format!("{name}.norm"), channels)));
            layers.push(Layer::Activation(self.activation));
        }
    }

    /// A hidden convolution with what follows it.
    fn convolution(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, conv: ConvConfig) {
        let (channels, gate) = (conv.outputs, conv.clone().with_activation(Activation::Sigmoid));
        let mut own = vec![Layer::Conv(conv.with_activation(self.own()).init(init, name))];
        self.normed(&mut own, init, name, channels);
        let gate = self.gated.then(|| Layer::Conv(gate.init(init, &format!("{name}.gate"))));
        layers.extend(gated(own, gate));
    }

    /// A hidden dense layer.
    fn dense(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, name: &str, dense: DenseConfig) {
        let gate = dense.clone().with_activation(Activation::Sigmoid);
        let own = vec![Layer::Dense(dense.with_activation(self.activation).init(init, name))];
        let gate = self.gated.then(|| Layer::Dense(gate.init(init, &format!("{name}.gate"))));
        layers.extend(gated(own, gate));
    }

    pub(super) fn encoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [channels, height, width] = image(wiring.from);
        let sizes = sizes(height, width, self.channels.len());
        let mut layers = vec![Layer::Maps([channels, height, width])];
        let mut inputs = channels;
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            let conv = ConvConfig::new(inputs, next).with_kernel(self.kernel).with_stride(2);
            self.convolution(&mut layers, init, &format!("down{index}"), conv);
            inputs = next;
        }
        let [h, w] = sizes[sizes.len() - 1];
        layers.push(Layer::Flatten);
        let mut units = inputs * h * w + join(&mut layers, wiring.condition);
        for (index, &next) in self.dense.iter().enumerate() {
            self.dense(&mut layers, init, &format!("dense{index}"), DenseConfig::new(units, next));
            units = next;
        }
        layers.push(Layer::Dense(DenseConfig::new(units, wiring.to.features()).init(init, "head")));
        layers
    }

    fn decoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [outputs, height, width] = image(wiring.to);
        let sizes = sizes(height, width, self.channels.len());
        let steps = sizes.len() - 1;
        let [h, w] = sizes[steps];
        let mut layers = Vec::new();
        let mut units = wiring.from.features() + join(&mut layers, wiring.condition);
        for (index, &next) in self.dense.iter().rev().enumerate() {
            self.dense(&mut layers, init, &format!("dense{index}"), DenseConfig::new(units, next));
            units = next;
        }
        let mut inputs = if steps == 0 { self.channels[0] } else { self.channels[steps - 1] };
        let start = [inputs, h, w];
        self.dense(&mut layers, init, "stem", DenseConfig::new(units, start.iter().product()));
        layers.push(Layer::Maps(start));
        let bias = channel_bias(wiring);
        for step in (0..steps).rev() {
            let next = self.channels[step.saturating_sub(1)];
            let (name, size) = (format!("up{step}"), sizes[step]);
            if self.up == Up::Transposed && step == 0 {
                let conv = ConvTransposeConfig::new(inputs, outputs).with_bias(bias.clone());
                layers.push(Layer::ConvTranspose(conv.init(init, "head"), size));
                break;
            }
            let up = |init: &mut Init<'_>, name: &str, activation: Activation| match self.up {
                Up::Nearest => {
                    let conv = ConvConfig::new(inputs, next).with_activation(activation);
                    Layer::Upsample(conv.init(init, name), size)
                }
                Up::Transposed => {
                    let conv = ConvTransposeConfig::new(inputs, next).with_activation(activation);
                    Layer::ConvTranspose(conv.init(init, name), size)
                }
            };
            let mut own = vec![up(init, &name, self.own())];
            self.normed(&mut own, init, &name, next);
            let gate = self.gated.then(|| up(init, &format!("{name}.gate"), Activation::Sigmoid));
            layers.extend(gated(own, gate));
            inputs = next;
        }
        if self.up == Up::Nearest || steps == 0 {
            layers.push(Layer::Conv(ConvConfig::new(inputs, outputs).with_bias(bias).init(init, "head")));
        }
        layers
    }
}
