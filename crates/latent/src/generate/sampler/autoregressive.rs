//! Indices one after the other: p̂(z) = Π_j p(z_j | z_1 … z_{j−1}), each a softmax whose logits a [MADE](Made) gives.
//!
//! ln p̂(z) = Σ_j log softmax(ℓ_j)_{z_j},  ℓ_j a function of the indices before, each of which stands as a learned vector. A
//! draw goes through the dimensions one by one. For bits and for codes of a book alike; the temperature divides logits.
//!
//! References: van den Oord et al., *Neural Discrete Representation Learning* (arXiv 1711.00937), where the prior over
//! indices is learned after the model; Germain et al., *MADE* (arXiv 1502.03509).

use burn::tensor::{Tensor, activation::log_softmax};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::how::uniforms;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, SamplerError, Space};
use crate::batch::{Batch, Noise};
use crate::density::{indices, sum_dimensions};
use crate::device::{host, host_f64};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::network::{Made, MadeConfig};
use crate::train::OptimizerKind;
use crate::weights::{Init, Initial, WeightId, Weights};

/// The network.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoregressiveSettings {
    /// The widths of the hidden layers.
    pub hidden: Vec<usize>,
    /// Numbers in the vector that stands for an index.
    pub embedding: usize,
}

impl Default for AutoregressiveSettings {
    fn default() -> Self {
        Self { hidden: vec![512], embedding: 8 }
    }
}

/// Vectors longer than this are taken for a mistake.
const LONGEST: usize = 1024;

impl AutoregressiveSettings {
    fn build(&self, dims: usize, size: usize, init: &mut Init<'_>) -> Autoregressive {
        let made = MadeConfig { inputs: self.embedding, ..MadeConfig::new(dims, size, &self.hidden) };
        Autoregressive {
            vectors: init.weight("vectors", &[size, self.embedding], Initial::Normal(1.0)),
            made: made.init(init),
            dims,
            size,
        }
    }
}

/// How many values an index takes.
fn size(space: &Space) -> usize {
    space.support.values().unwrap_or(1)
}

impl LearnedSettings for AutoregressiveSettings {
    const KIND: &'static str = "autoregressive";
    const ABOUT: &'static str = "indices one after the other, for codes of few values";
    const PACE: Pace =
        Pace { steps: 2000, batch: 128, learning_rate: 2e-3, ema: 0.99, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        if space.support.values().is_none() {
            return Err(SamplerError::Unsuitable {
                sampler: Self::KIND.into(),
                what: "is for indices and bits, and this model's codes are real numbers, or not of one kind"
                    .into(),
                remedy: "use gaussian-mixture or flow-matching".into(),
            }
            .into());
        }
        if !(1..=LONGEST).contains(&self.embedding) {
            return Err(SamplerError::Unsuitable {
                sampler: Self::KIND.into(),
                what: format!("cannot let {} numbers stand for an index", self.embedding),
                remedy: format!("give embedding from 1 to {LONGEST}"),
            }
            .into());
        }
        Ok(())
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let space = fitting.space;
        let mut task = Task::new(fitting.key, |init| self.build(space.dims, size(space), init));
        learn_sampler(&mut task, pace, fitting)?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let (law, weights) = restore(&mut arrays, |init| self.build(space.dims, size(space), init))?;
        Ok(Box::new(Fitted { law, weights }))
    }
}

/// p(z_j | z_1 … z_{j−1}) of every j at once.
struct Autoregressive {
    /// What stands for each index, `[size, embedding]`.
    vectors: WeightId,
    made: Made,
    dims: usize,
    size: usize,
}

impl Autoregressive {
    /// log P of every index at every place, `[n, size, dims]`.
    fn log_probabilities(&self, weights: &Weights, z: &Tensor<2>, temperature: f64) -> Tensor<3> {
        let n = z.dims()[0];
        let vectors = weights.get::<2>(self.vectors);
        let width = vectors.dims()[1];
        let stand = vectors.select(0, indices(z).reshape([n * self.dims])).reshape([n, self.dims * width]);
        let logits = self.made.apply(weights, stand).reshape([n, self.size, self.dims]);
        log_softmax(logits * (1.0 / temperature), 1)
    }

