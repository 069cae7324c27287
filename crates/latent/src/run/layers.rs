//! Merging the sources of a configuration.

use std::path::Path;

use toml::{Table, Value};

use super::preset;
use crate::config::{ConfigError, merge, nearest, parse_table, table_of};
use crate::data::DataSettings;
use crate::member::Member;
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::model::prior::PriorSettings;
use crate::network::NetworkSettings;
use crate::objective::{CommonSettings, EstimatorSettings, TermSettings};
use crate::train::TrainSettings;

/// The tables that a run may have at its top.
const SECTIONS: [&str; 12] = [
    "preset",
    "paper",
    "about",
    "seed",
    "data",
    "likelihood",
    "posterior",
    "prior",
    "network",
    "encoder",
    "decoder",
    "objective",
];

/// A configuration under way: each layer laid over the ones before.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// What is asked for so far.
    pub table: Table,
    /// What the user, not a preset, asked for: kept even where it doesn't fit the data.
    pub explicit: Table,
}

impl Layers {
    /// The layers that begin with a preset.
    ///
    /// # Errors
    /// As [`Layers::preset`].
    pub fn from_preset(name: &str) -> Result<Self, ConfigError> {
        let mut layers = Self::default();
        layers.preset(name)?;
        Ok(layers)
    }

    /// Lays a preset over what is there.
    ///
    /// # Errors
    /// [`ConfigError::UnknownMember`], which names the nearest.
    pub fn preset(&mut self, name: &str) -> Result<(), ConfigError> {
        let preset = preset(name)?;
        merge(&mut self.table, &preset.table()?);
        self.table.insert("preset".into(), preset.name.into());
        Ok(())
    }

    /// Lays a TOML file over what is there. A `preset` key in it is laid under the file's own keys.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; an unknown section or preset.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.into(),
            message: error.to_string(),
        })?;
        // A run.toml is a configuration too: what was resolved from its data is resolved anew.
        for derived in ["format", "program", "facts"] {
            table.remove(derived);
        }
        check_sections(&table)?;
        if let Some(Value::String(name)) = table.get("preset").cloned() {
            self.preset(&name)?;
        }
        self.explicit(&table);
        Ok(())
    }

    /// Lays `key=value` over what is there; the value is TOML, or else a string.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for what is no assignment, [`ConfigError::UnknownKey`] for an unknown section.
    pub fn set(&mut self, assignment: &str) -> Result<(), ConfigError> {
        let Some((key, value)) = assignment.split_once('=') else {
            return Err(ConfigError::Value {
                key: assignment.into(),
                what: "no `=` in it".into(),
                remedy: "write --set key=value, such as --set train.epochs=20".into(),
            });
        };
        let (key, value) = (key.trim(), value.trim());
        let value = format!("v = {value}")
            .parse::<Table>()
            .ok()
            .and_then(|mut table| table.remove("v"))
            .unwrap_or_else(|| Value::String(value.into()));
        let mut parts: Vec<&str> = key.split('.').collect();
        let last = parts.pop().unwrap_or_default();
        // No key lies deeper than `objective.terms.NAME.schedule.kind`.
        if last.is_empty() || parts.len() > 8 || parts.iter().any(|part| part.is_empty()) {
            return Err(ConfigError::Value {
                key: key.into(),
                what: "not a key".into(),
                remedy: "write --set key=value, such as --set train.epochs=20".into(),
            });
        }
        let mut table = Table::new();
        table.insert(last.into(), value);
        for part in parts.into_iter().rev() {
            let inner = std::mem::take(&mut table);
            table.insert(part.into(), inner.into());
        }
        check_sections(&table)?;
        self.explicit(&table);
        Ok(())
    }

    /// The `[data]` settings.
    ///
    /// # Errors
    /// Unknown keys and values that cannot be.
    pub fn data(&self) -> Result<DataSettings, ConfigError> {
        match self.table.get("data") {
            Some(Value::Table(table)) => parse_table(table, "data"),
            _ => Ok(DataSettings::default()),
        }
    }

    /// The seed, 1 unless asked otherwise.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for what is no whole number from 0.
    pub fn seed(&self) -> Result<u64, ConfigError> {
        match self.table.get("seed") {
            None => Ok(1),
            Some(Value::Integer(seed)) if *seed >= 0 => Ok(*seed as u64),
            Some(other) => Err(ConfigError::Value {
                key: "seed".into(),
                what: format!("{other} is not a seed"),
                remedy: "give a whole number from 0".into(),
            }),
        }
    }

    /// Lays `[data]` settings over what is there, from Rust.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`], as all of these, for settings that are no TOML.
    pub fn with_data(self, settings: &DataSettings) -> Result<Self, ConfigError> {
        Ok(self.section("data", table_of(settings, "data")?))
    }

    /// Lays a likelihood over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_likelihood(self, settings: &impl Member<LikelihoodSettings>) -> Result<Self, ConfigError> {
        Ok(self.section("likelihood", member(settings, "likelihood")?))
    }

    /// Lays a posterior over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_posterior(self, settings: &impl Member<PosteriorSettings>) -> Result<Self, ConfigError> {
        Ok(self.section("posterior", member(settings, "posterior")?))
    }

    /// Lays a prior over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_prior(self, settings: &impl Member<PriorSettings>) -> Result<Self, ConfigError> {
        Ok(self.section("prior", member(settings, "prior")?))
    }

    /// Lays an architecture, for encoder and decoder, over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_network(self, settings: &impl Member<NetworkSettings>) -> Result<Self, ConfigError> {
        Ok(self.section("network", member(settings, "network")?))
    }

    /// Lays an estimator over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_estimator(self, settings: &impl Member<EstimatorSettings>) -> Result<Self, ConfigError> {
        let estimator = member(settings, "objective.estimator")?;
        Ok(self.section("objective", Table::from_iter([("estimator".into(), estimator.into())])))
    }

    /// Adds a term called `name`, or replaces it, from Rust. Terms of which one is called `distortion` are a whole
    /// objective; others are added to what the preset or the data asks for.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_term(
        self,
        name: &str,
        settings: &impl Member<TermSettings>,
        common: &CommonSettings,
    ) -> Result<Self, ConfigError> {
        let mut term = member(settings, name)?;
        term.extend(table_of(common, name)?);
        let terms = Table::from_iter([(name.to_string(), term.into())]);
        Ok(self.section("objective", Table::from_iter([("terms".into(), terms.into())])))
    }

    /// Lays `[train]` settings over what is there, from Rust.
    ///
    /// # Errors
    /// As [`Layers::with_data`].
    pub fn with_train(self, settings: &TrainSettings) -> Result<Self, ConfigError> {
        Ok(self.section("train", table_of(settings, "train")?))
    }

    fn section(mut self, name: &str, table: Table) -> Self {
        self.explicit(&Table::from_iter([(name.to_string(), table.into())]));
        self
    }

    fn explicit(&mut self, table: &Table) {
        merge(&mut self.table, table);
        merge(&mut self.explicit, table);
    }
}

/// The table of a member, with its kind.
fn member<S: ?Sized, T: Member<S>>(settings: &T, path: &str) -> Result<Table, ConfigError> {
    let mut table = table_of(settings, path)?;
    table.insert("kind".into(), T::KIND.into());
    Ok(table)
}

fn check_sections(table: &Table) -> Result<(), ConfigError> {
    for key in table.keys() {
        if key != "train" && !SECTIONS.contains(&key.as_str()) {
            return Err(ConfigError::UnknownKey {
                key: key.clone(),
                nearest: nearest(key, SECTIONS.into_iter().chain(["train"])),
            });
        }
    }
    Ok(())
}
