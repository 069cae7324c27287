//! Flow matching: a velocity v(x, t) that carries noise at t = 0 to codes at t = 1 along straight lines.
//!
//! x_t = (1 − t) x_0 + t x_1,  x_0 ~ N(0, I),  x_1 a code,  t ~ U(0, 1)
//! loss = E ‖v(x_t, t) − (x_1 − x_0)‖² / d;    draws solve dx/dt = v(x, t) from x_0 by Heun's method
//!
//! v is the velocity to the [normal](super::normal_flow) that codes have the covariance of, plus a network that starts at 0: what
//! is drawn is no worse than from that normal however short the fit, and the network learns what the normal lacks. Beside x_t a
//! network may see what the normal takes the code to be, E[x_1 | x_t] = x_t + (1 − t) v_normal(x_t, t).
//!
//! The normal's velocity is a worse model at hand, away from which draws can be guided as by a condition that is not told
//! (autoguidance): v_w = v_normal + w (v − v_normal), at no cost.
//!
//! In codes this is latent diffusion's deterministic kin (the probability flow of a linear noise schedule). v is told c: what a
//! conditional model is told of the row, or else its class where rows have classes (a draw of no class in particular takes one
//! as often as training rows have it). A share of rows has c hidden in the fit, so that draws can be guided by w:
//!
//! v_w(x, t | c) = v(x, t) + w (v(x, t | c) − v(x, t))
//!
//! No density is given: it would need the divergence of v along each path.
//!
//! References: Lipman et al., *Flow Matching for Generative Modeling* (arXiv 2210.02747); Liu et al., *Rectified flow*
//! (arXiv 2209.03003); Karras et al., *Guiding a diffusion model with a bad version of itself* (arXiv 2406.02507); Rombach et al., *Latent diffusion* (arXiv 2112.10752); Ho and Salimans, *Classifier-free diffusion
//! guidance* (arXiv 2207.12598).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::conditioning::Conditioning;
use super::gaussian_mixture::needs_reals;
use super::how::choices;
use super::learn::{RowLoss, Task, arrays_of, learn_sampler, restore};
use super::normal_flow::NormalFlow;
use super::{Arrays, Fitting, How, LearnedSettings, Pace, Sampler, Space};
use crate::array::Array;
use crate::batch::{Batch, Given, Noise};
use crate::config::ConfigError;
use crate::device::{Device, host};
use crate::generate::Result;
use crate::key::Key;
use crate::model::View;
use crate::network::{Dense, DenseConfig};
use crate::train::OptimizerKind;
use crate::weights::{Init, Weights};

/// The network and the solver.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlowMatchingSettings {
    /// The widths of the velocity's hidden layers.
    pub hidden: Vec<usize>,
    /// Steps of Heun's method a draw, two evaluations of v each.
    pub solver_steps: usize,
    /// The share of rows whose class or condition is hidden in the fit, so that draws can be guided; 0 for no guidance.
    pub condition_dropout: f64,
    /// How far draws go along what was learned beyond the normal: 1 is what was learned, more is more typical and less diverse.
    pub autoguidance: f64,
}

impl Default for FlowMatchingSettings {
    fn default() -> Self {
        Self {
            hidden: vec![256; 3],
            solver_steps: 40,
            condition_dropout: CONDITION_DROPOUT,
            autoguidance: 1.0,
        }
    }
}

/// The share that the authors of guidance found as good as any.
pub(super) const CONDITION_DROPOUT: f64 = 0.1;

/// Octaves of sines and cosines by which v is told t.
const OCTAVES: usize = 5;

/// What carries noise to codes, on a network of any kind.
pub(super) trait Velocity: Send + Sync {
    /// Whether it is better for seeing the normal's guess.
    const SEES_GUESS: bool;

    /// v `[n, dims]` of what it sees, `[n, codes·dims]`, and the row's `told`, the time and c.
    fn apply(&self, weights: &Weights, seen: Tensor<2>, told: Tensor<2>) -> Tensor<2>;

    /// The times that it learns at, `[n, 1]`.
    fn times(&self, noise: Noise<'_>, device: &Device) -> Tensor<2> {
        noise.uniforms(1, 1, device)
    }
}

/// What a velocity is made for.
#[derive(Clone, Copy)]
pub(super) struct Seen {
    /// Codes that it sees: x_t, and after it the normal's guess.
    pub codes: usize,
    /// Numbers that it is told.
    pub told: usize,
}

/// The numbers that a velocity is told of a time and of c.
fn told_width(told: &Conditioning) -> usize {
    1 + 2 * OCTAVES + told.width()
}

