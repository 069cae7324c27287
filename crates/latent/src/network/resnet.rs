//! Residual blocks at the smallest maps between strided convolutions: the residual networks of pythae's benchmark.
//!
//! block(h) = h + W₁ ⋆ a(W₃ ⋆ a(h)),  W₃ a 3×3 convolution to `hidden` channels, W₁ a 1×1 one back
//!
//! Down, each convolution halves the map, without an activation; blocks and a dense layer follow. Up, a dense layer makes the
//! smallest map, the blocks stand behind the first transposed convolution, and each further one comes behind an activation.
//!
//! With the defaults these are the benchmark's layers for MNIST; with channels 64, 128, 128, 128, kernels 4, 4, 3, 3 and up 3, 5, 5, 4
//! it has as many numbers as that for CelebA, which leaves out or has otherwise the last activations.
//!
//! Reference: Chadebec, Vincent & Allassonnière, *Pythae* (arXiv 2206.08309), whose blocks are those of van den Oord et al. (arXiv
//! 1711.00937).

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{ConvConfig, ConvTransposeConfig, DenseConfig, Layer, image};
use super::sequence::{Sequence, join};
use super::{Network, activation, channel_bias, check_images, sizes};
use crate::config::ConfigError;
use crate::member::{Context, Named, Role, Settings, Wiring};
use crate::weights::Init;

/// Channels, kernels and blocks.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResnetSettings {
    /// Channels after each halving; the decoder has them in reverse.
    pub channels: Vec<usize>,
    /// The sides of the encoder's kernels, the first of the image's; the last goes on.
    pub kernels: Vec<usize>,
    /// The sides of the decoder's kernels, the first of the smallest map's; the last goes on.
    pub up_kernels: Vec<usize>,
    /// Residual blocks of either network.
    pub blocks: usize,
    /// Channels inside a block.
    pub hidden: usize,
    /// The activation.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
}

impl Default for ResnetSettings {
    fn default() -> Self {
        Self {
            channels: vec![64, 128, 128],
            kernels: vec![4, 4, 3],
            up_kernels: vec![3],
            blocks: 2,
            hidden: 32,
            activation: Activation::Relu,
        }
    }
}

/// More blocks are taken for a mistake.
const MOST_BLOCKS: usize = 1000;

/// Larger kernels are taken for a mistake.
const GREATEST_KERNEL: usize = 15;

impl Named for ResnetSettings {
    const KIND: &'static str = "resnet";
    const ABOUT: &'static str = "strided convolutions with residual blocks at the smallest maps";
}

/// Refuses lists that hold no kernel.
fn check_kernels(key: &str, kernels: &[usize]) -> Result<(), ConfigError> {
    if !kernels.is_empty() && kernels.iter().all(|kernel| (2..=GREATEST_KERNEL).contains(kernel)) {
        return Ok(());
    }
    let what = format!("{kernels:?} is not a list of kernels");
    Err(ConfigError::value(key, what, format!("give at least one side from 2 to {GREATEST_KERNEL}")))
}

/// The kernel at this place of a list whose last goes on.
fn kernel(kernels: &[usize], place: usize) -> usize {
    kernels[place.min(kernels.len() - 1)]
}

impl Settings<dyn Network> for ResnetSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_kernels("kernels", &self.kernels)?;
        check_kernels("up_kernels", &self.up_kernels)?;
        if self.blocks > MOST_BLOCKS {
            let what = format!("{} residual blocks", self.blocks);
            return Err(ConfigError::value("blocks", what, format!("give {MOST_BLOCKS} at most")));
        }
        if self.hidden == 0 {
            return Err(ConfigError::value("hidden", "blocks of 0 channels", "give at least 1, such as 32"));
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

impl ResnetSettings {
    fn encoder(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [channels, height, width] = image(wiring.from);
        let sizes = sizes(height, width, self.channels.len());
        let mut layers = vec![Layer::Maps([channels, height, width])];
        let mut inputs = channels;
        for (index, &next) in self.channels.iter().take(sizes.len() - 1).enumerate() {
            let down = ConvConfig::new(inputs, next).with_kernel(kernel(&self.kernels, index)).with_stride(2);
            layers.push(Layer::Conv(down.init(init, &format!("down{index}"))));
            inputs = next;
        }
        self.blocks(&mut layers, init, inputs);
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
        let mut inputs = self.channels[steps.saturating_sub(1)];
        let start = [inputs, sizes[steps][0], sizes[steps][1]];
        let mut layers = Vec::new();
        let units = wiring.from.features() + join(&mut layers, wiring.condition);
        let stem = DenseConfig::new(units, start.iter().product());
        layers.push(Layer::Dense(stem.init(init, "stem")));
        layers.push(Layer::Maps(start));
        // An image that is halved once at most has no map for them behind a first step up.
        if steps < 2 {
            self.blocks(&mut layers, init, inputs);
            layers.push(Layer::Activation(self.activation));
        }
        let bias = channel_bias(wiring);
        for step in (0..steps).rev() {
            let next = if step == 0 { outputs } else { self.channels[step - 1] };
            let conv = ConvTransposeConfig::new(inputs, next);
            let conv = conv.with_kernel(kernel(&self.up_kernels, steps - 1 - step));
            if step == 0 {
                let conv = conv.with_bias(bias.clone()).init(init, "head");
                layers.push(Layer::ConvTranspose(conv, sizes[0]));
                return layers;
            }
            layers.push(Layer::ConvTranspose(conv.init(init, &format!("up{step}")), sizes[step]));
            if step + 1 == steps {
                self.blocks(&mut layers, init, next);
            }
            layers.push(Layer::Activation(self.activation));
            inputs = next;
        }
        layers.push(Layer::Conv(ConvConfig::new(inputs, outputs).with_bias(bias).init(init, "head")));
        layers
    }

    /// h + W₁ ⋆ a(W₃ ⋆ a(h)), so many times.
    fn blocks(&self, layers: &mut Vec<Layer>, init: &mut Init<'_>, channels: usize) {
        for index in 0..self.blocks {
            let mut init = init.scope(format!("block{index}"));
            let first = ConvConfig::new(channels, self.hidden).with_activation(self.activation);
            let second = ConvConfig::new(self.hidden, channels).with_kernel(1);
            layers.push(Layer::Residual(vec![
                Layer::Activation(self.activation),
                Layer::Conv(first.init(&mut init, "0")),
                Layer::Conv(second.init(&mut init, "1")),
            ]));
        }
    }
}
