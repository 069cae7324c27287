//! The plain compositions: each function of this crate written in burn's own tensor operations.
//!
//! They run on every device and in every float type, they are what the fused bodies fall back to, and
//! they are the oracle of the tests (in f64).

use burn::Tensor;
use burn::tensor::module;
use burn::tensor::ops::{ConvOptions, ConvTransposeOptions};
use burn::tensor::{Int, TensorData};

use crate::{Activation, AdamStep};

/// ln 2π
const LOG_TWO_PI: f64 = 1.837_877_066_409_345_5;

/// See [`crate::dense`].
#[must_use]
pub fn dense(x: Tensor<2>, weight: Tensor<2>, bias: Tensor<1>, activation: Activation) -> Tensor<2> {
    activation.apply(x.matmul(weight) + bias.unsqueeze())
}

/// See [`crate::conv2d`].
#[must_use]
pub fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Tensor<1>,
    stride: [usize; 2],
    padding: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    let options = ConvOptions::new(stride, padding, [1, 1], 1);
    activation.apply(module::conv2d(x, weight, Some(bias), options))
}

/// See [`crate::conv_transpose2d`].
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
    let options = ConvTransposeOptions::new(stride, padding, output_padding, [1, 1], 1);
    activation.apply(module::conv_transpose2d(x, weight, Some(bias), options))
}

/// See [`crate::upsample_nearest_conv2d`].
#[must_use]
pub fn upsample_nearest_conv2d(
    x: Tensor<4>,
    size: [usize; 2],
    weight: Tensor<4>,
    bias: Tensor<1>,
    padding: [usize; 2],
    activation: Activation,
) -> Tensor<4> {
    conv2d(upsample_nearest(x, size), weight, bias, [1, 1], padding, activation)
}

/// y[·, ·, i, j] = x[·, ·, ⌊i h / size₀⌋, ⌊j w / size₁⌋].
#[must_use]
pub fn upsample_nearest(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let [rows, columns] = size;
    if [rows, columns] == [h, w] {
        return x;
    }
    if rows % h == 0 && columns % w == 0 {
        let (p, q) = (rows / h, columns / w);
        return x.reshape([n, c, h, 1, w, 1]).expand([n, c, h, p, w, q]).reshape([n, c, rows, columns]);
    }
    let device = x.device();
    let sources = |from: usize, to: usize| {
        let indices: Vec<i64> = (0..to).map(|i| (i * from / to) as i64).collect();
        Tensor::<1, Int>::from_data(TensorData::new(indices, [to]), &device)
    };
    let (vertical, horizontal) = (sources(h, rows), sources(w, columns));
    x.select(2, vertical).select(3, horizontal)
}

/// See [`crate::group_norm`].
#[must_use]
pub fn group_norm(
    x: Tensor<4>,
    gain: Tensor<1>,
    shift: Tensor<1>,
    groups: usize,
    epsilon: f64,
    activation: Activation,
) -> Tensor<4> {
    let [rows, channels, height, width] = x.dims();
    let each = |t: Tensor<1>| t.reshape([1, channels, 1, 1]);
    let grouped = x.reshape([rows * groups, channels / groups * height * width]);
    let deviation = grouped.clone() - grouped.mean_dim(1);
    let variance = (deviation.clone() * deviation.clone()).mean_dim(1);
    let y = deviation * variance.add_scalar(epsilon).sqrt().recip();
    activation.apply(y.reshape([rows, channels, height, width]) * each(gain) + each(shift))
}

/// See [`crate::reparameterise`].
#[must_use]
pub fn reparameterise(mean: Tensor<2>, log_variance: Tensor<2>, noise: Tensor<2>) -> Tensor<2> {
    let rows = noise.dims()[0];
    per_draw(mean, rows) + per_draw(log_variance.mul_scalar(0.5).exp(), rows) * noise
}

/// See [`crate::normal_log_density`].
#[must_use]
pub fn normal_log_density(z: Tensor<2>, mean: Tensor<2>, log_variance: Tensor<2>) -> Tensor<1> {
    let rows = z.dims()[0];
    let (mean, log_variance) = (per_draw(mean, rows), per_draw(log_variance, rows));
    let apart = z - mean;
    let square = apart.clone() * apart * log_variance.clone().neg().exp();
    sum_rows((log_variance + square).add_scalar(LOG_TWO_PI).mul_scalar(-0.5))
}

/// See [`crate::standard_normal_log_density`].
#[must_use]
pub fn standard_normal_log_density(z: Tensor<2>) -> Tensor<1> {
    sum_rows((z.clone() * z).add_scalar(LOG_TWO_PI).mul_scalar(-0.5))
}

