//! Label: bits or a category that mean a class, from the labels of some training rows.
//!
//! L = −Σ_j ln q(z_j = y_j | x)  in nats, the mean over labelled rows;  y_j is 1 in the j-th class and 0 in the others
//!
//! A code with a category of enough values (posterior `gumbel`) has one term in the place of these: −ln q(z = y | x), y the class.
//!
//! Likelihood picks what explains most, not what has a name; this is what a name costs. An unlabelled row counts 0 and
//! a labelled one N/M, with M labelled of N training rows: in any batch that is right on average, and no row knows of another. Which
//! rows are labelled is a function of the data and its seed. Held-out rows are read without their labels: there the term is in the
//! log, over all that have one, and never in the loss, so that no choice of weights has seen them.
//!
//! Reference: the classifier's part of M2 in Kingma, Rezende, Mohamed & Welling, *Semi-supervised Learning with Deep Generative Models*
//! (arXiv 1406.5298), equation 9, with q(z_j|x) for bits in the place of q(y|x).

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::{Latent, LatentShape, Support};
use crate::config::{ConfigError, parse_table};
use crate::data::{Class, Facts, Split, UNKNOWN_CLASS, find_class};
use crate::density::sum_dimensions;
use crate::device::Device;
use crate::key::Key;
use crate::member::{Context, Life, Named, Settings};
use crate::weights::Init;
use crate::words::{shown, thousands};

/// Which bits mean which classes, and how many labels may be seen.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LabelSettings {
    /// The classes that get a bit each, 1 in that class and 0 in all others. Empty for all; of two, then, the second alone has one,
    /// as the first is where it is 0.
    pub classes: Vec<Class>,
    /// Their bits, counted from 1 as in z1, z2 …; empty for the first ones. Of a code of categories the one that means the class.
    pub bits: Vec<usize>,
    /// The share of training rows whose label may be seen, of each class alike; above 1 their number.
    pub labelled: f64,
}

impl Default for LabelSettings {
    fn default() -> Self {
        Self { classes: Vec::new(), bits: Vec::new(), labelled: 1.0 }
    }
}

impl Named for LabelSettings {
    const KIND: &'static str = "label";
    const ABOUT: &'static str =
        "−ln q(z_j = y|x): bits or a category that mean a class, from the labels of some rows";
}

/// What of a code means the class.
#[derive(Clone, Debug, PartialEq)]
pub enum Meaning {
    /// Columns of bits, and the class in which each is 1.
    Bits(Vec<(usize, u32)>),
    /// A column of indices, and the class that each of the first of them is.
    Category {
        /// The column.
        column: usize,
        /// The classes, in the order of their indices.
        classes: Vec<u32>,
    },
}

impl Meaning {
    /// What columns of a code should be in a row of this class; nothing where a category has no value for it.
    fn wanted(&self, label: u32) -> Vec<(usize, f32)> {
        match self {
            Self::Bits(named) => {
                named.iter().map(|&(column, class)| (column, f32::from(u8::from(label == class)))).collect()
            }
            Self::Category { column, classes } => {
                let index = classes.iter().position(|class| *class == label);
                index.map(|index| (*column, index as f32)).into_iter().collect()
            }
        }
    }

    /// The classes that have a name.
    fn classes(&self) -> Vec<u32> {
        match self {
            Self::Bits(named) => named.iter().map(|(_, class)| *class).collect(),
            Self::Category { classes, .. } => classes.clone(),
        }
    }

    /// The same in words.
    fn describe(&self, classes: &[String]) -> String {
        let name = |class: &u32| shown(classes.get(*class as usize).map_or("?", String::as_str)).to_string();
        match self {
            Self::Bits(named) => {
                let each =
                    named.iter().map(|(column, class)| format!("z{} is 1 in {}", column + 1, name(class)));
                each.collect::<Vec<_>>().join(", ")
            }
            Self::Category { column, classes } => {
                let each: Vec<String> = classes.iter().map(name).collect();
                format!("z{} is the class: {}", column + 1, each.join(", "))
            }
        }
    }
}

impl LabelSettings {
    /// What the terms of this kind have taught, of a run's `objective`.
    pub fn taught(objective: &toml::Table, facts: &Facts, latent: &LatentShape) -> Vec<Meaning> {
        let terms = objective.get("terms").and_then(toml::Value::as_table).into_iter().flatten();
        let labels = terms
            .filter_map(|(_, term)| term.as_table())
            .filter(|term| term.get("kind").and_then(toml::Value::as_str) == Some(Self::KIND));
        let of = |term: &toml::Table| {
            let mut own = term.clone();
            ["kind", "weight", "schedule"].into_iter().for_each(|key| drop(own.remove(key)));
            parse_table::<Self>(&own, "").ok()?.meaning(facts, latent).ok()
        };
        labels.filter_map(of).collect()
    }

