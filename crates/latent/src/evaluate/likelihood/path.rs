//! A path of densities over z, from one whose normaliser is 1 to the joint density, whose normaliser is P(x):
//!
//! log f_β(z) = (1 − β) log p₀(z) + β log p(x, z) = log p₀(z) + β s(z),  s(z) = log p(x, z) − log p₀(z),  β from 0 to 1
//!
//! p₀ is the prior, where s is log p(x|z), or the encoder's q(z|x), where s is the log importance weight.
//!
//! Reference: Neal, *Annealed importance sampling* (arXiv physics/9803008).

use burn::tensor::Tensor;

use crate::batch::{Batch, Latent, Noise, Support};
use crate::density::{Density, fold_rows};
use crate::device::host_f64;
use crate::model::{BaseMeasure, ModelError, View};

/// Where the path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// p(z): independent of the encoder, and far from p(z|x).
    Prior,
    /// q(z|x): near p(z|x) where the encoder is good.
    Encoder,
}

impl Start {
    /// A name for tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prior => "prior",
            Self::Encoder => "encoder",
        }
    }
}

/// The path of each row of a batch.
pub struct Path<'a> {
    view: View<'a>,
    batch: Batch,
    prior: Box<dyn Density>,
    /// p₀ where it is not the prior.
    encoder: Option<Box<dyn Density>>,
    /// 1/σ² per dimension at β = 0 and at β = 1 (as far as it is known), `[1 or n, dims]`.
    precision: [Tensor<2>; 2],
}

/// A code of each chain, with what a transition and a weight need of it.
#[derive(Clone)]
pub struct State {
    /// `[chains·n, dims]`, chain-major.
    pub z: Tensor<2>,
    /// log p₀(z)
    pub base: Vec<f64>,
    /// s(z)
    pub slope: Vec<f64>,
    gradient_base: Tensor<2>,
    gradient_slope: Tensor<2>,
}

impl<'a> Path<'a> {
    /// The paths of a batch's rows.
    ///
    /// # Errors
    /// [`ModelError::NoDensity`] where codes are not real numbers (they cannot follow a gradient), where p(x|z) is not a
    /// density, or where the start has none.
    pub fn new(view: View<'a>, batch: &Batch, start: Start) -> Result<Self, ModelError> {
        check(&view, start)?;
        let (prior, q) = (view.prior(batch.given()), view.encode(batch));
        let precision = |density: &dyn Density| density.deviation().map(|d| (d.clone() * d).recip());
        let wide = || {
            view.weights.device().tensor(vec![1.0; view.model.latent.dims()], [1, view.model.latent.dims()])
        };
        let of_prior = precision(prior.as_ref()).unwrap_or_else(wide);
        let of_q = precision(q.as_ref()).unwrap_or_else(|| of_prior.clone());
        Ok(Self {
            batch: batch.clone(),
            precision: match start {
                Start::Prior => [of_prior, of_q],
                Start::Encoder => [of_q.clone(), of_q],
            },
            encoder: (start == Start::Encoder).then_some(q),
            prior,
            view,
        })
    }

    /// Draws from p₀, `chains` for each row.
    pub fn start(&self, chains: usize, noise: Noise<'_>) -> State {
        let base = self.encoder.as_ref().unwrap_or(&self.prior);
        self.at(base.draw(chains, noise).z.z)
    }

    /// Values and gradients at these codes, `[chains·n, dims]`.
    pub fn at(&self, z: Tensor<2>) -> State {
        let absent = || z.clone().sum_dim(1).squeeze_dim(1) * f64::NAN;
        let log_density = |density: &dyn Density, z: &Latent| density.log_density(z).unwrap_or_else(absent);
        let (base, gradient_base) = with_gradient(&z, |z| match &self.encoder {
            Some(q) => log_density(q.as_ref(), z),
            None => log_density(self.prior.as_ref(), z),
        });
        let (slope, gradient_slope) = with_gradient(&z, |z| {
            let log_likelihood = self.view.log_likelihood(&self.batch, z);
            match &self.encoder {
                Some(q) => log_likelihood + log_density(self.prior.as_ref(), z) - log_density(q.as_ref(), z),
                None => log_likelihood,
            }
        });
        State { z, base, slope, gradient_base, gradient_slope }
    }

