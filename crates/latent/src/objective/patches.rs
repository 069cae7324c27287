//! The network of a critic of patches: convolutions of 4×4 that halve the map, each under the spectral norm, and a last one of 3×3
//! that gives a number a place. What a place sees is a patch of 5 · 2ᴸ − 2 pixels a side, L the number of halvings.
//!
//! Any size goes in: an odd side is rounded up at each halving. x is centred and scaled as the training rows are, all pixels alike.

use burn::tensor::Tensor;
use latent_kernels::Activation;

use crate::data::Facts;
use crate::member::{Kept, Recorder};
use crate::network::layer::{ConvConfig, SpectralConv};
use crate::weights::{Init, Weights};

/// The layers.
pub(super) struct Patches {
    /// `[channels, height, width]` of an image.
    shape: [usize; 3],
    layers: Vec<SpectralConv>,
    head: SpectralConv,
    mean: f64,
    deviation: f64,
}

/// Images that vary less are not scaled.
const LEAST: f64 = 1e-6;

/// What the network makes of images.
pub(super) struct Seen {
    /// The maps before the last layer, `[rows, numbers]`.
    pub maps: Tensor<2>,
    /// A number a place, `[rows, places]`: high for data.
    pub scores: Tensor<2>,
}

impl Patches {
    pub fn new(init: &mut Init<'_>, facts: &Facts, shape: [usize; 3], channels: &[usize]) -> Self {
        let mut inputs = shape[0];
        let mut layers = Vec::new();
        for (index, &outputs) in channels.iter().enumerate() {
            let conv = ConvConfig::new(inputs, outputs).with_kernel(4).with_stride(2);
            let conv = conv.with_activation(Activation::LeakyRelu);
            layers.push(SpectralConv::new(init, &format!("critic{index}"), conv));
            inputs = outputs;
        }
        let head = SpectralConv::new(init, "critic", ConvConfig::new(inputs, 1));
        let pixels = facts.mean.iter().zip(&facts.variance).map(|(m, v)| (f64::from(*m), f64::from(*v)));
        let count = facts.mean.len().max(1) as f64;
        let mean = pixels.clone().map(|(m, _)| m).sum::<f64>() / count;
        let deviation = (pixels.map(|(m, v)| v + (m - mean).powi(2)).sum::<f64>() / count).sqrt();
        Self { shape, layers, head, mean, deviation: if deviation > LEAST { deviation } else { 1.0 } }
    }

    /// `x` is images as rows.
    pub fn see(&self, weights: &Weights, record: Option<&Recorder>, x: Tensor<2>) -> Seen {
        let (rows, [channels, height, width]) = (x.dims()[0], self.shape);
        let x = ((x - self.mean) * (1.0 / self.deviation)).reshape([rows, channels, height, width]);
        let maps = self.layers.iter().fold(x, |x, layer| layer.apply(weights, record, x));
        let scores = self.head.apply(weights, record, maps.clone());
        Seen { maps: maps.flatten(1, 3), scores: scores.flatten(1, 3) }
    }

    pub fn start(&self, weights: &mut Weights) {
        self.each().for_each(|layer| layer.start(weights));
    }

    pub fn follow(&self, weights: &mut Weights, kept: &Kept) {
        self.each().for_each(|layer| layer.follow(weights, kept));
    }

    fn each(&self) -> impl Iterator<Item = &SpectralConv> {
        self.layers.iter().chain([&self.head])
    }
}
