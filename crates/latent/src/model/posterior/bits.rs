//! q(z|x) = Π_j Bernoulli(z_j; sigmoid(ℓ_j(x))): a code of bits.
//!
//! With b bits P(X) is a sum over 2^b codes, so that small models are known exactly. See [`BitGradient`] for how
//! a gradient passes a bit.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::size::{LatentSize, axes};
use crate::batch::{Batch, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{BitGradient, Density, FactorisedBits};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
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

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        Ok(Box::new(Bits {
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

impl Life for Bits {}
