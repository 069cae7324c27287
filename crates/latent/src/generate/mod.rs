//! A trained model at work: samples, codes, reconstructions, ways through the space between.
//!
//! `Model::load(path)?.sample(16, key)?` is all that a program needs. Everything here takes and gives host numbers, a
//! part at a time so that memory stays flat, and is a function of its key.
//!
//! ```text
//! here       what a Model does: sample, encode, decode, reconstruct, score; opening data as it knows it
//! told       what a conditional model is told of each row
//! samples    what a model gives, in the model's units and in the user's
//! onnx       encoder and decoder as graphs that other runtimes run
//! columns    mixed columns: rows that meet conditions, gaps filled in, cells that surprise
//! conditions what rows of a table shall be
//! paths      interpolation and traversal
//! edit       directions between groups of rows, and rows moved along them
//! attribute  directions toward a number or a word that rows say
//! spread     where codes are, and how far out one lies
//! variations draws about one row
//! survey     what it makes of rows: codes, rate, distortion, error in one pass
//! sampler/   p̂(z) fitted on codes, and drawn from in the prior's place
//! ```

mod attribute;
pub mod columns;
mod conditions;
mod edit;
mod error;
mod onnx;
mod paths;
pub mod sampler;
mod samples;
mod spread;
mod survey;
mod told;
mod variations;

use std::ops::Range;

use burn::tensor::Tensor;

pub use attribute::Said;
pub use conditions::{Condition, Wanted};
pub use edit::{Direction, Edits, strengths};
pub use error::{GenerateError, Result};
pub use paths::{Path, Traversed, interpolate, interpolate_pairs, traverse};
pub use sampler::SamplerError;
pub use samples::{Pictures, Samples};
pub use spread::{EDGE, Place, Spread};
pub use survey::Survey;
pub use told::Told;
pub(crate) use told::given;

