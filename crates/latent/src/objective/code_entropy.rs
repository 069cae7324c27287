//! Sure signs, and indices equally frequent: the entropy term of quantisers whose book is signs.
//!
//! Σ over the indices of a code of [ E_x H(p(c|x)) − γ H(E p(c|x)) ]  nats per sample
//!
//! p(c|x) ∝ exp(−‖u − c‖² / τ) is the soft law of a code behind u, a product over its signs, so that H(p(c|x)) is a sum over them.
//! The mean law is over all rows and places of a batch, since they share one book, and is no product: its entropy is summed exactly
//! over the 2^g codes of g signs. Of longer codes each `group` of g signs is summed by itself and the sums added, which is the
//! entropy of the mean law as if groups were independent: never below the true one. g = d is LFQ's, g = 1 is BSQ's.
//!
//! References: Yu et al. (arXiv 2310.05737), for the term and its enumeration; Zhao, Xiong & Krähenbühl (arXiv 2406.07548), for the
//! sum over signs, whose inverse temperature is 2 / τ.

use burn::tensor::{Tensor, activation::sigmoid};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::density::{softplus, sum_dimensions};
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// τ, γ and g.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CodeEntropySettings {
    /// τ: how far from a code, in squared units of it, its soft law still reaches.
    pub temperature: f64,
    /// γ: what the entropy of the mean counts beside the mean of the entropies.
    pub diversity: f64,
    /// g: signs whose codes are enumerated together; 1 takes signs for independent.
    pub group: usize,
}

impl Default for CodeEntropySettings {
    fn default() -> Self {
        Self { temperature: 1.0, diversity: 1.0, group: 8 }
    }
}

/// Signs that are enumerated together, at most: each vector has numbers for all of their codes.
const MOST_SIGNS: usize = 12;

/// Probabilities are kept this far from 0 in a logarithm.
const LEAST: f64 = 1e-30;

struct CodeEntropy {
    settings: CodeEntropySettings,
}

impl Named for CodeEntropySettings {
    const KIND: &'static str = "code-entropy";
    const ABOUT: &'static str = "mean entropy of soft codes of signs less the entropy of their mean";
}

impl Settings<dyn Term> for CodeEntropySettings {
    fn formula(&self) -> Option<String> {
        let diversity = if self.diversity == 1.0 { String::new() } else { format!("{} ", self.diversity) };
        Some(format!("[E_x H(p(c|x)) − {diversity}H(E_x p(c|x))]"))
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let what = format!("{} is not a temperature", self.temperature);
            return Err(ConfigError::value("temperature", what, "give a positive number, such as 1.0"));
        }
        if !(self.diversity.is_finite() && self.diversity >= 0.0) {
            let what = format!("{} is not a weight", self.diversity);
            return Err(ConfigError::value("diversity", what, "give a number from 0"));
        }
        if !(1..=MOST_SIGNS).contains(&self.group) {
            let what = format!("{} signs are enumerated together", self.group);
            return Err(ConfigError::value("group", what, format!("give 1 to {MOST_SIGNS}")));
        }
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(CodeEntropy { settings: self.clone() }))
    }
}

/// H of each sign with these log odds: softplus ℓ − ℓ σ(ℓ).
fn sign_entropy(odds: Tensor<2>) -> Tensor<2> {
    softplus(odds.clone()) - odds.clone() * sigmoid(odds)
}

/// The mean law of the codes of a few signs, from the log odds of each, `[n · places, g]` → `[1, 2^g]`; `share` is what each
/// vector counts, `[n · places, 1]`.
fn mean_law(odds: Tensor<2>, share: &Tensor<2>) -> Tensor<2> {
    let g = odds.dims()[1];
    let (yes, no) = (sigmoid(odds.clone()), sigmoid(odds.neg()));
    let mut law = share.clone();
    for sign in 0..g {
        let of = |p: &Tensor<2>| law.clone() * p.clone().narrow(1, sign, 1);
        law = Tensor::cat(vec![of(&no), of(&yes)], 1);
    }
    law.sum_dim(0)
}

impl Term for CodeEntropy {
    /// `[1]`; undefined for posteriors without signs.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let odds = pass.q.sign_odds()? / self.settings.temperature;
        let [n, places, signs] = odds.dims();
        let each = sum_dimensions(sign_entropy(odds.clone().reshape([n, places * signs])));
        let flat = odds.reshape([n * places, signs]);
        let rows = match &pass.batch.weight {
            Some(weight) => weight.clone() / weight.clone().sum().clamp_min(f64::from(f32::MIN_POSITIVE)),
            None => each.ones_like() / n as f64,
        };
        let share = rows.reshape([n, 1]).expand([n, places]).reshape([n * places, 1]) / places as f64;
        let groups = (0..signs).step_by(self.settings.group).map(|start| {
            let length = self.settings.group.min(signs - start);
            let law = mean_law(flat.clone().narrow(1, start, length), &share);
            (law.clone() * law.clamp_min(LEAST).log()).sum().neg()
        });
        let together = groups.reduce(|sum, group| sum + group)?;
        Some(Value::new(pass.batch.mean(each) - together * (self.settings.diversity * places as f64)))
    }
}

impl Life for CodeEntropy {}
