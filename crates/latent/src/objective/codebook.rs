//! Codebook loss: ‖sg\[f(x)\] − e‖², how far the codes lie from the encoder's outputs that they stand for, summed over the code.
//!
//! It moves a book that gradients move (`simvq`) towards the outputs; books that follow by moving averages have none. In squared
//! units of the code, not nats.
//!
//! Reference: van den Oord, Vinyals & Kavukcuoglu, *Neural Discrete Representation Learning* (arXiv 1711.00937), equation 3.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CodebookSettings {}

struct Codebook;

impl Named for CodebookSettings {
    const KIND: &'static str = "codebook";
    const ABOUT: &'static str = "‖sg[f(x)] − e‖² of a book that gradients move";
}

impl Settings<dyn Term> for CodebookSettings {
    fn formula(&self) -> Option<String> {
        Some("‖sg[f(x)] − e‖²".into())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Codebook))
    }
}

impl Term for Codebook {
    /// Undefined for posteriors without such a book.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        pass.q.codebook().map(Value::new)
    }
}

impl Life for Codebook {}
