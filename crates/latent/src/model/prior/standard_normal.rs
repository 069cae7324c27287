//! p(z) = N(0, I).

use serde::{Deserialize, Serialize};

use super::{Prior, PriorSettings};
use crate::batch::{LatentShape, Support};
use crate::density::{Density, StandardNormal};
use crate::model::View;
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandardNormalSettings {}

struct StandardNormalPrior {
    dims: usize,
}

impl PriorSettings for StandardNormalSettings {
    fn support(&self) -> Support {
        Support::Reals
    }

    fn init(&self, latent: &LatentShape, _: &mut Init<'_>) -> Box<dyn Prior> {
        Box::new(StandardNormalPrior { dims: latent.dims() })
    }
}

impl Prior for StandardNormalPrior {
    fn density(&self, view: &View<'_>) -> Box<dyn Density> {
        Box::new(StandardNormal { dims: self.dims, device: view.weights.device().clone() })
    }
}
