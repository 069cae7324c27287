//! What a log-likelihood is measured in, so that only comparable numbers are compared.
//!
//! A density of real numbers changes with their unit: for values v = s x + o, log p(v) = log p(x) − Σ_i ln s_i. All
//! densities are given for v, the numbers in the user's files; probabilities of levels have no unit.

use crate::data::{Binarize, StoredType};
use crate::model::BaseMeasure;
use crate::model::Model;

/// The base measure of a model's likelihood, and the way to the user's units.
#[derive(Clone, Debug, PartialEq)]
pub struct Units {
    /// With respect to what p(x|z) is a density.
    pub measure: BaseMeasure,
    /// Σ_i ln s_i in nats: log p(x) − this is log p(v). 0 for probabilities.
    pub log_scale: f64,
    /// Numbers in a row.
    pub features: usize,
    /// The measure in words.
    pub words: String,
    /// How many levels a number in the files may have, where a density is given for numbers that are levels there.
    pub(super) dequantised: Option<usize>,
}

impl Units {
    /// The units of a model's log-likelihoods.
    pub fn of(model: &Model) -> Self {
        let measure = model.functions.likelihood.measure();
        let (facts, features) = (&model.facts, model.functions.sample.features());
        let log_scale = model.log_scale();
        let levels_in_files = facts.normalisation.stored.is_integer();
        let words = match measure {
            BaseMeasure::Mixed => "in the units of the file: densities of columns of real numbers, times probabilities of all others".into(),
            BaseMeasure::Counting { levels } => {
                let drawn = match model.data.binarize {
                    Binarize::None => "",
                    Binarize::Threshold => " (x cut to bits at a threshold)",
                    Binarize::Static => " (x drawn to bits once, by the seed)",
                    Binarize::Dynamic => " (x drawn to bits; held-out rows once, by the seed)",
                };
                format!("probabilities on {levels} levels{drawn}")
            }
            BaseMeasure::Counts => "probabilities of counts".into(),
            BaseMeasure::Lebesgue => format!(
                "density in the units of the data's files: log p(x) of normalised x less {log_scale:.2} nats{}",
                if levels_in_files {
                    "; x are whole levels without dequantisation noise, so this bounds no probability of levels"
                } else {
                    ""
                }
            ),
            BaseMeasure::None => "a cross-entropy, no density".into(),
        };
        let is_drawn = model.data.binarize != Binarize::None;
        let dequantised = match (measure, facts.normalisation.stored) {
            (BaseMeasure::Lebesgue, StoredType::U8) if !is_drawn => Some(1 << 8),
            (BaseMeasure::Lebesgue, StoredType::U16) if !is_drawn => Some(1 << 16),
            _ => None,
        };
        Self { measure, log_scale, features, words, dequantised }
    }

    /// log p(x) of normalised x, in the user's units.
    pub fn log_density(&self, log_p: f64) -> f64 {
        log_p - self.log_scale
    }

    /// −log₂ P / D of a log-probability.
    pub(super) fn bits(&self, log_p: f64) -> f64 {
        -log_p / (self.features.max(1) as f64 * std::f64::consts::LN_2)
    }
}
