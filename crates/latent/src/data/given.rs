//! Conditions as a user types them: `label=Trouser`, `age=30` → the numbers c that the model is told.

use super::classes::{find, listed, nearest};
use super::condition::{self, Attribute};
use super::settings::Class;
use super::{DataError, Facts};
use crate::Key;

/// The word for a value that is not known.
const UNKNOWN: &str = "unknown";

impl Facts {
    /// How many numbers c a model of this data is told beside each row; 0 where it is told nothing.
    pub fn condition_width(&self) -> usize {
        self.condition.iter().map(Attribute::width).sum()
    }

    /// The row of numbers c, `[condition_width]`, for assignments such as `("label", "Trouser")`, `("age", "30")`.
    /// A class is given by name, or by its place counted from 0; a number in the user's units.
    ///
    /// # Errors
    /// [`DataError::Condition`] for an unknown name or class (with the nearest), a number that is none, a name
    /// given twice, and an attribute that is not given (unless there is only one class).
    pub fn condition_of(&self, given: &[(String, String)]) -> Result<Vec<f32>, DataError> {
        let mut values = self.condition_given(given)?;
        for (attribute, value) in self.condition.iter().zip(&mut values) {
            match attribute {
                _ if attribute.may_be_unknown() => *value = value.or(Some(f32::NAN)),
                Attribute::Class { classes, .. } if classes.len() == 1 => *value = value.or(Some(0.0)),
                _ if value.is_none() => return Err(missing(attribute)),
                _ => {}
            }
        }
        let mut row = Vec::with_capacity(self.condition_width());
        self.append(&values, &mut row);
        Ok(row)
    }

    /// As [`condition_of`](Self::condition_of), a row of numbers for each of `ids`, `[ids, condition_width]`,
    /// where a class that is not given is drawn as often as the training rows have it, or, where the model has learned what
    /// that means, is unknown. The draw is a function of
    /// `key` and the row's id alone.
    ///
    /// # Errors
    /// As [`condition_of`](Self::condition_of); only a number that is not given is missing.
    pub fn condition_drawn(
        &self,
        given: &[(String, String)],
        key: Key,
        ids: &[u64],
    ) -> Result<Vec<f32>, DataError> {
        let values = self.condition_given(given)?;
        for (attribute, value) in self.condition.iter().zip(&values) {
            if value.is_none() && !attribute.may_be_unknown() && matches!(attribute, Attribute::Number { .. })
            {
                return Err(missing(attribute));
            }
        }
        let key = key.fold("condition");
        let mut rows = Vec::with_capacity(ids.len() * self.condition_width());
        for &id in ids {
            let mut row = values.clone();
            for (index, (attribute, value)) in self.condition.iter().zip(&mut row).enumerate() {
                match (attribute, &value) {
                    (_, None) if attribute.may_be_unknown() => *value = Some(f32::NAN),
                    (Attribute::Class { classes, counts, .. }, None) => {
                        *value = Some(drawn(classes.len(), counts, key.fold(id).fold(index)) as f32);
                    }
                    _ => {}
                }
            }
            self.append(&row, &mut rows);
        }
        Ok(rows)
    }

    /// What is given in the place of what the rows say themselves: `conditions` `[rows, condition_width]` change in what
    /// belongs to the attributes that are named.
    ///
    /// # Errors
    /// As [`condition_of`](Self::condition_of), except that nothing needs to be given.
    pub fn condition_instead(
        &self,
        given: &[(String, String)],
        conditions: &mut [f32],
    ) -> Result<(), DataError> {
        let values = self.condition_given(given)?;
        let width = self.condition_width().max(1);
        for row in conditions.chunks_exact_mut(width) {
            let mut rest = row;
            for (attribute, value) in self.condition.iter().zip(&values) {
                let (own, others) = rest.split_at_mut(attribute.width());
                if let Some(value) = value {
                    let mut told = Vec::with_capacity(own.len());
                    attribute.append(*value, &mut told);
                    own.copy_from_slice(&told);
                }
                rest = others;
            }
        }
        Ok(())
    }

