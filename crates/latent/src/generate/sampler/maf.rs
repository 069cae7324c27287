//! A masked autoregressive flow as the law of codes: [`AutoregressiveFlow`], learned by maximum likelihood.
//!
//! Reference: Papamakarios, Pavlakou & Murray, *Masked Autoregressive Flow for Density Estimation* (arXiv 1705.07057).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::FlowSettings;
use crate::density::{AutoregressiveFlow, Flow};
use crate::weights::Init;

/// The layers.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MafSettings {
    /// The number of autoregressive layers.
    pub layers: usize,
    /// The widths of each layer's hidden layers.
    pub hidden: Vec<usize>,
}

impl Default for MafSettings {
    fn default() -> Self {
        Self { layers: 5, hidden: vec![128; 2] }
    }
}

impl FlowSettings for MafSettings {
    const KIND: &'static str = "maf";
    const ABOUT: &'static str = "a masked autoregressive flow";

    fn layers(&self) -> usize {
        self.layers
    }

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn build(&self, dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        Box::new(AutoregressiveFlow::new(dims, self.layers, &self.hidden, init))
    }
}
