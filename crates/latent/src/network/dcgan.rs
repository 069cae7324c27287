//! The network of the Wasserstein and the regularised autoencoders, like DCGAN's.
//!
//! Down, the map is halved with each convolution, as in `conv`; up, a dense layer makes a map of no fewer than `start` pixels a
//! side, transposed convolutions double it, and one of stride 1 gives the outputs. So the decoder starts at a larger map than the
//! encoder ends at. Hidden convolutions are normalised over the batch.
//!
//! With the defaults these are the authors' layers for 28 and 32 pixels (from 7×7 and 8×8, two doublings), and with kernel 5 for
//! 64 pixels (from 8×8, three doublings). Any other image fits, too.
//!
//! References: Tolstikhin et al., *Wasserstein Auto-Encoders* (arXiv 1711.01558); Ghosh et al., *From Variational to
//! Deterministic Autoencoders* (arXiv 1903.12436), who have no activation behind the decoder's dense layer; Radford, Metz &
//! Chintala (arXiv 1511.06434).

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::layer::{BatchNorm, ConvTransposeConfig, DenseConfig, Layer, image};
use super::sequence::{Sequence, join};
use super::{ConvSettings, Network, activation, channel_bias, sizes};
use crate::config::ConfigError;
use crate::member::{Context, Named, Role, Settings, Wiring};
use crate::weights::Init;

/// Channels, kernels and where the decoder starts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DcganSettings {
    /// Channels after each halving; the decoder starts with the last and goes back through those before.
    pub channels: Vec<usize>,
    /// The side of all kernels.
    pub kernel: usize,
    /// The decoder starts at the smallest map that has so many pixels a side, or at the image's size if none has.
    pub start: usize,
    /// The activation between layers.
    #[serde(with = "activation")]
    #[schemars(schema_with = "activation::schema")]
    pub activation: Activation,
    /// Batch normalisation between each convolution and its activation.
    pub batch_norm: bool,
}

impl Default for DcganSettings {
    fn default() -> Self {
        Self {
            channels: vec![128, 256, 512, 1024],
            kernel: 4,
            start: 7,
            activation: Activation::Relu,
            batch_norm: true,
        }
    }
}

impl Named for DcganSettings {
    const KIND: &'static str = "dcgan";
    const ABOUT: &'static str = "batch-normalised convolutions; the decoder starts at 7 or 8 pixels a side";
}

impl DcganSettings {
    /// The way down, which is that of `conv`.
    fn down(&self) -> ConvSettings {
        ConvSettings {
            channels: self.channels.clone(),
            kernel: self.kernel,
            activation: self.activation,
            batch_norm: self.batch_norm,
            ..ConvSettings::default()
        }
    }
}

impl Settings<dyn Network> for DcganSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.start == 0 {
            return Err(ConfigError::value("start", "a map of 0 pixels", "give at least 1, such as 7"));
        }
        self.down().declare(context)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let layers = match context.wiring.role {
            Role::Encoder => self.down().encoder(&context.wiring, init),
            Role::Decoder => self.up(&context.wiring, init),
        };
        Ok(Box::new(Sequence::new(layers)))
    }
}

impl DcganSettings {
    fn up(&self, wiring: &Wiring, init: &mut Init<'_>) -> Vec<Layer> {
        let [outputs, height, width] = image(wiring.to);
        let sizes = sizes(height, width, self.channels.len());
        let doublings =
            sizes.iter().rposition(|size| size.iter().all(|&side| side >= self.start)).unwrap_or(0);
        let last = self.channels.len() - 1;
        let mut inputs = self.channels[last];
        let start = [inputs, sizes[doublings][0], sizes[doublings][1]];
        let mut layers = Vec::new();
        let units = wiring.from.features() + join(&mut layers, wiring.condition);
        let stem = DenseConfig::new(units, start.iter().product()).with_activation(self.activation);
        layers.push(Layer::Dense(stem.init(init, "stem")));
        layers.push(Layer::Maps(start));
        for step in (0..doublings).rev() {
            let next = self.channels[last.saturating_sub(doublings - step)];
            let name = format!("up{step}");
            let conv = ConvTransposeConfig::new(inputs, next).with_kernel(self.kernel);
            if self.batch_norm {
                layers.push(Layer::ConvTranspose(conv.init(init, &name), sizes[step]));
                layers.push(Layer::BatchNorm(BatchNorm::new(init, &format!("{name}.norm"), next)));
                layers.push(Layer::Activation(self.activation));
            } else {
                let conv = conv.with_activation(self.activation).init(init, &name);
                layers.push(Layer::ConvTranspose(conv, sizes[step]));
            }
            inputs = next;
        }
        let head = ConvTransposeConfig::new(inputs, outputs).with_kernel(self.kernel).with_stride(1);
        let head = head.with_bias(channel_bias(wiring)).init(init, "head");
        layers.push(Layer::ConvTranspose(head, sizes[0]));
        layers
    }
}
