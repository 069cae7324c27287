//! q(z|x) = Π_j Bernoulli(z_j; sigmoid(ℓ_j(x))): a code of bits.
//!
//! With b bits P(X) is a sum over 2^b codes, so that small models are known exactly. See [`BitGradient`] for how
//! a gradient passes a bit.
//!
//! Bits start from a split of the data that pays: each is the 2-means split of what the bits before it leave over, and both
//! networks are taught it before the first step. Without it a bit that says nothing at first is soon ignored, and then says
//! nothing for good. The optimum of b bits and a free decoder is 2^b-means (for a normal likelihood of one σ).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::size::{LatentSize, axes};
use crate::array::Array;
use crate::batch::{Batch, LatentShape, Support};
use crate::config::ConfigError;
use crate::data::{DataError, ValueKind};
use crate::density::{BitGradient, Density, FactorisedBits};
use crate::device::host;
use crate::key::Key;
use crate::member::{Context, Lesson, Life, Named, Settings, Start};
use crate::model::View;
use crate::nearest::{assign, k_means};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// How many bits and which gradient.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BitsSettings {
    /// The number of bits.
    pub latent: LatentSize,
    /// How the gradient passes a bit while training.
    pub gradient: Surrogate,
    /// The temperature of relaxed bits: soft at 1, nearly hard at 0.1.
    pub temperature: f64,
}

/// How the gradient passes a bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Surrogate {
    /// Hard bits, the gradient of their probability.
    StraightThrough,
    /// Soft bits.
    Relaxed,
}

impl Default for BitsSettings {
    fn default() -> Self {
        Self { latent: LatentSize::default(), gradient: Surrogate::StraightThrough, temperature: 0.5 }
    }
}

struct Bits {
    gradient: BitGradient,
    /// Whether x is quantities, whose squared distance means something.
    is_metric: bool,
}

/// Rows of the split hold about so many numbers together, and there are at most [`MOST_ROWS`] of them.
const LOOKED_AT: usize = 1 << 22;
const MOST_ROWS: usize = 4096;

/// Codes of more bits start as they come.
const MOST_BITS: usize = 64;

/// The logit that a taught bit has: q = 0.98, sure enough to be read and not so sure that it cannot learn.
const TAUGHT: f32 = 4.0;

/// Starts of the first split, of which the best is kept.
const TRIES: u64 = 4;

/// Each row's bits, and what they say of it: bit after bit the 2-means split of what is left over.
fn split(x: &Array, bits: usize, key: Key) -> (Array, Array) {
    let (n, width) = (x.rows(), x.width());
    let mut left = x.clone();
    let mut codes = vec![0.0; n * bits];
    for bit in 0..bits {
        let tries = if bit == 0 { TRIES } else { 1 };
        let found = (0..tries).map(|attempt| {
            let centres = k_means(&left, 2, key.fold(bit).fold(attempt));
            let cells = assign(&left, &centres);
            let square = |row: usize| -> f64 {
                left.row(row).iter().zip(centres.row(cells[row])).map(|(x, c)| f64::from(x - c).powi(2)).sum()
            };
            ((0..n).map(square).sum::<f64>(), centres, cells)
        });
        let Some((_, centres, cells)) = found.min_by(|a, b| a.0.total_cmp(&b.0)) else { continue };
        for (row, cell) in cells.into_iter().enumerate() {
            codes[row * bits + bit] = cell as f32;
            let rest = &mut left.values[row * width..(row + 1) * width];
            rest.iter_mut().zip(centres.row(cell)).for_each(|(x, c)| *x -= c);
        }
    }
    let said = x.values.iter().zip(&left.values).map(|(x, left)| x - left).collect();
    (Array::matrix(codes, bits), Array::matrix(said, width))
}

impl Named for BitsSettings {
    const KIND: &'static str = "bits";
    const ABOUT: &'static str = "independent bits, straight-through or relaxed";
}

impl Settings<dyn Posterior> for BitsSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(ConfigError::value(
                "temperature",
                format!("{} is not a temperature", self.temperature),
                "give a positive number, such as 0.5",
            ));
        }
        let shape = self.latent.shape(context)?;
        context.latent = LatentShape::block("z", axes(shape), Support::Bits);
        (context.heads, context.features) = (shape, shape);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        Ok(Box::new(Bits {
            is_metric: context.facts.kind != ValueKind::Mixed,
            gradient: match self.gradient {
                Surrogate::StraightThrough => BitGradient::StraightThrough,
                Surrogate::Relaxed => BitGradient::Relaxed(self.temperature),
            },
        }))
    }
}

impl Posterior for Bits {
    fn density(&self, view: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let gradient = if view.is_training() { self.gradient } else { BitGradient::None };
        Box::new(FactorisedBits { logits: outputs, gradient })
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        // √(p (1 − p))
        let p = graph.unary("Sigmoid", outputs);
        let square = graph.binary("Mul", &p, &p);
        let variance = graph.binary("Sub", &p, &square);
        let deviation = graph.unary("Sqrt", &variance);
        Ok((graph.above(outputs, 0.0, false), Some(deviation)))
    }
}

impl Life for Bits {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        if !self.is_metric {
            return Ok(());
        }
        let one = start.rows(1)?;
        let (bits, width) = (start.encoded(&one).dims()[1], one.x.dims()[1]);
        if bits > MOST_BITS || width == 0 {
            return Ok(());
        }
        let rows = start.rows((LOOKED_AT / width).clamp(2, MOST_ROWS))?;
        if rows.len() < 2 {
            return Ok(());
        }
        let (codes, x) = split(&Array::matrix(host(&rows.x), width), bits, start.key.fold("split"));
        let heads = codes.values.iter().map(|bit| TAUGHT * (2.0 * bit - 1.0)).collect();
        let lesson = Lesson { heads: Array::matrix(heads, bits), codes, x };
        start.teach(&rows, &lesson);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_splits_what_is_left_over() {
        // Four clusters on a rectangle: the first bit takes its long side, the second its short one.
        let mut x = Vec::new();
        for row in 0..40 {
            let near = 0.01 * (row % 5) as f32;
            x.extend([10.0 * (row % 2) as f32 + near, 3.0 * (row / 2 % 2) as f32 - near]);
        }
        let x = Array::matrix(x, 2);
        let (codes, said) = split(&x, 2, Key::from_seed(1));
        for row in 0..40 {
            assert_eq!(codes.row(row)[0] == codes.row(0)[0], row % 2 == 0);
            assert_eq!(codes.row(row)[1] == codes.row(0)[1], row / 2 % 2 == 0);
            assert!(x.row(row).iter().zip(said.row(row)).all(|(x, s)| (x - s).abs() < 0.1));
        }
    }
}
