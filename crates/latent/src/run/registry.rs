//! The axes and their members, by the names that configurations use: what ships.

use crate::generate::sampler::samplers;
use crate::member::Registry;
use crate::model::likelihood::likelihoods;
use crate::model::posterior::posteriors;
use crate::model::prior::priors;
use crate::network::networks;
use crate::objective::{estimators, terms};

impl Default for Registry {
    /// The members that ship; add your own with [`Registry::with`].
    fn default() -> Self {
        Self::empty()
            .axis(likelihoods())
            .axis(posteriors())
            .axis(priors())
            .axis(networks())
            .axis(terms())
            .axis(estimators())
            .axis(samplers())
    }
}
