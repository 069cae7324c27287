//! Categorical: each feature is one of so many levels, with a probability of its own for each of them.
//!
//! P(x_i = l | z) = softmax(g_i(z))_l
//!
//! It can say anything of a pixel, several peaks too, and knows nothing of levels being near each other. The decoder gives as many
//! numbers for each feature as there are levels: 256 times as many as other likelihoods want.
//!
//! Reference: van den Oord, Kalchbrenner & Kavukcuoglu, *Pixel Recurrent Neural Networks* (arXiv 1601.06759).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BaseMeasure, Likelihood, check_levels, has_levels, needs_unit_interval, repeat_x, sum_observed};
use crate::batch::{Batch, Latent, Noise};
use crate::config::ConfigError;
use crate::data::Facts;
use crate::density::{Categorical as Indices, Density};
use crate::member::{Context, Life, Named, Outputs, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// How many levels.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CategoricalSettings {
    /// The number of levels of a value.
    pub levels: u32,
}

impl Default for CategoricalSettings {
    fn default() -> Self {
        Self { levels: 256 }
    }
}

struct Categorical {
    features: usize,
    levels: usize,
    /// Whether the data lies on the levels.
    on_levels: bool,
}

/// More levels are taken for a mistake.
const MOST_LEVELS: u32 = 1024;

impl Named for CategoricalSettings {
    const KIND: &'static str = "categorical";
    const ABOUT: &'static str = "a probability of its own for each of 256 levels";
}

impl Settings<dyn Likelihood> for CategoricalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let facts = context.facts;
        needs_unit_interval(facts, Self::KIND)?;
        check_levels(facts, Self::KIND, self.levels)?;
        if self.levels > MOST_LEVELS {
            let what = format!("{} levels, a number for each of them at each feature", self.levels);
            return Err(ConfigError::value("levels", what, "use likelihood.kind = \"discretised-logistic\""));
        }
        context.outputs = Outputs::each(facts.shape, self.levels as usize, spread(facts, self.levels));
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Likelihood>, ConfigError> {
        let facts = context.facts;
        Ok(Box::new(Categorical {
            features: facts.shape.features(),
            levels: self.levels as usize,
            on_levels: has_levels(facts),
        }))
    }
}

/// Logits of a wide normal about each feature's mean: where nothing is learned yet.
fn spread(facts: &Facts, levels: u32) -> Option<Vec<f32>> {
    let features = facts.shape.features();
    let mean = Some(&facts.mean).filter(|mean| mean.len() == features)?;
    let variance = |i: usize| facts.variance.get(i).copied().unwrap_or(0.0).max(0.01) * 2.0;
    let top = (levels - 1) as f32;
    let logit = |level: u32, i: usize| -0.5 * (level as f32 / top - mean[i]).powi(2) / variance(i);
    Some((0..levels).flat_map(|level| (0..features).map(move |i| logit(level, i))).collect())
}

impl Life for Categorical {}

impl Categorical {
    /// The law of the level of each feature.
    fn law(&self, outputs: Tensor<2>) -> Indices {
        let (rows, features, levels) = (outputs.dims()[0], self.features, self.levels);
        let logits = outputs.reshape([rows, levels, features]).swap_dims(1, 2);
        Indices { logits: logits.reshape([rows, features * levels]), size: levels }
    }

    fn top(&self) -> f64 {
        (self.levels - 1) as f64
    }
}

impl Likelihood for Categorical {
    /// Values off the levels, as arrays of floats may hold, have no probability.
    fn measure(&self) -> BaseMeasure {
        match self.on_levels {
            true => BaseMeasure::Counting { levels: self.levels as u32 },
            false => BaseMeasure::None,
        }
    }

    fn log_density(&self, _: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let x = match &batch.mask {
            // What is masked may be no number.
            Some(mask) => batch.x.clone().mask_fill(mask.clone().lower_elem(0.5), 0.0),
            None => batch.x.clone(),
        };
        let level = repeat_x(&(x * self.top()).clamp(0.0, self.top()), outputs.dims()[0]);
        let log_p = self.law(outputs).log_density_per_dimension(&Latent::new(level.clone()));
        sum_observed(log_p.unwrap_or_else(|| level.zeros_like()), batch)
    }

    /// Σ_l P(l) l
    fn mean(&self, _: &View<'_>, outputs: Tensor<2>) -> Tensor<2> {
        let (rows, features) = (outputs.dims()[0], self.features);
        let logits = outputs.reshape([rows, self.levels, features]);
        let p = burn::tensor::activation::softmax(logits, 1);
        let level = (0..self.levels).map(|level| level as f64 / self.top()).collect();
        let level = crate::device::Device::of(&p).tensor_f64(level, [1, self.levels, 1]);
        (p * level).sum_dim(1).reshape([rows, features])
    }

    fn trace(&self, _: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let (features, levels) = (self.features, self.levels);
        let logits = graph.reshape(outputs.clone(), &[levels, features]);
        let logits = graph.transpose(&logits, &[0, 2, 1]);
        let p = graph.softmax(&logits);
        let level: Vec<f32> = (0..levels).map(|level| (level as f64 / self.top()) as f32).collect();
        let mean = graph.product(&p, &level, [levels, 1]);
        Ok(graph.reshape(mean, &[features]))
    }

    fn draw(&self, _: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2> {
        self.law(outputs).draw(1, noise).z.z * (1.0 / self.top())
    }
}
