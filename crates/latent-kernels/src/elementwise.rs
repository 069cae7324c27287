//! Activations and their gradients over whole buffers.
//!
//! A layer keeps what its gradient needs: y = φ(z) itself where φ′ is a function of y, else z.

use crate::Activation;
use crate::math::{exp, expm1, sigmoid, softplus_and_sigmoid, tanh, vectorised};
use crate::parallel;

/// Elements below which one thread is faster.
pub(crate) const SERIAL: usize = 1 << 13;

const SLOPE: f32 = crate::LEAKY_SLOPE as f32;

/// What the gradient of an activation is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeps {
    /// φ′ is constant.
    Nothing,
    /// The layer's output y.
    Output,
    /// The layer's output before the activation, z.
    Input,
}

/// Whether the fused bodies know this activation, and what they keep for its gradient.
pub(crate) fn keeps(activation: Activation) -> Option<Keeps> {
    match activation {
        Activation::Identity => Some(Keeps::Nothing),
        Activation::Relu
        | Activation::LeakyRelu
        | Activation::Tanh
        | Activation::Sigmoid
        | Activation::Softplus
        | Activation::Elu => Some(Keeps::Output),
        Activation::Silu => Some(Keeps::Input),
        Activation::Gelu => None,
    }
}

vectorised! {
    /// values ← φ(values)
    pub(crate) fn activate(values: &mut [f32], activation: Activation) {
        match activation {
            Activation::Identity | Activation::Gelu => {}
            Activation::Relu => values.iter_mut().for_each(|v| *v = if *v < 0.0 { 0.0 } else { *v }),
            Activation::LeakyRelu => values.iter_mut().for_each(|v| *v = if *v < 0.0 { SLOPE * *v } else { *v }),
            Activation::Tanh => values.iter_mut().for_each(|v| *v = tanh::<FMA>(*v)),
            Activation::Sigmoid => values.iter_mut().for_each(|v| *v = sigmoid::<FMA>(*v)),
            Activation::Silu => values.iter_mut().for_each(|v| *v *= sigmoid::<FMA>(*v)),
            Activation::Softplus => values.iter_mut().for_each(|v| *v = softplus_and_sigmoid::<FMA>(*v).0),
            Activation::Elu => values.iter_mut().for_each(|v| {
                let below = expm1::<FMA>(if *v > 0.0 { 0.0 } else { *v });
                *v = if *v > 0.0 { *v } else { below };
            }),
        }
    }

    /// values ← φ(values + bias), the bias element by element.
    pub(crate) fn add_and_activate(values: &mut [f32], bias: &[f32], activation: Activation) {
        match activation {
            Activation::Relu => {
                for (v, b) in values.iter_mut().zip(bias) {
                    let sum = *v + b;
                    *v = if sum < 0.0 { 0.0 } else { sum };
                }
            }
            _ => {
                for (v, b) in values.iter_mut().zip(bias) {
                    *v += b;
                }
                activate(values, activation);
            }
        }
    }

    /// values ← φ(values + bias), one bias for all.
    pub(crate) fn shift_and_activate(values: &mut [f32], bias: f32, activation: Activation) {
        if activation == Activation::Relu {
            values.iter_mut().for_each(|v| *v = if *v + bias < 0.0 { 0.0 } else { *v + bias });
        } else {
            values.iter_mut().for_each(|v| *v += bias);
            activate(values, activation);
        }
    }

    /// gradient ← gradient · φ′, from what [`keeps`] names.
    pub(crate) fn through(gradient: &mut [f32], kept: &[f32], activation: Activation) {
        match activation {
            Activation::Identity | Activation::Gelu => {}
            Activation::Relu => {
                gradient.iter_mut().zip(kept).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { 0.0 });
            }
            Activation::LeakyRelu => {
                gradient.iter_mut().zip(kept).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { SLOPE * *g });
            }
            Activation::Tanh => gradient.iter_mut().zip(kept).for_each(|(g, y)| *g *= (1.0 - y) * (1.0 + y)),
            Activation::Sigmoid => gradient.iter_mut().zip(kept).for_each(|(g, y)| *g *= y * (1.0 - y)),
            Activation::Silu => gradient.iter_mut().zip(kept).for_each(|(g, z)| {
                let s = sigmoid::<FMA>(*z);
                *g *= s * (1.0 + z * (1.0 - s));
            }),
            // y = ln(1 + eᶻ), so 1 / (1 + e⁻ᶻ) = 1 − e⁻ʸ.
            Activation::Softplus => gradient.iter_mut().zip(kept).for_each(|(g, y)| *g *= -expm1::<FMA>(-y)),
            Activation::Elu => {
                gradient.iter_mut().zip(kept).for_each(|(g, y)| *g = if *y > 0.0 { *g } else { *g * (y + 1.0) });
            }
        }
    }

    /// sums += values
    pub(crate) fn accumulate(sums: &mut [f32], values: &[f32]) {
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    /// The sum of the values, in sixteen interleaved partial sums.
    pub(crate) fn sum(values: &[f32]) -> f32 {
        let mut partial = [0f32; 16];
        let (chunks, rest) = values.as_chunks::<16>();
        for chunk in chunks {
            partial.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
        }
        partial.iter_mut().zip(rest).for_each(|(sum, value)| *sum += value);
        total(&partial)
    }

    /// out ← exp(½ log variance), the deviation of a normal.
    pub(crate) fn deviations(log_variance: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(log_variance).for_each(|(out, λ)| *out = exp::<FMA>(0.5 * λ));
    }

    /// out ← exp(−log variance), the precision of a normal.
    pub(crate) fn precisions(log_variance: &[f32], out: &mut [f32]) {
        out.iter_mut().zip(log_variance).for_each(|(out, λ)| *out = exp::<FMA>(-λ));
    }

    /// deviation ← σ ε, z ← μ + deviation
    pub(crate) fn deviate(mean: &[f32], sigma: &[f32], noise: &[f32], deviation: &mut [f32], z: &mut [f32]) {
        for ((((mean, sigma), noise), deviation), z) in mean.iter().zip(sigma).zip(noise).zip(deviation).zip(z) {
            *deviation = sigma * noise;
            *z = mean + *deviation;
        }
    }

    /// sums += a b
    pub(crate) fn accumulate_products(sums: &mut [f32], a: &[f32], b: &[f32]) {
        sums.iter_mut().zip(a).zip(b).for_each(|((sum, a), b)| *sum += a * b);
    }

    /// The sum of squares, in double precision and 32 interleaved partial sums, which hide the latency of an addition.
    pub(crate) fn squares(values: &[f32]) -> f64 {
        let mut partial = [0f64; 32];
        let (chunks, rest) = values.as_chunks::<32>();
        for chunk in chunks {
            partial.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += f64::from(*v) * f64::from(*v));
        }
        rest.iter().zip(&mut partial).for_each(|(v, sum)| *sum += f64::from(*v) * f64::from(*v));
        partial.iter().sum()
    }

    /// out ← (μ² + e^λ − λ − 1) / 2
    pub(crate) fn rates(mean: &[f32], log_variance: &[f32], out: &mut [f32]) {
        for ((out, mean), log_variance) in out.iter_mut().zip(mean).zip(log_variance) {
            *out = 0.5 * (mean * mean + (expm1::<FMA>(*log_variance) - log_variance));
        }
    }

    /// gradient ← gradient · (e^λ − 1) / 2
    pub(crate) fn rates_through(gradient: &mut [f32], log_variance: &[f32]) {
        for (gradient, log_variance) in gradient.iter_mut().zip(log_variance) {
            *gradient *= 0.5 * expm1::<FMA>(*log_variance);
        }
    }

    /// a ← scale a b
    pub(crate) fn multiply(a: &mut [f32], b: &[f32], scale: f32) {
        a.iter_mut().zip(b).for_each(|(a, b)| *a *= scale * b);
    }
}