    /// The number of latent dimensions.
    pub fn dims(&self) -> usize {
        self.view.model.latent.dims()
    }

    /// About how wide f_β is in each dimension, `[rows, dims]`: what steps are measured in. A function of β and x alone, so
    /// that transitions stay reversible.
    pub(super) fn width(&self, beta: f64, rows: usize) -> Tensor<2> {
        let [first, last] = self.precision.each_ref().map(|p| fold_rows(p, rows));
        (first * (1.0 - beta) + last * beta).sqrt().recip()
    }
}

impl State {
    /// log f_β of each chain.
    pub fn log_density(&self, beta: f64) -> Vec<f64> {
        self.base.iter().zip(&self.slope).map(|(base, slope)| base + beta * slope).collect()
    }

    /// ∇ log f_β, `[chains·n, dims]`.
    pub fn gradient(&self, beta: f64) -> Tensor<2> {
        self.gradient_base.clone() + self.gradient_slope.clone() * beta
    }

    /// The other state where `taken`, this one elsewhere.
    pub(super) fn replaced(self, other: Self, taken: &[bool]) -> Self {
        let [rows, dims] = self.z.dims();
        let flags = taken.iter().map(|&t| f32::from(u8::from(t))).collect();
        let mask = crate::device::Device::of(&self.z).tensor(flags, [rows, 1]).greater_elem(0.5);
        let mask = mask.expand([rows, dims]);
        let pick = |ours: Tensor<2>, theirs: Tensor<2>| ours.mask_where(mask.clone(), theirs);
        let choose = |ours: Vec<f64>, theirs: Vec<f64>| {
            let both = ours.into_iter().zip(theirs).zip(taken);
            both.map(|((ours, theirs), &taken)| if taken { theirs } else { ours }).collect()
        };
        Self {
            z: pick(self.z, other.z),
            base: choose(self.base, other.base),
            slope: choose(self.slope, other.slope),
            gradient_base: pick(self.gradient_base, other.gradient_base),
            gradient_slope: pick(self.gradient_slope, other.gradient_slope),
        }
    }
}

/// A function of each row of z and its gradient there. The rows do not see each other, so the gradient of the sum has
/// that of each.
fn with_gradient(z: &Tensor<2>, value: impl Fn(&Latent) -> Tensor<1>) -> (Vec<f64>, Tensor<2>) {
    let leaf = z.clone().autodiff().require_grad();
    let value = value(&Latent::new(leaf.clone()));
    let numbers = host_f64(&value.clone().inner());
    let mut gradients = value.sum().backward();
    (numbers, leaf.grad_remove(&mut gradients).unwrap_or_else(|| z.zeros_like()))
}

/// Refuses models that have no such path.
fn check(view: &View<'_>, start: Start) -> Result<(), ModelError> {
    let refuse =
        |what: &str, remedy: &str| Err(ModelError::NoDensity { what: what.into(), remedy: remedy.into() });
    if view.model.likelihood.measure() == BaseMeasure::None {
        return refuse(
            "the likelihood is a cross-entropy on grey values and no density, so there is no log P(x) to estimate",
            "set data.binarize = \"dynamic\", or likelihood.kind = \"continuous-bernoulli\" or \"discretised-logistic\"",
        );
    }
    if view.model.latent.blocks.iter().any(|block| block.support.values().is_some()) {
        return refuse(
            "annealing moves codes along the gradient of log p(x, z), and bits and indices have none",
            "read the importance-weighted bound",
        );
    }
    if view.model.latent.blocks.iter().any(|block| block.support != Support::Reals) {
        return refuse(
            "annealing moves codes along the gradient of log p(x, z), and this latent ends at the sides of a cube",
            "use a prior on the reals, such as prior.kind = \"standard-normal\"",
        );
    }
    if start == Start::Encoder && !view.model.posterior.has_density() {
        return refuse(
            "the posterior is a point and has no density to start from",
            "start from the prior, or train a model with posterior.kind = \"diagonal-normal\"",
        );
    }
    Ok(())
}
