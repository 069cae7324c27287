//! A trained model at work: samples, codes, reconstructions, ways through the space between.
//!
//! `Model::load(path)?.sample(16, key)?` is all that a program needs. Everything here takes and gives host numbers, a
//! part at a time so that memory stays flat, and is a function of its key.

mod paths;
pub mod sampler;
mod samples;

use std::ops::Range;

use burn::tensor::Tensor;

pub use paths::{Path, interpolate, traverse};
pub use samples::{Pictures, Samples};

use crate::array::Array;
use crate::batch::{Batch, Latent, Noise, Support};
use crate::data::{Data, Rows, SampleShape, Split};
use crate::device::{host, host_into};
use crate::error::Result;
use crate::key::Key;
use crate::model::{ModelError, Score, score, score_under};
use crate::store::Model;
use sampler::{FittedSampler, How, SamplerError};

/// What is shown of p(x|z).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observe {
    /// Its mean: what pictures look best as.
    Mean,
    /// A draw: as noisy as the data, what tables need.
    Draw,
}

/// Codes of rows: where q(z|x) is and how wide.
#[derive(Clone, Debug, PartialEq)]
pub struct Codes {
    /// The mean, `rows × dims` (the likelier value of bits).
    pub mean: Array,
    /// The standard deviation, `rows × dims`, where q has one.
    pub deviation: Option<Array>,
}

/// Rows that go through a network at once.
const PART: usize = 256;

impl Model {
    /// New samples: z from the prior, then what [`Observe`] says of p(x|z): the mean for images, a draw for tables.
    pub fn sample(&self, count: usize, key: Key) -> Result<Samples> {
        self.sample_as(count, self.observe(), key)
    }

    /// New samples, with a choice of what is shown.
    pub fn sample_as(&self, count: usize, observe: Observe, key: Key) -> Result<Samples> {
        let codes = self.prior_codes(count, key);
        self.decode_as(&codes, observe, key)
    }

    /// New samples whose codes a fitted sampler draws: its codes for `how`, then what `observe` says of p(x|z).
    ///
    /// # Errors
    /// [`SamplerError::Request`] for what the sampler cannot give.
    pub fn sample_with(
        &self,
        sampler: &FittedSampler,
        count: usize,
        how: &How,
        observe: Observe,
        key: Key,
    ) -> Result<Samples> {
        let codes = sampler.draw(self, count, how, key)?;
        self.decode_as(&codes, observe, key)
    }

    /// Codes drawn from the prior, `count × dims`.
    pub fn prior_codes(&self, count: usize, key: Key) -> Array {
        let ids: Vec<u64> = (0..count as u64).collect();
        let prior = self.view().prior();
        let dims = self.model.latent.dims();
        let values =
            self.fill(count, dims, |rows| prior.draw(1, Noise::new(key.fold("prior"), &ids[rows])).z);
        Array::matrix(values, dims)
    }

    /// The means of p(x|z) at these codes, `rows × dims`.
    pub fn decode(&self, codes: &Array) -> Result<Samples> {
        self.decode_as(codes, Observe::Mean, Key::from_seed(0))
    }

    /// p(x|z) at these codes.
    pub fn decode_as(&self, codes: &Array, observe: Observe, key: Key) -> Result<Samples> {
        let dims = self.model.latent.dims();
        if codes.width() != dims {
            return Err(ModelError::Shape {
                what: "codes".into(),
                found: codes.width(),
                wanted: dims,
                remedy: "give the codes that `latent encode` writes for this model".into(),
            }
            .into());
        }
        let view = self.view();
        let ids: Vec<u64> = (0..codes.rows() as u64).collect();
        let x = self.fill(ids.len(), self.model.sample.features(), |rows| {
            let ids = &ids[rows.clone()];
            let z = codes.values[rows.start * dims..rows.end * dims].to_vec();
            let outputs = view.decode(&Latent::new(self.weights.device().tensor(z, [ids.len(), dims])));
            match observe {
                Observe::Mean => self.model.likelihood.mean(&view, outputs),
                Observe::Draw => {
                    self.model.likelihood.draw(&view, outputs, Noise::new(key.fold("likelihood"), ids))
                }
            }
        });
        Ok(Samples::new(x, &self.run.facts))
    }

