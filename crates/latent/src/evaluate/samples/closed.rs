//! What part of the way from the prior to the best that a sampler can do does a sampler go?
//!
//! closed = (d²_prior − d²_sampler) / (d²_prior − d²_floor)
//!
//! The floor is decoded draws of q(z|x): samplers are fitted on draws of q, so one that is perfect gives these. The three
//! Fréchet distances share their reference rows, so the interval is that of the ratio itself, from how each row pulls at it
//! (the infinitesimal jackknife):
//!
//! ∂closed = ((1 − closed) ∂d²_prior − ∂d²_sampler + closed ∂d²_floor) / (d²_prior − d²_floor)

use super::frechet::{Distance, variance_of_mean};
use crate::evaluate::Estimate;

/// The share that is closed, from distances whose first set is the same rows. None where prior and floor are not apart: a
/// share of nothing.
pub fn closed(prior: &Distance, sampler: &Distance, floor: &Distance) -> Option<Estimate> {
    let way = prior.value - floor.value;
    let share = (prior.value - sampler.value) / way;
    let weights = [1.0 - share, -1.0, share].map(|weight| weight / way);
    let distances = [prior, sampler, floor];
    // Whether the way is more than chance: by the same rule, without the sampler.
    let apart = variance(&[prior, floor], &[1.0, -1.0]).sqrt();
    if way.is_nan() || way <= crate::evaluate::Z_95 * apart {
        return None;
    }
    Some(Estimate::normal(share, variance(&distances, &weights).sqrt()))
}

/// The variance of a weighted sum of distances: the rows of the reference pull at all of them, those of the others at one.
fn variance(distances: &[&Distance], weights: &[f64]) -> f64 {
    let mut shared = vec![0.0; distances.first().map_or(0, |d| d.pulls[0].len())];
    let mut alone = 0.0;
    for (distance, weight) in distances.iter().zip(weights) {
        shared.iter_mut().zip(&distance.pulls[0]).for_each(|(sum, pull)| *sum += weight * pull);
        alone += weight * weight * variance_of_mean(&distance.pulls[1]);
    }
    variance_of_mean(&shared) + alone
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;
    use crate::array::Array;

    const DIMS: usize = 4;

    fn shifted(seed: u64, n: usize, shift: f32) -> Array {
        let mut values = normals(seed, n, DIMS);
        values.chunks_mut(DIMS).for_each(|row| row[0] += shift);
        Array::matrix(values, DIMS)
    }

    /// Shifts of 2, 1 and 0 make squared distances of 4, 1 and 0: three quarters of the way. Over 200 draws of all sets the
    /// interval holds the mean about as often as it says.
    #[test]
    fn the_interval_of_the_ratio_holds() {
        let found: Vec<Estimate> = (0..200)
            .map(|draw| {
                let seed = 10 * draw + 1000;
                let reference = shifted(seed, 150, 0.0);
                let of = |at: u64, shift| Distance::of(&reference, &shifted(seed + at, 150, shift)).unwrap();
                closed(&of(1, 2.0), &of(2, 1.0), &of(3, 0.0)).unwrap()
            })
            .collect();
        let mean = found.iter().map(|e| e.value).sum::<f64>() / 200.0;
        assert!((mean - 0.75).abs() < 0.01, "{mean}");
        let held = found.iter().filter(|e| e.low <= mean && mean <= e.high).count();
        assert!((182..=200).contains(&held), "{held} of 200");
        let sd = (found.iter().map(|e| (e.value - mean).powi(2)).sum::<f64>() / 199.0).sqrt();
        let half = found.iter().map(|e| e.high - e.low).sum::<f64>() / 400.0;
        assert!((0.8..1.25).contains(&(half / (1.96 * sd))), "{half} {sd}");
    }

    #[test]
    fn a_share_of_nothing_is_none() {
        let reference = shifted(1, 100, 0.0);
        let of = |seed, shift| Distance::of(&reference, &shifted(seed, 100, shift)).unwrap();
        assert!(closed(&of(2, 0.0), &of(3, 0.0), &of(4, 0.0)).is_none());
        assert!(closed(&of(2, 0.0), &of(3, 0.0), &of(4, 2.0)).is_none());
    }
}
