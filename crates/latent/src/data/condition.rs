//! What a model is told beside x: a row of numbers c for each row of x, so that it learns p(x | c).
//!
//! ```text
//! data.condition = ["label", "age"]   →   c = (0, 1, 0, …,  (age − mean) / deviation)
//! ```
//!
//! A class is one-hot over the classes of the training data; a number is standardised by mean and deviation
//! over the training rows. [`Facts::condition`](super::Facts) keeps both, so that other data, and what a user
//! types later, means the same.
//!
//! Under `data.condition_dropout` each attribute has one input more, which is 1 (and the others 0) where its value is
//! unknown: missing in the data, or hidden by chance in training, so that p(x) is learned beside p(x | c).
//!
//! Reference: Ho and Salimans, *Classifier-free diffusion guidance* (arXiv 2207.12598), for conditions hidden by chance.

use serde::{Deserialize, Serialize};

use super::classes::{class_names, listed, nearest};
use super::dataset::{Dataset, Labels};
use super::moments::Moments;
use super::{DataError, DataSettings, Facts};

/// The name that stands for the class of each row, whatever the column of labels is called.
pub(crate) const LABEL: &str = "label";

/// A one-hot row is no wider than this.
const MOST_CLASSES: usize = 4096;

/// One thing that a model is told beside x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Attribute {
    /// The class of a row, one-hot: 1 in the place of the class, 0 in the others.
    Class {
        /// The column of labels, or `label` where the data has no columns.
        name: String,
        /// The names of the classes, in the order of their places.
        classes: Vec<String>,
        /// How many training rows each class has.
        counts: Vec<u64>,
        /// Whether a row's class may be unknown: an input more says so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
    /// A number, standardised: `(value − mean) / deviation`.
    Number {
        /// The column.
        name: String,
        /// The mean over the training rows, in the user's units.
        mean: f64,
        /// The standard deviation over the training rows, in the user's units; 1 where they are all alike.
        deviation: f64,
        /// The least and greatest value of the training rows, in the user's units.
        range: [f64; 2],
        /// Whether a row's number may be unknown: an input more says so.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        unknown: bool,
    },
}

impl Attribute {
    /// The name under which it is given.
    pub fn name(&self) -> &str {
        match self {
            Self::Class { name, .. } | Self::Number { name, .. } => name,
        }
    }

    /// How many numbers of c it takes.
    pub fn width(&self) -> usize {
        let known = match self {
            Self::Class { classes, .. } => classes.len(),
            Self::Number { .. } => 1,
        };
        known + usize::from(self.may_be_unknown())
    }

    /// Whether the model knows what it means that the value is unknown.
    pub fn may_be_unknown(&self) -> bool {
        match self {
            Self::Class { unknown, .. } | Self::Number { unknown, .. } => *unknown,
        }
    }

    /// Appends the inputs of one value: the place of a class, a standardised number, or NaN for unknown.
    pub(crate) fn append(&self, value: f32, out: &mut Vec<f32>) {
        match self {
            Self::Class { classes, .. } => {
                out.extend((0..classes.len()).map(|class| f32::from(u8::from(class as f32 == value))));
            }
            Self::Number { .. } => out.push(if value.is_nan() { 0.0 } else { value }),
        }
        if self.may_be_unknown() {
            out.push(f32::from(u8::from(value.is_nan())));
        }
    }

    /// What [`append`](Self::append) was given: the place of a class, a standardised number, or NaN for unknown.
    fn read(&self, own: &[f32]) -> f32 {
        let (known, unknown) = own.split_at(own.len() - usize::from(self.may_be_unknown()));
        match self {
            _ if unknown.first().is_some_and(|unknown| *unknown > 0.5) => f32::NAN,
            Self::Class { .. } => known.iter().position(|v| *v > 0.5).map_or(f32::NAN, |place| place as f32),
            Self::Number { .. } => known[0],
        }
    }

    /// Whether `name` means this attribute.
    pub(crate) fn answers_to(&self, name: &str) -> bool {
        self.name() == name || (name == LABEL && matches!(self, Self::Class { .. }))
    }

    /// The number of the user as the model sees it.
    pub(crate) fn standardised(value: f64, mean: f64, deviation: f64) -> f32 {
        ((value - mean) / deviation) as f32
    }
}