use crate::array::Array;
use crate::batch::{Batch, Latent, Noise, Support};
use crate::data::{Data, DataError, DataSettings, Memory, Rows, SampleShape, Split};
use crate::device::{host, host_into};
use crate::key::Key;
use crate::model::{BaseMeasure, Model, ModelError, Score, score, score_under};
use sampler::{FittedSampler, How};

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
    /// New samples: z from the prior, then what [`Observe`] says of p(x|z): the mean for images, a draw for tables. Conditions
    /// are drawn as the training rows had them.
    ///
    /// # Errors
    /// A model that is told a number, which nobody gave: [`Model::sample_told`] takes it.
    pub fn sample(&self, count: usize, key: Key) -> Result<Samples> {
        self.sample_as(count, self.observe(), key)
    }

    /// New samples, with a choice of what is shown.
    ///
    /// # Errors
    /// As [`Model::sample`].
    pub fn sample_as(&self, count: usize, observe: Observe, key: Key) -> Result<Samples> {
        self.sample_told(&self.told(count, key)?, observe, key)
    }

    /// New samples, one for each row that is told of.
    ///
    /// # Errors
    /// [`ModelError::Shape`] where a row isn't told what the model wants.
    pub fn sample_told(&self, told: &Told, observe: Observe, key: Key) -> Result<Samples> {
        self.decode_told(&self.prior_codes_told(told, key)?, told, observe, key)
    }

    /// New samples whose codes a fitted sampler draws: its codes for `how`, then what `observe` says of p(x|z).
    ///
    /// # Errors
    /// [`SamplerError::Request`] for what the sampler cannot give.
    pub fn sample_with(
        &self,
        sampler: &FittedSampler,
        told: &Told,
        how: &How,
        observe: Observe,
        key: Key,
    ) -> Result<Samples> {
        self.decode_told(&sampler.draw_told(self, told, how, key)?, told, observe, key)
    }

    /// Conditions of new samples, drawn as the training rows had them; nothing for a model without conditions.
    ///
    /// # Errors
    /// As [`Model::sample`].
    pub fn told(&self, count: usize, key: Key) -> Result<Told> {
        Told::drawn(&self.facts, &[], count, key)
    }

    /// Codes drawn from the prior, `count × dims`.
    ///
    /// # Errors
    /// As [`Model::sample`].
    pub fn prior_codes(&self, count: usize, key: Key) -> Result<Array> {
        self.prior_codes_told(&self.told(count, key)?, key)
    }

    /// The same for rows that are told of.
    ///
    /// # Errors
    /// As [`Model::sample_told`].
    pub fn prior_codes_told(&self, told: &Told, key: Key) -> Result<Array> {
        self.check_told(told, told.rows())?;
        let ids: Vec<u64> = (0..told.rows() as u64).collect();
        let (view, device, dims) = (self.view(), self.weights.device(), self.dims());
        let key = key.fold("prior");
        let values = self.fill(ids.len(), dims, |rows| {
            let (ids, told) = (&ids[rows.clone()], told.tensor(rows, device));
            view.prior(given(ids, &told)).draw(1, Noise::new(key, ids)).z.z
        });
        Ok(Array::matrix(values, dims))
    }

    /// The means of p(x|z) at these codes, `rows × dims`, of a model without conditions.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for codes of another width, or where rows aren't told what the model wants.
    pub fn decode(&self, codes: &Array) -> Result<Samples> {
        self.decode_as(codes, Observe::Mean, Key::from_seed(0))
    }

    /// p(x|z) at these codes, of a model without conditions.
    ///
    /// # Errors
    /// As [`Model::decode`].
    pub fn decode_as(&self, codes: &Array, observe: Observe, key: Key) -> Result<Samples> {
        self.decode_told(codes, &Told::nothing(codes.rows()), observe, key)
    }

    /// p(x|z) at these codes of rows that are told of.
    ///
    /// # Errors
    /// As [`Model::decode`].
    pub fn decode_told(&self, codes: &Array, told: &Told, observe: Observe, key: Key) -> Result<Samples> {
        let dims = self.dims();
        if codes.width() != dims {
            return Err(ModelError::Shape {
                what: "codes".into(),
                found: codes.width(),
                wanted: dims,
                remedy: "give the codes that `latent encode` writes for this model".into(),
            }
            .into());
        }
        self.check_told(told, codes.rows())?;
        let (view, device) = (self.view(), self.weights.device());
        let likelihood = &self.functions.likelihood;
        let ids: Vec<u64> = (0..codes.rows() as u64).collect();
        let x = self.fill(ids.len(), self.functions.sample.features(), |rows| {
            let (ids, told) = (&ids[rows.clone()], told.tensor(rows.clone(), device));
            let z = codes.values[rows.start * dims..rows.end * dims].to_vec();
            let z = Latent::new(device.tensor(z, [ids.len(), dims]));
            let outputs = view.decode(&z, given(ids, &told));
            match observe {
                Observe::Mean => likelihood.mean(&view, outputs),
                Observe::Draw => likelihood.draw(&view, outputs, Noise::new(key.fold("likelihood"), ids)),
            }
        });
        Ok(Samples::new(x, &self.facts))
    }

    /// Whether each of `rows` rows is told what the model wants.
    fn check_told(&self, told: &Told, rows: usize) -> Result<()> {
        let wrong = |what: &str, found: usize, wanted: usize| ModelError::Shape {
            what: what.into(),
            found,
            wanted,
            remedy: "give what the model is told of each row: --condition NAME=VALUE, or Told".into(),
        };
        if told.width() != self.functions.condition {
            return Err(wrong("conditions", told.width(), self.functions.condition).into());
        }
        if told.rows() != rows {
            return Err(wrong("rows that are told of", told.rows(), rows).into());
        }
        Ok(())
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

    /// The code in the middle of the prior.
    pub fn middle(&self) -> Vec<f32> {
        let blank = self.view().blank();
        host(&self.view().prior(blank.given()).centre().z)
    }

    /// Each of `dims` on its way through what its block takes: [`Traversed::new`].
    pub fn traversal_values(&self, dims: &[usize], steps: usize, reach: f64) -> Vec<Traversed> {
        dims.iter().map(|&dim| Traversed::new(&self.functions.latent, dim, steps, reach)).collect()
    }

    /// Where q(z|x) is for each row, and how wide.
    ///
    /// # Errors
    /// [`ModelError::Shape`] for rows of another width, or that don't say what the model is told.
    pub fn encode(&self, rows: &Rows) -> Result<Codes> {
        let dims = self.dims();
        self.check_rows(rows)?;
        let view = self.view();
        let spread = view.encode(&view.blank()).deviation().is_some();
        // The mean, and beside it the deviation.
        let width = if spread { 2 * dims } else { dims };
        let codes = self.fill(rows.len(), width, |part| {
            let q = view.encode(&self.batch(rows, part));
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

    /// One draw of q(z|x) for each row; the code itself where q is a point.
    ///
    /// # Errors
    /// As [`Model::encode`].
    pub fn draw_codes(&self, rows: &Rows, key: Key) -> Result<Array> {
        let mut values = Vec::with_capacity(rows.len() * self.dims());
        self.parts(rows, |batch| -> Result<()> {
            values.extend(host(&self.view().encode(batch).draw(1, Noise::new(key, &batch.ids)).z.z));
            Ok(())
        })?;
        Ok(Array::matrix(values, self.dims()))
    }

    /// g(f(x)): the mean of p(x|z) at the centre of q(z|x).
    ///
    /// # Errors
    /// As [`Model::encode`].
    pub fn reconstruct(&self, rows: &Rows) -> Result<Samples> {
        self.reconstruct_as(rows, &Told::of(rows))
    }

    /// The same, decoded as rows that are `told` something else than these are: each row as if it were that.
    ///
    /// # Errors
    /// As [`Model::encode`], and [`ModelError::Shape`] where `told` is not what the model wants.
    pub fn reconstruct_as(&self, rows: &Rows, told: &Told) -> Result<Samples> {
        let codes = self.encode(rows)?.mean;
        self.decode_told(&codes, told, Observe::Mean, Key::from_seed(0))
    }

    /// log p of each row by importance sampling with `k` draws, of the values in the units of the model's files
    /// ([`Model::log_scale`]).
    ///
    /// # Errors
    /// A point posterior, or rows that are not what the model knows.
    pub fn score(&self, rows: &Rows, k: usize, key: Key) -> Result<Vec<Score>> {
        let mut scores = Vec::with_capacity(rows.len());
        self.parts(rows, |batch| -> Result<()> {
            scores.extend(score(&self.view(), batch, k, key.fold("score"))?);
            Ok(())
        })?;
        Ok(self.in_units_of_files(scores))
    }

    fn in_units_of_files(&self, scores: Vec<Score>) -> Vec<Score> {
        let scale = self.log_scale();
        let lessened = |score: Score| Score { log_p_lower: score.log_p_lower - scale, ..score };
        scores.into_iter().map(lessened).collect()
    }

    /// log p of each row by importance sampling with `k` draws, under a fitted sampler in the prior's place: of another
    /// model, whose p(z) is that sampler.
    ///
    /// # Errors
    /// [`SamplerError::NoDensity`] for a sampler without a density.
    pub fn score_with(&self, sampler: &FittedSampler, rows: &Rows, k: usize, key: Key) -> Result<Vec<Score>> {
        if sampler.kind() == "prior" {
            return self.score(rows, k, key);
        }
        if sampler.log_density(self, &vec![0.5; self.dims()]).is_none() {
            let remedy = match self.functions.latent.support() {
                Some(Support::Index(_)) => "the prior, or autoregressive",
                Some(Support::Bits) => "the prior, autoregressive-bits or autoregressive",
                Some(Support::Reals | Support::UnitInterval) => {
                    "the prior, gaussian-mixture, kernel-density, maf or real-nvp"
                }
                None => "the prior: blocks of several kinds have no other density",
            };
            return Err(
                SamplerError::NoDensity { sampler: sampler.kind().into(), remedy: remedy.into() }.into()
            );
        }
        let log_prior = |z: &Latent| {
            let values = sampler.log_density(self, &host(&z.z))?;
            let rows = values.len();
            Some(self.weights.device().tensor_f64(values, [rows]))
        };
        let mut scores = Vec::with_capacity(rows.len());
        self.parts(rows, |batch| -> Result<()> {
            scores.extend(score_under(&self.view(), batch, k, key.fold("score"), &log_prior)?);
            Ok(())
        })?;
        Ok(self.in_units_of_files(scores))
    }

    /// −log p(x|z) at the centre of q(z|x), in nats a row, of the values in the units of the model's files: what a model
    /// without a density can say.
    ///
    /// # Errors
    /// Rows that are not what the model knows.
    pub fn distortion(&self, rows: &Rows) -> Result<Vec<f64>> {
        let (mut all, scale) = (Vec::with_capacity(rows.len()), self.log_scale());
        self.parts(rows, |batch| -> Result<()> {
            let view = self.view();
            let z = view.encode(batch).centre();
            let log_p: Tensor<1> = view.log_likelihood(batch, &z);
            all.extend(crate::device::host_f64(&log_p).into_iter().map(|v| scale - v));
            Ok(())
        })?;
        Ok(all)
    }

    /// Why there is no log p(x) to score rows with; none where there is one.
    pub fn lacks_density(&self) -> Option<&'static str> {
        if !self.functions.posterior.has_density() {
            return Some("the posterior is a point, so the model has no density");
        }
        let is_density = self.functions.likelihood.measure() != BaseMeasure::None;
        (!is_density).then_some("a Bernoulli cross-entropy on grey values is no density")
    }

    /// What is shown of p(x|z) unless asked otherwise.
    pub fn observe(&self) -> Observe {
        match self.functions.sample {
            SampleShape::Image { .. } => Observe::Mean,
            SampleShape::Vector { .. } => Observe::Draw,
        }
    }

    /// Passes rows through `each`, a part at a time.
    pub(crate) fn parts<E: From<ModelError>>(
        &self,
        rows: &Rows,
        mut each: impl FnMut(&Batch) -> Result<(), E>,
    ) -> Result<(), E> {
        self.check_rows(rows)?;
        (0..rows.len())
            .step_by(PART)
            .try_for_each(|start| each(&self.batch(rows, start..(start + PART).min(rows.len()))))
    }

    /// Some of the rows on the device, without their labels.
    pub(crate) fn batch(&self, rows: &Rows, range: Range<usize>) -> Batch {
        let n = rows.len().max(1);
        let cut = |values: &[f32]| {
            let width = values.len() / n;
            values[range.start * width..range.end * width].to_vec()
        };
        let part = Rows {
            x: cut(&rows.x),
            ids: rows.ids[range.clone()].to_vec(),
            content: rows.content.get(range.clone()).unwrap_or_default().to_vec(),
            labels: Vec::new(),
            condition: cut(&rows.condition),
            mask: cut(&rows.mask),
            weight: cut(&rows.weight),
        };
        Batch::new(part, self.functions.sample.features(), self.weights.device())
    }

    /// Refuses rows that have not as many numbers as the model wants, of x or of what it is told.
    fn check_rows(&self, rows: &Rows) -> Result<(), ModelError> {
        let n = rows.len();
        let wanted = [
            ("rows", rows.x.len(), self.functions.sample.features()),
            ("conditions of rows", rows.condition.len(), self.functions.condition),
        ];
        match wanted.into_iter().find(|(_, found, width)| *found != n * width) {
            None => Ok(()),
            Some((what, found, wanted)) => Err(ModelError::Shape {
                what: what.into(),
                found: found / n.max(1),
                wanted,
                remedy: "open the data with Data::open_for and the model's facts".into(),
            }),
        }
    }

    /// Opens data as this model's own was: same shape, size, normalisation.
    ///
    /// # Errors
    /// What cannot be read, or is not such data.
    pub fn open(&self, source: &str, note: &mut dyn FnMut(String)) -> Result<Data> {
        self.open_told(source, &[], note)
    }

    /// The same, where rows that don't say what the model is told are told `given`, such as `("label", "Trouser")`.
    ///
    /// # Errors
    /// As [`Model::open`]; and an unknown name or value.
    pub fn open_told(
        &self,
        source: &str,
        given: &[(String, String)],
        note: &mut dyn FnMut(String),
    ) -> Result<Data> {
        let settings = DataSettings { source: source.into(), ..self.data.clone() };
        let opened = Data::open_told_for(&self.facts, &settings, given, Key::from_seed(self.seed), note);
        Ok(opened.map_err(|error| error.for_model(std::path::Path::new(source)))?)
    }

    /// Opens the data that the model was trained on, with its splits.
    ///
    /// # Errors
    /// What cannot be read: the data may have moved; [`DataError::Mismatch`] where it has other columns now.
    pub fn open_own(&self, note: &mut dyn FnMut(String)) -> Result<Data> {
        let data = Data::open_again(&self.facts, &self.data, Key::from_seed(self.seed), note)?;
        let now = data.facts();
        if (now.shape, &now.columns) != (self.facts.shape, &self.facts.columns) {
            let what = "it has changed since the model was trained on it, and its rows have another shape";
            return Err(DataError::mismatch(self.data.source.as_ref(), what, "give back the old data").into());
        }
        Ok(data)
    }

    /// Rows that a program holds, in their order, as the model sees them: values are in the units of its training data.
    ///
    /// # Errors
    /// Rows of another shape or range than the model's, or that don't say what it is told.
    pub fn rows(&self, memory: Memory) -> Result<Rows> {
        let data = Data::memory_for(&self.facts, memory, &self.data, Key::from_seed(self.seed), &mut |_| {})?;
        first_rows(&data, Split::Test, data.len(Split::Test))
    }
}

/// The first `count` rows of a split, in the order of the files.
///
/// # Errors
/// What reading them says.
pub fn first_rows(data: &Data, split: Split, count: usize) -> Result<Rows> {
    let positions: Vec<usize> = (0..data.len(split).min(count)).collect();
    Ok(data.rows(split, &positions, 0)?)
}

/// `count` rows of a split in a keyed order: files are often sorted by class, so the first rows would be of one.
///
/// # Errors
/// What reading them says.
pub fn some_rows(data: &Data, split: Split, count: usize, key: Key) -> Result<Rows> {
    let mut positions = key.fold("some rows").permutation(data.len(split));
    positions.truncate(count);
    Ok(data.rows(split, &positions, 0)?)
}

/// The conditions of `count` rows of a split in a keyed order, over and over where there are fewer: what samples that are
/// to be compared with such rows are told. No row is read for a model without conditions.
///
/// # Errors
/// What reading the rows says.
pub fn told_as(model: &Model, data: &Data, split: Split, count: usize, key: Key) -> Result<Told> {
    if model.functions.condition == 0 {
        return Ok(Told::nothing(count));
    }
    let rows = some_rows(data, split, count, key.fold("told"))?;
    let order: Vec<usize> = (0..count).map(|row| row % rows.len().max(1)).collect();
    Ok(Told::of(&rows).select(&order))
}
