//! The dense layer, y = φ(x W + b): one product whose result takes bias and activation while it is in cache.
//!
//!   dz = dy ⊙ φ′,   db = Σ rows of dz,   dW = xᵀ dz,   dx = dz Wᵀ

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::Activation;
use crate::elementwise::{Keeps, activate, add_and_activate, keeps, through_and_sum};
use crate::matrix::{Operand, product};
use crate::parallel;
use crate::storage::{in_order, own, sides, tensor_from, values};

/// x `[rows, in]`, W `[in, out]`, b `[out]`, in order.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
}

impl Inputs {
    pub(crate) fn new(x: FlexTensor, weight: FlexTensor, bias: FlexTensor) -> Inputs {
        Inputs { x: in_order(x), weight: in_order(weight), bias: in_order(bias) }
    }

    /// rows, in, out
    fn sizes(&self) -> [usize; 3] {
        let ([rows, inputs], [fan_in, outputs]) = (sides(&self.x), sides(&self.weight));
        assert_eq!(inputs, fan_in, "dense: x has {inputs} features, the weight takes {fan_in}");
        assert_eq!(
            sides(&self.bias),
            [outputs],
            "dense: the bias doesn't fit the weight's {outputs} outputs"
        );
        [rows, inputs, outputs]
    }
}

/// y, and what the gradient of the activation needs of it.
pub(crate) fn forward(inputs: &Inputs, activation: Activation) -> (FlexTensor, Option<FlexTensor>) {
    let [rows, fan_in, outputs] = inputs.sizes();
    let (x, weight, bias) = (values(&inputs.x), values(&inputs.weight), values(&inputs.bias));
    let kept = keeps(activation);
    let at_once = if kept == Some(Keeps::Input) { Activation::Identity } else { activation };
    let mut y = product(
        [rows, outputs, fan_in],
        Operand::rows(x, rows, fan_in),
        Operand::transposed(weight, outputs, fan_in),
        |_, first, values| add_and_activate(values, &bias[first..first + values.len()], at_once),
    );
    let shape = [rows, outputs];
    match kept {
        Some(Keeps::Input) => {
            let z = tensor_from(y.clone(), shape);
            parallel::slices(&mut y, |values, _| activate(values, activation));
            (tensor_from(y, shape), Some(z))
        }
        Some(Keeps::Output) => {
            let y = tensor_from(y, shape);
            (y.clone(), Some(y))
        }
        _ => (tensor_from(y, shape), None),
    }
}

/// [`forward`] with a node in the graph.
pub(crate) fn recorded<C: CheckpointStrategy>(
    x: FloatTensor<Autodiff<Flex, C>>,
    weight: FloatTensor<Autodiff<Flex, C>>,
    bias: FloatTensor<Autodiff<Flex, C>>,
    activation: Activation,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
        (x.into_parts(), weight.into_parts(), bias.into_parts());
    let inputs = Inputs::new(x, weight, bias);
    match DenseBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, kept) = forward(&inputs, activation);
            prepared.finish((inputs, kept, activation), y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(&inputs, activation).0),
    }
}

#[derive(Debug)]
struct DenseBackward;

impl Backward<Flex, 3> for DenseBackward {
    type State = (Inputs, Option<FlexTensor>, Activation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (inputs, kept, activation) = ops.state;
        let [rows, fan_in, outputs] = inputs.sizes();
        let dy = grads.consume::<Flex>(&ops.node);
        let mut dz = if kept.is_some() { own(dy) } else { in_order(dy) };
        let [x_node, weight_node, bias_node] = ops.parents;
        let db = match &kept {
            Some(kept) => through_and_sum(dz.storage_mut(), values(kept), outputs, activation),
            None => crate::elementwise::sum_columns(values(&dz), outputs),
        };
        let dz = values(&dz);
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, tensor_from(db, [outputs]));
        }
        if let Some(node) = weight_node {
            let dw = product(
                [fan_in, outputs, rows],
                Operand::transposed(values(&inputs.x), fan_in, rows),
                Operand::transposed(dz, outputs, rows),
                |_, _, _| {},
            );
            grads.register::<Flex>(node.id, tensor_from(dw, [fan_in, outputs]));
        }
        if let Some(node) = x_node {
            let dx = product(
                [rows, fan_in, outputs],
                Operand::rows(dz, rows, outputs),
                Operand::rows(values(&inputs.weight), fan_in, outputs),
                |_, _, _| {},
            );
            grads.register::<Flex>(node.id, tensor_from(dx, [rows, fan_in]));
        }
    }
}
