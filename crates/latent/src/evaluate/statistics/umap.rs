//! UMAP: a map of many codes in which neighbours stay neighbours.
//!
//! ```text
//! w_{ij} = exp(−max(0, ‖z_i − z_j‖ − ρ_i) / σ_i) for the k nearest j, ρ_i the distance of the nearest, σ_i such that Σ_j w_{ij} = log₂ k
//! w = w_{ij} + w_{ji} − w_{ij} w_{ji};  v(d) = 1 / (1 + a d^{2b}), near 1 within `MIN_DISTANCE` and e^{MIN_DISTANCE − d} beyond
//! minimise Σ w ln(w / v) + (1 − w) ln((1 − w) / (1 − v)) by drawn edges, each with five drawn strangers
//! ```
//!
//! From the first two principal components; neighbours are exact. One thread moves the points, so that a key gives one map.
//! Rows beyond those that were fitted get the weighted mean of their nearest neighbours' places. Distances between far
//! clusters, and their sizes, mean little: [`trust`] says how many neighbours are kept.
//!
//! Reference: McInnes, Healy & Melville, *UMAP* (arXiv 1802.03426); for the start: Kobak & Linderman (Nature Biotechnology 39, 2021).

use latent_kernels::host::{map, product_of_rows};

use super::pca::Pca;
use crate::array::Array;
use crate::key::Key;

/// a and b of v, fitted to a least distance of 0.1 and a spread of 1.
const A: f64 = 1.576_943_460_405;
const B: f64 = 0.895_060_878_123;
/// Strangers that a point is pushed from for each neighbour that it is drawn to.
const STRANGERS: usize = 5;
/// Rows whose distances to all others are held at once.
const TILE: usize = 128;

/// A map of rows, and a way to put others on it.
#[derive(Clone, Debug)]
pub struct Umap {
    points: Array,
    places: Vec<[f32; 2]>,
    neighbours: usize,
}

impl Umap {
    /// A map of `points`; `progress` hears how far it is, from 0 to 1, and ends the work by `false`. None where that
    /// happened, where there are fewer than four rows or they are not finite.
    pub fn fit(
        points: Array,
        neighbours: usize,
        key: Key,
        progress: &(dyn Fn(f64) -> bool + Sync),
    ) -> Option<Self> {
        let n = points.rows();
        let pca = Pca::fit(&points.values, points.width(), 2).filter(|_| n >= 4)?;
        let k = neighbours.clamp(2, n - 1);
        let near = nearest(&points, &points, k, true, &|share| progress(0.3 * share))?;
        let edges = edges(&near, k, n);
        let mut places: Vec<[f64; 2]> = (0..n)
            .map(|row| {
                let along = pca.project(points.row(row));
                [0, 1].map(|axis| along.get(axis).copied().unwrap_or(0.0))
            })
            .collect();
        let most = places.iter().flatten().fold(1e-12f64, |most, v| most.max(v.abs()));
        let mut noise = vec![0.0f32; 2 * n];
        key.fold("start").normals(&mut noise);
        for (place, noise) in places.iter_mut().zip(noise.chunks_exact(2)) {
            // Rows that lie on each other part.
            #[allow(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
            for axis in 0..2 {
                place[axis] = 10.0 * place[axis] / most + 1e-4 * f64::from(noise[axis]);
            }
        }
        descend(&edges, &mut places, key, &|share| progress(0.3 + 0.7 * share))?;
        let places = places.into_iter().map(|place| place.map(|v| v as f32)).collect();
        Some(Self { points, places, neighbours: k })
    }

    /// A map that was fitted before: the rows that it was fitted on and their places. None where there are not as many of
    /// one as of the other.
    pub fn restore(points: Array, places: Vec<[f32; 2]>, neighbours: usize) -> Option<Self> {
        let fits = points.rows() == places.len() && points.rows() >= 4;
        let neighbours = neighbours.clamp(2, points.rows().max(3) - 1);
        fits.then_some(Self { points, places, neighbours })
    }

    /// Where the rows are that it was fitted on.
    pub fn places(&self) -> &[[f32; 2]] {
        &self.places
    }

    /// Where other rows belong: the mean of their nearest neighbours' places, the nearer the heavier.
    pub fn place(&self, others: &Array) -> Vec<[f32; 2]> {
        let k = self.neighbours.min(5);
        let near = nearest(others, &self.points, k, false, &|_| true).unwrap_or_default();
        near.chunks_exact(k).map(|near| mean_place(near, &self.places)).collect()
    }
}

