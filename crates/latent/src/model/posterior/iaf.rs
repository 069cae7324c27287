//! Inverse autoregressive flow: a base posterior pushed through T autoregressive steps with weights of their own.
//!
//! z_t = σ_t ⊙ z_{t−1} + (1 − σ_t) ⊙ m_t,  [m_t, s_t] = MADE_t(z_{t−1}, h(x)),  σ_t = sigmoid(s_t + 1.5)
//! log q(z_T|x) = log q(z_0|x) − Σ_t Σ_j ln σ_tj
//!
//! A draw takes one pass a step and knows its density; the density of a code from elsewhere is found by going back, one
//! dimension after the other. The encoder gives what the base wants and h, on which every step may depend.
//!
//! Reference: Kingma et al., *Improved variational inference with inverse autoregressive flow* (arXiv 1606.04934), its
//! numerically stable form.

use std::sync::Arc;

use burn::tensor::Tensor;
use latent_kernels::sigmoid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DiagonalNormalSettings, Posterior, PosteriorSettings};
use crate::batch::{Batch, Draw, Latent, Noise, Support};
use crate::config::ConfigError;
use crate::data::{DataError, SampleShape};
use crate::density::{Density, fold_rows, log_sigmoid, pick, sum_dimensions};
use crate::member::{Context, Freeze, Kept, Life, Named, Nested, Progress, Registry, Settings, Start};
use crate::model::View;
use crate::network::{Made, MadeConfig};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Weights};

/// The base and the steps.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct IafSettings {
    /// The posterior that the flow starts from.
    pub base: Nested<PosteriorSettings>,
    /// T, the steps of the flow.
    pub steps: usize,
    /// The widths of each step's hidden layers.
    pub hidden: Vec<usize>,
    /// How many numbers h has.
    pub context: usize,
}

impl Default for IafSettings {
    fn default() -> Self {
        let base = Nested::new(DiagonalNormalSettings::default());
        Self { base, steps: 2, hidden: vec![128], context: 32 }
    }
}

/// More steps are taken for a mistake.
const MOST_STEPS: usize = 64;

/// What s starts at, so that a fresh step nearly is the identity.
const FORGET: f64 = 1.5;

/// s + 1.5 is kept from here on: going back divides by σ, again at each step, and far from q's mass would leave all numbers.
const LEAST_GATE: f64 = -8.0;

impl Named for IafSettings {
    const KIND: &'static str = "iaf";
    const ABOUT: &'static str = "an inverse autoregressive flow over a base posterior";

    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        self.base.read(registry, &format!("{path}.base"))
    }
}

impl IafSettings {
    /// What the base declares by itself.
    fn base<'a>(&self, context: &Context<'a>) -> Result<Context<'a>, ConfigError> {
        let mut own = context.clone();
        own.inside("base", |own| self.base.get()?.declare(own))?;
        Ok(own)
    }
}

impl Settings<dyn Posterior> for IafSettings {
    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_STEPS).contains(&self.steps) {
            let remedy = format!("give 1 to {MOST_STEPS}");
            return Err(ConfigError::value("steps", format!("{} steps", self.steps), remedy));
        }
        if self.hidden.contains(&0) {
            let what = format!("{:?} has a layer of width 0", self.hidden);
            return Err(ConfigError::value("hidden", what, "give each layer at least one unit"));
        }
        let base = self.base(context)?;
        if base.latent.support() != Some(Support::Reals) || !base.has_density {
            return Err(ConfigError::value(
                "base",
                "a flow moves a density on the reals, and this base is none",
                "use base = { kind = \"diagonal-normal\" }",
            ));
        }
        let columns = base.heads.features() + self.context;
        let heads = SampleShape::Vector { columns };
        *context = Context { heads, posterior_factorises: false, is_sequential: true, ..base };
        Ok(())
    }

    fn init(&self, context: &Context<'_>, init: &mut Init<'_>) -> Result<Box<dyn Posterior>, ConfigError> {
        let base = self.base(context)?;
        let made = |step: usize| {
            let made = MadeConfig::new(context.latent.dims(), 2, &self.hidden);
            // The order turns round from step to step.
            let made = MadeConfig { context: self.context, reversed: step % 2 == 1, ..made };
            made.init(&mut init.scope(format!("step{step}")))
        };
        let steps = (0..self.steps).map(made).collect();
        Ok(Box::new(Iaf {
            heads: base.heads.features(),
            context: self.context,
            steps: Arc::new(steps),
            base: self.base.get()?.init(&base, &mut init.scope("base"))?,
        }))
    }
}

struct Iaf {
    base: Box<dyn Posterior>,
    /// Columns of the encoder's outputs that the base wants; h comes after them.
    heads: usize,
    context: usize,
    steps: Arc<Vec<Made>>,
}

