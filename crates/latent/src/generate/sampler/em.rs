//! Expectation maximisation for a mixture of normals with full covariance, p(x) = Σ_k π_k N(x; μ_k, Σ_k):
//!
//! E: r_ik = π_k N(x_i; μ_k, Σ_k) / Σ_l π_l N(x_i; μ_l, Σ_l)
//! M: n_k = Σ_i r_ik,  π_k = n_k/n,  μ_k = Σ_i r_ik x_i / n_k,  Σ_k = Σ_i r_ik (x_i − μ_k)(x_i − μ_k)ᵀ / n_k + ε I
//!
//! No step lowers Σ_i ln p(x_i), but for ε. Everything is in double precision on the host.
//!
//! References: Dempster, Laird & Rubin (JRSS B 39, 1977); k-means++: Arthur & Vassilvitskii (SODA 2007).

use faer::{Mat, MatRef, Side};

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

/// Rows of numbers, row-major.
#[derive(Clone, Copy)]
pub(super) struct Points<'a> {
    /// `rows × dims`
    pub x: &'a [f64],
    /// Numbers in a row.
    pub dims: usize,
}

impl<'a> Points<'a> {
    /// The number of rows.
    pub fn rows(self) -> usize {
        self.x.len() / self.dims.max(1)
    }

    fn row(self, i: usize) -> &'a [f64] {
        &self.x[i * self.dims..(i + 1) * self.dims]
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
    points: Points<'_>,
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
    points: Points<'_>,
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
    /// ln π_k + ln N(x_i; μ_k, Σ_k), `rows × components`.
    fn log_joint(&self, points: Points<'_>) -> Mat<f64> {
        let (n, d) = (points.rows(), points.dims);
        let x = MatRef::from_row_major_slice(points.x, n, d);
        let mut joint = Mat::zeros(n, self.weights.len());
        for (k, (mean, factor)) in self.means.iter().zip(&self.factors).enumerate() {
            let inverse = inverse_of_lower(factor);
            // ‖L⁻¹ (x − μ)‖² is the Mahalanobis distance.
            let whitened = x * inverse.transpose();
            let shift: Vec<f64> = (0..d).map(|i| (0..=i).map(|j| inverse[(i, j)] * mean[j]).sum()).collect();
            let log_determinant: f64 = (0..d).map(|j| factor[(j, j)].ln()).sum();
            let constant = self.weights[k].ln() - 0.5 * d as f64 * LN_2PI - log_determinant;
            for (j, shift) in shift.iter().enumerate() {
                for i in 0..n {
                    joint[(i, k)] += (whitened[(i, j)] - shift).powi(2);
                }
            }
            for i in 0..n {
                joint[(i, k)] = constant - 0.5 * joint[(i, k)];
            }
        }
        joint
    }

    /// ln p(x) of each row.
    pub fn log_density(&self, points: Points<'_>) -> Vec<f64> {
        let joint = self.log_joint(points);
        (0..points.rows()).map(|i| log_sum_exp((0..self.weights.len()).map(|k| joint[(i, k)]))).collect()
    }

    /// The responsibilities, `rows × components`, and the mean of ln p(x).
    fn expectation(&self, points: Points<'_>) -> (Mat<f64>, f64) {
        let mut joint = self.log_joint(points);
        let mut total = 0.0;
        for i in 0..points.rows() {
            let whole = log_sum_exp((0..self.weights.len()).map(|k| joint[(i, k)]));
            total += whole;
            (0..self.weights.len()).for_each(|k| joint[(i, k)] = (joint[(i, k)] - whole).exp());
        }
        (joint, total / points.rows().max(1) as f64)
    }
}

