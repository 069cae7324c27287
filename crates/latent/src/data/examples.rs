//! What the loop asks of data: rows of splits by position.

use super::{Data, DataError, Rows, Split};

/// Rows to learn from. [`Data`] is one; codes that a sampler is fitted on are another.
pub trait Examples: Send + Sync {
    /// Rows in a split.
    fn len(&self, split: Split) -> usize;

    /// Whether a split has no rows.
    fn is_empty(&self, split: Split) -> bool {
        self.len(split) == 0
    }

    /// Numbers in a row.
    fn features(&self) -> usize;

    /// The rows at those positions of a split, as `epoch` sees them.
    ///
    /// # Errors
    /// What reading them says.
    fn rows(&self, split: Split, positions: &[usize], epoch: u64) -> Result<Rows, DataError>;

    /// How many threads prepare rows.
    fn workers(&self) -> usize {
        1
    }
}

impl Examples for Data {
    fn len(&self, split: Split) -> usize {
        Data::len(self, split)
    }

    fn features(&self) -> usize {
        self.facts().shape.features()
    }

    fn rows(&self, split: Split, positions: &[usize], epoch: u64) -> Result<Rows, DataError> {
        self.rows_to_learn(split, positions, epoch)
    }

    fn workers(&self) -> usize {
        Data::workers(self)
    }
}