    /// The rows that `work` makes, `width` numbers each, a part at a time. On the processor each thread takes whole parts:
    /// none waits for another between the layers of a network.
    fn fill(&self, rows: usize, width: usize, work: impl Fn(Range<usize>) -> Tensor<2> + Sync) -> Vec<f32> {
        let mut values = vec![0.0; rows * width];
        let part = |index: usize, out: &mut [f32]| {
            host_into(work(index * PART..index * PART + out.len() / width), out);
        };
        if self.weights.device().is_cpu() {
            latent_kernels::each_chunk(&mut values, PART * width, part);
        } else {
            values.chunks_mut(PART * width).enumerate().for_each(|(index, out)| part(index, out));
        }
        values
    }

    /// The middle of the prior, and `steps` values that one dimension takes on its way through it: `±reach` on the reals,
    /// from 0 to 1 on the unit interval, 0 and 1 for bits.
    pub fn traversal_values(&self, steps: usize, reach: f64) -> (Vec<f32>, Vec<f64>) {
        let spread = |from: f64, to: f64| {
            (0..steps).map(|i| from + (to - from) * i as f64 / (steps.max(2) - 1) as f64).collect()
        };
        let values = match self.model.latent.blocks.first().map(|block| block.support) {
            Some(Support::Bits) => vec![0.0, 1.0],
            Some(Support::UnitInterval) => spread(0.0, 1.0),
            Some(Support::Reals) | None => spread(-reach, reach),
        };
        (host(&self.view().prior().centre().z), values)
    }

    /// Where q(z|x) is for each row, and how wide.
    pub fn encode(&self, rows: &Rows) -> Result<Codes> {
        let dims = self.model.latent.dims();
        let features = self.features_of(rows)?;
        let (view, device) = (self.view(), self.weights.device());
        let spread = view.encode(device.tensor(vec![0.0; features], [1, features])).deviation().is_some();
        // The mean, and beside it the deviation.
        let width = if spread { 2 * dims } else { dims };
        let codes = self.fill(rows.len(), width, |part| {
            let x = rows.x[part.start * features..part.end * features].to_vec();
            let q = view.encode(device.tensor(x, [part.len(), features]));
            let mean = q.centre().z;
            match q.deviation() {
                Some(deviation) => Tensor::cat(vec![mean, deviation], 1),
                None => mean,
            }
        });
        let half = |from: usize| {
            let rows = codes.chunks_exact(width);
            Array::matrix(rows.flat_map(|row| &row[from..from + dims]).copied().collect(), dims)
        };
        Ok(Codes { mean: half(0), deviation: spread.then(|| half(dims)) })
    }

    /// g(f(x)): the mean of p(x|z) at the centre of q(z|x).
    pub fn reconstruct(&self, rows: &Rows) -> Result<Samples> {
        self.decode(&self.encode(rows)?.mean)
    }

    /// log p(x) of each row by importance sampling with `k` draws.
    pub fn score(&self, rows: &Rows, k: usize, key: Key) -> Result<Vec<Score>> {
        let mut scores = Vec::with_capacity(rows.len());
        self.parts(rows, |batch| {
            scores.extend(score(&self.view(), batch, k, key.fold("score"))?);
            Ok(())
        })?;
        Ok(scores)
    }

