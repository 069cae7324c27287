//! What rows say under a name: a column of x, or what stands beside them (a table of attributes, their files' names, factors).
//!
//! A direction toward a number v is where codes go as it grows, by least squares of each latent on v:
//!
//! b = Cov(z, v) / Var(v),   so that z + b (v* − v) is on average the code of a row that has v* in the place of v.
//!
//! Toward a word it leads from the mean code of the rows that say another to that of those that say it.

use super::edit::refused;
use super::{Direction, Result};
use crate::array::Array;
use crate::config::nearest;
use crate::data::{Attribute, Data, DataSettings, Split};
use crate::key::Key;
use crate::model::Model;

/// What rows say, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// Numbers; NaN where it is not known.
    Numbers(Vec<f64>),
    /// Words.
    Words(Vec<Option<String>>),
}

/// Rows of x that are read at once.
const PART: usize = 512;

impl Model {
    /// What rows of the model's own data say under a name, at these positions of a split. What stands beside x is read anew.
    ///
    /// # Errors
    /// [`ModelError::Foreign`](crate::model::ModelError::Foreign) for a name under which nothing is said; what reading rows says.
    pub fn said(
        &self,
        data: &Data,
        split: Split,
        positions: &[usize],
        name: &str,
        note: &mut dyn FnMut(String),
    ) -> Result<Said> {
        if let Some(said) = self.said_in(data, split, positions, name)? {
            return Ok(said);
        }
        // Rows may say nothing there; nothing is hidden of those that do.
        let settings = DataSettings {
            condition: vec![name.to_string()],
            condition_dropout: Some(0.0),
            ..self.data.clone()
        };
        let asked = Data::open(&settings, Key::from_seed(self.seed), note).map_err(|error| {
            let what = format!("nothing says {name:?} of the rows that the model was trained on: {error}");
            let columns = nearest(name, self.facts.columns.iter().map(String::as_str));
            let hint = columns.map(|column| format!("; the column {column:?} is one")).unwrap_or_default();
            refused(what, format!("or give two groups of rows, by --from and --to{hint}"))
        })?;
        let Some(attribute) = asked.facts().condition.first() else { return Ok(Said::Numbers(Vec::new())) };
        let values = positions.iter().map(|&position| {
            let id = data.ids(split).get(position).copied();
            id.and_then(|id| asked.told(id).first().copied()).unwrap_or(f32::NAN)
        });
        Ok(match attribute {
            Attribute::Number { mean, deviation, .. } => {
                Said::Numbers(values.map(|value| mean + deviation * f64::from(value)).collect())
            }
            Attribute::Class { classes, .. } => {
                let word =
                    |place: f32| (!place.is_nan()).then(|| classes.get(place as usize).cloned()).flatten();
                Said::Words(values.map(word).collect())
            }
        })
    }

    /// What rows hold in the column of x of that name; none where there is none.
    ///
    /// # Errors
    /// What reading rows says.
    pub fn said_in(
        &self,
        data: &Data,
        split: Split,
        positions: &[usize],
        name: &str,
    ) -> Result<Option<Said>> {
        let table = self.facts.table.as_deref();
        let named = || self.facts.columns.iter().position(|column| column == name);
        let Some(place) = table.map_or_else(named, |table| table.place(name)) else { return Ok(None) };
        let width = self.facts.shape.features();
        let mut values = Vec::with_capacity(positions.len());
        for part in positions.chunks(PART) {
            let rows = data.rows(split, part, 0)?;
            let mut own = vec![0.0; rows.x.len()];
            match table {
                Some(table) => table.value_from_x(&rows.x, &mut own),
                None => self.facts.normalisation.value_from_x(&rows.x, &mut own),
            }
            own.iter_mut()
                .zip(&rows.mask)
                .filter(|(_, mask)| **mask == 0.0)
                .for_each(|(own, _)| *own = f64::NAN);
            values.extend(own.into_iter().skip(place).step_by(width));
        }
        let column = table.and_then(|table| table.modelled().nth(place));
        Ok(Some(match column.filter(|column| !column.is_ordered()) {
            Some(column) => {
                let word = |value: f64| (!value.is_nan()).then(|| column.word(value));
                Said::Words(values.into_iter().map(word).collect())
            }
            None => Said::Numbers(values),
        }))
    }
}

