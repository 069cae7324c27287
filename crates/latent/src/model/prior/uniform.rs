//! p(z) uniform on the unit cube.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{Density, Uniform};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UniformSettings {}

struct UniformPrior {
    dims: usize,
}

impl Named for UniformSettings {
    const KIND: &'static str = "uniform";
    const ABOUT: &'static str = "uniform on the unit cube";
}

impl Settings<dyn Prior> for UniformSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        needs_support(context, "the unit cube", |support| support == Support::UnitInterval)
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        Ok(Box::new(UniformPrior { dims: context.latent.dims() }))
    }
}

impl Prior for UniformPrior {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(Uniform { dims: self.dims, device: view.weights.device().clone() })
    }
}

impl Life for UniformPrior {}
