//! Vector quantisation: each place of a code is the nearest of K vectors in a book.
//!
//! index = argmin_i ‖f(x) − e_i‖²;  the decoder sees e_index, and the gradient passes it straight through to f(x)
//! N_i ← γ N_i + (1 − γ) n_i,  m_i ← γ m_i + (1 − γ) Σ f(x) of those nearest to i,  e_i = m_i / N_i
//!
//! The book follows the encoder's outputs by a moving average and starts as their k-means centres; codes that nothing is near
//! to are revived as outputs of rows chosen by key. q puts all mass on one index, so that its rate is −ln p(index). Train it
//! with a commitment term, which keeps f(x) near the book.
//!
//! References: van den Oord, Vinyals & Kavukcuoglu, *Neural Discrete Representation Learning* (arXiv 1711.00937), appendix
//! A.1; Razavi, van den Oord & Vinyals (arXiv 1906.00446); revival as in Zeghidour et al. (arXiv 2107.03312).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::size::{LatentSize, axes};
use crate::array::Array;
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape};
use crate::density::{Density, Indices, indices};
use crate::device::host;
use crate::member::{Context, Kept, Life, Named, Progress, Settings, Start};
use crate::model::View;
use crate::nearest::k_means;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// The book and how it moves.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct QuantizedSettings {
    /// The encoder's outputs: maps, whose channels at each place are one vector, or a vector of so many numbers.
    pub latent: LatentSize,
    /// K, the number of vectors in the book.
    pub codes: usize,
    /// Numbers in a vector, where the outputs are no maps; 0 for one vector of all of them.
    #[serde(skip_serializing_if = "is_zero")]
    pub width: usize,
    /// γ, how long the book's moving averages remember.
    pub decay: f64,
    /// A code whose moving count falls below this is revived.
    pub revive: f64,
}

fn is_zero(value: &usize) -> bool {
    *value == 0
}

impl Default for QuantizedSettings {
    fn default() -> Self {
        Self { latent: LatentSize::default(), codes: 512, width: 0, decay: 0.99, revive: 0.1 }
    }
}

/// Counts are kept this far from 0.
const LEAST_COUNT: f64 = 1e-5;

/// Vectors that k-means starts from, for each code.
const START_VECTORS: usize = 32;

/// Training rows that the start reads, at most.
const START_ROWS: usize = 4096;

/// How the encoder's outputs are cut into vectors.
#[derive(Clone, Copy, Debug)]
struct Layout {
    /// Vectors in a row.
    places: usize,
    /// Numbers in a vector.
    width: usize,
    /// Whether a vector's numbers are channels, a place apart.
    maps: bool,
}

impl Layout {
    /// `[n, outputs]` → `[n · places, width]`
    fn vectors(self, outputs: Tensor<2>) -> Tensor<2> {
        let n = outputs.dims()[0];
        let flat = [n * self.places, self.width];
        match self.maps {
            true => outputs.reshape([n, self.width, self.places]).swap_dims(1, 2).reshape(flat),
            false => outputs.reshape(flat),
        }
    }

    /// The way back.
    fn outputs(self, vectors: Tensor<2>) -> Tensor<2> {
        let n = vectors.dims()[0] / self.places;
        let flat = [n, self.places * self.width];
        match self.maps {
            true => vectors.reshape([n, self.places, self.width]).swap_dims(1, 2).reshape(flat),
            false => vectors.reshape(flat),
        }
    }
}

impl QuantizedSettings {
    fn layout(&self, shape: SampleShape) -> Result<Layout, ConfigError> {
        match shape {
            SampleShape::Image { channels, height, width } => {
                Ok(Layout { places: height * width, width: channels, maps: true })
            }
            SampleShape::Vector { columns } => {
                let width = if self.width == 0 { columns } else { self.width };
                if !columns.is_multiple_of(width) {
                    let what = format!("vectors of {width} numbers don't divide {columns}");
                    return Err(ConfigError::value("width", what, "give a divisor of latent"));
                }
                Ok(Layout { places: columns / width, width, maps: false })
            }
        }
    }
}

impl Named for QuantizedSettings {
    const KIND: &'static str = "quantized";
    const ABOUT: &'static str = "the nearest of a book of vectors at each place";
}

