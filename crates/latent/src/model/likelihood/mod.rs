//! The likelihood p(x|z): how a decoded z explains an x. One file a member.
//!
//! The decoder gives the parameters of each feature, parameter-major. [`Likelihood::log_density`] is in nats per row, summed
//! over the features that were observed, never averaged.

mod bernoulli;
mod categorical;
mod continuous_bernoulli;
mod discretised_logistic;
pub mod evidence;
mod factorised;
mod gamma;
mod laplace;
mod location;
mod log_cosh;
mod logistic_mixture;
mod mixed;
mod normal;
mod poisson;
mod student_t;

use burn::tensor::Tensor;

pub use bernoulli::BernoulliSettings;
pub use categorical::CategoricalSettings;
pub use continuous_bernoulli::ContinuousBernoulliSettings;
pub use discretised_logistic::DiscretisedLogisticSettings;
pub use evidence::{Allowed, Completed, Evidence};
pub use factorised::FactorisedSettings;
pub use laplace::LaplaceSettings;
pub use log_cosh::LogCoshSettings;
pub use logistic_mixture::LogisticMixtureSettings;
pub use mixed::MixedSettings;
pub use normal::{MeanRange, NormalSettings, Scale};
pub use poisson::PoissonSettings;
pub use student_t::StudentTSettings;

use super::View;
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::data::{Facts, ValueKind};
use crate::density::sum_dimensions;
use crate::member::{Axis, Life, Settings};
use crate::store::StoreError;
use crate::store::onnx::{Graph, Node};
use crate::weights::Weights;

/// With respect to what p(x|z) is a density: only numbers on one base measure may be compared.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BaseMeasure {
    /// Probabilities of discrete values; log P is at most 0.
    Counting {
        /// How many values a feature can take.
        levels: u32,
    },
    /// Probabilities of whole numbers from 0, however large; log P is at most 0.
    Counts,
    /// Densities of real numbers, in normalised units.
    Lebesgue,
    /// Densities of the real columns of a table, in the units of the file, times probabilities of all others.
    Mixed,
    /// No density at all: a cross-entropy or another score.
    None,
}

impl BaseMeasure {
    /// A name for tables and files.
    pub fn name(self) -> String {
        match self {
            Self::Counting { levels } => format!("counting measure on {levels} levels"),
            Self::Counts => "counting measure on whole numbers".into(),
            Self::Lebesgue => "Lebesgue measure".into(),
            Self::Mixed => {
                "Lebesgue measure on columns of real numbers, counting measure on all others".into()
            }
            Self::None => "none".into(),
        }
    }
}

/// p(x|z) given the decoder's outputs.
pub trait Likelihood: Life {
    /// What the density is with respect to.
    fn measure(&self) -> BaseMeasure;

    /// log p(x|z) in nats, `[k·n]`: outputs `[k·n, parameters · features]`, draw-major, against the rows of the batch. What
    /// the batch masks is left out.
    fn log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1>;

