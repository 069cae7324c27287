//! A flow over a base posterior, of steps whose parameters the encoder gives for each x, or that are the model's own.
//!
//! z_t = f(z_{t−1}; θ_t),  ln q(z_T|x) = ln q(z_0|x) − Σ_t ln |det ∂z_t/∂z_{t−1}|
//!
//! What f can be stands in `density/transformed.rs`: planar, radial, Householder and Sylvester steps.
//!
//! References: Rezende & Mohamed, *Variational Inference with Normalizing Flows* (arXiv 1505.05770); Tomczak & Welling, *Improving
//! Variational Auto-Encoders using Householder Flow* (arXiv 1611.09630); van den Berg et al., *Sylvester Normalizing Flows for
//! Variational Inference* (arXiv 1803.05649).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DiagonalNormalSettings, Posterior, PosteriorSettings};
use crate::batch::{Batch, Latent, Support};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape};
use crate::density::{Density, Step, Transformed};
use crate::member::{Context, Freeze, Kept, Life, Named, Nested, Progress, Registry, Settings, Start};
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// The base and the steps.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowSettings {
    /// The posterior that the flow starts from.
    pub base: Nested<PosteriorSettings>,
    /// f, what a step does.
    pub step: Step,
    /// T, the steps of the flow.
    pub steps: usize,
    /// M, the directions in which a Sylvester step moves a code; all of them where a code has fewer.
    pub rank: usize,
    /// Whether the encoder gives the steps' parameters for each x; otherwise they are the same for all.
    pub amortised: bool,
}

impl Default for FlowSettings {
    fn default() -> Self {
        let base = Nested::new(DiagonalNormalSettings::default());
        Self { base, step: Step::default(), steps: 4, rank: 8, amortised: true }
    }
}

/// More steps are taken for a mistake.
const MOST_STEPS: usize = 256;

/// The standard deviation of parameters that are the same for all x, at the start.
const SPREAD: f32 = 0.1;

impl Named for FlowSettings {
    const KIND: &'static str = "flow";
    const ABOUT: &'static str = "planar, radial, Householder or Sylvester steps over a base posterior";

    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        self.base.read(registry, &format!("{path}.base"))
    }
}

impl FlowSettings {
    /// What the base declares by itself.
    fn base<'a>(&self, context: &Context<'a>) -> Result<Context<'a>, ConfigError> {
        let mut own = context.clone();
        own.inside("base", |own| self.base.get()?.declare(own))?;
        Ok(own)
    }

    /// Parameters of all steps.
    fn parameters(&self, dims: usize) -> usize {
        self.steps * self.step.parameters(dims, self.rank)
    }
}

impl Settings<dyn Posterior> for FlowSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_STEPS).contains(&self.steps) {
            let remedy = format!("give 1 to {MOST_STEPS}");
            return Err(ConfigError::value("steps", format!("{} steps", self.steps), remedy));
        }
        if self.rank == 0 {
            return Err(ConfigError::value("rank", "a step in 0 directions", "give at least 1"));
        }
        let base = self.base(context)?;
        if base.latent.support() != Some(Support::Reals) || !base.has_density {
            return Err(ConfigError::value(
                "base",
                "a flow moves a density on the reals, and this base is none",
                "use base = { kind = \"diagonal-normal\" }",
            ));
        }
        let own = if self.amortised { self.parameters(base.latent.dims()) } else { 0 };
        let heads = SampleShape::Vector { columns: base.heads.features() + own };
        *context = Context { heads, posterior_factorises: false, ..base };
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let base = self.base(context)?;
        let width = self.parameters(context.latent.dims());
        let own = (!self.amortised).then(|| init.weight("steps", &[1, width], Initial::Normal(SPREAD)));
        Ok(Box::new(Flow {
            base: self.base.get()?.init(&base, &mut init.scope("base"))?,
            heads: base.heads.features(),
            step: self.step,
            steps: self.steps,
            own,
        }))
    }
}

struct Flow {
    base: Box<dyn Posterior>,
    /// Columns of the encoder's outputs that the base wants; the steps' come after them.
    heads: usize,
    step: Step,
    steps: usize,
    /// θ for all x, `[1, steps · parameters]`.
    own: Option<WeightId>,
}

impl Posterior for Flow {
    fn density(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let parameters = match self.own {
            Some(own) => view.weights.get(own),
            None => outputs.clone().narrow(1, self.heads, outputs.dims()[1] - self.heads),
        };
        let base = self.base.density(view, batch, outputs.narrow(1, 0, self.heads));
        Box::new(Transformed { base, parameters, step: self.step, steps: self.steps })
    }

    fn features(&self, view: &View<'_>, z: &Latent) -> Tensor<2> {
        self.base.features(view, z)
    }

    fn trace(
        &self,
        weights: &Weights,
        graph: &mut Graph,
        outputs: &Node,
    ) -> Result<(Node, Option<Node>), StoreError> {
        let heads = graph.columns(outputs, 0, self.heads);
        let (mut z, _) = self.base.trace(weights, graph, &heads)?;
        let parameters = match self.own {
            Some(own) => graph.same(&z, &weights.entry(own).values()),
            None => graph.columns(outputs, self.heads, outputs.features() - self.heads),
        };
        let width = parameters.features() / self.steps.max(1);
        for step in 0..self.steps {
            let own = graph.columns(&parameters, step * width, width);
            z = self.step.trace(graph, &own, z);
        }
        Ok((z, None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        self.base.trace_features(weights, graph, z)
    }
}

impl Life for Flow {
    fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        start.inside(0..self.heads, |own| self.base.start(own))
    }

    fn follow(&self, weights: &mut Weights, kept: &Kept, at: Progress) {
        self.base.follow(weights, kept, at);
    }

    fn freeze(&self, freeze: &mut Freeze<'_>) -> Result<(), DataError> {
        self.base.freeze(freeze)
    }
}
