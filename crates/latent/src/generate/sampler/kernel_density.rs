//! Kernel density: a normal of width h about each training code, p̂(z) = 1/N Σ_i N(z; c_i, h² I).
//!
//! h is the one with the best held-out score, the mean of ln p̂ over validation codes: a grid over ln h, then a golden section
//! about its best. A narrow kernel draws training codes over again, with noise; so `auto` leaves it out.
//!
//! Reference: Parzen, *On estimation of a probability density function and mode* (Ann. Math. Stat. 33, 1962).

use faer::{Mat, MatRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::em::log_sum_exp;
use super::gaussian_mixture::{double, needs_reals};
use super::how::uniforms;
use super::onnx::{NoiseGraph, NoiseLaw};
use super::per_class::{fit_each, restore_each};
use super::{Arrays, Fitting, How, Sampler, SamplerSettings, Space};
use crate::array::Array;
use crate::batch::Noise;
use crate::config::ConfigError;
use crate::density::LN_2PI;
use crate::generate::Result;
use crate::member::Named;
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;

/// The kernel and its centres.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct KernelDensitySettings {
    /// h in standard deviations of a dimension; 0 lets held-out codes choose.
    pub bandwidth: f64,
    /// Training codes that are kept, at most.
    pub centres: usize,
}

impl Default for KernelDensitySettings {
    fn default() -> Self {
        Self { bandwidth: 0.0, centres: 10_000 }
    }
}

/// Validation codes that choose the bandwidth, at most.
const JUDGES: usize = 500;

/// Where the bandwidth is looked for.
const BANDWIDTHS: (f64, f64) = (0.005, 5.0);

impl Named for KernelDensitySettings {
    const KIND: &'static str = "kernel-density";
    const ABOUT: &'static str = "a normal about each training code, as wide as held-out codes ask for";
}

impl SamplerSettings for KernelDensitySettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("kernel-density", space)?;
        let wrong = |key: &str, what: String, remedy: &str| {
            Err(ConfigError::Value { key: format!("sampler.{key}"), what, remedy: remedy.into() }.into())
        };
        if !(self.bandwidth.is_finite() && self.bandwidth >= 0.0) {
            return wrong(
                "bandwidth",
                format!("{}", self.bandwidth),
                "give a positive number, or 0 to have it chosen",
            );
        }
        if self.centres == 0 {
            return wrong("centres", "no centre to draw from".into(), "give at least 1");
        }
        Ok(())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        fit_each(fitting, |fitting, _| {
            let mut rows = fitting.key.fold("rows").permutation(fitting.codes.train.rows());
            rows.truncate(self.centres);
            let centres: Vec<f32> = rows.iter().flat_map(|&r| fitting.codes.train.row(r)).copied().collect();
            let mut judges = fitting.key.fold("judges").permutation(fitting.codes.validation.rows());
            judges.truncate(JUDGES);
            let held_out: Vec<f32> =
                judges.iter().flat_map(|&r| fitting.codes.validation.row(r)).copied().collect();
            let dims = fitting.space.dims;
            let h = match self.bandwidth {
                0.0 => best_bandwidth(&centres, &held_out, dims, fitting.progress),
                given => given,
            };
            Ok([
                ("centres".into(), Array::matrix(centres, dims)),
                ("bandwidth".into(), Array { shape: vec![1], values: vec![h as f32] }),
            ]
            .into())
        })
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        restore_each(space, arrays, |space, mut arrays| {
            let mut take =
                |name: &str| arrays.remove(name).ok_or_else(|| format!("the array `{name}` is missing"));
            let (centres, h) = (take("centres")?, take("bandwidth")?);
            let h = h.values.first().copied().unwrap_or(f32::NAN);
            let fits = centres.rows() > 0 && centres.values.len() == centres.rows() * space.dims;
            if !fits || !h.is_finite() || h <= 0.0 || centres.values.iter().any(|v| !v.is_finite()) {
                return Err(format!("its arrays are no kernels in {} dimensions", space.dims));
            }
            Ok(Box::new(KernelDensity { centres, h: f64::from(h) }))
        })
    }
}

/// ‖q_i − c_j‖², `queries × centres`.
fn squared_distances(queries: &[f32], centres: &[f32], dims: usize) -> Mat<f64> {
    let (q, c) = (double(queries), double(centres));
    let norm = |row: &[f64]| row.iter().map(|v| v * v).sum::<f64>();
    let norms: [Vec<f64>; 2] = [&q, &c].map(|all| all.chunks(dims).map(norm).collect());
    let (n, m) = (norms[0].len(), norms[1].len());
    let mut cross =
        MatRef::from_row_major_slice(&q, n, dims) * MatRef::from_row_major_slice(&c, m, dims).transpose();
    for (j, c) in norms[1].iter().enumerate() {
        let column = cross.col_as_slice_mut(j).iter_mut();
        column.zip(&norms[0]).for_each(|(cross, q): (&mut f64, _)| *cross = (q + c - 2.0 * *cross).max(0.0));
    }
    cross
}

