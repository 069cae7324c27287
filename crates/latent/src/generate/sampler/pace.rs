//! How long and how fast a sampler learns: five keys that stand beside the sampler's own.
//!
//! ```toml
//! kind = "maf"
//! hidden = [128, 128]     # the sampler's own
//! steps = 3000            # its pace
//! ```
//!
//! serde's `flatten` would accept any key, a misspelt one too, so [`Paced`] reads its table itself: the keys of a [`Pace`]
//! are taken out, the rest goes to the sampler's own settings, and what neither knows is refused.

use std::fmt;
use std::marker::PhantomData;

use schemars::JsonSchema;
use serde::de::value::StringDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Error, IntoDeserializer, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, forward_to_deserialize_any};

use super::{Arrays, Fitting, Sampler, SamplerSettings, Space};
use crate::config::ConfigError;
use crate::generate::Result;
use crate::member::Named;
use crate::train::{LearningRate, OptimizerKind, TrainSettings};

/// How long and how fast a sampler learns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Pace {
    /// Steps, however many codes there are.
    pub steps: u64,
    /// Codes in a step.
    pub batch: usize,
    /// At the start; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// Decay of the average of the weights that is kept; 0 for none.
    pub ema: f64,
    /// Which rule moves what.
    pub optimizer: OptimizerKind,
}

/// The settings of a sampler that is learned, without its pace.
pub trait LearnedSettings: Default + Serialize + DeserializeOwned + JsonSchema + Send + Sync {
    /// The name in configurations.
    const KIND: &'static str;

    /// A line about it.
    const ABOUT: &'static str;

    /// How long and how fast it learns unless told otherwise.
    const PACE: Pace;

    /// The widths of its hidden layers.
    fn hidden(&self) -> &[usize];

    /// Refuses settings that make no sense, and codes that it cannot be fitted on.
    ///
    /// # Errors
    /// What is wrong and what to do.
    fn check(&self, space: &Space) -> Result<()>;

    /// Learns at that pace what [`restore`](Self::restore) builds the sampler from.
    ///
    /// # Errors
    /// Where training fails, as where a number is not finite in the end.
    fn fit(&self, pace: Pace, fitting: &Fitting<'_>) -> Result<Arrays>;

    /// Builds the sampler.
    ///
    /// # Errors
    /// What is wrong with the arrays where they are not such a fit's.
    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String>;
}

/// The settings of a sampler with its pace, the keys of both in one table.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Paced<Own> {
    /// The sampler's own.
    #[serde(flatten)]
    pub own: Own,
    /// How long and how fast it learns.
    #[serde(flatten)]
    pub pace: Pace,
}

impl<Own: LearnedSettings + 'static> Named for Paced<Own> {
    const KIND: &'static str = Own::KIND;
    const ABOUT: &'static str = Own::ABOUT;
}

impl<Own: LearnedSettings> SamplerSettings for Paced<Own> {
    fn check(&self, space: &Space) -> Result<()> {
        self.own.check(space)?;
        Ok(self.pace.check(self.own.hidden())?)
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        self.own.fit(self.pace, fitting)
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        self.own.restore(space, arrays)
    }
}

/// Validations over a whole run.
const VALIDATIONS: u64 = 20;

/// The widest layer, and the most of them.
const MOST: (usize, usize) = (4096, 16);

impl Pace {
    /// The keys, as they stand in a table.
    const KEYS: [&str; 5] = ["steps", "batch", "learning_rate", "ema", "optimizer"];

    /// Takes the value of `key` from a table; whether it is a key of these.
    fn take<'de, A: MapAccess<'de>>(&mut self, key: &str, table: &mut A) -> Result<bool, A::Error> {
        match key {
            "steps" => self.steps = table.next_value()?,
            "batch" => self.batch = table.next_value()?,
            "learning_rate" => self.learning_rate = table.next_value()?,
            "ema" => self.ema = table.next_value()?,
            "optimizer" => self.optimizer = table.next_value()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Refuses what makes no sense, of the layers' widths too.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn check(&self, hidden: &[usize]) -> Result<(), ConfigError> {
        let wrong = |key: &str, what: String, remedy: &str| {
            Err(ConfigError::Value { key: format!("sampler.{key}"), what, remedy: remedy.into() })
        };
        let positive = |v: f64| v.is_finite() && v > 0.0;
        if self.steps == 0 || self.batch == 0 {
            return wrong(
                "steps",
                "nothing to learn from".into(),
                "give at least one step, and a batch of at least 1",
            );
        }
        if !positive(self.learning_rate) {
            return wrong(
                "learning_rate",
                format!("{}", self.learning_rate),
                "give a positive number, such as 1e-3",
            );
        }
        if !(0.0..1.0).contains(&self.ema) {
            return wrong("ema", format!("{}", self.ema), "give a decay in [0, 1), such as 0.999");
        }
        if hidden.len() > MOST.1 || hidden.iter().any(|&width| width == 0 || width > MOST.0) {
            return wrong("hidden", format!("{hidden:?}"), "give up to 16 layers of 1 to 4096 units");
        }
        Ok(())
    }

    /// The settings of the loop for so many steps.
    pub(super) fn settings(&self, steps: u64, steps_per_epoch: u64) -> TrainSettings {
        let mut settings = TrainSettings {
            steps,
            batch: self.batch,
            schedule: LearningRate::Cosine { warmup: (steps / 20).min(100), last: 0.0 },
            clip: 10.0,
            ema: self.ema,
            validate_every: (steps / VALIDATIONS).max(1) as f64 / steps_per_epoch as f64,
            ..TrainSettings::default()
        };
        settings.optimizer.kind = self.optimizer;
        settings.optimizer.learning_rate = self.learning_rate;
        settings
    }
}

impl<'de, Own: LearnedSettings> Deserialize<'de> for Paced<Own> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table(PhantomData))
    }
}

