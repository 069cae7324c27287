//! Flow matching: a velocity v(x, t) that carries noise at t = 0 to codes at t = 1 along straight lines.
//!
//! x_t = (1 − t) x_0 + t x_1,  x_0 ~ N(0, I),  x_1 a code,  t ~ U(0, 1)
//! loss = E ‖v(x_t, t) − (x_1 − x_0)‖² / d;    draws solve dx/dt = v(x, t) from x_0 by Heun's method
//!
//! In codes this is latent diffusion's deterministic kin (the probability flow of a linear noise schedule). Where rows have
//! classes, v is told the class; a draw of no class in particular takes one as often as training rows have it. No density is
//! given: it would need the divergence of v along each path.
//!
//! References: Lipman et al., *Flow Matching for Generative Modeling* (arXiv 2210.02747); Liu et al., *Rectified flow*
//! (arXiv 2209.03003); Rombach et al., *Latent diffusion* (arXiv 2112.10752).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gaussian_mixture::needs_reals;
use super::how::choices;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, Space};
use crate::array::Array;
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::device::{Device, host};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::network::{Dense, DenseConfig};
use crate::weights::{Init, Weights};

/// The network and the solver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowMatchingSettings {
    /// The widths of the velocity's hidden layers.
    pub hidden: Vec<usize>,
    /// Steps of Heun's method a draw, two evaluations of v each.
    pub solver_steps: usize,
}

impl Default for FlowMatchingSettings {
    fn default() -> Self {
        Self { hidden: vec![256; 3], solver_steps: 40 }
    }
}

/// Octaves of sines and cosines by which v is told t.
const OCTAVES: usize = 5;

/// v(x, t, class)
struct Velocity {
    layers: Vec<Dense>,
    /// 0 without classes.
    classes: usize,
}

impl Velocity {
    fn new(dims: usize, classes: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let mut width = dims + 1 + 2 * OCTAVES + classes;
        let mut layers = Vec::new();
        for (index, &next) in hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            layers.push(layer.init(init, &index.to_string()));
            width = next;
        }
        layers.push(DenseConfig::new(width, dims).init(init, "last"));
        Self { layers, classes }
    }

    /// `x [n, dims]`, `t [n, 1]`, the class of each row where there are classes → `[n, dims]`
    fn apply(&self, weights: &Weights, x: Tensor<2>, t: Tensor<2>, classes: &[usize]) -> Tensor<2> {
        let (device, n) = (Device::of(&x), x.dims()[0]);
        let octaves = (0..OCTAVES).map(|k| std::f32::consts::PI * f32::from(1u8 << k)).collect();
        let angles = t.clone().matmul(device.tensor(octaves, [1, OCTAVES]));
        let mut inputs = vec![x, t, angles.clone().sin(), angles.cos()];
        if self.classes > 0 {
            let mut one_hot = vec![0.0; n * self.classes];
            classes.iter().enumerate().for_each(|(row, class)| one_hot[row * self.classes + class] = 1.0);
            inputs.push(device.tensor(one_hot, [n, self.classes]));
        }
        self.layers.iter().fold(Tensor::cat(inputs, 1), |hidden, layer| layer.apply(weights, hidden))
    }
}

impl RowLoss for Velocity {
    fn loss(&self, weights: &Weights, batch: &Batch, key: Key) -> Tensor<1> {
        let (device, dims) = (Device::of(&batch.x), batch.x.dims()[1]);
        let start = Noise::new(key.fold("start"), &batch.ids).normals(1, dims, &device);
        let t = Noise::new(key.fold("time"), &batch.ids).uniforms(1, 1, &device);
        let way = batch.x.clone() - start.clone();
        let classes: Vec<usize> = match &batch.labels {
            // A label beyond the classes cannot be told; the data gives none.
            Some(labels) if self.classes > 0 => {
                labels.iter().map(|&label| (label as usize).min(self.classes - 1)).collect()
            }
            _ => Vec::new(),
        };
        let v = self.apply(weights, start + way.clone() * t.clone(), t, &classes);
        let error = v - way;
        (error.clone() * error).mean_dim(1).squeeze_dim(1)
    }
}

