//! A block of numbers in memory, in the type that its owner has them in.

use super::dataset::Number;

/// Numbers of one of the types that values may have; it is the type of what is written again.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Levels 0 … 255
    U8(Vec<u8>),
    /// Levels 0 … 65535
    U16(Vec<u16>),
    /// Real numbers, 32 bits each
    F32(Vec<f32>),
    /// Real numbers, 64 bits each
    F64(Vec<f64>),
}

impl From<Vec<u8>> for Values {
    fn from(values: Vec<u8>) -> Self {
        Self::U8(values)
    }
}

impl From<Vec<u16>> for Values {
    fn from(values: Vec<u16>) -> Self {
        Self::U16(values)
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for Values {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

/// Whether a value stays finite as f32, which is what a model sees.
pub(crate) fn is_single(value: f64) -> bool {
    value.abs() <= f64::from(f32::MAX)
}

/// A number of any type; a name for it, since one of the types is f64 already.
fn wide(number: impl Into<f64>) -> f64 {
    number.into()
}

/// The columns at `kept` of rows of `width`.
pub(crate) fn picked<T: Copy>(values: &[T], kept: &[usize], width: usize) -> Vec<T> {
    values.chunks_exact(width).flat_map(|row| kept.iter().map(|&at| row[at])).collect()
}

/// The same for each type of number.
macro_rules! each {
    ($values:expr, $numbers:ident => $result:expr) => {
        match $values {
            Values::U8($numbers) => $result,
            Values::U16($numbers) => $result,
            Values::F32($numbers) => $result,
            Values::F64($numbers) => $result,
        }
    };
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        each!(self, numbers => numbers.len())
    }

    pub(crate) fn number(&self) -> Number {
        match self {
            Self::U8(_) => Number::U8,
            Self::U16(_) => Number::U16,
            Self::F32(_) => Number::F32,
            Self::F64(_) => Number::F64,
        }
    }

    /// Writes 0 where nothing was observed.
    pub(crate) fn blank(&mut self, mask: &[bool]) {
        each!(self, numbers => numbers
            .iter_mut()
            .zip(mask)
            .filter(|(_, observed)| !**observed)
            .for_each(|(number, _)| *number = Default::default()));
    }

    /// The first number that is not finite as f32, and where it stands.
    pub(crate) fn not_single(&self) -> Option<(usize, f64)> {
        each!(self, numbers => numbers
            .iter()
            .map(|&number| wide(number))
            .enumerate()
            .find(|(_, value)| !is_single(*value)))
    }

    pub(crate) fn column(&self, at: usize, width: usize) -> Vec<f64> {
        each!(self, numbers => numbers.iter().skip(at).step_by(width).map(|&number| wide(number)).collect())
    }

    pub(crate) fn picked(self, kept: &[usize], width: usize) -> Self {
        match self {
            Self::U8(numbers) => Self::U8(picked(&numbers, kept, width)),
            Self::U16(numbers) => Self::U16(picked(&numbers, kept, width)),
            Self::F32(numbers) => Self::F32(picked(&numbers, kept, width)),
            Self::F64(numbers) => Self::F64(picked(&numbers, kept, width)),
        }
    }

    /// Little-endian.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::U8(numbers) => numbers,
            Self::U16(numbers) => numbers.into_iter().flat_map(u16::to_le_bytes).collect(),
            Self::F32(numbers) => numbers.into_iter().flat_map(f32::to_le_bytes).collect(),
            Self::F64(numbers) => numbers.into_iter().flat_map(f64::to_le_bytes).collect(),
        }
    }
}
