//! What one pass over the rows tells: span, mean and variance of each feature, and which rows repeat.

use super::dataset::Number;

/// Sums over rows, a feature each. A missing value is NaN and counts nowhere.
pub(crate) struct Moments {
    /// The first training value: sums are of differences to it, so that a large offset costs no digits.
    shift: Vec<f64>,
    sum: Vec<f64>,
    square: Vec<f64>,
    /// Training rows seen.
    pub rows: u64,
    /// Over all rows.
    pub all: Spans,
    /// Over the training rows: what becomes part of a model is measured on them alone.
    pub train: Spans,
    /// Whether all values are 0 or 1.
    pub bits: bool,
    /// Whether all values are whole numbers, a feature each.
    whole: Vec<bool>,
    /// Training rows without a value, a feature each; empty until a value is missing.
    missing: Vec<u64>,
}

/// The least and greatest value of each feature; the least is above the greatest where there is none.
pub(crate) struct Spans {
    pub least: Vec<f64>,
    pub greatest: Vec<f64>,
}

impl Spans {
    fn new(features: usize) -> Self {
        Self { least: vec![f64::INFINITY; features], greatest: vec![f64::NEG_INFINITY; features] }
    }

    fn add(&mut self, values: &[f64]) {
        for ((&value, least), greatest) in values.iter().zip(&mut self.least).zip(&mut self.greatest) {
            // A comparison with NaN, a missing value, keeps the bound.
            *least = least.min(value);
            *greatest = greatest.max(value);
        }
    }

    /// The least and greatest of all values.
    pub(crate) fn range(&self) -> (f64, f64) {
        let least = self.least.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = self.greatest.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (least, greatest)
    }
}

impl Moments {
    pub(crate) fn new(features: usize) -> Self {
        Self {
            shift: Vec::new(),
            sum: vec![0.0; features],
            square: vec![0.0; features],
            rows: 0,
            all: Spans::new(features),
            train: Spans::new(features),
            bits: true,
            whole: vec![true; features],
            missing: Vec::new(),
        }
    }

    /// Counts a row for the range and, if it is a training row, for mean and variance.
    pub(crate) fn add(&mut self, values: &[f64], train: bool) {
        if !self.missing.is_empty() || values.iter().any(|value| value.is_nan()) {
            return self.add_with_gaps(values, train);
        }
        self.all.add(values);
        self.bits = self.bits && values.iter().all(|&value| value == 0.0 || value == 1.0);
        for (whole, value) in self.whole.iter_mut().zip(values) {
            *whole = *whole && value.fract() == 0.0;
        }
        if !train {
            return;
        }
        self.train.add(values);
        if self.shift.is_empty() {
            self.shift = values.to_vec();
        }
        let features = values.iter().zip(&self.shift).zip(&mut self.sum).zip(&mut self.square);
        for (((value, shift), sum), square) in features {
            let difference = value - shift;
            *sum += difference;
            *square += difference * difference;
        }
        self.rows += 1;
    }

    /// As [`add`](Self::add), a value at a time.
    fn add_with_gaps(&mut self, values: &[f64], train: bool) {
        self.missing.resize(values.len(), 0);
        self.all.add(values);
        if train {
            self.train.add(values);
        }
        if train && self.shift.is_empty() {
            self.shift = vec![f64::NAN; values.len()];
        }
        for (feature, &value) in values.iter().enumerate() {
            if value.is_nan() {
                self.missing[feature] += u64::from(train);
                continue;
            }
            self.bits = self.bits && (value == 0.0 || value == 1.0);
            self.whole[feature] = self.whole[feature] && value.fract() == 0.0;
            if train {
                if self.shift[feature].is_nan() {
                    self.shift[feature] = value;
                }
                let difference = value - self.shift[feature];
                self.sum[feature] += difference;
                self.square[feature] += difference * difference;
            }
        }
        self.rows += u64::from(train);
    }

    /// How many training rows have a value of this feature.
    pub(crate) fn observed(&self, feature: usize) -> u64 {
        self.rows - self.missing.get(feature).unwrap_or(&0)
    }

