//! Are these rows a test? Rows that a model has learned say how well it remembers, not how well it knows the data.
//!
//! Rows equal to training rows are counted by their [content](crate::data::Data::row_hashes). Some are equal by chance: columns
//! of few values, pictures that a data set holds twice. So the share is held against that among the model's own held-out
//! rows: rows are training rows where it is surely greater (95 % intervals of both apart).

use std::collections::HashSet;

use crate::data::{Data, Split};
use crate::error::Result;
use crate::proportion::proportion;

/// How many rows of some data are equal to training rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// Rows that are equal to a training row.
    pub shared: usize,
    /// Of so many.
    pub rows: usize,
    /// Rows of the model's own validation split that are equal to a training row, of how many.
    pub usual: [usize; 2],
}

impl Overlap {
    /// Of rows with these [hashes](Data::row_hashes), with the training rows of the model's own data.
    ///
    /// # Errors
    /// What reading its rows says.
    pub fn of(hashes: &[u64], own: &Data) -> Result<Self> {
        let learned: HashSet<u64> = own.row_hashes(Split::Train)?.into_iter().collect();
        let count = |hashes: &[u64]| [hashes.iter().filter(|h| learned.contains(h)).count(), hashes.len()];
        let [shared, rows] = count(hashes);
        let usual = count(&own.row_hashes(Split::Validation)?);
        Ok(Self { shared, rows, usual })
    }

    /// Whether more of them are training rows than chance explains.
    pub fn is_learned(&self) -> bool {
        let [usual, of] = self.usual;
        // Without validation rows to learn it from, chance is taken to explain none.
        let chance = if of == 0 { proportion(0, self.rows) } else { proportion(usual, of) };
        self.shared > 0 && proportion(self.shared, self.rows).low > chance.high
    }
}

impl std::fmt::Display for Overlap {
    /// `8000 of 10000 rows are equal to rows that the model was trained on (of its own validation rows 3 of 1000 are)`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { shared, rows, usual: [usual, of] } = self;
        write!(
            f,
            "{shared} of {rows} rows are equal to rows that the model was trained on (of its own validation rows {usual} of \
             {of} are)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_is_told_from_a_copy() {
        let learned = |shared, rows, usual| Overlap { shared, rows, usual }.is_learned();
        assert!(learned(8000, 10_000, [3, 1000]));
        assert!(learned(40, 10_000, [0, 6000]));
        // A data set that holds some rows twice, a table of few values, nothing at all.
        assert!(!learned(4, 10_000, [3, 6000]));
        assert!(!learned(700, 1000, [68, 100]));
        assert!(!learned(0, 10_000, [0, 6000]));
        assert!(learned(50, 100, [0, 0]));
    }
}