/// Sixteen partial sums, pairwise.
#[inline(always)]
pub(crate) fn total(partial: &[f32; 16]) -> f32 {
    let mut sums = *partial;
    for width in [8, 4, 2, 1] {
        for i in 0..width {
            sums[i] += sums[i + width];
        }
    }
    sums[0]
}

/// gradient ← gradient · φ′ for a buffer of rows, and the sums of its columns (a bias's gradient).
pub(crate) fn through_and_sum(
    gradient: &mut [f32],
    kept: &[f32],
    columns: usize,
    activation: Activation,
) -> Vec<f32> {
    let rows = gradient.len().checked_div(columns).unwrap_or(0);
    let target = Shared(gradient.as_mut_ptr());
    by_columns(rows, columns, |row, range, sums| {
        let start = row * columns + range.start;
        // SAFETY: each part has columns of its own, inside the buffer, which outlives this call.
        let piece = unsafe { target.slice(start, range.len()) };
        through(piece, &kept[start..][..range.len()], activation);
        accumulate(sums, piece);
    })
}

/// The sums of a buffer's columns.
pub(crate) fn sum_columns(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len().checked_div(columns).unwrap_or(0);
    by_columns(rows, columns, |row, range, sums| {
        accumulate(sums, &values[row * columns + range.start..][..range.len()]);
    })
}

/// Visits rows in order, each thread with columns of its own, and collects a sum per column.
fn by_columns(
    rows: usize,
    columns: usize,
    visit: impl Fn(usize, std::ops::Range<usize>, &mut [f32]) + Sync,
) -> Vec<f32> {
    let mut sums = vec![0.0; columns];
    let sums_at = Shared(sums.as_mut_ptr());
    let least = if rows * columns < SERIAL { columns } else { 64 };
    parallel::ranges(columns, least, |range| {
        // SAFETY: each part has columns of its own, inside the sums, which outlive this call.
        let sums = unsafe { sums_at.slice(range.start, range.len()) };
        for row in 0..rows {
            visit(row, range.clone(), sums);
        }
    });
    sums
}

/// A buffer that several threads write, each a part of its own.
pub(crate) struct Shared(pub *mut f32);

// SAFETY: only `slice` reaches the buffer, and its callers promise disjoint parts.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// The range is inside the buffer, holds values (or is only written), and belongs to this thread alone.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn slice(&self, start: usize, length: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.0.add(start), length) }
    }

    /// The address of an element.
    ///
    /// # Safety
    /// The element is inside the buffer (or one past it).
    pub(crate) unsafe fn place(&self, start: usize) -> *mut f32 {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(start) }
    }

    /// Copies values to a place that may hold none yet.
    ///
    /// # Safety
    /// The range is inside the buffer and belongs to this thread alone.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn write(&self, start: usize, values: &[f32]) -> &mut [f32] {
        // SAFETY: the caller's promise; the slice is made once it holds values.
        unsafe {
            self.0.add(start).copy_from_nonoverlapping(values.as_ptr(), values.len());
            self.slice(start, values.len())
        }
    }

    /// Zeros in a place that may hold no values yet.
    ///
    /// # Safety
    /// The range is inside the buffer and belongs to this thread alone.
    #[allow(clippy::mut_from_ref)]
    pub(crate) unsafe fn zeroed(&self, start: usize, length: usize) -> &mut [f32] {
        // SAFETY: the caller's promise; all bits zero is the number 0.
        unsafe {
            self.0.add(start).write_bytes(0, length);
            self.slice(start, length)
        }
    }
}