/// Places of neighbours, weighed by 1 over their distance.
fn mean_place(near: &[(u32, f32)], places: &[[f32; 2]]) -> [f32; 2] {
    let least = near.first().map_or(0.0, |(_, d)| *d).max(1e-6);
    let (mut sum, mut total) = ([0.0f32; 2], 0.0f32);
    for &(row, distance) in near {
        let weight = least / distance.max(1e-6);
        total += weight;
        #[allow(clippy::needless_range_loop, reason = "several arrays are read at the same place")]
        for axis in 0..2 {
            sum[axis] += weight * places[row as usize][axis];
        }
    }
    sum.map(|v| v / total.max(1e-12))
}

/// The share of each row's `neighbours` nearest that are among as many nearest on the map, the mean over at most 500 rows
/// drawn by `key`.
pub fn trust(points: &Array, places: &[[f32; 2]], neighbours: usize, key: Key) -> Option<f64> {
    let n = points.rows().min(places.len());
    let k = neighbours.min(n.checked_sub(1)?);
    let mut rows = key.fold("trust").permutation(n);
    rows.truncate(500);
    if k == 0 {
        return None;
    }
    let chosen =
        |of: &Array| Array::matrix(rows.iter().flat_map(|&row| of.row(row)).copied().collect(), of.width());
    let flat = Array::matrix(places.iter().flatten().copied().collect(), 2);
    // Each row finds itself first.
    let here = nearest(&chosen(points), points, k + 1, false, &|_| true)?;
    let there = nearest(&chosen(&flat), &flat, k + 1, false, &|_| true)?;
    let kept: usize = here
        .chunks_exact(k + 1)
        .zip(there.chunks_exact(k + 1))
        .zip(&rows)
        .map(|((here, there), &own)| {
            let others = |near: &[(u32, f32)]| -> Vec<u32> {
                near.iter().map(|(row, _)| *row).filter(|&row| row as usize != own).take(k).collect()
            };
            let there = others(there);
            others(here).iter().filter(|row| there.contains(row)).count()
        })
        .sum();
    Some(kept as f64 / (k * rows.len()) as f64)
}

/// The `k` rows of `all` nearest to each of `rows`, with their distances, the nearest first; without a row itself where
/// the two are the same. None where `progress` ends the work.
fn nearest(
    rows: &Array,
    all: &Array,
    k: usize,
    same: bool,
    progress: &(dyn Fn(f64) -> bool + Sync),
) -> Option<Vec<(u32, f32)>> {
    let (n, dims) = (rows.rows(), rows.width());
    let squares = |set: &Array| -> Vec<f32> {
        set.values.chunks_exact(dims.max(1)).map(|row| row.iter().map(|v| v * v).sum()).collect()
    };
    let (own, theirs) = (squares(rows), squares(all));
    let tiles: Vec<usize> = (0..n).step_by(TILE).collect();
    let mut found = Vec::with_capacity(n * k);
    // Some tiles at a time, so that the work can end.
    for (index, group) in tiles.chunks(16).enumerate() {
        if !progress((index * 16) as f64 / tiles.len() as f64) {
            return None;
        }
        let parts = map(group.len(), |at| {
            let (start, end) = (group[at], n.min(group[at] + TILE));
            let products = product_of_rows(&rows.values[start * dims..end * dims], &all.values, dims);
            let mut best = Vec::with_capacity((end - start) * k);
            for (row, products) in (start..end).zip(products.chunks_exact(all.rows())) {
                let mut near: Vec<(u32, f32)> = Vec::with_capacity(k + 1);
                let mut worst = f32::INFINITY;
                for (other, product) in products.iter().enumerate() {
                    let square = own[row] + theirs[other] - 2.0 * product;
                    if square >= worst || (same && other == row) {
                        continue;
                    }
                    let at = near.partition_point(|(_, d)| *d <= square);
                    near.insert(at, (other as u32, square));
                    near.truncate(k);
                    if near.len() == k {
                        worst = near.last().map_or(worst, |(_, d)| *d);
                    }
                }
                near.resize(k, near.last().copied().unwrap_or((0, 0.0)));
                best.extend(near.into_iter().map(|(other, square)| (other, square.max(0.0).sqrt())));
            }
            best
        });
        found.extend(parts.into_iter().flatten());
    }
    Some(found)
}

