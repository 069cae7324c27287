//! Forward passes on host numbers, for networks that are only ever read: images are rows of channels, `[n, h, w, c]`.
//!
//! A pointwise convolution is one matrix product, a depthwise one a sum over its taps with the channels side by side; bias,
//! residual and ReLU6(x) = min(max(x, 0), 6) are done while a piece is still in the cache. Each call stays on its thread:
//! [`map`] gives threads images of their own.

use std::sync::OnceLock;

use crate::math::vectorised;
use crate::matrix::{Operand, Target, block, kernel, product};
use crate::parallel;

/// A linear map over channels with its bias.
#[derive(Clone, Debug, Default)]
pub struct Layer {
    /// Pointwise `[in, out]`; depthwise `[height · width, channels]`.
    pub weight: Vec<f32>,
    /// `[out]`
    pub bias: Vec<f32>,
}

/// `work(0)`, …, `work(parts − 1)`, shared among the threads; the results in order.
pub fn map<T: Send + Sync>(parts: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let slots: Vec<OnceLock<T>> = (0..parts).map(|_| OnceLock::new()).collect();
    parallel::each(parts, |part| {
        // Each part runs once, so its slot is free.
        let _ = slots[part].set(work(part));
    });
    slots.into_iter().filter_map(OnceLock::into_inner).collect()
}

/// C = A Bᵀ, with the work shared among the threads. A `[m, k]`, B `[n, k]` → `[m, n]`.
///
/// # Panics
/// Where the lengths are no multiples of `k`.
#[must_use]
pub fn product_of_rows(a: &[f32], b: &[f32], k: usize) -> Vec<f32> {
    let width = k.max(1);
    assert!(a.len().is_multiple_of(width) && b.len().is_multiple_of(width), "rows of {k} numbers");
    let (m, n) = (a.len() / width, b.len() / width);
    product([m, n, k], Operand::rows(a, m, k), Operand::rows(b, n, k), |_, _, _| {})
}

/// Numbers of a piece of the result, which should stay in the second cache until they are finished.
const PIECE: usize = 1 << 16;

/// y = ReLU6(x W + b), or y = x W + b (+ residual) where `rectified` is false; into `out`.
///
/// x `[rows, in]`, residual `[rows, out]` → `[rows, out]`.
///
/// # Panics
/// Where lengths don't fit together.
pub fn pointwise(x: &[f32], layer: &Layer, residual: Option<&[f32]>, rectified: bool, out: &mut Vec<f32>) {
    let n = layer.bias.len();
    let k = layer.weight.len() / n.max(1);
    let m = x.len() / k.max(1);
    assert!(layer.weight.len() == k * n && x.len() == m * k, "rows of {k} channels");
    assert!(residual.is_none_or(|values| values.len() == m * n), "a residual of {m} × {n}");
    out.clear();
    out.reserve(m * n);
    let finish = |row: usize, first: usize, values: &mut [f32]| {
        let bias = &layer.bias[first..first + values.len()];
        match residual {
            Some(residual) => add_two(values, bias, &residual[row * n + first..][..values.len()]),
            None if rectified => add_and_clip(values, bias),
            None => add(values, bias),
        }
    };
    let step = (PIECE / n.max(k).max(1)).clamp(196, 1 << 12);
    let (a, b) = (Operand::rows(x, m, k), Operand::transposed(&layer.weight, n, k));
    // SAFETY: the target is the whole capacity reserved above, of which this thread alone knows; `block` writes
    // each element of its rows before `finish` reads it, so that m n numbers hold values when the length is set.
    unsafe {
        let target = Target::over(out.as_mut_ptr(), n);
        for start in (0..m).step_by(step) {
            block(kernel(), start..m.min(start + step), 0..n, k, a, b, &target, false, &finish);
        }
        out.set_len(m * n);
    }
}

vectorised! {
    /// values += bias
    fn add(values: &mut [f32], bias: &[f32]) {
        values.iter_mut().zip(bias).for_each(|(v, b)| *v += b);
    }

    /// values += bias + residual
    fn add_two(values: &mut [f32], bias: &[f32], residual: &[f32]) {
        values.iter_mut().zip(bias).zip(residual).for_each(|((v, b), r)| *v += b + r);
    }

    /// values ← ReLU6(values + bias)
    fn add_and_clip(values: &mut [f32], bias: &[f32]) {
        values.iter_mut().zip(bias).for_each(|(v, b)| *v = (*v + b).clamp(0.0, 6.0));
    }
}