    /// Which columns of a code mean the class, and how.
    ///
    /// # Errors
    /// Settings that make no sense with these classes and these codes.
    pub fn meaning(&self, facts: &Facts, latent: &LatentShape) -> Result<Meaning, ConfigError> {
        let known = &facts.classes;
        if known.len() < 2 {
            let remedy = "give data with at least two classes (folders of images, data.label of a table), or leave the term out";
            return Err(ConfigError::combination(
                format!("a bit can mean a class only where there are some, and the data has {}", known.len()),
                remedy,
            ));
        }
        let mut places = Vec::new();
        for class in &self.classes {
            let place = find_class(class, known)
                .map_err(|(what, remedy)| ConfigError::value("classes", what, remedy))?;
            if places.contains(&place) {
                let what = format!("{:?} is named twice", known[place]);
                return Err(ConfigError::value("classes", what, "name each class once"));
            }
            places.push(place);
        }
        if places.is_empty() {
            places = if known.len() == 2 { vec![1] } else { (0..known.len()).collect() };
        }
        let supports = latent.supports();
        let all: Vec<usize> = (0..supports.len()).filter(|&d| supports[d] == Support::Bits).collect();
        if all.is_empty() {
            let classes = if self.classes.is_empty() { (0..known.len()).collect() } else { places };
            return self.category(&supports, classes.into_iter().map(|place| place as u32).collect());
        }
        let bits = self.columns(&supports, &all)?;
        let what = format!("a bit for each class named: classes {}, bits {}", places.len(), bits.len());
        if !self.bits.is_empty() && bits.len() != places.len() {
            return Err(ConfigError::value("bits", what, "name as many bits as classes"));
        }
        if bits.len() < places.len() {
            let remedy = format!(
                "set posterior.latent = {} or more, or name fewer classes, such as classes = [{:?}]",
                places.len(),
                known[places[0]]
            );
            return Err(ConfigError::value("classes", what, remedy));
        }
        Ok(Meaning::Bits(bits.into_iter().zip(places.into_iter().map(|place| place as u32)).collect()))
    }

    /// The first column of enough indices, or the one that is named.
    fn category(&self, supports: &[Support], classes: Vec<u32>) -> Result<Meaning, ConfigError> {
        let sizes: Vec<usize> = supports
            .iter()
            .map(|support| match support {
                Support::Index(size) => *size,
                _ => 0,
            })
            .collect();
        let column = match self.bits[..] {
            [] => sizes.iter().position(|size| *size >= classes.len()),
            [one] => Some(one.wrapping_sub(1))
                .filter(|at| sizes.get(*at).is_some_and(|size| *size >= classes.len())),
            _ => return Err(ConfigError::value("bits", "several categories for one class", "name one")),
        };
        let most = sizes.iter().copied().max().unwrap_or(0);
        match column {
            Some(column) => Ok(Meaning::Category { column, classes }),
            None if most == 0 => Err(ConfigError::combination(
                "a label is said by bits or a category of the code, and this posterior has neither",
                "use posterior.kind = \"bits\" (preset semi-bit-ae) or \"gumbel\" (preset m2), or leave the term out",
            )),
            None => Err(ConfigError::combination(
                format!("{} classes do not fit into a category of {most}", classes.len()),
                format!("set the posterior's categories to {} or more, or name fewer classes", classes.len()),
            )),
        }
    }

    /// The columns of `bits`, or else all that are bits.
    fn columns(&self, supports: &[Support], all: &[usize]) -> Result<Vec<usize>, ConfigError> {
        let mut columns = Vec::new();
        for &bit in &self.bits {
            let column = bit.wrapping_sub(1);
            if supports.get(column) != Some(&Support::Bits) {
                let listed: Vec<String> = all.iter().map(|d| (d + 1).to_string()).collect();
                let what = format!("z{bit} is no bit of the code");
                return Err(ConfigError::value("bits", what, format!("the bits are {}", listed.join(", "))));
            }
            if columns.contains(&column) {
                return Err(ConfigError::value(
                    "bits",
                    format!("z{bit} is named twice"),
                    "name each bit once",
                ));
            }
            columns.push(column);
        }
        Ok(if columns.is_empty() { all.to_vec() } else { columns })
    }
}

