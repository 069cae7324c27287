//! One affine map each way: with a normal likelihood this is probabilistic PCA, whose P(X) is known.
//!
//! f(x) = x A + a,  g(z) = z W + b
//!
//! Reference: Tipping & Bishop, *Probabilistic Principal Component Analysis* (1999).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use serde::{Deserialize, Serialize};

use super::{DecoderShape, Dense, Network, NetworkSettings};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::weights::{Init, Weights};

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearSettings {}

impl NetworkSettings for LinearSettings {
    fn check(&self, _: SampleShape) -> Result<(), ConfigError> {
        Ok(())
    }

    fn encoder(&self, sample: SampleShape, outputs: usize, init: &mut Init<'_>) -> Box<dyn Network> {
        Box::new(Dense::new(init, "0", sample.features(), outputs, Activation::Identity, None))
    }

    fn decoder(&self, shape: &DecoderShape, init: &mut Init<'_>) -> Box<dyn Network> {
        Box::new(Dense::new(
            init,
            "0",
            shape.latent,
            shape.outputs(),
            Activation::Identity,
            shape.bias.clone(),
        ))
    }
}

impl Network for Dense {
    fn forward(&self, weights: &Weights, input: Tensor<2>) -> Tensor<2> {
        self.apply(weights, input)
    }
}
