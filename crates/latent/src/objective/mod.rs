//! What training minimises: terms, each with a name, a weight and a schedule, under one estimator.
//!
//! Terms are in nats per sample and keep their names in the progress line, the log, TensorBoard and the report.

mod distortion;
mod estimator;
mod mmd;
mod pass;
mod rate;
mod schedule;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};
use toml::Table;

pub use estimator::Estimator;
pub use mmd::{Kernel, MmdSettings, mmd};
pub use pass::Pass;
pub use schedule::Schedule;

use crate::config::{Axis, ConfigError, Registry, parse_table, table_of};
use crate::device::untracked;
use crate::model::posterior::PosteriorSettings;

/// Something to minimise, a function of one pass through the model.
pub trait Term: Send + Sync {
    /// Its value, in nats but for those without a unit (MMD): `[n]`, or `[1]` where it couples rows. This is what logs show.
    fn value(&self, pass: &Pass<'_>) -> Tensor<1>;

    /// What the loss takes in its place, where that differs (free bits).
    fn penalty(&self, pass: &Pass<'_>) -> Tensor<1> {
        self.value(pass)
    }

    /// Whether it has a value at all; what is undefined is absent from logs.
    fn is_defined(&self, pass: &Pass<'_>) -> bool {
        let _ = pass;
        true
    }

    /// Whether it needs a rate that splits over dimensions.
    fn needs_split_rate(&self) -> bool {
        false
    }

    /// Whether a row's value depends on the other rows of its batch.
    fn couples_rows(&self) -> bool {
        false
    }
}

/// The settings of a term: config → check → term.
pub trait TermSettings: Send + Sync {
    /// Refuses what makes no sense with that posterior.
    fn check(&self, posterior: &dyn PosteriorSettings) -> Result<(), ConfigError>;

    /// Whether the importance-weighted bound may hold this term in its weights.
    fn is_plain_rate(&self) -> bool {
        false
    }

    /// Builds the term.
    fn init(&self) -> Box<dyn Term>;
}

/// The terms that ship.
pub fn terms() -> Axis<dyn TermSettings> {
    Axis::<dyn TermSettings>::new("term")
        .with("distortion", "−log p(x|z)", |s: distortion::DistortionSettings| Box::new(s))
        .with("rate", "KL(q(z|x) ‖ p(z)), with free bits", |s: rate::RateSettings| Box::new(s))
        .with("mmd", "maximum mean discrepancy of the codes from the prior", |s: mmd::MmdSettings| {
            Box::new(s)
        })
}

/// Keys that every term has.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CommonSettings {
    weight: f64,
    schedule: Schedule,
}

impl Default for CommonSettings {
    fn default() -> Self {
        Self { weight: 1.0, schedule: Schedule::Constant }
    }
}

/// A term with its name and weight.
pub struct Weighted {
    /// The name in every log.
    pub name: String,
    /// The final weight.
    pub weight: f64,
    /// How the weight gets there.
    pub schedule: Schedule,
    /// The term.
    pub term: Box<dyn Term>,
}

/// Terms under an estimator.
pub struct Objective {
    /// How terms become a loss.
    pub estimator: Estimator,
    /// In the order of the configuration.
    pub terms: Vec<Weighted>,
}

/// The loss of a batch and the terms it is made of.
pub struct Loss {
    /// What gradients are taken of, in nats per sample.
    pub total: Tensor<1>,
    /// Named values, each the mean over the batch.
    pub terms: Vec<(String, Tensor<1>)>,
    /// What the task wants back once the step is taken, outside any gradient graph: statistics that its buffers follow.
    pub kept: Vec<Tensor<1>>,
}

