//! What samplers that are flows share: the loss, the fit, the draw, the density and the limits.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::gaussian_mixture::needs_reals;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::onnx::{NoiseGraph, NoiseLaw, ONE_PASS};
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, Space};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::density::{Flow, flow_log_density};
use crate::device::{host, host_f64};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;
use crate::train::OptimizerKind;
use crate::weights::{Init, Weights};

impl RowLoss for Box<dyn Flow> {
    fn loss(&self, weights: &Weights, batch: &Batch, _: Key) -> Tensor<1> {
        flow_log_density(self.as_ref(), weights, batch.x.clone()).neg()
    }
}

/// The most layers of a flow.
const MOST_LAYERS: usize = 64;

/// Refuses a flow without layers, or with too many.
fn check_layers(layers: usize) -> Result<(), ConfigError> {
    if (1..=MOST_LAYERS).contains(&layers) {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: "sampler.layers".into(),
        what: format!("{layers} layers"),
        remedy: format!("give 1 to {MOST_LAYERS}"),
    })
}

/// The settings of a flow.
pub(super) trait FlowSettings:
    Default + Serialize + DeserializeOwned + JsonSchema + Send + Sync
{
    /// The name in configurations.
    const KIND: &'static str;

    /// A line about it.
    const ABOUT: &'static str;

    /// How many invertible layers follow each other.
    fn layers(&self) -> usize;

    /// The widths of each layer's hidden layers.
    fn hidden(&self) -> &[usize];

    /// Refuses codes that it cannot be fitted on.
    fn check(&self, space: &Space) -> Result<()> {
        let _ = space;
        Ok(())
    }

    /// The map over codes of `dims` dimensions.
    fn build(&self, dims: usize, init: &mut Init<'_>) -> Box<dyn Flow>;
}

/// Trained by maximum likelihood.
impl<S: FlowSettings> LearnedSettings for S {
    const KIND: &'static str = <S as FlowSettings>::KIND;
    const ABOUT: &'static str = <S as FlowSettings>::ABOUT;
    const PACE: Pace =
        Pace { steps: 3000, batch: 512, learning_rate: 2e-3, ema: 0.99, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        FlowSettings::hidden(self)
    }

    fn check(&self, space: &Space) -> Result<()> {
        needs_reals(<S as FlowSettings>::KIND, space)?;
        FlowSettings::check(self, space)?;
        Ok(check_layers(self.layers())?)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let mut task = Task::new(fitting.key, |init| self.build(fitting.space.dims, init));
        learn_sampler(&mut task, pace, fitting)?;
        Ok(arrays_of(&task.weights))
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let (flow, weights) = restore(&mut arrays, |init| self.build(space.dims, init))?;
        Ok(Box::new(FlowSampler { flow, weights, dims: space.dims }))
    }
}

struct FlowSampler {
    flow: Box<dyn Flow>,
    weights: Weights,
    dims: usize,
}

/// Codes whose density is computed at once.
const PART: usize = 2048;

impl Sampler for FlowSampler {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let u = self.weights.device().tensor(how.normals(noise, self.dims), [noise.ids.len(), self.dims]);
        Ok(host(&self.flow.x_from_u(&self.weights, u)))
    }

    fn trace(&self, _: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        let normal = to.noise("normal", NoiseLaw::Normal, self.dims, None);
        let none = || StoreError::no_graph("a flow that is drawn dimension by dimension", ONE_PASS);
        self.flow.trace(&self.weights, &mut to.graph, normal).ok_or_else(none)
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let part = |codes: &[f32]| {
            let x = self.weights.device().tensor(codes.to_vec(), [codes.len() / self.dims, self.dims]);
            host_f64(&flow_log_density(self.flow.as_ref(), &self.weights, x))
        };
        Some(codes.chunks(PART * self.dims).flat_map(part).collect())
    }
}
