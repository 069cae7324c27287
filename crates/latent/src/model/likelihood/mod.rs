//! The likelihood p(x|z): how a decoded z explains an x. One file a member.
//!
//! The decoder gives `parameters()` numbers for each feature, parameter-major. [`Likelihood::log_density`] is in nats
//! per row, summed over features, never averaged.

mod bernoulli;
mod continuous_bernoulli;
mod discretised_logistic;
mod normal;

use burn::tensor::Tensor;

use super::View;
use crate::batch::Noise;
use crate::config::{Axis, ConfigError};
use crate::data::Facts;
use crate::weights::{Init, Weights};

/// With respect to what p(x|z) is a density: only numbers on one base measure may be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BaseMeasure {
    /// Probabilities of discrete values; log P is at most 0.
    Counting {
        /// How many values a feature can take.
        levels: u32,
    },
    /// Densities of real numbers, in normalised units.
    Lebesgue,
    /// No density at all: a cross-entropy or another score.
    None,
}

impl BaseMeasure {
    /// A name for tables and files.
    pub fn name(self) -> String {
        match self {
            Self::Counting { levels } => format!("counting measure on {levels} levels"),
            Self::Lebesgue => "Lebesgue measure".into(),
            Self::None => "none".into(),
        }
    }
}

/// p(x|z) given the decoder's outputs.
pub trait Likelihood: Send + Sync {
    /// How many parameters a feature has.
    fn parameters(&self) -> usize;

    /// What the density is with respect to.
    fn measure(&self) -> BaseMeasure;

    /// log p(x|z) in nats, `[k·n]`: outputs `[k·n, parameters · features]`, draw-major, against x `[n, features]`.
    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1>;

    /// E[x|z], `[rows, features]`.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2>;

    /// One draw of x for each row of outputs, `[rows, features]`.
    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2>;

    /// Whether a row's value depends on the other rows of its batch while training.
    fn couples_rows(&self) -> bool {
        false
    }

    /// The scale that the likelihood measures on data instead of learning it, if it has one.
    fn scale(&self) -> Option<&dyn MeasuredScale> {
        None
    }
}

/// A scale that is measured: followed while training, frozen from the training data at the end.
pub trait MeasuredScale {
    /// Its statistic on each row, whose mean over the data sets the scale, `[k·n]`.
    fn statistic(&self, outputs: Tensor<2>, x: &Tensor<2>) -> Tensor<1>;

    /// Moves the stored scale a little towards this batch's mean statistic.
    fn follow(&self, weights: &mut Weights, mean: Tensor<1>);

    /// Freezes the scale at the mean statistic of the training data.
    fn freeze(&self, weights: &mut Weights, mean: f64);
}

/// The settings of a likelihood: config → check → likelihood.
pub trait LikelihoodSettings: Send + Sync {
    /// Refuses data that it cannot describe.
    fn check(&self, facts: &Facts) -> Result<(), ConfigError>;

    /// How many parameters a feature has.
    fn parameters(&self) -> usize;

    /// Whether a row's value depends on the other rows of its batch while training.
    fn couples_rows(&self) -> bool {
        false
    }

    /// Where the decoder's last bias starts: the outputs that fit the mean of the data.
    fn output_bias(&self, facts: &Facts) -> Option<Vec<f32>>;

    /// Builds the likelihood.
    fn init(&self, facts: &Facts, init: &mut Init<'_>) -> Box<dyn Likelihood>;
}

/// The likelihoods that ship.
pub fn likelihoods() -> Axis<dyn LikelihoodSettings> {
    Axis::<dyn LikelihoodSettings>::new("likelihood")
        .with("bernoulli", "binary x; on grey values a cross-entropy", |s: bernoulli::BernoulliSettings| {
            Box::new(s)
        })
        .with(
            "continuous-bernoulli",
            "a density on [0, 1] from the same logits",
            |s: continuous_bernoulli::ContinuousBernoulliSettings| Box::new(s),
        )
        .with("normal", "N(g(z), σ²): σ fixed, learned or optimal", |s: normal::NormalSettings| {
            Box::new(s)
        })
        .with(
            "discretised-logistic",
            "probabilities of 256 levels from a logistic density",
            |s: discretised_logistic::DiscretisedLogisticSettings| Box::new(s),
        )
}

/// `x`'s `n` rows repeated for `k·n` rows of outputs.
pub(crate) fn repeat_x(x: &Tensor<2>, rows: usize) -> Tensor<2> {
    let n = x.dims()[0];
    if n == rows { x.clone() } else { x.clone().repeat_dim(0, rows / n.max(1)) }
}

/// The refusal of data that is not in [0, 1].
pub(crate) fn needs_unit_interval(facts: &Facts, name: &str) -> Result<(), ConfigError> {
    if facts.kind == crate::data::ValueKind::Real {
        return Err(ConfigError::Combination {
            what: format!("likelihood `{name}` describes values in [0, 1], and this data is real numbers"),
            remedy: "use likelihood.kind = \"normal\"".into(),
        });
    }
    Ok(())
}

/// logit(mean) of each feature, kept away from ±∞; none where the means are not known.
pub(crate) fn mean_logits(facts: &Facts) -> Option<Vec<f32>> {
    let logit = |p: f32| {
        let p = p.clamp(1e-3, 1.0 - 1e-3);
        (p / (1.0 - p)).ln()
    };
    let mean = Some(&facts.mean).filter(|mean| mean.len() == facts.shape.features())?;
    Some(mean.iter().map(|&m| logit(m)).collect())
}