impl Objective {
    /// Reads `[objective]`: `estimator` and `terms`, a table each. Returns the objective and the table with every
    /// default filled in.
    pub fn resolve(
        table: &Table,
        registry: &Registry,
        posterior: &dyn PosteriorSettings,
    ) -> Result<(Self, Table), ConfigError> {
        let mut rest = table.clone();
        let estimator: Estimator = parse_table(&take_table(&mut rest, "estimator")?, "objective.estimator")?;
        estimator.check(posterior)?;
        let term_tables = take_table(&mut rest, "terms")?;
        if let Some(key) = rest.keys().next() {
            return Err(ConfigError::UnknownKey {
                key: format!("objective.{key}"),
                nearest: crate::config::nearest(key, ["estimator", "terms"]),
            });
        }
        let mut terms = Vec::new();
        let mut resolved_terms = Table::new();
        for (name, value) in &term_tables {
            let path = format!("objective.terms.{name}");
            let Some(table) = value.as_table() else {
                return Err(ConfigError::Value {
                    key: path,
                    what: format!("{value} is not a table"),
                    remedy: format!("write [objective.terms.{name}] with keys such as weight = 1.0"),
                });
            };
            let mut own = table.clone();
            let common =
                ["weight", "schedule"].into_iter().filter_map(|k| own.remove(k).map(|v| (k.into(), v)));
            let common: CommonSettings = parse_table(&common.collect(), &path)?;
            common.schedule.check(&path)?;
            if !(common.weight.is_finite() && common.weight >= 0.0) {
                return Err(ConfigError::Value {
                    key: format!("{path}.weight"),
                    what: format!("{} is not a weight", common.weight),
                    remedy: "give a number from 0".into(),
                });
            }
            own.entry("kind").or_insert_with(|| name.clone().into());
            let (settings, mut resolved) = registry.terms.resolve(&own, &path)?;
            estimator
                .check_name(name, resolved.get("kind").and_then(toml::Value::as_str).unwrap_or_default())?;
            if common.weight != 0.0 {
                settings.check(posterior)?;
            }
            estimator.check_term(name, settings.as_ref(), common.weight, &common.schedule)?;
            resolved.extend(table_of(&common, &path)?);
            resolved_terms.insert(name.clone(), resolved.into());
            terms.push(Weighted {
                name: name.clone(),
                weight: common.weight,
                schedule: common.schedule,
                term: settings.init(),
            });
        }
        estimator.check_bound(posterior)?;
        if terms.is_empty() {
            return Err(ConfigError::Value {
                key: "objective.terms".into(),
                what: "no term to minimise".into(),
                remedy: "give at least [objective.terms.distortion]".into(),
            });
        }
        let mut resolved = Table::new();
        resolved.insert("estimator".into(), table_of(&estimator, "objective.estimator")?.into());
        resolved.insert("terms".into(), resolved_terms.into());
        Ok((Self { estimator, terms }, resolved))
    }

    /// The loss of a pass with each weight where its schedule has it at `progress`; `None` for final weights.
    pub fn loss(&self, pass: &Pass<'_>, progress: Option<Progress>) -> Loss {
        let mut terms = Vec::new();
        let mut total: Option<Tensor<1>> = None;
        for weighted in self.terms.iter().filter(|weighted| weighted.term.is_defined(pass)) {
            let weight = weighted.weight * progress.map_or(1.0, |p| weighted.schedule.factor(p));
            // For the log alone: no gradient goes through it.
            terms.push((weighted.name.clone(), untracked(weighted.term.value(pass)).mean()));
            if self.estimator.holds(&weighted.name) || weight == 0.0 {
                continue;
            }
            let part = weighted.term.penalty(pass).mean() * weight;
            total = Some(match total {
                Some(total) => total + part,
                None => part,
            });
        }
        if let Some(bound) = self.estimator.bound(pass) {
            total = Some(match total {
                Some(total) => total + bound,
                None => bound,
            });
        }
        let total = total.unwrap_or_else(|| pass.distortion.clone().mean());
        terms.insert(0, ("loss".into(), total.clone()));
        Loss { total, terms, kept: Vec::new() }
    }

    /// The name of the first term that couples rows, if any does.
    pub fn couples_rows(&self) -> Option<&str> {
        self.terms.iter().find(|t| t.term.couples_rows()).map(|t| t.name.as_str())
    }

    /// Whether every weight is where it will end.
    pub fn settled(&self, progress: Progress) -> bool {
        self.terms.iter().all(|t| t.schedule.factor(progress) >= 1.0)
    }
}

/// How far training has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// The step about to be taken, from 0.
    pub step: u64,
    /// Steps in an epoch.
    pub steps_per_epoch: u64,
    /// Steps in the whole run.
    pub total: u64,
}

fn take_table(table: &mut Table, key: &str) -> Result<Table, ConfigError> {
    match table.remove(key) {
        None => Ok(Table::new()),
        Some(toml::Value::Table(inner)) => Ok(inner),
        Some(other) => Err(ConfigError::Value {
            key: format!("objective.{key}"),
            what: format!("{other} is not a table"),
            remedy: format!("write [objective.{key}]"),
        }),
    }
}
