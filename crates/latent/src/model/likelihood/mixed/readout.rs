//! The logits of all digits from the last hidden layer: an affine map, and for ordered levels a smooth part beside it.
//!
//! logits = h W + b + h A Φ,  Φ_kl = √2 k^{−½} cos(π k r_l),  r_l the rank of level l
//!
//! Levels of a number have neighbours. With W alone each of them is learned from its own few rows; what A learns, all
//! levels near it share, so that densities are smooth until rows say otherwise.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::digits::{Digit, Layout};
use crate::device::Device;
use crate::network::{Dense, DenseConfig};
use crate::weights::{Init, Initial, WeightId, Weights};

/// W, b and A.
pub(super) struct Readout {
    last: Dense,
    smooth: Option<Smooth>,
}

struct Smooth {
    weight: WeightId,
    /// Φ, `[waves of all digits, outputs]`.
    basis: Vec<f32>,
    waves: usize,
    outputs: usize,
    /// The first of the waves of a digit, and how many there are, by the first of its logits.
    of_digits: BTreeMap<usize, (usize, usize)>,
}

/// The least number of levels that have neighbours worth the name.
pub(super) const LEAST_LEVELS: usize = 8;

/// √2 k^{−½} cos(π k r)
pub(super) fn wave(k: usize, rank: f64) -> f32 {
    ((2.0 / k as f64).sqrt() * (std::f64::consts::PI * k as f64 * rank).cos()) as f32
}

impl Readout {
    /// From `width` hidden units; up to `waves` cosines for each digit.
    pub(super) fn new(layout: &Layout, width: usize, waves: usize, init: &mut Init<'_>) -> Self {
        let outputs = layout.outputs();
        // From the shares of each column alone: what fresh units say is noise, and fast steps against it silence them for good.
        let last = DenseConfig::new(width, outputs).with_zeros().with_bias(Some(layout.bias()));
        let last = last.init(init, "last");
        let mut basis = Vec::new();
        let mut of_digits = BTreeMap::new();
        for digit in layout.digits() {
            let ranks = layout.ranks(*digit);
            let own = if ranks.len() < LEAST_LEVELS { 0 } else { waves.min(ranks.len() / 2) };
            of_digits.insert(digit.first, (basis.len() / outputs.max(1), own));
            for k in 1..=own {
                let mut row = vec![0.0; outputs];
                for (value, rank) in row[digit.first..].iter_mut().zip(&ranks) {
                    *value = wave(k, *rank);
                }
                basis.extend(row);
            }
        }
        let waves = basis.len() / outputs.max(1);
        let smooth = (waves > 0).then(|| {
            let weight = init.scope("smooth").matrix("weight", &[width, waves], Initial::Constant(0.0));
            Smooth { weight, basis, waves, outputs, of_digits }
        });
        Self { last, smooth }
    }

    /// The logits of all digits, `[n, width]` → `[n, outputs]`.
    pub(super) fn all(&self, weights: &Weights, hidden: Tensor<2>) -> Tensor<2> {
        let logits = self.last.apply(weights, hidden.clone());
        let Some(smooth) = &self.smooth else { return logits };
        let basis = Device::of(&hidden).tensor(smooth.basis.clone(), [smooth.waves, smooth.outputs]);
        logits + hidden.matmul(weights.get(smooth.weight)).matmul(basis)
    }

    /// Adds to b.
    pub(super) fn add_to_bias(&self, weights: &mut Weights, more: &[f32]) {
        let Some([_, id]) = self.last.affine_ids() else { return };
        let bias = weights.entry(id).values().iter().zip(more).map(|(bias, more)| bias + more).collect();
        weights.set_values(id, bias);
    }

    /// The logits of one digit, `[n, width]` → `[n, choices]`.
    pub(super) fn one(&self, weights: &Weights, hidden: Tensor<2>, digit: Digit) -> Tensor<2> {
        let Some((weight, bias)) = self.last.affine(weights) else { return hidden };
        let [rows, count] = [hidden.dims()[0], digit.count];
        let own = hidden.clone().matmul(weight.narrow(1, digit.first, count));
        let own = own + bias.narrow(0, digit.first, count).reshape([1, count]).expand([rows, count]);
        let Some(smooth) = &self.smooth else { return own };
        let Some(&(first, waves @ 1..)) = smooth.of_digits.get(&digit.first) else { return own };
        let rows_of = |wave: usize| &smooth.basis[(first + wave) * smooth.outputs + digit.first..][..count];
        let basis: Vec<f32> = (0..waves).flat_map(rows_of).copied().collect();
        let basis = Device::of(&hidden).tensor(basis, [waves, count]);
        let a: Tensor<2> = weights.get(smooth.weight);
        own + hidden.matmul(a.narrow(1, first, waves)).matmul(basis)
    }
}
