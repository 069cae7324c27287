//! Which rows do two data sets share? Rows are compared by a hash of their values in the files' units, as 32-bit numbers:
//! a copy in another format, another order or another folder is the same rows; labels don't count.

use super::content::content;
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
            let (mut whole, mut values) = (Vec::new(), vec![0.0; self.features()]);
            for (id, hash) in ids.iter().zip(hashes) {
                self.read(*id, &mut whole, &mut values)?;
                *hash = content(0, &values);
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
