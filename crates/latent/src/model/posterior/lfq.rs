//! Lookup-free and binary spherical quantisation: a vector stands as the signs of its numbers, so that d of them are a book of
//! 2^d corners that nobody has to look up or to learn.
//!
//! LFQ: u = f(x), c = sign u;  BSQ: u = f(x) / ‖f(x)‖, c = sign u / √d;  the gradient passes straight through from c to u
//! index = Σ_j 2^j [u_j > 0]
//! p(c|x) ∝ exp(−‖u − c‖² / τ) is a product over the signs, with log odds (‖u − c⁻‖² − ‖u − c⁺‖²) / τ
//!
//! q puts all mass on one index; its rate is −ln p(index). The term `code-entropy` makes signs sure and indices equally frequent by
//! that law; the term `commitment`, ‖u − sg\[c\]‖², keeps LFQ's numbers near ±1, where BSQ's are bounded as they are.
//!
//! References: Yu et al., *Language Model Beats Diffusion: Tokenizer is Key to Visual Generation* (arXiv 2310.05737), section 3;
//! Zhao, Xiong & Krähenbühl, *Image and Video Tokenization with Binary Spherical Quantization* (arXiv 2406.07548).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::book::on_sphere;
use super::places::Places;
use super::size::LatentSize;
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, Indices, indices};
use crate::device::Device;
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The code and its signs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LfqSettings {
    /// The indices of a code: a number of them, or maps of so many `channels` of indices at each place.
    pub latent: LatentSize,
    /// d, the signs behind an index: 8 are 256 codes.
    pub signs: usize,
    /// Whether vectors are brought to the sphere before their signs are taken: binary spherical quantisation.
    pub sphere: bool,
}

impl Default for LfqSettings {
    fn default() -> Self {
        Self { latent: LatentSize::default(), signs: 8, sphere: false }
    }
}

/// Signs behind an index, at most: a law over indices has room for so many codes.
const MOST_SIGNS: usize = 20;

impl Named for LfqSettings {
    const KIND: &'static str = "lfq";
    const ABOUT: &'static str = "the signs of the encoder's outputs, lookup-free or on the sphere";
}

impl Settings<dyn Posterior> for LfqSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_SIGNS).contains(&self.signs) {
            let what = format!("{} signs behind an index", self.signs);
            let remedy = format!("give 1 to {MOST_SIGNS}, and more channels of latent for longer codes");
            return Err(ConfigError::value("signs", what, remedy));
        }
        let shape = self.latent.shape(context)?;
        let (_, outputs, block) = Places::around(shape, self.signs);
        context.latent = LatentShape::block("z", block, Support::Index(1 << self.signs));
        (context.heads, context.features) = (outputs, outputs);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, ..) = Places::around(self.latent.shape(context)?, self.signs);
        Ok(Box::new(Lfq { places, sphere: self.sphere }))
    }
}

struct Lfq {
    places: Places,
    sphere: bool,
}

impl Lfq {
    /// What a sign is multiplied by in a code.
    fn scale(&self) -> f64 {
        if self.sphere { (self.places.width as f64).sqrt().recip() } else { 1.0 }
    }

    /// 2^j
    fn bases(&self) -> Vec<f32> {
        (0..self.places.width).map(|sign| (1u32 << sign) as f32).collect()
    }

    /// ±scale of bits.
    fn corner(&self, bits: Tensor<2>) -> Tensor<2> {
        (bits * 2.0 - 1.0) * self.scale()
    }
}

impl Posterior for Lfq {
    fn density(&self, _: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let [n, width] = [outputs.dims()[0], self.places.width];
        let (device, count) = (Device::of(&outputs), self.places.count());
        let vectors = self.places.vectors(outputs);
        let u = if self.sphere { on_sphere(vectors) } else { vectors };
        let bits = u.clone().detach().greater_scalar(0.0).float().cast(u.dtype());
        let index = (bits.clone() * device.tensor::<2>(self.bases(), [1, width])).sum_dim(1);
        let code = self.corner(bits);
        let off = u.clone() - code.clone();
        let commitment = (off.clone() * off).reshape([n, count * width]).sum_dim(1).squeeze_dim(1);
        // ‖u − c⁻‖² − ‖u − c⁺‖² = 4 u · scale
        let odds = (u.clone() * (4.0 * self.scale())).reshape([n, count, width]);
        // Straight through: the value of the code, the gradient of u.
        let seen = u.clone() + (code - u.detach());
        Box::new(Indices {
            features: Some(self.places.outputs(seen)),
            commitment: Some(commitment),
            odds: Some(odds),
            ..Indices::new(index.reshape([n, count]))
        })
    }

    fn features(&self, _: &View<'_>, z: &Latent) -> Tensor<2> {
        let [m, width] = [z.rows() * self.places.count(), self.places.width];
        let most = (1u64 << width) as f64 - 1.0;
        let index = indices(&z.z.clone().clamp(0.0, most).reshape([m, 1])).float().cast(z.z.dtype());
        let bases = Device::of(&z.z).tensor::<2>(self.bases(), [1, width]);
        // Bit j of an index is ⌊index / 2^j⌋ less twice ⌊index / 2^(j+1)⌋.
        let shifted = index.expand([m, width]) / bases;
        let bits = shifted.clone().floor() - (shifted * 0.5).floor() * 2.0;
        self.places.outputs(self.corner(bits))
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let vectors = self.places.trace_vectors(graph, outputs);
        let bits = graph.above(&vectors, 0.0, false);
        let index = graph.product(&bits, &self.bases(), [self.places.width, 1]);
        Ok((graph.reshape(index, &[self.places.count()]), None))
    }

    fn trace_features(&self, _: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let (width, count) = (self.places.width, self.places.count());
        let most = (1u64 << width) as f32 - 1.0;
        let inside = graph.clamp(z, Some(0.0), Some(most));
        let whole = graph.unary("Round", &inside);
        let index = graph.reshape(whole, &[count, 1]);
        // 1 beside 2^−j: the index over each base.
        let inverse: Vec<f32> = self.bases().into_iter().map(f32::recip).collect();
        let shifted = graph.product(&index, &inverse, [1, width]);
        let low = graph.unary("Floor", &shifted);
        let halved = graph.with("Mul", &shifted, &[0.5], &[1]);
        let high = graph.unary("Floor", &halved);
        let high = graph.with("Mul", &high, &[2.0], &[1]);
        let bits = graph.binary("Sub", &low, &high);
        let scale = self.scale() as f32;
        let scaled = graph.with("Mul", &bits, &[2.0 * scale], &[1]);
        let corner = graph.with("Sub", &scaled, &[scale], &[1]);
        Ok(self.places.trace_outputs(graph, corner))
    }
}

impl Life for Lfq {}
