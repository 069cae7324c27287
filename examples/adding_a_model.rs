//! A paper as one file on one axis: the VampPrior, from outside the library. docs/adding-a-model.md walks through it.

use std::any::Any;
use std::sync::atomic::AtomicBool;

use latent::batch::{Batch, Given};
use latent::config::ConfigError;
use latent::data::{Data, DataError};
use latent::density::{Density, DiagonalNormal, NormalMixture};
use latent::device::host;
use latent::member::{Context, Life, Named, Settings, Start};
use latent::model::View;
use latent::model::prior::{Prior, PriorSettings};
use latent::schemars::{self, JsonSchema};
use latent::train::Event;
use latent::weights::{Init, Initial, WeightId};
use latent::{Key, Layers, Options, Registry, Training};
use serde::{Deserialize, Serialize};

// ANCHOR: settings
/// `[prior]` with `kind = "pseudo-inputs"`: p(z) = 1/K Σ_k q(z|u_k).
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct PseudoInputSettings {
    /// K, the number of pseudo-inputs.
    components: usize,
}

impl Default for PseudoInputSettings {
    fn default() -> Self {
        Self { components: 50 }
    }
}

impl Named for PseudoInputSettings {
    const KIND: &'static str = "pseudo-inputs";
    const ABOUT: &'static str = "the aggregate posterior of learned inputs";
}
// ANCHOR_END: settings

// ANCHOR: birth
impl Settings<dyn Prior> for PseudoInputSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.components == 0 {
            return Err(ConfigError::value("components", "a mixture of 0 components", "give at least 1"));
        }
        if !context.has_density {
            return Err(ConfigError::combination(
                "the prior is a mixture of posteriors, and this posterior has no density",
                "use posterior.kind = \"diagonal-normal\"",
            ));
        }
        context.prior_factorises = false;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let shape = [self.components, context.facts.shape.features()];
        let inputs = init.weight("inputs", &shape, Initial::Normal(0.1));
        Ok(Box::new(PseudoInputs { inputs, components: self.components }))
    }
}
// ANCHOR_END: birth

// ANCHOR: member
struct PseudoInputs {
    /// u, `[K, features]`
    inputs: WeightId,
    components: usize,
}

impl Prior for PseudoInputs {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        let inputs = view.weights.get::<2>(self.inputs);
        let q = view.encode(&Batch::of(inputs, (0..self.components as u64).collect()));
        let any: &dyn Any = q.as_ref();
        match any.downcast_ref::<DiagonalNormal>() {
            Some(normals) => Box::new(NormalMixture {
                logits: view.weights.device().tensor(vec![0.0; self.components], [1, self.components]),
                mean: normals.mean.clone(),
                log_variance: normals.log_variance.clone(),
            }),
            // The member that ships mixes any family.
            None => q,
        }
    }
}
// ANCHOR_END: member

// ANCHOR: life
impl Life for PseudoInputs {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let rows = start.rows(self.components)?;
        if rows.len() == self.components && !start.is_filled(self.inputs) {
            start.weights.set_values(self.inputs, host(&rows.x));
        }
        Ok(())
    }
}
// ANCHOR_END: life

// ANCHOR: use
fn main() -> latent::Result<()> {
    let registry = Registry::default().with::<PriorSettings, PseudoInputSettings>();
    let mut layers = Layers::from_preset("vae")?.with_prior(&PseudoInputSettings { components: 30 })?;
    for setting in ["data.source=embedded", "data.limit=2000", "train.epochs=3"] {
        layers.set(setting)?;
    }
    let note = &mut |line: String| println!("{line}");
    let data = Data::open(&layers.data()?, Key::from_seed(1), note)?;
    let options = Options { registry, ..Options::default() };
    let mut training = Training::in_memory(&layers, data, options, note)?;
    training.train(&AtomicBool::new(false), &mut |event| {
        if let Event::Validated { line, .. } = event {
            println!("epoch {:.0}: {:?}", line.epoch, line.values);
        }
    })?;
    println!("{} samples", training.into_model()?.sample(16, Key::from_seed(7))?.len());
    Ok(())
}
// ANCHOR_END: use