/// The side of a convolution's output and the zeros before its input, padded as TensorFlow's `same`: ⌈side / stride⌉
/// outputs, the odd zero after.
#[must_use]
pub fn same_padding(side: usize, kernel: usize, stride: usize) -> (usize, usize) {
    let stride = stride.max(1);
    let outputs = side.div_ceil(stride);
    let padded = (outputs.max(1) - 1) * stride + kernel;
    (outputs, padded.saturating_sub(side) / 2)
}

/// y = ReLU6(x ⋆ W + b), each channel with a kernel of its own, [padded](same_padding) by zeros; into `out`.
///
/// x `[n, h, w, c]` → `[n, ⌈h / stride⌉, ⌈w / stride⌉, c]`.
///
/// # Panics
/// Where lengths don't fit together.
pub fn depthwise(
    x: &[f32],
    size: [usize; 2],
    layer: &Layer,
    kernel: usize,
    stride: usize,
    out: &mut Vec<f32>,
) {
    let channels = layer.bias.len();
    let image = size[0] * size[1] * channels;
    assert!(layer.weight.len() == kernel * kernel * channels && image > 0 && x.len().is_multiple_of(image));
    let [(rows, above), (columns, before)] = size.map(|side| same_padding(side, kernel, stride));
    let images = x.len() / image;
    out.clear();
    out.resize(images * rows * columns * channels, 0.0);
    let shape = Shape { size, channels, kernel, stride, columns, before };
    for (index, row) in out.chunks_exact_mut(columns * channels).enumerate() {
        let x = &x[index / rows * image..][..image];
        depthwise_row(x, layer, shape, (index % rows * stride, above), row);
    }
}

/// What the rows of one depthwise convolution share.
#[derive(Clone, Copy)]
struct Shape {
    size: [usize; 2],
    channels: usize,
    kernel: usize,
    stride: usize,
    columns: usize,
    before: usize,
}

vectorised! {
    /// One row of outputs, whose first tap lies at input row `at.0 − at.1`.
    fn depthwise_row(x: &[f32], layer: &Layer, shape: Shape, at: (usize, usize), row: &mut [f32]) {
        let Shape { size: [height, width], channels, kernel, stride, columns, before } = shape;
        // The taps that meet the image: tap t lies at place `first + t − padding`.
        let met = |first: usize, padding: usize, side: usize| {
            padding.saturating_sub(first)..kernel.min((side + padding).saturating_sub(first))
        };
        let down = met(at.0, at.1, height);
        for column in 0..columns {
            let across = met(column * stride, before, width);
            let y = &mut row[column * channels..(column + 1) * channels];
            let mut done = 0;
            while done < channels {
                let lanes = if channels - done >= 32 { 32 } else { 16.min(channels - done) };
                let mut sums = [0f32; 32];
                sums[..lanes].copy_from_slice(&layer.bias[done..done + lanes]);
                for i in down.clone() {
                    let line = (at.0 + i - at.1) * width;
                    for j in across.clone() {
                        let place = (line + column * stride + j - before) * channels + done;
                        let tap = (i * kernel + j) * channels + done;
                        match lanes {
                            32 => tap_of::<32, FMA>(&mut sums, &x[place..], &layer.weight[tap..]),
                            16 => tap_of::<16, FMA>(&mut sums, &x[place..], &layer.weight[tap..]),
                            _ => {
                                let taps = x[place..].iter().zip(&layer.weight[tap..]);
                                sums[..lanes].iter_mut().zip(taps).for_each(|(sum, (x, w))| *sum += x * w);
                            }
                        }
                    }
                }
                for (y, sum) in y[done..done + lanes].iter_mut().zip(sums) {
                    *y = sum.clamp(0.0, 6.0);
                }
                done += lanes;
            }
        }
    }
}