impl Settings<dyn Posterior> for QuantizedSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.codes < 2 {
            return Err(ConfigError::value("codes", format!("{} codes", self.codes), "give at least 2"));
        }
        if !(0.0..1.0).contains(&self.decay) {
            let what = format!("{} is not a decay", self.decay);
            return Err(ConfigError::value("decay", what, "give a number in [0, 1), such as 0.99"));
        }
        if !(self.revive.is_finite() && self.revive >= 0.0) {
            let what = format!("{} is not a count", self.revive);
            return Err(ConfigError::value("revive", what, "give a number from 0; 0 revives none"));
        }
        let shape = self.latent.shape(context)?;
        let layout = self.layout(shape)?;
        let block = match shape {
            SampleShape::Image { .. } => axes(shape)[1..].to_vec(),
            SampleShape::Vector { .. } => vec![layout.places],
        };
        context.latent = LatentShape::block("z", block, Support::Index(self.codes));
        (context.heads, context.features) = (shape, shape);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let layout = self.layout(context.heads)?;
        let shape = [self.codes, layout.width];
        let names = ["counts", "sums", "candidates"].map(|name| init.path(name));
        let book = init.buffer("book", &shape, Initial::Normal(1.0));
        let mut training = init.training_only();
        Ok(Box::new(Quantized {
            layout,
            codes: self.codes,
            book,
            counts: training.buffer("counts", &[self.codes], Initial::Constant(1.0)),
            sums: training.buffer("sums", &shape, Initial::Constant(0.0)),
            names,
            decay: self.decay,
            revive: self.revive,
        }))
    }
}

struct Quantized {
    layout: Layout,
    codes: usize,
    /// e, `[K, width]`
    book: WeightId,
    /// N, `[K]`
    counts: WeightId,
    /// m, `[K, width]`
    sums: WeightId,
    /// What counts, sums and candidates for a revival are recorded as.
    names: [String; 3],
    decay: f64,
    revive: f64,
}

impl Quantized {
    /// The nearest code of each vector, `[m]`.
    fn nearest(&self, book: &Tensor<2>, vectors: &Tensor<2>) -> Tensor<1> {
        let norms = (book.clone() * book.clone()).sum_dim(1).transpose();
        // ‖f‖² is the same for every code.
        let distance = norms - vectors.clone().matmul(book.clone().transpose()) * 2.0;
        let m = vectors.dims()[0];
        distance.argmin(1).reshape([m]).float().cast(vectors.dtype())
    }

    /// e of each index, `[m]` → `[m, width]`.
    fn looked_up(&self, book: &Tensor<2>, index: &Tensor<1>) -> Tensor<2> {
        let m = index.dims()[0];
        book.clone().select(0, indices(&index.clone().reshape([m, 1])).reshape([m]))
    }

    /// What the book follows.
    fn record(&self, view: &View<'_>, vectors: &Tensor<2>, index: &Tensor<1>) {
        let Some(record) = view.record else { return };
        let [m, width] = vectors.dims();
        let (device, codes) = (view.weights.device(), self.codes);
        let vectors = vectors.clone().detach();
        let mut one_hot = vec![0.0; m * codes];
        for (row, code) in host(index).into_iter().enumerate() {
            one_hot[row * codes + (code as usize).min(codes - 1)] = 1.0;
        }
        let one_hot = device.tensor::<2>(one_hot, [m, codes]);
        record.sum(&self.names[0], one_hot.clone().sum_dim(0).reshape([codes]));
        let sums = one_hot.transpose().matmul(crate::device::untracked(vectors.clone()));
        record.sum(&self.names[1], sums.reshape([codes * width]));
        // As many of the batch's vectors as there are codes, over and over where it has fewer.
        let order = view.key.fold("revive").permutation(m);
        let chosen: Vec<i32> = (0..codes).map(|code| order[code % m.max(1)] as i32).collect();
        let chosen = Tensor::<1, burn::tensor::Int>::from_data(
            burn::tensor::TensorData::new(chosen, [codes]),
            &vectors.device(),
        );
        record.first(&self.names[2], vectors.select(0, chosen).reshape([codes * width]));
    }
}

