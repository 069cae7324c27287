//! Bits one after the other: p̂(z) = Π_j p(z_j | z_1 … z_{j−1}), each a coin whose log-odds a [MADE](Made) gives.
//!
//! ln p̂(z) = Σ_j z_j ℓ_j − softplus(ℓ_j),  ℓ_j a function of the bits before. A draw goes through the bits one by one.
//!
//! References: Larochelle & Murray, *The Neural Autoregressive Distribution Estimator* (AISTATS 2011); Germain et al., *MADE*
//! (arXiv 1502.03509).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::how::uniforms;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, SamplerError, Space};
use crate::batch::{Batch, Noise, Support};
use crate::density::{softplus, sum_dimensions};
use crate::device::{host, host_f64};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::network::{Made, MadeConfig};
use crate::train::OptimizerKind;
use crate::weights::{Init, Weights};

/// The network.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoregressiveBitsSettings {
    /// The widths of the hidden layers.
    pub hidden: Vec<usize>,
}

impl Default for AutoregressiveBitsSettings {
    fn default() -> Self {
        Self { hidden: vec![256; 2] }
    }
}

impl AutoregressiveBitsSettings {
    fn build(&self, bits: usize, init: &mut Init<'_>) -> Made {
        MadeConfig::new(bits, 1, &self.hidden).init(init)
    }
}

impl LearnedSettings for AutoregressiveBitsSettings {
    const KIND: &'static str = "autoregressive-bits";
    const ABOUT: &'static str = "bits one after the other, for codes that are bits";
    const PACE: Pace =
        Pace { steps: 3000, batch: 256, learning_rate: 2e-3, ema: 0.99, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        let (found, remedy) = match space.support {
            Support::Bits => return Ok(()),
            Support::Index(_) => ("indices", "use autoregressive"),
            Support::Reals | Support::UnitInterval => (
                "real numbers, or not bits alone",
                "use gaussian-mixture or flow-matching, or train with posterior.kind = \"bits\"",
            ),
        };
        Err(SamplerError::Unsuitable {
            sampler: "autoregressive-bits".into(),
            what: format!("is for bits, and this model's codes are {found}"),
            remedy: remedy.into(),
        }
        .into())
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let mut task = Task::new(fitting.key, |init| self.build(fitting.space.dims, init));
        learn_sampler(&mut task, pace, fitting)?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let (made, weights) = restore(&mut arrays, |init| self.build(space.dims, init))?;
        Ok(Box::new(AutoregressiveBits { made, weights, bits: space.dims }))
    }
}

/// −ln p̂(z), `[n]`.
impl RowLoss for Made {
    fn loss(&self, weights: &Weights, batch: &Batch, _: Key) -> Tensor<1> {
        let logits = self.apply(weights, batch.x.clone());
        sum_dimensions(softplus(logits.clone()) - batch.x.clone() * logits)
    }
}

struct AutoregressiveBits {
    made: Made,
    weights: Weights,
    bits: usize,
}

impl Sampler for AutoregressiveBits {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        how.without_truncation("autoregressive-bits")?;
        let n = noise.ids.len();
        let coins = uniforms(noise, self.bits);
        let mut z = vec![0.0; n * self.bits];
        for j in self.made.order() {
            let x = self.weights.device().tensor(z.clone(), [n, self.bits]);
            let logits = host(&self.made.apply(&self.weights, x).narrow(1, j, 1));
            for (row, logit) in logits.iter().enumerate() {
                let probability = 1.0 / (1.0 + (-f64::from(*logit) / how.temperature).exp());
                let place = row * self.bits + j;
                z[place] = f32::from(u8::from(f64::from(coins[place]) < probability));
            }
        }
        Ok(z)
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let rows = codes.len() / self.bits.max(1);
        let z = self.weights.device().tensor(codes.to_vec(), [rows, self.bits]);
        let logits = self.made.apply(&self.weights, z.clone());
        Some(host_f64(&sum_dimensions(z * logits.clone() - softplus(logits))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Rows;
    use crate::device::{Device, scalar};

    const BITS: usize = 6;

    /// In double precision, with weights far from where they start.
    fn shaken() -> (Made, Weights) {
        let mut weights = Weights::new(&Device::cpu().double());
        let settings = AutoregressiveBitsSettings { hidden: vec![12, 12] };
        let made = settings.build(BITS, &mut Init::new(&mut weights, Key::from_seed(4)));
        let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.values())).collect();
        for (index, (id, mut values)) in all.into_iter().enumerate() {
            let mut noise = vec![0.0; values.len()];
            Key::from_seed(6).fold(index).normals(&mut noise);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.6 * n);
            weights.set_values(id, values);
        }
        (made, weights)
    }

    fn every_code() -> Batch {
        let codes = 1usize << BITS;
        let x = (0..codes).flat_map(|code| (0..BITS).map(move |j| ((code >> j) & 1) as f32)).collect();
        let rows = Rows { x, ids: (0..codes as u64).collect(), ..Rows::default() };
        Batch::new(rows, BITS, &Device::cpu().double())
    }

    #[test]
    fn probabilities_of_all_codes_sum_to_one() {
        let (made, weights) = shaken();
        let losses = host_f64(&made.loss(&weights, &every_code(), Key::from_seed(0)));
        let sum: f64 = losses.iter().map(|loss| (-loss).exp()).sum();
        assert!((sum - 1.0).abs() < 1e-12, "{sum}");
        let most = losses.iter().map(|loss| (-loss).exp()).fold(0.0, f64::max);
        assert!(most > 3.0 / 64.0, "the codes are as likely as each other: {most}");
    }

    #[test]
    fn gradients_are_those_of_finite_differences() {
        let (made, weights) = shaken();
        let batch = every_code().slice(5, 20);
        let loss = |weights: &Weights| made.loss(weights, &batch, Key::from_seed(0)).mean();
        let tracked = weights.tracked(|_| true);
        let mut gradients = loss(&tracked).backward();
        let h = 1e-3;
        for (id, weight) in weights.iter() {
            let gradient = tracked.gradient(id, &mut gradients).map(|g| host_f64(&g)).unwrap_or_default();
            let values = weight.values();
            for place in [0, values.len() / 2, values.len() - 1] {
                let at = |by: f32| {
                    let mut moved = weights.clone();
                    let mut values = values.clone();
                    values[place] += by;
                    moved.set_values(id, values.clone());
                    (scalar(&loss(&moved)), f64::from(values[place]))
                };
                let ((up, right), (down, left)) = (at(h), at(-h));
                let slope = (up - down) / (right - left);
                assert!(
                    (slope - gradient[place]).abs() < 1e-5,
                    "{} {slope} {}",
                    weight.path(),
                    gradient[place]
                );
            }
        }
    }
}
