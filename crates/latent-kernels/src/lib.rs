//! Fused operations for the hot places of `latent`.
//!
//! Model code calls `dense(x, …)` and sees nothing else. Each function has two bodies: a plain composition
//! of burn operations, which runs anywhere in any float type ([`plain`], also the oracle of the tests),
//! and a fused one for f32 on the CPU backend `flex`, forward and backward, which is chosen at run time.
//! The environment variable `LATENT_KERNELS` = `plain`, `base` or `avx2` allows less than the machine has, for
//! comparisons: the plain bodies alone, no wide vectors, no AVX-512.

#![deny(missing_docs, clippy::undocumented_unsafe_blocks)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use burn::Tensor;
use burn::backend::{Dispatch, Flex};

use crate::convolution_node::Kind;
use crate::distortion::Family;
use crate::extension::Fused;
use crate::group_norm::Form;
use crate::launches::counted;
use crate::storage::fusable;

mod activation;
mod adam;
#[cfg(test)]
mod check;
mod convolution;
mod convolution_node;
mod dense;
mod distortion;
mod elementwise;
mod extension;
mod group_norm;
pub mod host;
mod launches;
mod limit;
mod log_density;
mod math;
mod matrix;
pub mod memory;
mod normal;
mod parallel;
pub mod plain;
mod sigmoid;
mod storage;
#[cfg(test)]
mod tests;

pub use activation::{Activation, LEAKY_SLOPE, UnknownActivation};
pub use adam::{AdamStep, adam, adam_each};
pub use launches::{Launches, launches};
pub use limit::{UnknownLimit, check_limit, instructions};

/// y = φ(x W + b)
///
/// x `[rows, in]`, weight `[in, out]`, bias `[out]` → `[rows, out]`.
#[must_use]
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    if !counted(fusable(&x) && fusable(&weight) && fusable(&bias)) {
        return plain::dense(x, weight, bias, activation);
    }
    let (last, activation) = unfused(activation);
    let y =
        Dispatch::fused_dense(x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch(), activation);
    last.apply(Tensor::from_dispatch(y))
}

/// y = φ(x ⋆ W + b), the cross-correlation with a bank of kernels.
///
/// x `[n, in, h, w]`, weight `[out, in, kh, kw]`, bias `[out]` →
/// `[n, out, (h + 2 padding − kh) / stride + 1, …]`. A kernel may exceed the image as long as it fits
/// the padded one.
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: [usize; 2],
    padding: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    if !counted(fusable(&x) && fusable(&weight) && fusable(&bias)) {
        return plain::conv2d(x, weight, bias, stride, padding, activation);
    }
    convolution_of(x, weight, bias, Kind::Straight { upsampled: None, stride, padding }, activation)
}

/// y = φ(xᵀ⋆ W + b), the transpose of [`conv2d`] as a linear map, then bias and activation.
///
/// x `[n, in, h, w]`, weight `[in, out, kh, kw]`, bias `[out]` →
/// `[n, out, (h − 1) stride − 2 padding + kh + output_padding, …]`.
#[must_use]
pub fn conv_transpose2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: [usize; 2],
    padding: [usize; 2],
    output_padding: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    if !counted(fusable(&x) && fusable(&weight) && fusable(&bias)) {
        return plain::conv_transpose2d(x, weight, bias, stride, padding, output_padding, activation);
    }
    convolution_of(x, weight, bias, Kind::Transposed { stride, padding, output_padding }, activation)
}

/// Nearest-neighbour upsampling to `size`, then [`conv2d`] with stride 1.
///
/// `size` is what the upsampling gives, each side at least the image's: pixel i of s shows pixel
/// ⌊i h / s⌋ of h. x `[n, in, h, w]`, weight `[out, in, kh, kw]`, bias `[out]` →
/// `[n, out, size + 2 padding − k + 1, …]`.
#[must_use]
pub fn upsample_nearest_conv2d(
    x: Tensor<4>,
    size: [usize; 2],
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    if !counted(fusable(&x) && fusable(&weight) && fusable(&bias)) {
        return plain::upsample_nearest_conv2d(x, size, weight, bias, padding, activation);
    }
    convolution_of(
        x,
        weight,
        bias,
        Kind::Straight { upsampled: Some(size), stride: [1, 1], padding },
        activation,
    )
}

/// y = 1 / (1 + e⁻ˣ) of each element, in place where nobody else holds the tensor.
#[must_use]
pub fn sigmoid(x: Tensor<2>) -> Tensor<2> {
    if !counted(fusable(&x)) {
        return plain::sigmoid(x);
    }
    Tensor::from_dispatch(Dispatch::fused_sigmoid(x.into_dispatch()))
}

