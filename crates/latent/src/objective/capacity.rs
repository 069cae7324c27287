//! Rate held at a capacity: |KL(q(z|x) ‖ p(z)) − C(t)| of the batch's mean rate, with C going up in a straight line.
//!
//! The code is given its nats one after the other: what lowers the distortion most comes first, in a dimension of its own. The
//! log shows the true rate. In the paper's words γ is the term's weight.
//!
//! Reference: Burgess et al., *Understanding disentangling in β-VAE* (arXiv 1804.03599), equation 8.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::member::{Context, Life, Named, Progress, Settings};
use crate::weights::Init;

/// How much, and how fast.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapacitySettings {
    /// C in the end, in nats.
    pub capacity: f64,
    /// The share of the run over which it goes up from 0; 0 for the final one from the start.
    pub rise: f64,
}

impl Default for CapacitySettings {
    fn default() -> Self {
        Self { capacity: 25.0, rise: 1.0 / 3.0 }
    }
}

struct Capacity {
    settings: CapacitySettings,
}

impl Named for CapacitySettings {
    const KIND: &'static str = "capacity";
    const ABOUT: &'static str = "|KL(q(z|x) ‖ p(z)) − C|, a rate that goes up with a capacity";
}

impl Settings<dyn Term> for CapacitySettings {
    fn formula(&self) -> Option<String> {
        Some(format!("|KL(q(z|x) ‖ p(z)) − C|, C from 0 to {}", self.capacity))
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if !(self.capacity.is_finite() && self.capacity >= 0.0) {
            let what = format!("{} nats", self.capacity);
            return Err(ConfigError::value("capacity", what, "give a number from 0"));
        }
        if !(0.0..=1.0).contains(&self.rise) {
            let what = format!("{} is not a share of the run", self.rise);
            return Err(ConfigError::value("rise", what, "give 0 to 1"));
        }
        if !context.has_density {
            return Err(ConfigError::combination(
                "a point posterior has an infinite rate, which no capacity holds",
                "use posterior.kind = \"diagonal-normal\"",
            ));
        }
        let Some(term) = context.term() else { return Ok(()) };
        term.own_penalty = true;
        let name = term.name.clone();
        context.couple(format!("the term `{name}` couples the rows of a batch"), "");
        Ok(())
    }

    fn init(&self, _: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Capacity { settings: self.clone() }))
    }
}

impl Capacity {
    /// The share of the capacity that is open, in [0, 1].
    fn share(&self, at: Progress) -> f64 {
        let length = self.settings.rise * at.total as f64;
        if length > 0.0 { (at.step as f64 / length).min(1.0) } else { 1.0 }
    }
}

impl Term for Capacity {
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let rate = pass.rate()?.total.clone();
        let capacity = self.settings.capacity * pass.progress.map_or(1.0, |at| self.share(at));
        let penalty = (pass.batch.mean(rate.clone()) - capacity).abs();
        Some(Value { log: rate, penalty: Some(penalty) })
    }

    fn settled(&self, progress: Progress) -> bool {
        self.share(progress) >= 1.0
    }
}

impl Life for Capacity {}
