//! q(z|x) = N(μ(x), L(x) L(x)ᵀ): dimensions that hang together. The encoder gives μ, ln L_jj² and L below its diagonal.
//!
//! Reference: Kingma & Welling, *An Introduction to Variational Autoencoders* (arXiv 1906.02691), section 2.5.1.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::diagonal_normal::LOG_VARIANCE;
use super::size::{LatentSize, axes};
use crate::batch::{Batch, LatentShape, Support};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::density::{Density, FullNormal};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The number of dimensions.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FullNormalSettings {
    /// The number of latent dimensions.
    pub latent: LatentSize,
}

/// A row has a matrix of so many rows and columns, and its inverse is found row by row.
const MOST_DIMS: usize = 128;

struct FullNormalPosterior {
    dims: usize,
}

impl Named for FullNormalSettings {
    const KIND: &'static str = "full-normal";
    const ABOUT: &'static str = "N(μ(x), L(x) L(x)ᵀ), with correlations";
}

impl Settings<dyn Posterior> for FullNormalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let shape = self.latent.shape(context)?;
        let dims = shape.features();
        if dims > MOST_DIMS {
            return Err(ConfigError::value(
                "latent",
                format!("a matrix of {dims} × {dims} numbers for each row"),
                format!("give at most {MOST_DIMS} dimensions, or use posterior.kind = \"diagonal-normal\""),
            ));
        }
        context.latent = LatentShape::block("z", axes(shape), Support::Reals);
        context.heads = SampleShape::Vector { columns: 2 * dims + dims * (dims - 1) / 2 };
        context.features = shape;
        context.posterior_factorises = false;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        Ok(Box::new(FullNormalPosterior { dims: context.latent.dims() }))
    }
}

impl Posterior for FullNormalPosterior {
    fn density(&self, _: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let dims = self.dims;
        let part = |start: usize, width: usize| outputs.clone().narrow(1, start, width);
        let below = match dims {
            // A matrix without columns is none that tensors know: one that nobody asks for.
            1 => part(0, 1) * 0.0,
            _ => part(2 * dims, dims * (dims - 1) / 2),
        };
        Box::new(FullNormal {
            mean: part(0, dims),
            log_variance: part(dims, dims).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1),
            below,
        })
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let dims = self.dims;
        let mean = graph.columns(outputs, 0, dims);
        let log_variance = graph.columns(outputs, dims, dims);
        let log_variance =
            graph.clamp(&log_variance, Some(LOG_VARIANCE.0 as f32), Some(LOG_VARIANCE.1 as f32));
        // √ Σ_j L_ij², the sum over what is below the diagonal by a matrix of 0 and 1.
        let mut variance = graph.unary("Exp", &log_variance);
        let count = dims * (dims - 1) / 2;
        if count > 0 {
            let below = graph.columns(outputs, 2 * dims, count);
            let squares = graph.binary("Mul", &below, &below);
            let mut rows = vec![0.0; count * dims];
            let cells = (0..dims).flat_map(|i| (0..i).map(move |_| i));
            cells.enumerate().for_each(|(cell, i)| rows[cell * dims + i] = 1.0);
            let more = graph.product(&squares, &rows, [count, dims]);
            variance = graph.binary("Add", &variance, &more);
        }
        let deviation = graph.unary("Sqrt", &variance);
        Ok((mean, Some(deviation)))
    }
}

impl Life for FullNormalPosterior {}
