//! The functions f and g: one file an architecture.
//!
//! An encoder takes x to the numbers that the posterior wants; a decoder takes z to the parameters that the
//! likelihood wants of each feature, parameter-major: `[rows, parameters · features]`.

mod conv;
mod layers;
mod linear;
mod mlp;
mod residual;

use burn::tensor::Tensor;

pub use layers::{Conv, Dense, activation};

use crate::config::{Axis, ConfigError};
use crate::data::SampleShape;
use crate::weights::{Init, Weights};

/// A differentiable function of rows.
pub trait Network: Send + Sync {
    /// `[rows, inputs]` → `[rows, outputs]`
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2>;
}

/// What a decoder has to produce.
#[derive(Clone, Debug)]
pub struct DecoderShape {
    /// The number of latent dimensions.
    pub latent: usize,
    /// The shape of a sample.
    pub sample: SampleShape,
    /// How many parameters the likelihood wants of each feature.
    pub parameters: usize,
    /// Where the last layer's bias starts, one number per output, if the likelihood knows better than 0.
    pub bias: Option<Vec<f32>>,
}

impl DecoderShape {
    /// The number of outputs of a row.
    pub fn outputs(&self) -> usize {
        self.parameters * self.sample.features()
    }
}

/// The settings of an architecture: config → check → network.
pub trait NetworkSettings: Send + Sync {
    /// Refuses what cannot be built for samples of this shape.
    fn check(&self, sample: SampleShape) -> Result<(), ConfigError>;

    /// f: features → `outputs` numbers a row.
    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network>;

    /// g: latent dimensions → parameters of each feature.
    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network>;
}

/// The architectures that ship.
pub fn networks() -> Axis<dyn NetworkSettings> {
    Axis::<dyn NetworkSettings>::new("network")
        .with("linear", "one affine map", |s: linear::LinearSettings| Box::new(s))
        .with("mlp", "dense layers with an activation between", |s: mlp::MlpSettings| Box::new(s))
        .with(
            "conv",
            "strided convolutions down, upsampling convolutions up; any image",
            |s: conv::ConvSettings| Box::new(s),
        )
        .with(
            "residual-conv",
            "residual convolution blocks at each scale",
            |s: residual::ResidualSettings| Box::new(s),
        )
}
