//! Where the levels of a number lie on the line on which its noise is measured.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::table::Scale;

/// The line of a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// The logit of its rank among the training rows, so that its marginal is the noise's own.
    #[default]
    Rank,
    /// Its value, standardised.
    Standard,
    /// Its value, standardised, about the nearest of several modes: a mixture of up to 10 normals that is fitted to the
    /// column.
    Modes,
}

/// A mode of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mode {
    pub mean: f64,
    /// Standard deviation.
    pub width: f64,
}

/// Where the line ends, so that arithmetic with ±∞ is not needed.
const FAR: f64 = 1e6;

/// What lies nearer to another value than this is one with it.
const LEAST: f64 = 1e-9;

/// The edges of a column's levels, one more than there are levels; they rise.
pub(super) fn edges(scale: &Scale, line: Line) -> Vec<f64> {
    let levels = scale.levels();
    let mut edges = vec![FAR; levels + 1];
    edges[0] = -FAR;
    if line == Line::Rank {
        let all: f64 = scale.shares.iter().map(|share| f64::from(*share) + LEAST).sum();
        let mut below = 0.0;
        for (edge, share) in edges[1..levels].iter_mut().zip(&scale.shares) {
            below += f64::from(*share) + LEAST;
            *edge = (below / (all - below).max(LEAST)).ln();
        }
        return edges;
    }
    let (mean, deviation) = moments(scale);
    for level in 1..levels {
        let (before, after) = (scale.high[level - 1], scale.low[level]);
        // A value that comes often and touches a stretch of the line has a quarter of it.
        let edge = match (scale.low[level - 1] == before, scale.high[level] == after) {
            (true, false) if before == after => after + 0.25 * (scale.high[level] - after),
            (false, true) if before == after => before - 0.25 * (before - scale.low[level - 1]),
            _ => 0.5 * (before + after),
        };
        edges[level] = ((edge - mean) / deviation).max(edges[level - 1] + LEAST);
    }
    edges
}

/// Mean and standard deviation of a column.
fn moments(scale: &Scale) -> (f64, f64) {
    let (mut sum, mut mean) = (0.0, 0.0);
    for (level, share) in scale.shares.iter().enumerate() {
        sum += f64::from(*share);
        mean += f64::from(*share) * middle(scale, level);
    }
    mean /= sum.max(LEAST);
    let square = |(level, share): (usize, &f32)| f64::from(*share) * (middle(scale, level) - mean).powi(2);
    let variance = scale.shares.iter().enumerate().map(square).sum::<f64>() / sum.max(LEAST);
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

fn middle(scale: &Scale, level: usize) -> f64 {
    0.5 * (scale.low[level] + scale.high[level])
}

/// Modes, at most.
const MOST: usize = 10;

/// A mode that holds less than this share is left out.
const LEAST_SHARE: f64 = 0.005;

/// The modes of a column on the line of standardised values: a mixture of normals by expectation maximisation.
pub(super) fn modes(scale: &Scale) -> Vec<Mode> {
    let (mean, deviation) = moments(scale);
    let points: Vec<(f64, f64)> = (0..scale.levels())
        .map(|level| ((middle(scale, level) - mean) / deviation, f64::from(scale.shares[level])))
        .collect();
    let count = MOST.min(points.len());
    let mut below = 0.0;
    let mut start = vec![0.0; count];
    for (t, share) in &points {
        let at = ((below + 0.5 * share) * count as f64) as usize;
        start[at.min(count - 1)] = *t;
        below += share;
    }
    let mut all: Vec<(f64, Mode)> = start
        .into_iter()
        .map(|mean| (1.0 / count as f64, Mode { mean, width: 2.0 / count as f64 }))
        .collect();
    for _ in 0..100 {
        let mut sums = vec![[0.0; 3]; all.len()];
        for (t, share) in &points {
            let log = |(weight, mode): &(f64, Mode)| {
                weight.max(1e-300).ln() - mode.width.ln() - 0.5 * ((t - mode.mean) / mode.width).powi(2)
            };
            let logs: Vec<f64> = all.iter().map(log).collect();
            let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let whole: f64 = logs.iter().map(|log| (log - most).exp()).sum();
            for (sum, log) in sums.iter_mut().zip(&logs) {
                let part = share * (log - most).exp() / whole;
                *sum = [sum[0] + part, sum[1] + part * t, sum[2] + part * t * t];
            }
        }
        for ((weight, mode), [part, first, second]) in all.iter_mut().zip(sums) {
            *weight = part;
            if part > 1e-6 {
                mode.mean = first / part;
                mode.width = (second / part - mode.mean.powi(2)).max(0.0).sqrt().max(1e-3);
            }
        }
        all.retain(|(weight, _)| *weight > 1e-4);
    }
    let most = all.iter().copied().max_by(|a, b| a.0.total_cmp(&b.0));
    all.retain(|(weight, _)| *weight >= LEAST_SHARE);
    match (all.is_empty(), most) {
        (true, Some((_, mode))) => vec![mode],
        (true, None) => vec![Mode { mean: 0.0, width: 1.0 }],
        _ => all.into_iter().map(|(_, mode)| mode).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64], shares: &[f32]) -> Scale {
        Scale {
            low: values.to_vec(),
            high: values.to_vec(),
            groups: (0..values.len() as u32).collect(),
            step: 1.0,
            shares: shares.to_vec(),
            categories: false,
        }
    }

    #[test]
    fn the_marginal_of_ranks_is_the_noise_itself() {
        let edges = edges(&scale(&[0.0, 1.0, 5.0], &[0.2, 0.5, 0.3]), Line::Rank);
        let below = |t: f64| 1.0 / (1.0 + (-t).exp());
        for (at, share) in [0.2, 0.5, 0.3].into_iter().enumerate() {
            assert!((below(edges[at + 1]) - below(edges[at]) - share).abs() < 1e-6, "{edges:?}");
        }
    }

    #[test]
    fn two_hills_are_two_modes_and_one_value_is_one() {
        let values: Vec<f64> = (0..60).map(f64::from).collect();
        let hill = |at: f64, t: f64| (-0.5 * ((t - at) / 3.0).powi(2)).exp();
        let shares: Vec<f32> =
            values.iter().map(|t| ((hill(12.0, *t) + 2.0 * hill(45.0, *t)) / 22.56) as f32).collect();
        let scale_of_hills = scale(&values, &shares);
        let (mean, deviation) = moments(&scale_of_hills);
        let found = modes(&scale_of_hills);
        // Each mode lies on a hill, and each hill has one.
        let places: Vec<f64> = found.iter().map(|mode| mode.mean * deviation + mean).collect();
        assert!(places.iter().all(|at| (at - 12.0).abs() < 9.0 || (at - 45.0).abs() < 9.0), "{places:?}");
        assert!(places.iter().any(|at| *at < 20.0) && places.iter().any(|at| *at > 36.0), "{places:?}");
        assert_eq!(modes(&scale(&[3.0], &[1.0])).len(), 1);
    }

    #[test]
    fn a_value_that_comes_often_keeps_a_part_of_the_line() {
        let mut scale = scale(&[0.0, 0.0, 4.0], &[0.4, 0.3, 0.3]);
        scale.step = 0.0;
        scale.high = vec![0.0, 4.0, 9.0];
        let edges = edges(&scale, Line::Standard);
        assert!(edges.windows(2).all(|pair| pair[1] - pair[0] > 0.01), "{edges:?}");
    }
}
