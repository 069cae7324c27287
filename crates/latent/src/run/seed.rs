//! A seed in TOML. TOML's whole numbers end at 2⁶³ − 1, and seeds at 2⁶⁴ − 1: what is greater stands there in quotes.

use serde::{Deserialize, Deserializer, Serializer, de};
use toml::Value;

/// The seed that a value stands for.
pub(super) fn seed_of(value: &Value) -> Option<u64> {
    match value {
        Value::Integer(seed) => u64::try_from(*seed).ok(),
        Value::String(text) => text.parse().ok().filter(|seed| *seed > i64::MAX as u64),
        _ => None,
    }
}

pub(super) fn serialize<S: Serializer>(seed: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    match i64::try_from(*seed) {
        Ok(seed) => serializer.serialize_i64(seed),
        Err(_) => serializer.serialize_str(&seed.to_string()),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let value = Value::deserialize(deserializer)?;
    seed_of(&value).ok_or_else(|| de::Error::custom(format!("{value} is not a seed: a whole number from 0")))
}
