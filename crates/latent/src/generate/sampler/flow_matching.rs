//! Flow matching: a velocity v(x, t) that carries noise at t = 0 to codes at t = 1 along straight lines.
//!
//! x_t = (1 − t) x_0 + t x_1,  x_0 ~ N(0, I),  x_1 a code,  t ~ U(0, 1)
//! loss = E ‖v(x_t, t) − (x_1 − x_0)‖² / d;    draws solve dx/dt = v(x, t) from x_0 by Heun's method
//!
//! v is the velocity to the [normal](super::normal_flow) that codes have the covariance of, plus a network that starts at 0: what
//! is drawn is no worse than from that normal however short the fit, and the network learns what the normal lacks.
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
use super::normal_flow::NormalFlow;
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

/// What carries noise to codes, on a network of any kind.
pub(super) trait Velocity: Send + Sync {
    /// v at `x [n, dims]` and the row's `told`, the time and the class: `[n, dims]`.
    fn apply(&self, weights: &Weights, x: Tensor<2>, told: Tensor<2>) -> Tensor<2>;

    /// How many classes it is told; 0 without.
    fn classes(&self) -> usize;

    /// The times that it learns at, `[n, 1]`.
    fn times(&self, noise: Noise<'_>, device: &Device) -> Tensor<2> {
        noise.uniforms(1, 1, device)
    }
}

/// The numbers that a velocity is told of a time and one of so many classes.
pub(super) fn told_width(classes: usize) -> usize {
    1 + 2 * OCTAVES + classes
}

/// Times `[n, 1]` and the class of each row, where there are classes, as `[n, told]`.
fn told(t: Tensor<2>, classes: usize, class: &[usize]) -> Tensor<2> {
    let (device, n) = (Device::of(&t), t.dims()[0]);
    let octaves = (0..OCTAVES).map(|k| std::f32::consts::PI * f32::from(1u8 << k)).collect();
    let angles = t.clone().matmul(device.tensor(octaves, [1, OCTAVES]));
    let mut parts = vec![t, angles.clone().sin(), angles.cos()];
    if classes > 0 {
        let mut one_hot = vec![0.0; n * classes];
        class.iter().enumerate().for_each(|(row, class)| one_hot[row * classes + class] = 1.0);
        parts.push(device.tensor(one_hot, [n, classes]));
    }
    Tensor::cat(parts, 1)
}

/// v by dense layers.
struct Rows {
    layers: Vec<Dense>,
    classes: usize,
}

impl Rows {
    fn new(dims: usize, classes: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let mut width = dims + told_width(classes);
        let mut layers = Vec::new();
        for (index, &next) in hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            layers.push(layer.init(init, &index.to_string()));
            width = next;
        }
        layers.push(DenseConfig::new(width, dims).with_zeros().init(init, "last"));
        Self { layers, classes }
    }
}

impl Velocity for Rows {
    fn apply(&self, weights: &Weights, x: Tensor<2>, told: Tensor<2>) -> Tensor<2> {
        let inputs = Tensor::cat(vec![x, told], 1);
        self.layers.iter().fold(inputs, |hidden, layer| layer.apply(weights, hidden))
    }

    fn classes(&self) -> usize {
        self.classes
    }
}

/// A network's velocity beside a normal's.
struct Led<V> {
    network: V,
    normal: Option<NormalFlow>,
}

impl<V: Velocity> Led<V> {
    /// v at `x [n, dims]`, times `[n, 1]` and the class of each row.
    fn velocity(&self, weights: &Weights, x: Tensor<2>, t: Tensor<2>, class: &[usize]) -> Tensor<2> {
        let learned = self.network.apply(weights, x.clone(), told(t.clone(), self.network.classes(), class));
        match &self.normal {
            Some(normal) => normal.velocity(x, t) + learned,
            None => learned,
        }
    }
}

impl<V: Velocity> RowLoss for Led<V> {
    fn loss(&self, weights: &Weights, batch: &Batch, key: Key) -> Tensor<1> {
        let (device, dims) = (Device::of(&batch.x), batch.x.dims()[1]);
        let start = Noise::new(key.fold("start"), &batch.ids).normals(1, dims, &device);
        let t = self.network.times(Noise::new(key.fold("time"), &batch.ids), &device);
        let way = batch.x.clone() - start.clone();
        let class: Vec<usize> = match &batch.labels {
            // A label beyond the classes cannot be told; the data gives none.
            Some(labels) if self.network.classes() > 0 => {
                labels.iter().map(|&label| (label as usize).min(self.network.classes() - 1)).collect()
            }
            _ => Vec::new(),
        };
        let error = self.velocity(weights, start + way.clone() * t.clone(), t, &class) - way;
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
        check_steps(self.solver_steps)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        fit(pace, fitting, |classes, init| Rows::new(fitting.space.dims, classes, &self.hidden, init))
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let build = |classes: usize, init: &mut Init<'_>| Rows::new(space.dims, classes, &self.hidden, init);
        restored(space, arrays, self.solver_steps, build)
    }
}

/// Refuses a solver of no step, and one that would never end.
pub(super) fn check_steps(steps: usize) -> Result<()> {
    if (1..=10_000).contains(&steps) {
        return Ok(());
    }
    let what = format!("{steps} steps of a solver");
    Err(ConfigError::value("sampler.solver_steps", what, "give 1 to 10000, such as 40").into())
}

/// Learns a velocity, which `build` makes for so many classes.
pub(super) fn fit<V: Velocity + 'static>(
    pace: Pace,
    fitting: &Fitting<'_>,
    build: impl FnOnce(usize, &mut Init<'_>) -> V,
) -> Result<Arrays> {
    let shares = shares(fitting);
    let normal = NormalFlow::fit(&fitting.codes.train, &Device::cpu());
    let mut task = Task::new(fitting.key, |init| Led { network: build(shares.len(), init), normal });
    learn_sampler(&mut task, pace, fitting)?;
    let mut arrays = arrays_of(&task.weights);
    if let Some(normal) = &task.function.normal {
        normal.keep(&mut arrays);
    }
    if !shares.is_empty() {
        arrays.insert("classes".into(), Array { shape: vec![shares.len()], values: shares });
    }
    Ok(arrays)
}

/// The sampler that such arrays are of; says what is wrong with them where they are of none.
pub(super) fn restored<V: Velocity + 'static>(
    space: &Space,
    mut arrays: Arrays,
    steps: usize,
    build: impl Fn(usize, &mut Init<'_>) -> V,
) -> Result<Box<dyn Sampler>, String> {
    let shares = arrays.remove("classes").map(|array| array.values).unwrap_or_default();
    let sound = shares.iter().all(|share| (0.0..=1.0).contains(share));
    if !sound || (!shares.is_empty() && shares.len() != space.classes.len()) {
        return Err("the array `classes` does not fit the model's classes".into());
    }
    let normal = NormalFlow::take(&mut arrays, space.dims, &Device::cpu())?;
    let (network, weights) = restore(&mut arrays, |init: &mut Init<'_>| build(shares.len(), init))?;
    let shares = shares.into_iter().map(f64::from).collect();
    Ok(Box::new(Flow { velocity: Led { network, normal }, weights, shares, dims: space.dims, steps }))
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

struct Flow<V> {
    velocity: Led<V>,
    weights: Weights,
    /// How often each class comes; empty without classes.
    shares: Vec<f64>,
    dims: usize,
    steps: usize,
}

impl<V: Velocity> Sampler for Flow<V> {
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
            self.velocity.velocity(&self.weights, x.clone(), t, &classes)
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