    /// Which attribute a user means: the one of that name, or, by `label`, the class of rows.
    fn attribute_named(&self, name: &str) -> Option<usize> {
        let mut all = self.condition.iter();
        let is_label = |attribute: &Attribute| match attribute {
            Attribute::Class { classes, .. } => *classes == self.classes,
            Attribute::Number { .. } => false,
        };
        let named = all.position(|attribute| attribute.name() == name);
        let label = || self.condition.iter().position(is_label);
        let any = || self.condition.iter().position(|attribute| attribute.answers_to(name));
        named.or_else(|| label().filter(|_| name == condition::LABEL)).or_else(any)
    }

    /// What was given for each attribute: the place of a class, a standardised number, NaN for `unknown`.
    pub(crate) fn condition_given(&self, given: &[(String, String)]) -> Result<Vec<Option<f32>>, DataError> {
        let mut values = vec![None; self.condition.len()];
        for (name, text) in given {
            let wrong = |what: String, remedy: String| {
                Err(DataError::condition(format!("{name}={text}"), what, remedy))
            };
            let Some(index) = self.attribute_named(name) else {
                let names: Vec<String> = self.condition.iter().map(|a| a.name().to_string()).collect();
                return if names.is_empty() {
                    let remedy = format!("leave it out, or train with data.condition = [{name:?}]");
                    wrong("the model is told nothing beside x".into(), remedy)
                } else {
                    let what = format!("the model is told no {name:?}{}", nearest(name, &names));
                    wrong(what, format!("it is told {}", listed(&names)))
                };
            };
            if values[index].is_some() {
                return wrong(format!("{name:?} was given before"), "give it once".into());
            }
            values[index] = Some(match &self.condition[index] {
                attribute if attribute.may_be_unknown() && text == UNKNOWN => f32::NAN,
                Attribute::Class { classes, .. } => {
                    let number = text.parse().ok().filter(|_| !classes.contains(text));
                    let class = number.map_or_else(|| Class::Name(text.clone()), Class::Number);
                    match find(&class, classes) {
                        Ok(place) => place as f32,
                        Err((what, remedy)) => return wrong(what, remedy),
                    }
                }
                Attribute::Number { mean, deviation, range: [least, most], .. } => {
                    let value = text.trim().parse::<f64>().ok().filter(|value| value.is_finite());
                    let number = value.map(|value| Attribute::standardised(value, *mean, *deviation));
                    match number.filter(|number| number.is_finite()) {
                        Some(number) => number,
                        None => {
                            let remedy =
                                format!("give a number; the training rows reach from {least} to {most}");
                            return wrong(format!("{text:?} is no finite number"), remedy);
                        }
                    }
                }
            });
        }
        Ok(values)
    }

    fn append(&self, values: &[Option<f32>], out: &mut Vec<f32>) {
        condition::append(&self.condition, values.iter().map(|value| value.unwrap_or(f32::NAN)), out);
    }
}

/// A class drawn as often as the training rows have it.
fn drawn(classes: usize, counts: &[u64], key: Key) -> usize {
    let total: f64 = counts.iter().take(classes).map(|&count| count as f64).sum();
    let mut uniform = [0.0];
    key.uniforms(&mut uniform);
    if total == 0.0 {
        return (f64::from(uniform[0]) * classes as f64) as usize;
    }
    let (wanted, mut below) = (f64::from(uniform[0]) * total, 0.0);
    let mut last = 0;
    for (class, &count) in counts.iter().enumerate().take(classes).filter(|(_, count)| **count > 0) {
        below += count as f64;
        last = class;
        if wanted < below {
            break;
        }
    }
    last
}

fn missing(attribute: &Attribute) -> DataError {
    let name = attribute.name();
    match attribute {
        Attribute::Class { classes, .. } => DataError::condition(
            name,
            "no class is given",
            format!("add --condition {name}=CLASS; the classes are {}", listed(classes)),
        ),
        Attribute::Number { range: [least, most], .. } => DataError::condition(
            name,
            "its value is not given",
            format!("add --condition {name}=VALUE; the training rows reach from {least} to {most}"),
        ),
    }
}
