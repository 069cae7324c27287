//! p(z) = N(0, I).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{Density, StandardNormal};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StandardNormalSettings {}

struct StandardNormalPrior {
    dims: usize,
}

impl Named for StandardNormalSettings {
    const KIND: &'static str = "standard-normal";
    const ABOUT: &'static str = "N(0, I)";
}

impl Settings<dyn Prior> for StandardNormalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        needs_support(context, "the reals", |support| support == Support::Reals)
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        Ok(Box::new(StandardNormalPrior { dims: context.latent.dims() }))
    }
}

impl Prior for StandardNormalPrior {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(StandardNormal { dims: self.dims, device: view.weights.device().clone() })
    }

    fn is_standard_normal(&self) -> bool {
        true
    }
}

impl Life for StandardNormalPrior {}
