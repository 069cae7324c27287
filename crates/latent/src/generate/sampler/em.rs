//! Expectation maximisation for a mixture of normals with full covariance, p(x) = Σ_k π_k N(x; μ_k, Σ_k):
//!
//! E: r_ik = π_k N(x_i; μ_k, Σ_k) / Σ_l π_l N(x_i; μ_l, Σ_l)
//! M: n_k = Σ_i r_ik,  π_k = n_k/n,  μ_k = Σ_i r_ik x_i / n_k,  Σ_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ / n_k + ε I
//!
//! No step lowers Σ_i ln p(x_i), but for ε. Everything is in double precision on the host.
//!
//! References: Dempster, Laird & Rubin (JRSS B 39, 1977); k-means++: Arthur & Vassilvitskii (SODA 2007).

use faer::{Mat, Side};

use crate::density::LN_2PI;
use crate::key::Key;

/// The parameters of a mixture.
#[derive(Clone, Debug)]
pub(super) struct Components {
    /// π, summing to 1.
    pub weights: Vec<f64>,
    /// μ, one a component.
    pub means: Vec<Vec<f64>>,
    /// L, lower triangular, with Σ = L Lᵀ.
    pub factors: Vec<Mat<f64>>,
}

/// Points, `rows × dims`, a column a dimension.
#[derive(Clone, Debug)]
pub(super) struct Points(Mat<f64>);

impl Points {
    /// From row-major numbers.
    pub fn new(values: &[f32], dims: usize) -> Self {
        let rows = values.len() / dims.max(1);
        Self(Mat::from_fn(rows, dims, |i, j| f64::from(values[i * dims + j])))
    }

    /// The number of points.
    pub fn rows(&self) -> usize {
        self.0.nrows()
    }

    fn dims(&self) -> usize {
        self.0.ncols()
    }

    fn row(&self, i: usize) -> Vec<f64> {
        (0..self.dims()).map(|j| self.0[(i, j)]).collect()
    }

    /// ‖x_i − centre‖² of each point.
    fn squared_distances(&self, centre: &[f64]) -> Vec<f64> {
        let mut squares = vec![0.0; self.rows()];
        for (j, c) in centre.iter().enumerate() {
            squares.iter_mut().zip(self.0.col_as_slice(j)).for_each(|(s, x)| *s += (x - c) * (x - c));
        }
        squares
    }
}

/// How EM is run.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// Starts that are tried for a few steps; the best goes on.
    pub restarts: usize,
    /// Steps at most.
    pub iterations: usize,
    /// It ends when a step gains less than this, in nats a row.
    pub tolerance: f64,
    /// ε
    pub regularisation: f64,
}

/// Steps that a start is tried for.
const TRIAL: usize = 5;

/// Rounds of k-means behind a start.
const LLOYD: usize = 5;

/// The mixture that EM ends with, from the best of several keyed starts. None where a covariance has no Cholesky factor,
/// or `late` says that the time is over before the first step.
pub(super) fn fit(
    points: &Points,
    components: usize,
    effort: Effort,
    key: Key,
    late: &dyn Fn() -> bool,
) -> Option<Components> {
    let mut best: Option<(Components, f64)> = None;
    for restart in 0..effort.restarts.max(1) {
        if best.is_some() && late() {
            break;
        }
        let Some(start) = start(points, components, effort.regularisation, key.fold(restart)) else {
            continue;
        };
        let trial = Effort { iterations: TRIAL, ..effort };
        let Some((tried, value)) = run(points, start, trial, late, &mut |_| ()) else { continue };
        if best.as_ref().is_none_or(|(_, least)| value > *least) {
            best = Some((tried, value));
        }
        if components == 1 {
            break;
        }
    }
    run(points, best?.0, effort, late, &mut |_| ()).map(|(end, _)| end)
}

