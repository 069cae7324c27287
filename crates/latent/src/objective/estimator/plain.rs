//! A weighted sum of terms without a claim: what autoencoders and Wasserstein autoencoders minimise.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Estimator, check_draws};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::objective::{Pass, Values};
use crate::weights::Init;

/// How many codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PlainSettings {
    /// Codes drawn for each row.
    pub draws: usize,
}

impl Default for PlainSettings {
    fn default() -> Self {
        Self { draws: 1 }
    }
}

impl Named for PlainSettings {
    const KIND: &'static str = "plain";
    const ABOUT: &'static str = "a weighted sum of terms, without a claim";
}

impl Settings<dyn Estimator> for PlainSettings {
    fn declare(&self, _: &mut Context<'_>) -> Result<(), ConfigError> {
        check_draws("draws", self.draws)
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Estimator>, ConfigError> {
        Ok(Box::new(WeightedSum { draws: self.draws }))
    }
}

/// Σ weight · mean of each term.
pub(super) struct WeightedSum {
    pub draws: usize,
}

impl Estimator for WeightedSum {
    fn draws(&self) -> usize {
        self.draws
    }

    fn loss(&self, _: &Pass<'_>, values: &Values<'_>) -> Tensor<1> {
        values.sum(|_| true)
    }
}

impl Life for WeightedSum {}
