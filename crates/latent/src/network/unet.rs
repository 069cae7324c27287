//! A U-Net: a function of maps and of something told beside them, such as a time, that keeps the maps' size.
//!
//! ```text
//! x ─conv─ block block ─┬──────────────── cat ─ block block ─ norm conv ─▶
//!                       └─ halve ─ … attention … ─ double ─┘
//! ```
//!
//! block(h, e) = h + conv₂(φ(norm(conv₁(φ(norm(h))) + W e))),  e an embedding of what is told; conv₂ starts at 0
//!
//! References: Ronneberger et al. (arXiv 1505.04597); Ho et al., *Denoising diffusion* (arXiv 2006.11239).

use burn::tensor::Tensor;
use latent_kernels::Activation;

use super::layer::{Attention, Conv, ConvConfig, Dense, DenseConfig, GroupNorm};
use super::sizes;
use crate::weights::{Init, Weights};

/// What a U-Net is made of.
#[derive(Clone, Copy, Debug)]
pub struct UNetConfig {
    /// `[channels, height, width]` of the maps that come out.
    pub shape: [usize; 3],
    /// Channels of those that go in, of the same size.
    pub inputs: usize,
    /// Numbers told beside them.
    pub told: usize,
    /// Channels at the maps' own size; twice as many at each halving.
    pub channels: usize,
}

/// Blocks at each scale, on either way.
const BLOCKS: usize = 2;

/// Maps are halved until a side is no longer than this.
const SMALLEST: usize = 4;

/// Groups of channels for normalisation, at most.
const GROUPS: usize = 8;

/// Channels of a head of attention.
const HEAD: usize = 48;

/// Functions of maps `[rows, channels, height, width]`.
#[derive(Clone, Debug)]
pub struct UNet {
    /// Of the maps that go in.
    shape: [usize; 3],
    embedding: [Dense; 2],
    first: Conv,
    scales: Vec<Scale>,
    last: (GroupNorm, Conv),
}

/// One size of the maps: what is done there on the way down and on the way up.
#[derive(Clone, Debug)]
struct Scale {
    size: [usize; 2],
    down: Vec<Block>,
    /// At the smallest size.
    attention: Option<(GroupNorm, Attention)>,
    /// To the next size, and back from it; the two ways joined.
    halve: Option<[Conv; 3]>,
    up: Vec<Block>,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    norms: [GroupNorm; 2],
    convolutions: [Conv; 2],
    told: Dense,
}

impl Block {
    fn new(init: &mut Init<'_>, name: &str, channels: usize, embedded: usize) -> Self {
        let mut init = init.scope(name);
        let norm =
            |init: &mut Init<'_>, name: &str| GroupNorm::new(init, name, channels, GROUPS, Activation::Silu);
        Self {
            norms: [norm(&mut init, "norm0"), norm(&mut init, "norm1")],
            convolutions: [
                ConvConfig::new(channels, channels).init(&mut init, "0"),
                ConvConfig::new(channels, channels).with_zeros().init(&mut init, "1"),
            ],
            told: DenseConfig::new(embedded, channels).init(&mut init, "told"),
        }
    }

    fn apply(&self, weights: &Weights, x: Tensor<4>, embedded: &Tensor<2>) -> Tensor<4> {
        let [rows, channels, ..] = x.dims();
        let h = self.convolutions[0].apply(weights, self.norms[0].apply(weights, x.clone()));
        let told = self.told.apply(weights, embedded.clone()).reshape([rows, channels, 1, 1]);
        let h = self.norms[1].apply(weights, h + told);
        x + self.convolutions[1].apply(weights, h)
    }
}

impl UNetConfig {
    /// Makes the network under `init`'s path.
    pub fn init(self, init: &mut Init<'_>) -> UNet {
        let Self { shape: [outputs, height, width], inputs, told, channels } = self;
        let embedded = 2 * channels;
        let halvings = (0..).take_while(|&k| height.min(width).div_ceil(1 << k) > SMALLEST).count();
        let sizes = sizes(height, width, halvings);
        let scales = sizes.iter().enumerate().map(|(index, &size)| {
            let mut init = init.scope(format!("scale{index}"));
            let here = channels << index;
            let blocks = |init: &mut Init<'_>, way: &str| -> Vec<Block> {
                (0..BLOCKS).map(|k| Block::new(init, &format!("{way}{k}"), here, embedded)).collect()
            };
            let is_last = index + 1 == sizes.len();
            Scale {
                size,
                down: blocks(&mut init, "down"),
                attention: is_last.then(|| {
                    let norm = GroupNorm::new(&mut init, "norm", here, GROUPS, Activation::Identity);
                    (norm, Attention::new(&mut init, "attention", here, (here / HEAD).max(1)))
                }),
                halve: (!is_last).then(|| {
                    [
                        ConvConfig::new(here, 2 * here).with_stride(2).init(&mut init, "halve"),
                        ConvConfig::new(2 * here, here).init(&mut init, "double"),
                        ConvConfig::new(2 * here, here).with_kernel(1).init(&mut init, "join"),
                    ]
                }),
                up: blocks(&mut init, "up"),
            }
        });
        let scales = scales.collect();
        let silu = |inputs, outputs| DenseConfig::new(inputs, outputs).with_activation(Activation::Silu);
        UNet {
            shape: [inputs, height, width],
            embedding: [
                silu(told, embedded).init(init, "embedding0"),
                silu(embedded, embedded).init(init, "embedding1"),
            ],
            first: ConvConfig::new(inputs, channels).init(init, "first"),
            scales,
            last: (
                GroupNorm::new(init, "norm", channels, GROUPS, Activation::Silu),
                ConvConfig::new(channels, outputs).with_zeros().init(init, "last"),
            ),
        }
    }
}

impl UNet {
    /// `x [rows, inputs·h·w]`, `told [rows, told]` → `[rows, c·h·w]`
    pub fn apply(&self, weights: &Weights, x: Tensor<2>, told: Tensor<2>) -> Tensor<2> {
        let [channels, height, width] = self.shape;
        let rows = x.dims()[0];
        let embedded = self.embedding.iter().fold(told, |h, layer| layer.apply(weights, h));
        let x = self.first.apply(weights, x.reshape([rows, channels, height, width]));
        let h = self.from(0, weights, x, &embedded);
        self.last.1.apply(weights, self.last.0.apply(weights, h)).flatten(1, 3)
    }

    /// Everything from a scale down and back up to it.
    fn from(&self, index: usize, weights: &Weights, x: Tensor<4>, embedded: &Tensor<2>) -> Tensor<4> {
        let scale = &self.scales[index];
        let through = |blocks: &[Block], x| blocks.iter().fold(x, |h, b| b.apply(weights, h, embedded));
        let mut h = through(&scale.down, x);
        if let Some((norm, attention)) = &scale.attention {
            h = h.clone() + attention.apply(weights, norm.apply(weights, h));
        }
        if let Some([halve, double, join]) = &scale.halve {
            let below = self.from(index + 1, weights, halve.apply(weights, h.clone()), embedded);
            let below = double.apply_upsampled(weights, below, scale.size);
            h = join.apply(weights, Tensor::cat(vec![below, h], 1));
        }
        through(&scale.up, h)
    }
}
