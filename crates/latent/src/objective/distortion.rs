//! Distortion: −log p(x|z) in nats, summed over features.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;

/// No settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DistortionSettings {}

struct Distortion;

impl Named for DistortionSettings {
    const KIND: &'static str = "distortion";
    const ABOUT: &'static str = "−log p(x|z)";
}

impl Settings<dyn Term> for DistortionSettings {
    fn formula(&self) -> Option<String> {
        Some("−ln p(x|z)".into())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Distortion))
    }
}

impl Term for Distortion {
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        Some(Value::new(pass.distortion().clone()))
    }
}

impl Life for Distortion {}
