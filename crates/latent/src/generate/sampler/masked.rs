//! Indices in any order, several at a time: a transformer predicts those that are hidden from those that are seen.
//!
//! loss = d/k Σ_{j hidden} −log p(z_j | z_seen),  k of the d indices hidden, k ~ U{1 … d}
//!
//! which is, in the mean, the mean over all orders of −Σ_s log p(z_σ(s) | z_σ(<s)): a bound on −log p̂(z). A draw begins with all
//! hidden and shows some in each of R rounds, each drawn by its probability given what was seen before the round: after r
//! rounds d cos(πr/2R) are hidden. With as many rounds as indices they come one at a time, and a draw is one of the model's
//! own; with fewer, those of a round do not see each other, for which a draw costs R passes in the place of d.
//!
//! References: Chang et al., *MaskGIT* (arXiv 2202.04200), which shows the likeliest first where a random order is taken here;
//! Hoogeboom et al., *Autoregressive Diffusion Models* (arXiv 2110.02037) for the bound.

use burn::tensor::{Int, Tensor, TensorData, activation::log_softmax};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::how::uniforms;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, SamplerError, Space};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::density::sum_dimensions;
use crate::device::{Device, host};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::network::{Dense, DenseConfig, TokenLayer, check_tokens};
use crate::train::OptimizerKind;
use crate::weights::{Init, Initial, WeightId, Weights};

/// The transformer, and how many rounds a draw takes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MaskedSettings {
    /// Numbers in the vector that stands for an index.
    pub width: usize,
    /// Layers.
    pub depth: usize,
    /// Heads of attention; they divide the width.
    pub heads: usize,
    /// Rounds of a draw, at most one for each index.
    pub rounds: usize,
}

impl Default for MaskedSettings {
    fn default() -> Self {
        Self { width: 64, depth: 3, heads: 4, rounds: 16 }
    }
}

/// The dense layers are so many times as wide as a token.
const FACTOR: usize = 4;

/// More layers are taken for a mistake.
const MOST_LAYERS: usize = 64;

/// Wider tokens are taken for a mistake.
const MOST_WIDTH: usize = 4096;

impl MaskedSettings {
    fn build(&self, space: &Space, init: &mut Init<'_>) -> Masked {
        let (dims, size, width) = (space.dims, size(space), self.width);
        Masked {
            vectors: init.weight("vectors", &[size + 1, width], Initial::Normal(0.5)),
            places: init.weight("places", &[dims, width], Initial::Normal(0.5)),
            layers: (0..self.depth)
                .map(|at| TokenLayer::new(init, &at.to_string(), width, self.heads, FACTOR))
                .collect(),
            last: DenseConfig::new(width, size).init(init, "last"),
            dims,
            size,
        }
    }
}

/// How many values an index takes.
fn size(space: &Space) -> usize {
    space.support.values().unwrap_or(1)
}

impl LearnedSettings for MaskedSettings {
    const KIND: &'static str = "masked";
    const ABOUT: &'static str = "indices in any order, several at a time, by a transformer";
    const PACE: Pace =
        Pace { steps: 4000, batch: 64, learning_rate: 1e-3, ema: 0.999, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        &[]
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
        let most = [
            ("width", self.width, MOST_WIDTH),
            ("depth", self.depth, MOST_LAYERS),
            ("rounds", self.rounds, 1 << 16),
        ];
        for (key, value, most) in most {
            if value == 0 || value > most {
                let key = format!("sampler.{key}");
                return Err(ConfigError::value(&key, format!("{value}"), format!("give 1 to {most}")).into());
            }
        }
        Ok(check_tokens(self.width, self.heads, FACTOR)?)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let mut task = Task::new(fitting.key, |init| self.build(fitting.space, init));
        learn_sampler(&mut task, pace, fitting)?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let (law, weights) = restore(&mut arrays, |init| self.build(space, init))?;
        Ok(Box::new(Fitted { law, weights, rounds: self.rounds }))
    }
}

/// p(z_j | what is seen) of every j at once.
struct Masked {
    /// What stands for each index, and last for a hidden one, `[size + 1, width]`.
    vectors: WeightId,
    /// What stands for each place, `[dims, width]`.
    places: WeightId,
    layers: Vec<TokenLayer>,
    last: Dense,
    dims: usize,
    size: usize,
}

