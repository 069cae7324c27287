//! Does the synthetic table give away who was in the training table?
//!
//! - Membership inference: an attacker who holds a row asks how near the nearest synthetic row is (or, with the model, how
//!   likely the row is), and guesses "was in it". The area under the curve of training rows against rows that were kept from
//!   training is ½ where guessing is all he can do.
//! - Nearest-row ratio: the share of synthetic rows that lie nearer to training rows than to as many rows kept from training
//!   (a tie counts half); ½ where neither is nearer. It sees less than the attacker does.
//! - Exact copies: the share of synthetic rows that are training rows to the last cell, beside the share of kept rows that are,
//!   since rows of few categories repeat by themselves.
//!
//! Distances are absolute, numbers over the range of training, categories as indicators.
//!
//! References: Shokri et al., *Membership Inference Attacks* (S&P 2017); Chen et al., *GAN-Leaks* (CCS 2020); Zhao et al.,
//! *CTAB-GAN* (ACML 2021) for distances to the closest record; *The DCR Delusion* (arXiv 2505.01524) for what these miss.

use std::collections::HashSet;

use super::columns::{Column, Columns};
use super::neighbours::{Distance, Space, nearest};
use crate::estimate::Estimate;
use crate::evaluate::anomaly::auroc;
use crate::proportion::{proportion, share};

/// The attacker's area under the curve by distance, with its interval. Tables are aligned.
pub fn membership(members: &Columns, held: &Columns, synthetic: &Columns) -> Option<Estimate> {
    if synthetic.rows() == 0 {
        return None;
    }
    let space = Space::of(members, &[held, synthetic]);
    let fakes = space.points(synthetic);
    let nearness = |table: &Columns| -> Vec<f64> {
        nearest(&space.points(table), &fakes, Distance::Absolute, false)
            .into_iter()
            .map(|(d, _)| -d)
            .collect()
    };
    auroc(&nearness(members), &nearness(held))
}

/// The same by scores that grow with the likelihood of a row under the model, such as its ELBO.
pub fn membership_by_scores(members: &[f64], held: &[f64]) -> Option<Estimate> {
    auroc(members, held)
}

/// The share of synthetic rows that are nearer to `train` than to `held`, which has as many rows.
pub fn nearer_to_training(train: &Columns, held: &Columns, synthetic: &Columns) -> Option<Estimate> {
    if train.rows() == 0 || train.rows() != held.rows() || synthetic.rows() == 0 {
        return None;
    }
    let space = Space::of(train, &[held, synthetic]);
    let fakes = space.points(synthetic);
    let to = |table: &Columns| nearest(&fakes, &space.points(table), Distance::Absolute, false);
    let votes = to(train).into_iter().zip(to(held)).map(|(train, held)| match train.0.total_cmp(&held.0) {
        std::cmp::Ordering::Less => 1.0,
        std::cmp::Ordering::Equal => 0.5,
        std::cmp::Ordering::Greater => 0.0,
    });
    let votes: Vec<f64> = votes.collect();
    let n = votes.len() as f64;
    let value = votes.iter().sum::<f64>() / n;
    let variance = votes.iter().map(|vote| (vote - value).powi(2)).sum::<f64>() / n;
    Some(share(value, (variance / n).sqrt(), votes.len()))
}

/// The share of rows of `synthetic` that are rows of `train` to the last cell.
pub fn copies(train: &Columns, synthetic: &Columns) -> Estimate {
    let known: HashSet<Vec<u64>> = cells(train).collect();
    proportion(cells(synthetic).filter(|row| known.contains(row)).count(), synthetic.rows())
}

/// Rows as words that are equal where all cells are.
fn cells(table: &Columns) -> impl Iterator<Item = Vec<u64>> {
    (0..table.rows()).map(move |row| {
        let cell = |column: &Column| match column {
            // 0 and −0 are one number, and all gaps one gap.
            Column::Numbers(values) if values[row].is_nan() => u64::MAX,
            Column::Numbers(values) => (values[row] + 0.0).to_bits(),
            Column::Categories { codes, .. } => u64::from(codes[row]),
        };
        table.columns().iter().map(cell).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::columns::tests::{table, words};
    use super::*;
    use crate::Key;

    fn rows(seed: u64, n: usize) -> Columns {
        let mut values = vec![0.0; n];
        Key::from_seed(seed).normals(&mut values);
        let mut more = vec![0.0; n];
        Key::from_seed(seed).fold(1u64).normals(&mut more);
        let numbers = |values: Vec<f32>| Column::Numbers(values.into_iter().map(f64::from).collect());
        table(vec![numbers(values), numbers(more)])
    }

    #[test]
    fn a_leak_is_seen_and_fresh_rows_are_none() {
        let (train, held, fresh) = (rows(1, 800), rows(2, 800), rows(3, 800));
        let none = membership(&train, &held, &fresh).unwrap();
        assert!(none.low < 0.5 && none.high > 0.5, "{none:?}");
        let leak = membership(&train, &held, &train).unwrap();
        assert_eq!(leak.value, 1.0);
        // Half of the table copied: of the members, half are at distance 0; of the others they say nothing.
        let half = membership(&train, &held, &train.take(&(0..400).collect::<Vec<_>>())).unwrap();
        assert!((half.value - 0.75).abs() < 0.05, "{half:?}");
        let ratio = nearer_to_training(&train, &held, &fresh).unwrap();
        assert!(ratio.low < 0.5 && ratio.high > 0.5, "{ratio:?}");
        assert_eq!(nearer_to_training(&train, &held, &train).unwrap().value, 1.0);
        assert_eq!(nearer_to_training(&train, &train, &fresh).unwrap().value, 0.5);
        assert!(membership_by_scores(&[2.0, 3.0], &[0.0, 1.0]).unwrap().value > 0.99);
    }

    #[test]
    fn copies_are_equal_in_every_cell() {
        let train = table(vec![Column::Numbers(vec![0.0, f64::NAN, 2.0]), words(&["x", "y", "x"])]);
        let fake = table(vec![Column::Numbers(vec![-0.0, f64::NAN, 2.0, 2.5]), words(&["x", "y", "y", "x"])]);
        assert_eq!(copies(&train, &fake).value, 0.5);
    }
}