impl std::fmt::Display for Attribute {
    /// `kind (2 classes)` or `age (18 to 80, mean 40.5, deviation 12.1)`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Class { name, classes, .. } => write!(f, "{name} ({} classes", classes.len())?,
            Self::Number { name, mean, deviation, range: [least, most], .. } => {
                write!(f, "{name} ({least} to {most}, mean {mean:.4}, deviation {deviation:.4}")?;
            }
        }
        f.write_str(if self.may_be_unknown() { ", or unknown)" } else { ")" })
    }
}

/// What `data.condition` asks for of such rows, before any was read: attributes of words are classes.
pub(crate) fn asked(settings: &DataSettings, rows: &dyn Dataset) -> Vec<Attribute> {
    let unknown = settings.condition_dropout.is_some();
    let attribute = |name: &String| {
        if is_label(settings, name) {
            let name = settings.label.clone().unwrap_or_else(|| LABEL.into());
            Attribute::Class { name, classes: Vec::new(), counts: Vec::new(), unknown }
        } else if rows.words(name).is_some() {
            Attribute::Class { name: name.clone(), classes: Vec::new(), counts: Vec::new(), unknown }
        } else {
            Attribute::Number { name: name.clone(), mean: 0.0, deviation: 1.0, range: [0.0; 2], unknown }
        }
    };
    settings.condition.iter().map(attribute).collect()
}

/// Whether a name in `data.condition` means the class.
pub(crate) fn is_label(settings: &DataSettings, name: &str) -> bool {
    name == LABEL || settings.label.as_deref() == Some(name)
}

/// The columns of numbers that are told and so are no part of x: those of the model `like`, or those asked for.
pub(crate) fn number_names(settings: &DataSettings, like: Option<&Facts>) -> Vec<String> {
    let asked = || settings.condition.iter().filter(|name| !is_label(settings, name)).cloned().collect();
    like.map_or_else(asked, |facts| numbers_of(&facts.condition))
}

/// The names of the attributes that are numbers.
pub(crate) fn numbers_of(attributes: &[Attribute]) -> Vec<String> {
    let numbers = attributes.iter().filter(|attribute| matches!(attribute, Attribute::Number { .. }));
    numbers.map(|attribute| attribute.name().to_string()).collect()
}

/// The column of labels: the setting's, or the one that the model `like` was told.
pub(crate) fn label_name<'a>(settings: &'a DataSettings, like: Option<&'a Facts>) -> Option<&'a str> {
    settings.label.as_deref().or_else(|| {
        let mut attributes = like.map_or(&[][..], |facts| &facts.condition).iter();
        attributes.find(|attribute| matches!(attribute, Attribute::Class { .. })).map(Attribute::name)
    })
}

/// Checks that the data to train on holds what `data.condition` names.
pub(crate) fn check_asked(settings: &DataSettings, rows: &dyn Dataset) -> Result<(), DataError> {
    let path = rows.path().display();
    for name in &settings.condition {
        if is_label(settings, name) {
            if rows.labels().is_none() {
                return Err(DataError::setting(
                    "condition",
                    format!("{name:?} means the class of each row, and {path} has no labels"),
                    label_remedy(rows.format()),
                ));
            }
        } else if rows.numbers(name).is_none() && rows.words(name).is_none() {
            let numbers = rows.number_names();
            let (what, remedy) = match rows.format() {
                "memory" => (
                    format!("the rows in memory have no numbers {name:?}{}", nearest(name, &numbers)),
                    match numbers.len() {
                        0 => "give them with `Memory::condition`".to_string(),
                        _ => format!("they have {}", listed(&numbers)),
                    },
                ),
                "images" => (
                    format!("{name:?} names an attribute of images, and {path} has none"),
                    "lay a table beside the images and name it in data.attributes, or read their names by \
                     data.pattern"
                        .into(),
                ),
                format => (
                    format!("{name:?} names a column, and {path} is {format}, not csv"),
                    "condition on \"label\", the class of each row, or give a csv table with that column"
                        .into(),
                ),
            };
            return Err(DataError::setting("condition", what, remedy));
        }
    }
    Ok(())
}

