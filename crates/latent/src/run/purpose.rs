//! What a run is for, which says what the data asks for where nothing else is chosen.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a model is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// New rows like the data's: detailed codes, and a sampler that learns where they lie.
    Samples,
    /// Few numbers that say what a row is.
    Codes,
    /// log P(x) of rows, as high as it gets.
    Likelihood,
    /// Rows that are unlike the others.
    Anomalies,
}

impl Purpose {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Samples, Self::Codes, Self::Likelihood, Self::Anomalies];

    /// The word in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Samples => "samples",
            Self::Codes => "codes",
            Self::Likelihood => "likelihood",
            Self::Anomalies => "anomalies",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// The share of a run's minutes that goes to the model; the rest is the sampler's, which has more to learn where codes have a
    /// place.
    pub fn share_of_model(self, has_maps: bool) -> f64 {
        match self {
            Self::Samples if has_maps => 0.4,
            Self::Samples => 0.55,
            Self::Codes | Self::Likelihood | Self::Anomalies => 1.0,
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
