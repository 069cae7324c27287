//! Weight decay of the decoder alone, as a term: ‖θ‖² over its matrices and kernels, without biases and normalisation.
//!
//! A decoder of small weights changes slowly from code to code, so that codes between those it has seen decode to something
//! sensible. In the units of the weights, not nats.
//!
//! Reference: Ghosh et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436), the regularisation of RAE-L2.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// No settings; λ is the term's weight.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoderWeightsSettings {}

struct DecoderWeights;

impl Named for DecoderWeightsSettings {
    const KIND: &'static str = "decoder-weights";
    const ABOUT: &'static str = "‖θ‖² of the decoder's matrices and kernels";
}

impl Settings<dyn Term> for DecoderWeightsSettings {
    fn formula(&self) -> Option<String> {
        Some("‖θ_g‖²".into())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(DecoderWeights))
    }
}

impl Term for DecoderWeights {
    /// `[1]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let matrices = pass
            .view
            .weights
            .iter()
            .filter(|(_, weight)| weight.is_matrix() && weight.path().starts_with("decoder."));
        let squares = matrices.map(|(_, weight)| {
            let flat = weight.flat();
            (flat.clone() * flat).sum()
        });
        squares.reduce(|sum: Tensor<1>, part| sum + part).map(Value::new)
    }
}

impl Life for DecoderWeights {}
