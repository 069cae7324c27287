//! Commitment: ‖f(x) − sg\[e\]‖², how far the encoder's output lies from the codes that stand for it, summed over the code.
//!
//! It keeps an encoder near the codes of a quantiser, whose own gradient (straight through) doesn't. In squared units of the
//! code, not nats.
//!
//! Reference: van den Oord, Vinyals & Kavukcuoglu, *Neural Discrete Representation Learning* (arXiv 1711.00937).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// No settings; β is the term's weight.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommitmentSettings {}

struct Commitment;

impl Named for CommitmentSettings {
    const KIND: &'static str = "commitment";
    const ABOUT: &'static str = "‖f(x) − sg[e]‖² of a quantised code";
}

impl Settings<dyn Term> for CommitmentSettings {
    fn formula(&self) -> Option<String> {
        Some("‖f(x) − e‖²".into())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Commitment))
    }
}

impl Term for Commitment {
    /// Undefined for posteriors that do not quantise.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        pass.q.commitment().map(Value::new)
    }
}

impl Life for Commitment {}
