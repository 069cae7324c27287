//! Axes: the members that a name in a configuration may stand for.
//!
//! A member is its settings: a serde struct that rejects unknown keys, knows its defaults and builds the
//! member. Registering one is one line; a user's own type enters through the same line.

use std::any::{Any, TypeId, type_name};
use std::borrow::Cow;
use std::collections::HashMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::Settings;
use crate::config::{AXIS, ConfigError, Setting, nearest, parse_table, settings_of, table_of};

/// Settings with a name. Their doc comments are what `latent settings` says of the keys.
pub trait Named: JsonSchema + Serialize + DeserializeOwned + Send + Sync + 'static {
    /// What `kind` is in a configuration.
    const KIND: &'static str;

    /// A line about it.
    const ABOUT: &'static str;

    /// Reads the members inside, such as the base of a flow: [`Nested::read`] for each.
    ///
    /// # Errors
    /// What is wrong with the inner tables.
    fn nest(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        let _ = (registry, path);
        Ok(())
    }
}

/// Named settings that enter the axis of `S`.
pub trait Member<S: ?Sized>: Named {
    /// Forgets the type.
    fn boxed(self) -> Box<S>;
}

impl<M: ?Sized + 'static, T: Settings<M> + Named> Member<dyn Settings<M>> for T {
    fn boxed(self) -> Box<dyn Settings<M>> {
        Box::new(self)
    }
}

/// The members of one axis, plain ones first. `S` is what their settings are, such as `dyn Settings<dyn Prior>`.
pub struct Axis<S: ?Sized> {
    name: &'static str,
    default: Option<&'static str>,
    entries: Vec<Entry<S>>,
}

struct Entry<S: ?Sized> {
    kind: &'static str,
    about: &'static str,
    parse: Box<Parse<S>>,
    settings: fn(&Table) -> Vec<Setting>,
}

/// A member of an axis, as a listing shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Described {
    /// What `kind` is in a configuration.
    pub kind: &'static str,
    /// A line about it.
    pub about: &'static str,
    /// Its keys beside `kind`.
    pub settings: Vec<Setting>,
}

type Parse<S> = dyn Fn(&Table, &str, &Registry) -> Result<(Box<S>, Table), ConfigError> + Send + Sync;

impl<S: ?Sized + 'static> Axis<S> {
    /// An axis without members.
    pub fn new(name: &'static str) -> Self {
        Self { name, default: None, entries: Vec::new() }
    }

    /// What a table without `kind` stands for.
    #[must_use]
    pub fn or(mut self, kind: &'static str) -> Self {
        self.default = Some(kind);
        self
    }

    /// Adds a member.
    #[must_use]
    pub fn with<T: Member<S>>(mut self) -> Self {
        let parse = |table: &Table, path: &str, registry: &Registry| {
            let mut settings: T = parse_table(table, path)?;
            settings.nest(registry, path)?;
            let mut resolved = Table::new();
            resolved.insert("kind".into(), T::KIND.into());
            resolved.extend(table_of(&settings, path)?);
            Ok((settings.boxed(), resolved))
        };
        self.entries.push(Entry {
            kind: T::KIND,
            about: T::ABOUT,
            parse: Box::new(parse),
            settings: settings_of::<T>,
        });
        self
    }

    /// The settings in `table`, whose key `kind` names the member, and the table with every default filled in.
    /// `path` is where the table stands, for messages.
    ///
    /// # Errors
    /// [`ConfigError::UnknownMember`], or what is wrong with a key.
    pub fn resolve(
        &self,
        table: &Table,
        path: &str,
        registry: &Registry,
    ) -> Result<(Box<S>, Table), ConfigError> {
        let mut table = table.clone();
        let wrong = |what: String| {
            ConfigError::value("kind", what, format!("use one of {}", self.known())).within(path)
        };
        let kind = match (table.remove("kind"), self.default) {
            (Some(Value::String(kind)), _) => kind,
            (Some(other), _) => return Err(wrong(format!("{other} is not a name"))),
            (None, Some(kind)) => kind.into(),
            (None, None) => return Err(wrong("missing".into())),
        };
        let Some(entry) = self.entries.iter().find(|entry| entry.kind == kind) else {
            return Err(ConfigError::UnknownMember {
                axis: self.name.into(),
                nearest: nearest(&kind, self.kinds()),
                name: kind,
                known: self.known(),
            });
        };
        (entry.parse)(&table, path, registry)
    }

    /// Whether the member `kind` has a setting `key`.
    pub fn knows(&self, kind: &str, key: &str, registry: &Registry) -> bool {
        let entry = self.entries.iter().find(|entry| entry.kind == kind);
        let filled = entry.and_then(|entry| (entry.parse)(&Table::new(), "", registry).ok());
        filled.is_some_and(|(_, table)| table.contains_key(key))
    }

    /// What a table without `kind` stands for, if for anything.
    pub fn default_kind(&self) -> Option<&'static str> {
        self.default
    }

    /// The members with their keys.
    pub fn described(&self, registry: &Registry) -> Vec<Described> {
        let described = |entry: &Entry<S>| {
            let filled = (entry.parse)(&Table::new(), "", registry);
            let defaults = filled.map(|(_, table)| table).unwrap_or_default();
            let settings = (entry.settings)(&defaults);
            Described { kind: entry.kind, about: entry.about, settings }
        };
        self.entries.iter().map(described).collect()
    }

    /// The names of the members and a line about each.
    pub fn list(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.entries.iter().map(|entry| (entry.kind, entry.about))
    }

    fn kinds(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|entry| entry.kind)
    }

    fn known(&self) -> String {
        self.kinds().collect::<Vec<_>>().join(", ")
    }
}

