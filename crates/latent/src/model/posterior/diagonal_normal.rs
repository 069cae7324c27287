//! q(z|x) = N(μ(x), diag σ²(x)); the encoder gives μ and ln σ².
//!
//! Reference: Kingma & Welling, *Auto-Encoding Variational Bayes* (arXiv 1312.6114).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::size::{LatentSize, axes, times};
use crate::batch::{Batch, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, DiagonalNormal};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The number of dimensions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DiagonalNormalSettings {
    /// The number of latent dimensions.
    pub latent: LatentSize,
}

struct DiagonalNormalPosterior;

/// ln σ² is kept in this range: beyond it e^{ln σ²} leaves single precision within a few steps.
pub(super) const LOG_VARIANCE: (f64, f64) = (-30.0, 20.0);

impl Named for DiagonalNormalSettings {
    const KIND: &'static str = "diagonal-normal";
    const ABOUT: &'static str = "N(μ(x), diag σ²(x))";
}

impl Settings<dyn Posterior> for DiagonalNormalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let shape = self.latent.shape(context)?;
        context.latent = LatentShape::block("z", axes(shape), Support::Reals);
        (context.heads, context.features) = (times(shape, 2), shape);
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        Ok(Box::new(DiagonalNormalPosterior))
    }
}

impl Posterior for DiagonalNormalPosterior {
    fn density(&self, _: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let latent = outputs.dims()[1] / 2;
        let mean = outputs.clone().narrow(1, 0, latent);
        let log_variance = outputs.narrow(1, latent, latent).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1);
        Box::new(DiagonalNormal { mean, log_variance })
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let latent = outputs.features() / 2;
        let mean = graph.columns(outputs, 0, latent);
        let log_variance = graph.columns(outputs, latent, latent);
        let log_variance =
            graph.clamp(&log_variance, Some(LOG_VARIANCE.0 as f32), Some(LOG_VARIANCE.1 as f32));
        let half = graph.with("Mul", &log_variance, &[0.5], &[1]);
        Ok((mean, Some(graph.unary("Exp", &half))))
    }
}

impl Life for DiagonalNormalPosterior {}
