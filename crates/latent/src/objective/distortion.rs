//! Distortion: −log p(x|z) in nats, summed over features.

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, TermSettings};
use crate::config::ConfigError;
use crate::model::posterior::PosteriorSettings;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DistortionSettings {}

struct Distortion;

impl TermSettings for DistortionSettings {
    fn check(&self, _: &dyn PosteriorSettings) -> Result<(), ConfigError> {
        Ok(())
    }

    fn init(&self) -> Box<dyn Term> {
        Box::new(Distortion)
    }
}

impl Term for Distortion {
    fn value(&self, pass: &Pass<'_>) -> Tensor<1> {
        pass.distortion.clone()
    }
}
