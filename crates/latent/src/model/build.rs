//! From a resolved Run to a model: each axis's settings are found by name, checked, and built.

use crate::batch::LatentShape;
use crate::config::{Axis, ConfigError, Run};
use crate::data::Facts;
use crate::device::Device;
use crate::key::Key;
use crate::model::LatentModel;
use crate::model::likelihood::{LikelihoodSettings, likelihoods};
use crate::model::posterior::{PosteriorSettings, posteriors};
use crate::model::prior::{PriorSettings, priors};
use crate::network::{DecoderShape, NetworkSettings, networks};
use crate::objective::{TermSettings, terms};
use crate::weights::{Init, Weights};

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
        }
    }
}

/// Builds the model of `run` with fresh weights, keyed by `run.seed`.
pub fn build(run: &Run, registry: &Registry, device: &Device) -> Result<(LatentModel, Weights), ConfigError> {
    let (likelihood, _) = registry.likelihoods.resolve(&run.likelihood, "likelihood")?;
    let (posterior, _) = registry.posteriors.resolve(&run.posterior, "posterior")?;
    let (prior, _) = registry.priors.resolve(&run.prior, "prior")?;
    let (encoder, _) = registry.networks.resolve(&run.encoder, "encoder")?;
    let (decoder, _) = registry.networks.resolve(&run.decoder, "decoder")?;
    let latent = posterior.latent();
    check(&run.facts, &latent, likelihood.as_ref(), posterior.as_ref(), prior.as_ref())?;
    encoder.check(run.facts.shape)?;
    decoder.check(run.facts.shape)?;

    let shape = DecoderShape {
        latent: latent.dims(),
        sample: run.facts.shape,
        parameters: likelihood.parameters(),
        bias: likelihood.output_bias(&run.facts),
    };
    let mut weights = Weights::new(device);
    let mut init = Init::new(&mut weights, Key::from_seed(run.seed).fold("weights"));
    let model = LatentModel {
        encoder: encoder.encoder(run.facts.shape, posterior.outputs(), &mut init.scope("encoder")),
        posterior: posterior.init(),
        prior: prior.init(&latent, &mut init.scope("prior")),
        decoder: decoder.decoder(&shape, &mut init.scope("decoder")),
        likelihood: likelihood.init(&run.facts, &mut init.scope("likelihood")),
        latent,
        sample: run.facts.shape,
    };
    Ok((model, weights))
}

/// Refuses members that do not go together.
fn check(
    facts: &Facts,
    latent: &LatentShape,
    likelihood: &dyn LikelihoodSettings,
    posterior: &dyn PosteriorSettings,
    prior: &dyn PriorSettings,
) -> Result<(), ConfigError> {
    likelihood.check(facts)?;
    posterior.check()?;
    prior.check()?;
    let (ours, theirs) = (latent.blocks.first().map(|b| b.support), prior.support());
    if ours != Some(theirs) {
        return Err(ConfigError::Combination {
            what: format!(
                "the posterior's codes are {} and the prior lives on {}, so the rate is infinite",
                ours.map_or("nothing", name),
                name(theirs)
            ),
            remedy: "choose a posterior and a prior on the same space".into(),
        });
    }
    Ok(())
}

fn name(support: crate::batch::Support) -> &'static str {
    use crate::batch::Support;
    match support {
        Support::Reals => "the reals",
        Support::UnitInterval => "the unit cube",
        Support::Bits => "bits",
    }
}
