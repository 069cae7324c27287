//! Vector quantisation: each place of a code is the nearest of K vectors in a book.
//!
//! index = argmin_i ‖f(x) − e_i‖²;  the decoder sees e_index, and the gradient passes it to f(x): straight through, or turned
//!
//! The book follows the encoder's outputs by a moving average (`moving_book`). With `distance = "cosine"` outputs and codes are
//! brought to the unit sphere, and the decoder sees codes of length 1. q puts all mass on one index, so that its rate is −ln p(index).
//! Train it with a commitment term, which keeps f(x) near the book.
//!
//! References: van den Oord, Vinyals & Kavukcuoglu, *Neural Discrete Representation Learning* (arXiv 1711.00937); cosine codes:
//! Yu et al. (arXiv 2110.04627); the rotation trick: Fifty et al. (arXiv 2410.06424).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::book::{Distance, Passage, nearest, passed, trace_nearest};
use super::moving_book::{MovingBook, Pace, START_ROWS, START_VECTORS};
use super::places::{Places, looked_up};
use super::size::{LatentSize, axes};
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape};
use crate::density::{Density, Indices};
use crate::member::{Context, Kept, Life, Named, Progress, Settings, Start};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The book and how it moves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizedSettings {
    /// The encoder's outputs: maps, whose channels at each place are one vector, or a vector of so many numbers.
    pub latent: LatentSize,
    /// K, the number of vectors in the book.
    pub codes: usize,
    /// Numbers in a vector, where the outputs are no maps; 0 for one vector of all of them.
    #[serde(skip_serializing_if = "is_default")]
    pub width: usize,
    /// Which code is near: by the difference, or by the angle alone.
    #[serde(skip_serializing_if = "is_default")]
    pub distance: Distance,
    /// How a gradient passes from a code to the encoder: as it is, or turned and scaled as the code is from the output.
    #[serde(skip_serializing_if = "is_default")]
    pub gradient: Passage,
    /// γ, how long the book's moving averages remember.
    pub decay: f64,
    /// A code whose moving count falls below this is revived.
    pub revive: f64,
}

/// Whether it needs no word in a run: runs from before it was a setting say nothing of it.
pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for QuantizedSettings {
    fn default() -> Self {
        Self {
            latent: LatentSize::default(),
            codes: 512,
            width: 0,
            distance: Distance::Euclidean,
            gradient: Passage::StraightThrough,
            decay: 0.99,
            revive: 0.1,
        }
    }
}

/// How outputs are cut into vectors, of `width` numbers where they are no maps (0 for all of them), and the axes of their indices.
pub(super) fn cut(outputs: SampleShape, width: usize) -> Result<(Places, Vec<usize>), ConfigError> {
    match outputs {
        SampleShape::Image { channels, .. } => {
            Ok((Places::of(outputs, channels), axes(outputs)[1..].to_vec()))
        }
        SampleShape::Vector { columns } => {
            let width = if width == 0 { columns } else { width };
            if !columns.is_multiple_of(width) {
                let what = format!("vectors of {width} numbers don't divide {columns}");
                return Err(ConfigError::value("width", what, "give a divisor of latent"));
            }
            let places = Places::of(outputs, width);
            Ok((places, vec![places.count()]))
        }
    }
}

/// # Errors
/// [`ConfigError::Value`] with the key `codes` for a book of fewer than 2.
pub(super) fn check_codes(codes: usize) -> Result<(), ConfigError> {
    match codes {
        0 | 1 => Err(ConfigError::value("codes", format!("{codes} codes"), "give at least 2")),
        _ => Ok(()),
    }
}

impl Named for QuantizedSettings {
    const KIND: &'static str = "quantized";
    const ABOUT: &'static str = "the nearest of a book of vectors at each place";
}

impl QuantizedSettings {
    fn pace(&self) -> Pace {
        Pace { decay: self.decay, revive: self.revive }
    }
}

impl Settings<dyn Posterior> for QuantizedSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_codes(self.codes)?;
        self.pace().check()?;
        let shape = self.latent.shape(context)?;
        let (_, block) = cut(shape, self.width)?;
        context.latent = LatentShape::block("z", block, Support::Index(self.codes));
        (context.heads, context.features) = (shape, shape);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, _) = cut(self.latent.shape(context)?, self.width)?;
        Ok(Box::new(Quantized {
            places,
            book: MovingBook::init(self.codes, places.width, self.pace(), init),
            distance: self.distance,
            gradient: self.gradient,
        }))
    }
}

struct Quantized {
    places: Places,
    book: MovingBook,
    distance: Distance,
    gradient: Passage,
}

impl Quantized {
    /// e as vectors are compared with it, `[K, width]`.
    fn book(&self, weights: &Weights) -> Tensor<2> {
        self.distance.compared(weights.get(self.book.book))
    }
}

impl Posterior for Quantized {
    fn density(&self, view: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let n = outputs.dims()[0];
        let book = self.book(view.weights);
        let vectors = self.distance.compared(self.places.vectors(outputs));
        let index = nearest(&book, &vectors.clone().detach());
        self.book.record(view.record, view.key, &vectors, &index);
        let codes = looked_up(&book, index.clone());
        let off = vectors.clone() - codes.clone();
        let commitment = (off.clone() * off).reshape([n, self.places.count() * self.places.width]);
        let seen = passed(self.gradient, vectors, codes);
        Box::new(Indices {
            features: Some(self.places.outputs(seen)),
            commitment: Some(commitment.sum_dim(1).squeeze_dim(1)),
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
        let book = crate::device::host(&self.book(weights));
        let vectors = self.places.trace_vectors(graph, outputs);
        Ok((trace_nearest(graph, &vectors, &book, self.distance), None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let book = crate::device::host(&self.book(weights));
        let width = self.places.width;
        let vectors = graph.look_up(z, &book, [book.len() / width.max(1), width]);
        Ok(self.places.trace_outputs(graph, vectors))
    }
}

impl Life for Quantized {
    /// The book starts as the k-means centres of the encoder's outputs.
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        if start.is_filled(self.book.book) {
            return Ok(());
        }
        let wanted = (self.book.codes() * START_VECTORS).div_ceil(self.places.count());
        let rows = start.rows(wanted.min(START_ROWS))?;
        let vectors = self.distance.compared(self.places.vectors(start.encoded(&rows)));
        self.book.start(start.weights, &vectors, start.key);
        Ok(())
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        self.book.follow(weights, kept);
    }
}
