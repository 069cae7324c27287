//! Adam with decoupled weight decay, one pass over parameter, gradient and both moments.
//!
//!   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
//!   θ ← (1 − η λ) θ − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
//!
//! Kingma & Ba 2015 (arXiv:1412.6980); decay as in Loshchilov & Hutter 2019 (arXiv:1711.05101).

use burn::Tensor;

use crate::plain;

/// The settings of one Adam step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamStep {
    /// η, the learning rate at this step.
    pub learning_rate: f64,
    /// β₁, the decay of the first moment.
    pub beta1: f64,
    /// β₂, the decay of the second moment.
    pub beta2: f64,
    /// ε, added to √v̂.
    pub epsilon: f64,
    /// λ, the decoupled weight decay; 0 for none.
    pub weight_decay: f64,
    /// t, the number of this step; the first is 1.
    pub step: u64,
}

impl Default for AdamStep {
    fn default() -> Self {
        AdamStep { learning_rate: 1e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 1 }
    }
}

/// What a step multiplies by, with the bias corrections folded in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Factors {
    /// 1 − η λ
    pub keep: f64,
    /// η / (1 − β₁ᵗ)
    pub rate: f64,
    /// 1 / √(1 − β₂ᵗ)
    pub root_scale: f64,
}

impl AdamStep {
    pub(crate) fn factors(&self) -> Factors {
        let t = self.step.max(1) as f64;
        Factors {
            keep: 1.0 - self.learning_rate * self.weight_decay,
            rate: self.learning_rate / (1.0 - self.beta1.powf(t)),
            root_scale: 1.0 / (1.0 - self.beta2.powf(t)).sqrt(),
        }
    }
}

/// One Adam step on one parameter: returns the parameter and both moments after it.
///
/// The tensors carry no autodiff association. Those that nobody else holds are updated in place: hand
/// over the only handle (`param.consume()`, then `.inner()`; the gradient by `grad_remove`), or the step
/// works on a copy.
#[must_use]
pub fn adam<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    step: &AdamStep,
) -> [Tensor<D>; 3] {
    plain::adam(parameter, gradient, first, second, step)
}
