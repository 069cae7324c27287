//! The gradient penalty of a decoder: ‖∂g/∂z‖²_F, how far the mean of p(x|z) moves with the code, summed over pixels and dimensions.
//!
//! ‖∂g/∂z‖²_F = E_u ‖(∂g/∂z) u‖²,  u ~ N(0, I);   (∂g/∂z) u ≈ [g(z + h u) − g(z − h u)] / 2h
//!
//! Gradients here are of first order, so the derivative along u is a central difference, which is differentiable like g itself: two
//! further passes through the decoder for each direction, and no double backward. The mean over u is without bias, as of any
//! Hutchinson estimator; the difference adds one of order h², none where g is affine. Whatever the decoder is made of, it holds.
//!
//! Reference: Ghosh et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436), RAE-GP; Hutchinson (1990) for the
//! estimator.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::Latent;
use crate::config::ConfigError;
use crate::density::sum_dimensions;
use crate::device::Device;
use crate::member::{Context, Life, Named, Settings};
use crate::model::View;
use crate::weights::Init;

/// How the derivative is estimated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DecoderGradientSettings {
    /// Directions u for each code.
    pub directions: usize,
    /// h, half the distance between the two codes that are compared, in units of u.
    pub step: f64,
}

impl Default for DecoderGradientSettings {
    fn default() -> Self {
        Self { directions: 1, step: 0.01 }
    }
}

/// More directions are taken for a mistake.
const MOST_DIRECTIONS: usize = 1000;

struct DecoderGradient {
    settings: DecoderGradientSettings,
}

impl Named for DecoderGradientSettings {
    const KIND: &'static str = "decoder-gradient";
    const ABOUT: &'static str = "‖∂g/∂z‖²: how far the decoder moves with the code";
}

impl Settings<dyn Term> for DecoderGradientSettings {
    fn formula(&self) -> Option<String> {
        Some("‖∂g/∂z‖²".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(1..=MOST_DIRECTIONS).contains(&self.directions) {
            let what = format!("{} directions", self.directions);
            return Err(ConfigError::value("directions", what, format!("give 1 to {MOST_DIRECTIONS}")));
        }
        if !(1e-4..=1.0).contains(&self.step) {
            let what = format!("{} is not a step", self.step);
            return Err(ConfigError::value("step", what, "give a number from 1e-4 to 1, such as 0.01"));
        }
        super::refuse_discrete(context, "a decoder has a gradient along codes that are numbers")
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(DecoderGradient { settings: self.clone() }))
    }
}

impl Term for DecoderGradient {
    /// `[k·n]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let DecoderGradientSettings { directions, step } = self.settings;
        // These codes are no draws of q: nothing is to follow what they do.
        let view = View { record: None, ..pass.view };
        let z = &pass.draw().z.z;
        let dims = z.dims()[1];
        let key = pass.key.fold("decoder-gradient");
        let along = |direction: usize| {
            let noise = pass.batch.noise(key.fold(direction));
            let u = noise.normals(pass.draws, dims, &Device::of(&pass.batch.x)) * step;
            let mean = |z: Tensor<2>| view.mean(&Latent::new(z), pass.batch.given());
            let moved = (mean(z.clone() + u.clone()) - mean(z.clone() - u)) * (0.5 / step);
            sum_dimensions(moved.clone() * moved)
        };
        let sum = (0..directions).map(along).reduce(|sum, part| sum + part)?;
        Some(Value::new(sum * (1.0 / directions as f64)))
    }
}

impl Life for DecoderGradient {}
