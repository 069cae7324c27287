//! The size of codes: ½‖z‖², which keeps the codes of an encoder without noise from drifting apart.
//!
//! It is −ln N(z; 0, I) without its constant: a pull to the origin, where a rate would also count how far q spreads.
//!
//! Reference: Ghosh et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436), L_z of equation 11.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::density::sum_dimensions;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// No settings; β is the term's weight.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodeNormSettings {}

struct CodeNorm;

impl Named for CodeNormSettings {
    const KIND: &'static str = "code-norm";
    const ABOUT: &'static str = "½‖z‖² of the codes";
}

impl Settings<dyn Term> for CodeNormSettings {
    fn formula(&self) -> Option<String> {
        Some("½‖z‖²".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        super::refuse_discrete(context, "the size of a code is that of a vector")
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(CodeNorm))
    }
}

impl Term for CodeNorm {
    /// `[k·n]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let z = pass.draw().z.z.clone();
        Some(Value::new(sum_dimensions(z.clone() * z) * 0.5))
    }
}

impl Life for CodeNorm {}
