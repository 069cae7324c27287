//! Merging the sources of a configuration.

use std::path::Path;

use toml::{Table, Value};

use super::hint::explain;
use super::seed::seed_of;
use super::{Purpose, older, preset};
use crate::config::{ConfigError, likeness, merge, nearest, parse_table, table_of};
use crate::data::{DataSettings, Flip};
use crate::member::{Member, Registry};
use crate::model::likelihood::LikelihoodSettings;
use crate::model::posterior::PosteriorSettings;
use crate::model::prior::PriorSettings;
use crate::network::NetworkSettings;
use crate::objective::{CommonSettings, EstimatorSettings, TermSettings};
use crate::train::TrainSettings;

/// The tables that a run may have at its top.
const SECTIONS: [&str; 15] = [
    "preset",
    "purpose",
    "paper",
    "about",
    "group",
    "seed",
    "data",
    "likelihood",
    "posterior",
    "prior",
    "network",
    "encoder",
    "decoder",
    "objective",
    "train",
];

/// Where all noise starts unless asked otherwise.
pub(super) const SEED: u64 = 1;

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
    /// [`ConfigError::UnknownMember`], which names the nearest; [`ConfigError::Combination`] where there is another already.
    pub fn preset(&mut self, name: &str) -> Result<(), ConfigError> {
        let preset = preset(name)?;
        if let Some(other) = self.table.get("preset").and_then(Value::as_str).filter(|other| *other != name) {
            return Err(ConfigError::combination(
                format!("the presets `{other}` and `{name}` are both asked for, and a run starts from one"),
                "leave one out, in the file or on the command line",
            ));
        }
        merge(&mut self.table, &preset.table()?);
        self.table.insert("preset".into(), preset.name.into());
        Ok(())
    }

    /// Lays a TOML file over what is there. A `preset` key in it is laid under the file's own keys. A `run.toml` holds every
    /// setting already: it stands alone, and its preset is a name.
    ///
    /// # Errors
    /// A file that cannot be read or is no TOML; an unknown section or preset; another preset before a `run.toml`.
    pub fn file(&mut self, path: &Path) -> Result<(), ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Io { path: path.into(), source })?;
        let mut table: Table = text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: path.into(),
            message: error.to_string(),
        })?;
        // A run.toml is a configuration too: what was resolved from its data is resolved anew.
        let is_resolved = table.contains_key("format");
        if is_resolved {
            older::as_configuration(&mut table);
        }
        for derived in ["format", "program", "facts"] {
            table.remove(derived);
        }
        check_sections(&table)?;
        let named = match table.get("preset") {
            None => None,
            Some(Value::String(name)) => Some(name.clone()),
            Some(other) => {
                let what = format!("{other} is not the name of a preset");
                return Err(ConfigError::value("preset", what, "`latent presets` lists them"));
            }
        };
        match named {
            Some(name) if !is_resolved => self.preset(&name)?,
            name if is_resolved => self.stands_alone(path, name)?,
            _ => {}
        }
        self.explicit(&table);
        Ok(())
    }

    /// Forgets the preset under a `run.toml`, which it can add nothing to; another one would be a claim without effect.
    fn stands_alone(&mut self, path: &Path, named: Option<String>) -> Result<(), ConfigError> {
        if let Some(asked) = self.table.get("preset").and_then(Value::as_str)
            && named.as_deref() != Some(asked)
        {
            return Err(ConfigError::combination(
                format!(
                    "{} holds every setting of its run, so the preset `{asked}` would change nothing",
                    path.display()
                ),
                "leave the preset out, or the file",
            ));
        }
        self.table = self.explicit.clone();
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
        if let "preset" | "paper" | "about" | "group" = key {
            return Err(match key {
                "preset" => ConfigError::value(
                    key,
                    format!(
                        "a preset is laid under the settings, and {value} as one of them would change nothing"
                    ),
                    format!("write --preset {value}, or preset = \"{value}\" in the file of --config"),
                ),
                _ => ConfigError::value(
                    key,
                    "it says something about a file of settings, and sets nothing",
                    "leave it out",
                ),
            });
        }
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

    /// The `[data]` settings; data that is given no seed has [`DataSettings::SEED`], and images that a run for samples learns from
    /// are mirrored where they look the same in a mirror ([`Flip::Auto`]).
    ///
    /// # Errors
    /// Unknown keys and values that cannot be.
    pub fn data(&self) -> Result<DataSettings, ConfigError> {
        let settings: DataSettings = match self.table.get("data") {
            Some(Value::Table(table)) => {
                parse_table(table, "data").map_err(|error| explain(error, &Registry::default()))?
            }
            Some(other) => return Err(no_table("data", other)),
            None => DataSettings::default(),
        };
        let asked = self.table.get("data").is_some_and(|data| data.get("flip").is_some());
        let flip = if asked || !self.may_be_for_samples()? { settings.flip } else { Flip::Auto };
        Ok(DataSettings { seed: settings.seed.or(Some(DataSettings::SEED)), flip, ..settings })
    }

    /// Whether the run is for samples, which images say of themselves where nothing else does.
    fn may_be_for_samples(&self) -> Result<bool, ConfigError> {
        Ok(match self.purpose()? {
            Some(purpose) => purpose == Purpose::Samples,
            None => !self.table.contains_key("preset") && !self.choose_model(),
        })
    }

    /// The seed, 1 unless asked otherwise.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for what is no whole number from 0.
    pub fn seed(&self) -> Result<u64, ConfigError> {
        let Some(value) = self.table.get("seed") else { return Ok(SEED) };
        seed_of(value).ok_or_else(|| ConfigError::Value {
            key: "seed".into(),
            what: format!("{value} is not a seed"),
            remedy: format!("give a whole number from 0 to {}", u64::MAX),
        })
    }

    /// What the run is for, where that was said.
    ///
    /// # Errors
    /// [`ConfigError::Value`] for what is no purpose.
    pub fn purpose(&self) -> Result<Option<Purpose>, ConfigError> {
        let Some(value) = self.table.get("purpose") else { return Ok(None) };
        match value.as_str().and_then(Purpose::named) {
            Some(purpose) => Ok(Some(purpose)),
            None => Err(ConfigError::value(
                "purpose",
                format!("{value} is nothing that a run can be for"),
                format!("give {}", Purpose::ALL.map(Purpose::name).join(", ")),
            )),
        }
    }

    /// Whether anything of the model or of what it minimises was chosen.
    pub(super) fn choose_model(&self) -> bool {
        let parts = ["likelihood", "posterior", "prior", "network", "encoder", "decoder", "objective"];
        parts.iter().any(|part| self.table.contains_key(*part))
    }

    /// Whether it was said how long training lasts in steps or epochs.
    pub(super) fn count_steps(&self) -> bool {
        let has = |key: &str| self.table.get("train").is_some_and(|train| train.get(key).is_some());
        has("steps") || has("epochs")
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
        // `network` is short for both parts: it goes over what was said of either before.
        if let Some(Value::Table(network)) = table.get("network") {
            for own in [&mut self.table, &mut self.explicit] {
                for part in ["encoder", "decoder"] {
                    if let Some(Value::Table(part)) = own.get_mut(part) {
                        merge(part, network);
                    }
                }
            }
        }
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

/// The refusal of what should be a table of settings.
pub(super) fn no_table(name: &str, found: &Value) -> ConfigError {
    let remedy = match (name, found) {
        ("data", Value::String(source)) => format!("write data.source = {source:?}"),
        ("train" | "objective", _) | (_, Value::Integer(_) | Value::Float(_)) => {
            format!("write [{name}] and its keys below")
        }
        (_, found) => format!("write {name}.kind = {found}"),
    };
    ConfigError::value(
        name,
        format!("{found} is not a table"),
        format!("{remedy}; `latent settings {name}` lists its keys"),
    )
}

fn check_sections(table: &Table) -> Result<(), ConfigError> {
    let Some((key, value)) = table.iter().find(|(key, _)| !SECTIONS.contains(&key.as_str())) else {
        return Ok(());
    };
    let section = nearest(key, SECTIONS);
    if section.as_ref().is_some_and(|section| likeness(key, section) > 0.9) {
        return Err(ConfigError::UnknownKey { key: key.clone(), nearest: section });
    }
    // Not the section is misspelt: the key is looked for.
    let (mut key, mut value) = (key.clone(), value);
    while let Some((inner, next)) = value.as_table().and_then(|table| table.iter().next()) {
        key = format!("{key}.{inner}");
        value = next;
    }
    Err(explain(ConfigError::UnknownKey { key, nearest: section }, &Registry::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_are_those_of_the_schema() {
        let sections = crate::run::sections(&Registry::default());
        let above = sections[0].settings.iter().map(|setting| setting.key.as_str());
        let tables = sections[1..].iter().filter(|s| s.is_of_run()).filter_map(|s| s.name.split('.').next());
        let mut all: Vec<&str> = above.chain(tables).collect();
        all.sort_unstable();
        all.dedup();
        let mut known = SECTIONS.to_vec();
        known.sort_unstable();
        assert_eq!(all, known);
    }
}
