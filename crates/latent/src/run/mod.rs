//! A run: everything above the axes. What names stand for, what is asked for, what the data says to it, and the model and
//! the training that follow.
//!
//! ```text
//! Layers (preset, TOML, --set, settings from Rust) ──resolve with Facts, Registry──▶ Checked { Run, parts, objective }
//! Checked ──build──▶ LatentModel, Weights ──Training──▶ model file ──Model::load──▶ Model
//! ```
//!
//! Every table is parsed once, into settings that have checked themselves with the data's facts.
//!
//! ```text
//! here       Run, which is written down and alone reproduces the run
//! registry   what the names of members stand for: those that ship
//! presets    papers;  purpose: what a run is for
//! layers     what is asked for, laid over each other
//! seed       every number of 64 bits in TOML
//! older      what runs of version 0.1 did without a key for it;  splits: whether two runs hold the same rows out
//! resolve    layers and facts → Checked; suggest: what the data itself asks for
//! schema     every key with its default and meaning; hint: what an unknown key was meant to be
//! training   from a configuration to a model, in a run folder or in memory;  refine: its decoder learns on from a sampler's codes
//! file       the model file;  import: files of others, through mappings
//! ```

mod file;
mod hint;
mod import;
mod layers;
mod older;
mod presets;
mod purpose;
mod refine;
mod registry;
mod resolve;
mod schema;
mod seed;
mod splits;
mod suggest;
mod training;

use serde::{Deserialize, Serialize};
use toml::Table;

pub use hint::meant;
pub use import::{Imported, Mapping, mapping, mappings};
pub use layers::Layers;
pub use presets::{GROUPS, Preset, preset, presets};
pub use purpose::Purpose;
pub use refine::{RefineOptions, Refined, WEIGHT as REFINE_WEIGHT, refine};
pub use resolve::{Checked, resolve};
pub use schema::{Found, Section, find, sections};
pub use training::{Options, Training};

use crate::config::{ConfigError, parse_table};
use crate::data::{DataSettings, Facts};
use crate::train::TrainSettings;

/// Everything that determines a run: written to `run.toml` and into the model file; alone it reproduces the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The version of this format.
    pub format: u32,
    /// The version of the program that resolved it.
    pub program: String,
    /// The preset that it started from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The paper that the preset follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<String>,
    /// How its decoder learned on, in a model file whose decoder did.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refined: Option<Refined>,
    /// What it is for, where that says what the data asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// What weights and the noise of training descend from; held-out rows have `data.seed`.
    #[serde(with = "seed")]
    pub seed: u64,
    /// `[data]`
    pub data: DataSettings,
    /// `[likelihood]`, with every default filled in, as the other members' tables.
    pub likelihood: Table,
    /// `[posterior]`
    pub posterior: Table,
    /// `[prior]`
    pub prior: Table,
    /// `[encoder]`
    pub encoder: Table,
    /// `[decoder]`
    pub decoder: Table,
    /// `[objective]`
    pub objective: Table,
    /// `[train]`
    pub train: TrainSettings,
    /// What the data turned out to be.
    pub facts: Facts,
}

/// Of the minutes that a model leaves, where its decoder learns on.
const REFINING: f64 = 0.45;

/// The format that this program writes.
pub const FORMAT: u32 = 1;

impl Run {
    /// The run without the statistics of each feature, which only a fresh model needs and the data gives again.
    #[must_use]
    pub fn without_statistics(&self) -> Self {
        let mut run = self.clone();
        (run.facts.mean, run.facts.variance) = (Vec::new(), Vec::new());
        run
    }

    /// The share of its minutes that goes to the model; the rest is the sampler's.
    pub fn share_of_model(&self) -> f64 {
        let has_maps = self.posterior.get("latent").is_some_and(toml::Value::is_table);
        self.purpose.map_or(1.0, |purpose| purpose.share_of_model(has_maps))
    }

    /// The share of what the model leaves that its decoder has to learn on from the sampler's codes; 0 where it doesn't.
    pub fn share_of_refining(&self) -> f64 {
        let has_maps = self.posterior.get("latent").is_some_and(toml::Value::is_table);
        let is_for_samples = self.purpose == Some(Purpose::Samples);
        if is_for_samples && has_maps && refine::refusal(&self.facts).is_none() { REFINING } else { 0.0 }
    }

    /// The text of `run.toml`.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`], which is our fault.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self)
            .map_err(|error| ConfigError::Unwritable { key: "run".into(), what: error.to_string() })
    }

    /// Reads `run.toml`; refuses formats newer than this program's.
    ///
    /// # Errors
    /// What is no TOML, no run, or of a later version.
    pub fn from_toml(text: &str, path: &std::path::Path) -> Result<Self, ConfigError> {
        let syntax = |message: String| ConfigError::Syntax { path: path.into(), message };
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| syntax(error.to_string()))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format > i64::from(FORMAT) => Err(syntax(format!(
                "written by a newer version ({}; format {format}, this program reads up to {FORMAT}); \
                 install that version to use it",
                table.get("program").and_then(toml::Value::as_str).unwrap_or("unknown")
            ))),
            Some(_) => {
                older::complete(&mut table);
                parse_table(&table, "")
            }
            None => Err(syntax("not a run of latent: the key `format` is missing".into())),
        }
    }
}
