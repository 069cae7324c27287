//! The axes and their members, by the names that configurations use.

use super::Axis;
use crate::generate::sampler::{SamplerSettings, samplers};
use crate::model::likelihood::{LikelihoodSettings, likelihoods};
use crate::model::posterior::{PosteriorSettings, posteriors};
use crate::model::prior::{PriorSettings, priors};
use crate::network::{NetworkSettings, networks};
use crate::objective::{TermSettings, terms};

/// The members that names in a configuration may stand for; add your own with [`Axis::with`].
pub struct Registry {
    /// p(x|z)
    pub likelihoods: Axis<dyn LikelihoodSettings>,
    /// q(z|x)
    pub posteriors: Axis<dyn PosteriorSettings>,
    /// p(z)
    pub priors: Axis<dyn PriorSettings>,
    /// f and g
    pub networks: Axis<dyn NetworkSettings>,
    /// What training minimises.
    pub terms: Axis<dyn TermSettings>,
    /// p̂(z), fitted after training.
    pub samplers: Axis<dyn SamplerSettings>,
}

impl Default for Registry {
    /// The members that ship.
    fn default() -> Self {
        Self {
            likelihoods: likelihoods(),
            posteriors: posteriors(),
            priors: priors(),
            networks: networks(),
            terms: terms(),
            samplers: samplers(),
        }
    }
}
