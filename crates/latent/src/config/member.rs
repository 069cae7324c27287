//! Registries: the members of an axis by name.
//!
//! A member is its settings: a serde struct that rejects unknown keys, knows its defaults and builds the
//! member. Registering one is one line; a user's own type enters through the same line.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::Table;

use super::error::{ConfigError, nearest};

/// The members of one axis, plain ones first. `S` is the trait that the axis's settings share.
pub struct Axis<S: ?Sized> {
    name: &'static str,
    members: Vec<Member<S>>,
}

/// One member of an axis.
pub struct Member<S: ?Sized> {
    kind: &'static str,
    about: &'static str,
    parse: Box<Parse<S>>,
}

type Parse<S> = dyn Fn(&Table, &str) -> Result<(Box<S>, Table), ConfigError> + Send + Sync;

impl<S: ?Sized + 'static> Axis<S> {
    /// An axis without members.
    pub fn new(name: &'static str) -> Self {
        Self { name, members: Vec::new() }
    }

    /// Adds a member. `erase` is `|settings| Box::new(settings)`.
    #[must_use]
    pub fn with<T: Serialize + DeserializeOwned + 'static>(
        mut self,
        kind: &'static str,
        about: &'static str,
        erase: fn(T) -> Box<S>,
    ) -> Self {
        let parse = move |table: &Table, path: &str| {
            let settings: T = parse_table(table, path)?;
            let mut resolved = Table::new();
            resolved.insert("kind".into(), kind.into());
            resolved.extend(table_of(&settings, path)?);
            Ok((erase(settings), resolved))
        };
        self.members.push(Member { kind, about, parse: Box::new(parse) });
        self
    }

    /// The settings in `table`, whose key `kind` names the member, and the table with every default filled in.
    /// `path` is where the table stands, for messages.
    pub fn resolve(&self, table: &Table, path: &str) -> Result<(Box<S>, Table), ConfigError> {
        let mut table = table.clone();
        let kind = match table.remove("kind") {
            Some(toml::Value::String(kind)) => kind,
            Some(other) => {
                return Err(ConfigError::Value {
                    key: format!("{path}.kind"),
                    what: format!("{other} is not a name"),
                    remedy: format!("use one of {}", self.known()),
                });
            }
            None => {
                return Err(ConfigError::Value {
                    key: format!("{path}.kind"),
                    what: "missing".into(),
                    remedy: format!("use one of {}", self.known()),
                });
            }
        };
        let Some(member) = self.members.iter().find(|member| member.kind == kind) else {
            return Err(ConfigError::UnknownMember {
                axis: self.name.into(),
                nearest: nearest(&kind, self.kinds()),
                name: kind,
                known: self.known(),
            });
        };
        (member.parse)(&table, path)
    }

    /// The names of the members and a line about each.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.members.iter().map(|member| (member.kind, member.about))
    }

    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.members.iter().map(|member| member.kind)
    }

    fn known(&self) -> String {
        self.kinds().collect::<Vec<_>>().join(", ")
    }
}

/// Reads a table into a settings struct; an unknown key is an error that names the nearest.
pub fn parse_table<T: DeserializeOwned>(table: &Table, path: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(toml::Value::Table(table.clone())).map_err(|error| {
        let inner = error.path().to_string();
        let message = error.inner().to_string();
        // The first line says what, the next ones where, which the path says already.
        let message = message.lines().next().unwrap_or_default().trim();
        let key = match (path, inner.as_str()) {
            ("", inner) => inner.to_string(),
            (path, ".") => path.to_string(),
            (path, inner) => format!("{path}.{inner}"),
        };
        // serde says: unknown field `a`, expected one of `b`, `c`
        if let Some(rest) = message.strip_prefix("unknown field `") {
            let mut quoted = rest.split('`').step_by(2);
            let name = quoted.next().unwrap_or_default().to_string();
            let full = if key.ends_with(&name) { key } else { format!("{key}.{name}") };
            let before = full.strip_suffix(&name).unwrap_or_default();
            let nearest = nearest(&name, quoted).map(|nearest| format!("{before}{nearest}"));
            ConfigError::UnknownKey { key: full, nearest }
        } else {
            ConfigError::Value {
                key,
                what: message.to_string(),
                remedy: "a value of that kind stands in the run.toml of any run".into(),
            }
        }
    })
}

/// The table that a settings struct becomes.
pub fn table_of<T: Serialize>(settings: &T, path: &str) -> Result<Table, ConfigError> {
    Table::try_from(settings)
        .map_err(|error| ConfigError::Unwritable { key: path.into(), what: error.to_string() })
}