    /// E[x|z], `[rows, features]`.
    fn mean(&self, view: &View<'_>, outputs: Tensor<2>) -> Tensor<2>;

    /// [`Likelihood::mean`] in a graph, from the decoder's outputs.
    ///
    /// # Errors
    /// [`StoreError::NoGraph`], as by default.
    fn trace(&self, weights: &Weights, graph: &mut Graph, outputs: &Node) -> Result<Node, StoreError> {
        let _ = (weights, graph, outputs);
        Err(StoreError::no_graph("the mean of this likelihood", "give it `Likelihood::trace`"))
    }

    /// One draw of x for each row of outputs, `[rows, features]`.
    fn draw(&self, view: &View<'_>, outputs: Tensor<2>, noise: Noise<'_>) -> Tensor<2>;

    /// Rows completed from what is known of them, with what that weighs; none where x has no columns that could be given
    /// one by one.
    fn complete(
        &self,
        view: &View<'_>,
        outputs: Tensor<2>,
        evidence: &Evidence,
        noise: Noise<'_>,
    ) -> Option<Completed> {
        let _ = (view, outputs, evidence, noise);
        None
    }

    /// log p(cell | all other cells, z) of each cell, `[rows, features]`, where columns can be told apart.
    fn surprises(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Option<Vec<f32>> {
        let _ = (view, outputs, batch);
        None
    }

    /// σ², where p(x|z) = N(x; outputs, σ² I) and nothing else: what makes a linear model's P(x) known.
    fn isotropic_variance(&self, view: &View<'_>) -> Option<f64> {
        let _ = view;
        None
    }
}

/// The settings of a likelihood. It is declared first: it refuses data that it cannot describe, and says what it wants from
/// the decoder.
pub type LikelihoodSettings = dyn Settings<dyn Likelihood>;

/// The likelihoods that ship.
pub fn likelihoods() -> Axis<LikelihoodSettings> {
    Axis::new("likelihood")
        .with::<bernoulli::BernoulliSettings>()
        .with::<continuous_bernoulli::ContinuousBernoulliSettings>()
        .with::<normal::NormalSettings>()
        .with::<laplace::LaplaceSettings>()
        .with::<student_t::StudentTSettings>()
        .with::<log_cosh::LogCoshSettings>()
        .with::<discretised_logistic::DiscretisedLogisticSettings>()
        .with::<logistic_mixture::LogisticMixtureSettings>()
        .with::<categorical::CategoricalSettings>()
        .with::<poisson::PoissonSettings>()
        .with::<mixed::MixedSettings>()
        .with::<factorised::FactorisedSettings>()
}

/// `x`'s `n` rows repeated for `k·n` rows of outputs.
pub(crate) fn repeat_x(x: &Tensor<2>, rows: usize) -> Tensor<2> {
    let n = x.dims()[0];
    if n == rows { x.clone() } else { x.clone().repeat_dim(0, rows / n.max(1)) }
}

/// The sum of a value of each feature over those that the batch has observed, `[k·n, features]` → `[k·n]`.
pub(crate) fn sum_observed(per_feature: Tensor<2>, batch: &Batch) -> Tensor<1> {
    sum_dimensions(match &batch.mask {
        Some(mask) => {
            let mask = repeat_x(mask, per_feature.dims()[0]);
            // What is masked may be infinite, and 0 times that is no number.
            per_feature.mask_fill(mask.lower_elem(0.5), 0.0)
        }
        None => per_feature,
    })
}

/// The refusal of levels of mixed columns, which are no quantities.
pub(crate) fn refuse_levels(facts: &Facts, name: &str) -> Result<(), ConfigError> {
    if facts.kind == ValueKind::Mixed {
        return Err(ConfigError::Combination {
            what: format!(
                "likelihood `{name}` describes numbers, and this table has columns of several kinds"
            ),
            remedy: "use likelihood.kind = \"mixed\"".into(),
        });
    }
    Ok(())
}

/// The refusal of data that is not in [0, 1].
pub(crate) fn needs_unit_interval(facts: &Facts, name: &str) -> Result<(), ConfigError> {
    refuse_levels(facts, name)?;
    if facts.kind == ValueKind::Real {
        return Err(ConfigError::Combination {
            what: format!("likelihood `{name}` describes values in [0, 1], and this data is real numbers"),
            remedy: "use likelihood.kind = \"normal\"".into(),
        });
    }
    Ok(())
}

/// The refusal of probabilities of levels that the data does not have.
pub(crate) fn check_levels(facts: &Facts, name: &str, levels: u32) -> Result<(), ConfigError> {
    if levels < 2 {
        return Err(ConfigError::Value {
            key: "levels".into(),
            what: format!("{levels} levels"),
            remedy: "give at least 2; 8-bit images have 256".into(),
        });
    }
    // Probabilities of levels mean something where the data has these levels.
    let known = facts.normalisation.stored.most().map(|most| most as u32 + 1);
    match known.filter(|&known| facts.kind != ValueKind::Binary && known != levels) {
        Some(known) => Err(ConfigError::Combination {
            what: format!(
                "likelihood `{name}` gives probabilities to {levels} levels, and this data has {known}"
            ),
            remedy: "set likelihood.levels to the data's, or use likelihood.kind = \"normal\"".into(),
        }),
        None => Ok(()),
    }
}

/// Whether x lies on levels, so that these have probabilities; arrays of floats may lie anywhere.
pub(crate) fn has_levels(facts: &Facts) -> bool {
    facts.kind == ValueKind::Binary || facts.normalisation.stored.is_integer()
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
