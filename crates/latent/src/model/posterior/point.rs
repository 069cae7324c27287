//! One code for each x, q(z|x) = δ(z − f(x)): the plain autoencoder's posterior, and Wasserstein
//! autoencoders'.

use burn::tensor::{Tensor, activation::sigmoid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::size::{LatentSize, axes};
use crate::batch::{Batch, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, Point};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The size of the code.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PointSettings {
    /// The number of latent dimensions.
    pub latent: LatentSize,
    /// Whether codes are squashed into [0, 1], as a uniform prior wants.
    pub unit_interval: bool,
}

struct PointPosterior {
    unit_interval: bool,
}

impl Named for PointSettings {
    const KIND: &'static str = "point";
    const ABOUT: &'static str = "one code for each x: a plain autoencoder";
}

impl Settings<dyn Posterior> for PointSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let shape = self.latent.shape(context)?;
        let support = if self.unit_interval { Support::UnitInterval } else { Support::Reals };
        context.latent = LatentShape::block("z", axes(shape), support);
        (context.heads, context.features) = (shape, shape);
        context.has_density = false;
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        Ok(Box::new(PointPosterior { unit_interval: self.unit_interval }))
    }
}

impl Posterior for PointPosterior {
    fn density(&self, _: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        Box::new(Point { code: if self.unit_interval { sigmoid(outputs) } else { outputs } })
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let code = if self.unit_interval { graph.unary("Sigmoid", outputs) } else { outputs.clone() };
        Ok((code, None))
    }

    fn has_density(&self) -> bool {
        false
    }
}

impl Life for PointPosterior {}
