//! Rows that can be read by position: what every reader offers, whatever the format behind it.
//!
//! Values leave a reader as `f64` in the user's units, an image in the order channel, row, column. Each
//! reader reads once from front to back in [`Dataset::scan`] (hash, NaN check, range, moments) and then by
//! position in [`Dataset::read`].

use std::collections::BTreeSet;
use std::path::Path;

use sha2::Sha256;

use super::{DataError, SampleShape};

/// What receives the rows of a scan: position and values.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(u64, &[f64]) -> Result<(), DataError>;

/// Rows that can be read by position.
pub(crate) trait Dataset: Send + Sync {
    /// The file or folder.
    fn path(&self) -> &Path;

    /// The format, as `data inspect` names it.
    fn format(&self) -> &'static str;

    /// How many rows there are, unreadable ones included.
    fn rows(&self) -> u64;

    /// The shape of a row.
    fn shape(&self) -> SampleShape;

    /// The type of a number in the file.
    fn number(&self) -> Number;

    /// The names of the columns of a table.
    fn columns(&self) -> &[String] {
        &[]
    }

    /// The class of each row.
    fn labels(&self) -> Option<&Labels> {
        None
    }

    /// The group of each row, numbered from 0: rows of one group stay in one split.
    fn groups(&self) -> Option<&[u32]> {
        None
    }

    /// The numbers of a column that is told beside x and is no part of it, one a row.
    fn numbers(&self, _name: &str) -> Option<&[f64]> {
        None
    }

    /// The words of an attribute that is told beside x, other than the class.
    fn words(&self, _name: &str) -> Option<&Labels> {
        None
    }

    /// The names under which numbers were given, for messages.
    fn number_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The name of a row, such as that of its file.
    fn name(&self, _row: u64) -> Option<String> {
        None
    }

    /// How much each row counts; absent where all count alike.
    fn weight(&self) -> Option<&[f32]> {
        None
    }

    /// What the columns are, where they are mixed: missing values are NaN in what is read, and gaps are part of x.
    fn table(&self) -> Option<&std::sync::Arc<super::Table>> {
        None
    }

    /// The name of a column of identifiers, which are no part of x, and that of each row.
    fn identifiers(&self) -> Option<(&str, &[String])> {
        None
    }

    /// Whether each row breaks a constraint of the table; nothing where none does.
    fn broken(&self) -> &[bool] {
        &[]
    }

    /// Whether values are missing: those are NaN in what is read.
    fn has_gaps(&self) -> bool {
        false
    }

    /// Refuses to go on where what is read by position is no longer what it was when it was opened.
    fn check_unchanged(&self) -> Result<(), DataError> {
        Ok(())
    }

    /// The values of one row.
    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError>;

    /// Reads everything once, in order: contents go to the hash, wanted rows to `visit`. Rows that
    /// can't be decoded are returned with the reason.
    fn scan(
        &self,
        threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError>;
}

/// The type of a number in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    Bool,
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    U64,
    I64,
    F32,
    F64,
}

impl Number {
    /// Bytes a number takes.
    pub(crate) fn bytes(self) -> usize {
        match self {
            Self::Bool | Self::U8 | Self::I8 => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 => 8,
        }
    }

    /// Whether it has a fractional part.
    pub(crate) fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64)
    }

    /// The usual short name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::U16 => "u16",
            Self::I16 => "i16",
            Self::U32 => "u32",
            Self::I32 => "i32",
            Self::U64 => "u64",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
        }
    }

    /// Numbers from little-endian bytes; `Err` holds the index of an integer that f64 can't hold exactly.
    pub(crate) fn decode(self, bytes: &[u8], values: &mut [f64]) -> Result<(), usize> {
        // Beyond 2⁵³ neighbouring integers share a double.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        macro_rules! each {
            ($type:ty) => {
                for (value, raw) in values.iter_mut().zip(bytes.as_chunks::<{ size_of::<$type>() }>().0) {
                    *value = <$type>::from_le_bytes(*raw) as f64;
                }
            };
        }
        match self {
            Self::Bool => {
                for (value, &raw) in values.iter_mut().zip(bytes) {
                    *value = f64::from(u8::from(raw != 0));
                }
            }
            Self::U8 => each!(u8),
            Self::I8 => each!(i8),
            Self::U16 => each!(u16),
            Self::I16 => each!(i16),
            Self::U32 => each!(u32),
            Self::I32 => each!(i32),
            Self::F32 => each!(f32),
            Self::F64 => each!(f64),
            Self::U64 | Self::I64 => {
                if self == Self::U64 {
                    each!(u64);
                } else {
                    each!(i64);
                }
                if let Some(index) = values.iter().position(|value| value.abs() >= EXACT) {
                    return Err(index);
                }
            }
        }
        Ok(())
    }
}

