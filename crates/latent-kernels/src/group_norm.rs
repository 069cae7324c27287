//! Group normalisation of maps with its activation: y = φ(γ x̂ + β), x̂ = (x − μ) r, r = 1/√(σ² + ε), with μ and σ² of a group
//! of channels of one row (Wu & He, arXiv 1803.08494).
//!
//!   dγ = Σ dz x̂,  dβ = Σ dz,  dx = r (γ dz − A − x̂ B),  A and B the means of γ dz and γ dz x̂ over the group
//!
//! The node keeps x, μ and r: what the activation's gradient needs is made again from them, channel by channel, while the
//! channel is in the cache.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::Activation;
use crate::elementwise::{Keeps, Shared, activate, keeps, sum, sum_columns, through, total};
use crate::math::vectorised;
use crate::parallel;
use crate::storage::{in_order, own, sides, tensor_from, values};

/// Groups are split among threads from so many numbers on.
const LEAST: usize = 1 << 12;

/// Partial sums in single precision are taken over so many numbers, and added in double.
const STRETCH: usize = 1 << 10;

/// How channels are grouped, and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub groups: usize,
    pub epsilon: f64,
    pub activation: Activation,
}

/// What the gradient needs.
#[derive(Clone, Debug)]
struct Kept {
    x: FlexTensor,
    gain: FlexTensor,
    shift: FlexTensor,
    /// μ and r of each group of each row.
    moments: Vec<[f32; 2]>,
    form: Form,
}

vectorised! {
    /// Σ (v − mean)², in sixteen interleaved partial sums.
    fn squares_about(values: &[f32], mean: f32) -> f32 {
        let mut partial = [0f32; 16];
        let (chunks, rest) = values.as_chunks::<16>();
        for chunk in chunks {
            partial.iter_mut().zip(chunk).for_each(|(sum, v)| *sum += (v - mean) * (v - mean));
        }
        partial.iter_mut().zip(rest).for_each(|(sum, v)| *sum += (v - mean) * (v - mean));
        total(&partial)
    }

    /// out ← scale (x − mean) + shift
    fn normalise(x: &[f32], mean: f32, scale: f32, shift: f32, out: &mut [f32]) {
        out.iter_mut().zip(x).for_each(|(out, x)| *out = scale * (x - mean) + shift);
    }

    /// Σ (x − mean) dz, in sixteen interleaved partial sums.
    fn products_about(dz: &[f32], x: &[f32], mean: f32) -> f32 {
        let mut partial = [0f32; 16];
        let ((a, a_rest), (b, b_rest)) = (dz.as_chunks::<16>(), x.as_chunks::<16>());
        for (a, b) in a.iter().zip(b) {
            partial.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (dz, x))| *sum += dz * (x - mean));
        }
        partial.iter_mut().zip(a_rest.iter().zip(b_rest)).for_each(|(sum, (dz, x))| *sum += dz * (x - mean));
        total(&partial)
    }

    /// dz ← scale dz − across (x − mean) − level
    fn centre(dz: &mut [f32], x: &[f32], mean: f32, scale: f32, across: f32, level: f32) {
        dz.iter_mut().zip(x).for_each(|(dz, x)| *dz = scale * *dz - (across * (x - mean) + level));
    }
}

/// A sum over stretches, in double precision.
fn over(values: &[f32], of: impl Fn(&[f32]) -> f32) -> f64 {
    values.chunks(STRETCH).map(|stretch| f64::from(of(stretch))).sum()
}

/// Rows, channels and the places of a channel.
fn outline(x: &FlexTensor) -> [usize; 3] {
    let [rows, channels, height, width] = sides(x);
    [rows, channels, height * width]
}

/// y, and μ and r of each group of each row.
pub(crate) fn forward(
    x: &FlexTensor,
    gain: &FlexTensor,
    shift: &FlexTensor,
    form: Form,
) -> (FlexTensor, Vec<[f32; 2]>) {
    let [rows, channels, places] = outline(x);
    let each = channels / form.groups;
    let size = each * places;
    let (input, gain, shift) = (values(x), values(gain), values(shift));
    let mut y = vec![0.0; input.len()];
    let mut moments = vec![0.0; 2 * rows * form.groups];
    let targets = [&mut y, &mut moments].map(|values| Shared(values.as_mut_ptr()));
    parallel::ranges(rows * form.groups, LEAST.div_ceil(size.max(1)), |range| {
        for group in range {
            let x = &input[group * size..][..size];
            let mean = (over(x, sum) / size as f64) as f32;
            let variance = over(x, |x| squares_about(x, mean)) / size as f64;
            let r = (1.0 / (variance + form.epsilon).sqrt()) as f32;
            // SAFETY: each part has groups of its own, inside both buffers, which outlive this call.
            let [y, kept] = unsafe { [targets[0].slice(group * size, size), targets[1].slice(2 * group, 2)] };
            kept.copy_from_slice(&[mean, r]);
            let first = group % form.groups * each;
            for (channel, (x, y)) in (first..).zip(x.chunks(places).zip(y.chunks_mut(places))) {
                normalise(x, mean, r * gain[channel], shift[channel], y);
                activate(y, form.activation);
            }
        }
    });
    (tensor_from(y, sides::<4>(x)), moments.as_chunks::<2>().0.to_vec())
}