/// The parameters that the responsibilities ask for.
fn maximisation(points: Points<'_>, r: &Mat<f64>, regularisation: f64) -> Option<Components> {
    let (n, d, components) = (points.rows(), points.dims, r.ncols());
    let mut found = Components { weights: Vec::new(), means: Vec::new(), factors: Vec::new() };
    for k in 0..components {
        // A component that lost all its rows keeps a finite mean.
        let count = (0..n).map(|i| r[(i, k)]).sum::<f64>() + 10.0 * f64::EPSILON;
        let mut mean = vec![0.0; d];
        for i in 0..n {
            let r = r[(i, k)] / count;
            mean.iter_mut().zip(points.row(i)).for_each(|(m, x)| *m += r * x);
        }
        let weighted = Mat::from_fn(n, d, |i, j| r[(i, k)].sqrt() * (points.x[i * d + j] - mean[j]));
        let scatter = weighted.transpose() * &weighted;
        let covariance =
            Mat::from_fn(d, d, |i, j| scatter[(i, j)] / count + if i == j { regularisation } else { 0.0 });
        found.weights.push(count);
        found.means.push(mean);
        found.factors.push(factor_of(&covariance)?);
    }
    let whole: f64 = found.weights.iter().sum();
    found.weights.iter_mut().for_each(|w| *w /= whole);
    Some(found)
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
fn start(points: Points<'_>, components: usize, regularisation: f64, key: Key) -> Option<Components> {
    let n = points.rows();
    let mut uniforms = vec![0.0; components];
    key.uniforms(&mut uniforms);
    let mut centres = vec![points.row(((f64::from(uniforms[0]) * n as f64) as usize).min(n - 1)).to_vec()];
    let mut nearest: Vec<f64> = (0..n).map(|i| squared_distance(points.row(i), &centres[0])).collect();
    for &u in &uniforms[1..] {
        let mut left = f64::from(u) * nearest.iter().sum::<f64>();
        let reached = |distance: &f64| {
            left -= distance;
            left <= 0.0
        };
        let chosen = nearest.iter().position(reached).unwrap_or(n - 1);
        centres.push(points.row(chosen).to_vec());
        for (i, least) in nearest.iter_mut().enumerate() {
            *least = least.min(squared_distance(points.row(i), points.row(chosen)));
        }
    }
    let mut cells = vec![0; n];
    for _ in 0..LLOYD {
        for (i, cell) in cells.iter_mut().enumerate() {
            let distance = |k: &usize| squared_distance(points.row(i), &centres[*k]);
            *cell = (0..components).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap_or(0);
        }
        let mut counts = vec![0.0; components];
        let mut sums = vec![vec![0.0; points.dims]; components];
        for (i, &cell) in cells.iter().enumerate() {
            counts[cell] += 1.0;
            sums[cell].iter_mut().zip(points.row(i)).for_each(|(s, x)| *s += x);
        }
        for ((centre, sum), count) in
            centres.iter_mut().zip(sums).zip(counts).filter(|(_, count)| *count > 0.0)
        {
            *centre = sum.into_iter().map(|s| s / count).collect();
        }
    }
    let hard = Mat::from_fn(n, components, |i, k| if cells[i] == k { 1.0 } else { 0.0 });
    maximisation(points, &hard, regularisation)
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
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
    pub(in super::super) fn blobs() -> Vec<f64> {
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
                [centre[0] + 0.8 * a + 0.2 * b, centre[1] + 0.5 * b]
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
        let points = Points { x: &x, dims: 2 };
        let (end, _) = run(points, first_start(), EFFORT, &|| false, &mut |_| ()).unwrap();
        let mean = end.log_density(points).iter().sum::<f64>() / 300.0;
        assert!((mean - SCIKIT_LEARN.0).abs() < 1e-9, "{mean:.12}");
        let weights: Vec<f64> = end.weights.clone();
        for (ours, theirs) in weights.iter().zip(SCIKIT_LEARN.1) {
            assert!((ours - theirs).abs() < 1e-9, "{weights:?}");
        }
    }

    /// `bench/gmm.py`: GaussianMixture(3, tol=0, max_iter=12, reg_covar=1e-6) from the same start.
    const SCIKIT_LEARN: (f64, [f64; 3]) =
        (-2.966_692_945_890, [0.341_586_134_018, 0.325_080_528_562, 0.333_333_337_421]);

    #[test]
    fn no_step_lowers_the_likelihood() {
        let x = blobs();
        let points = Points { x: &x, dims: 2 };
        let effort = Effort { iterations: 60, regularisation: 0.0, ..EFFORT };
        for seed in 0..5 {
            let start = start(points, 4, 1e-3, Key::from_seed(seed)).unwrap();
            let mut values = Vec::new();
            run(points, start, effort, &|| false, &mut |value| values.push(value)).unwrap();
            assert!(values.len() > 20 && values.last() > values.first());
            assert!(values.windows(2).all(|pair| pair[1] >= pair[0] - 1e-12), "{values:?}");
        }
    }

    #[test]
    fn the_best_of_several_starts_finds_the_blobs() {
        let x = blobs();
        let points = Points { x: &x, dims: 2 };
        let effort = Effort { iterations: 100, tolerance: 1e-9, ..EFFORT };
        let end = fit(points, 3, effort, Key::from_seed(1), &|| false).unwrap();
        for centre in [[0.0, 0.0], [3.0, 1.0], [-1.0, 4.0]] {
            let least = end.means.iter().map(|m| squared_distance(m, &centre)).fold(f64::MAX, f64::min);
            assert!(least < 0.1, "{:?}", end.means);
        }
    }
}
