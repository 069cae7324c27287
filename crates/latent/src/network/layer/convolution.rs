//! Convolutions with bias and activation, and their way up.

use burn::tensor::Tensor;
use latent_kernels::{Activation, conv2d};

use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// What a convolution is made of.
#[derive(Clone, Debug)]
pub struct ConvConfig {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// The side of its square kernel.
    pub kernel: usize,
    /// 1 keeps the size (odd kernels), 2 halves it, rounding up.
    pub stride: usize,
    /// What it ends in.
    pub activation: Activation,
    /// Whether its weights start at 0.
    pub zero: bool,
    /// Where the bias starts, one number a channel; 0 unless given.
    pub bias: Option<Vec<f32>>,
}

/// A convolution with its weights, `[outputs, inputs, kernel, kernel]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    weight: WeightId,
    bias: WeightId,
    kernel: usize,
    activation: Activation,
    /// 1 or 2.
    pub stride: usize,
    /// Channels of the output.
    pub outputs: usize,
}

impl ConvConfig {
    /// A 3×3 convolution that keeps the size.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        let activation = Activation::Identity;
        Self { inputs, outputs, kernel: 3, stride: 1, activation, zero: false, bias: None }
    }

    /// The same with another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: usize) -> Self {
        Self { kernel, ..self }
    }

    /// The same with another stride.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with an activation.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The same with weights that start at 0.
    #[must_use]
    pub fn with_zeros(self) -> Self {
        Self { zero: true, ..self }
    }

    /// The same with a bias that starts elsewhere than at 0.
    #[must_use]
    pub fn with_bias(self, bias: Option<Vec<f32>>) -> Self {
        Self { bias, ..self }
    }

    /// Makes the layer under `name`, with Glorot-uniform weights.
    pub fn init(self, init: &mut Init<'_>, name: &str) -> Conv {
        let Self { inputs, outputs, kernel, stride, activation, zero, bias } = self;
        let area = kernel * kernel;
        let law = match zero {
            true => Initial::Constant(0.0),
            false => Initial::glorot(inputs * area, outputs * area),
        };
        let mut init = init.scope(name);
        Conv {
            weight: init.matrix("weight", &[outputs, inputs, kernel, kernel], law),
            bias: init.weight("bias", &[outputs], bias.map_or(Initial::Constant(0.0), Initial::Values)),
            kernel,
            activation,
            stride,
            outputs,
        }
    }
}

impl Conv {
    /// Where its weights stand, `[outputs, inputs, kernel, kernel]`.
    pub(crate) fn weight_id(&self) -> WeightId {
        self.weight
    }

    /// Where its bias stands, `[outputs]`.
    pub(crate) fn bias_id(&self) -> WeightId {
        self.bias
    }

    /// `[rows, inputs, h, w]` → `[rows, outputs, ⌈h/stride⌉, ⌈w/stride⌉]`
    pub fn apply(&self, weights: &Weights, x: Tensor<4>) -> Tensor<4> {
        self.apply_weight(weights, x, weights.get(self.weight))
    }

    /// The same with another weight of the same shape in the place of its own.
    pub(super) fn apply_weight(&self, weights: &Weights, x: Tensor<4>, weight: Tensor<4>) -> Tensor<4> {
        let [_, _, height, width] = x.dims();
        let padding = [height, width].map(|size| self.padding(size));
        conv2d(x, weight, weights.get(self.bias), [self.stride; 2], padding, self.activation)
    }

    /// The layer in a graph.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node) -> Node {
        let [weight, bias] = [self.weight, self.bias].map(|id| weights.entry(id).values());
        let padding = match x.shape[..] {
            [_, height, width] => [height, width],
            _ => [1, x.features()],
        }
        .map(|side| self.padding(side));
        let y = graph.convolution(x, &weight, &bias, (self.kernel, self.stride, padding));
        graph.activation(self.activation, y)
    }

    /// [`Conv::apply_upsampled`] in a graph.
    pub fn trace_upsampled(&self, weights: &Weights, graph: &mut Graph, x: Node, size: [usize; 2]) -> Node {
        let [weight, bias] = [self.weight, self.bias].map(|id| weights.entry(id).values());
        let x = graph.upsample(x, size);
        let y = graph.convolution(x, &weight, &bias, (self.kernel, 1, [self.kernel / 2; 2]));
        graph.activation(self.activation, y)
    }

    /// An even kernel halves an even side with one column of padding less than an odd side.
    fn padding(&self, size: usize) -> usize {
        self.kernel / 2 - usize::from(self.kernel.is_multiple_of(2) && size.is_multiple_of(2))
    }

    /// Nearest upsampling to `size`, then the convolution (which must have stride 1).
    pub fn apply_upsampled(&self, weights: &Weights, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let (weight, bias) = (weights.get(self.weight), weights.get(self.bias));
        latent_kernels::upsample_nearest_conv2d(x, size, weight, bias, [self.kernel / 2; 2], self.activation)
    }
}