/// sums += x · w for the first `LANES` channels.
// Indices up to a constant: what the compiler turns into whole vectors.
#[allow(clippy::needless_range_loop)]
#[inline(always)]
fn tap_of<const LANES: usize, const FMA: bool>(sums: &mut [f32; 32], x: &[f32], weight: &[f32]) {
    let (Some(x), Some(weight)) = (x.first_chunk::<LANES>(), weight.first_chunk::<LANES>()) else { return };
    for lane in 0..LANES {
        sums[lane] =
            if FMA { x[lane].mul_add(weight[lane], sums[lane]) } else { sums[lane] + x[lane] * weight[lane] };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Numbers;

    fn layer(numbers: &mut Numbers, inputs: usize, outputs: usize) -> Layer {
        Layer { weight: numbers.normals(inputs * outputs), bias: numbers.normals(outputs) }
    }

    #[test]
    fn pointwise_layers_agree_with_a_triple_loop() {
        let mut numbers = Numbers::new(11);
        for [m, n, k] in [[1, 1, 1], [700, 96, 16], [401, 33, 300], [9, 1152, 5]] {
            let (x, layer) = (numbers.normals(m * k), layer(&mut numbers, k, n));
            let residual = numbers.normals(m * n);
            for mode in 0..3 {
                let mut y = vec![f32::NAN; 3];
                pointwise(&x, &layer, (mode == 2).then_some(&residual[..]), mode == 1, &mut y);
                assert_eq!(y.len(), m * n);
                for (index, found) in y.iter().enumerate() {
                    let (i, j) = (index / n, index % n);
                    let sum: f64 =
                        (0..k).map(|p| f64::from(x[i * k + p]) * f64::from(layer.weight[p * n + j])).sum();
                    let sum = sum + f64::from(layer.bias[j]);
                    let wanted = match mode {
                        0 => sum,
                        1 => sum.clamp(0.0, 6.0),
                        _ => sum + f64::from(residual[index]),
                    };
                    assert!((f64::from(*found) - wanted).abs() < 2e-5 * (k as f64).sqrt() + 1e-6);
                }
            }
        }
    }

    #[test]
    fn depthwise_layers_agree_with_the_definition() {
        let mut numbers = Numbers::new(12);
        for (n, [h, w], c, kernel, stride) in
            [(2, [7, 9], 48, 3, 1), (1, [8, 8], 50, 5, 2), (3, [5, 6], 3, 3, 2), (1, [1, 1], 16, 5, 1)]
        {
            let (x, layer) = (numbers.normals(n * h * w * c), layer(&mut numbers, kernel * kernel, c));
            let layer = Layer { weight: layer.weight, bias: layer.bias };
            let mut y = Vec::new();
            depthwise(&x, [h, w], &layer, kernel, stride, &mut y);
            let [(rows, above), (columns, before)] = [h, w].map(|side| same_padding(side, kernel, stride));
            assert_eq!(y.len(), n * rows * columns * c);
            for (index, found) in y.iter().enumerate() {
                let (channel, column) = (index % c, index / c % columns);
                let (row, image) = (index / c / columns % rows, index / c / columns / rows);
                let mut sum = f64::from(layer.bias[channel]);
                for i in 0..kernel {
                    for j in 0..kernel {
                        let (y, z) = (
                            (row * stride + i).wrapping_sub(above),
                            (column * stride + j).wrapping_sub(before),
                        );
                        if y < h && z < w {
                            sum += f64::from(x[((image * h + y) * w + z) * c + channel])
                                * f64::from(layer.weight[(i * kernel + j) * c + channel]);
                        }
                    }
                }
                assert!((f64::from(*found) - sum.clamp(0.0, 6.0)).abs() < 1e-4, "{found} {sum}");
            }
        }
    }

    #[test]
    fn padding_is_that_of_tensorflow() {
        assert_eq!(same_padding(224, 3, 2), (112, 0));
        assert_eq!(same_padding(56, 5, 2), (28, 1));
        assert_eq!(same_padding(7, 5, 1), (7, 2));
    }

    #[test]
    fn products_of_rows_and_maps_keep_their_order() {
        let (a, b) = (vec![1.0, 2.0, 3.0, 4.0], vec![1.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
        assert_eq!(product_of_rows(&a, &b, 2), [1.0, 2.0, 3.0, 3.0, 4.0, 7.0]);
        assert_eq!(map(100, |part| part * part), (0..100).map(|i| i * i).collect::<Vec<_>>());
    }
}
