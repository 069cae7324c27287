//! Independent blocks: q(z|x) = Π_b q_b(z_b|x), each a posterior of its own family under its own name.
//!
//! ```toml
//! [posterior]
//! kind = "blocks"
//! [posterior.blocks]
//! z = { kind = "diagonal-normal", latent = 8 }
//! b = { kind = "bits", latent = 4 }
//! ```

use std::collections::BTreeMap;
use std::ops::Range;

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Posterior, PosteriorSettings};
use crate::batch::{Batch, Latent, LatentShape};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape};
use crate::density::{Density, Product};
use crate::member::{Context, Freeze, Kept, Life, Named, Nested, Progress, Registry, Settings, Start};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// Which posterior for which block.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlocksSettings {
    /// A posterior for each name, in the order of names.
    pub blocks: BTreeMap<String, Nested<PosteriorSettings>>,
}

impl Named for BlocksSettings {
    const KIND: &'static str = "blocks";
    const ABOUT: &'static str = "several blocks, each with a posterior of its own";

    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        self.blocks
            .iter_mut()
            .try_for_each(|(name, inner)| inner.read(registry, &format!("{path}.blocks.{name}")))
    }
}

impl BlocksSettings {
    /// What each block declares by itself.
    fn each<'a>(
        &self,
        context: &Context<'a>,
    ) -> Result<Vec<(&String, &PosteriorSettings, Context<'a>)>, ConfigError> {
        let mut all = Vec::new();
        for (name, inner) in &self.blocks {
            let settings = inner.get()?;
            let mut own = context.clone();
            own.inside(&format!("blocks.{name}"), |own| settings.declare(own))?;
            all.push((name, settings, own));
        }
        Ok(all)
    }
}

impl Settings<dyn Posterior> for BlocksSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.blocks.is_empty() {
            return Err(ConfigError::value("blocks", "no block", "give at least one"));
        }
        let (mut blocks, mut heads, mut features) = (Vec::new(), 0, 0);
        let (mut has_density, mut factorises, mut is_sequential) = (true, true, false);
        for (name, _, own) in self.each(context)? {
            for mut block in own.latent.blocks {
                // A block inside a block is called after both.
                block.name = if block.name == "z" { name.clone() } else { format!("{name}.{}", block.name) };
                blocks.push(block);
            }
            heads += own.heads.features();
            features += own.features.features();
            has_density &= own.has_density;
            is_sequential |= own.is_sequential;
            factorises &= own.posterior_factorises;
        }
        context.latent = LatentShape { blocks };
        context.heads = SampleShape::Vector { columns: heads };
        context.features = SampleShape::Vector { columns: features };
        context.has_density = has_density;
        context.is_sequential = is_sequential;
        context.posterior_factorises = factorises;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (mut parts, mut codes, mut heads) = (Vec::new(), 0, 0);
        for (name, settings, own) in self.each(context)? {
            let range = |start: &mut usize, width: usize| {
                *start += width;
                *start - width..*start
            };
            parts.push(Part {
                name: name.clone(),
                codes: range(&mut codes, own.latent.dims()),
                heads: range(&mut heads, own.heads.features()),
                posterior: settings.init(&own, &mut init.scope(name))?,
            });
        }
        Ok(Box::new(Blocks { parts }))
    }
}

struct Blocks {
    parts: Vec<Part>,
}

struct Part {
    name: String,
    /// Its columns of a code.
    codes: Range<usize>,
    /// Its columns of the encoder's outputs.
    heads: Range<usize>,
    posterior: Box<dyn Posterior>,
}

fn cut(matrix: &Tensor<2>, columns: &Range<usize>) -> Tensor<2> {
    matrix.clone().narrow(1, columns.start, columns.len())
}

impl Posterior for Blocks {
    fn density(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        Box::new(Product::new(self.parts.iter().map(|part| {
            let density = part.posterior.density(view, batch, cut(&outputs, &part.heads));
            (part.name.clone(), part.codes.len(), density)
        })))
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let each =
            self.parts.iter().map(|part| part.posterior.features(view, &Latent::new(cut(&z.z, &part.codes))));
        Tensor::cat(each.collect(), 1)
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let (mut centres, mut deviations) = (Vec::new(), Vec::new());
        for part in &self.parts {
            let own = graph.columns(outputs, part.heads.start, part.heads.len());
            let (centre, deviation) = part.posterior.trace(weights, graph, &own)?;
            centres.push(centre);
            deviations.extend(deviation);
        }
        let all = deviations.len() == centres.len();
        let deviation = all.then(|| graph.beside(&deviations));
        Ok((graph.beside(&centres), deviation))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let mut each = Vec::new();
        for part in &self.parts {
            let own = graph.columns(z, part.codes.start, part.codes.len());
            each.push(part.posterior.trace_features(weights, graph, &own)?);
        }
        Ok(graph.beside(&each))
    }

    fn has_density(&self) -> bool {
        self.parts.iter().all(|part| part.posterior.has_density())
    }
}

impl Life for Blocks {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        self.parts
            .iter()
            .try_for_each(|part| start.inside(part.heads.clone(), |own| part.posterior.start(own)))
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, at: Progress) {
        self.parts.iter().for_each(|part| part.posterior.follow(weights, kept, at));
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        self.parts.iter().try_for_each(|part| part.posterior.freeze(freeze))
    }
}
