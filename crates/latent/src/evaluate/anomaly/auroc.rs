//! The area under the receiver operating characteristic: the probability that a foreign row scores above an own one,
//!
//! A = 1/mn Σ_i Σ_j [1(x_i > y_j) + ½ 1(x_i = y_j)],  var A = var_i(V_i)/m + var_j(W_j)/n
//!
//! V_i the share of own rows below x_i and W_j that of foreign rows above y_j (DeLong). Near 1 that variance rests on the
//! few rows of the wrong side and is far too small where the sample has none of them. The interval is therefore of m + 1
//! and n + 1 shares, half of the added one 0 and half of it 1, as Agresti and Caffo have it for proportions:
//!
//! Ã ± 1.96 √(var Ṽ/(m + 1) + var W̃/(n + 1)) inside of [0, 1],  Ã = ½ (mean Ṽ + mean W̃)
//!
//! How often it holds the truth, and DeLong's does: docs/results/intervals.md.
//!
//! References: DeLong, DeLong & Clarke-Pearson, *Comparing the areas under two or more correlated receiver operating
//! characteristic curves* (Biometrics 44, 1988); Agresti & Caffo, *Simple and effective confidence intervals for
//! proportions and differences of proportions* (The American Statistician 54, 2000).

use crate::evaluate::{Estimate, Z_95};

/// The AUROC of scores that should be higher for foreign rows, ties counting half. None where a side is empty or a score
/// is NaN.
pub fn auroc(foreign: &[f64], own: &[f64]) -> Option<Estimate> {
    if foreign.is_empty() || own.is_empty() || foreign.iter().chain(own).any(|score| score.is_nan()) {
        return None;
    }
    let above = shares_below(foreign, own);
    let below: Vec<f64> = shares_below(own, foreign).into_iter().map(|share| 1.0 - share).collect();
    let value = above.iter().sum::<f64>() / above.len() as f64;
    let [(v, var_v), (w, var_w)] = [above, below].map(|shares| with_one_more(&shares));
    let (middle, half) = (0.5 * (v + w), Z_95 * (var_v + var_w).sqrt());
    Some(Estimate { value, low: (middle - half).max(0.0), high: (middle + half).min(1.0) })
}

/// The mean of shares with one more, half of it 0 and half of it 1, and the variance of that mean.
fn with_one_more(shares: &[f64]) -> (f64, f64) {
    let n = shares.len() as f64;
    let mean = (shares.iter().sum::<f64>() + 0.5) / (n + 1.0);
    let own: f64 = shares.iter().map(|share| (share - mean).powi(2)).sum();
    let added = 0.5 * (mean.powi(2) + (1.0 - mean).powi(2));
    (mean, (own + added) / n / (n + 1.0))
}

/// For each score the share of `others` below it, ties counting half.
fn shares_below(scores: &[f64], others: &[f64]) -> Vec<f64> {
    let mut sorted = others.to_vec();
    sorted.sort_by(f64::total_cmp);
    let share = |score: &f64| {
        let below = sorted.partition_point(|other| other < score);
        let not_above = sorted.partition_point(|other| other <= score);
        0.5 * (below + not_above) as f64 / sorted.len() as f64
    };
    scores.iter().map(share).collect()
}

/// The curve whose area it is, from `[0, 0]` to `[1, 1]`: the share of own rows that an alarm wrongly takes for foreign, and
/// the share of foreign rows that it finds, as its threshold falls. Ties are one step. At most about 200 points.
pub fn roc(foreign: &[f64], own: &[f64]) -> Vec<[f64; 2]> {
    let both = foreign.iter().map(|&score| (score, 1)).chain(own.iter().map(|&score| (score, 0)));
    let mut all: Vec<(f64, usize)> = both.collect();
    all.sort_by(|a, b| b.0.total_cmp(&a.0));
    let every = (all.len() / 200).max(1);
    let (mut points, mut counts, mut passed) = (vec![[0.0, 0.0]], [0usize; 2], 0);
    let sizes = [own.len(), foreign.len()].map(|n| n.max(1) as f64);
    for (index, (score, side)) in all.iter().enumerate() {
        counts[*side] += 1;
        let last = index + 1 == all.len();
        let tied = all.get(index + 1).is_some_and(|next| next.0 == *score);
        if last || (!tied && index + 1 >= passed + every) {
            points.push([counts[0] as f64 / sizes[0], counts[1] as f64 / sizes[1]]);
            passed = index + 1;
        }
    }
    points
}
