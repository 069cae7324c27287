//! Adam with decoupled weight decay, one pass over parameter, gradient and both moments.
//!
//!   m ← β₁ m + (1 − β₁) g,   v ← β₂ v + (1 − β₂) g²
//!   θ ← (1 − η λ) θ − η m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)
//!
//! Kingma & Ba 2015 (arXiv:1412.6980); decay as in Loshchilov & Hutter 2019 (arXiv:1711.05101).

use burn::Tensor;
use burn::backend::Flex;
use burn_flex::FlexTensor;

use crate::elementwise::Shared;
use crate::launches::counted;
use crate::math::vectorised;
use crate::storage::{fusable, in_order, own, values};
use crate::{parallel, plain};

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
    let tensors = [parameter, gradient, first, second];
    if !counted(tensors.iter().all(can)) {
        let [parameter, gradient, first, second] = tensors;
        return plain::adam(parameter, gradient, first, second, step);
    }
    let mut all = [Arrays::of(tensors.map(inner))];
    advance_all(&mut all, step);
    let [Arrays { moved, .. }] = all;
    moved.map(Tensor::from_primitive::<Flex>)
}

/// [`adam`] of many parameters in one pass: parameter, gradient, first and second moment of each.
#[must_use]
pub fn adam_each(all: Vec<[Tensor<1>; 4]>, step: &AdamStep) -> Vec<[Tensor<1>; 3]> {
    if !counted(all.iter().flatten().all(can)) {
        return all.into_iter().map(|[p, g, m, v]| plain::adam(p, g, m, v, step)).collect();
    }
    let mut all: Vec<Arrays> = all.into_iter().map(|tensors| Arrays::of(tensors.map(inner))).collect();
    advance_all(&mut all, step);
    all.into_iter().map(|arrays| arrays.moved.map(Tensor::from_primitive::<Flex>)).collect()
}

fn can<const D: usize>(tensor: &Tensor<D>) -> bool {
    fusable(tensor) && !tensor.is_autodiff()
}

fn inner<const D: usize>(tensor: Tensor<D>) -> FlexTensor {
    let Ok(tensor) = tensor.try_into_primitive::<Flex>() else {
        unreachable!("a tensor on flex without autodiff is flex's own");
    };
    tensor
}

/// A parameter with its first and second moment, which a step moves, and its gradient.
struct Arrays {
    moved: [FlexTensor; 3],
    gradient: FlexTensor,
}

impl Arrays {
    fn of([parameter, gradient, first, second]: [FlexTensor; 4]) -> Self {
        Arrays { moved: [parameter, first, second].map(own), gradient: in_order(gradient) }
    }
}

/// One step of all arrays, as if they were one behind the other: each thread has an equal share.
fn advance_all(all: &mut [Arrays], step: &AdamStep) {
    let mut total = 0;
    let mut places = Vec::with_capacity(all.len());
    for Arrays { moved, gradient } in all {
        let g = values(gradient);
        let [p, m, v] = moved.each_mut().map(FlexTensor::storage_mut::<f32>);
        assert!(
            p.len() == g.len() && m.len() == g.len() && v.len() == g.len(),
            "adam: the tensors differ in shape"
        );
        places.push((total, g, [p, m, v].map(|values| Shared(values.as_mut_ptr()))));
        total += g.len();
    }
    parallel::ranges(total, LEAST, |range| {
        for (first, g, moved) in &places {
            let (start, end) = (range.start.max(*first), range.end.min(first + g.len()));
            if start < end {
                let (start, length) = (start - first, end - start);
                // SAFETY: the ranges are disjoint and inside the buffers, which outlive this call.
                let [p, m, v] = moved.each_ref().map(|values| unsafe { values.slice(start, length) });
                advance(p, &g[start..start + length], m, v, step);
            }
        }
    });
}

/// Elements a thread should have at least.
const LEAST: usize = 1 << 12;

/// A moment below this is 0. A unit that has died sends no gradient: its moments fade, reach the denormal numbers, stay
/// there for ever, and each costs a hundred times as much as another number. What they would move is below 1e-22 η / ε.
const FADED: f32 = 1e-30;

vectorised! {
    /// One step on a run of elements.
    fn advance(parameter: &mut [f32], gradient: &[f32], first: &mut [f32], second: &mut [f32], step: &AdamStep) {
        let factors = step.factors();
        let [keep, rate, root, epsilon] =
            [factors.keep, factors.rate, factors.root_scale, step.epsilon].map(|x| x as f32);
        let [decay, gain] = [step.beta1, 1.0 - step.beta1].map(|x| x as f32);
        let [decay_square, gain_square] = [step.beta2, 1.0 - step.beta2].map(|x| x as f32);
        for (((p, g), m), v) in parameter.iter_mut().zip(gradient).zip(first).zip(second) {
            let mean = decay * *m + gain * g;
            *m = if mean.abs() < FADED { 0.0 } else { mean };
            let square = decay_square * *v + gain_square * (g * g);
            *v = if square < FADED { 0.0 } else { square };
            *p = keep * *p - rate * *m / (v.sqrt() * root + epsilon);
        }
    }
}