/// The words of an attribute that is a class: those under its name, or else the labels.
pub(crate) fn classes_of<'a>(attribute: &Attribute, rows: &'a dyn Dataset) -> Option<&'a Labels> {
    rows.words(attribute.name()).or_else(|| rows.labels())
}

/// Checks that data beside the training data, or for a trained model, holds what the model is told, except for attributes
/// that were `given` otherwise or may be unknown.
pub(crate) fn check_told(
    attributes: &[Attribute],
    given: &[Option<f32>],
    rows: &dyn Dataset,
) -> Result<(), DataError> {
    for (index, attribute) in attributes.iter().enumerate() {
        if attribute.may_be_unknown() || given.get(index).is_some_and(Option::is_some) {
            continue;
        }
        let name = attribute.name();
        match attribute {
            Attribute::Class { .. } if classes_of(attribute, rows).is_none() => {
                let what =
                    format!("there are no labels, and the model is told the class of each row ({name})");
                return Err(DataError::mismatch(rows.path(), what, label_remedy(rows.format())));
            }
            Attribute::Number { .. } if rows.numbers(name).is_none() => {
                let what = format!("there is no column {name:?}, which the model is told beside x");
                let remedy = match rows.format() {
                    "memory" => "give it with `Memory::condition`",
                    _ => "give a csv table with that column",
                };
                return Err(DataError::mismatch(rows.path(), what, remedy));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks that a trained model knows the classes of other data.
pub(crate) fn check_classes(
    attributes: &[Attribute],
    rows: &dyn Dataset,
    fashion: bool,
) -> Result<(), DataError> {
    for attribute in attributes {
        let Attribute::Class { classes, .. } = attribute else { continue };
        let Some(labels) = classes_of(attribute, rows) else { continue };
        let found = class_names(labels, fashion);
        if let Some(unknown) = found.iter().find(|name| !classes.contains(name)) {
            let what =
                format!("the class {unknown:?} is none that the model is told{}", nearest(unknown, classes));
            let remedy = format!("leave its rows out, or name it as the model does: {}", listed(classes));
            return Err(DataError::mismatch(rows.path(), what, remedy));
        }
    }
    Ok(())
}

/// How each format gives labels.
fn label_remedy(format: &str) -> &'static str {
    match format {
        "csv" => "set data.label to the column that holds the class",
        "images" => {
            "put the images of each class into a subfolder of its name, or name a column of data.attributes or a part of \
             data.pattern in data.label"
        }
        "idx" => "lay the file of labels beside the images, named as MNIST's",
        "npy" => "store x and labels together in one npz file, as the arrays x and y",
        "npz" => "add the classes as an array of integers named y",
        "memory" => "give them with `Memory::labels`",
        _ => "give data with labels",
    }
}

/// What is told of one attribute of every row of a source: the place of a class among `classes`, a number in the user's
/// units; NaN where it is unknown. Empty where the source does not say.
pub(crate) fn values_of(attribute: &Attribute, rows: &dyn Dataset, fashion: bool) -> Vec<f64> {
    match attribute {
        Attribute::Number { name, .. } => rows.numbers(name).unwrap_or_default().to_vec(),
        Attribute::Class { classes, .. } => {
            let Some(labels) = classes_of(attribute, rows) else { return Vec::new() };
            let names = class_names(labels, fashion);
            let place = |name: &String| classes.iter().position(|class| class == name);
            let places: Vec<f64> =
                names.iter().map(|name| place(name).map_or(f64::NAN, |place| place as f64)).collect();
            labels.of.iter().map(|&of| places.get(of as usize).copied().unwrap_or(f64::NAN)).collect()
        }
    }
}

/// Fills in what the training rows tell. Classes come first, so that [`values_of`] knows their places: `labels` are those
/// of the class of each row, `words` says those of other attributes.
pub(crate) fn resolve_classes(
    attributes: &mut [Attribute],
    settings: &DataSettings,
    labels: &[String],
    words: impl Fn(&str) -> Vec<String>,
) -> Result<(), DataError> {
    for attribute in attributes {
        let Attribute::Class { name, classes, .. } = attribute else { continue };
        *classes = if is_label(settings, name) { labels.to_vec() } else { words(name) };
        if classes.len() > MOST_CLASSES {
            return Err(DataError::setting(
                "condition",
                format!("{name:?} has {} classes, and {MOST_CLASSES} can be told at most", classes.len()),
                "leave it out, or choose fewer with data.classes",
            ));
        }
    }
    Ok(())
}

/// Counts of classes, and mean, deviation and range of numbers, over the training rows' values of each attribute.
pub(crate) fn resolve(attributes: &mut [Attribute], training: &[Vec<f64>]) {
    for (attribute, values) in attributes.iter_mut().zip(training) {
        match attribute {
            Attribute::Class { classes, counts, .. } => {
                *counts = vec![0; classes.len()];
                for place in values.iter().filter(|place| !place.is_nan()) {
                    counts[*place as usize] += 1;
                }
            }
            Attribute::Number { mean, deviation, range, .. } => {
                let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
                if known.is_empty() {
                    continue;
                }
                let mut moments = Moments::new(1);
                known.iter().for_each(|&value| moments.add(&[value], true));
                let (least, greatest) = moments.train.range();
                let (means, variances) = moments.mean_and_variance();
                *mean = means[0];
                let spread = variances[0].sqrt().max(f64::from(f32::MIN_POSITIVE));
                *deviation = if least < greatest { spread } else { 1.0 };
                *range = [least, greatest];
            }
        }
    }
}

/// What is told of each row of a source as the model sees it, a list for each attribute: places of classes, standardised
/// numbers, NaN for unknown. Where the source does not say, what was `given`.
pub(crate) fn standardised(
    attributes: &[Attribute],
    given: &[Option<f32>],
    rows: &dyn Dataset,
    fashion: bool,
) -> Result<Vec<Vec<f32>>, DataError> {
    let mut lists = Vec::new();
    for (index, attribute) in attributes.iter().enumerate() {
        let given = given.get(index).copied().flatten();
        let mut values = values_of(attribute, rows, fashion);
        values.resize(rows.rows() as usize, f64::NAN);
        let seen = |&value: &f64| match attribute {
            _ if value.is_nan() => given.unwrap_or(f32::NAN),
            Attribute::Class { .. } => value as f32,
            Attribute::Number { mean, deviation, .. } => Attribute::standardised(value, *mean, *deviation),
        };
        let list: Vec<f32> = values.iter().map(seen).collect();
        let name = attribute.name();
        let beyond = |(value, seen): (&f64, &f32)| !value.is_nan() && !seen.is_finite();
        if let Some(row) = values.iter().zip(&list).position(beyond) {
            let what = format!("{name:?} is {} in row {row}, too far from what the model knows", values[row]);
            return Err(DataError::mismatch(rows.path(), what, "give it in the units of the training data"));
        }
        // A class that is none of the chosen ones has no place either, but its rows are in no split.
        let is_unknown = |row: &usize| match attribute {
            Attribute::Number { .. } => true,
            Attribute::Class { .. } => {
                classes_of(attribute, rows).is_none_or(|l| l.of[*row] == Labels::UNKNOWN)
            }
        };
        if !attribute.may_be_unknown()
            && let Some(row) = (0..list.len()).filter(|row| list[*row].is_nan()).find(is_unknown)
        {
            let what =
                format!("{name:?} is missing in row {row}, and the model has not learned what that means");
            let remedy = "fill it in, or train with data.condition_dropout = 0.1";
            return Err(DataError::mismatch(rows.path(), what, remedy));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Appends c of one row: a value of each attribute, as [`standardised`] has them.
pub(crate) fn append(attributes: &[Attribute], values: impl Iterator<Item = f32>, out: &mut Vec<f32>) {
    for (attribute, value) in attributes.iter().zip(values) {
        attribute.append(value, out);
    }
}

/// The values of each attribute, a list each, from c of rows one after the other: what [`append`] made them of.
pub(crate) fn values_told(attributes: &[Attribute], conditions: &[f32]) -> Vec<Vec<f32>> {
    let width: usize = attributes.iter().map(Attribute::width).sum();
    let mut lists = vec![Vec::with_capacity(conditions.len() / width.max(1)); attributes.len()];
    for mut row in conditions.chunks_exact(width.max(1)) {
        for (attribute, list) in attributes.iter().zip(&mut lists) {
            let (own, others) = row.split_at(attribute.width());
            list.push(attribute.read(own));
            row = others;
        }
    }
    lists
}
