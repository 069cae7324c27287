//! How much of a book do codes use? The share p_i of each index over all places and rows, and how many equally frequent ones
//! that amounts to:
//!
//! perplexity = exp H,  H = −Σ_i p_i ln p_i
//!
//! H is the mean over rows of the mean over a row's places of −ln p_i, whose spread over rows gives the interval: the places
//! of one row are not independent.
//!
//! Reference: van den Oord et al. (arXiv 1711.00937).

use std::ops::Range;

use crate::array::Array;
use crate::evaluate::Estimate;

/// What the indices of a block use of their book.
pub struct BookUsage {
    /// Different indices seen.
    pub codes: usize,
    /// exp H.
    pub perplexity: Estimate,
}

/// Of those columns of codes that are indices below `size`.
pub fn book_usage(codes: &Array, columns: Range<usize>, size: usize) -> BookUsage {
    let index = |value: f32| (value as usize).min(size.saturating_sub(1));
    let row = |row: usize| codes.row(row)[columns.clone()].iter().map(|value| index(*value));
    let mut counts = vec![0usize; size];
    (0..codes.rows()).flat_map(row).for_each(|index| counts[index] += 1);
    let (all, places) = ((codes.rows() * columns.len()).max(1) as f64, columns.len().max(1) as f64);
    let surprise = |index: usize| -(counts[index] as f64 / all).ln();
    let rows: Vec<f64> = (0..codes.rows()).map(|r| row(r).map(surprise).sum::<f64>() / places).collect();
    let entropy = Estimate::mean(&rows);
    let Estimate { value, low, high } = entropy;
    let perplexity =
        Estimate { value: value.exp(), low: low.exp(), high: high.exp() }.within(1.0, size as f64);
    BookUsage { codes: counts.iter().filter(|count| **count > 0).count(), perplexity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_is_as_by_hand() {
        // Behind a column that is none of the book's: shares ⅜, ¼, ⅜ of four codes.
        let row = |i: usize| [9.0, 0.0, 1.0, if i.is_multiple_of(2) { 0.0 } else { 2.0 }, 2.0];
        let found = book_usage(&Array::matrix((0..400).flat_map(row).collect(), 5), 1..5, 4);
        assert_eq!(found.codes, 3);
        // 0 has 600 of 1600, 1 has 400, 2 has 600.
        let entropy = -(2.0 * 0.375 * 0.375f64.ln() + 0.25 * 0.25f64.ln());
        assert!((found.perplexity.value - entropy.exp()).abs() < 1e-9, "{:?}", found.perplexity);
        // Rows are equally surprising here: nothing is left to chance.
        assert!((found.perplexity.high - found.perplexity.low).abs() < 1e-9);
        let one = book_usage(&Array::matrix(vec![3.0; 30], 3), 0..3, 8);
        assert_eq!((one.codes, one.perplexity.value), (1, 1.0));
    }
}
