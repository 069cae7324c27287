//! TOML and flags to one resolved, checked [`Run`].
//!
//! Layers are merged key by key, later over earlier: what the data asks for, a preset, a file, `--set`. Where a
//! layer names another `kind`, the keys of the old kind go. Each member then reads its own table, fills in its
//! defaults and refuses what it doesn't know.

mod error;
mod layers;
mod member;
mod presets;
mod registry;
mod resolve;

use serde::{Deserialize, Serialize};
use toml::Table;

pub use error::{ConfigError, nearest};
pub use layers::Layers;
pub(crate) use layers::merge;
pub use member::{Axis, parse_table, table_of};
pub use presets::{Preset, preset, presets};
pub use registry::Registry;
pub use resolve::resolve;

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
    /// What all noise descends from.
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

    /// The text of `run.toml`.
    pub fn to_toml(&self) -> Result<String, ConfigError> {
        toml::to_string(self)
            .map_err(|error| ConfigError::Unwritable { key: "run".into(), what: error.to_string() })
    }

    /// Reads `run.toml`; refuses formats newer than this program's.
    pub fn from_toml(text: &str, path: &std::path::Path) -> Result<Self, ConfigError> {
        let syntax = |message: String| ConfigError::Syntax { path: path.into(), message };
        let table: Table = text.parse().map_err(|error: toml::de::Error| syntax(error.to_string()))?;
        match table.get("format").and_then(toml::Value::as_integer) {
            Some(format) if format > i64::from(FORMAT) => Err(syntax(format!(
                "written by a newer version ({}; format {format}, this program reads up to {FORMAT}); \
                 install that version to use it",
                table.get("program").and_then(toml::Value::as_str).unwrap_or("unknown")
            ))),
            Some(_) => parse_table(&table, ""),
            None => Err(syntax("not a run of latent: the key `format` is missing".into())),
        }
    }
}