/// EM from a start; `watch` hears the mean log-likelihood before each step. Returns the end and its last mean
/// log-likelihood before a step.
pub(super) fn run(
    points: &Points,
    start: Components,
    effort: Effort,
    late: &dyn Fn() -> bool,
    watch: &mut dyn FnMut(f64),
) -> Option<(Components, f64)> {
    let (mut now, mut last) = (start, f64::NEG_INFINITY);
    for _ in 0..effort.iterations {
        let (responsibilities, value) = now.expectation(points);
        watch(value);
        now = maximisation(points, &responsibilities, effort.regularisation)?;
        let gain = value - last;
        last = value;
        if gain.abs() < effort.tolerance || late() {
            break;
        }
    }
    last.is_finite().then_some((now, last))
}

impl Components {
    /// ln π_k + ln N(x_i; μ_k, Σ_k), a column a component.
    fn log_joint(&self, points: &Points) -> Vec<Vec<f64>> {
        let (n, d) = (points.rows(), points.dims());
        each(self.weights.len(), |k| {
            let (mean, factor) = (&self.means[k], &self.factors[k]);
            let inverse = inverse_of_lower(factor);
            // ‖L⁻¹ (x − μ)‖² is the Mahalanobis distance.
            let whitened = &points.0 * inverse.transpose();
            let mut squares = vec![0.0; n];
            for j in 0..d {
                let shift: f64 = (0..=j).map(|l| inverse[(j, l)] * mean[l]).sum();
                let column = whitened.col_as_slice(j);
                squares.iter_mut().zip(column).for_each(|(s, w)| *s += (w - shift) * (w - shift));
            }
            let log_determinant: f64 = (0..d).map(|j| factor[(j, j)].ln()).sum();
            let constant = self.weights[k].ln() - 0.5 * d as f64 * LN_2PI - log_determinant;
            squares.iter_mut().for_each(|s| *s = constant - 0.5 * *s);
            squares
        })
    }

    /// ln p(x) of each point.
    pub fn log_density(&self, points: &Points) -> Vec<f64> {
        let joint = self.log_joint(points);
        (0..points.rows()).map(|i| log_sum_exp(joint.iter().map(|column| column[i]))).collect()
    }

    /// The responsibilities, a column a component, and the mean of ln p(x).
    fn expectation(&self, points: &Points) -> (Vec<Vec<f64>>, f64) {
        let mut joint = self.log_joint(points);
        let mut greatest = vec![f64::MIN; points.rows()];
        for column in &joint {
            greatest.iter_mut().zip(column).for_each(|(g, v)| *g = g.max(*v));
        }
        let mut sums = vec![0.0; points.rows()];
        for column in &mut joint {
            for ((v, g), sum) in column.iter_mut().zip(&greatest).zip(&mut sums) {
                *v = (*v - g).exp();
                *sum += *v;
            }
        }
        let total: f64 = greatest.iter().zip(&sums).map(|(g, sum)| g + sum.ln()).sum();
        for column in &mut joint {
            column.iter_mut().zip(&sums).for_each(|(v, sum)| *v /= sum);
        }
        (joint, total / points.rows().max(1) as f64)
    }
}

/// The parameters that the responsibilities ask for.
fn maximisation(points: &Points, r: &[Vec<f64>], regularisation: f64) -> Option<Components> {
    let (n, d) = (points.rows(), points.dims());
    let parts = each(r.len(), |k| {
        let r = &r[k];
        // A component that lost all its rows keeps a finite mean.
        let count = r.iter().sum::<f64>() + 10.0 * f64::EPSILON;
        let along = |j: usize| points.0.col_as_slice(j);
        let mean: Vec<f64> =
            (0..d).map(|j| along(j).iter().zip(r).map(|(x, r)| x * r).sum::<f64>() / count).collect();
        let roots: Vec<f64> = r.iter().map(|r| r.sqrt()).collect();
        let mut weighted = Mat::zeros(n, d);
        for (j, mean) in mean.iter().enumerate() {
            let column = weighted.col_as_slice_mut(j).iter_mut();
            column
                .zip(along(j))
                .zip(&roots)
                .for_each(|((w, x), root): ((&mut f64, _), _)| *w = root * (x - mean));
        }
        let scatter = weighted.transpose() * &weighted;
        let covariance =
            Mat::from_fn(d, d, |i, j| scatter[(i, j)] / count + if i == j { regularisation } else { 0.0 });
        Some((count, mean, factor_of(&covariance)?))
    });
    let mut found = Components { weights: Vec::new(), means: Vec::new(), factors: Vec::new() };
    for part in parts {
        let (count, mean, factor) = part?;
        found.weights.push(count);
        found.means.push(mean);
        found.factors.push(factor);
    }
    let whole: f64 = found.weights.iter().sum();
    found.weights.iter_mut().for_each(|w| *w /= whole);
    Some(found)
}

