//! One affine map each way: with a normal likelihood this is probabilistic PCA, whose P(X) is known.
//!
//! f(x) = x A + a,  g(z) = z W + b;  a condition c comes as further columns of x and of z.
//!
//! Reference: Tipping & Bishop, *Probabilistic Principal Component Analysis* (1999).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Network;
use super::layer::{DenseConfig, Layer};
use super::sequence::{Sequence, join};
use crate::config::ConfigError;
use crate::member::{Context, Named, Settings};
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearSettings {}

impl Named for LinearSettings {
    const KIND: &'static str = "linear";
    const ABOUT: &'static str = "one affine map";
}

impl Settings<dyn Network> for LinearSettings {
    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Network>, ConfigError> {
        let wiring = &context.wiring;
        let mut layers = Vec::new();
        let inputs = wiring.from.features() + join(&mut layers, wiring.condition);
        let map = DenseConfig::new(inputs, wiring.to.features()).with_bias(wiring.bias.clone());
        layers.push(Layer::Dense(map.init(init, "0")));
        Ok(Box::new(Sequence::new(layers)))
    }
}
