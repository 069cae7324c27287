//! A layer of a transformer over the tokens of a row.
//!
//! T ← T + A(N(T));  T ← T + W' relu(W N(T));  A: self-attention, W_o softmax(qᵀk / √d) v in heads of d numbers, N: each token
//! standardised
//!
//! References: Vaswani et al., *Attention is all you need* (arXiv 1706.03762); with the norm before each part as in Xiong et al.
//! (arXiv 2002.04745).

use burn::tensor::{Tensor, activation::softmax};
use latent_kernels::Activation;

use super::{Dense, DenseConfig};
use crate::config::ConfigError;
use crate::weights::{Init, Weights};

/// Attention and a dense layer, each beside a straight way.
#[derive(Clone, Copy, Debug)]
pub struct TokenLayer {
    inner: Dense,
    outer: Dense,
    wide: Dense,
    narrow: Dense,
    width: usize,
    heads: usize,
}

impl TokenLayer {
    /// Makes the layer under `name`, of tokens of `width` numbers; the heads divide it, and the dense layer is `factor` times as wide.
    pub fn new(init: &mut Init<'_>, name: &str, width: usize, heads: usize, factor: usize) -> Self {
        let mut init = init.scope(name);
        let dense = |from: usize, to: usize| DenseConfig::new(from, to);
        Self {
            inner: dense(width, 3 * width).init(&mut init, "attention.in"),
            outer: dense(width, width).init(&mut init, "attention.out"),
            wide: dense(width, factor * width).with_activation(Activation::Relu).init(&mut init, "in"),
            narrow: dense(factor * width, width).init(&mut init, "out"),
            width,
            heads: heads.max(1),
        }
    }

    /// `[rows · tokens, width]` → the same, where a row has so many tokens.
    pub fn apply(&self, weights: &Weights, h: Tensor<2>, tokens: usize) -> Tensor<2> {
        let h = h.clone() + self.attend(weights, standardised(h), tokens);
        let wide = self.wide.apply(weights, standardised(h.clone()));
        h + self.narrow.apply(weights, wide)
    }

    fn attend(&self, weights: &Weights, h: Tensor<2>, tokens: usize) -> Tensor<2> {
        let Self { width, heads, .. } = *self;
        let (rows, each) = (h.dims()[0] / tokens.max(1), width / heads);
        let all = self.inner.apply(weights, h);
        let part = |index: usize| {
            let own = all.clone().narrow(1, index * width, width).reshape([rows, tokens, heads, each]);
            own.swap_dims(1, 2).reshape([rows * heads, tokens, each])
        };
        let (q, k, v) = (part(0) * (1.0 / (each as f64).sqrt()), part(1), part(2));
        let seen = softmax(q.matmul(k.swap_dims(1, 2)), 2).matmul(v);
        let seen = seen.reshape([rows, heads, tokens, each]).swap_dims(1, 2);
        self.outer.apply(weights, seen.reshape([rows * tokens, width]))
    }
}

/// Each row with mean 0 and variance 1.
fn standardised(x: Tensor<2>) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + 1e-5).sqrt()
}

/// Refuses heads that do not divide the width of a token, and dense layers that no memory holds.
pub(crate) fn check_tokens(width: usize, heads: usize, factor: usize) -> Result<(), ConfigError> {
    if heads == 0 || !width.is_multiple_of(heads) {
        let what = format!("{heads} heads for tokens of {width} numbers");
        return Err(ConfigError::value("heads", what, "give a number that divides the width"));
    }
    if factor == 0 || factor > MOST_FACTOR {
        let what = format!("{factor} times the width");
        return Err(ConfigError::value("factor", what, format!("give 1 to {MOST_FACTOR}")));
    }
    Ok(())
}

/// Wider dense layers are taken for a mistake.
const MOST_FACTOR: usize = 256;
