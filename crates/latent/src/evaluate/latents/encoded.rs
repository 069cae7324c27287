//! What the encoder makes of the held-out rows: q(z|x) of each, its centre and width, a draw, and its rate.

use std::time::Instant;

use crate::array::Array;
use crate::batch::{Batch, Noise};
use crate::data::Rows;
use crate::density::Density;
use crate::device::{host, host_f64};
use crate::error::Result;
use crate::evaluate::Subject;
use crate::generate::{Codes, Told};
use crate::model::Rate;

/// Rows that go through the encoder at once.
const PART: usize = 256;

/// However little time there is, so many rows are read.
const LEAST: usize = 1024;

/// Held-out rows in a keyed order: any first part of them is a random sample.
pub struct Encoded {
    /// The identity of each row.
    pub ids: Vec<u64>,
    /// The class of each row; empty without labels.
    pub labels: Vec<u32>,
    /// What the model is told of each row.
    pub told: Told,
    /// Where q(z|x) is, and how wide.
    pub codes: Codes,
    /// One draw of each q, `rows × dims`: together the aggregate posterior.
    pub draws: Array,
    /// q(z|x) of the rows, some hundred at a time.
    pub posteriors: Vec<Box<dyn Density>>,
    /// KL(q‖p) of each row; empty where q has no density.
    pub rate: Vec<f64>,
    /// The same split over dimensions, `rows × dims`; empty where it doesn't split.
    pub rate_per_dimension: Vec<f64>,
}

impl Encoded {
    /// Encodes as many held-out rows as a quarter of the time allows, 1,024 at least where there are so many.
    ///
    /// # Errors
    /// What reading rows says.
    pub fn of(subject: &Subject) -> Result<Self> {
        let (data, split) = subject.held_out;
        let model = subject.model;
        let (view, dims) = (model.view(), model.functions.latent.dims());
        let features = model.functions.sample.features();
        let key = subject.key.fold("latents");
        let order = key.fold("rows").permutation(data.len(split));
        let empty = || Array::matrix(Vec::new(), dims);
        let mut all = Self {
            ids: Vec::new(),
            labels: Vec::new(),
            told: Told::default(),
            codes: Codes { mean: empty(), deviation: None },
            draws: empty(),
            posteriors: Vec::new(),
            rate: Vec::new(),
            rate_per_dimension: Vec::new(),
        };
        let (mut mean, mut deviation, mut draws) = (Vec::new(), Vec::new(), Vec::new());
        let mut told = Rows::default();
        let begun = Instant::now();
        for part in order.chunks(PART) {
            let spent = begun.elapsed().as_secs_f64();
            if all.ids.len() >= LEAST && subject.seconds.is_some_and(|seconds| spent > 0.25 * seconds) {
                break;
            }
            (subject.progress)("encoding", all.ids.len() as f64 / order.len() as f64);
            let rows = data.rows(split, part, 0)?;
            all.labels.extend(&rows.labels);
            told.ids.extend(&rows.ids);
            told.condition.extend(&rows.condition);
            let batch = Batch::new(rows, features, model.weights.device());
            let (q, prior) = (view.encode(&batch), view.prior(batch.given()));
            let draw = q.draw(1, Noise::new(key.fold("draw"), &batch.ids));
            if let Some(rate) = Rate::new(q.as_ref(), prior.as_ref(), &draw, 1) {
                all.rate.extend(host_f64(&rate.total));
                all.rate_per_dimension.extend(rate.per_dimension.iter().flat_map(host_f64));
            }
            mean.extend(host(&q.centre().z));
            deviation.extend(q.deviation().iter().flat_map(host));
            draws.extend(host(&draw.z.z));
            all.ids.extend(&batch.ids);
            all.posteriors.push(q);
        }
        all.codes.mean = Array::matrix(mean, dims);
        all.codes.deviation = (!deviation.is_empty()).then(|| Array::matrix(deviation, dims));
        all.draws = Array::matrix(draws, dims);
        all.told = Told::of(&told);
        Ok(all)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }
}

/// The first `count` rows of a matrix.
pub fn first(array: &Array, count: usize) -> Array {
    let (count, width) = (count.min(array.rows()), array.width());
    Array::matrix(array.values[..count * width].to_vec(), width)
}
