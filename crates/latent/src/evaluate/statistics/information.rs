//! How much does a code say of a label? The mutual information of two discrete variables, from counts:
//!
//! I(a; b) = Σ P(a, b) ln [P(a, b) / (P(a) P(b))] = H(a) + H(b) − H(a, b),  in nats
//!
//! The counted frequencies stand for the probabilities (plug-in), which adds about (A − 1)(B − 1) / 2n nats to a true 0.

use std::collections::BTreeMap;

/// What two variables say of each other, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Information {
    /// I(a; b)
    pub mutual: f64,
    /// H(a)
    pub first: f64,
    /// H(b): the most that a can say of b.
    pub second: f64,
}

/// The mutual information of `a` and `b`, paired row by row; rows that one of them lacks are left out.
pub fn information(a: &[u32], b: &[u32]) -> Information {
    let n = a.len().min(b.len());
    let (mut both, mut first, mut second) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for (&a, &b) in a.iter().zip(b) {
        *both.entry((a, b)).or_insert(0u64) += 1;
        *first.entry(a).or_insert(0u64) += 1;
        *second.entry(b).or_insert(0u64) += 1;
    }
    let (joint, first, second) =
        (entropy(both.into_values(), n), entropy(first.into_values(), n), entropy(second.into_values(), n));
    Information { mutual: (first + second - joint).max(0.0), first, second }
}

/// −Σ P ln P
fn entropy(counts: impl Iterator<Item = u64>, n: usize) -> f64 {
    counts
        .map(|count| {
            let p = count as f64 / n as f64;
            -p * p.ln()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_variables_say_everything_and_independent_ones_nothing() {
        let a: Vec<u32> = (0..120).map(|i| i % 4).collect();
        let renamed: Vec<u32> = a.iter().map(|a| 10 - a).collect();
        let all = information(&a, &renamed);
        assert!((all.mutual - 4f64.ln()).abs() < 1e-12 && (all.second - 4f64.ln()).abs() < 1e-12);
        let b: Vec<u32> = (0..120).map(|i| i / 4 % 3).collect();
        assert!(information(&a, &b).mutual < 1e-12);
        assert_eq!(information(&[], &[]), Information { mutual: 0.0, first: 0.0, second: 0.0 });
    }

    #[test]
    fn a_bit_that_errs_says_what_shannon_says() {
        // A symmetric channel with error 0.1: ln 2 + 0.1 ln 0.1 + 0.9 ln 0.9.
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for (x, y, count) in [(0, 0, 450), (0, 1, 50), (1, 1, 450), (1, 0, 50)] {
            a.extend(vec![x; count]);
            b.extend(vec![y; count]);
        }
        let expected = 2f64.ln() + 0.1 * 0.1f64.ln() + 0.9 * 0.9f64.ln();
        assert!((information(&a, &b).mutual - expected).abs() < 1e-12);
    }
}