/// Times `[n, 1]` and c of each row, `[n, told]`.
fn told(t: Tensor<2>, c: Option<Tensor<2>>) -> Tensor<2> {
    let octaves = (0..OCTAVES).map(|k| std::f32::consts::PI * f32::from(1u8 << k)).collect();
    let angles = t.clone().matmul(Device::of(&t).tensor(octaves, [1, OCTAVES]));
    let parts = [t, angles.clone().sin(), angles.cos()];
    Tensor::cat(parts.into_iter().chain(c).collect(), 1)
}

/// v by dense layers.
struct Rows {
    layers: Vec<Dense>,
}

impl Rows {
    fn new(dims: usize, told: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let mut width = dims + told;
        let mut layers = Vec::new();
        for (index, &next) in hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            layers.push(layer.init(init, &index.to_string()));
            width = next;
        }
        layers.push(DenseConfig::new(width, dims).with_zeros().init(init, "last"));
        Self { layers }
    }
}

impl Velocity for Rows {
    const SEES_GUESS: bool = false;

    fn apply(&self, weights: &Weights, seen: Tensor<2>, told: Tensor<2>) -> Tensor<2> {
        let inputs = Tensor::cat(vec![seen, told], 1);
        self.layers.iter().fold(inputs, |hidden, layer| layer.apply(weights, hidden))
    }
}

/// A network's velocity beside a normal's.
struct Led<V> {
    network: V,
    told: Conditioning,
    normal: Option<NormalFlow>,
    /// Whether the network sees the normal's guess; samplers of earlier versions don't.
    guess: bool,
}

impl<V: Velocity> Led<V> {
    /// v at `x [n, dims]`, times `[n, 1]` and c of each row; what was learned counts `w` times.
    fn velocity(
        &self,
        weights: &Weights,
        x: Tensor<2>,
        t: Tensor<2>,
        c: Option<Tensor<2>>,
        w: f64,
    ) -> Tensor<2> {
        let Some(normal) = &self.normal else {
            // There is nothing to go beyond.
            return self.network.apply(weights, x, told(t, c));
        };
        let normal = normal.velocity(x.clone(), t.clone());
        let seen = match self.guess {
            true => Tensor::cat(vec![x.clone(), x + normal.clone() * (-t.clone() + 1.0)], 1),
            false => x,
        };
        let learned = self.network.apply(weights, seen, told(t, c));
        normal + if w == 1.0 { learned } else { learned * w }
    }
}

impl<V: Velocity> RowLoss for Led<V> {
    fn loss(&self, weights: &Weights, batch: &Batch, key: Key) -> Tensor<1> {
        let (device, dims) = (Device::of(&batch.x), batch.x.dims()[1]);
        let start = Noise::new(key.fold("start"), &batch.ids).normals(1, dims, &device);
        let t = self.network.times(Noise::new(key.fold("time"), &batch.ids), &device);
        let way = batch.x.clone() - start.clone();
        let c = self.told.some_hidden(batch, key.fold("hidden"));
        let error = self.velocity(weights, start + way.clone() * t.clone(), t, c, 1.0) - way;
        (error.clone() * error).mean_dim(1).squeeze_dim(1)
    }
}

impl LearnedSettings for FlowMatchingSettings {
    const KIND: &'static str = "flow-matching";
    const ABOUT: &'static str = "a learned velocity that carries noise to codes (latent diffusion's kin)";
    const PACE: Pace =
        Pace { steps: 6000, batch: 512, learning_rate: 2e-3, ema: 0.999, optimizer: OptimizerKind::Adam };

    fn hidden(&self) -> &[usize] {
        &self.hidden
    }

    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("flow-matching", space)?;
        check_flow(self.solver_steps, self.condition_dropout, self.autoguidance)
    }

    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays> {
        let build =
            |seen: Seen, init: &mut Init<'_>| Rows::new(fitting.space.dims, seen.told, &self.hidden, init);
        fit(pace, fitting, self.condition_dropout, build)
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        let build = |seen: Seen, init: &mut Init<'_>| Rows::new(space.dims, seen.told, &self.hidden, init);
        restored(space, arrays, (self.solver_steps, self.autoguidance), build)
    }
}

/// Refuses a solver of no step, one that would never end, a share that leaves no row its condition, and guidance backwards.
pub(super) fn check_flow(steps: usize, dropout: f64, autoguidance: f64) -> Result<()> {
    if !(0.0..=10.0).contains(&autoguidance) {
        let what = format!("{autoguidance} times what was learned");
        return Err(ConfigError::value("sampler.autoguidance", what, "give 0 to 10, such as 1.3").into());
    }
    if !(1..=10_000).contains(&steps) {
        let what = format!("{steps} steps of a solver");
        return Err(ConfigError::value("sampler.solver_steps", what, "give 1 to 10000, such as 40").into());
    }
    if !(0.0..=0.9).contains(&dropout) {
        let what = format!("{dropout} is not the share of rows whose condition is hidden");
        let remedy = "give 0 to 0.9, such as 0.1";
        return Err(ConfigError::value("sampler.condition_dropout", what, remedy).into());
    }
    Ok(())
}