/// `of(0) … of(count − 1)`, shared among the processor's threads; the result does not depend on how.
fn each<T: Send>(count: usize, of: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(count.max(1));
    let share = count.div_ceil(threads.max(1)).max(1);
    std::thread::scope(|scope| {
        let of = &of;
        let rest: Vec<_> = (share..count)
            .step_by(share)
            .map(|from| scope.spawn(move || (from..(from + share).min(count)).map(of).collect::<Vec<T>>()))
            .collect();
        let mut all: Vec<T> = (0..share.min(count)).map(of).collect();
        for thread in rest {
            match thread.join() {
                Ok(part) => all.extend(part),
                // A panic goes on where it would have without threads.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        all
    })
}

/// L with Σ = L Lᵀ; none where Σ is not positive definite.
pub(super) fn factor_of(covariance: &Mat<f64>) -> Option<Mat<f64>> {
    let llt = covariance.llt(Side::Lower).ok()?;
    let factor = llt.L().to_owned();
    (0..factor.nrows()).all(|j| factor[(j, j)].is_finite() && factor[(j, j)] > 0.0).then_some(factor)
}

/// L⁻¹ by forward substitution, a column at a time.
fn inverse_of_lower(factor: &Mat<f64>) -> Mat<f64> {
    let d = factor.nrows();
    let mut inverse = Mat::zeros(d, d);
    for j in 0..d {
        inverse[(j, j)] = 1.0 / factor[(j, j)];
        for i in j + 1..d {
            let sum: f64 = (j..i).map(|k| factor[(i, k)] * inverse[(k, j)]).sum();
            inverse[(i, j)] = -sum / factor[(i, i)];
        }
    }
    inverse
}

/// A start: centres that k-means++ draws far from each other, a few rounds of k-means, and the normals of its cells.
fn start(points: &Points, components: usize, regularisation: f64, key: Key) -> Option<Components> {
    let n = points.rows();
    let mut uniforms = vec![0.0; components];
    key.uniforms(&mut uniforms);
    let mut centres = vec![points.row(((f64::from(uniforms[0]) * n as f64) as usize).min(n - 1))];
    let mut nearest = points.squared_distances(&centres[0]);
    for &u in &uniforms[1..] {
        let mut left = f64::from(u) * nearest.iter().sum::<f64>();
        let reached = |distance: &f64| {
            left -= distance;
            left <= 0.0
        };
        let chosen = nearest.iter().position(reached).unwrap_or(n - 1);
        let centre = points.row(chosen);
        let distances = points.squared_distances(&centre);
        nearest.iter_mut().zip(distances).for_each(|(least, distance)| *least = least.min(distance));
        centres.push(centre);
    }
    let mut cells = vec![0; n];
    for _ in 0..LLOYD {
        let mut least = vec![f64::MAX; n];
        for (k, distances) in each(components, |k| points.squared_distances(&centres[k])).iter().enumerate() {
            for ((cell, least), distance) in cells.iter_mut().zip(&mut least).zip(distances) {
                if distance < least {
                    (*cell, *least) = (k, *distance);
                }
            }
        }
        let mut counts = vec![0.0; components];
        let mut sums = vec![vec![0.0; points.dims()]; components];
        for (i, &cell) in cells.iter().enumerate() {
            counts[cell] += 1.0;
            sums[cell].iter_mut().enumerate().for_each(|(j, s)| *s += points.0[(i, j)]);
        }
        for ((centre, sum), count) in
            centres.iter_mut().zip(sums).zip(counts).filter(|(_, count)| *count > 0.0)
        {
            *centre = sum.into_iter().map(|s| s / count).collect();
        }
    }
    let in_cell = |k: usize| cells.iter().map(|&cell| f64::from(u8::from(cell == k))).collect();
    let hard: Vec<Vec<f64>> = (0..components).map(in_cell).collect();
    maximisation(points, &hard, regularisation)
}

/// ln Σ exp, with the greatest taken out first.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let greatest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if greatest == f64::NEG_INFINITY {
        return greatest;
    }
    greatest + values.map(|v| (v - greatest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three blobs in the plane from formulas that `bench/gmm.py` repeats.
    fn blobs() -> Vec<f32> {
        let frac = |v: f64| v - v.floor();
        let centres = [[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]];
        (0..300)
            .flat_map(|i| {
                let centre = centres[i % 3];
                let u = frac(f64::from(i as u32 + 1) * 0.754_877_666_246_692_7);
                let v = frac(f64::from(i as u32 + 1) * 0.569_840_290_998_053_2);
                let radius = (-2.0 * u.max(1e-12).ln()).sqrt();
                let angle = std::f64::consts::TAU * v;
                let (a, b) = (radius * angle.cos(), radius * angle.sin());
                [centre[0] + 0.8 * a + 0.2 * b, centre[1] + 0.5 * b].map(|v| v as f32)
            })
            .collect()
    }

    fn first_start() -> Components {
        let eye = || Mat::from_fn(2, 2, |i, j| if i == j { 1.0 } else { 0.0 });
        Components {
            weights: vec![0.5, 0.3, 0.2],
            means: vec![vec![0.5, -0.5], vec![2.0, 2.0], vec![-2.0, 3.0]],
            factors: vec![eye(), eye(), eye()],
        }
    }

    const EFFORT: Effort = Effort { restarts: 3, iterations: 12, tolerance: 0.0, regularisation: 1e-6 };

    #[test]
    fn twelve_steps_end_where_scikit_learn_does() {
        let x = blobs();
        let points = Points::new(&x, 2);
        let (end, _) = run(&points, first_start(), EFFORT, &|| false, &mut |_| ()).unwrap();
        let mean = end.log_density(&points).iter().sum::<f64>() / 300.0;
        assert!((mean - SCIKIT_LEARN.0).abs() < 1e-9, "{mean:.12}");
        let weights: Vec<f64> = end.weights.clone();
        for (ours, theirs) in weights.iter().zip(SCIKIT_LEARN.1) {
            assert!((ours - theirs).abs() < 1e-9, "{weights:?}");
        }
    }

    /// `bench/gmm.py`: GaussianMixture(3, tol=0, max_iter=12, reg_covar=1e-6) from the same start.
    const SCIKIT_LEARN: (f64, [f64; 3]) =
        (-2.966_692_952_564, [0.341_586_132_549, 0.325_080_530_030, 0.333_333_337_421]);

    #[test]
    fn no_step_lowers_the_likelihood() {
        let x = blobs();
        let points = Points::new(&x, 2);
        let effort = Effort { iterations: 60, regularisation: 0.0, ..EFFORT };
        for seed in 0..5 {
            let start = start(&points, 4, 1e-3, Key::from_seed(seed)).unwrap();
            let mut values = Vec::new();
            run(&points, start, effort, &|| false, &mut |value| values.push(value)).unwrap();
            assert!(values.len() > 20 && values.last() > values.first());
            assert!(values.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12), "{values:?}");
        }
    }

    #[test]
    fn the_best_of_several_starts_finds_the_blobs() {
        let x = blobs();
        let points = Points::new(&x, 2);
        let effort = Effort { iterations: 100, tolerance: 1e-9, ..EFFORT };
        let end = fit(&points, 3, effort, Key::from_seed(1), &|| false).unwrap();
        for centre in [[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]] {
            let squares = |m: &Vec<f64>| (m[0] - centre[0]).powi(2) + (m[1] - centre[1]).powi(2);
            let least = end.means.iter().map(squares).fold(f64::MAX, f64::min);
            assert!(least < 0.1, "{:?}", end.means);
        }
    }
}
