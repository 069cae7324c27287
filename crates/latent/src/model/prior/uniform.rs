//! p(z) uniform on the unit cube.

use serde::{Deserialize, Serialize};

use super::{Prior, PriorSettings};
use crate::batch::{LatentShape, Support};
use crate::density::{Density, Uniform};
use crate::model::View;
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UniformSettings {}

struct UniformPrior {
    dims: usize,
}

impl PriorSettings for UniformSettings {
    fn support(&self) -> Support {
        Support::UnitInterval
    }

    fn init(&self, latent: &LatentShape, _: &mut Init<'_>) -> Box<dyn Prior> {
        Box::new(UniformPrior { dims: latent.dims() })
    }
}

impl Prior for UniformPrior {
    fn density(&self, view: &View<'_>) -> Box<dyn Density> {
        Box::new(Uniform { dims: self.dims, device: view.weights.device().clone() })
    }
}