    /// log p(x) of each row by importance sampling with `k` draws, under a fitted sampler in the prior's place: of another
    /// model, whose p(z) is that sampler.
    ///
    /// # Errors
    /// [`SamplerError::NoDensity`] for a sampler without a density.
    pub fn score_with(&self, sampler: &FittedSampler, rows: &Rows, k: usize, key: Key) -> Result<Vec<Score>> {
        if sampler.kind() == "prior" {
            return self.score(rows, k, key);
        }
        if sampler.log_density(self, &vec![0.5; self.model.latent.dims()]).is_none() {
            return Err(SamplerError::NoDensity { sampler: sampler.kind().into() }.into());
        }
        let log_prior = |z: &Latent| {
            let values = sampler.log_density(self, &host(&z.z))?;
            let rows = values.len();
            Some(self.weights.device().tensor_f64(values, [rows]))
        };
        let mut scores = Vec::with_capacity(rows.len());
        self.parts(rows, |batch| {
            scores.extend(score_under(&self.view(), batch, k, key.fold("score"), &log_prior)?);
            Ok(())
        })?;
        Ok(scores)
    }

    /// −log p(x|z) at the centre of q(z|x), in nats a row: what a model without a density can say.
    pub fn distortion(&self, rows: &Rows) -> Result<Vec<f64>> {
        let mut all = Vec::with_capacity(rows.len());
        self.parts(rows, |batch| {
            let view = self.view();
            let z = view.encode(batch.x.clone()).centre();
            let log_p: Tensor<1> = view.log_likelihood(&batch.x, &z);
            all.extend(crate::device::host_f64(&log_p).into_iter().map(|v| -v));
            Ok(())
        })?;
        Ok(all)
    }

    /// What is shown of p(x|z) unless asked otherwise.
    pub fn observe(&self) -> Observe {
        match self.model.sample {
            SampleShape::Image { .. } => Observe::Mean,
            SampleShape::Vector { .. } => Observe::Draw,
        }
    }

    /// Passes rows through `each`, a part at a time.
    pub(crate) fn parts(&self, rows: &Rows, mut each: impl FnMut(&Batch) -> Result<()>) -> Result<()> {
        let features = self.features_of(rows)?;
        for (ids, x) in rows.ids.chunks(PART).zip(rows.x.chunks(PART * features)) {
            let part = Rows { x: x.to_vec(), ids: ids.to_vec(), labels: Vec::new() };
            each(&Batch::new(part, features, self.weights.device()))?;
        }
        Ok(())
    }

    /// How many numbers a row has; an error where these rows have not as many.
    fn features_of(&self, rows: &Rows) -> Result<usize> {
        let features = self.model.sample.features();
        if rows.x.len() == rows.len() * features {
            return Ok(features);
        }
        Err(ModelError::Shape {
            what: "rows".into(),
            found: rows.x.len() / rows.len().max(1),
            wanted: features,
            remedy: "open the data with Data::open_for and the model's facts".into(),
        }
        .into())
    }

    /// Opens data as this model's own was: same shape, size, normalisation.
    pub fn open(&self, source: &str, note: &mut dyn FnMut(String)) -> Result<Data> {
        let mut settings = self.run.data.clone();
        settings.source = source.into();
        Ok(Data::open_for(&self.run.facts, &settings, Key::from_seed(self.run.seed), note)?)
    }

    /// Opens the data that the model was trained on, with its splits.
    pub fn open_own(&self, note: &mut dyn FnMut(String)) -> Result<Data> {
        Ok(Data::open(&self.run.data, Key::from_seed(self.run.seed), note)?)
    }
}

/// The first `count` rows of a split, in the order of the files.
pub fn first_rows(data: &Data, split: Split, count: usize) -> Result<Rows> {
    let positions: Vec<usize> = (0..data.len(split).min(count)).collect();
    Ok(data.rows(split, &positions, 0)?)
}

/// `count` rows of a split in a keyed order: files are often sorted by class, so the first rows would be of one.
pub fn some_rows(data: &Data, split: Split, count: usize, key: Key) -> Result<Rows> {
    let mut positions = key.fold("some rows").permutation(data.len(split));
    positions.truncate(count);
    Ok(data.rows(split, &positions, 0)?)
}