/// [`forward`] with a node in the graph.
pub(crate) fn recorded<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    gain: FloatTensor<Autodiff<Flex, C>>,
    shift: FloatTensor<Autodiff<Flex, C>>,
    form: Form,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((x, x_node), (gain, gain_node), (shift, shift_node)) =
        (x.into_parts(), gain.into_parts(), shift.into_parts());
    let (x, gain, shift) = (in_order(x), in_order(gain), in_order(shift));
    let (y, moments) = forward(&x, &gain, &shift, form);
    match GroupNormBackward.prepare::<C>([x_node, gain_node, shift_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(Kept { x, gain, shift, moments, form }, y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

#[derive(Debug)]
struct GroupNormBackward;

impl Backward<Flex, 3> for GroupNormBackward {
    type State = Kept;

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let Kept { x, gain, shift, moments, form } = ops.state;
        let [rows, channels, places] = outline(&x);
        let (input, gain, shift) = (values(&x), values(&gain), values(&shift));
        let each = channels / form.groups;
        let size = each * places;
        let mut dx = own(grads.consume::<Flex>(&ops.node));
        // Of each channel of each row: Σ dz x̂ and Σ dz.
        let (mut by_gain, mut by_shift) = (vec![0.0; rows * channels], vec![0.0; rows * channels]);
        let targets = [dx.storage_mut(), &mut by_gain, &mut by_shift]
            .map(|values: &mut [f32]| Shared(values.as_mut_ptr()));
        let kept = keeps(form.activation);
        parallel::ranges(rows * form.groups, LEAST.div_ceil(size.max(1)), |range| {
            let mut inner = vec![0.0; places];
            for group in range {
                let x = &input[group * size..][..size];
                let [mean, r] = moments[group];
                // SAFETY: each part has groups of its own, inside the buffers, which outlive this call.
                let [dx, by_gain, by_shift] = unsafe {
                    [
                        targets[0].slice(group * size, size),
                        targets[1].slice(group * each, each),
                        targets[2].slice(group * each, each),
                    ]
                };
                let first = group % form.groups * each;
                let (mut level, mut across) = (0.0, 0.0);
                for (index, (x, dz)) in x.chunks(places).zip(dx.chunks_mut(places)).enumerate() {
                    let gain = gain[first + index];
                    if kept != Some(Keeps::Nothing) {
                        normalise(x, mean, r * gain, shift[first + index], &mut inner);
                        if kept == Some(Keeps::Output) {
                            activate(&mut inner, form.activation);
                        }
                        through(dz, &inner, form.activation);
                    }
                    let sums = over(dz, sum);
                    let products: f64 = dz
                        .chunks(STRETCH)
                        .zip(x.chunks(STRETCH))
                        .map(|(dz, x)| f64::from(products_about(dz, x, mean)))
                        .sum::<f64>()
                        * f64::from(r);
                    by_gain[index] = products as f32;
                    by_shift[index] = sums as f32;
                    level += f64::from(gain) * sums;
                    across += f64::from(gain) * products;
                }
                let r = f64::from(r);
                let (level, across) =
                    ((r * level / size as f64) as f32, (r * r * across / size as f64) as f32);
                for (index, (x, dz)) in x.chunks(places).zip(dx.chunks_mut(places)).enumerate() {
                    centre(dz, x, mean, r as f32 * gain[first + index], across, level);
                }
            }
        });
        let [x_node, gain_node, shift_node] = ops.parents;
        if let Some(node) = x_node {
            grads.register::<Flex>(node.id, dx);
        }
        for (node, sums) in [(gain_node, by_gain), (shift_node, by_shift)] {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor_from(sum_columns(&sums, channels), [channels]));
            }
        }
    }
}