/// y = φ(γ (x − μ)/√(σ² + ε) + β) with μ and σ² of each group of channels of each row.
///
/// x `[n, c, h, w]`, γ (gain) and β (shift) `[c]`; `groups` divides c.
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gain: Tensor<1>,
    shift: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activation: Activation,
) -> Tensor<4> {
    if !counted(fusable(&x) && fusable(&gain) && fusable(&shift)) {
        return plain::group_norm(x, gain, shift, groups, epsilon, activation);
    }
    let (last, activation) = unfused(activation);
    let form = Form { groups, epsilon, activation };
    let y = Dispatch::fused_group_norm(x.into_dispatch(), gain.into_dispatch(), shift.into_dispatch(), form);
    last.apply(Tensor::from_dispatch(y))
}

/// z = μ + σ ε with σ² = e^{log variance}, the reparameterised draw; no gradient flows to the noise.
///
/// mean and log variance `[n, latent]`, noise `[k·n, latent]`, draw-major: row d·n + i is draw d for row i.
#[must_use]
pub fn reparameterise(mean: Tensor<2>, log_variance: Tensor<2>, noise: Tensor<2>) -> Tensor<2> {
    if !counted([&mean, &log_variance, &noise].into_iter().all(fusable)) {
        return plain::reparameterise(mean, log_variance, noise.detach());
    }
    let [mean, log_variance, noise] = [mean, log_variance, noise].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_reparameterise(mean, log_variance, noise))
}

/// KL(N(μ, σ²) ‖ N(0, 1)) = (μ² + σ² − ln σ² − 1) / 2 of each dimension, in nats.
///
/// All `[rows, latent]`.
#[must_use]
pub fn standard_normal_rate(mean: Tensor<2>, log_variance: Tensor<2>) -> Tensor<2> {
    if !counted([&mean, &log_variance].into_iter().all(fusable)) {
        return plain::standard_normal_rate(mean, log_variance);
    }
    Tensor::from_dispatch(Dispatch::fused_rate(mean.into_dispatch(), log_variance.into_dispatch()))
}

/// log N(z; μ, σ²) = −½ Σ (ln 2π + ln σ² + (z − μ)² / σ²) of each row, in nats.
///
/// z `[k·n, latent]`, mean and log variance `[n, latent]`, draw-major: row d·n + i of z meets row i.
#[must_use]
pub fn normal_log_density(z: Tensor<2>, mean: Tensor<2>, log_variance: Tensor<2>) -> Tensor<1> {
    if !counted([&z, &mean, &log_variance].into_iter().all(fusable)) {
        return plain::normal_log_density(z, mean, log_variance);
    }
    let [z, mean, log_variance] = [z, mean, log_variance].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_normal_log_density(z, mean, log_variance))
}

/// log N(z; 0, 1) of each row, in nats; z `[rows, latent]`.
#[must_use]
pub fn standard_normal_log_density(z: Tensor<2>) -> Tensor<1> {
    if !counted(fusable(&z)) {
        return plain::standard_normal_log_density(z);
    }
    Tensor::from_dispatch(Dispatch::fused_standard_normal_log_density(z.into_dispatch()))
}

/// ln (1/k Σ_d e^{w_d}) over k draws, with the greatest taken out first; −∞ where all are.
///
/// log weights `[k·n]`, draw-major → `[n]`.
#[must_use]
pub fn log_mean_exp(log_weights: Tensor<1>, draws: usize) -> Tensor<1> {
    if !counted(fusable(&log_weights)) {
        return plain::log_mean_exp(log_weights, draws);
    }
    Tensor::from_dispatch(Dispatch::fused_log_mean_exp(log_weights.into_dispatch(), draws))
}

/// Σ v², in double precision where it is fused.
#[must_use]
pub fn sum_of_squares<const D: usize>(values: &Tensor<D>) -> f64 {
    if !counted(fusable(values) && !values.is_autodiff()) {
        return plain::sum_of_squares(values.clone());
    }
    match values.clone().try_into_primitive::<Flex>() {
        Ok(values) => sum_of_parts(storage::values(&storage::in_order(values))),
        Err(_) => plain::sum_of_squares(values.clone()),
    }
}

/// Runs `work(row, its values)` on each row of a buffer of rows, `width` wide, on several threads where each has
/// `least` numbers or more. For numbers that are made on the host, such as noise.
pub fn each_row(values: &mut [f32], width: usize, least: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = values.len().checked_div(width).unwrap_or(0);
    let target = elementwise::Shared(values.as_mut_ptr());
    parallel::ranges(rows, least.div_ceil(width.max(1)), |range| {
        for row in range {
            // SAFETY: each part has rows of its own, inside the buffer, which is borrowed for the whole call.
            work(row, unsafe { target.slice(row * width, width) });
        }
    });
}

