//! From a resolved Run to a model: each axis's settings are found by name, checked, and built.

use crate::batch::LatentShape;
use crate::config::{ConfigError, Registry, Run};
use crate::data::{Facts, SampleShape};
use crate::device::Device;
use crate::key::Key;
use crate::model::LatentModel;
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::model::prior::PriorSettings;
use crate::network::DecoderShape;
use crate::weights::{Init, MOST_OUTLINED, Weights};

/// Builds the model of `run` with fresh weights, keyed by `run.seed`.
pub fn build(run: &Run, registry: &Registry, device: &Device) -> Result<(LatentModel, Weights), ConfigError> {
    assemble(run, registry, Weights::new(device))
}

/// The name and shape of every array of `run`'s model, in order, without building it: so that a model that is
/// too large, or not the one a file holds, is refused before it takes memory.
pub fn outline(run: &Run, registry: &Registry) -> Result<Vec<(String, Vec<usize>)>, ConfigError> {
    let (_, weights) = assemble(run, registry, Weights::outline())?;
    if weights.iter().count() >= MOST_OUTLINED {
        return Err(ConfigError::Value {
            key: "network".into(),
            what: format!("a network of {MOST_OUTLINED} arrays or more"),
            remedy: "use fewer layers".into(),
        });
    }
    Ok(weights.iter().map(|(_, weight)| (weight.path().to_string(), weight.shape().to_vec())).collect())
}

fn assemble(
    run: &Run,
    registry: &Registry,
    mut weights: Weights,
) -> Result<(LatentModel, Weights), ConfigError> {
    check_sizes(run)?;
    let (likelihood, _) = registry.likelihoods.resolve(&run.likelihood, "likelihood")?;
    let (posterior, _) = registry.posteriors.resolve(&run.posterior, "posterior")?;
    let (prior, _) = registry.priors.resolve(&run.prior, "prior")?;
    let (encoder, _) = registry.networks.resolve(&run.encoder, "encoder")?;
    let (decoder, _) = registry.networks.resolve(&run.decoder, "decoder")?;
    let latent = posterior.latent();
    check(&run.facts, &latent, likelihood.as_ref(), posterior.as_ref(), prior.as_ref())?;
    encoder.check(run.facts.shape).map_err(|error| error.within("network"))?;
    decoder.check(run.facts.shape).map_err(|error| error.within("network"))?;

    let shape = DecoderShape {
        latent: latent.dims(),
        sample: run.facts.shape,
        parameters: likelihood.parameters(),
        bias: likelihood.output_bias(&run.facts),
    };
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

/// No size in a configuration may be greater: products of a few of them still fit into 64 bits.
const MOST: i64 = 1 << 20;

/// Refuses sizes beyond all models, which would overflow where sizes are multiplied.
fn check_sizes(run: &Run) -> Result<(), ConfigError> {
    let sections = [
        ("likelihood", &run.likelihood),
        ("posterior", &run.posterior),
        ("prior", &run.prior),
        ("encoder", &run.encoder),
        ("decoder", &run.decoder),
    ];
    for (section, table) in sections {
        for (key, value) in table {
            let numbers = match value {
                toml::Value::Array(values) => values.as_slice(),
                value => std::slice::from_ref(value),
            };
            if let Some(number) = numbers.iter().filter_map(toml::Value::as_integer).find(|n| *n > MOST) {
                return Err(ConfigError::Value {
                    key: format!("{section}.{key}"),
                    what: format!("{number} is larger than any model"),
                    remedy: format!("give {MOST} at most"),
                });
            }
        }
    }
    let features = match run.facts.shape {
        SampleShape::Image { channels, height, width } => {
            channels.checked_mul(height).and_then(|area| area.checked_mul(width))
        }
        SampleShape::Vector { columns } => Some(columns),
    };
    if features.is_none_or(|features| features == 0 || features > MOST_FEATURES) {
        return Err(ConfigError::Value {
            key: "facts.shape".into(),
            what: format!("{:?} is no shape of a sample", run.facts.shape),
            remedy: format!("a sample has 1 to {MOST_FEATURES} numbers"),
        });
    }
    Ok(())
}

/// A sample has at most this many numbers.
const MOST_FEATURES: usize = 1 << 24;

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