/// Reads a table with the keys of both.
struct Table<Own>(PhantomData<Own>);

impl<'de, Own: LearnedSettings> Visitor<'de> for Table<Own> {
    type Value = Paced<Own>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table of settings")
    }

    fn visit_map<A: MapAccess<'de>>(self, table: A) -> Result<Self::Value, A::Error> {
        let mut pace = Own::PACE;
        let own = Own::deserialize(Rest { table, pace: &mut pace, fields: &[] })?;
        Ok(Paced { own, pace })
    }
}

/// A table as the sampler's own settings see it: without the keys of the pace, which are kept on the way.
struct Rest<'a, A> {
    table: A,
    pace: &'a mut Pace,
    /// The keys that the own settings know.
    fields: &'static [&'static str],
}

impl<'de, A: MapAccess<'de>> Deserializer<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, A::Error> {
        visitor.visit_map(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        visitor.visit_map(Self { fields, ..self })
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Rest<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        while let Some(key) = self.table.next_key::<String>()? {
            if self.pace.take(&key, &mut self.table)? {
                continue;
            }
            if !self.fields.contains(&key.as_str()) {
                // In serde's words, which the reader of configurations knows to turn into the nearest key.
                let known = self.fields.iter().chain(&Pace::KEYS).map(|known| format!("`{known}`"));
                let known: Vec<String> = known.collect();
                let what = format!("unknown field `{key}`, expected one of {}", known.join(", "));
                return Err(A::Error::custom(what));
            }
            let key: StringDeserializer<A::Error> = key.into_deserializer();
            return seed.deserialize(key).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.table.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::sampler::SamplerSettings;
    use crate::member::Registry;

    fn resolved(text: &str) -> Result<toml::Table, String> {
        let table: toml::Table = text.parse().unwrap();
        let found = Registry::default().resolve::<dyn SamplerSettings>(&table, "sampler");
        found.map(|(_, resolved)| resolved).map_err(|error| error.to_string())
    }

    /// Every learned sampler with the defaults that it has had since it was first saved.
    const LEARNED: [(&str, i64, i64, f64, f64); 5] = [
        ("two-stage", 4000, 512, 2e-3, 0.0),
        ("maf", 3000, 512, 2e-3, 0.99),
        ("real-nvp", 3000, 512, 2e-3, 0.99),
        ("flow-matching", 6000, 512, 2e-3, 0.999),
        ("autoregressive-bits", 3000, 256, 2e-3, 0.99),
    ];

    #[test]
    fn the_pace_stands_beside_the_samplers_own_keys() {
        for (kind, steps, batch, learning_rate, ema) in LEARNED {
            let all = resolved(&format!("kind='{kind}'")).unwrap();
            assert_eq!(all["steps"].as_integer(), Some(steps), "{kind}");
            assert_eq!(all["batch"].as_integer(), Some(batch), "{kind}");
            assert_eq!(all["learning_rate"].as_float(), Some(learning_rate), "{kind}");
            assert_eq!(all["ema"].as_float(), Some(ema), "{kind}");
            assert!(all["hidden"].is_array(), "{kind}: {all}");
            // What is written is read again.
            assert_eq!(resolved(&all.to_string()).unwrap(), all, "{kind}");
            let some = resolved(&format!("ema=0.5\nkind='{kind}'\nhidden=[7]\nsteps=9")).unwrap();
            assert_eq!(some["steps"].as_integer(), Some(9), "{kind}");
            assert_eq!(some["ema"].as_float(), Some(0.5), "{kind}");
            assert_eq!(some["hidden"].to_string(), "[7]", "{kind}");
            assert_eq!(some["batch"].as_integer(), Some(batch), "{kind}");
        }
    }

    #[test]
    fn what_no_sampler_knows_is_refused_with_the_nearest_key() {
        for (kind, ..) in LEARNED {
            for (text, said) in [
                ("step=3", "did you mean `sampler.steps`?"),
                ("learning_rates=3", "did you mean `sampler.learning_rate`?"),
                ("hiden=[3]", "did you mean `sampler.hidden`?"),
                ("steps='many'", "sampler.steps"),
                ("steps=-1", "sampler.steps"),
                ("hidden=['x']", "sampler.hidden[0]"),
            ] {
                let error = resolved(&format!("kind='{kind}'\n{text}")).unwrap_err();
                assert!(error.contains(said), "{kind}, {text}: {error}");
            }
        }
        let error = resolved("kind='maf'\nlayer=3").unwrap_err();
        assert!(error.contains("did you mean `sampler.layers`?"), "{error}");
    }
}
