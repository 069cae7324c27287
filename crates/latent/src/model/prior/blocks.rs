//! Independent blocks: p(z) = Π_b p_b(z_b), a prior for each block of the posterior, by its name.
//!
//! ```toml
//! [prior]
//! kind = "blocks"
//! [prior.blocks]
//! z = { kind = "standard-normal" }
//! b = { kind = "bits" }
//! ```

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, PriorSettings};
use crate::batch::{Block, Given, LatentShape};
use crate::config::{ConfigError, nearest};
use crate::data::DataError;
use crate::density::{Density, Product};
use crate::member::{Context, Freeze, Kept, Life, Named, Nested, Progress, Registry, Settings, Start};
use crate::model::View;
use crate::weights::{Init, Weights};

/// Which prior for which block.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlocksPriorSettings {
    /// A prior for each block of the posterior, by its name.
    pub blocks: BTreeMap<String, Nested<PriorSettings>>,
}

impl Named for BlocksPriorSettings {
    const KIND: &'static str = "blocks";
    const ABOUT: &'static str = "a prior of its own for each block";

    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        self.blocks
            .iter_mut()
            .try_for_each(|(name, inner)| inner.read(registry, &format!("{path}.blocks.{name}")))
    }
}

impl BlocksPriorSettings {
    fn of(&self, block: &Block) -> Result<&PriorSettings, ConfigError> {
        match self.blocks.get(&block.name) {
            Some(inner) => inner.get(),
            None => Err(ConfigError::value(
                "blocks",
                format!("no prior for the block `{}`", block.name),
                format!("add blocks.{} = {{ kind = \"…\" }}", block.name),
            )),
        }
    }
}

/// What a prior sees that is for one block alone.
fn alone<'a>(context: &Context<'a>, block: &Block) -> Context<'a> {
    Context { latent: LatentShape { blocks: vec![block.clone()] }, ..context.clone() }
}

impl Settings<dyn Prior> for BlocksPriorSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let names: Vec<&str> = context.latent.blocks.iter().map(|block| block.name.as_str()).collect();
        if let Some(foreign) = self.blocks.keys().find(|name| !names.contains(&name.as_str())) {
            return Err(ConfigError::UnknownKey {
                key: format!("{}.blocks.{foreign}", context.path),
                nearest: nearest(foreign, names),
            });
        }
        let mut factorises = true;
        for block in &context.latent.blocks {
            let settings = self.of(block)?;
            let mut own = alone(context, block);
            own.inside(&format!("blocks.{}", block.name), |own| settings.declare(own))?;
            factorises &= own.prior_factorises;
        }
        context.prior_factorises = factorises;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let mut parts = Vec::new();
        for block in &context.latent.blocks {
            let prior = self.of(block)?.init(&alone(context, block), &mut init.scope(&block.name))?;
            parts.push((block.name.clone(), block.dims(), prior));
        }
        Ok(Box::new(BlocksPrior { parts }))
    }
}

struct BlocksPrior {
    /// Name and columns of each block.
    parts: Vec<(String, usize, Box<dyn Prior>)>,
}

impl BlocksPrior {
    fn priors(&self) -> impl Iterator<Item = &dyn Prior> {
        self.parts.iter().map(|(_, _, prior)| prior.as_ref())
    }
}

impl Prior for BlocksPrior {
    fn density(&self, view: &View<'_>, given: Given<'_>) -> Box<dyn Density> {
        let each = self.parts.iter().map(|(name, dims, p)| (name.clone(), *dims, p.density(view, given)));
        Box::new(Product::new(each))
    }

    fn is_conditional(&self) -> bool {
        self.priors().any(Prior::is_conditional)
    }
}

impl Life for BlocksPrior {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        self.priors().try_for_each(|prior| prior.start(start))
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, at: Progress) {
        self.priors().for_each(|prior| prior.follow(weights, kept, at));
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        self.priors().try_for_each(|prior| prior.freeze(freeze))
    }
}