/// Says in arrays that the network sees the normal's guess.
const GUESS: &str = "guess";

/// What the network sees, with the normal's guess or without.
fn seen(told: &Conditioning, guess: bool) -> Seen {
    Seen { codes: if guess { 2 } else { 1 }, told: told_width(told) }
}

/// Learns a velocity, which `build` makes for what it sees.
pub(super) fn fit<V: Velocity + 'static>(
    pace: Pace,
    fitting: &Fitting<'_>,
    dropout: f64,
    build: impl FnOnce(Seen, &mut Init<'_>) -> V,
) -> Result<Arrays> {
    let told = Conditioning::of(fitting, dropout);
    let normal = NormalFlow::fit(&fitting.codes.train, &Device::cpu());
    let guess = V::SEES_GUESS && normal.is_some();
    let mut task = Task::new(fitting.key, |init| {
        let network = build(seen(&told, guess), init);
        Led { network, told, normal, guess }
    });
    learn_sampler(&mut task, pace, fitting)?;
    let mut arrays = arrays_of(&task.weights);
    if let Some(normal) = &task.function.normal {
        normal.keep(&mut arrays);
    }
    if guess {
        arrays.insert(GUESS.into(), Array::matrix(vec![1.0], 1));
    }
    task.function.told.keep(&mut arrays);
    Ok(arrays)
}

/// The sampler that such arrays are of; says what is wrong with them where they are of none.
pub(super) fn restored<V: Velocity + 'static>(
    space: &Space,
    mut arrays: Arrays,
    (steps, autoguidance): (usize, f64),
    build: impl Fn(Seen, &mut Init<'_>) -> V,
) -> Result<Box<dyn Sampler>, String> {
    let told = Conditioning::take(&mut arrays, space)?;
    let normal = NormalFlow::take(&mut arrays, space.dims, &Device::cpu())?;
    let guess = arrays.remove(GUESS).is_some();
    if guess && normal.is_none() {
        return Err(format!("the array `{GUESS}` is there, and no normal to guess"));
    }
    let (network, weights) = restore(&mut arrays, |init: &mut Init<'_>| build(seen(&told, guess), init))?;
    let velocity = Led { network, told, normal, guess };
    Ok(Box::new(Flow { velocity, weights, dims: space.dims, steps, autoguidance }))
}

struct Flow<V> {
    velocity: Led<V>,
    weights: Weights,
    dims: usize,
    steps: usize,
    autoguidance: f64,
}

impl<V: Velocity> Flow<V> {
    /// c of the rows that are drawn.
    fn told(&self, given: Given<'_>, noise: Noise<'_>, how: &How) -> Option<Tensor<2>> {
        let (told, n, device) = (&self.velocity.told, noise.ids.len(), self.weights.device());
        match (given.condition_of(n), how.class) {
            (Some(condition), _) if told.condition > 0 => told.shown(condition),
            (_, Some(class)) if !told.shares.is_empty() => told.classes(&vec![class; n], device),
            (_, None) if !told.shares.is_empty() => told.classes(&choices(noise, &told.shares), device),
            _ => told.hidden(n, device),
        }
    }
}

impl<V: Velocity> Sampler for Flow<V> {
    fn draw(&self, view: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        self.draw_given(view, Given::rows(noise.ids), noise, how)
    }

    fn draw_given(&self, _: &View<'_>, given: Given<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let n = noise.ids.len();
        let device = self.weights.device();
        let c = self.told(given, noise, how);
        // Where guidance starts from: what is told where nothing is.
        let hidden = (how.guidance != 1.0).then(|| self.velocity.told.hidden(n, device));
        let mut x = device.tensor(how.normals(noise, self.dims), [n, self.dims]);
        let v = |x: &Tensor<2>, t: f64| {
            let t = device.tensor(vec![t as f32; n], [n, 1]);
            let w = self.autoguidance;
            let v = |c| self.velocity.velocity(&self.weights, x.clone(), t.clone(), c, w);
            match &hidden {
                None => v(c.clone()),
                Some(hidden) => v(c.clone()) * how.guidance + v(hidden.clone()) * (1.0 - how.guidance),
            }
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
        self.velocity.told.shares.get(class).is_some_and(|share| *share > 0.0)
    }

    fn follows_told(&self) -> bool {
        self.velocity.told.condition > 0
    }

    fn can_be_guided(&self) -> bool {
        self.velocity.told.dropout.is_some()
    }
}