impl Masked {
    /// log P of every index at every place, `[n · dims, size]`, of codes whose hidden indices are `size`.
    fn log_probabilities(&self, weights: &Weights, codes: Vec<i32>, temperature: f64) -> Tensor<2> {
        let (all, dims) = (codes.len(), self.dims);
        let vectors = weights.get::<2>(self.vectors);
        let width = vectors.dims()[1];
        let codes: Tensor<1, Int> = Tensor::from_data(TensorData::new(codes, [all]), &vectors.device());
        let own = vectors.select(0, codes).reshape([all / dims, dims, width]);
        let places = weights.get::<2>(self.places).reshape([1, dims, width]);
        let tokens = (own + places).reshape([all, width]);
        let h = self.layers.iter().fold(tokens, |h, layer| layer.apply(weights, h, dims));
        log_softmax(self.last.apply(weights, h) * (1.0 / temperature), 1)
    }
}

impl RowLoss for Masked {
    /// With a mask of its own for each row.
    fn loss(&self, weights: &Weights, batch: &Batch, key: Key) -> Tensor<1> {
        let (n, dims) = (batch.len(), self.dims);
        let device = Device::of(&batch.x);
        let x = host(&batch.x);
        let uniforms = host(&batch.noise(key.fold("mask")).uniforms(1, dims + 1, &Device::cpu()));
        let (mut codes, mut targets) = (Vec::with_capacity(n * dims), Vec::with_capacity(n * dims));
        let mut factors = Vec::with_capacity(n * dims);
        for (x, u) in x.chunks_exact(dims).zip(uniforms.chunks_exact(dims + 1)) {
            let count = 1 + ((u[0] * dims as f32) as usize).min(dims - 1);
            let turn = turns(&u[1..]);
            for (z, turn) in x.iter().zip(turn) {
                let is_hidden = turn < count;
                targets.push(*z as i32);
                codes.push(if is_hidden { self.size as i32 } else { *z as i32 });
                factors.push(if is_hidden { dims as f32 / count as f32 } else { 0.0 });
            }
        }
        let all = n * dims;
        let log_p = self.log_probabilities(weights, codes, 1.0);
        let targets: Tensor<2, Int> = Tensor::from_data(TensorData::new(targets, [all, 1]), &log_p.device());
        let own = log_p.gather(1, targets).reshape([n, dims]);
        sum_dimensions(own * device.tensor(factors, [n, dims])).neg()
    }
}

/// The turn of each place, from 0: in the order of these numbers.
fn turns(uniforms: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..uniforms.len()).collect();
    order.sort_by(|a, b| uniforms[*a].total_cmp(&uniforms[*b]));
    let mut turns = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(turn, place)| turns[place] = turn);
    turns
}

/// How many of `dims` indices are seen after each of some rounds; each round shows one at least.
fn schedule(dims: usize, rounds: usize) -> Vec<usize> {
    let rounds = rounds.min(dims);
    let mut seen = 0;
    (1..=rounds)
        .map(|round| {
            let hidden = dims as f64 * (std::f64::consts::FRAC_PI_2 * round as f64 / rounds as f64).cos();
            // Each of the rounds that are left shows one, too.
            seen = (dims - hidden.round() as usize).clamp(seen + 1, dims - (rounds - round));
            seen
        })
        .collect()
}

struct Fitted {
    law: Masked,
    weights: Weights,
    rounds: usize,
}

impl Fitted {
    /// One code for each row of `noise`.
    fn codes(&self, noise: Noise<'_>, temperature: f64) -> Vec<f32> {
        let (n, dims, size) = (noise.ids.len(), self.law.dims, self.law.size);
        let uniforms = uniforms(noise, 2 * dims);
        let turns: Vec<usize> = uniforms.chunks_exact(2 * dims).flat_map(|u| turns(&u[dims..])).collect();
        let mut codes = vec![size as i32; n * dims];
        let mut before = 0;
        for seen in schedule(dims, self.rounds) {
            let log_p = host(&self.law.log_probabilities(&self.weights, codes.clone(), temperature));
            for (cell, code) in codes.iter_mut().enumerate() {
                if !(before..seen).contains(&turns[cell]) {
                    continue;
                }
                let u = f64::from(uniforms[cell / dims * 2 * dims + cell % dims]);
                let mut below = 0.0;
                let reached = |log_p: &f32| {
                    below += f64::from(*log_p).exp();
                    u < below
                };
                let own = &log_p[cell * size..(cell + 1) * size];
                *code = own.iter().position(reached).unwrap_or(size - 1) as i32;
            }
            before = seen;
        }
        codes.into_iter().map(|code| code as f32).collect()
    }
}

