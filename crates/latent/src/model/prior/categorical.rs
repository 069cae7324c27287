//! p(z) = Π_j softmax(ℓ_j)_{z_j}: each index alike, or with learned probabilities.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{Categorical, Density};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// Uniform or learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalPriorSettings {
    /// Whether the probabilities of each dimension are learned; all alike otherwise.
    pub learned: bool,
}

struct CategoricalPrior {
    /// ℓ, `[1, dims · size]`
    logits: WeightId,
    size: usize,
}

impl Named for CategoricalPriorSettings {
    const KIND: &'static str = "categorical";
    const ABOUT: &'static str = "independent indices, uniform or learned";
}

impl Settings<dyn Prior> for CategoricalPriorSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let first = context.latent.support();
        needs_support(context, "indices of one size", |support| {
            matches!(support, Support::Index(_)) && Some(support) == first
        })
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let size = context.latent.support().and_then(Support::values).unwrap_or(1);
        let (shape, alike) = ([1, context.latent.dims() * size], Initial::Constant(0.0));
        let logits = match self.learned {
            true => init.weight("logits", &shape, alike),
            false => init.buffer("logits", &shape, alike),
        };
        Ok(Box::new(CategoricalPrior { logits, size }))
    }
}

impl Prior for CategoricalPrior {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(Categorical { logits: view.weights.get(self.logits), size: self.size })
    }
}

impl Life for CategoricalPrior {}
