//! The words of every metric: an estimate with its interval, a named measure, a section of them, and what is judged.
//!
//! No number leaves this room without saying how sure it is, on how many rows it stands, and which way is better.

use serde::{Deserialize, Deserializer, Serialize};

use super::features::Features;
use super::samples::SampleSource;
use crate::data::{Data, Split};
use crate::key::Key;
use crate::store::Model;

/// A number with its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The estimate.
    #[serde(deserialize_with = "number")]
    pub value: f64,
    /// The lower end of the interval.
    #[serde(deserialize_with = "number")]
    pub low: f64,
    /// The upper end of the interval.
    #[serde(deserialize_with = "number")]
    pub high: f64,
}

/// JSON has no NaN: it is null there.
fn number<'de, D: Deserializer<'de>>(source: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(source)?.unwrap_or(f64::NAN))
}

/// 97.5 % of a standard normal lie below this.
pub const Z_95: f64 = 1.959_963_984_540_054;

impl Estimate {
    /// A number that holds no chance: a count, a closed form.
    pub fn exact(value: f64) -> Self {
        Self { value, low: value, high: value }
    }

    /// value ± 1.96 standard errors.
    pub fn normal(value: f64, error: f64) -> Self {
        Self { value, low: value - Z_95 * error, high: value + Z_95 * error }
    }

    /// The mean of independent rows, ± 1.96 sd/√n.
    pub fn mean(values: &[f64]) -> Self {
        let mean = super::Mean::of(values);
        Self::normal(mean.value, mean.error)
    }

    /// The estimate from all rows, and from all but one of several equal blocks of them (the delete-a-group jackknife):
    /// error² = (g − 1)/g Σ (θ_i − θ̄)². Unlike a bootstrap it repeats no row, which distances between sets would mistake
    /// for likeness (Shao & Wu, *Annals of Statistics* 17, 1989).
    pub fn jackknife(value: f64, without_group: &[f64]) -> Self {
        let g = without_group.len() as f64;
        let mean = without_group.iter().sum::<f64>() / g;
        let squares: f64 = without_group.iter().map(|v| (v - mean).powi(2)).sum();
        Self::normal(value, ((g - 1.0) / g * squares).sqrt())
    }
}

impl std::fmt::Display for Estimate {
    /// `−223.4 [−225.0, −221.9]`, with as many decimals as the interval's width gives a meaning to.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let half = (self.high - self.low) / 2.0;
        let whole = half == 0.0 && self.value.fract() == 0.0;
        let scale = if half > 0.0 && half.is_finite() { half } else { self.value.abs() * 1e-2 };
        // Two digits of the half width; at most six decimals.
        let decimals = match scale > 0.0 && !whole {
            true => (1.0 - scale.log10().floor()).clamp(0.0, 6.0) as usize,
            false => 0,
        };
        let number = |value: f64| format!("{value:.decimals$}").replace('-', "−");
        f.write_str(&number(self.value))?;
        if half != 0.0 {
            write!(f, " [{}, {}]", number(self.low), number(self.high))?;
        }
        Ok(())
    }
}

/// Which way a measure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
    /// It describes and does not rank.
    Neither,
}

/// A named number of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The name for programs, unique within its section, such as `elbo`.
    pub name: String,
    /// What it is, in words, such as `evidence lower bound`.
    pub title: String,
    /// Its unit: `nats`, `bits per dimension`, `dB`, or nothing.
    pub unit: String,
    /// The number.
    #[serde(flatten)]
    pub estimate: Estimate,
    /// On how many rows (or samples) it stands.
    pub n: usize,
    /// Which way is better.
    pub better: Better,
    /// What must be known to read it: the reference, the number of draws, the base measure.
    pub note: String,
    /// The name of the features that it compares, if any: numbers on different ones are never ranked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<String>,
    /// Its value for each row, by row id, where it is a mean over rows: what paired comparisons read.
    #[serde(skip)]
    pub rows: Vec<(u64, f64)>,
}

impl Measure {
    /// A measure that stands on `n` rows.
    pub fn new(name: &str, title: &str, unit: &str, estimate: Estimate, n: usize, better: Better) -> Self {
        let [name, title, unit] = [name, title, unit].map(String::from);
        Self { name, title, unit, estimate, n, better, note: String::new(), features: None, rows: Vec::new() }
    }

    /// With what must be known to read it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With its value for each row.
    #[must_use]
    pub fn rows(mut self, ids: &[u64], values: &[f64]) -> Self {
        self.rows = ids.iter().copied().zip(values.iter().copied()).collect();
        self
    }
}

/// The measures of one question, such as `likelihood`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// The name for programs.
    pub name: String,
    /// The question in words.
    pub title: String,
    /// The answers.
    pub measures: Vec<Measure>,
    /// What the reader must be warned of, a sentence each, with the remedy.
    pub warnings: Vec<String>,
    /// What was left out, and why, a sentence each: what is undefined is absent, never 0.
    pub absent: Vec<String>,
    /// Pictures that belong to it: file name, caption, figure.
    #[serde(skip)]
    pub figures: Vec<(String, String, crate::figure::Figure)>,
}

impl Section {
    /// A section without measures yet.
    pub fn new(name: &str, title: &str) -> Self {
        Self { name: name.into(), title: title.into(), ..Self::default() }
    }

    /// Adds a measure.
    pub fn add(&mut self, measure: Measure) {
        self.measures.push(measure);
    }

    /// The measure of that name.
    pub fn get(&self, name: &str) -> Option<&Measure> {
        self.measures.iter().find(|measure| measure.name == name)
    }

    /// Says that its measures from place `first` on compare these features.
    pub fn on(&mut self, features: &dyn Features, first: usize) {
        for measure in self.measures.iter_mut().skip(first) {
            measure.features = Some(features.name().into());
        }
    }

    /// The names of the features that its measures compare.
    pub fn features(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.measures.iter().filter_map(|m| m.features.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// What is judged, against which rows, and at what expense.
pub struct Subject<'a> {
    /// The model.
    pub model: &'a Model,
    /// The held-out rows.
    pub held_out: (&'a Data, Split),
    /// The rows that the model was trained on, where they can be found.
    pub train: Option<&'a Data>,
    /// Data from elsewhere, to tell apart from the model's own.
    pub foreign: Option<&'a Data>,
    /// Where samples come from, by name; the model's prior alone where it is empty.
    pub samplers: &'a [(String, SampleSource<'a>)],
    /// The features that samples are compared in; the library's own where there are none.
    pub features: Option<&'a dyn Features>,
    /// About how many seconds each section may take; none for all rows, whatever it takes.
    pub seconds: Option<f64>,
    /// What every draw descends from.
    pub key: Key,
    /// Told what is done and how far, from 0 to 1.
    pub progress: &'a dyn Fn(&str, f64),
}