impl Sampler for Fitted {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        how.without_truncation(MaskedSettings::KIND)?;
        Ok(self.codes(noise, how.temperature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Support;

    const DIMS: usize = 3;
    const SIZE: usize = 3;

    /// A law far from where it starts, so that places do depend on each other.
    fn law() -> (Masked, Weights) {
        let space = Space {
            dims: DIMS,
            support: Support::Index(SIZE),
            classes: Vec::new(),
            condition: 0,
            maps: None,
        };
        let settings = MaskedSettings { width: 8, depth: 2, heads: 2, rounds: 3 };
        let mut weights = Weights::new(&Device::cpu());
        let law = settings.build(&space, &mut Init::new(&mut weights, Key::from_seed(3)));
        let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.values())).collect();
        for (index, (id, mut values)) in all.into_iter().enumerate() {
            let mut noise = vec![0.0; values.len()];
            Key::from_seed(5).fold(index).normals(&mut noise);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.5 * n);
            weights.set_values(id, values);
        }
        (law, weights)
    }

    fn codes() -> Vec<[i32; DIMS]> {
        (0..27).map(|code| [code / 9, code / 3 % 3, code % 3]).collect()
    }

    /// log p of a code where its indices are shown in this order.
    fn in_order(law: &Masked, weights: &Weights, code: &[i32; DIMS], order: &[usize]) -> f64 {
        let mut seen = vec![SIZE as i32; DIMS];
        let mut sum = 0.0;
        for &at in order {
            let log_p = host(&law.log_probabilities(weights, seen.clone(), 1.0));
            sum += f64::from(log_p[at * SIZE + code[at] as usize]);
            seen[at] = code[at];
        }
        sum
    }

    const ORDERS: [[usize; 3]; 6] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

    #[test]
    fn draws_one_at_a_time_follow_the_mean_over_orders() {
        let (law, weights) = law();
        let p: Vec<f64> = codes()
            .iter()
            .map(|code| {
                ORDERS.iter().map(|order| in_order(&law, &weights, code, order).exp()).sum::<f64>() / 6.0
            })
            .collect();
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-5);
        assert!(p.iter().any(|p| (p - 1.0 / 27.0).abs() > 0.02), "no law but the uniform: {p:?}");
        let ids: Vec<u64> = (0..20_000).collect();
        let fitted = Fitted { law, weights, rounds: 3 };
        let mut counts = [0.0; 27];
        for code in fitted.codes(Noise::new(Key::from_seed(1), &ids), 1.0).chunks(DIMS) {
            counts[(9.0 * code[0] + 3.0 * code[1] + code[2]) as usize] += 1.0 / 20_000.0;
        }
        for (p, found) in p.iter().zip(&counts) {
            assert!((p - found).abs() < 5.0 * (p * (1.0 - p) / 20_000.0).sqrt() + 1e-9, "{p} {found}");
        }
    }

    #[test]
    fn the_loss_is_in_the_mean_that_over_orders() {
        let (law, weights) = law();
        let code = [2, 0, 1];
        let wanted = -ORDERS.iter().map(|order| in_order(&law, &weights, &code, order)).sum::<f64>() / 6.0;
        const ROWS: usize = 20_000;
        let x: Vec<f32> = code.iter().map(|z| *z as f32).collect::<Vec<_>>().repeat(ROWS);
        let batch = Batch::of(Device::cpu().tensor(x, [ROWS, DIMS]), (0..ROWS as u64).collect());
        let losses = crate::device::host_f64(&law.loss(&weights, &batch, Key::from_seed(7)));
        let found = crate::evaluate::Mean::of(&losses);
        assert!((found.value - wanted).abs() < 5.0 * found.error, "{found:?} {wanted}");
    }

    #[test]
    fn rounds_show_all_and_never_none() {
        for (dims, rounds) in [(1, 1), (1, 16), (7, 3), (16, 16), (49, 12), (64, 1)] {
            let seen = schedule(dims, rounds);
            assert_eq!(seen.last(), Some(&dims));
            assert!(
                seen[0] > 0 && seen.windows(2).all(|pair| pair[0] < pair[1]),
                "{dims} {rounds}: {seen:?}"
            );
        }
        assert_eq!(schedule(5, 9), [1, 2, 3, 4, 5]);
    }
}
