//! Columns that are nearly a sum of two others in the same row: a bill is the one before it with its interest, less what was
//! paid.
//!
//! a ≈ β b + γ c,  where β b + γ c stands beside a, on a's own scale, in more rows than any single column does
//!
//! Rows that do not obey are many, so that least squares would be drawn away by them: β and γ are those that two rows agree
//! on, of some pairs of rows those that most other rows agree with. What holds of a holds of b and of c as well, solved for
//! them.
//!
//! Reference: Fischler & Bolles, *Random Sample Consensus* (Communications of the ACM 24, 1981).

use super::{Alike, Number, excess};

/// How near is near, as a share of the column's values.
const NEAR: f64 = 1.0 / 256.0;

/// In how many more rows than the best single column a sum must be near.
const LEAST_GAIN: f64 = 0.05;

/// Pairs of rows that β and γ are tried from.
const TRIALS: usize = 128;

/// Fewer rows may agree by chance.
const LEAST_ROWS: usize = 1000;

/// More columns by threes take too long to look through.
const MOST: usize = 4096;

/// One row of so many is enough to choose among trials.
const STRIDE: usize = 4;

/// The sums among all columns or, where those are too many by threes, among such of which two at least are alike; those of
/// each column from the nearest on.
pub(super) fn find(numbers: &[Number<'_>], pairs: &[Alike]) -> Vec<Alike> {
    let rows = numbers.first().map_or(0, |number| number.values.len());
    if rows < LEAST_ROWS {
        return Vec::new();
    }
    let mut threes = threes(numbers, |_, _| true);
    if threes.len() > MOST {
        let is_pair = |one: usize, other: usize| {
            let [one, other] = [one, other].map(|at| numbers[at].at);
            pairs.iter().any(|pair| (pair.column, pair.like) == (one, other))
        };
        threes = self::threes(numbers, |one, other| is_pair(one, other) || is_pair(other, one));
    }
    if threes.len() > MOST {
        return Vec::new();
    }
    let mut found: Vec<Alike> = Vec::new();
    let mut add = |column: usize, like: (usize, f64), and: (usize, f64), share: f64| {
        if !(like.1.is_finite() && and.1.is_finite()) {
            return;
        }
        let same = |alike: &Alike| {
            let others = [Some(alike.like), alike.and.map(|and| and.0)];
            alike.column == column && others.contains(&Some(like.0)) && others.contains(&Some(and.0))
        };
        match found.iter_mut().find(|alike| same(alike)) {
            Some(known) if f64::from(known.share) >= share => {}
            known => {
                let (like, times) = like;
                let alike = Alike { column, like, times, and: Some(and), share: share as f32 };
                match known {
                    Some(known) => *known = alike,
                    None => found.push(alike),
                }
            }
        }
    };
    for own in 0..numbers.len() {
        let a = &numbers[own];
        let near = a.near(NEAR);
        let single = |other: &Number<'_>| excess(&near, &other.values);
        let others = numbers.iter().enumerate().filter(|(at, _)| *at != own);
        let best = others.map(|(_, other)| single(other)).fold(0.0, f64::max);
        for three in threes.iter().filter(|three| three.contains(&own)) {
            let mut others = three.iter().filter(|at| **at != own).map(|at| &numbers[*at]);
            let (Some(b), Some(c)) = (others.next(), others.next()) else { continue };
            let Some((share, beta, gamma)) = agreed(a, &near, b, c) else { continue };
            if share - best < LEAST_GAIN {
                continue;
            }
            let gain = share - best;
            add(a.at, (b.at, beta), (c.at, gamma), gain);
            add(b.at, (a.at, 1.0 / beta), (c.at, -gamma / beta), gain);
            add(c.at, (a.at, 1.0 / gamma), (b.at, -beta / gamma), gain);
        }
    }
    found.sort_by(|one, other| one.column.cmp(&other.column).then(other.share.total_cmp(&one.share)));
    found
}

/// Numbers by threes of which two at least are so, up to one more than may be.
fn threes(numbers: &[Number<'_>], is_pair: impl Fn(usize, usize) -> bool) -> Vec<[usize; 3]> {
    let all = 0..numbers.len();
    let pairs: Vec<Vec<bool>> =
        all.clone().map(|one| all.clone().map(|other| is_pair(one, other)).collect()).collect();
    let by_threes = all.clone().flat_map(|a| {
        let last = numbers.len();
        (a + 1..last).flat_map(move |b| (b + 1..last).map(move |c| [a, b, c]))
    });
    by_threes.filter(|[a, b, c]| pairs[*a][*b] || pairs[*a][*c] || pairs[*b][*c]).take(MOST + 1).collect()
}

/// β and γ of b and c that most rows agree with, after the share of rows beyond chance.
fn agreed(a: &Number<'_>, near: &[(f64, f64)], b: &Number<'_>, c: &Number<'_>) -> Option<(f64, f64, f64)> {
    let rows = a.values.len();
    let mut best: Option<(usize, f64, f64)> = None;
    for trial in 0..TRIALS {
        let one = trial * rows / TRIALS;
        let other = (one + rows / 2 + trial) % rows;
        let [a1, b1, c1] = [a, b, c].map(|number| number.values[one]);
        let [a2, b2, c2] = [a, b, c].map(|number| number.values[other]);
        let (right, left) = (b1 * c2, b2 * c1);
        let area = right - left;
        // Not where a cell is empty either, which is NaN.
        if area.is_nan() || area.abs() <= 1e-9 * (right.abs() + left.abs()) {
            continue;
        }
        let (beta, gamma) = ((a1 * c2 - a2 * c1) / area, (b1 * a2 - b2 * a1) / area);
        if !(beta.is_normal() && gamma.is_normal()) {
            continue;
        }
        let sums = b.values.iter().zip(&c.values).map(|(b, c)| beta * b + gamma * c);
        let some = near.iter().zip(sums).step_by(STRIDE);
        let count = some.filter(|((low, high), sum)| low <= sum && sum <= high).count();
        if best.is_none_or(|(most, _, _)| count > most) {
            best = Some((count, beta, gamma));
        }
    }
    let (_, beta, gamma) = best?;
    let sums: Vec<f64> = b.values.iter().zip(&c.values).map(|(b, c)| beta * b + gamma * c).collect();
    Some((excess(near, &sums), beta, gamma))
}