/// Runs `work(index, chunk)` on each chunk of `length` numbers (the last may be shorter); whichever thread is free takes
/// the next one. Within a chunk the functions of this crate stay on its thread.
pub fn each_chunk(values: &mut [f32], length: usize, work: impl Fn(usize, &mut [f32]) + Sync) {
    let (length, total) = (length.max(1), values.len());
    let target = elementwise::Shared(values.as_mut_ptr());
    parallel::each(total.div_ceil(length), |index| {
        let start = index * length;
        // SAFETY: the chunks are disjoint and inside the buffer, which is borrowed for the whole call.
        work(index, unsafe { target.slice(start, length.min(total - start)) });
    });
}

/// The squares of parts of one length, added in order whatever the number of threads.
fn sum_of_parts(values: &[f32]) -> f64 {
    const PART: usize = 1 << 14;
    let sums: Vec<AtomicU64> = values.chunks(PART).map(|_| AtomicU64::new(0)).collect();
    parallel::each(sums.len(), |part| {
        let values = &values[part * PART..values.len().min((part + 1) * PART)];
        sums[part].store(elementwise::squares(values).to_bits(), Relaxed);
    });
    sums.into_iter().map(|sum| f64::from_bits(sum.into_inner())).sum()
}

/// −ln p(x) under Bernoulli pixels: Σ ln(1 + eˡ) − x l, in nats a row. x is data: no gradient flows to it.
///
/// logits `[k·n, features]` against x `[n, features]`, draw-major: row d·n + i is draw d for row i. x may
/// be anything in [0, 1] (the cross-entropy then).
#[must_use]
pub fn bernoulli_distortion(logits: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    one_parameter(logits, x, Family::Bernoulli, plain::bernoulli_distortion)
}

/// Σ (x − μ)² of each row; shapes as in [`bernoulli_distortion`].
#[must_use]
pub fn squared_error(mean: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    one_parameter(mean, x, Family::SquaredError, plain::squared_error)
}

/// −ln p(x) under independent normals: Σ ((x − μ)² / σ² + ln σ² + ln 2π) / 2, in nats a row.
///
/// mean and log variance `[k·n, features]`; shapes otherwise as in [`bernoulli_distortion`].
#[must_use]
pub fn normal_distortion(mean: Tensor<2>, log_variance: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    two_parameters(mean, log_variance, x, Family::Normal, plain::normal_distortion)
}

/// −ln p(x) under the logistic distribution discretised to `levels` values from 0 to 1, in nats a row.
///
/// P(x) = F(x + h) − F(x − h), half a level h = 1 / 2(levels − 1), F the logistic distribution function
/// of mean μ and scale s; the first and the last level take the tails. mean and log scale
/// `[k·n, features]`, `levels` ≥ 2; shapes otherwise as in [`bernoulli_distortion`].
#[must_use]
pub fn logistic_distortion(mean: Tensor<2>, log_scale: Tensor<2>, x: Tensor<2>, levels: usize) -> Tensor<1> {
    let half = 0.5 / levels.saturating_sub(1).max(1) as f32;
    two_parameters(mean, log_scale, x, Family::Logistic(half), |mean, log_scale, x| {
        plain::logistic_distortion(mean, log_scale, x, levels)
    })
}

fn convolution_of(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    kind: Kind,
    activation: Activation,
) -> Tensor<4> {
    let (last, activation) = unfused(activation);
    let (x, weight, bias) = (x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch());
    last.apply(Tensor::from_dispatch(Dispatch::fused_convolution(x, weight, bias, kind, activation)))
}

fn one_parameter(
    parameter: Tensor<2>,
    x: Tensor<2>,
    family: Family,
    plain: impl Fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
) -> Tensor<1> {
    if !counted([&parameter, &x].into_iter().all(fusable)) {
        return plain(parameter, x.detach());
    }
    Tensor::from_dispatch(Dispatch::fused_distortion(parameter.into_dispatch(), x.into_dispatch(), family))
}

fn two_parameters(
    first: Tensor<2>,
    second: Tensor<2>,
    x: Tensor<2>,
    family: Family,
    plain: impl Fn(Tensor<2>, Tensor<2>, Tensor<2>) -> Tensor<1>,
) -> Tensor<1> {
    if !counted([&first, &second, &x].into_iter().all(fusable)) {
        return plain(first, second, x.detach());
    }
    let [first, second, x] = [first, second, x].map(Tensor::into_dispatch);
    Tensor::from_dispatch(Dispatch::fused_distortion_of_two(first, second, x, family))
}

/// The activation that remains to be done after a fused body, and the one that the body does.
fn unfused(activation: Activation) -> (Activation, Activation) {
    match elementwise::keeps(activation) {
        Some(_) => (Activation::Identity, activation),
        None => (activation, Activation::Identity),
    }
}
