//! Residual vector quantisation: each stage quantises what the stages before it leave over.
//!
//! r_1 = f(x);  index_s = argmin_i ‖r_s − e_{s,i}‖²,  r_{s+1} = r_s − e_{s, index_s};  the decoder sees Σ_s e_{s, index_s}
//!
//! Indices are coarse to fine: a code has a block of them for each stage, `stage1`, `stage2`, …, with the usage of its book in the
//! log. With quantiser dropout the decoder sees the first n stages of some rows while training, n uniform from 1 to all, so that every beginning of a
//! code is a code too. The gradient passes the sum straight through; the term `commitment` is Σ_s ‖r_s − sg\[e_s\]‖² over the
//! stages that are seen. Each stage has a book of its own, which follows by moving averages (`moving_book`) whatever is dropped.
//!
//! References: Zeghidour et al., *SoundStream* (arXiv 2107.03312), section III.C; Lee et al. (arXiv 2203.01941).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::book::{Distance, nearest, trace_nearest};
use super::moving_book::{MovingBook, Pace, START_ROWS, START_VECTORS};
use super::places::{Places, looked_up};
use super::quantized::{check_codes, cut, is_default};
use super::size::LatentSize;
use crate::batch::{Batch, Block, Latent, LatentShape, Noise, Support};
use crate::config::ConfigError;
use crate::data::DataError;
use crate::density::{Density, Indices};
use crate::device::{Device, host};
use crate::member::{Context, Kept, Life, Named, Progress, Settings, Start};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The books and how they move.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResidualSettings {
    /// The encoder's outputs: maps, whose channels at each place are one vector, or a vector of so many numbers.
    pub latent: LatentSize,
    /// How many books quantise one after the other.
    pub stages: usize,
    /// K, the number of vectors in each book.
    pub codes: usize,
    /// Numbers in a vector, where the outputs are no maps; 0 for one vector of all of them.
    #[serde(skip_serializing_if = "is_default")]
    pub width: usize,
    /// The share of training rows of which the decoder sees the first stages alone, as many as a draw says.
    pub dropout: f64,
    /// γ, how long the books' moving averages remember.
    pub decay: f64,
    /// A code whose moving count falls below this is revived.
    pub revive: f64,
}

impl Default for ResidualSettings {
    fn default() -> Self {
        Self {
            latent: LatentSize::default(),
            stages: 4,
            codes: 256,
            width: 0,
            dropout: 0.5,
            decay: 0.99,
            revive: 0.1,
        }
    }
}

/// Stages at most: more are a slip of the pen.
const MOST_STAGES: usize = 64;

impl Named for ResidualSettings {
    const KIND: &'static str = "residual";
    const ABOUT: &'static str = "books one after the other, each on what is left over";
}

impl ResidualSettings {
    fn pace(&self) -> Pace {
        Pace { decay: self.decay, revive: self.revive }
    }
}

impl Settings<dyn Posterior> for ResidualSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        check_codes(self.codes)?;
        self.pace().check()?;
        if !(1..=MOST_STAGES).contains(&self.stages) {
            let (what, remedy) = (format!("{} stages", self.stages), format!("give 1 to {MOST_STAGES}"));
            return Err(ConfigError::value("stages", what, remedy));
        }
        if !(0.0..=1.0).contains(&self.dropout) {
            let what = format!("{} is not a share", self.dropout);
            return Err(ConfigError::value("dropout", what, "give a number from 0 to 1"));
        }
        let shape = self.latent.shape(context)?;
        let (_, shape_of_stage) = cut(shape, self.width)?;
        let stage = |stage| Block {
            name: if self.stages == 1 { "z".into() } else { format!("stage{stage}") },
            shape: shape_of_stage.clone(),
            support: Support::Index(self.codes),
        };
        context.latent = LatentShape { blocks: (1..=self.stages).map(stage).collect() };
        (context.heads, context.features) = (shape, shape);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, _) = cut(self.latent.shape(context)?, self.width)?;
        let book = |stage| MovingBook::init(self.codes, places.width, self.pace(), &mut init.scope(stage));
        Ok(Box::new(Residual { places, books: (0..self.stages).map(book).collect(), dropout: self.dropout }))
    }
}

struct Residual {
    places: Places,
    books: Vec<MovingBook>,
    dropout: f64,
}

