//! `[objective]`: an estimator and terms, each read and checked once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{Estimator, EstimatorSettings, Objective, Schedule, TermSettings, Weighted};
use crate::config::{ConfigError, nearest, parse_table, table_of, take_table};
use crate::member::{Context, Registry, TermFacts};
use crate::weights::Init;

/// Keys that every term has.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CommonSettings {
    /// What the term counts in the end.
    pub weight: f64,
    /// How its weight gets there.
    pub schedule: Schedule,
}

impl Default for CommonSettings {
    fn default() -> Self {
        Self { weight: 1.0, schedule: Schedule::Constant }
    }
}

/// The settings of one term.
pub struct TermPart {
    /// The name in every log.
    pub name: String,
    /// Which member it is.
    pub kind: String,
    /// Weight and schedule.
    pub common: CommonSettings,
    /// Its own.
    pub settings: Box<TermSettings>,
}

/// The settings of an objective.
pub struct ObjectiveSettings {
    /// How terms become a loss.
    pub estimator: Box<EstimatorSettings>,
    /// In the order of the configuration.
    pub terms: Vec<TermPart>,
}

const ESTIMATOR: &str = "objective.estimator";

fn path_of(term: &str) -> String {
    format!("objective.terms.{term}")
}

impl ObjectiveSettings {
    /// Reads `[objective]`: `estimator` and `terms`, a table each. Returns the settings and the table with every default
    /// filled in.
    ///
    /// # Errors
    /// Unknown keys and members, and values that cannot be, with the keys that the user wrote.
    pub fn resolve(table: &Table, registry: &Registry) -> Result<(Self, Table), ConfigError> {
        let mut rest = table.clone();
        let estimator_table = take_table(&mut rest, "estimator", "objective")?;
        let (estimator, resolved_estimator) =
            registry.resolve::<EstimatorSettings>(&estimator_table, ESTIMATOR)?;
        let term_tables = take_table(&mut rest, "terms", "objective")?;
        if let Some(key) = rest.keys().next() {
            return Err(ConfigError::UnknownKey {
                key: format!("objective.{key}"),
                nearest: nearest(key, ["estimator", "terms"]),
            });
        }
        let mut terms = Vec::new();
        let mut resolved_terms = Table::new();
        for (name, value) in &term_tables {
            let path = path_of(name);
            let Some(table) = value.as_table() else {
                return Err(ConfigError::Value {
                    what: format!("{value} is not a table"),
                    remedy: format!("write [{path}] with keys such as weight = 1.0"),
                    key: path,
                });
            };
            let mut own = table.clone();
            let common =
                ["weight", "schedule"].into_iter().filter_map(|k| own.remove(k).map(|v| (k.into(), v)));
            let common: CommonSettings = parse_table(&common.collect(), &path)?;
            own.entry("kind").or_insert_with(|| name.clone().into());
            let (settings, mut resolved) = registry.resolve::<TermSettings>(&own, &path)?;
            let kind = resolved.get("kind").and_then(Value::as_str).unwrap_or_default().to_string();
            resolved.extend(table_of(&common, &path)?);
            resolved_terms.insert(name.clone(), resolved.into());
            terms.push(TermPart { name: name.clone(), kind, common, settings });
        }
        let mut resolved = Table::new();
        resolved.insert("estimator".into(), resolved_estimator.into());
        resolved.insert("terms".into(), resolved_terms.into());
        Ok((Self { estimator, terms }, resolved))
    }

    /// Checks estimator and terms with what the model's members declared.
    ///
    /// # Errors
    /// The first that refuses, with its key.
    pub fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        if self.terms.iter().all(|part| part.common.weight == 0.0) {
            return Err(ConfigError::value(
                "objective.terms",
                "no term to minimise",
                "give at least [objective.terms.distortion] a weight",
            ));
        }
        for part in &self.terms {
            let CommonSettings { weight, schedule } = &part.common;
            let facts = TermFacts {
                name: part.name.clone(),
                kind: part.kind.clone(),
                weight: *weight,
                constant: *schedule == Schedule::Constant,
                own_penalty: false,
            };
            context.terms.push(facts);
            context.at(&path_of(&part.name), |context| {
                schedule.check()?;
                if !(weight.is_finite() && *weight >= 0.0) {
                    return Err(ConfigError::value(
                        "weight",
                        format!("{weight} is not a weight"),
                        "give a number from 0",
                    ));
                }
                part.settings.declare(context)
            })?;
        }
        context.at(ESTIMATOR, |context| self.estimator.declare(context))
    }

    /// Builds the objective; its arrays come after the model's.
    ///
    /// # Errors
    /// What only building shows.
    pub fn init(&self, context: &mut Context<'_>, init: &mut Init<'_>) -> Result<Objective, ConfigError> {
        let mut init = init.scope("objective");
        let mut terms = Vec::new();
        for TermPart { name, common, settings, .. } in &self.terms {
            let mut own = init.scope(name);
            let term =
                context.at(&path_of(name), |context| settings.init(context, &mut own.training_only()))?;
            let CommonSettings { weight, schedule } = common.clone();
            terms.push(Weighted { name: name.clone(), weight, schedule, term });
        }
        let estimator: Box<dyn Estimator> =
            context.at(ESTIMATOR, |context| self.estimator.init(context, &mut init.scope("estimator")))?;
        Ok(Objective { estimator, terms })
    }
}
