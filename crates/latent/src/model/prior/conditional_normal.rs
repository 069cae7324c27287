//! p(z|c) = N(μ(c), diag σ²(c)): where z lives before any x, but after what is told of the row.
//!
//! μ and ln σ² are dense layers of the condition, affine without hidden ones. They start at N(0, I).
//!
//! Reference: Sohn, Lee & Yan, *Learning Structured Output Representation using Deep Conditional Generative Models* (NeurIPS
//! 2015), its conditional prior network.

use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Given, Support};
use crate::config::ConfigError;
use crate::density::{Density, DiagonalNormal};
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::network::{Dense, DenseConfig};
use crate::weights::{Init, Initial, WeightId};

/// The layers from the condition to μ and σ.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConditionalNormalSettings {
    /// The widths of hidden layers; none for an affine map.
    pub hidden: Vec<usize>,
}

struct ConditionalNormal {
    hidden: Vec<Dense>,
    /// `[width, 2 · dims]` and `[2 · dims]`: μ, then ln σ².
    weight: WeightId,
    bias: WeightId,
    condition: usize,
    dims: usize,
}

/// ln σ² is kept in this range.
const LOG_VARIANCE: (f64, f64) = (-12.0, 6.0);

impl Named for ConditionalNormalSettings {
    const KIND: &'static str = "conditional-normal";
    const ABOUT: &'static str = "N(μ(c), diag σ²(c)) of the condition c";
}

impl Settings<dyn Prior> for ConditionalNormalSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.hidden.contains(&0) {
            let what = format!("{:?} has a layer of width 0", self.hidden);
            return Err(ConfigError::value("hidden", what, "give each layer at least one unit"));
        }
        if context.condition() == 0 {
            return Err(ConfigError::combination(
                "the prior depends on a condition, and the model is told none",
                "set data.condition = [\"label\"], or use prior.kind = \"standard-normal\"",
            ));
        }
        needs_support(context, "the reals", |support| support == Support::Reals)
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let (condition, dims) = (context.condition(), context.latent.dims());
        let mut width = condition;
        let mut hidden = Vec::new();
        for (index, &next) in self.hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            hidden.push(layer.init(init, &index.to_string()));
            width = next;
        }
        // N(0, I) at the start, whatever is told.
        let zeros = Initial::Constant(0.0);
        let weight = init.weight("weight", &[width, 2 * dims], zeros.clone());
        let bias = init.weight("bias", &[2 * dims], zeros);
        Ok(Box::new(ConditionalNormal { hidden, weight, bias, condition, dims }))
    }
}

impl Prior for ConditionalNormal {
    fn density(&self, view: &View<'_>, given: Given<'_>) -> Box<dyn Density> {
        let weights = view.weights;
        // Rows of which nothing is told are those of a condition of zeros.
        let told = given.condition.cloned();
        let told =
            told.unwrap_or_else(|| weights.device().tensor(vec![0.0; self.condition], [1, self.condition]));
        let hidden = self.hidden.iter().fold(told, |h, layer| layer.apply(weights, h));
        let (weight, bias) = (weights.get(self.weight), weights.get(self.bias));
        let both = latent_kernels::dense(hidden, weight, bias, Activation::Identity);
        Box::new(DiagonalNormal {
            mean: both.clone().narrow(1, 0, self.dims),
            log_variance: both.narrow(1, self.dims, self.dims).clamp(LOG_VARIANCE.0, LOG_VARIANCE.1),
        })
    }

    fn is_conditional(&self) -> bool {
        true
    }
}

impl Life for ConditionalNormal {}