impl LearnedSettings for FlowMatchingSettings {
    const KIND: &'static str = "flow-matching";
    const ABOUT: &'static str = "a learned velocity that carries noise to codes (latent diffusion's kin)";
    const PACE: Pace = Pace { steps: 6000, batch: 512, learning_rate: 2e-3, ema: 0.999 };

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("flow-matching", space)?;
        if !(1..=10_000).contains(&self.solver_steps) {
            return Err(ConfigError::Value {
                key: "sampler.solver_steps".into(),
                what: format!("{} steps of a solver", self.solver_steps),
                remedy: "give 1 to 10000, such as 40".into(),
            }
            .into());
        }
        Ok(())
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let shares = shares(fitting);
        let mut task = Task::new(fitting.key, |init| {
            Velocity::new(fitting.space.dims, shares.len(), &self.hidden, init)
        });
        learn_sampler(&mut task, pace, fitting)?;
        let mut arrays = arrays_of(&task.weights);
        if !shares.is_empty() {
            arrays.insert("classes".into(), Array { shape: vec![shares.len()], values: shares });
        }
        Ok(arrays)
    }

    fn restore(&self, space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let shares = arrays.remove("classes").map(|array| array.values).unwrap_or_default();
        let sound = shares.iter().all(|share| (0.0..=1.0).contains(share));
        if !sound || (!shares.is_empty() && shares.len() != space.classes.len()) {
            return Err("the array `classes` does not fit the model's classes".into());
        }
        let build = |init: &mut Init<'_>| Velocity::new(space.dims, shares.len(), &self.hidden, init);
        let (velocity, weights) = restore(&mut arrays, build)?;
        let shares = shares.into_iter().map(f64::from).collect();
        Ok(Box::new(Flow { velocity, weights, shares, dims: space.dims, steps: self.solver_steps }))
    }
}

/// How many of the training rows are of each class; nothing without classes.
fn shares(fitting: &Fitting<'_>) -> Vec<f32> {
    let codes = fitting.codes;
    let classes = fitting.space.classes.len();
    let known = |labels: &[u32]| labels.iter().all(|&label| (label as usize) < classes);
    if !codes.has_labels() || !known(&codes.train_labels) || !known(&codes.validation_labels) {
        return Vec::new();
    }
    let mut counts = vec![0.0f32; classes];
    codes.train_labels.iter().for_each(|&label| counts[label as usize] += 1.0);
    let n = codes.train_labels.len() as f32;
    counts.into_iter().map(|count| count / n).collect()
}

struct Flow {
    velocity: Velocity,
    weights: Weights,
    /// How often each class comes; empty without classes.
    shares: Vec<f64>,
    dims: usize,
    steps: usize,
}

impl Sampler for Flow {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let n = noise.ids.len();
        let classes = match how.class {
            _ if self.shares.is_empty() => Vec::new(),
            Some(class) => vec![class.min(self.shares.len() - 1); n],
            None => choices(noise, &self.shares),
        };
        let device = self.weights.device();
        let mut x = device.tensor(how.normals(noise, self.dims), [n, self.dims]);
        let v = |x: &Tensor<2>, t: f64| {
            let t = device.tensor(vec![t as f32; n], [n, 1]);
            self.velocity.apply(&self.weights, x.clone(), t, &classes)
        };
        let h = 1.0 / self.steps as f64;
        for step in 0..self.steps {
            let t = step as f64 * h;
            let here = v(&x, t);
            let there = v(&(x.clone() + here.clone() * h), t + h);
            x = x + (here + there) * (0.5 * h);
        }
        Ok(host(&x))
    }

    fn knows_class(&self, class: usize) -> bool {
        self.shares.get(class).is_some_and(|share| *share > 0.0)
    }
}
