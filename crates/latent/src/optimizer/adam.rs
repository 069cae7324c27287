//! Adam: how gradients move weights.
//!
//! m ← β₁ m + (1 − β₁) g,  v ← β₂ v + (1 − β₂) g²,  w ← w − η m̂ / (√v̂ + ε)
//!
//! `adam` adds the weight decay to the gradient, `adamw` shrinks the weights by it (Loshchilov & Hutter,
//! arXiv 1711.05101). The second moment may start at another number than 0, as in the IWAE paper's
//! code, where it is 1. Under `muon` [matrices](super::muon) move otherwise, and what is left as under `adamw`.
//!
//! Reference: Kingma & Ba (arXiv 1412.6980).

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};
use latent_kernels::AdamStep;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::muon;
use crate::config::ConfigError;
use crate::weights::{WeightId, Weights};

/// How gradients move weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSettings {
    /// Which rule moves what, and how weight decay acts.
    pub kind: OptimizerKind,
    /// η, the length of a step, before the schedule's factor.
    pub learning_rate: f64,
    /// β₁, how long the mean of gradients remembers.
    pub beta1: f64,
    /// β₂, how long the mean of their squares remembers.
    pub beta2: f64,
    /// ε, what keeps the division from 0.
    pub epsilon: f64,
    /// λ, how strongly weights are drawn to 0; 0 for not at all.
    pub weight_decay: f64,
    /// What it acts on.
    pub decay: Decay,
    /// Where v, the mean of squares, starts.
    pub initial_second_moment: f64,
}

/// Which rule moves what, and how weight decay acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Adam; λ w is added to the gradient.
    Adam,
    /// Adam; the weights shrink by η λ.
    AdamW,
    /// Muon for matrices, Adam for the rest; the weights shrink by η λ.
    Muon,
}

/// Which weights decay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decay {
    /// What layers multiply by: biases, gains, the prior and the likelihood's own numbers are left alone.
    Matrices,
    /// Every weight.
    All,
}

impl Default for OptimizerSettings {
    fn default() -> Self {
        Self {
            kind: OptimizerKind::Adam,
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            weight_decay: 0.0,
            decay: Decay::Matrices,
            initial_second_moment: 0.0,
        }
    }
}

impl OptimizerSettings {
    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key `optimizer`.
    pub fn check(&self) -> Result<(), ConfigError> {
        let positive = |v: f64| v.is_finite() && v > 0.0;
        let from_zero = |v: f64| v.is_finite() && v >= 0.0;
        let share = |v: f64| (0.0..1.0).contains(&v);
        for (key, value, right, remedy) in [
            (
                "learning_rate",
                self.learning_rate,
                positive(self.learning_rate),
                "give a positive number, such as 1e-3",
            ),
            ("beta1", self.beta1, share(self.beta1), "give 0 or more and less than 1, such as 0.9"),
            ("beta2", self.beta2, share(self.beta2), "give 0 or more and less than 1, such as 0.999"),
            ("epsilon", self.epsilon, positive(self.epsilon), "give a positive number, such as 1e-8"),
            ("weight_decay", self.weight_decay, from_zero(self.weight_decay), "give 0 or more"),
            (
                "initial_second_moment",
                self.initial_second_moment,
                from_zero(self.initial_second_moment),
                "give 0 or more",
            ),
        ] {
            if !right {
                return Err(ConfigError::value(key, format!("{value}"), remedy).within("optimizer"));
            }
        }
        Ok(())
    }
}

/// The first and second moment of one weight, flat.
#[derive(Clone, Debug)]
pub struct Moments {
    /// m
    pub first: Tensor<1>,
    /// v, under Adam.
    pub second: Option<Tensor<1>>,
}

/// The moments of all weights that a player moves, and how often it has moved them.
#[derive(Clone, Debug, Default)]
pub struct Optimizer {
    /// Steps taken.
    pub steps: u64,
    /// By weight.
    pub moments: BTreeMap<WeightId, Moments>,
}

/// Gradients by weight, flat.
pub type FlatGradients = Vec<(WeightId, Tensor<1>)>;

