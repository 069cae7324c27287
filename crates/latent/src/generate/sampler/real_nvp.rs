//! A flow of affine couplings as the law of codes: [`CouplingFlow`], learned by maximum likelihood.
//!
//! Reference: Dinh, Sohl-Dickstein & Bengio, *Density estimation using Real NVP* (arXiv 1605.08803).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::flow::FlowSettings;
use super::{SamplerError, Space};
use crate::density::{CouplingFlow, Flow};
use crate::generate::Result;
use crate::weights::Init;

/// The couplings.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RealNvpSettings {
    /// The number of couplings.
    pub layers: usize,
    /// The widths of each coupling's hidden layers.
    pub hidden: Vec<usize>,
}

impl Default for RealNvpSettings {
    fn default() -> Self {
        Self { layers: 8, hidden: vec![128; 2] }
    }
}

impl FlowSettings for RealNvpSettings {
    const KIND: &'static str = "real-nvp";
    const ABOUT: &'static str = "a flow of affine couplings";

    fn layers(&self) -> usize {
        self.layers
    }

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        if space.dims < 2 {
            return Err(SamplerError::Unsuitable {
                sampler: Self::KIND.into(),
                what: "couples dimensions, and these codes have one".into(),
                remedy: "use gaussian-mixture".into(),
            }
            .into());
        }
        Ok(())
    }

    fn build(&self, dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        Box::new(CouplingFlow::new(dims, self.layers, &self.hidden, init))
    }
}
