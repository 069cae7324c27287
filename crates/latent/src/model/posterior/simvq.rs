//! SimVQ: the book is a frozen random one times a learned matrix, so that a gradient at any code moves all of them.
//!
//! e_i = c_i W, c_i ~ N(0, I/d) frozen, W learned;  index = argmin_i ‖f(x) − e_i‖²
//!
//! A learned book of free vectors moves those codes alone that something is near to, and the others die; here they turn and stretch
//! together. Train it with the terms `codebook`, ‖sg\[f\] − e‖², which alone moves W, and `commitment`, ‖f − sg\[e\]‖². q puts all
//! mass on one index; its rate is −ln p(index).
//!
//! Reference: Zhu et al., *Addressing Representation Collapse in Vector Quantized Models with One Linear Layer* (arXiv 2411.02038).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::book::{Distance, Passage, nearest, passed, trace_nearest};
use super::places::{Places, looked_up};
use super::quantized::{check_codes, cut, is_default};
use super::size::LatentSize;
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Density, Indices};
use crate::device::host;
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// The book.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimVqSettings {
    /// The encoder's outputs: maps, whose channels at each place are one vector, or a vector of so many numbers.
    pub latent: LatentSize,
    /// K, the number of vectors in the book.
    pub codes: usize,
    /// Numbers in a vector, where the outputs are no maps; 0 for one vector of all of them.
    #[serde(skip_serializing_if = "is_default")]
    pub width: usize,
    /// How a gradient passes from a code to the encoder: as it is, or turned and scaled as the code is from the output.
    pub gradient: Passage,
}

impl Default for SimVqSettings {
    fn default() -> Self {
        Self { latent: LatentSize::default(), codes: 512, width: 0, gradient: Passage::StraightThrough }
    }
}

impl Named for SimVqSettings {
    const KIND: &'static str = "simvq";
    const ABOUT: &'static str = "the nearest of a frozen book times a learned matrix";
}

impl Settings<dyn Posterior> for SimVqSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_codes(self.codes)?;
        let shape = self.latent.shape(context)?;
        let (_, block) = cut(shape, self.width)?;
        context.latent = LatentShape::block("z", block, Support::Index(self.codes));
        (context.heads, context.features) = (shape, shape);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, _) = cut(self.latent.shape(context)?, self.width)?;
        let width = places.width;
        let deviation = (width as f32).sqrt().recip();
        Ok(Box::new(SimVq {
            places,
            frozen: init.buffer("frozen", &[self.codes, width], Initial::Normal(deviation)),
            matrix: init.matrix("matrix", &[width, width], Initial::glorot(width, width)),
            gradient: self.gradient,
        }))
    }
}

struct SimVq {
    places: Places,
    /// c, `[K, width]`
    frozen: WeightId,
    /// W, `[width, width]`
    matrix: WeightId,
    gradient: Passage,
}

impl SimVq {
    /// e, `[K, width]`
    fn book(&self, weights: &Weights) -> Tensor<2> {
        weights.get::<2>(self.frozen).matmul(weights.get::<2>(self.matrix))
    }
}

impl Posterior for SimVq {
    fn density(&self, view: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let [n, width] = [outputs.dims()[0], self.places.count() * self.places.width];
        let book = self.book(view.weights);
        let vectors = self.places.vectors(outputs);
        let index = nearest(&book.clone().detach(), &vectors.clone().detach());
        let codes = looked_up(&book, index.clone());
        let square = |off: Tensor<2>| (off.clone() * off).reshape([n, width]).sum_dim(1).squeeze_dim(1);
        let commitment = square(vectors.clone() - codes.clone().detach());
        let codebook = square(vectors.clone().detach() - codes.clone());
        let seen = passed(self.gradient, vectors, codes);
        Box::new(Indices {
            features: Some(self.places.outputs(seen)),
            commitment: Some(commitment),
            codebook: Some(codebook),
            ..Indices::new(index.reshape([n, self.places.count()]))
        })
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let index = z.z.clone().reshape([z.rows() * self.places.count()]);
        self.places.outputs(looked_up(&self.book(view.weights), index))
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let book = host(&self.book(weights));
        let vectors = self.places.trace_vectors(graph, outputs);
        Ok((trace_nearest(graph, &vectors, &book, Distance::Euclidean), None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let (book, width) = (host(&self.book(weights)), self.places.width);
        let vectors = graph.look_up(z, &book, [book.len() / width.max(1), width]);
        Ok(self.places.trace_outputs(graph, vectors))
    }
}

impl Life for SimVq {}
