//! Tables of TOML: laid over each other, read into settings, written back.

use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::error::{ConfigError, nearest};

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

/// What is wrong with a key that isn't there and has no default.
pub(crate) const MISSING: &str = "missing";

/// Reads a table into a settings struct; an unknown key is an error that names the nearest.
///
/// # Errors
/// [`ConfigError::UnknownKey`] and [`ConfigError::Value`], with the key as it stands below `path`.
pub fn parse_table<T: DeserializeOwned>(table: &Table, path: &str) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(Value::Table(table.clone())).map_err(|error| {
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
        } else if let Some(name) =
            message.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`'))
        {
            let key = if key.is_empty() { name.to_string() } else { format!("{key}.{name}") };
            let remedy = "it has no default: `latent settings` says what it takes".into();
            ConfigError::Value { key, what: MISSING.into(), remedy }
        } else {
            ConfigError::Value {
                key,
                what: message.to_string(),
                remedy: "`latent settings` says what each key takes".into(),
            }
        }
    })
}

/// The table that a settings struct becomes.
///
/// # Errors
/// [`ConfigError::Unwritable`], which is our fault.
pub fn table_of<T: Serialize>(settings: &T, path: &str) -> Result<Table, ConfigError> {
    Table::try_from(settings)
        .map_err(|error| ConfigError::Unwritable { key: path.into(), what: error.to_string() })
}

/// The table at `key` of `table`, empty where there is none; taken out of it. `path` is where `table` stands.
pub(crate) fn take_table(table: &mut Table, key: &str, path: &str) -> Result<Table, ConfigError> {
    let full = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
    match table.remove(key) {
        None => Ok(Table::new()),
        Some(Value::Table(inner)) => Ok(inner),
        Some(other) => Err(ConfigError::Value {
            what: format!("{other} is not a table"),
            remedy: format!("write [{full}] and its keys below"),
            key: full,
        }),
    }
}

/// No size in a configuration may be greater: products of a few of them still fit into 64 bits.
const MOST: i64 = 1 << 20;

/// Refuses sizes beyond all models, which would overflow where sizes are multiplied.
pub(crate) fn check_sizes(table: &Table, path: &str) -> Result<(), ConfigError> {
    for (key, value) in table {
        let key = format!("{path}.{key}");
        let numbers = match value {
            Value::Table(inner) => {
                check_sizes(inner, &key)?;
                continue;
            }
            Value::Array(values) => values.as_slice(),
            value => std::slice::from_ref(value),
        };
        if let Some(number) = numbers.iter().filter_map(Value::as_integer).find(|n| *n > MOST) {
            return Err(ConfigError::Value {
                key,
                what: format!("{number} is larger than any model"),
                remedy: format!("give {MOST} at most"),
            });
        }
    }
    Ok(())
}
