//! Self-attention over the places of a map: every place sees every other.
//!
//! y = W_o · softmax(qᵀk / √d) v,  q, k, v = W x at each place, in heads of d channels; W_o starts at 0
//!
//! Reference: Vaswani et al., *Attention is all you need* (arXiv 1706.03762).

use burn::tensor::{Tensor, activation::softmax};

use super::{Conv, ConvConfig};
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// Attention between the places of a map of `channels` channels.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// q, k and v side by side.
    inner: Conv,
    outer: Conv,
    heads: usize,
    channels: usize,
}

impl Attention {
    /// Makes the layer under `name`; `heads` divides the channels, or the largest number below that does is taken.
    pub fn new(init: &mut Init<'_>, name: &str, channels: usize, heads: usize) -> Self {
        let mut init = init.scope(name);
        let most = heads.clamp(1, channels.max(1));
        let heads = (1..=most).rev().find(|heads| channels.is_multiple_of(*heads)).unwrap_or(1);
        Self {
            inner: ConvConfig::new(channels, 3 * channels).with_kernel(1).init(&mut init, "inner"),
            outer: ConvConfig::new(channels, channels).with_kernel(1).with_zeros().init(&mut init, "outer"),
            heads,
            channels,
        }
    }

    /// `[rows, channels, height, width]` → the same shape.
    pub fn apply(&self, weights: &Weights, x: Tensor<4>) -> Tensor<4> {
        let [rows, channels, height, width] = x.dims();
        let (each, places) = (channels / self.heads, height * width);
        let all = self.inner.apply(weights, x).reshape([rows, 3, self.heads, each, places]);
        let part = |index: usize| all.clone().narrow(1, index, 1).reshape([rows * self.heads, each, places]);
        let (q, k, v) = (part(0) * (1.0 / (each as f64).sqrt()), part(1), part(2));
        let shares = softmax(q.swap_dims(1, 2).matmul(k), 2);
        let seen = v.matmul(shares.swap_dims(1, 2)).reshape([rows, self.channels, height, width]);
        self.outer.apply(weights, seen)
    }

    /// The layer in a graph.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        let [height, width] = match x.shape[..] {
            [_, height, width] => [height, width],
            _ => [1, x.features()],
        };
        let (each, places) = (self.channels / self.heads, height * width);
        let all = self.inner.trace(weights, graph, x);
        let all = graph.reshape(all, &[3 * self.channels, places]);
        let mut part = |index: usize| {
            let own: Vec<usize> = (index * self.channels..(index + 1) * self.channels).collect();
            let own = graph.take(&all, 1, &own);
            graph.reshape(own, &[self.heads, each, places])
        };
        let (q, k, v) = (part(0), part(1), part(2));
        let q = graph.with("Mul", &q, &[1.0 / (each as f32).sqrt()], &[1]);
        let q = graph.transpose(&q, &[0, 1, 3, 2]);
        let alike = graph.matrices(&q, &k);
        let shares = graph.softmax(&alike);
        let shares = graph.transpose(&shares, &[0, 1, 3, 2]);
        let seen = graph.matrices(&v, &shares);
        let seen = graph.reshape(seen, &[self.channels, height, width]);
        self.outer.trace(weights, graph, seen)
    }
}