/// The classes of rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    /// The name of each class.
    pub classes: Vec<String>,
    /// The class of each row; [`Labels::UNKNOWN`] where it is missing.
    pub of: Vec<u32>,
}

/// More classes than this are taken for a mistake: an identity or a measurement.
const MOST_CLASSES: usize = 65_536;

impl Labels {
    /// The class of a row that nothing is known of.
    pub(crate) const UNKNOWN: u32 = super::UNKNOWN_CLASS;

    /// Numbers each distinct name, in numerical order where all are integers, else alphabetically; no name at all is of no
    /// known class.
    pub(crate) fn from_names(names: &[String]) -> Result<Self, String> {
        let distinct: BTreeSet<&String> = names.iter().filter(|name| !name.is_empty()).collect();
        if distinct.len() > MOST_CLASSES {
            return Err(format!("{} different labels are too many for classes", distinct.len()));
        }
        let mut classes: Vec<&String> = distinct.into_iter().collect();
        let as_numbers: Option<Vec<i64>> = classes.iter().map(|name| name.parse().ok()).collect();
        if as_numbers.is_some() {
            // The sort is stable, and every name parses.
            classes.sort_by_key(|name| name.parse::<i64>().unwrap_or_default());
        }
        let number: std::collections::HashMap<&String, u32> =
            classes.iter().enumerate().map(|(index, name)| (*name, index as u32)).collect();
        let of = names.iter().map(|name| number.get(name).copied().unwrap_or(Self::UNKNOWN)).collect();
        Ok(Self { classes: classes.into_iter().cloned().collect(), of })
    }

    /// Numbers each distinct integer, in order; the name of a class is the integer.
    pub(crate) fn from_numbers(numbers: &[f64]) -> Result<Self, String> {
        let mut distinct = BTreeSet::new();
        for (row, &number) in numbers.iter().enumerate() {
            if number.fract() != 0.0 || number.abs() > 1e15 {
                return Err(format!("the label of row {row} is {number}, which is no integer"));
            }
            distinct.insert(number as i64);
            if distinct.len() > MOST_CLASSES {
                return Err(format!("more than {MOST_CLASSES} different labels are too many for classes"));
            }
        }
        let number: std::collections::BTreeMap<i64, u32> =
            distinct.iter().enumerate().map(|(index, &label)| (label, index as u32)).collect();
        Ok(Self {
            classes: distinct.iter().map(ToString::to_string).collect(),
            of: numbers.iter().map(|&label| number[&(label as i64)]).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_numbered_in_their_natural_order() {
        let names = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        let labels = Labels::from_names(&names(&["10", "9", "10", "-1"])).unwrap();
        assert_eq!(labels.classes, ["-1", "9", "10"]);
        assert_eq!(labels.of, [2, 1, 2, 0]);
        let labels = Labels::from_names(&names(&["cat", "10", "ant"])).unwrap();
        assert_eq!(labels.classes, ["10", "ant", "cat"]);
        let labels = Labels::from_numbers(&[7.0, 3.0, 7.0]).unwrap();
        assert_eq!((labels.classes, labels.of), (names(&["3", "7"]), vec![1, 0, 1]));
        assert!(Labels::from_numbers(&[0.5]).unwrap_err().contains("row 0"));
    }

    #[test]
    fn integers_that_a_double_cannot_hold_are_refused() {
        let mut value = [0.0];
        assert_eq!(Number::I64.decode(&i64::MIN.to_le_bytes(), &mut value), Err(0));
        assert_eq!(Number::U64.decode(&u64::MAX.to_le_bytes(), &mut value), Err(0));
        assert_eq!(Number::I64.decode(&(-5i64).to_le_bytes(), &mut value), Ok(()));
        assert_eq!(value, [-5.0]);
    }
}