impl Residual {
    /// How many stages are seen of each row, `[n]`: all but of rows that dropout is for.
    fn seen(&self, view: &View<'_>, batch: &Batch) -> Option<Vec<f32>> {
        if !(view.is_training() && self.dropout > 0.0) {
            return None;
        }
        let stages = self.books.len() as f32;
        let noise = Noise::new(view.key.fold("quantiser dropout"), &batch.ids);
        let uniforms = host(&noise.uniforms(1, 2, view.weights.device()));
        let of = |u: &[f32]| match f64::from(u[0]) < self.dropout {
            true => (u[1] * stages).floor().min(stages - 1.0) + 1.0,
            false => stages,
        };
        Some(uniforms.chunks_exact(2).map(of).collect())
    }
}

impl Posterior for Residual {
    fn density(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let (n, count, width) = (outputs.dims()[0], self.places.count(), self.places.width);
        let device = Device::of(&outputs);
        let seen = self.seen(view, batch);
        let vectors = self.places.vectors(outputs);
        let mut left = vectors.clone();
        let mut sum = vectors.clone().detach().zeros_like();
        let mut commitment = vectors.clone().narrow(0, 0, n).sum_dim(1).zeros_like();
        let mut indices = Vec::with_capacity(self.books.len());
        for (stage, own) in self.books.iter().enumerate() {
            let book = view.weights.get::<2>(own.book);
            let index = nearest(&book, &left.clone().detach());
            own.record(view.record, view.key.fold(stage), &left, &index);
            let codes = looked_up(&book, index.clone());
            let off = left - codes.clone();
            let squares = (off.clone() * off.clone()).reshape([n, count * width]).sum_dim(1);
            match &seen {
                None => {
                    sum = sum + codes;
                    commitment = commitment + squares;
                }
                Some(seen) => {
                    let is_seen = seen.iter().map(|seen| f32::from(u8::from((stage as f32) < *seen)));
                    let is_seen = device.tensor::<2>(is_seen.collect(), [n, 1]);
                    commitment = commitment + squares * is_seen.clone();
                    sum = sum + codes * is_seen.expand([n, count]).reshape([n * count, 1]);
                }
            }
            left = off;
            indices.push(index.reshape([n, count]));
        }
        // Straight through: the value of the sum, the gradient of the vector.
        let seen = vectors.clone() + (sum - vectors.detach());
        Box::new(Indices {
            features: Some(self.places.outputs(seen)),
            commitment: Some(commitment.squeeze_dim(1)),
            ..Indices::new(Tensor::cat(indices, 1))
        })
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let (rows, count) = (z.rows(), self.places.count());
        let of = |(stage, own): (usize, &MovingBook)| {
            let index = z.z.clone().narrow(1, stage * count, count).reshape([rows * count]);
            looked_up(&view.weights.get(own.book), index)
        };
        let sum = self.books.iter().enumerate().map(of).reduce(|sum, codes| sum + codes);
        // There is a stage at least.
        self.places.outputs(sum.unwrap_or_else(|| z.z.clone()))
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let (count, width) = (self.places.count(), self.places.width);
        let mut left = self.places.trace_vectors(graph, outputs);
        let mut indices = Vec::with_capacity(self.books.len());
        for own in &self.books {
            let book = weights.entry(own.book).values();
            let index = trace_nearest(graph, &left, &book, Distance::Euclidean);
            let codes = graph.look_up(&index, &book, [own.codes(), width]);
            left = graph.binary("Sub", &left, &codes);
            indices.push(graph.reshape(index, &[count]));
        }
        Ok((graph.beside(&indices), None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let (count, width) = (self.places.count(), self.places.width);
        let mut sum: Option<Node> = None;
        for (stage, own) in self.books.iter().enumerate() {
            let index = graph.columns(z, stage * count, count);
            let codes = graph.look_up(&index, &weights.entry(own.book).values(), [own.codes(), width]);
            sum = Some(match sum {
                Some(sum) => graph.binary("Add", &sum, &codes),
                None => codes,
            });
        }
        Ok(self.places.trace_outputs(graph, sum.unwrap_or_else(|| z.clone())))
    }
}

impl Life for Residual {
    /// Each book starts as the k-means centres of what the ones before it leave over.
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let most = self.books.iter().map(MovingBook::codes).max().unwrap_or(0);
        let rows = start.rows((most * START_VECTORS).div_ceil(self.places.count()).min(START_ROWS))?;
        let mut left = self.places.vectors(start.encoded(&rows));
        for (stage, own) in self.books.iter().enumerate() {
            if !start.is_filled(own.book) {
                own.start(start.weights, &left, start.key.fold(stage));
            }
            let book = start.weights.get::<2>(own.book);
            left = left.clone() - looked_up(&book, nearest(&book, &left));
        }
        Ok(())
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        self.books.iter().for_each(|book| book.follow(weights, kept));
    }
}