/// What a transposed convolution is made of.
#[derive(Clone, Debug)]
pub struct ConvTransposeConfig {
    /// Channels of the input.
    pub inputs: usize,
    /// Channels of the output.
    pub outputs: usize,
    /// The side of its square kernel.
    pub kernel: usize,
    /// 1 keeps the size, 2 doubles it.
    pub stride: usize,
    /// What it ends in.
    pub activation: Activation,
    /// Where the bias starts, one number a channel; 0 unless given.
    pub bias: Option<Vec<f32>>,
}

/// A transposed convolution with its weights, `[inputs, outputs, kernel, kernel]`.
#[derive(Clone, Copy, Debug)]
pub struct ConvTranspose {
    weight: WeightId,
    bias: WeightId,
    kernel: usize,
    stride: usize,
    activation: Activation,
    /// Channels of the output.
    pub outputs: usize,
}

impl ConvTransposeConfig {
    /// A 4×4 one that doubles the size, without an activation.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self { inputs, outputs, kernel: 4, stride: 2, activation: Activation::Identity, bias: None }
    }

    /// The same with another kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: usize) -> Self {
        Self { kernel, ..self }
    }

    /// The same with another stride.
    #[must_use]
    pub fn with_stride(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same with an activation.
    #[must_use]
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// The same with a bias that starts elsewhere than at 0.
    #[must_use]
    pub fn with_bias(self, bias: Option<Vec<f32>>) -> Self {
        Self { bias, ..self }
    }

    /// Makes the layer under `name`, with Glorot-uniform weights.
    pub fn init(self, init: &mut Init<'_>, name: &str) -> ConvTranspose {
        let Self { inputs, outputs, kernel, stride, activation, bias } = self;
        let mut init = init.scope(name);
        let area = kernel * kernel;
        let law = Initial::glorot(inputs * area, outputs * area);
        ConvTranspose {
            weight: init.matrix("weight", &[inputs, outputs, kernel, kernel], law),
            bias: init.weight("bias", &[outputs], bias.map_or(Initial::Constant(0.0), Initial::Values)),
            kernel,
            stride,
            activation,
            outputs,
        }
    }
}

impl ConvTranspose {
    /// Padding on either side, and rows and columns more at the end: the mirror of a convolution of that kernel and stride. An odd
    /// kernel gives `stride` times the size, an even one `stride` times one less, and 2.
    fn paddings(&self) -> [usize; 2] {
        let odd = !self.kernel.is_multiple_of(2);
        [self.kernel.saturating_sub(1) / 2, if odd { self.stride - 1 } else { 0 }]
    }

    /// The layer in a graph.
    pub fn trace(&self, weights: &Weights, graph: &mut Graph, x: Node, size: [usize; 2]) -> Node {
        let [weight, bias] = [self.weight, self.bias].map(|id| weights.entry(id).values());
        let [padding, more] = self.paddings();
        let y = graph.transposed(x, &weight, &bias, (self.kernel, self.stride, padding, more), size);
        graph.activation(self.activation, y)
    }

    /// `[rows, inputs, h, w]` → `[rows, outputs, stride · h, stride · w]`, cut to `size` where that is less.
    pub fn apply(&self, weights: &Weights, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let (weight, bias) = (weights.get(self.weight), weights.get(self.bias));
        let [padding, more] = self.paddings();
        let (stride, padding, more) = ([self.stride; 2], [padding; 2], [more; 2]);
        let y = latent_kernels::conv_transpose2d(x, weight, bias, stride, padding, more, self.activation);
        let [rows, channels, height, width] = y.dims();
        if [height, width] == size { y } else { y.slice([0..rows, 0..channels, 0..size[0], 0..size[1]]) }
    }
}