/// See [`crate::log_mean_exp`].
#[must_use]
pub fn log_mean_exp(log_weights: Tensor<1>, draws: usize) -> Tensor<1> {
    let n = log_weights.dims()[0] / draws.max(1);
    let w = log_weights.reshape([draws, n]);
    // −∞ − (−∞) would be NaN.
    let greatest = w.clone().detach().max_dim(0).clamp_min(f32::MIN);
    let sum = (w - greatest.clone()).exp().sum_dim(0).log() + greatest;
    sum.reshape([n]).sub_scalar((draws as f64).ln())
}

/// See [`crate::sigmoid`].
#[must_use]
pub fn sigmoid(x: Tensor<2>) -> Tensor<2> {
    burn::tensor::activation::sigmoid(x)
}

/// See [`crate::sum_of_squares`].
#[must_use]
pub fn sum_of_squares<const D: usize>(values: Tensor<D>) -> f64 {
    let sum = (values.clone() * values).sum();
    sum.try_to_vec_as::<f64>().ok().and_then(|sum| sum.first().copied()).unwrap_or(f64::NAN)
}

/// See [`crate::standard_normal_rate`].
#[must_use]
pub fn standard_normal_rate(mean: Tensor<2>, log_variance: Tensor<2>) -> Tensor<2> {
    (mean.clone() * mean + log_variance.clone().exp() - log_variance).sub_scalar(1.0).mul_scalar(0.5)
}

/// See [`crate::bernoulli_distortion`].
#[must_use]
pub fn bernoulli_distortion(logits: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let x = per_draw(x, logits.dims()[0]);
    sum_rows(softplus(logits.clone()) - x * logits)
}

/// See [`crate::squared_error`].
#[must_use]
pub fn squared_error(mean: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let difference = mean.clone() - per_draw(x, mean.dims()[0]);
    sum_rows(difference.clone() * difference)
}

/// See [`crate::normal_distortion`].
#[must_use]
pub fn normal_distortion(mean: Tensor<2>, log_variance: Tensor<2>, x: Tensor<2>) -> Tensor<1> {
    let difference = mean.clone() - per_draw(x, mean.dims()[0]);
    let square = difference.clone() * difference;
    sum_rows(
        (square * log_variance.clone().neg().exp() + log_variance).add_scalar(LOG_TWO_PI).mul_scalar(0.5),
    )
}

/// See [`crate::logistic_distortion`].
#[must_use]
pub fn logistic_distortion(mean: Tensor<2>, log_scale: Tensor<2>, x: Tensor<2>, levels: usize) -> Tensor<1> {
    let half = 0.5 / levels.saturating_sub(1).max(1) as f64;
    let x = per_draw(x, mean.dims()[0]);
    let precision = log_scale.neg().exp();
    let centred = x.clone() - mean;
    let upper = centred.clone().add_scalar(half) * precision.clone();
    let lower = centred.sub_scalar(half) * precision.clone();
    // −ln[σ(u) − σ(l)] = softplus(−u) + softplus(l) − ln(1 − e^{l−u}), and u − l = 2 half / s
    let gap = precision.mul_scalar(2.0 * half);
    let inside = gap.neg().exp().neg().log1p().neg();
    let (first, last) = (x.clone().lower_elem(half), x.greater_elem(1.0 - half));
    let below = softplus(upper.neg()).mask_fill(last.clone(), 0.0);
    let above = softplus(lower).mask_fill(first.clone(), 0.0);
    sum_rows(below + above + inside.mask_fill(first, 0.0).mask_fill(last, 0.0))
}

/// See [`crate::adam`].
#[must_use]
pub fn adam<const D: usize>(
    parameter: Tensor<D>,
    gradient: Tensor<D>,
    first: Tensor<D>,
    second: Tensor<D>,
    step: &AdamStep,
) -> [Tensor<D>; 3] {
    let factors = step.factors();
    let first = first.mul_scalar(step.beta1) + gradient.clone().mul_scalar(1.0 - step.beta1);
    let second = second.mul_scalar(step.beta2) + gradient.clone().mul(gradient).mul_scalar(1.0 - step.beta2);
    let denominator = second.clone().sqrt().mul_scalar(factors.root_scale).add_scalar(step.epsilon);
    let decayed = parameter.mul_scalar(factors.keep);
    let parameter = decayed - first.clone().div(denominator).mul_scalar(factors.rate);
    [parameter, first, second]
}

/// ln(1 + eˣ) = max(x, 0) + ln(1 + e^{−|x|}), which neither overflows nor loses its tails.
fn softplus(x: Tensor<2>) -> Tensor<2> {
    burn::tensor::activation::relu(x.clone()) + x.abs().neg().exp().log1p()
}

fn sum_rows(x: Tensor<2>) -> Tensor<1> {
    x.sum_dim(1).squeeze_dim(1)
}

/// The n rows of x once for each draw: row d·n + i is row i.
fn per_draw(x: Tensor<2>, rows: usize) -> Tensor<2> {
    let n = x.dims()[0];
    if n == rows { x } else { x.repeat_dim(0, rows / n.max(1)) }
}
