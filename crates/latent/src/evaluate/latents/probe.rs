//! What do the codes say of the class? Two readers that look at the code's mean alone:
//!
//! * *linear probe*: logistic regression (ridge 1) on standardised codes, each half judged by what the other has learned;
//! * *k nearest neighbours*: the most frequent class among the 10 nearest other codes, by Euclid; of classes that are
//!   equally frequent, that of the nearest.
//!
//! Both stand beside the share of the most frequent class, which needs no code at all.
//!
//! Reference: Alain & Bengio, *Understanding intermediate layers using linear classifier probes* (arXiv 1610.01644).

use crate::array::Array;
use crate::evaluate::statistics::student::student_quantile;
use crate::evaluate::{Estimate, Mean};
use crate::logistic;
use crate::proportion::proportion_of;

/// Neighbours that are asked.
pub const NEIGHBOURS: usize = 10;

/// Whether a linear reader tells each row's class; none where a code is not finite.
pub fn linear_probe(codes: &Array, labels: &[u32]) -> Option<Vec<bool>> {
    let classes = labels.iter().max().map_or(0, |most| *most as usize + 1);
    let x: Vec<f64> = codes.values.iter().map(|v| f64::from(*v)).collect();
    logistic::cross_fitted(&x, codes.width(), labels, classes, 1.0)
}

/// Whether the `k` nearest of the other rows tell each row's class.
pub fn nearest_neighbours(codes: &Array, labels: &[u32], k: usize) -> Vec<bool> {
    let lists = neighbours(codes, k);
    lists.iter().zip(labels).map(|(nearest, label)| vote(nearest, labels) == Some(*label)).collect()
}

/// The same, and the accuracy with its interval. A row is neighbour to many others, so that rows are not told independently
/// and their number promises too much: the error is that of ten parts of the rows, each asked by itself, as of ten numbers
/// (Student's t with 9 degrees of freedom). Where a part would have no more rows than neighbours, it is Wilson's.
pub fn neighbour_accuracy(codes: &Array, labels: &[u32], k: usize) -> (Vec<bool>, Estimate) {
    const PARTS: usize = 10;
    let (n, width) = (codes.rows(), codes.width());
    let right = nearest_neighbours(codes, labels, k);
    if n < PARTS * (k + 1) {
        let accuracy = proportion_of(&right);
        return (right, accuracy);
    }
    let share = |right: &[bool]| right.iter().filter(|r| **r).count() as f64 / right.len().max(1) as f64;
    let of_part = |part: usize| {
        let (from, to) = (part * n / PARTS, (part + 1) * n / PARTS);
        let own = Array::matrix(codes.values[from * width..to * width].to_vec(), width);
        share(&nearest_neighbours(&own, &labels[from..to], k))
    };
    let error = Mean::of(&(0..PARTS).map(of_part).collect::<Vec<f64>>()).error;
    let (value, half) = (share(&right), student_quantile(0.05, PARTS as f64 - 1.0) * error);
    (right, Estimate { value, low: (value - half).max(0.0), high: (value + half).min(1.0) })
}

/// The nearest other rows of each row, nearest first.
fn neighbours(codes: &Array, count: usize) -> Vec<Vec<u32>> {
    (0..codes.rows()).map(|row| nearest_rows(codes.row(row), codes, count, Some(row))).collect()
}

/// The rows of a set that are nearest to `own`, nearest first, without the row `left_out`.
pub fn nearest_rows(own: &[f32], set: &Array, count: usize, left_out: Option<usize>) -> Vec<u32> {
    let mut nearest: Vec<(f32, u32)> = Vec::with_capacity(count + 1);
    for other in (0..set.rows()).filter(|&other| Some(other) != left_out) {
        let distance: f32 = own.iter().zip(set.row(other)).map(|(a, b)| (a - b) * (a - b)).sum();
        if nearest.len() < count || nearest.last().is_some_and(|(last, _)| distance < *last) {
            let place = nearest.partition_point(|(near, _)| *near <= distance);
            nearest.insert(place, (distance, other as u32));
            nearest.truncate(count);
        }
    }
    nearest.into_iter().map(|(_, other)| other).collect()
}

/// The most frequent class of these rows; of equals, that of the first.
pub fn vote(nearest: &[u32], labels: &[u32]) -> Option<u32> {
    let classes = || nearest.iter().map(|&row| labels[row as usize]);
    // The last of equals wins: from the far end, that is the nearest.
    classes().rev().max_by_key(|class| classes().filter(|other| other == class).count())
}

/// The share of the most frequent class.
pub fn majority(labels: &[u32]) -> f64 {
    let mut counts = std::collections::BTreeMap::new();
    labels.iter().for_each(|label| *counts.entry(label).or_insert(0usize) += 1);
    counts.values().max().copied().unwrap_or(0) as f64 / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_vote_as_by_hand() {
        // On a line: classes 0 0 0 at 0, 1, 2 and 1 1 1 at 3.5, 4, 5.
        let codes = Array::matrix(vec![0.0, 1.0, 2.0, 3.5, 4.0, 5.0], 1);
        let labels = [0, 0, 0, 1, 1, 1];
        assert_eq!(nearest_neighbours(&codes, &labels, 1), [true; 6]);
        // With three, the row at 2 sees 0, 0 (at 1 and 0) and 1 (at 3.5): 0. That at 3.5 sees 1 1 and 0: 1.
        assert_eq!(nearest_neighbours(&codes, &labels, 3), [true; 6]);
        // With five, everyone sees 2 of his own and 3 of the others.
        assert_eq!(nearest_neighbours(&codes, &labels, 5), [false; 6]);
        // With two, the row at 2 sees 0 (at 1) and 1 (at 3.5): equally many, and the nearer is 0.
        assert_eq!(nearest_neighbours(&codes, &labels, 2), [true; 6]);
        assert_eq!(majority(&[1, 1, 0, 2]), 0.5);
        assert_eq!(majority(&[]), 0.0);
    }

    #[test]
    fn a_probe_reads_what_is_linear_and_neighbours_what_is_not() {
        // Two rings about one middle: no line parts them.
        let ring = |i: usize| {
            let (angle, radius) = (i as f32 * 0.7, 1.0 + (i % 2) as f32 * 2.0);
            [radius * angle.cos(), radius * angle.sin()]
        };
        let codes =
            Array::matrix((0..400).flat_map(|i| ring(i * 7919 % 1000 / 2 * 2 + i / 2 % 2)).collect(), 2);
        let labels: Vec<u32> =
            (0..400).map(|row| u32::from(codes.row(row).iter().map(|v| v * v).sum::<f32>() > 4.0)).collect();
        let share = |right: Vec<bool>| right.iter().filter(|r| **r).count() as f64 / 400.0;
        assert_eq!(share(nearest_neighbours(&codes, &labels, NEIGHBOURS)), 1.0);
        assert!(share(linear_probe(&codes, &labels).unwrap()) < 0.7);
    }
}
