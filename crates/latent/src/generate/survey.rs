//! What a model makes of rows, all at once: where each lies, what it costs, how well it comes back.
//!
//! ```text
//! rate_d = KL(q(z_d|x) ‖ p(z_d))    distortion = −ln p(x|z)    error = mean (x − E[x|z])²,  z the centre of q(z|x)
//! ```
//!
//! One pass through encoder and decoder a row: what maps and tables of rows are made from.

use burn::tensor::Tensor;

use super::{Codes, Model, Result, Told, given};
use crate::array::Array;
use crate::batch::{Latent, Noise};
use crate::data::Rows;
use crate::key::Key;
use crate::model::Rate;

/// What a model makes of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Survey {
    /// Where q(z|x) is, and how wide.
    pub codes: Codes,
    /// The rate of each row in nats: `rows × dims` where it splits over dimensions, else `rows × 1`; none where the posterior
    /// is a point.
    pub rate: Option<Array>,
    /// −ln p(x|z) at the centre of q(z|x) in nats, of the values in the units of the model's files.
    pub distortion: Vec<f32>,
    /// The mean over features of the squared difference between x and E[x|z], as the model sees them.
    pub error: Vec<f32>,
}

impl Model {
    /// Codes, rate, distortion and reconstruction error of each row. A rate without a closed form is one draw's, keyed by
    /// `key` and the row.
    ///
    /// # Errors
    /// As [`Model::encode`].
    pub fn survey(&self, rows: &Rows, key: Key) -> Result<Survey> {
        self.check_rows(rows)?;
        let (view, dims) = (self.view(), self.dims());
        let blank = view.blank();
        let q = view.encode(&blank);
        let has_spread = q.deviation().is_some();
        let draw = q.draw(1, Noise::new(key, &blank.ids));
        let rate = Rate::new(q.as_ref(), view.prior(blank.given()).as_ref(), &draw, 1);
        let rates = rate.map_or(0, |rate| if rate.per_dimension.is_some() { dims } else { 1 });
        let spread = if has_spread { dims } else { 0 };
        // Mean, deviation, rates, distortion, error.
        let width = dims + spread + rates + 2;
        let scale = self.log_scale() as f32;
        let values = self.fill(rows.len(), width, |part| {
            let batch = self.batch(rows, part);
            let q = view.encode(&batch);
            let mean = q.centre().z;
            let mut columns = vec![mean.clone()];
            columns.extend(q.deviation().filter(|_| has_spread));
            if rates > 0 {
                let draw = q.draw(1, batch.noise(key));
                let n = batch.len();
                let rate = Rate::new(q.as_ref(), view.prior(batch.given()).as_ref(), &draw, 1);
                columns.push(match rate {
                    Some(rate) => rate.per_dimension.unwrap_or_else(|| rate.total.reshape([n, 1])),
                    None => Tensor::full([n, rates], f32::NAN, &batch.x.device()),
                });
            }
            let outputs = view.decode(&Latent::new(mean), batch.given());
            let likelihood = &self.functions.likelihood;
            let log_p = likelihood.log_density(&view, outputs.clone(), &batch);
            columns.push((-log_p + scale).reshape([batch.len(), 1]));
            let difference = likelihood.mean(&view, outputs) - batch.x.clone();
            columns.push((difference.clone() * difference).mean_dim(1));
            Tensor::cat(columns, 1)
        });
        let pick = |from: usize, count: usize| -> Vec<f32> {
            values.chunks_exact(width).flat_map(|row| row[from..from + count].iter().copied()).collect()
        };
        let after = dims + spread;
        Ok(Survey {
            codes: Codes {
                mean: Array::matrix(pick(0, dims), dims),
                deviation: has_spread.then(|| Array::matrix(pick(dims, dims), dims)),
            },
            rate: (rates > 0).then(|| Array::matrix(pick(after, rates), rates)),
            distortion: pick(after + rates, 1),
            error: pick(after + rates + 1, 1),
        })
    }

