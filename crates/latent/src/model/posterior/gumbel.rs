//! Gumbel-softmax: each dimension of a code is one of K categories, drawn with a gradient.
//!
//! τ(t) = τ_0 (τ_1 / τ_0)^min(1, t / (fall · T)),  q(z|x) = Π_j softmax(ℓ_j(x))_{z_j}
//!
//! While training the decoder sees soft draws at the temperature τ, which falls by the same factor each step; a model as it is used
//! draws indices, and the decoder sees 1 in one place and 0 in the others. The rate is that of the indices, in closed form under a
//! categorical prior: KL(q‖p) = Σ_j Σ_i q_ji (ln q_ji − ln p_ji). See `density/gumbel_softmax.rs` for a draw.
//!
//! References: Jang, Gu & Poole, *Categorical Reparameterization with Gumbel-Softmax* (arXiv 1611.01144); Maddison, Mnih & Teh, *The
//! Concrete Distribution* (arXiv 1611.00712).

use std::sync::Arc;

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Posterior;
use super::places::{Places, looked_up};
use super::size::LatentSize;
use crate::batch::{Batch, Latent, LatentShape, Support};
use crate::config::ConfigError;
use crate::density::{Categorical, Density, GumbelSoftmax, Relaxed};
use crate::member::{Context, Kept, Life, Named, Progress, Settings};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// How many categories, and how the temperature falls.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GumbelSettings {
    /// How many dimensions, each one of K categories.
    pub latent: LatentSize,
    /// K, the categories of a dimension.
    pub categories: usize,
    /// τ at the first step: nearly hard at 0.1, nearly uniform at 10.
    pub temperature: f64,
    /// τ in the end.
    pub final_temperature: f64,
    /// The share of the run over which τ falls; 0 for the final one from the start.
    pub fall: f64,
    /// Whether the decoder sees hard draws while training, with the gradient of soft ones.
    pub straight_through: bool,
}

impl Default for GumbelSettings {
    fn default() -> Self {
        Self {
            latent: LatentSize::default(),
            categories: 10,
            temperature: 1.0,
            final_temperature: 0.5,
            fall: 1.0,
            straight_through: false,
        }
    }
}

impl Named for GumbelSettings {
    const KIND: &'static str = "gumbel";
    const ABOUT: &'static str = "independent categories, drawn by Gumbel-softmax";
}

/// Temperatures that make sense: below them a gradient leaves single precision.
const TEMPERATURES: (f64, f64) = (1e-3, 1e3);

impl GumbelSettings {
    /// τ before this step.
    fn temperature_at(&self, step: u64, total: u64) -> f64 {
        let length = self.fall * total as f64;
        let share = if length > 0.0 { (step as f64 / length).min(1.0) } else { 1.0 };
        self.temperature * (self.final_temperature / self.temperature).powf(share)
    }
}

impl Settings<dyn Posterior> for GumbelSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.categories < 2 {
            let what = format!("{} categories", self.categories);
            return Err(ConfigError::value("categories", what, "give at least 2"));
        }
        for (key, temperature) in
            [("temperature", self.temperature), ("final_temperature", self.final_temperature)]
        {
            if !(TEMPERATURES.0..=TEMPERATURES.1).contains(&temperature) {
                return Err(ConfigError::value(
                    key,
                    format!("{temperature} is no temperature to train at"),
                    format!("give {} to {}, such as 0.5", TEMPERATURES.0, TEMPERATURES.1),
                ));
            }
        }
        if !(0.0..=1.0).contains(&self.fall) {
            let what = format!("{} is not a share of the run", self.fall);
            return Err(ConfigError::value("fall", what, "give 0 to 1"));
        }
        let (_, outputs, block) = Places::around(self.latent.shape(context)?, self.categories);
        context.latent = LatentShape::block("z", block, Support::Index(self.categories));
        (context.heads, context.features) = (outputs, outputs);
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let (places, ..) = Places::around(self.latent.shape(context)?, self.categories);
        let first = self.temperature_at(0, 1) as f32;
        Ok(Box::new(Gumbel {
            order: places.order().map(Into::into),
            places,
            temperature: init.training_only().buffer("temperature", &[1], Initial::Constant(first)),
            settings: self.clone(),
        }))
    }
}

struct Gumbel {
    places: Places,
    /// How [`Places::outputs`] orders numbers, where it moves any.
    order: Option<Arc<[i32]>>,
    /// τ, `[1]`.
    temperature: WeightId,
    settings: GumbelSettings,
}

impl Gumbel {
    /// Each category as the decoder sees it, `[K · K]`.
    fn book(&self) -> Vec<f32> {
        let size = self.settings.categories;
        (0..size * size).map(|cell| f32::from(u8::from(cell / size == cell % size))).collect()
    }
}

impl Posterior for Gumbel {
    fn density(&self, view: &View<'_>, _: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let ([n, width], size) = (outputs.dims(), self.settings.categories);
        let logits = self.places.vectors(outputs).reshape([n, width]);
        let relaxed = view.is_training().then(|| Relaxed {
            temperature: view.weights.get(self.temperature),
            hard: self.settings.straight_through,
            order: self.order.clone(),
        });
        Box::new(GumbelSoftmax { law: Categorical { logits, size }, relaxed })
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        let size = self.settings.categories;
        let book = view.weights.device().tensor(self.book(), [size, size]);
        self.places.outputs(looked_up(&book, z.z.clone().reshape([z.rows() * self.places.count()])))
    }

    fn trace(
        &self,
        _: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let logits = self.places.trace_vectors(graph, outputs);
        let logits = graph.unary("Neg", &logits);
        Ok((graph.least(&logits), None))
    }

    fn trace_features(&self, _: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        let size = self.settings.categories;
        let vectors = graph.look_up(z, &self.book(), [size, size]);
        Ok(self.places.trace_outputs(graph, vectors))
    }
}

impl Life for Gumbel {
    /// The temperature of the next step.
    fn follow(&self, weights: &mut Weights, _: &Kept, at: Progress) {
        let temperature = self.settings.temperature_at(at.step + 1, at.total);
        weights.set_values(self.temperature, vec![temperature as f32]);
    }
}