impl Direction {
    /// Where codes, `rows × dims`, go as a number of theirs grows by 1: b. Rows whose number is not known are left out.
    ///
    /// # Errors
    /// [`ModelError::Foreign`](crate::model::ModelError::Foreign) where all known numbers are alike, or codes don't follow them.
    pub fn along(codes: &Array, numbers: &[f64]) -> Result<Self> {
        let known: Vec<usize> =
            (0..codes.rows().min(numbers.len())).filter(|&row| numbers[row].is_finite()).collect();
        let n = known.len().max(1) as f64;
        let middle = known.iter().map(|&row| numbers[row]).sum::<f64>() / n;
        let variance = known.iter().map(|&row| (numbers[row] - middle).powi(2)).sum::<f64>() / n;
        if variance <= 0.0 {
            let what =
                "all rows say the same number, or none says one: nothing shows where codes go as it grows";
            return Err(refused(what, "name another, or give rows that differ in it"));
        }
        let mut mean = vec![0.0; codes.width()];
        for &row in &known {
            mean.iter_mut().zip(codes.row(row)).for_each(|(m, z)| *m += f64::from(*z) / n);
        }
        let mut slope = vec![0.0; codes.width()];
        for &row in &known {
            let off = (numbers[row] - middle) / (n * variance);
            let code = codes.row(row).iter().zip(&mean);
            slope.iter_mut().zip(code).for_each(|(b, (z, m))| *b += off * (f64::from(*z) - m));
        }
        Self::new(slope.into_iter().map(|b| b as f32).collect(), [known.len(); 2])
    }

    /// From the mean code of the rows that say another word to that of the rows that say `word`.
    ///
    /// # Errors
    /// As [`Direction::between`]; a word that no row says.
    pub fn toward_word(codes: &Array, words: &[Option<String>], word: &str) -> Result<Self> {
        let group = |is: bool| {
            let rows = words
                .iter()
                .enumerate()
                .filter(|(_, own)| own.as_ref().is_some_and(|own| (own == word) == is));
            Array::matrix(rows.flat_map(|(row, _)| codes.row(row).to_vec()).collect(), codes.width())
        };
        let to = group(true);
        if to.rows() == 0 {
            let mut known: Vec<&str> = words.iter().flatten().map(String::as_str).collect();
            known.sort_unstable();
            known.dedup();
            let remedy = match nearest(word, known.iter().copied()) {
                Some(nearest) => format!("did you mean {nearest:?}?"),
                None => format!("they say {}", known.join(", ")),
            };
            return Err(refused(format!("no training row says {word:?}"), remedy));
        }
        Self::between(&group(false), &to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direction_along_a_number_is_the_slope_of_least_squares() {
        // z = (2 v + 1, 5, −v) with what is uncorrelated with v in the second latent; one row says nothing.
        let numbers = [0.0, 1.0, 2.0, 3.0, f64::NAN];
        let codes =
            [[1.0, 5.0, 0.0], [3.0, 6.0, -1.0], [5.0, 6.0, -2.0], [7.0, 5.0, -3.0], [99.0, 99.0, 99.0]];
        let codes = Array::matrix(codes.concat(), 3);
        let direction = Direction::along(&codes, &numbers).expect("a direction");
        for (found, wanted) in direction.vector().iter().zip([2.0, 0.0, -1.0]) {
            assert!((found - wanted).abs() < 1e-6, "{:?}", direction.vector());
        }
        assert_eq!(direction.rows(), [4, 4]);
        let same = Direction::along(&codes, &[2.0, 2.0, 2.0, 2.0, f64::NAN]).unwrap_err().to_string();
        assert!(same.contains("the same number"), "{same}");
        let still = Array::matrix(vec![1.0; 8], 2);
        assert!(Direction::along(&still, &[0.0, 1.0, 2.0, 3.0]).is_err());
    }

    #[test]
    fn a_direction_toward_a_word_leaves_out_rows_that_say_nothing() {
        let codes = Array::matrix(vec![0.0, 0.0, 2.0, 4.0, 5.0, 1.0, 9.0, 9.0], 2);
        let words = ["no", "no", "yes", ""].map(|word| (!word.is_empty()).then(|| word.to_string()));
        let direction = Direction::toward_word(&codes, &words, "yes").expect("two groups");
        assert_eq!((direction.vector(), direction.rows()), (&[4.0, -1.0][..], [2, 1]));
        let unknown = Direction::toward_word(&codes, &words, "yess").unwrap_err().to_string();
        assert!(unknown.contains("did you mean \"yes\""), "{unknown}");
    }
}
