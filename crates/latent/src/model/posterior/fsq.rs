//! Finite scalar quantisation: each number of a vector is rounded to one of a few levels, and the book is their product.
//!
//! b_i(f) = ½ (L_i − 1)(1 + ε) tanh(f_i + s_i) − o_i,  o_i = ½ for even L_i and 0 for odd,  b_i(0) = 0
//! the decoder sees round(b) / ⌊L/2⌋, and the gradient passes the rounding straight through to b
//! index = Σ_i (round(b_i) + ⌊L_i/2⌋) Π_{j<i} L_j,  from 0 to Π L − 1
//!
//! Nothing is learned of the book and nothing in it can die, so that there is no commitment and no revival: every index is near
//! to some output of the encoder. q puts all mass on one index; its rate is −ln p(index).
//!
//! Reference: Mentzer, Minnen, Agustsson & Tschannen, *Finite Scalar Quantization: VQ-VAE Made Simple* (arXiv 2309.15505),
//! section 3.1 and appendix A.1; ε widens the bound instead of narrowing it, which leaves every level a cell of some width.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::places::{Places, looked_up};
use super::size::LatentSize;
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, Indices};
use crate::device::Device;
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The code and its levels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FsqSettings {
    /// The indices of a code: a number of them, or maps of so many `channels` of indices at each place.
    pub latent: LatentSize,
    /// L, the levels of each number behind an index: [8, 6, 5] are 240 codes. The paper has 5 or more each.
    pub levels: Vec<usize>,
}

impl Default for FsqSettings {
    fn default() -> Self {
        Self { latent: LatentSize::default(), levels: vec![8, 6, 5] }
    }
}

/// ε, by which the bound is wider than its outermost levels.
const WIDER: f64 = 1e-3;

/// Codes at most: what single precision counts without a gap, with room for a law over all of them.
const MOST_CODES: usize = 1 << 20;

impl FsqSettings {
    /// Π L, where it can be a book.
    fn codes(&self) -> Result<usize, ConfigError> {
        let refuse = |what: String, remedy: &str| Err(ConfigError::value("levels", what, remedy));
        if self.levels.is_empty() {
            return refuse("no levels".into(), "give the levels of each number, such as [8, 6, 5]");
        }
        if let Some(few) = self.levels.iter().find(|levels| **levels < 3) {
            return refuse(format!("{few} levels are no scale"), "give at least 3 each, such as [8, 6, 5]");
        }
        let codes = self.levels.iter().try_fold(1usize, |all, levels| all.checked_mul(*levels));
        match codes.filter(|codes| *codes <= MOST_CODES) {
            Some(codes) => Ok(codes),
            None => refuse(
                format!("the product of {:?} is more than {MOST_CODES} codes", self.levels),
                "give fewer numbers or levels, or more channels of latent",
            ),
        }
    }
}

impl Named for FsqSettings {
    const KIND: &'static str = "fsq";
    const ABOUT: &'static str = "finite scalar quantisation: numbers rounded to a few levels";
}

impl Settings<dyn Posterior> for FsqSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let codes = self.codes()?;
        let shape = self.latent.shape(context)?;
        let (_, outputs, block) = Places::around(shape, self.levels.len());
        context.latent = LatentShape::block("z", block, Support::Index(codes));
        (context.heads, context.features) = (outputs, outputs);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, ..) = Places::around(self.latent.shape(context)?, self.levels.len());
        Ok(Box::new(Fsq { places, scales: self.levels.iter().map(|&levels| Scale::of(levels)).collect() }))
    }
}

/// The levels of one number.
#[derive(Clone, Copy, Debug)]
struct Scale {
    /// L
    levels: usize,
    /// ½ (L − 1)(1 + ε)
    half: f64,
    /// o
    offset: f64,
    /// s = atanh(o / half)
    shift: f64,
    /// ⌊L/2⌋
    middle: f64,
}

