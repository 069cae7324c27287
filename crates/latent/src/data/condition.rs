//! What a model is told beside x: a row of numbers c for each row of x, so that it learns p(x | c).
//!
//! ```text
//! data.condition = ["label", "age"]   →   c = (0, 1, 0, …,  (age − mean) / deviation)
//! ```
//!
//! A class is one-hot over the classes of the training data; a number is standardised by mean and deviation
//! over the training rows. [`Facts::condition`](super::Facts) keeps both, so that other data, and what a user
//! types later, means the same.

use serde::{Deserialize, Serialize};

use super::classes::{class_names, listed, nearest};
use super::dataset::Dataset;
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
        match self {
            Self::Class { classes, .. } => classes.len(),
            Self::Number { .. } => 1,
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
            Self::Class { name, classes, .. } => write!(f, "{name} ({} classes)", classes.len()),
            Self::Number { name, mean, deviation, range: [least, most] } => {
                write!(f, "{name} ({least} to {most}, mean {mean:.4}, deviation {deviation:.4})")
            }
        }
    }
}

/// What `data.condition` asks for, before any row was read.
pub(crate) fn asked(settings: &DataSettings) -> Vec<Attribute> {
    let attribute = |name: &String| {
        if is_label(settings, name) {
            let name = settings.label.clone().unwrap_or_else(|| LABEL.into());
            Attribute::Class { name, classes: Vec::new(), counts: Vec::new() }
        } else {
            Attribute::Number { name: name.clone(), mean: 0.0, deviation: 1.0, range: [0.0; 2] }
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
    like.map_or_else(|| numbers_of(&asked(settings)), |facts| numbers_of(&facts.condition))
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
        } else if rows.numbers(name).is_none() {
            let numbers = rows.number_names();
            let (what, remedy) = match rows.format() {
                "memory" => (
                    format!("the rows in memory have no numbers {name:?}{}", nearest(name, &numbers)),
                    match numbers.len() {
                        0 => "give them with `Memory::condition`".to_string(),
                        _ => format!("they have {}", listed(&numbers)),
                    },
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

/// Checks that data beside the training data, or for a trained model, holds what the model is told.
pub(crate) fn check_told(attributes: &[Attribute], rows: &dyn Dataset) -> Result<(), DataError> {
    for attribute in attributes {
        let name = attribute.name();
        match attribute {
            Attribute::Class { .. } if rows.labels().is_none() => {
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
    let Some(labels) = rows.labels() else { return Ok(()) };
    let found = class_names(labels, fashion);
    for attribute in attributes {
        let Attribute::Class { classes, .. } = attribute else { continue };
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
        "images" => "put the images of each class into a subfolder of its name",
        "idx" => "lay the file of labels beside the images, named as MNIST's",
        "npy" => "store x and labels together in one npz file, as the arrays x and y",
        "npz" => "add the classes as an array of integers named y",
        "memory" => "give them with `Memory::labels`",
        _ => "give data with labels",
    }
}

/// Fills in what the training rows tell: the classes with `counts`, and mean, deviation and range of `numbers`, the
/// training rows' values of each number in the order of the attributes.
pub(crate) fn resolve(
    attributes: &mut [Attribute],
    names: &[String],
    rows_of: &[u64],
    numbers: &[Vec<f64>],
) -> Result<(), DataError> {
    let mut numbers = numbers.iter();
    for attribute in attributes {
        match attribute {
            Attribute::Class { name, classes, counts } => {
                if names.len() > MOST_CLASSES {
                    return Err(DataError::setting(
                        "condition",
                        format!(
                            "{name:?} has {} classes, and {MOST_CLASSES} can be told at most",
                            names.len()
                        ),
                        "leave it out, or choose fewer with data.classes",
                    ));
                }
                *classes = names.to_vec();
                *counts = rows_of.to_vec();
            }
            Attribute::Number { mean, deviation, range, .. } => {
                let Some(values) = numbers.next().filter(|values| !values.is_empty()) else { continue };
                let mut moments = Moments::new(1);
                values.iter().for_each(|&value| moments.add(&[value], true));
                let (least, greatest) = moments.train.range();
                let (means, variances) = moments.mean_and_variance();
                *mean = means[0];
                let spread = variances[0].sqrt().max(f64::from(f32::MIN_POSITIVE));
                *deviation = if least < greatest { spread } else { 1.0 };
                *range = [least, greatest];
            }
        }
    }
    Ok(())
}

/// The numbers that are told of each row of a source, a list for each attribute that is one, as the model sees them.
pub(crate) fn standardised(attributes: &[Attribute], rows: &dyn Dataset) -> Result<Vec<Vec<f32>>, DataError> {
    let mut lists = Vec::new();
    for attribute in attributes {
        let Attribute::Number { name, mean, deviation, .. } = attribute else { continue };
        let values = rows.numbers(name).unwrap_or_default();
        let list: Vec<f32> =
            values.iter().map(|&value| Attribute::standardised(value, *mean, *deviation)).collect();
        if let Some(row) = list.iter().position(|value| !value.is_finite()) {
            let what = format!("{name:?} is {} in row {row}, too far from what the model knows", values[row]);
            return Err(DataError::mismatch(rows.path(), what, "give it in the units of the training data"));
        }
        lists.push(list);
    }
    Ok(lists)
}

/// Appends c of one row: its class, and its number for each attribute that is one (as the model sees it).
pub(crate) fn append(
    attributes: &[Attribute],
    label: Option<u32>,
    mut numbers: impl Iterator<Item = f32>,
    out: &mut Vec<f32>,
) {
    for attribute in attributes {
        match attribute {
            Attribute::Class { classes, .. } => {
                let place = label.map(|label| label as usize);
                out.extend((0..classes.len()).map(|class| f32::from(u8::from(Some(class) == place))));
            }
            Attribute::Number { .. } => out.push(numbers.next().unwrap_or(0.0)),
        }
    }
}