impl Posterior for Quantized {
    fn density(&self, view: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let n = outputs.dims()[0];
        let book = view.weights.get::<2>(self.book);
        let vectors = self.layout.vectors(outputs);
        let index = self.nearest(&book, &vectors.clone().detach());
        self.record(view, &vectors, &index);
        let codes = self.looked_up(&book, &index);
        let off = vectors.clone() - codes.clone();
        let commitment = (off.clone() * off).reshape([n, self.layout.places * self.layout.width]);
        // Straight through: the value of the code, the gradient of the vector.
        let seen = vectors.clone() + (codes - vectors.detach());
        Box::new(Indices {
            index: index.reshape([n, self.layout.places]),
            features: Some(self.layout.outputs(seen)),
            commitment: commitment.sum_dim(1).squeeze_dim(1),
        })
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let rows = z.rows();
        let most = self.codes as f64 - 1.0;
        let index = z.z.clone().reshape([rows * self.layout.places]).clamp(0.0, most);
        self.layout.outputs(self.looked_up(&view.weights.get(self.book), &index))
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let Layout { places, width, maps } = self.layout;
        let book = weights.entry(self.book).values();
        let vectors = match maps {
            true => {
                let maps = graph.reshape(outputs.clone(), &[width, places]);
                graph.transpose(&maps, &[0, 2, 1])
            }
            false => graph.reshape(outputs.clone(), &[places, width]),
        };
        // ‖e‖² − 2 f·e, which orders codes as ‖f − e‖² does.
        let norms: Vec<f32> = book.chunks_exact(width).map(|e| e.iter().map(|v| v * v).sum()).collect();
        let across: Vec<f32> =
            (0..width).flat_map(|i| book.iter().skip(i).step_by(width).map(|v| -2.0 * v)).collect();
        let product = graph.product(&vectors, &across, [width, self.codes]);
        let distance = graph.with("Add", &product, &norms, &[self.codes]);
        Ok((graph.least(&distance), None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let Layout { places, width, maps } = self.layout;
        let book = weights.entry(self.book).values();
        let vectors = graph.look_up(z, &book, [self.codes, width]);
        let vectors = if maps { graph.transpose(&vectors, &[0, 2, 1]) } else { vectors };
        Ok(graph.reshape(vectors, &[places * width]))
    }
}

impl Life for Quantized {
    /// The book starts as the k-means centres of the encoder's outputs.
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        if start.is_filled(self.book) {
            return Ok(());
        }
        let wanted = (self.codes * START_VECTORS).div_ceil(self.layout.places);
        let rows = start.rows(wanted.min(START_ROWS))?;
        let vectors = self.layout.vectors(start.encoded(&rows));
        let width = self.layout.width;
        let mut values = k_means(&Array::matrix(host(&vectors), width), self.codes, start.key).values;
        // Fewer vectors than codes: the rest repeats them, a little apart.
        let (missing, known) = (self.codes * width - values.len(), values.len().max(1));
        let mut noise = vec![0.0; missing];
        start.key.fold("apart").normals(&mut noise);
        for (place, noise) in noise.into_iter().enumerate() {
            let value = values.get(place % known).copied().unwrap_or(0.0);
            values.push(value + 0.01 * noise);
        }
        start.weights.set_values(self.sums, values.clone());
        start.weights.set_values(self.book, values);
        start.weights.set_values(self.counts, vec![1.0; self.codes]);
        Ok(())
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, _: Progress) {
        let [counts, sums, candidates] = &self.names;
        let (Some(n), Some(new), Some(candidates)) =
            (kept.sum(counts), kept.sum(sums), kept.first(candidates))
        else {
            return;
        };
        let width = self.layout.width;
        let towards = |old: Tensor<1>, new: Tensor<1>| old * self.decay + new * (1.0 - self.decay);
        let flat = |weights: &Weights, id| weights.get::<2>(id).reshape([self.codes * width]);
        let mut n = host(&towards(weights.get::<1>(self.counts), n));
        let mut m = host(&towards(flat(weights, self.sums), new));
        let candidates = host(&candidates);
        for (code, count) in n.iter_mut().enumerate() {
            if f64::from(*count) < self.revive {
                let vector = code * width..(code + 1) * width;
                m[vector.clone()].copy_from_slice(&candidates[vector]);
                *count = 1.0;
            }
        }
        let book = m.iter().enumerate().map(|(place, m)| m / n[place / width].max(LEAST_COUNT as f32));
        weights.set_values(self.book, book.collect());
        weights.set_values(self.sums, m);
        weights.set_values(self.counts, n);
    }
}
