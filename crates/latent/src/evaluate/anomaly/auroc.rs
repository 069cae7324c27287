//! The area under the receiver operating characteristic: the probability that a foreign row scores above an own one,
//!
//! A = 1/mn Σ_i Σ_j [1(x_i > y_j) + ½ 1(x_i = y_j)],  var A = var_i(V_i)/m + var_j(W_j)/n
//!
//! V_i the share of own rows below x_i and W_j that of foreign rows above y_j. The interval is normal in logit A, which
//! keeps it inside of [0, 1]. Where all pairs are on one side there is no variance, and the interval is the exact
//! binomial one of min(m, n) rows.
//!
//! Reference: DeLong, DeLong & Clarke-Pearson, *Comparing the areas under two or more correlated receiver operating
//! characteristic curves* (Biometrics 44, 1988).

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
    let error = (variance_of_mean(&above) + variance_of_mean(&below)).sqrt();
    let least = foreign.len().min(own.len()) as f64;
    let (low, high) = if value == 1.0 {
        (0.025f64.powf(1.0 / least), 1.0)
    } else if value == 0.0 {
        (0.0, 1.0 - 0.025f64.powf(1.0 / least))
    } else if error.is_finite() {
        let (logit, reach) = ((value / (1.0 - value)).ln(), Z_95 * error / (value * (1.0 - value)));
        let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        (back(logit - reach), back(logit + reach))
    } else {
        // A single row on a side has no variance to speak of.
        (0.0, 1.0)
    };
    Some(Estimate { value, low, high })
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

/// sd²/n; NaN for a single number.
fn variance_of_mean(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n
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
