//! Which rows do two data sets share? Rows are compared by a hash of their values in the files' units, as 32-bit numbers:
//! a copy in another format, another order or another folder is the same rows; labels don't count.

use super::moments::row_hash;
use super::{Data, DataError, Split};

impl Data {
    /// A hash of the content of each row of a split, by position: equal rows have equal ones, others hardly ever. Reads all
    /// of them.
    ///
    /// # Errors
    /// What the file system says, if a file has changed.
    pub fn row_hashes(&self, split: Split) -> Result<Vec<u64>, DataError> {
        let ids = self.ids(split);
        let mut hashes = vec![0; ids.len()];
        let part = ids.len().div_ceil(self.workers().max(1)).max(1);
        let hash = |ids: &[u64], hashes: &mut [u64]| -> Result<(), DataError> {
            let mut values = vec![0.0; self.features()];
            for (id, hash) in ids.iter().zip(hashes) {
                self.read(*id, &mut values)?;
                *hash = row_content_hash(&mut values);
            }
            Ok(())
        };
        std::thread::scope(|scope| {
            let parts = ids.chunks(part).zip(hashes.chunks_mut(part));
            let threads: Vec<_> = parts.map(|(ids, hashes)| scope.spawn(|| hash(ids, hashes))).collect();
            // A thread that has panicked is a bug that is not hidden here.
            threads.into_iter().try_for_each(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)))
        })?;
        Ok(hashes)
    }
}

/// The hash of a row's values: rounded to what a 32-bit file would hold, all missing values alike.
fn row_content_hash(values: &mut [f64]) -> u64 {
    values.iter_mut().for_each(|v| *v = if v.is_nan() { f64::NAN } else { f64::from(*v as f32) });
    row_hash(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_known_again_in_another_format() {
        let hash = |values: &[f64]| row_content_hash(&mut values.to_vec());
        // What a table says with all digits, and an array of 32-bit numbers after it.
        assert_eq!(hash(&[0.1, 1e9 + 0.3]), hash(&[f64::from(0.1f32), f64::from((1e9 + 0.3) as f32)]));
        assert_eq!(hash(&[f64::NAN, 1.0]), hash(&[-f64::NAN, 1.0]));
        assert_ne!(hash(&[0.1, 2.0]), hash(&[2.0, 0.1]));
        assert_ne!(hash(&[f64::NAN]), hash(&[0.0]));
    }
}
