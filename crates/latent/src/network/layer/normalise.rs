//! Normalisation of what flows between layers.
//!
//! *Batch*: y = γ (x − μ)/√(σ² + ε) + β for each channel, with μ and σ² of the batch while training and their moving
//! averages afterwards. It couples the rows of a batch. *Group*: the same with μ and σ² of a group of channels of one row.
//!
//! References: Ioffe & Szegedy (arXiv 1502.03167); Wu & He (arXiv 1803.08494).

use burn::tensor::Tensor;
use latent_kernels::{Activation, group_norm};

use super::Signal;
use crate::member::{Call, Kept};
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

const EPSILON: f64 = 1e-5;

/// The moving averages take this share of each batch.
const MOMENTUM: f64 = 0.1;

/// Batch normalisation of `channels` channels (or features of rows).
#[derive(Clone, Debug)]
pub struct BatchNorm {
    gain: WeightId,
    shift: WeightId,
    mean: WeightId,
    variance: WeightId,
    channels: usize,
    /// What its statistics are called.
    name: String,
}

impl BatchNorm {
    /// Makes the layer under `name`: γ = 1, β = 0, μ = 0, σ² = 1.
    pub fn new(init: &mut Init<'_>, name: &str, channels: usize) -> Self {
        let mut init = init.scope(name);
        Self {
            gain: init.weight("gain", &[channels], Initial::Constant(1.0)),
            shift: init.weight("shift", &[channels], Initial::Constant(0.0)),
            mean: init.buffer("mean", &[channels], Initial::Constant(0.0)),
            variance: init.buffer("variance", &[channels], Initial::Constant(1.0)),
            channels,
            name: init.path("statistics"),
        }
    }

    /// Normalises rows by feature, maps by channel.
    pub fn apply(&self, call: &Call<'_>, x: Signal) -> Signal {
        match x {
            Signal::Rows(x) => {
                let rows = x.dims()[0];
                let y = self.normalise(call, x.reshape([rows, self.channels, 1, 1]));
                Signal::Rows(y.reshape([rows, self.channels]))
            }
            Signal::Maps(x) => Signal::Maps(self.normalise(call, x)),
        }
    }

    fn normalise(&self, call: &Call<'_>, x: Tensor<4>) -> Tensor<4> {
        let [rows, channels, height, width] = x.dims();
        let each = |t: Tensor<1>| t.reshape([1, channels, 1, 1]);
        let (mean, variance) = if call.mode.is_training() {
            let count = (rows * height * width) as f64;
            let mean_of = |t: Tensor<4>| t.sum_dim(0).sum_dim(2).sum_dim(3) * (1.0 / count);
            let mean = mean_of(x.clone());
            let deviation = x.clone() - mean.clone();
            let variance = mean_of(deviation.clone() * deviation);
            if let Some(record) = call.record {
                // The averages follow the unbiased variance, as the paper has it.
                let unbiased = variance.clone() * (count / (count - 1.0).max(1.0));
                // Batches of a pass count by their size.
                let size = call.weights.device().tensor(vec![count as f32], [1]);
                let flat = |t: Tensor<4>| t.reshape([channels]) * count;
                record.sum(&self.name, Tensor::cat(vec![flat(mean.clone()), flat(unbiased), size], 0));
            }
            (mean, variance)
        } else {
            (each(call.weights.get(self.mean)), each(call.weights.get(self.variance)))
        };
        let scale = (variance + EPSILON).sqrt().recip() * each(call.weights.get(self.gain));
        (x - mean) * scale + each(call.weights.get(self.shift))
    }

    /// The layer in a graph: its averages are constants.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        let [gain, shift, mean, variance] =
            [self.gain, self.shift, self.mean, self.variance].map(|id| weights.entry(id).values());
        let scale: Vec<f32> = gain
            .iter()
            .zip(&variance)
            .map(|(g, v)| (f64::from(*g) / (f64::from(*v) + EPSILON).sqrt()) as f32)
            .collect();
        let shape = each_channel(&x, self.channels);
        let x = graph.with("Sub", &x, &mean, &shape);
        let x = graph.with("Mul", &x, &scale, &shape);
        graph.with("Add", &x, &shift, &shape)
    }

    /// The means of what was recorded since: `[channels]` each.
    fn recorded(&self, kept: &Kept) -> Option<[Tensor<1>; 2]> {
        let sums = kept.sum(&self.name)?;
        let count = sums.clone().narrow(0, 2 * self.channels, 1);
        let part = |from| sums.clone().narrow(0, from, self.channels) / count.clone().expand([self.channels]);
        Some([part(0), part(self.channels)])
    }

    /// Moves the averages towards the batch.
    pub(super) fn follow(&self, weights: &mut Weights, kept: &Kept) {
        let Some(batch) = self.recorded(kept) else { return };
        for (id, now) in [self.mean, self.variance].into_iter().zip(batch) {
            let old = weights.get::<1>(id);
            weights.set(id, old * (1.0 - MOMENTUM) + now * MOMENTUM);
        }
    }

    /// Sets the averages to those of a pass over the training data.
    pub(super) fn freeze(&self, weights: &mut Weights, kept: &Kept) {
        let Some(all) = self.recorded(kept) else { return };
        for (id, now) in [self.mean, self.variance].into_iter().zip(all) {
            weights.set(id, now);
        }
    }
}

/// The shape of one number a channel, or a feature of rows.
fn each_channel(x: &Node, channels: usize) -> Vec<usize> {
    if x.shape.len() == 3 { vec![channels, 1, 1] } else { vec![channels] }
}

/// Group normalisation of maps, and what follows it.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm {
    gain: WeightId,
    shift: WeightId,
    groups: usize,
    activation: Activation,
}

impl GroupNorm {
    /// Makes the layer under `name`: γ = 1, β = 0. Groups are as many as divide the channels, `groups` at most.
    pub fn new(
        init: &mut Init<'_>,
        name: &str,
        channels: usize,
        groups: usize,
        activation: Activation,
    ) -> Self {
        let mut init = init.scope(name);
        let most = groups.clamp(1, channels.max(1));
        let groups = (1..=most).rev().find(|groups| channels.is_multiple_of(*groups)).unwrap_or(1);
        Self {
            gain: init.weight("gain", &[channels], Initial::Constant(1.0)),
            shift: init.weight("shift", &[channels], Initial::Constant(0.0)),
            groups,
            activation,
        }
    }

    /// The layer in a graph.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        let [gain, shift] = [self.gain, self.shift].map(|id| weights.entry(id).values());
        let y = graph.group_norm(x, self.groups, EPSILON as f32);
        let shape = each_channel(&y, gain.len());
        let y = graph.with("Mul", &y, &gain, &shape);
        let y = graph.with("Add", &y, &shift, &shape);
        graph.activation(self.activation, y)
    }

    /// Normalises each group of channels of each row.
    pub fn apply(&self, weights: &Weights, x: Tensor<4>) -> Tensor<4> {
        let (gain, shift) = (weights.get(self.gain), weights.get(self.shift));
        group_norm(x, gain, shift, self.groups, EPSILON, self.activation)
    }
}
