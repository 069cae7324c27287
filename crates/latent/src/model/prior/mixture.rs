//! p(z) = Σ_c π_c N(z; μ_c, diag σ_c²), learned with the model.
//!
//! Reference: Dilokthanakul et al. (arXiv 1611.02648); as a plain baseline in Tomczak & Welling (arXiv 1705.07120).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{Density, NormalMixture};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// How many components and where they start.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MixtureSettings {
    /// The number of components.
    pub components: usize,
    /// The standard deviation of the means at the start.
    pub spread: f32,
}

impl Default for MixtureSettings {
    fn default() -> Self {
        Self { components: 10, spread: 0.5 }
    }
}

struct Mixture {
    logits: WeightId,
    mean: WeightId,
    log_variance: WeightId,
}

impl Named for MixtureSettings {
    const KIND: &'static str = "mixture";
    const ABOUT: &'static str = "a learned mixture of normals";
}

impl Settings<dyn Prior> for MixtureSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.spread.is_finite() && self.spread >= 0.0) {
            return Err(ConfigError::value(
                "spread",
                format!("{} is not a standard deviation", self.spread),
                "give a number from 0",
            ));
        }
        if self.components == 0 {
            return Err(ConfigError::value("components", "a mixture of 0 components", "give at least 1"));
        }
        context.prior_factorises = false;
        needs_support(context, "the reals", |support| support == Support::Reals)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let shape = [self.components, context.latent.dims()];
        Ok(Box::new(Mixture {
            logits: init.weight("logits", &[1, self.components], Initial::Constant(0.0)),
            mean: init.weight("mean", &shape, Initial::Normal(self.spread)),
            log_variance: init.weight("log_variance", &shape, Initial::Constant(0.0)),
        }))
    }
}

impl Prior for Mixture {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(NormalMixture {
            logits: view.weights.get(self.logits),
            mean: view.weights.get(self.mean),
            log_variance: view.weights.get(self.log_variance).clamp(-12.0, 6.0),
        })
    }
}

impl Life for Mixture {}
