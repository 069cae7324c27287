//! A block of numbers in memory, in the type that its owner has them in.

use std::sync::Arc;

use super::StoredType;
use super::dataset::Number;
use super::storage::{Bytes, Storage};

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
    /// Numbers that another owns, read where they lie: [`Values::shared`].
    Shared(Shared),
}

/// Little-endian numbers in memory that another owns.
#[derive(Clone)]
pub struct Shared {
    number: StoredType,
    bytes: Arc<dyn Bytes>,
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number && self.bytes.as_ref().as_ref() == other.bytes.as_ref().as_ref()
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes of {:?}", self.bytes.as_ref().as_ref().len(), self.number)
    }
}

impl Shared {
    /// The numbers as a block of our own.
    fn copied(&self) -> Values {
        let bytes = self.bytes.as_ref().as_ref();
        match self.number {
            StoredType::U8 => Values::U8(bytes.to_vec()),
            StoredType::U16 => {
                Values::U16(bytes.as_chunks().0.iter().map(|b| u16::from_le_bytes(*b)).collect())
            }
            StoredType::F32 => {
                Values::F32(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect())
            }
            StoredType::F64 => {
                Values::F64(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b)).collect())
            }
        }
    }

    fn numbers(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        let bytes = self.bytes.as_ref().as_ref();
        match self.number {
            StoredType::U8 => Box::new(bytes.iter().map(|&b| f64::from(b))),
            StoredType::U16 => {
                Box::new(bytes.as_chunks().0.iter().map(|b| f64::from(u16::from_le_bytes(*b))))
            }
            StoredType::F32 => {
                Box::new(bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_le_bytes(*b))))
            }
            StoredType::F64 => Box::new(bytes.as_chunks().0.iter().map(|b| f64::from_le_bytes(*b))),
        }
    }
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

/// The same for each type of number; numbers that another owns come as wide ones.
macro_rules! each {
    ($values:expr, $numbers:ident => $result:expr, $shared:ident => $other:expr) => {
        match $values {
            Values::Shared($shared) => $other,
            Values::U8($numbers) => $result,
            Values::U16($numbers) => $result,
            Values::F32($numbers) => $result,
            Values::F64($numbers) => $result,
        }
    };
}

impl Values {
    /// Numbers that another owns, such as an array of another language: they are read where they lie and never copied as a
    /// whole. `bytes` holds them row-major and little-endian, and must stay as they are for as long as they are read.
    pub fn shared(number: StoredType, bytes: Arc<dyn Bytes>) -> Self {
        Self::Shared(Shared { number, bytes })
    }

    pub(crate) fn len(&self) -> usize {
        each!(self, numbers => numbers.len(), shared => shared.bytes.as_ref().as_ref().len() / self.number().bytes())
    }

    pub(crate) fn number(&self) -> Number {
        match self {
            Self::U8(_) => Number::U8,
            Self::U16(_) => Number::U16,
            Self::F32(_) => Number::F32,
            Self::F64(_) => Number::F64,
            Self::Shared(shared) => match shared.number {
                StoredType::U8 => Number::U8,
                StoredType::U16 => Number::U16,
                StoredType::F32 => Number::F32,
                StoredType::F64 => Number::F64,
            },
        }
    }

    /// Writes 0 where nothing was observed; numbers that another owns are copied first.
    pub(crate) fn blank(&mut self, mask: &[bool]) {
        if let Self::Shared(shared) = self {
            *self = shared.copied();
        }
        each!(self, numbers => numbers
            .iter_mut()
            .zip(mask)
            .filter(|(_, observed)| !**observed)
            .for_each(|(number, _)| *number = Default::default()), _shared => {});
    }

    /// The first number that is not finite as f32, and where it stands.
    pub(crate) fn not_single(&self) -> Option<(usize, f64)> {
        let beyond = |(_, value): &(usize, f64)| !is_single(*value);
        each!(self,
            numbers => numbers.iter().map(|&number| wide(number)).enumerate().find(beyond),
            shared => shared.numbers().enumerate().find(beyond))
    }

    pub(crate) fn column(&self, at: usize, width: usize) -> Vec<f64> {
        each!(self,
            numbers => numbers.iter().skip(at).step_by(width).map(|&number| wide(number)).collect(),
            shared => shared.numbers().skip(at).step_by(width).collect())
    }

    pub(crate) fn picked(self, kept: &[usize], width: usize) -> Self {
        match self {
            Self::U8(numbers) => Self::U8(picked(&numbers, kept, width)),
            Self::U16(numbers) => Self::U16(picked(&numbers, kept, width)),
            Self::F32(numbers) => Self::F32(picked(&numbers, kept, width)),
            Self::F64(numbers) => Self::F64(picked(&numbers, kept, width)),
            Self::Shared(shared) => shared.copied().picked(kept, width),
        }
    }

    /// Where rows are read from, little-endian.
    pub(crate) fn into_storage(self) -> Storage {
        Storage::Memory(match self {
            Self::U8(numbers) => numbers,
            Self::U16(numbers) => numbers.into_iter().flat_map(u16::to_le_bytes).collect(),
            Self::F32(numbers) => numbers.into_iter().flat_map(f32::to_le_bytes).collect(),
            Self::F64(numbers) => numbers.into_iter().flat_map(f64::to_le_bytes).collect(),
            Self::Shared(shared) => return Storage::Shared(shared.bytes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_another_are_what_a_copy_is() {
        let numbers = [1.5f32, -2.0, f32::INFINITY, 0.25, 3.0, 4.0];
        let bytes: Vec<u8> = numbers.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shared = || Values::shared(StoredType::F32, Arc::new(bytes.clone()));
        let own = || Values::F32(numbers.to_vec());
        assert_eq!((shared().len(), shared().number()), (own().len(), own().number()));
        assert_eq!(shared().not_single(), own().not_single());
        assert_eq!(shared().column(1, 3), own().column(1, 3));
        assert_eq!(shared().picked(&[2, 0], 3), own().picked(&[2, 0], 3));
        let (mut a, mut b) = (shared(), own());
        a.blank(&[true, true, false, true, true, true]);
        b.blank(&[true, true, false, true, true, true]);
        assert_eq!(a, b);
        let storage = shared().into_storage();
        let mut read = [0; 4];
        storage.read_at(4, &mut read).unwrap();
        assert_eq!(f32::from_le_bytes(read), -2.0);
        assert_eq!(storage.len(), 24);
        assert!(storage.read_at(22, &mut read).is_err());
    }
}