impl Posterior for Iaf {
    fn density(&self, view: &View<'_>, batch: &Batch, outputs: Tensor<2>) -> Box<dyn Density> {
        let base = self.base.density(view, batch, outputs.clone().narrow(1, 0, self.heads));
        Box::new(IafDensity {
            base,
            context: (self.context > 0).then(|| outputs.narrow(1, self.heads, self.context)),
            steps: Arc::clone(&self.steps),
            weights: view.weights.clone(),
        })
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
        let context = (self.context > 0).then(|| graph.columns(outputs, self.heads, self.context));
        let dims = z.features();
        for step in self.steps.iter() {
            let input = match &context {
                Some(context) => graph.beside(&[z.clone(), context.clone()]),
                None => z.clone(),
            };
            let out = step.trace(weights, graph, input);
            let (shift, gate) = (graph.columns(&out, 0, dims), graph.columns(&out, dims, dims));
            let gate = graph.with("Add", &gate, &[FORGET as f32], &[1]);
            let gate = graph.clamp(&gate, Some(LEAST_GATE as f32), None);
            let sigma = graph.unary("Sigmoid", &gate);
            // σ z + (1 − σ) m = m + σ (z − m)
            let off = graph.binary("Sub", &z, &shift);
            let moved = graph.binary("Mul", &sigma, &off);
            z = graph.binary("Add", &shift, &moved);
        }
        Ok((z, None))
    }

    fn trace_features(&self, weights: &Weights, graph: &mut Graph, z: &Node) -> Result<Node, StoreError> {
        self.base.trace_features(weights, graph, z)
    }
}

impl Life for Iaf {
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

/// The flow of each row.
struct IafDensity {
    base: Box<dyn Density>,
    /// h(x), `[n, context]`.
    context: Option<Tensor<2>>,
    steps: Arc<Vec<Made>>,
    weights: Weights,
}

impl IafDensity {
    /// m and s of a step at z, `[rows, dims]` each.
    fn shift_and_gate(&self, step: &Made, z: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let [rows, dims] = z.dims();
        let input = match &self.context {
            Some(context) => Tensor::cat(vec![z.clone(), fold_rows(context, rows)], 1),
            None => z.clone(),
        };
        let outputs = step.apply(&self.weights, input);
        let gate = outputs.clone().narrow(1, dims, dims) + FORGET;
        (outputs.narrow(1, 0, dims), gate.clamp_min(LEAST_GATE))
    }

    /// z_T of z_0, and Σ ln σ.
    fn forth(&self, z: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let mut log_determinant = z.clone().sum_dim(1).squeeze_dim::<1>(1) * 0.0;
        let mut z = z;
        for step in self.steps.iter() {
            let (shift, gate) = self.shift_and_gate(step, &z);
            let sigma = sigmoid(gate.clone());
            z = sigma.clone() * z + (sigma.neg() + 1.0) * shift;
            log_determinant = log_determinant + sum_dimensions(log_sigmoid(gate));
        }
        (z, log_determinant)
    }

    /// z_0 of z_T, and Σ ln σ: each step dimension by dimension, since m_j and s_j depend on those before alone.
    fn back(&self, z: &Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let [rows, dims] = z.dims();
        let mut log_determinant = z.clone().sum_dim(1).squeeze_dim::<1>(1) * 0.0;
        let mut z = z.clone();
        for step in self.steps.iter().rev() {
            let mut columns: Vec<Tensor<2>> = (0..dims).map(|_| z.clone().narrow(1, 0, 1) * 0.0).collect();
            for j in step.order() {
                let before = Tensor::cat(columns.clone(), 1);
                let (shift, gate) = self.shift_and_gate(step, &before);
                let (shift, gate) = (shift.narrow(1, j, 1), gate.narrow(1, j, 1));
                let sigma = sigmoid(gate.clone());
                columns[j] = (z.clone().narrow(1, j, 1) - (sigma.clone().neg() + 1.0) * shift) / sigma;
                log_determinant = log_determinant + log_sigmoid(gate).reshape([rows]);
            }
            z = Tensor::cat(columns, 1);
        }
        (z, log_determinant)
    }
}

impl Density for IafDensity {
    fn draw(&self, draws: usize, noise: Noise<'_>) -> Draw {
        let start = self.base.draw(draws, noise);
        let log_base = self.base.log_density_of(&start);
        let (z, log_determinant) = self.forth(start.z.z);
        Draw { log_density: log_base.map(|log_base| log_base - log_determinant), ..Draw::new(z) }
    }

    fn log_density(&self, z: &Latent) -> Option<Tensor<1>> {
        let (start, log_determinant) = self.back(&z.z);
        Some(self.base.log_density(&Latent::new(start))? - log_determinant)
    }

    fn log_density_per_dimension(&self, _: &Latent) -> Option<Tensor<2>> {
        None
    }

    /// Where the base's centre goes: the mean has no closed form.
    fn centre(&self) -> Latent {
        Latent::new(self.forth(self.base.centre().z).0)
    }

    fn rows(&self, rows: &[usize]) -> Box<dyn Density> {
        Box::new(Self {
            base: self.base.rows(rows),
            context: self.context.as_ref().map(|context| pick(context, rows)),
            steps: Arc::clone(&self.steps),
            weights: self.weights.clone(),
        })
    }

    fn detached(&self) -> Box<dyn Density> {
        Box::new(Self {
            base: self.base.detached(),
            context: self.context.clone().map(Tensor::detach),
            steps: Arc::clone(&self.steps),
            weights: self.weights.detached(),
        })
    }

    fn parameters(&self) -> Vec<(&'static str, Tensor<2>)> {
        let mut all = self.base.parameters();
        all.extend(self.context.clone().map(|context| ("flow context", context)));
        all
    }
}
