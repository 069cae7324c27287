//! How unlikely is a row among others? The p-value of a score x, low for what is unlikely, against the scores y₁ … y_n of
//! rows that are known to be the model's own:
//!
//! p(x) = (1 + #{i : y_i ≤ x}) / (1 + n)
//!
//! The row itself counts as one of the n + 1: of rows of one distribution at most a share α has p ≤ α, for any n (Vovk,
//! Gammerman & Shafer, *Algorithmic Learning in a Random World*, 2005, where it is the conformal p-value). So a row that is
//! among the y_i is left out of them, lest it count twice.

/// The p-value of each score among those of `reference`, in (0, 1]: the share that is as low or lower. Without reference
/// rows it is 1. `own` says for each score which of the reference is the same row, if any is.
pub fn p_values(scores: &[f64], own: impl Fn(usize) -> Option<usize>, reference: &[f64]) -> Vec<f64> {
    let mut sorted = reference.to_vec();
    sorted.sort_by(f64::total_cmp);
    let p = |(row, score): (usize, &f64)| {
        let itself = own(row).and_then(|place| reference.get(place));
        let left_out = |counts: bool| f64::from(u8::from(counts));
        let at_most = sorted.partition_point(|other| other <= score) as f64;
        let at_most = at_most - left_out(itself.is_some_and(|itself| itself <= score));
        (at_most + 1.0) / (sorted.len() as f64 - left_out(itself.is_some()) + 1.0)
    };
    scores.iter().enumerate().map(p).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_values_count_the_rows_that_are_as_unlikely() {
        let reference = [-3.0, -1.0, -2.0, -2.0];
        assert_eq!(p_values(&[-9.0, -2.0, -1.5, 0.0], |_| None, &reference), [0.2, 0.8, 0.8, 1.0]);
        assert_eq!(p_values(&[0.5], |_| None, &[]), [1.0]);
    }

    /// By hand: of four rows each is held against the other three, and p runs over the quarters.
    #[test]
    fn a_row_is_no_reference_of_itself() {
        let scores = [3.0, -1.0, 2.0, 0.0];
        assert_eq!(p_values(&scores, Some, &scores), [1.0, 0.25, 0.75, 0.5]);
        // The lowest of all, were it counted twice, would have p = 2/5.
        assert_eq!(p_values(&scores, |_| None, &scores)[1], 0.4);
        // Only the first two are among the reference.
        assert_eq!(
            p_values(&scores, |row| (row < 2).then_some(row), &scores[..2]),
            [1.0, 0.5, 2.0 / 3.0, 2.0 / 3.0]
        );
    }

    #[test]
    fn own_rows_are_rarely_unlikely() {
        let draw = |purpose: &str| -> Vec<f64> {
            let mut values = vec![0.0; 2000];
            crate::Key::from_seed(3).fold(purpose).normals(&mut values);
            values.into_iter().map(f64::from).collect()
        };
        let p = p_values(&draw("scores"), |_| None, &draw("reference"));
        for level in [0.01, 0.1, 0.5] {
            let share = p.iter().filter(|p| **p <= level).count() as f64 / p.len() as f64;
            // Three standard errors of two samples of 2000.
            assert!(share < level + 3.0 * (2.0 * level * (1.0 - level) / 2000.0).sqrt(), "{level}: {share}");
        }
    }
}