impl Settings<dyn Term> for LabelSettings {
    fn formula(&self) -> Option<String> {
        Some("−Σ_j ln q(z_j = y_j|x)".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        let share = self.labelled;
        if !(share.is_finite() && share > 0.0) || (share > 1.0 && share.fract() != 0.0) {
            let what = format!("{share} is neither a share of rows nor a number of them");
            return Err(ConfigError::value(
                "labelled",
                what,
                "give 0.05 for 5 %, 200 for 200 rows, 1 for all",
            ));
        }
        self.meaning(context.facts, &context.latent)?;
        if !context.posterior_factorises {
            return Err(ConfigError::combination(
                "a bit's label wants q(z_j|x), and the density of this posterior does not split over dimensions",
                "use posterior.kind = \"bits\", beside \"diagonal-normal\" where blocks are wanted",
            ));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        let meaning = self.meaning(context.facts, &context.latent)?;
        let Some(data) = context.data else {
            return Ok(Box::new(Label { meaning, rows: None, scale: 1.0, about: None }));
        };
        let ids = data.ids(Split::Train);
        let mut classes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (&id, label) in ids.iter().zip(data.known_labels(Split::Train)) {
            label.into_iter().for_each(|label| classes.entry(label).or_default().push(id));
        }
        for class in meaning.classes() {
            if !classes.contains_key(&class) {
                let name = &context.facts.classes[class as usize];
                let what = format!("no training row is known to be of the class {name:?}");
                return Err(ConfigError::value(
                    "classes",
                    what,
                    "name other classes, or label some of its rows",
                ));
            }
        }
        if classes.len() < 2 {
            let what = "all labelled training rows are of one class";
            return Err(ConfigError::combination(what, "label some rows of another class"));
        }
        let key = Key::from_seed(0).fold("labelled").fold(context.facts.hash.as_str());
        let rows = chosen(classes.into_values().collect(), self.labelled, key);
        let scale = ids.len() as f64 / rows.len().max(1) as f64;
        let about = format!(
            "{} of {} training rows show their class; {}",
            thousands(rows.len() as u64),
            thousands(ids.len() as u64),
            meaning.describe(&context.facts.classes)
        );
        Ok(Box::new(Label { meaning, rows: Some(rows), scale, about: Some(about) }))
    }
}

/// `share` of the rows of each class (above 1 so many together), at least one of each: those that come first in a keyed order.
fn chosen(classes: Vec<Vec<u64>>, share: f64, key: Key) -> HashSet<u64> {
    let all: usize = classes.iter().map(Vec::len).sum();
    let share = if share > 1.0 { share / all.max(1) as f64 } else { share };
    let mut rows = HashSet::new();
    let mut before = 0;
    for ids in classes {
        // Rounded together, so that no class's rounding adds to another's.
        let upto = |count: usize| (count as f64 * share).round() as usize;
        let count = upto(before + ids.len()) - upto(before);
        before += ids.len();
        let order = key.fold(before).permutation(ids.len());
        rows.extend(order.into_iter().take(count.max(1)).map(|place| ids[place]));
    }
    rows
}

struct Label {
    meaning: Meaning,
    /// The ids of the training rows whose label may be seen; none for all.
    rows: Option<HashSet<u64>>,
    /// N/M
    scale: f64,
    /// How many those are, and what the code means.
    about: Option<String>,
}

impl Term for Label {
    /// `[n]`; undefined where the rows have no classes.
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let labels = pass.batch.labels.as_ref()?;
        let training = pass.view.is_training();
        let known = |row: usize| {
            let chosen = self.rows.as_ref().is_none_or(|rows| rows.contains(&pass.batch.ids[row]));
            labels[row] != UNKNOWN_CLASS && (chosen || !training)
        };
        let (n, dims) = (labels.len(), pass.view.model.latent.dims());
        let labelled = (0..n).filter(|&row| known(row)).count();
        let scale = if training { self.scale } else { n as f64 / labelled.max(1) as f64 };
        let (mut wanted, mut counts) = (vec![0.0; n * dims], vec![0.0; n * dims]);
        for row in (0..n).filter(|&row| known(row)) {
            for (column, value) in self.meaning.wanted(labels[row]) {
                wanted[row * dims + column] = value;
                counts[row * dims + column] = scale;
            }
        }
        if labelled == 0 && !training {
            return None;
        }
        let device = Device::of(&pass.batch.x);
        let log_q = pass.q.log_density_per_dimension(&Latent::new(device.tensor(wanted, [n, dims])))?;
        let value = sum_dimensions(log_q * device.tensor_f64(counts, [n, dims])).neg();
        let penalty = (!training).then(|| value.zeros_like());
        Some(Value { log: value, penalty })
    }

    fn note(&self) -> Option<String> {
        self.about.clone()
    }
}

impl Life for Label {}