    /// ln w = ln p(x|z) + ln p(z) − ln q(z|x) of draws `first`, `first + 1`, … from q(z|x) of one row, and ln p(x|z) of as
    /// many from the prior, in nats of the values in the units of the model's files. The logarithm of the mean of either's
    /// exponentials estimates ln p(x): from the posterior with few draws, from the prior only with very many.
    ///
    /// # Errors
    /// A point posterior, or rows that are not what the model knows; other than one row gives an error of shape.
    pub fn log_weights_of(&self, row: &Rows, first: usize, draws: usize, key: Key) -> Result<[Vec<f64>; 2]> {
        self.check_rows(row)?;
        let (view, scale) = (self.view(), self.log_scale());
        let batch = self.batch(row, 0..row.len().min(1));
        let noise = |purpose: &str| Noise { first, ..batch.noise(key.fold(purpose)) };
        let (q, p) = (view.encode(&batch), view.prior(batch.given()));
        let (log_w, _) =
            crate::model::log_weights(&view, &batch, q.as_ref(), p.as_ref(), draws, noise("posterior"))?;
        let plain = view.log_likelihood(&batch, &p.draw(draws, noise("prior")).z);
        let host = |values: &Tensor<1>| -> Vec<f64> {
            crate::device::host_f64(values).into_iter().map(|v| v - scale).collect()
        };
        Ok([host(&log_w), host(&plain)])
    }

    /// ln p(z) of each of these codes in nats, for rows that are told of; none where the prior has no density.
    ///
    /// # Errors
    /// [`ModelError::Shape`](crate::model::ModelError::Shape) where rows aren't told what the model wants.
    pub fn log_prior(&self, codes: &Array, told: &Told) -> Result<Option<Vec<f64>>> {
        self.check_told(told, codes.rows())?;
        let device = self.weights.device();
        let ids: Vec<u64> = (0..codes.rows() as u64).collect();
        let told = told.tensor(0..codes.rows(), device);
        let z = Latent::new(device.tensor(codes.values.clone(), [codes.rows(), codes.width()]));
        let density = self.view().prior(given(&ids, &told)).log_density(&z);
        Ok(density.as_ref().map(crate::device::host_f64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Data, Split};
    use crate::device::Device;
    use crate::generate::first_rows;
    use crate::member::Registry;
    use crate::run::{Layers, resolve};

    #[test]
    fn a_survey_says_what_its_parts_say() {
        let mut layers = Layers::default();
        for setting in [
            "data.source=embedded",
            "data.limit=100",
            "network={kind=\"mlp\", hidden=[8]}",
            "posterior.latent=3",
        ] {
            layers.set(setting).unwrap();
        }
        let data = Data::open(&layers.data().unwrap(), Key::from_seed(1), &mut |_| {}).unwrap();
        let (checked, _) = resolve(&layers, data.facts(), &Registry::default()).unwrap();
        let (functions, weights) = checked.build(&Device::cpu()).unwrap();
        let model = Model::of(checked.run, functions, weights).unwrap();
        let rows = first_rows(&data, Split::Validation, 5).unwrap();
        let survey = model.survey(&rows, Key::from_seed(2)).unwrap();
        let codes = model.encode(&rows).unwrap();
        assert_eq!(survey.codes, codes);
        let back = model.reconstruct(&rows).unwrap();
        let (rate, deviation) = (survey.rate.unwrap(), codes.deviation.unwrap());
        let distortion = model.distortion(&rows).unwrap();
        #[allow(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
        for row in 0..5 {
            for dim in 0..3 {
                // KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − 1)/2 − ln s
                let (m, s) = (f64::from(codes.mean.row(row)[dim]), f64::from(deviation.row(row)[dim]));
                let expected = (m * m + s * s - 1.0) / 2.0 - s.ln();
                assert!((f64::from(rate.row(row)[dim]) - expected).abs() < 1e-4);
            }
            assert!((f64::from(survey.distortion[row]) - distortion[row]).abs() < 1e-2);
            let pairs = rows.x[row * 784..(row + 1) * 784].iter().zip(&back.x[row * 784..]);
            let error = pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / 784.0;
            assert!((f64::from(survey.error[row]) - error).abs() < 1e-6);
        }
        // Draws come in parts as they come at once.
        let one = first_rows(&data, Split::Validation, 1).unwrap();
        let draws = |first, count| model.log_weights_of(&one, first, count, Key::from_seed(3)).unwrap();
        let (all, head, tail) = (draws(0, 6), draws(0, 4), draws(4, 2));
        for kind in 0..2 {
            let parts: Vec<f64> = [head[kind].as_slice(), tail[kind].as_slice()].concat();
            assert!(all[kind].iter().zip(&parts).all(|(a, b)| (a - b).abs() < 1e-3), "{all:?} {parts:?}");
        }
        // A standard normal prior.
        let at = Array::matrix(vec![0.0, 0.0, 0.0, 1.0, -2.0, 0.5], 3);
        let found = model.log_prior(&at, &Told::nothing(2)).unwrap().unwrap();
        let constant = -1.5 * std::f64::consts::TAU.ln();
        assert!((found[0] - constant).abs() < 1e-5 && (found[1] - constant + 2.625).abs() < 1e-5);
    }
}
