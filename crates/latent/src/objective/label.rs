//! Label: bits that mean a class, from the labels of some training rows.
//!
//! L = −Σ_j ln q(z_j = y_j | x)  in nats, the mean over labelled rows;  y_j is 1 in the j-th class and 0 in the others
//!
//! Likelihood picks the bits that explain most, not those that have a name; this is what a name costs. An unlabelled row counts 0 and
//! a labelled one N/M, with M labelled of N training rows: in any batch that is right on average, and no row knows of another. Which
//! rows are labelled is a function of the data and its seed. Held-out rows are read without their labels: there the term is in the
//! log, over all that have one, and never in the loss, so that no choice of weights has seen them.
//!
//! Reference: the classifier's part of M2 in Kingma, Rezende, Mohamed & Welling, *Semi-supervised Learning with Deep Generative Models*
//! (arXiv 1406.5298), equation 9, with q(z_j|x) in the place of q(y|x).

use std::collections::{BTreeMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::batch::{Latent, LatentShape, Support};
use crate::config::ConfigError;
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
    /// Their bits, counted from 1 as in z1, z2 …; empty for the first ones.
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
    const ABOUT: &'static str = "−ln q(z_j = y|x): bits that mean a class, from the labels of some rows";
}

impl LabelSettings {
    /// The column of each bit that has a name, and the class in which it is 1.
    ///
    /// # Errors
    /// Settings that make no sense with these classes and these codes.
    pub fn named(&self, facts: &Facts, latent: &LatentShape) -> Result<Vec<(usize, u32)>, ConfigError> {
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
            return Err(ConfigError::combination(
                "a label is said by bits of the code, and this posterior has none",
                "use posterior.kind = \"bits\" (preset bit-ae), or leave the term out",
            ));
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
        Ok(bits.into_iter().zip(places.into_iter().map(|place| place as u32)).collect())
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
        self.named(context.facts, &context.latent)?;
        if !context.posterior_factorises {
            return Err(ConfigError::combination(
                "a bit's label wants q(z_j|x), and the density of this posterior does not split over dimensions",
                "use posterior.kind = \"bits\", beside \"diagonal-normal\" where blocks are wanted",
            ));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        let named = self.named(context.facts, &context.latent)?;
        let Some(data) = context.data else {
            return Ok(Box::new(Label { named, rows: None, scale: 1.0, about: None }));
        };
        let ids = data.ids(Split::Train);
        let mut classes: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
        for (&id, label) in ids.iter().zip(data.known_labels(Split::Train)) {
            label.into_iter().for_each(|label| classes.entry(label).or_default().push(id));
        }
        for &(_, class) in &named {
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
        let bit = |&(column, class): &(usize, u32)| {
            let name = context.facts.classes.get(class as usize).map_or("?", String::as_str);
            format!("z{} is 1 in {}", column + 1, shown(name))
        };
        let about = format!(
            "{} of {} training rows show their class; {}",
            thousands(rows.len() as u64),
            thousands(ids.len() as u64),
            named.iter().map(bit).collect::<Vec<_>>().join(", ")
        );
        Ok(Box::new(Label { named, rows: Some(rows), scale, about: Some(about) }))
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
    /// The column of each bit, and the class in which it is 1.
    named: Vec<(usize, u32)>,
    /// The ids of the training rows whose label may be seen; none for all.
    rows: Option<HashSet<u64>>,
    /// N/M
    scale: f64,
    /// How many those are, and what the bits mean.
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
            for &(column, class) in &self.named {
                wanted[row * dims + column] = f32::from(u8::from(labels[row] == class));
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