/// An edge between two rows and its weight.
type Edge = (u32, u32, f64);

/// The graph: each pair once, the lower row first.
fn edges(near: &[(u32, f32)], k: usize, n: usize) -> Vec<Edge> {
    let mut directed: Vec<Edge> = Vec::with_capacity(n * k);
    for (row, near) in near.chunks_exact(k).enumerate() {
        let least = near.iter().map(|(_, d)| f64::from(*d)).find(|d| *d > 0.0).unwrap_or(0.0);
        let sigma = bandwidth(near, least, (k as f64).log2());
        for &(other, distance) in near {
            let weight = (-(f64::from(distance) - least).max(0.0) / sigma).exp();
            let (row, other) = (row as u32, other);
            directed.push((row.min(other), row.max(other), weight));
        }
    }
    directed.sort_by_key(|a| (a.0, a.1));
    let mut edges: Vec<Edge> = Vec::with_capacity(directed.len());
    for (a, b, weight) in directed {
        match edges.last_mut() {
            Some(last) if (last.0, last.1) == (a, b) => last.2 += weight - last.2 * weight,
            _ => edges.push((a, b, weight)),
        }
    }
    edges
}

/// σ by bisection.
fn bandwidth(near: &[(u32, f32)], least: f64, wanted: f64) -> f64 {
    let (mut low, mut high, mut sigma) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..64 {
        let sum: f64 =
            near.iter().map(|(_, d)| (-(f64::from(*d) - least).max(0.0) / sigma).exp()).sum::<f64>();
        if (sum - wanted).abs() < 1e-5 {
            break;
        }
        if sum > wanted {
            high = sigma;
            sigma = (low + high) / 2.0;
        } else {
            low = sigma;
            sigma = if high.is_finite() { (low + high) / 2.0 } else { sigma * 2.0 };
        }
    }
    let mean = near.iter().map(|(_, d)| f64::from(*d)).sum::<f64>() / near.len().max(1) as f64;
    sigma.max(1e-3 * mean).max(1e-12)
}

/// Moves the points along drawn edges. None where `progress` ends the work.
fn descend(edges: &[Edge], places: &mut [[f64; 2]], key: Key, progress: &dyn Fn(f64) -> bool) -> Option<()> {
    let n = places.len();
    let epochs = if n <= 10_000 { 400 } else { 200 };
    let most = edges.iter().map(|edge| edge.2).fold(1e-12, f64::max);
    // An edge of the greatest weight is drawn in each epoch, others as often as they are heavy.
    let mut due: Vec<f64> = edges.iter().map(|edge| most / edge.2.max(1e-12)).collect();
    let mut seed = [0.0f32; 4];
    key.fold("strangers").uniforms(&mut seed);
    let mut state = seed.iter().fold(1u64, |s, u| (s << 15) ^ u64::from(u.to_bits())) | 1;
    let mut stranger = || {
        // xorshift64*: fast, and good enough to pick a row.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        ((u128::from(state.wrapping_mul(0x2545_F491_4F6C_DD1D)) * n as u128) >> 64) as usize
    };
    let clip = |v: f64| v.clamp(-4.0, 4.0);
    for epoch in 0..epochs {
        if !progress(epoch as f64 / epochs as f64) {
            return None;
        }
        let rate = 1.0 - epoch as f64 / epochs as f64;
        for (&(a, b, weight), due) in edges.iter().zip(&mut due) {
            if *due > (epoch + 1) as f64 {
                continue;
            }
            *due += most / weight.max(1e-12);
            // Both ends in turn are drawn to the other and pushed from strangers.
            for (a, b) in [(a as usize, b as usize), (b as usize, a as usize)] {
                let d = square(places[a], places[b]);
                if d > 0.0 {
                    let power = d.powf(B - 1.0);
                    let pull = -2.0 * A * B * power / (1.0 + A * power * d);
                    #[allow(
                        clippy::needless_range_loop,
                        reason = "several arrays are read at the same place"
                    )]
                    for axis in 0..2 {
                        let step = rate * clip(pull * (places[a][axis] - places[b][axis]));
                        places[a][axis] += step;
                        places[b][axis] -= step;
                    }
                }
                for _ in 0..STRANGERS / 2 + usize::from(a < b) {
                    let other = stranger();
                    if other == a {
                        continue;
                    }
                    let d = square(places[a], places[other]);
                    let push = 2.0 * B / ((0.001 + d) * (1.0 + A * d.powf(B)));
                    #[allow(
                        clippy::needless_range_loop,
                        reason = "several arrays are read at the same place"
                    )]
                    for axis in 0..2 {
                        places[a][axis] += rate * clip(push * (places[a][axis] - places[other][axis]));
                    }
                }
            }
        }
    }
    places.iter().flatten().all(|v| v.is_finite()).then_some(())
}

