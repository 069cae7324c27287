//! The diagonal normal posterior: its reparameterised draw z = μ + e^{λ/2} ε and its rate against N(0, 1).

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::elementwise::{accumulate, deviations, multiply, rates, rates_through};
use crate::storage::{in_order, own, sides, tensor_from, values};

/// z, and σ ε, which its gradient needs: dz/dλ = σ ε / 2.
pub(crate) fn draw(
    mean: FlexTensor,
    log_variance: FlexTensor,
    noise: FlexTensor,
) -> (FlexTensor, FlexTensor) {
    let (mean, log_variance, noise) = (in_order(mean), in_order(log_variance), in_order(noise));
    let shape: [usize; 2] = sides(&mean);
    assert!(
        shape == sides(&log_variance) && shape == sides(&noise),
        "reparameterise: mean, log variance and noise differ in shape"
    );
    let mut deviation = vec![0.0; values(&mean).len()];
    deviations(values(&log_variance), values(&noise), &mut deviation);
    let mut z = values(&mean).to_vec();
    accumulate(&mut z, &deviation);
    (tensor_from(z, shape), tensor_from(deviation, shape))
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
    let (z, deviation) = draw(mean, log_variance, noise.into_primitive());
    match DrawBackward.prepare::<C>([mean_node, variance_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(deviation, z),
        OpsKind::UnTracked(prepared) => prepared.finish(z),
    }
}

#[derive(Debug)]
struct DrawBackward;

impl Backward<Flex, 2> for DrawBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let dz = in_order(grads.consume::<Flex>(&ops.node));
        let [mean_node, variance_node] = ops.parents;
        if let Some(node) = variance_node {
            let mut gradient = own(ops.state);
            multiply(gradient.storage_mut(), values(&dz), 0.5);
            grads.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = mean_node {
            grads.register::<Flex>(node.id, dz);
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
