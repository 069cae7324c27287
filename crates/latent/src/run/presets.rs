//! Papers as presets: TOML files of some ten lines that pick members and say which paper they follow.

use toml::Table;

use crate::config::{ConfigError, nearest, take_table};
use crate::member::Registry;
use crate::objective::ObjectiveSettings;

/// One paper.
#[derive(Clone, Copy, Debug)]
pub struct Preset {
    /// The name on the command line.
    pub name: &'static str,
    /// The TOML text.
    pub text: &'static str,
}

/// What a preset is about, as its key `group` says it: in the order in which they are listed, each with its title.
pub const GROUPS: [(&str, &str); 10] = [
    ("plain", "Where it starts"),
    ("likelihood", "Other densities around g(z)"),
    ("disentangling", "Codes whose dimensions come apart"),
    ("bound", "Tighter bounds"),
    ("matching", "The cloud of all codes is pulled to the prior"),
    ("regularised", "Codes without noise, a smooth decoder, and a sampler fitted afterwards"),
    ("posterior", "Richer posteriors"),
    ("prior", "Richer priors"),
    ("discrete", "Codes of few values"),
    ("data", "For a kind of data"),
];

/// The presets that ship: every file of `presets/`, by name.
pub fn presets() -> &'static [Preset] {
    include!(concat!(env!("OUT_DIR"), "/presets.rs"))
}

/// The preset of that name.
///
/// # Errors
/// [`ConfigError::UnknownMember`], which names the nearest.
pub fn preset(name: &str) -> Result<&'static Preset, ConfigError> {
    presets().iter().find(|preset| preset.name == name).ok_or_else(|| ConfigError::UnknownMember {
        axis: "preset".into(),
        name: name.into(),
        nearest: nearest(name, presets().iter().map(|p| p.name)),
        known: presets().iter().map(|p| p.name).collect::<Vec<_>>().join(", "),
    })
}

impl Preset {
    /// Its table.
    ///
    /// # Errors
    /// [`ConfigError::Syntax`], which is our fault.
    pub fn table(&self) -> Result<Table, ConfigError> {
        self.text.parse().map_err(|error: toml::de::Error| ConfigError::Syntax {
            path: format!("presets/{}.toml", self.name).into(),
            message: error.to_string(),
        })
    }

    /// The line that says what it is.
    pub fn about(&self) -> String {
        self.line("about")
    }

    /// The paper.
    pub fn paper(&self) -> String {
        self.line("paper")
    }

    /// The key of its group among [`GROUPS`].
    pub fn group(&self) -> String {
        self.line("group")
    }

    /// What it minimises, as a line of mathematics.
    ///
    /// # Errors
    /// What is wrong with its objective, which is our fault.
    pub fn formula(&self) -> Result<String, ConfigError> {
        let mut table = self.table()?;
        let objective = take_table(&mut table, "objective", "objective")?;
        Ok(ObjectiveSettings::resolve(&objective, &Registry::default())?.0.formula())
    }

    fn line(&self, key: &str) -> String {
        self.table().ok().and_then(|t| t.get(key)?.as_str().map(String::from)).unwrap_or_default()
    }
}
