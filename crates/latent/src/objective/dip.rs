//! Disentangled inferred prior: the covariance of the aggregate posterior shall be the identity.
//!
//! Σ_{i≠j} C_ij² + λ_d/λ_od Σ_i (C_ii − 1)²,  weighed by λ_od
//!
//! - of the *means* (DIP-VAE-I): C = Cov_x[μ(x)];
//! - of the *codes* (DIP-VAE-II): C = Cov_x[μ(x)] + E_x[diag σ²(x)].
//!
//! C is that of the batch, divided by its number of rows.
//!
//! Reference: Kumar, Sattigeri & Balakrishnan, *Variational Inference of Disentangled Latent Concepts from Unlabeled
//! Observations* (arXiv 1711.00848), equations 6 and 7.

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// Which covariance, and what its diagonal counts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DipSettings {
    /// Of what the covariance is.
    pub of: Of,
    /// λ_d / λ_od: what the diagonal counts beside the rest.
    pub diagonal: f64,
}

/// Of what the covariance is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Of {
    /// The posterior's means: DIP-VAE-I.
    Means,
    /// The codes: DIP-VAE-II.
    Codes,
}

impl Default for DipSettings {
    fn default() -> Self {
        Self { of: Of::Codes, diagonal: 1.0 }
    }
}

struct Dip {
    settings: DipSettings,
}

impl Named for DipSettings {
    const KIND: &'static str = "dip";
    const ABOUT: &'static str = "how far the codes' covariance is from the identity";
}

impl Settings<dyn Term> for DipSettings {
    fn formula(&self) -> Option<String> {
        let diagonal = if self.diagonal == 1.0 { String::new() } else { format!("{} ", self.diagonal) };
        let of = if self.of == Of::Means { "Cov μ(x)" } else { "Cov z" };
        Some(format!("[Σ_{{i≠j}} C_ij² + {diagonal}Σ_i (C_ii − 1)²], C = {of}"))
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.diagonal.is_finite() && self.diagonal >= 0.0) {
            let what = format!("{} is not a weight", self.diagonal);
            return Err(ConfigError::value("diagonal", what, "give a number from 0"));
        }
        if context.latent.is_discrete() {
            return Err(ConfigError::combination(
                "a covariance is of numbers, and these codes are not",
                "use posterior.kind = \"diagonal-normal\"",
            ));
        }
        let name = context.term().map(|term| term.name.clone()).unwrap_or_default();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Dip { settings: self.clone() }))
    }
}

impl Term for Dip {
    /// `[1]`; of posteriors without a spread both are the covariance of the means.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let means = pass.q.centre().z;
        let [n, dims] = means.dims();
        let off = means.clone() - pass.batch.mean_rows(means);
        let share = match &pass.batch.weight {
            Some(weight) => weight.clone() / weight.clone().sum().clamp_min(f64::from(f32::MIN_POSITIVE)),
            None => off.clone().narrow(1, 0, 1).reshape([n]).ones_like() * (1.0 / n as f64),
        };
        let covariance = (off.clone() * share.reshape([n, 1])).transpose().matmul(off);
        let identity = Tensor::<2>::eye(dims, &covariance.device()).cast(covariance.dtype());
        let inner = match (self.settings.of, pass.q.deviation()) {
            (Of::Codes, Some(deviation)) => pass.batch.mean_rows(deviation.clone() * deviation),
            _ => covariance.clone().narrow(0, 0, 1).zeros_like(),
        };
        let diagonal = (covariance.clone() * identity.clone()).sum_dim(0) + inner - 1.0;
        let beside = covariance.clone() - covariance * identity;
        let value =
            (beside.clone() * beside).sum() + (diagonal.clone() * diagonal).sum() * self.settings.diagonal;
        Some(Value::new(value))
    }
}

impl Life for Dip {}
