//! VampPrior: p(z) = 1/K Σ_k q(z|u_k), the aggregate of posteriors of K learned pseudo-inputs.
//!
//! The best prior for a given encoder is the aggregate posterior; a few pseudo-inputs, learned with the model, stand for the
//! rows. They start as training rows and, where the data lies in [0, 1], stay there. A rate has no closed form under it.
//!
//! Reference: Tomczak & Welling, *VAE with a VampPrior* (arXiv 1705.07120).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Prior, needs_support};
use crate::batch::{Batch, Draw, Given, Latent, Noise, Support};
use crate::config::ConfigError;
use crate::data::{DataError, ValueKind};
use crate::density::{Density, log_sum_exp};
use crate::device::{Device, host};
use crate::member::{Context, Life, Named, Settings, Start};
use crate::model::View;
use crate::weights::{Init, Initial, WeightId};

/// How many pseudo-inputs.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VampSettings {
    /// K, the number of pseudo-inputs.
    pub components: usize,
}

impl Default for VampSettings {
    fn default() -> Self {
        Self { components: 500 }
    }
}

struct Vamp {
    /// u, `[K, features]`
    inputs: WeightId,
    /// What the encoder is told of each, `[K, conditions]`.
    told: Option<WeightId>,
    components: usize,
    /// Whether the data, and so pseudo-inputs, lie in [0, 1].
    unit: bool,
}

impl Named for VampSettings {
    const KIND: &'static str = "vamp";
    const ABOUT: &'static str = "the aggregate posterior of learned pseudo-inputs";
}

impl Settings<dyn Prior> for VampSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.components == 0 {
            return Err(ConfigError::value("components", "a mixture of 0 components", "give at least 1"));
        }
        if !context.has_density {
            return Err(ConfigError::combination(
                "a VampPrior is a mixture of posteriors, and this posterior is a point without a density",
                "use posterior.kind = \"diagonal-normal\", or another prior",
            ));
        }
        // Each code under each component, dimension by dimension: minutes and gigabytes a step.
        if context.is_sequential {
            return Err(ConfigError::combination(
                "a VampPrior asks what each code is under the posterior of each pseudo-input, which a flow finds one dimension \
                 after the other, so that a step would take minutes",
                "use posterior.kind = \"diagonal-normal\", or prior.kind = \"standard-normal\" or \"mixture\" beside a flow",
            ));
        }
        // Other codes than those of a pseudo-input would have no mass.
        needs_support(context, "the codes of its pseudo-inputs alone (a VampPrior)", |support| {
            !matches!(support, Support::Index(_))
        })?;
        if context.path.contains(".blocks.") {
            return Err(ConfigError::combination(
                "a VampPrior is a mixture of posteriors of the whole code, and this one is of a block",
                "use prior.kind = \"vamp\" for all blocks, or another prior for this block",
            ));
        }
        context.prior_factorises = false;
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Prior>, ConfigError> {
        let (features, condition) = (context.facts.shape.features(), context.condition());
        Ok(Box::new(Vamp {
            inputs: init.weight("inputs", &[self.components, features], Initial::Normal(0.1)),
            told: (condition > 0)
                .then(|| init.buffer("told", &[self.components, condition], Initial::Constant(0.0))),
            components: self.components,
            unit: context.facts.kind != ValueKind::Real,
        }))
    }
}

impl Prior for Vamp {
    fn density(&self, view: &View<'_>, _: Given<'_>) -> Box<dyn Density> {
        let inputs = view.weights.get::<2>(self.inputs);
        let x = if self.unit { inputs.clamp(0.0, 1.0) } else { inputs };
        let ids = (0..self.components as u64).collect();
        let condition = self.told.map(|told| view.weights.get::<2>(told));
        // Statistics are the data's: those of pseudo-inputs are not recorded.
        let view = View { record: None, ..*view };
        Box::new(Aggregate {
            parts: view.encode(&Batch { condition, ..Batch::of(x, ids) }),
            components: self.components,
            device: view.weights.device().clone(),
        })
    }
}

impl Life for Vamp {
    /// Pseudo-inputs start as training rows; a book larger than the data repeats them.
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        let rows = start.rows(self.components)?;
        let mut set = |id: WeightId, values: Vec<f32>, width: usize| {
            if !start.is_filled(id) {
                let all = self.components * width;
                start.weights.set_values(id, values.into_iter().cycle().take(all).collect());
            }
        };
        set(self.inputs, host(&rows.x), rows.x.dims()[1]);
        if let (Some(told), Some(condition)) = (self.told, &rows.condition) {
            set(told, host(condition), condition.dims()[1]);
        }
        Ok(())
    }
}

/// 1/K Σ_k q_k(z), one density for all rows.
struct Aggregate {
    /// q(z|u_k), a row each.
    parts: Box<dyn Density>,
    components: usize,
    device: Device,
}

impl Aggregate {
    /// `values` of every code under every component, as they come for K rows: `[m · K]` → `[m, K]`.
    fn against_all(&self, z: &Latent) -> Option<Tensor<2>> {
        let [rows, dims] = z.z.dims();
        let k = self.components;
        // Code c against component j stands at c·K + j: draw c of row j.
        let each = z.z.clone().reshape([rows, 1, dims]).expand([rows, k, dims]).reshape([rows * k, dims]);
        Some(self.parts.log_density(&Latent::new(each))?.reshape([rows, k]))
    }
}

impl Density for Aggregate {
    /// A component for each code by its key, then a draw of it. Not differentiable in which.
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let chosen = Noise { key: noise.key.fold("component"), ..noise };
        let uniforms = host(&chosen.uniforms(draws, 1, &self.device));
        let most = self.components - 1;
        let place = |u: f32| ((f64::from(u) * self.components as f64) as usize).min(most);
        let places: Vec<usize> = uniforms.into_iter().map(place).collect();
        let n = noise.ids.len();
        // Each draw has components of its own.
        let one = |draw: usize| {
            let rows = self.parts.rows(&places[draw * n..(draw + 1) * n]);
            rows.draw(1, Noise { first: noise.first + draw, ..noise }).z.z
        };
        Draw::new(Tensor::cat((0..draws).map(one).collect(), 0))
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        Some(log_sum_exp(self.against_all(z)?) - (self.components as f64).ln())
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    fn centre(&self) -> Latent {
        Latent::new(self.parts.centre().z.mean_dim(0))
    }

    /// Var z = E Var_k z + Var E_k z
    fn deviation(&self) -> Option<Tensor<2>> {
        let (mean, deviation) = (self.parts.centre().z, self.parts.deviation()?);
        let second = (deviation.clone() * deviation + mean.clone() * mean.clone()).mean_dim(0);
        let mean = mean.mean_dim(0);
        Some((second - mean.clone() * mean).clamp_min(0.0).sqrt())
    }

    fn rows(&self, _: &[usize]) -> Box<dyn Density> {
        let all: Vec<usize> = (0..self.components).collect();
        Box::new(Self {
            parts: self.parts.rows(&all),
            components: self.components,
            device: self.device.clone(),
        })
    }

    fn detached(&self) -> Box<dyn Density> {
        let (parts, device) = (self.parts.detached(), self.device.clone());
        Box::new(Self { parts, components: self.components, device })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        self.parts.parameters()
    }
}
