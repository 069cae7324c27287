//! The diagonal normal posterior: its reparameterised draw z = μ + e^{λ/2} ε and its rate against N(0, 1).

use std::ops::Range;

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::elementwise::{
    Shared, accumulate, accumulate_products, deviate, deviations, multiply, rates, rates_through,
};
use crate::parallel;
use crate::storage::{in_order, own, sides, tensor_from, values};

/// Elements a thread should have at least.
const LEAST: usize = 1 << 12;

/// z, and σ ε, which its gradient needs: dz/dλ = σ ε / 2. Noise for k draws comes draw-major, one block of all rows
/// after another.
pub(crate) fn draw(
    mean: FlexTensor,
    log_variance: FlexTensor,
    noise: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let (mean, log_variance, noise) = (in_order(mean), in_order(log_variance), in_order(noise));
    let ([n, dims], [rows, wide]) = (sides(&mean), sides(&noise));
    assert!(
        [n, dims] == sides(&log_variance) && dims == wide && (rows == 0 || n > 0 && rows.is_multiple_of(n)),
        "reparameterise: mean, log variance and noise don't fit"
    );
    let (mean, noise) = (values(&mean), values(&noise));
    let mut sigma = vec![0.0; mean.len()];
    deviations(values(&log_variance), &mut sigma);
    let (mut deviation, mut z) = (vec![0.0; noise.len()], vec![0.0; noise.len()]);
    let targets = [&mut deviation, &mut z].map(|values| Shared(values.as_mut_ptr()));
    parallel::ranges(noise.len(), LEAST, |range| {
        for (place, from, count) in blocks(range, mean.len()) {
            // SAFETY: the ranges are disjoint and inside both buffers, which outlive this call.
            let [deviation, z] = [&targets[0], &targets[1]].map(|t| unsafe { t.slice(place, count) });
            let of_rows = from..from + count;
            deviate(&mean[of_rows.clone()], &sigma[of_rows], &noise[place..place + count], deviation, z);
        }
    });
    (tensor_from(z, [rows, dims]), tensor_from(deviation, [rows, dims]))
}

/// Pieces of a range that lie within one block of `length` each: place, place within the block, count.
fn blocks(range: Range<usize>, length: usize) -> impl Iterator<Item = (usize, usize, usize)> {
    let mut place = range.start;
    std::iter::from_fn(move || {
        let from = place.checked_rem(length)?;
        let count = (length - from).min(range.end - place);
        place += count;
        (count > 0).then_some((place - count, from, count))
    })
}

/// For each element of a block: the sum over blocks, in order, of what `add(element range, place, sums)` adds.
fn over_blocks(length: usize, total: usize, add: impl Fn(Range<usize>, &mut [f32]) + Sync) -> Vec<f32> {
    let mut sums = vec![0.0; length];
    let target = Shared(sums.as_mut_ptr());
    parallel::ranges(length, (LEAST * length).div_ceil(total.max(1)), |range| {
        // SAFETY: the ranges are disjoint and inside the sums, which outlive this call.
        let sums = unsafe { target.slice(range.start, range.len()) };
        for block in (0..total).step_by(length.max(1)) {
            add(block + range.start..block + range.end, sums);
        }
    });
    sums
}

/// The rate of each dimension.
pub(crate) fn rate(mean: &FlexTensor, log_variance: &FlexTensor) -> FlexTensor {
    let (mean, log_variance) = (in_order(mean.clone()), in_order(log_variance.clone()));
    let shape: [usize; 2] = sides(&mean);
    assert!(shape == sides(&log_variance), "standard_normal_rate: mean and log variance differ in shape");
    let mut rate = vec![0.0; values(&mean).len()];
    rates(values(&mean), values(&log_variance), &mut rate);
    tensor_from(rate, shape)
}

/// [`draw`] with a node in the graph; the noise is a constant.
pub(crate) fn recorded_draw<C: CheckpointStrategy>(
    mean: FloatTensor<Autodiff<Flex, C>>,
    log_variance: FloatTensor<Autodiff<Flex, C>>,
    noise: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((mean, mean_node), (log_variance, variance_node)) = (mean.into_parts(), log_variance.into_parts());
    let shape = sides(&mean);
    let (z, deviation) = draw(mean, log_variance, noise.into_primitive());
    match DrawBackward.prepare::<C>([mean_node, variance_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((deviation, shape), z),
        OpsKind::UnTracked(prepared) => prepared.finish(z),
    }
}

#[derive(Debug)]
struct DrawBackward;

impl Backward<Flex, 2> for DrawBackward {
    /// σ ε, and the shape of the mean.
    type State = (FlexTensor, [usize; 2]);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dz = in_order(grads.consume::<Flex>(&ops.node));
        let [mean_node, variance_node] = ops.parents;
        let (deviation, shape) = ops.state;
        let (length, total) = (shape[0] * shape[1], values(&dz).len());
        if let Some(node) = variance_node {
            let gradient = if length == total {
                let mut gradient = own(deviation);
                multiply(gradient.storage_mut(), values(&dz), 0.5);
                gradient
            } else {
                let (dz, deviation) = (values(&dz), values(&deviation));
                let mut sums = over_blocks(length, total, |range, sums| {
                    accumulate_products(sums, &dz[range.clone()], &deviation[range]);
                });
                sums.iter_mut().for_each(|sum| *sum *= 0.5);
                tensor_from(sums, shape)
            };
            grads.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = mean_node {
            let gradient = if length == total {
                dz
            } else {
                let dz = values(&dz);
                tensor_from(over_blocks(length, total, |range, sums| accumulate(sums, &dz[range])), shape)
            };
            grads.register::<Flex>(node.id, gradient);
        }
    }
}

/// [`rate`] with a node in the graph.
pub(crate) fn recorded_rate<C: CheckpointStrategy>(
    mean: FloatTensor<Autodiff<Flex, C>>,
    log_variance: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((mean, mean_node), (log_variance, variance_node)) = (mean.into_parts(), log_variance.into_parts());
    let output = rate(&mean, &log_variance);
    match RateBackward.prepare::<C>([mean_node, variance_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish((mean, log_variance), output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct RateBackward;

impl Backward<Flex, 2> for RateBackward {
    type State = (FlexTensor, FlexTensor);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = in_order(grads.consume::<Flex>(&ops.node));
        let (mean, log_variance) = ops.state;
        let [mean_node, variance_node] = ops.parents;
        if let Some(node) = variance_node {
            let mut d_log_variance = tensor_from(values(&gradient).to_vec(), sides::<2>(&gradient));
            rates_through(d_log_variance.storage_mut(), values(&in_order(log_variance)));
            grads.register::<Flex>(node.id, d_log_variance);
        }
        if let Some(node) = mean_node {
            let mut d_mean = own(gradient);
            multiply(d_mean.storage_mut(), values(&in_order(mean)), 1.0);
            grads.register::<Flex>(node.id, d_mean);
        }
    }
}
