//! Merging the sources of a configuration.

use std::path::Path;

use toml::{Table, Value};

use super::{ConfigError, nearest, parse_table, preset};
use crate::data::DataSettings;

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
    /// Lays a preset over what is there.
    pub fn preset(&mut self, name: &str) -> Result<(), ConfigError> {
        let preset = preset(name)?;
        merge(&mut self.table, &preset.table()?);
        self.table.insert("preset".into(), preset.name.into());
        Ok(())
    }

    /// Lays a TOML file over what is there. A `preset` key in it is laid under the file's own keys.
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
    pub fn data(&self) -> Result<DataSettings, ConfigError> {
        match self.table.get("data") {
            Some(Value::Table(table)) => parse_table(table, "data"),
            _ => Ok(DataSettings::default()),
        }
    }

    /// The seed, 1 unless asked otherwise.
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

    fn explicit(&mut self, table: &Table) {
        merge(&mut self.table, table);
        merge(&mut self.explicit, table);
    }
}

/// Lays `over` on `under`, table by table. Another `kind` drops the keys of the old one.
pub(crate) fn merge(under: &mut Table, over: &Table) {
    if let (Some(old), Some(new)) = (under.get("kind"), over.get("kind"))
        && old != new
    {
        under.retain(|key, _| matches!(key, "weight" | "schedule" | "latent"));
    }
    for (key, value) in over {
        match (under.get_mut(key), value) {
            (Some(Value::Table(old)), Value::Table(new)) => merge(old, new),
            _ => {
                under.insert(key.clone(), value.clone());
            }
        }
    }
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