/// Takes the gradients of a tracked copy out of the graph.
pub fn flat_gradients(tracked: &Weights, mut gradients: Gradients) -> FlatGradients {
    tracked
        .iter()
        .filter(|(_, weight)| weight.is_trained())
        .filter_map(|(id, _)| tracked.gradient(id, &mut gradients).map(|g| (id, g)))
        .collect()
}

/// The Euclidean norm of all gradients together.
pub fn global_norm(gradients: &FlatGradients) -> f64 {
    gradients.iter().map(|(_, g)| latent_kernels::sum_of_squares(g)).sum::<f64>().sqrt()
}

impl Optimizer {
    /// Moves the weights once. `rate` is the learning rate of this step.
    pub fn step(
        &mut self,
        settings: &OptimizerSettings,
        rate: f64,
        weights: &mut Weights,
        gradients: FlatGradients,
    ) {
        self.steps += 1;
        let decays = |weights: &Weights, id: WeightId| {
            settings.weight_decay > 0.0 && (settings.decay == Decay::All || weights.entry(id).is_matrix())
        };
        let mut others = Vec::with_capacity(gradients.len());
        for (id, gradient) in gradients {
            let weight = weights.entry(id);
            let is_muons = settings.kind == OptimizerKind::Muon && weight.is_matrix();
            match muon::sides(weight.shape()).filter(|_| is_muons) {
                Some(sides) => {
                    let decay = if decays(weights, id) { settings.weight_decay } else { 0.0 };
                    self.move_matrix((id, gradient), sides, rate, decay, weights);
                }
                None => others.push((id, gradient)),
            }
        }
        let gradients = others;
        let (decaying, others): (FlatGradients, FlatGradients) =
            gradients.into_iter().partition(|(id, _)| decays(weights, *id));
        self.move_by(settings, rate, settings.weight_decay, weights, decaying);
        self.move_by(settings, rate, 0.0, weights, others);
    }

    /// One step of [Muon](super::muon).
    fn move_matrix(
        &mut self,
        (id, gradient): (WeightId, Tensor<1>),
        sides: [usize; 2],
        rate: f64,
        decay: f64,
        weights: &mut Weights,
    ) {
        let (keep, take) = (muon::MOMENTUM, 1.0 - muon::MOMENTUM);
        let first = match self.moments.remove(&id) {
            Some(moments) => moments.first * keep + gradient.clone() * take,
            None => gradient.clone() * take,
        };
        // As of the next step (Nesterov).
        let ahead = first.clone() * keep + gradient * take;
        let flat = weights.take(id) * (1.0 - rate * decay);
        weights.set(id, flat - muon::direction(ahead, sides) * rate);
        self.moments.insert(id, Moments { first, second: None });
    }

    /// One step of weights that decay alike.
    fn move_by(
        &mut self,
        settings: &OptimizerSettings,
        rate: f64,
        decay: f64,
        weights: &mut Weights,
        gradients: FlatGradients,
    ) {
        if gradients.is_empty() {
            return;
        }
        let decoupled = settings.kind != OptimizerKind::Adam;
        let step = AdamStep {
            learning_rate: rate,
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.epsilon,
            weight_decay: if decoupled { decay } else { 0.0 },
            step: self.steps,
        };
        let (ids, all) = gradients
            .into_iter()
            .map(|(id, mut gradient)| {
                let (first, second) = self
                    .moments
                    .remove(&id)
                    .map_or((None, None), |moments| (Some(moments.first), moments.second));
                let first = first.unwrap_or_else(|| gradient.zeros_like());
                let second = second.unwrap_or_else(|| gradient.zeros_like() + settings.initial_second_moment);
                let flat = weights.take(id);
                if decay > 0.0 && !decoupled {
                    gradient = gradient + flat.clone() * decay;
                }
                (id, [flat, gradient, first, second])
            })
            .unzip::<_, _, Vec<_>, Vec<_>>();
        for (id, [flat, first, second]) in ids.into_iter().zip(latent_kernels::adam_each(all, &step)) {
            weights.set(id, flat);
            self.moments.insert(id, Moments { first, second: Some(second) });
        }
    }
}