    /// ln p̂(z), `[n]`.
    fn log_density(&self, weights: &Weights, z: &Tensor<2>) -> Tensor<1> {
        let n = z.dims()[0];
        let place = indices(z).reshape([n, 1, self.dims]);
        let own = self.log_probabilities(weights, z, 1.0).gather(1, place);
        sum_dimensions(own.reshape([n, self.dims]))
    }
}

impl RowLoss for Autoregressive {
    fn loss(&self, weights: &Weights, batch: &Batch, _: Key) -> Tensor<1> {
        self.log_density(weights, &batch.x).neg()
    }
}

struct Fitted {
    law: Autoregressive,
    weights: Weights,
}

impl Fitted {
    /// One code for each row of `noise`.
    fn codes(&self, noise: Noise<'_>, temperature: f64) -> Vec<f32> {
        let (n, dims, size) = (noise.ids.len(), self.law.dims, self.law.size);
        let uniforms = uniforms(noise, dims);
        let mut z = vec![0.0; n * dims];
        for j in self.law.made.order() {
            let codes = self.weights.device().tensor(z.clone(), [n, dims]);
            let log_p = self.law.log_probabilities(&self.weights, &codes, temperature).narrow(2, j, 1);
            for (row, log_p) in host(&log_p).chunks(size).enumerate() {
                let place = row * dims + j;
                let mut below = 0.0;
                let reached = |log_p: &f32| {
                    below += f64::from(*log_p).exp();
                    f64::from(uniforms[place]) < below
                };
                z[place] = log_p.iter().position(reached).unwrap_or(size - 1) as f32;
            }
        }
        z
    }
}

impl Sampler for Fitted {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        how.without_truncation(AutoregressiveSettings::KIND)?;
        Ok(self.codes(noise, how.temperature))
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let rows = codes.len() / self.law.dims.max(1);
        let z = self.weights.device().tensor(codes.to_vec(), [rows, self.law.dims]);
        Some(host_f64(&self.law.log_density(&self.weights, &z)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn all_codes_together_have_probability_one_and_draws_follow_them() {
        let (dims, size) = (3, 4);
        let settings = AutoregressiveSettings { hidden: vec![16], embedding: 3 };
        let mut weights = Weights::new(&Device::cpu());
        let law = settings.build(dims, size, &mut Init::new(&mut weights, Key::from_seed(3)));
        // Far from where they start, so that dimensions do depend on each other.
        let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.values())).collect();
        for (index, (id, mut values)) in all.into_iter().enumerate() {
            let mut noise = vec![0.0; values.len()];
            Key::from_seed(5).fold(index).normals(&mut noise);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.7 * n);
            weights.set_values(id, values);
        }
        let codes: Vec<f32> =
            (0..64).flat_map(|code| [code / 16, code / 4 % 4, code % 4]).map(|z| z as f32).collect();
        let z = weights.device().tensor(codes, [64, dims]);
        let p: Vec<f64> = host_f64(&law.log_density(&weights, &z)).into_iter().map(f64::exp).collect();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        assert!(p.iter().any(|p| (p - 1.0 / 64.0).abs() > 0.01), "no law but the uniform: {p:?}");
        let ids: Vec<u64> = (0..20_000).collect();
        let fitted = Fitted { law, weights };
        let drawn = fitted.codes(Noise::new(Key::from_seed(1), &ids), 1.0);
        let mut counts = vec![0.0; 64];
        for code in drawn.chunks(dims) {
            counts[(16.0 * code[0] + 4.0 * code[1] + code[2]) as usize] += 1.0 / 20_000.0;
        }
        for (p, found) in p.iter().zip(&counts) {
            assert!((p - found).abs() < 5.0 * (p * (1.0 - p) / 20_000.0).sqrt() + 1e-9, "{p} {found}");
        }
    }
}
