//! p(z) = Π_j Bernoulli(z_j; sigmoid(ℓ_j)): fair bits, or bits whose probability is learned.

use serde::{Deserialize, Serialize};

use super::{Prior, PriorSettings};
use crate::batch::{LatentShape, Support};
use crate::density::{BitGradient, Density, FactorisedBits};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// Fair or learned.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BitsPriorSettings {
    /// Whether the probability of each bit is learned; fair bits otherwise.
    pub learned: bool,
}

struct BitsPrior {
    /// ℓ, `[1, bits]`
    logits: WeightId,
}

impl PriorSettings for BitsPriorSettings {
    fn support(&self) -> Support {
        Support::Bits
    }

    fn init(&self, latent: &LatentShape, init: &mut Init<'_>) -> Box<dyn Prior> {
        let (shape, fair) = ([1, latent.dims()], Initial::Constant(0.0));
        Box::new(BitsPrior {
            logits: if self.learned {
                init.weight("logits", &shape, fair)
            } else {
                init.buffer("logits", &shape, fair)
            },
        })
    }
}

impl Prior for BitsPrior {
    fn density(&self, view: &View<'_>) -> Box<dyn Density> {
        Box::new(FactorisedBits { logits: view.weights.get(self.logits), gradient: BitGradient::None })
    }
}