/// ln p̂ of each query, from its distances to the centres.
fn log_densities(squares: &Mat<f64>, dims: usize, h: f64) -> Vec<f64> {
    let m = squares.ncols();
    let constant = -(m as f64).ln() - 0.5 * dims as f64 * (LN_2PI + 2.0 * h.ln());
    let exponent = -0.5 / (h * h);
    (0..squares.nrows()).map(|i| constant + log_sum_exp((0..m).map(|j| exponent * squares[(i, j)]))).collect()
}

/// The bandwidth under which held-out codes are likeliest.
fn best_bandwidth(centres: &[f32], held_out: &[f32], dims: usize, progress: &dyn Fn(f64)) -> f64 {
    const GRID: usize = 14;
    const SECTIONS: usize = 10;
    let squares = squared_distances(held_out, centres, dims);
    let score = |log_h: f64| log_densities(&squares, dims, log_h.exp()).iter().sum::<f64>();
    let (low, high) = (BANDWIDTHS.0.ln(), BANDWIDTHS.1.ln());
    let at = |i: usize| low + (high - low) * i as f64 / (GRID - 1) as f64;
    let scores: Vec<f64> = (0..GRID)
        .map(|i| {
            progress(0.6 * i as f64 / GRID as f64);
            score(at(i))
        })
        .collect();
    let best = (0..GRID).max_by(|&a, &b| scores[a].total_cmp(&scores[b])).unwrap_or(0);
    let (mut left, mut right) = (at(best.saturating_sub(1)), at((best + 1).min(GRID - 1)));
    let golden = (5f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (right - golden * (right - left), left + golden * (right - left));
    let (mut at_a, mut at_b) = (score(a), score(b));
    for section in 0..SECTIONS {
        progress(0.6 + 0.4 * section as f64 / SECTIONS as f64);
        if at_a > at_b {
            (right, b, at_b) = (b, a, at_a);
            a = right - golden * (right - left);
            at_a = score(a);
        } else {
            (left, a, at_a) = (a, b, at_b);
            b = left + golden * (right - left);
            at_b = score(b);
        }
    }
    (0.5 * (left + right)).exp()
}

/// Draws a centre, then c + τ h ε.
struct KernelDensity {
    centres: Array,
    h: f64,
}

/// Queries that are compared with all centres at once.
const PART: usize = 128;

impl Sampler for KernelDensity {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let dims = self.centres.width();
        let rows = self.centres.rows();
        let mut codes = how.normals(noise, dims);
        let places = uniforms(Noise { key: noise.key.fold("component"), ..noise }, 1);
        for (code, place) in codes.chunks_mut(dims).zip(places) {
            let centre = self.centres.row(((f64::from(place) * rows as f64) as usize).min(rows - 1));
            code.iter_mut().zip(centre).for_each(|(z, c)| *z = c + self.h as f32 * *z);
        }
        Ok(codes)
    }

    fn trace(&self, _: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        let (rows, dims) = (self.centres.rows(), self.centres.width());
        let normal = to.noise("normal", NoiseLaw::Normal, dims, None);
        let uniform = to.noise("uniform", NoiseLaw::Uniform, 1, Some("component"));
        let graph = &mut to.graph;
        let place = graph.with("Mul", &uniform, &[rows as f32], &[1]);
        let centre = graph.look_up(&place, &self.centres.values, [rows, dims]);
        let centre = graph.rows(centre);
        let moved = graph.with("Mul", &normal, &[self.h as f32], &[1]);
        Ok(graph.binary("Add", &centre, &moved))
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let dims = self.centres.width();
        let parts = codes.chunks(PART * dims);
        let of = |part| log_densities(&squared_distances(part, &self.centres.values, dims), dims, self.h);
        Some(parts.flat_map(of).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    #[test]
    fn the_density_sums_to_one_over_the_plane() {
        let mut centres = vec![0.0; 60];
        Key::from_seed(2).normals(&mut centres);
        let (step, side) = (0.1f32, 141);
        let grid: Vec<f32> = (0..side * side)
            .flat_map(|cell| [(cell % side) as f32 * step - 7.0, (cell / side) as f32 * step - 7.0])
            .collect();
        let log_densities = log_densities(&squared_distances(&grid, &centres, 2), 2, 0.4);
        let sum: f64 = log_densities.iter().map(|v| v.exp()).sum::<f64>() * f64::from(step).powi(2);
        assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    }

    #[test]
    fn the_bandwidth_is_that_of_the_best_held_out_score() {
        let normals = |seed, n| {
            let mut values = vec![0.0; n];
            Key::from_seed(seed).normals(&mut values);
            values
        };
        let (centres, held_out) = (normals(1, 400), normals(2, 1000));
        let best = best_bandwidth(&centres, &held_out, 1, &|_| ());
        let squares = squared_distances(&held_out, &centres, 1);
        let score = |h: f64| log_densities(&squares, 1, h).iter().sum::<f64>();
        let brute =
            (1..400).map(|i| 0.005 * f64::from(i)).max_by(|a, b| score(*a).total_cmp(&score(*b))).unwrap();
        assert!((best - brute).abs() < 0.01, "{best} {brute}");
    }
}
