//! The layers that architectures are made of.

use burn::tensor::Tensor;
use latent_kernels::{Activation, conv2d, dense};

use crate::weights::{Init, Initial, WeightId, Weights};

/// y = a(x W + b)
#[derive(Clone, Copy, Debug)]
pub struct Dense {
    weight: WeightId,
    bias: WeightId,
    activation: Activation,
}

impl Dense {
    /// Glorot-uniform weights `[inputs, outputs]`; the bias starts at `bias` or 0.
    pub fn new(
        init: &mut Init<'_>,
        name: &str,
        inputs: usize,
        outputs: usize,
        activation: Activation,
        bias: Option<Vec<f32>>,
    ) -> Self {
        let mut init = init.scope(name);
        Self {
            weight: init.weight("weight", &[inputs, outputs], Initial::glorot(inputs, outputs)),
            bias: init.weight("bias", &[outputs], bias.map_or(Initial::Constant(0.0), Initial::Values)),
            activation,
        }
    }

    /// `[rows, inputs]` → `[rows, outputs]`
    pub fn apply(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        dense(x, weights.get(self.weight), weights.get(self.bias), self.activation)
    }
}

/// A convolution with bias and activation, images as `[rows, channels, height, width]`.
#[derive(Clone, Copy, Debug)]
pub struct Conv {
    weight: WeightId,
    bias: WeightId,
    kernel: usize,
    stride: usize,
    activation: Activation,
}

impl Conv {
    /// A square kernel, padded so that stride 1 keeps the size (odd kernels) and stride 2 halves it, rounding up.
    /// Glorot-uniform weights.
    pub fn new(
        init: &mut Init<'_>,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        stride: usize,
        activation: Activation,
    ) -> Self {
        let area = kernel * kernel;
        let law = Initial::glorot(channels[0] * area, channels[1] * area);
        Self::with(init, name, channels, kernel, stride, activation, (law, Initial::Constant(0.0)))
    }

    /// The last layer: no activation, and a bias that may start elsewhere than at 0.
    pub(super) fn last(
        init: &mut Init<'_>,
        name: &str,
        channels: [usize; 2],
        kernel: usize,
        bias: Option<Vec<f32>>,
    ) -> Self {
        let area = kernel * kernel;
        let law = Initial::glorot(channels[0] * area, channels[1] * area);
        let bias = bias.map_or(Initial::Constant(0.0), Initial::Values);
        Self::with(init, name, channels, kernel, 1, Activation::Identity, (law, bias))
    }

    /// A convolution that starts as 0 and has no activation.
    pub(super) fn zero(init: &mut Init<'_>, name: &str, channels: [usize; 2], kernel: usize) -> Self {
        let zeros = (Initial::Constant(0.0), Initial::Constant(0.0));
        Self::with(init, name, channels, kernel, 1, Activation::Identity, zeros)
    }

    fn with(
        init: &mut Init<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
        stride: usize,
        activation: Activation,
        (weight, bias): (Initial, Initial),
    ) -> Self {
        let mut init = init.scope(name);
        Self {
            weight: init.weight("weight", &[outputs, inputs, kernel, kernel], weight),
            bias: init.weight("bias", &[outputs], bias),
            kernel,
            stride,
            activation,
        }
    }

    /// Applies the convolution.
    pub fn apply(&self, weights: &Weights, x: Tensor<4>) -> Tensor<4> {
        let (weight, bias) = (weights.get(self.weight), weights.get(self.bias));
        let [_, _, height, width] = x.dims();
        let padding = [height, width].map(|size| self.padding(size));
        conv2d(x, weight, bias, [self.stride; 2], padding, self.activation)
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

/// A transposed convolution: the decoder's other way up.
#[derive(Clone, Copy, Debug)]
pub struct ConvTranspose {
    weight: WeightId,
    bias: WeightId,
    activation: Activation,
}

impl ConvTranspose {
    /// Kernel 4, stride 2, padding 1: doubles the size. Glorot-uniform weights; the bias starts at `bias` or 0.
    pub fn new(
        init: &mut Init<'_>,
        name: &str,
        [inputs, outputs]: [usize; 2],
        activation: Activation,
        bias: Option<Vec<f32>>,
    ) -> Self {
        let mut init = init.scope(name);
        let law = Initial::glorot(inputs * 16, outputs * 16);
        Self {
            weight: init.weight("weight", &[inputs, outputs, 4, 4], law),
            bias: init.weight("bias", &[outputs], bias.map_or(Initial::Constant(0.0), Initial::Values)),
            activation,
        }
    }

    /// `[rows, inputs, h, w]` → `[rows, outputs, 2h, 2w]`, cut to `size` where that is odd.
    pub fn apply(&self, weights: &Weights, x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
        let (weight, bias) = (weights.get(self.weight), weights.get(self.bias));
        let y = latent_kernels::conv_transpose2d(x, weight, bias, [2; 2], [1; 2], [0; 2], self.activation);
        let [rows, channels, height, width] = y.dims();
        if [height, width] == size { y } else { y.slice([0..rows, 0..channels, 0..size[0], 0..size[1]]) }
    }
}

/// Activations by name in settings.
pub mod activation {
    use latent_kernels::Activation;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    /// Writes the name.
    pub fn serialize<S: Serializer>(activation: &Activation, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(activation.name())
    }

    /// Reads a name.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Activation, D::Error> {
        let name = String::deserialize(deserializer)?;
        let all = Activation::ALL;
        all.iter().copied().find(|a| a.name() == name).ok_or_else(|| {
            let known: Vec<_> = all.iter().map(|a| a.name()).collect();
            D::Error::custom(format!("unknown activation `{name}`, known: {}", known.join(", ")))
        })
    }
}