/// The axes, each by what its settings are. [`Registry::default`] has the members that ship.
pub struct Registry {
    axes: HashMap<TypeId, Box<dyn Any + Send + Sync>>,
}

impl Registry {
    /// No axis.
    pub fn empty() -> Self {
        Self { axes: HashMap::new() }
    }

    /// Adds an axis, or replaces it.
    #[must_use]
    pub fn axis<S: ?Sized + 'static>(mut self, axis: Axis<S>) -> Self {
        self.axes.insert(TypeId::of::<S>(), Box::new(axis));
        self
    }

    /// Adds a member to the axis of `S`: `registry.with::<dyn Settings<dyn Term>, LengthSettings>()`.
    #[must_use]
    pub fn with<S: ?Sized + 'static, T: Member<S>>(mut self) -> Self {
        let axis = self.axes.remove(&TypeId::of::<S>()).and_then(|axis| axis.downcast::<Axis<S>>().ok());
        let axis = axis.map_or_else(|| Axis::new("member"), |axis| *axis);
        self.axis(axis.with::<T>())
    }

    /// The members whose settings are `S`, if there is such an axis.
    pub fn members<S: ?Sized + 'static>(&self) -> Option<&Axis<S>> {
        self.axes.get(&TypeId::of::<S>())?.downcast_ref()
    }

    /// The settings in `table` and the table with every default filled in: [`Axis::resolve`] on the axis of `S`.
    ///
    /// # Errors
    /// As [`Axis::resolve`].
    pub fn resolve<S: ?Sized + 'static>(
        &self,
        table: &Table,
        path: &str,
    ) -> Result<(Box<S>, Table), ConfigError> {
        match self.members::<S>() {
            Some(axis) => axis.resolve(table, path, self),
            None => Err(ConfigError::value(
                "kind",
                "this registry has no such axis",
                "start from Registry::default()",
            )
            .within(path)),
        }
    }
}

/// A member inside a member's settings, such as the base of a flow: a table with a `kind` of its own.
pub struct Nested<S: ?Sized> {
    table: Table,
    settings: Option<Box<S>>,
}

impl<S: ?Sized + 'static> Nested<S> {
    /// Settings from Rust.
    pub fn new<T: Member<S>>(settings: T) -> Self {
        // Settings are plain structs: what could not be written is refused where the run is.
        let mut table = table_of(&settings, "").unwrap_or_default();
        table.insert("kind".into(), T::KIND.into());
        Self { table, settings: Some(settings.boxed()) }
    }

    /// Reads the table, once: for [`Named::nest`]. `path` is where it stands.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(&mut self, registry: &Registry, path: &str) -> Result<(), ConfigError> {
        let (settings, table) = registry.resolve::<S>(&self.table, path)?;
        (self.settings, self.table) = (Some(settings), table);
        Ok(())
    }

    /// The settings.
    ///
    /// # Errors
    /// [`ConfigError::Value`] where [`Nested::read`] was forgotten.
    pub fn get(&self) -> Result<&S, ConfigError> {
        self.settings.as_deref().ok_or_else(|| {
            ConfigError::value("kind", "the inner member was not read", "call Nested::read in Named::nest")
        })
    }
}

impl<S: ?Sized> Serialize for Nested<S> {
    fn serialize<W: Serializer>(&self, serializer: W) -> Result<W::Ok, W::Error> {
        if !self.table.contains_key("kind") {
            return Err(W::Error::custom("an inner member without a kind"));
        }
        self.table.serialize(serializer)
    }
}

impl<'de, S: ?Sized> Deserialize<'de> for Nested<S> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self { table: Table::deserialize(deserializer)?, settings: None })
    }
}

impl<S: ?Sized + 'static> JsonSchema for Nested<S> {
    fn schema_name() -> Cow<'static, str> {
        "Nested".into()
    }

    fn schema_id() -> Cow<'static, str> {
        type_name::<Self>().into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", AXIS: type_name::<S>() })
    }
}