fn square(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clouds(n: usize, dims: usize) -> Array {
        let mut values = vec![0.0; n * dims];
        Key::from_seed(8).normals(&mut values);
        let mut points = Array::matrix(values, dims);
        for row in 0..n {
            points.values[row * dims + row % 3] += 12.0;
        }
        points
    }

    #[test]
    fn the_curve_is_fitted_to_its_least_distance() {
        // a and b minimise the squared difference from 1 within 0.1 and e^{0.1 − d} beyond: no neighbour of them is better.
        let loss = |a: f64, b: f64| -> f64 {
            (0..300)
                .map(|i| f64::from(i) * 0.01)
                .map(|d| {
                    let wanted = if d < 0.1 { 1.0 } else { (0.1 - d).exp() };
                    (1.0 / (1.0 + a * d.powf(2.0 * b)) - wanted).powi(2)
                })
                .sum()
        };
        for (da, db) in [(0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)] {
            assert!(loss(A + da, B + db) > loss(A, B), "{da} {db}");
        }
    }

    #[test]
    fn neighbours_are_the_nearest_and_weights_sum_to_the_logarithm() {
        let points = clouds(200, 5);
        let near = nearest(&points, &points, 7, true, &|_| true).unwrap();
        for row in [0, 77, 199] {
            let distance = |other: usize| {
                let pairs = points.row(row).iter().zip(points.row(other));
                pairs.map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
            };
            let mut others: Vec<usize> = (0..200).filter(|other| *other != row).collect();
            others.sort_by(|&a, &b| distance(a).total_cmp(&distance(b)));
            let found: Vec<usize> =
                near[row * 7..(row + 1) * 7].iter().map(|(other, _)| *other as usize).collect();
            assert_eq!(found, others[..7]);
            let near = &near[row * 7..(row + 1) * 7];
            let least = f64::from(near[0].1);
            let sigma = bandwidth(near, least, 7f64.log2());
            let sum: f64 = near.iter().map(|(_, d)| (-(f64::from(*d) - least) / sigma).exp()).sum();
            assert!((sum - 7f64.log2()).abs() < 1e-4, "{sum}");
        }
    }

    #[test]
    fn clusters_stay_apart_and_others_find_theirs() {
        let points = clouds(600, 10);
        let fit = || Umap::fit(points.clone(), 15, Key::from_seed(1), &|_| true).unwrap();
        let map = fit();
        assert_eq!(map.places(), fit().places());
        let near = |a: [f32; 2], b: [f32; 2]| (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
        let cluster_of = |place: [f32; 2], but: Option<usize>| {
            let others = (0..600).filter(|other| Some(*other) != but);
            others.min_by(|&a, &b| near(place, map.places()[a]).total_cmp(&near(place, map.places()[b])))
        };
        for row in 0..600 {
            assert_eq!(cluster_of(map.places()[row], Some(row)).unwrap() % 3, row % 3, "row {row}");
        }
        let mut others = clouds(30, 10);
        others.values.iter_mut().for_each(|v| *v += 0.05);
        for (row, place) in map.place(&others).into_iter().enumerate() {
            assert_eq!(cluster_of(place, None).unwrap() % 3, row % 3);
        }
        let kept = trust(&points, map.places(), 15, Key::from_seed(2)).unwrap();
        assert!(kept > 0.25 && kept <= 1.0, "{kept}");
        assert!(
            (trust(&clouds(50, 2), &places_of(&clouds(50, 2)), 5, Key::from_seed(2)).unwrap() - 1.0).abs()
                < 1e-9
        );
        assert!(Umap::fit(points.clone(), 15, Key::from_seed(1), &|share| share < 0.5).is_none());
        assert!(Umap::fit(clouds(3, 4), 15, Key::from_seed(1), &|_| true).is_none());
    }

    fn places_of(points: &Array) -> Vec<[f32; 2]> {
        points.values.chunks_exact(2).map(|p| [p[0], p[1]]).collect()
    }
}
