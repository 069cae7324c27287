//! The words of every metric: a named measure with its estimate, a section of them, and what is judged.
//!
//! No number leaves this room without saying how sure it is, on how many rows it stands, and which way is better.

use serde::{Deserialize, Serialize};

use super::features::Features;
use super::samples::SampleSource;
use crate::data::{Data, Split};
use crate::estimate::Estimate;
use crate::key::Key;
use crate::model::Model;

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
    /// What two runs must share for this number to rank them: the count of rows where its expectation depends on it, the
    /// features. Empty where any two can be compared.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub within: String,
    /// The name of the features that it compares, if any.
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
        Self {
            name,
            title,
            unit,
            estimate,
            n,
            better,
            note: String::new(),
            within: String::new(),
            features: None,
            rows: Vec::new(),
        }
    }

    /// With what must be known to read it.
    #[must_use]
    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// With what two runs must share for this number to rank them.
    #[must_use]
    pub fn within(mut self, within: impl Into<String>) -> Self {
        self.within = within.into();
        self
    }

    /// Something more that two runs must share.
    pub(super) fn share(&mut self, what: &str) {
        let gap = if self.within.is_empty() { "" } else { ", " };
        self.within.push_str(&format!("{gap}{what}"));
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

    /// Says that its measures from place `first` on compare these features: numbers on others are not ranked with them.
    pub fn on(&mut self, features: &dyn Features, first: usize) {
        for measure in self.measures.iter_mut().skip(first) {
            measure.features = Some(features.name().into());
            measure.share(features.name());
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
    /// How many rows each set has that samples are compared in, whatever it takes: distances between sets depend on it, so
    /// that runs are compared at one size. None for as many as the time allows.
    pub set: Option<usize>,
    /// How many rows each estimator of the likelihood reads, whatever it takes, so that nothing depends on how busy the machine
    /// is. None for as many as the time allows.
    pub rows: Option<usize>,
    /// What every draw descends from.
    pub key: Key,
    /// Told what is done and how far, from 0 to 1.
    pub progress: &'a dyn Fn(&str, f64),
}
