//! Convolutions in the autodiff graph: which of the three products goes which way.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::Activation;
use crate::convolution::upsampling::Upsampling;
use crate::convolution::{Geometry, correlate, scatter, through_and_sum, weights};
use crate::elementwise::{Keeps, activate, keeps};
use crate::parallel;
use crate::storage::{in_order, own, sides, tensor_from, values};

/// A convolution or its transpose, with what happens to the image before.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Image to grid; the image is upsampled first where a size is given.
    Straight { upsampled: Option<[usize; 2]>, stride: [usize; 2], padding: [usize; 2] },
    /// Grid to image.
    Transposed { stride: [usize; 2], padding: [usize; 2], output_padding: [usize; 2] },
}

/// The layer's tensors, in order, and how they meet.
#[derive(Clone, Debug)]
pub(crate) struct Inputs {
    x: FlexTensor,
    weight: FlexTensor,
    bias: FlexTensor,
    geometry: Geometry,
    transposed: bool,
    upsampling: Option<Upsampling>,
}

impl Inputs {
    pub(crate) fn new(x: FlexTensor, weight: FlexTensor, bias: FlexTensor, kind: Kind) -> Inputs {
        let (x, mut weight, bias) = (in_order(x), in_order(weight), in_order(bias));
        let [count, inputs, h, w] = sides(&x);
        let (mut kind, mut upsampling) = (kind, None);
        if let Kind::Straight { upsampled: Some(size), stride: [1, 1], padding } = kind
            && let Some(found) = Upsampling::of([h, w], size, sides(&weight), padding)
        {
            let widened = found.widen(values(&weight));
            let [features, channels] = found.channels;
            let [height, width] = found.widened();
            weight = tensor_from(widened, [channels, features, height, width]);
            kind =
                Kind::Transposed { stride: found.ratio, padding: found.cropping(), output_padding: [0, 0] };
            upsampling = Some(found);
        }
        let [features, channels, kh, kw] = sides(&weight);
        let kernel = [kh, kw];
        let (geometry, transposed) = match kind {
            Kind::Straight { upsampled, stride, padding } => {
                let upsampled = upsampled.unwrap_or([h, w]);
                let grid = [0, 1].map(|axis| {
                    let padded = upsampled[axis] + 2 * padding[axis];
                    let size = kernel[axis];
                    assert!(padded >= size, "conv2d: a kernel of {size} exceeds the padded image's {padded}");
                    (padded - size) / stride[axis] + 1
                });
                assert_eq!(inputs, channels, "conv2d: x has {inputs} channels, the weight takes {channels}");
                let image = [h, w];
                (
                    Geometry { count, channels, image, upsampled, features, grid, kernel, stride, padding },
                    false,
                )
            }
            Kind::Transposed { stride, padding, output_padding } => {
                let grid = [h, w];
                let image = [0, 1].map(|axis| {
                    let whole = (grid[axis].max(1) - 1) * stride[axis] + kernel[axis] + output_padding[axis];
                    assert!(whole > 2 * padding[axis], "conv_transpose2d: the padding leaves no output");
                    whole - 2 * padding[axis]
                });
                assert_eq!(
                    inputs, features,
                    "conv_transpose2d: x has {inputs} channels, the weight takes {features}"
                );
                let upsampled = image;
                (
                    Geometry { count, channels, image, upsampled, features, grid, kernel, stride, padding },
                    true,
                )
            }
        };
        let outputs = if transposed { channels } else { features };
        assert_eq!(
            sides(&bias),
            [outputs],
            "convolution: the bias doesn't fit the weight's {outputs} outputs"
        );
        Inputs { x, weight, bias, geometry, transposed, upsampling }
    }

    /// n, channels, h, w of the output.
    fn output(&self) -> [usize; 4] {
        let g = &self.geometry;
        let (channels, [h, w]) = if self.transposed { (g.channels, g.image) } else { (g.features, g.grid) };
        [g.count, channels, h, w]
    }
}

/// y, and what the gradient of the activation needs of it.
pub(crate) fn forward(inputs: &Inputs, activation: Activation) -> (FlexTensor, Option<FlexTensor>) {
    let kept = keeps(activation);
    let at_once = if kept == Some(Keeps::Input) { Activation::Identity } else { activation };
    let product = if inputs.transposed { scatter } else { correlate };
    let (x, weight, bias) = (values(&inputs.x), values(&inputs.weight), values(&inputs.bias));
    let mut y = product(&inputs.geometry, x, weight, Some(bias), at_once);
    let shape = inputs.output();
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
    kind: Kind,
    activation: Activation,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((x, x_node), (weight, weight_node), (bias, bias_node)) =
        (x.into_parts(), weight.into_parts(), bias.into_parts());
    let inputs = Inputs::new(x, weight, bias, kind);
    match ConvolutionBackward.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => {
            let (y, kept) = forward(&inputs, activation);
            prepared.finish((inputs, kept, activation), y)
        }
        OpsKind::UnTracked(prepared) => prepared.finish(forward(&inputs, activation).0),
    }
}

#[derive(Debug)]
struct ConvolutionBackward;

impl Backward<Flex, 3> for ConvolutionBackward {
    type State = (Inputs, Option<FlexTensor>, Activation);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let (inputs, kept, activation) = ops.state;
        let geometry = &inputs.geometry;
        let [count, outputs, h, w] = inputs.output();
        let mut dz = own(grads.consume::<Flex>(&ops.node));
        let [x_node, weight_node, bias_node] = ops.parents;
        let db =
            through_and_sum(dz.storage_mut(), kept.as_ref().map(values), [count, outputs, h * w], activation);
        let (x, dz) = (values(&inputs.x), values(&dz));
        if let Some(node) = bias_node {
            grads.register::<Flex>(node.id, tensor_from(db, [outputs]));
        }
        if let Some(node) = weight_node {
            let (grid, image) = if inputs.transposed { (x, dz) } else { (dz, x) };
            let dw = weights(geometry, grid, image);
            let gradient = match &inputs.upsampling {
                None => tensor_from(dw, sides::<4>(&inputs.weight)),
                Some(pair) => {
                    let ([features, channels], [kh, kw]) = (pair.channels, pair.kernel);
                    tensor_from(pair.narrow(&dw), [features, channels, kh, kw])
                }
            };
            grads.register::<Flex>(node.id, gradient);
        }
        if let Some(node) = x_node {
            let product = if inputs.transposed { correlate } else { scatter };
            let dx = product(geometry, dz, values(&inputs.weight), None, Activation::Identity);
            grads.register::<Flex>(node.id, tensor_from(dx, sides::<4>(&inputs.x)));
        }
    }
}
