//! p(z) = Π_j Bernoulli(z_j; sigmoid(ℓ_j)): fair bits, or bits whose probability is learned.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{BitGradient, Density, FactorisedBits};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// Fair or learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BitsPriorSettings {
    /// Whether the probability of each bit is learned; fair bits otherwise.
    pub learned: bool,
}

struct BitsPrior {
    /// ℓ, `[1, bits]`
    logits: WeightId,
}

impl Named for BitsPriorSettings {
    const KIND: &'static str = "bits";
    const ABOUT: &'static str = "independent bits, fair or learned";
}

impl Settings<dyn Prior> for BitsPriorSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        needs_support(context, "bits", |support| support == Support::Bits)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let (shape, fair) = ([1, context.latent.dims()], Initial::Constant(0.0));
        Ok(Box::new(BitsPrior {
            logits: if self.learned {
                init.weight("logits", &shape, fair)
            } else {
                init.buffer("logits", &shape, fair)
            },
        }))
    }
}

impl Prior for BitsPrior {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        Box::new(FactorisedBits { logits: view.weights.get(self.logits), gradient: BitGradient::None })
    }
}

impl Life for BitsPrior {}