    /// Whether no value at all was seen.
    pub(crate) fn saw_nothing(&self) -> bool {
        self.all.least.iter().zip(&self.all.greatest).all(|(least, greatest)| least > greatest)
    }

    /// The features whose values are all whole numbers.
    pub(crate) fn whole_columns(&self) -> Vec<usize> {
        (0..self.whole.len()).filter(|&feature| self.whole[feature]).collect()
    }

    /// Mean and variance (divided by the number of rows) of each feature; both 0 where nothing was observed.
    pub(crate) fn mean_and_variance(&self) -> (Vec<f64>, Vec<f64>) {
        let features = self.sum.iter().zip(&self.square).enumerate().map(|(feature, (sum, square))| {
            let shift = self.shift.get(feature).copied().filter(|shift| !shift.is_nan()).unwrap_or(0.0);
            let rows = self.observed(feature).max(1) as f64;
            // Rounding may leave a constant column just below zero.
            (shift + sum / rows, (square / rows - (sum / rows).powi(2)).max(0.0))
        });
        features.unzip()
    }
}

/// The type that an integer array is treated as: the smallest unsigned one that holds its range.
pub(crate) fn levels(number: Number, range: (f64, f64)) -> Option<super::StoredType> {
    use super::StoredType::{U8, U16};
    match number {
        Number::F32 | Number::F64 => None,
        Number::Bool | Number::U8 => Some(U8),
        Number::U16 => Some(U16),
        _ if range.0 < 0.0 => None,
        _ if range.1 <= 255.0 => Some(U8),
        _ if range.1 <= 65535.0 => Some(U16),
        _ => None,
    }
}

/// A number that equal rows share and others hardly ever do.
pub(crate) fn row_hash(values: &[f64]) -> u64 {
    values.iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, value| {
        // Adding 0 makes −0 and 0 alike.
        let mixed = (hash ^ (value + 0.0).to_bits()).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 32)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_a_large_offset() {
        let mut moments = Moments::new(2);
        for row in 0..1000 {
            moments.add(&[1.6e9 + f64::from(row % 10), 5.0], true);
        }
        moments.add(&[2e9, 7.0], false);
        let (mean, variance) = moments.mean_and_variance();
        assert!((mean[0] - 1.6e9 - 4.5).abs() < 1e-6 && (variance[0] - 8.25).abs() < 1e-9, "{variance:?}");
        assert_eq!((mean[1], variance[1]), (5.0, 0.0));
        assert_eq!((moments.all.range(), moments.train.range()), ((5.0, 2e9), (5.0, 1.6e9 + 9.0)));
    }

    #[test]
    fn missing_values_are_left_out() {
        let nan = f64::NAN;
        let mut moments = Moments::new(3);
        moments.add(&[nan, 1.0, nan], true);
        moments.add(&[2.0, nan, nan], true);
        moments.add(&[4.0, 5.0, nan], true);
        moments.add(&[nan, 0.5, nan], false);
        assert_eq!(moments.mean_and_variance(), (vec![3.0, 3.0, 0.0], vec![1.0, 4.0, 0.0]));
        assert_eq!((moments.all.range(), moments.bits, moments.rows), ((0.5, 5.0), false, 3));
        assert_eq!([0, 1, 2].map(|feature| moments.observed(feature)), [2, 2, 0]);
        assert!(!moments.saw_nothing() && Moments::new(2).saw_nothing());
        // Values before the first gap count as those after it.
        let mut late = Moments::new(1);
        for value in [1.0, 3.0, nan, 5.0] {
            late.add(&[value], true);
        }
        let (mean, variance) = late.mean_and_variance();
        assert!((mean[0] - 3.0).abs() < 1e-12 && (variance[0] - 8.0 / 3.0).abs() < 1e-12, "{variance:?}");
    }

    #[test]
    fn equal_rows_share_a_hash() {
        assert_eq!(row_hash(&[0.0, 1.0]), row_hash(&[-0.0, 1.0]));
        assert_ne!(row_hash(&[0.0, 1.0]), row_hash(&[1.0, 0.0]));
    }
}