impl Scale {
    fn of(levels: usize) -> Self {
        let half = 0.5 * (levels as f64 - 1.0) * (1.0 + WIDER);
        let offset = if levels.is_multiple_of(2) { 0.5 } else { 0.0 };
        Self { levels, half, offset, shift: (offset / half).atanh(), middle: (levels / 2) as f64 }
    }
}

struct Fsq {
    places: Places,
    scales: Vec<Scale>,
}

impl Fsq {
    /// A number of each scale.
    fn each(&self, number: impl Fn(&Scale) -> f64) -> Vec<f64> {
        self.scales.iter().map(number).collect()
    }

    /// Π_{j<i} L_j
    fn bases(&self) -> Vec<f64> {
        let below = |i: usize| self.scales[..i].iter().map(|scale| scale.levels as f64).product();
        (0..self.scales.len()).map(below).collect()
    }

    /// The vector of every index, `[K, width]`, row-major.
    fn book(&self) -> Vec<f64> {
        let codes: usize = self.scales.iter().map(|scale| scale.levels).product();
        let vector = |mut rest: usize| {
            self.scales.iter().map(move |scale| {
                let level = rest % scale.levels;
                rest /= scale.levels;
                (level as f64 - scale.middle) / scale.middle
            })
        };
        (0..codes).flat_map(vector).collect()
    }
}

impl Posterior for Fsq {
    fn density(&self, _: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let [n, width] = [outputs.dims()[0], self.places.width];
        let device = Device::of(&outputs);
        let row = |values: Vec<f64>| device.tensor_f64::<2>(values, [1, width]);
        let vectors = self.places.vectors(outputs);
        let bounded = (vectors + row(self.each(|s| s.shift))).tanh() * row(self.each(|s| s.half))
            - row(self.each(|s| s.offset));
        let rounded = bounded.clone().detach().round();
        let digits = rounded.clone() + row(self.each(|s| s.middle));
        let index = (digits * row(self.bases())).sum_dim(1);
        // Straight through: the value of the level, the gradient of the bounded number.
        let seen = bounded.clone() + (rounded - bounded.detach());
        Box::new(Indices {
            features: Some(self.places.outputs(seen / row(self.each(|s| s.middle)))),
            ..Indices::new(index.reshape([n, self.places.count()]))
        })
    }

    fn features(&self, _: &View<'_>, z: &Latent) -> Tensor<2> {
        let (rows, width) = (z.rows(), self.places.width);
        let book = self.book();
        let codes = book.len() / width.max(1);
        let book = Device::of(&z.z).tensor_f64(book, [codes, width]);
        let index = z.z.clone().reshape([rows * self.places.count()]);
        self.places.outputs(looked_up(&book, index))
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let width = self.places.width;
        let row = |values: Vec<f64>| -> Vec<f32> { values.into_iter().map(|v| v as f32).collect() };
        let vectors = self.places.trace_vectors(graph, outputs);
        let shifted = graph.with("Add", &vectors, &row(self.each(|s| s.shift)), &[width]);
        let within = graph.unary("Tanh", &shifted);
        let scaled = graph.with("Mul", &within, &row(self.each(|s| s.half)), &[width]);
        let bounded = graph.with("Sub", &scaled, &row(self.each(|s| s.offset)), &[width]);
        let rounded = graph.unary("Round", &bounded);
        let digits = graph.with("Add", &rounded, &row(self.each(|s| s.middle)), &[width]);
        let index = graph.product(&digits, &row(self.bases()), [width, 1]);
        Ok((graph.reshape(index, &[self.places.count()]), None))
    }

    fn trace_features(&self, _: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let (book, width) = (self.book(), self.places.width);
        let book: Vec<f32> = book.into_iter().map(|v| v as f32).collect();
        let vectors = graph.look_up(z, &book, [book.len() / width.max(1), width]);
        Ok(self.places.trace_outputs(graph, vectors))
    }
}

impl Life for Fsq {}
