//! The sigmoid by itself, y = 1 / (1 + e⁻ˣ): what squashes a decoder's outputs into the range of pixels.
//!
//!   dx = dy ⊙ y (1 − y)

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::Activation;
use crate::elementwise::{activate, through};
use crate::parallel;
use crate::storage::{own, values};

/// y, in the place of x where nobody else holds it.
pub(crate) fn forward(x: FlexTensor) -> FlexTensor {
    let mut y = own(x);
    parallel::slices(y.storage_mut(), |values, _| activate(values, Activation::Sigmoid));
    y
}

/// [`forward`] with a node in the graph.
pub(crate) fn recorded<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (x, node) = x.into_parts();
    let y = forward(x);
    match SigmoidBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(y.clone(), y),
        OpsKind::UnTracked(prepared) => prepared.finish(y),
    }
}

#[derive(Debug)]
struct SigmoidBackward;

impl Backward<Flex, 1> for SigmoidBackward {
    /// y
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let mut gradient = own(grads.consume::<Flex>(&ops.node));
        let y = values(&ops.state);
        parallel::slices(gradient.storage_mut(), |values, start| {
            through(values, &y[start..start + values.len()], Activation::Sigmoid);
        });
        if let [Some(node)] = ops.parents {
            grads.register::<Flex>(node.id, gradient);
        }
    }
}
