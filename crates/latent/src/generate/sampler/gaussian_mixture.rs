//! A mixture of normals with full covariance, p̂(z) = Σ_k π_k N(z; μ_k, Σ_k), by [expectation maximisation](super::em).
//!
//! Its number of components is the one whose held-out score, the mean of ln p̂ over validation codes, is best among
//! 1, 2, 5, 10, 20, 50 …; the search ends where the score falls.
//!
//! Reference: Ghosh et al., *From Variational to Deterministic Autoencoders* (arXiv 1903.12436), who fit it after training.

use faer::Mat;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::em::{self, Components, Effort, Points};
use super::how::choices;
use super::onnx::{NoiseGraph, NoiseLaw};
use super::per_class::{fit_each, restore_each};
use super::{Arrays, Fitting, How, Sampler, SamplerError, SamplerSettings, Space};
use crate::array::Array;
use crate::batch::{Noise, Support};
use crate::config::ConfigError;
use crate::generate::Result;
use crate::member::Named;
use crate::model::View;
use crate::store::StoreError;
use crate::store::onnx::Node;

/// How many components, and how they are found. Lengths are in standard deviations of a dimension.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianMixtureSettings {
    /// The number of components; 0 lets held-out codes choose.
    pub components: usize,
    /// The most that are tried.
    pub most: usize,
    /// Starts of which the best goes on.
    pub restarts: usize,
    /// Steps of expectation maximisation, at most.
    pub iterations: usize,
    /// A step that gains less than this ends them, in nats a row.
    pub tolerance: f64,
    /// What is added to each variance, so that no component shrinks to a point.
    pub regularisation: f64,
    /// Training codes that are used, at most.
    pub rows: usize,
}

impl Default for GaussianMixtureSettings {
    fn default() -> Self {
        Self {
            components: 0,
            most: 100,
            restarts: 3,
            iterations: 100,
            tolerance: 1e-3,
            regularisation: 1e-4,
            rows: 20_000,
        }
    }
}

/// The numbers of components that are tried.
const CANDIDATES: [usize; 9] = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/// A class has at most this many components of its own.
const MOST_OF_A_CLASS: usize = 10;

impl Named for GaussianMixtureSettings {
    const KIND: &'static str = "gaussian-mixture";
    const ABOUT: &'static str =
        "a mixture of normals with full covariance, as many as held-out codes ask for";
}

impl SamplerSettings for GaussianMixtureSettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("gaussian-mixture", space)?;
        let wrong = |key: &str, what: String, remedy: &str| {
            Err(ConfigError::Value { key: format!("sampler.{key}"), what, remedy: remedy.into() }.into())
        };
        let most = CANDIDATES[CANDIDATES.len() - 1];
        if self.components > most || self.most == 0 || self.most > most {
            return wrong(
                "components",
                "not a number of components".into(),
                "give 1 to 500, or 0 to have them chosen",
            );
        }
        if self.iterations == 0 || self.restarts == 0 || self.rows == 0 {
            return wrong(
                "iterations",
                "nothing to do".into(),
                "iterations, restarts and rows are at least 1",
            );
        }
        let small = |v: f64| v.is_finite() && v >= 0.0;
        if !small(self.tolerance) || !small(self.regularisation) || self.regularisation == 0.0 {
            return wrong(
                "regularisation",
                format!("{}", self.regularisation),
                "give a small positive number, such as 1e-4",
            );
        }
        Ok(())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        fit_each(fitting, |fitting, whole| {
            let most = if whole { self.most } else { self.most.min(MOST_OF_A_CLASS) };
            Ok(arrays_of(&self.best(fitting, most)?))
        })
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        restore_each(space, arrays, restore)
    }
}

impl GaussianMixtureSettings {
    /// The mixture with the best held-out score.
    fn best(&self, fitting: &Fitting<'_>, most: usize) -> Result<Components> {
        let dims = fitting.space.dims;
        let mut rows = fitting.key.fold("rows").permutation(fitting.codes.train.rows());
        rows.truncate(self.rows);
        let x: Vec<f32> = rows.iter().flat_map(|&r| fitting.codes.train.row(r)).copied().collect();
        let (points, held_out) = (Points::new(&x, dims), Points::new(&fitting.codes.validation.values, dims));
        let effort = Effort {
            restarts: self.restarts,
            iterations: self.iterations,
            tolerance: self.tolerance,
            regularisation: self.regularisation,
        };
        // A full covariance needs more rows than dimensions.
        let fits = |k: usize| k == 1 || k * (dims + 1) <= points.rows();
        let candidates: Vec<usize> = match self.components {
            0 => CANDIDATES.into_iter().filter(|&k| k <= most && fits(k)).collect(),
            given => vec![given.min(points.rows())],
        };
        let mut best: Option<(Components, f64)> = None;
        for (index, &components) in candidates.iter().enumerate() {
            (fitting.progress)(index as f64 / candidates.len() as f64);
            if best.is_some() && fitting.is_late() {
                break;
            }
            let key = fitting.key.fold("components").fold(components);
            let late = || best.is_some() && fitting.is_late();
            let Some(found) = em::fit(&points, components, effort, key, &late) else { continue };
            let scores = found.log_density(&held_out);
            let score = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
            if best.as_ref().is_some_and(|(_, most)| score <= *most) {
                break;
            }
            best = Some((found, score));
        }
        (fitting.progress)(1.0);
        best.map(|(found, _)| found).ok_or_else(|| {
            SamplerError::Unsuitable {
                sampler: "gaussian-mixture".into(),
                what: "found no covariance that is positive definite".into(),
                remedy: "raise --set regularisation".into(),
            }
            .into()
        })
    }
}

/// Refuses bits and indices.
pub(super) fn needs_reals(sampler: &str, space: &Space) -> Result<()> {
    let refuse = |what: &str, remedy: &str| {
        Err(SamplerError::Unsuitable { sampler: sampler.into(), what: what.into(), remedy: remedy.into() }
            .into())
    };
    match space.support {
        Support::Bits => refuse(
            "is for codes on the reals, and this model's codes are bits",
            "use autoregressive-bits, or the prior",
        ),
        Support::Index(_) => refuse(
            "is for codes on the reals, and this model's codes are indices",
            "use autoregressive, or the prior",
        ),
        _ if space.dims == 0 => refuse(
            "finds no dimension in which codes vary",
            "train the model anew: its encoder has collapsed",
        ),
        _ => Ok(()),
    }
}

pub(super) fn double(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// π, μ and L as arrays.
pub(super) fn arrays_of(found: &Components) -> Arrays {
    let (k, d) = (found.weights.len(), found.means.first().map_or(0, Vec::len));
    let single = |values: Vec<f64>, shape: &[usize]| Array {
        shape: shape.to_vec(),
        values: values.into_iter().map(|v| v as f32).collect(),
    };
    let factors = found.factors.iter().flat_map(|l| (0..d).flat_map(move |i| (0..d).map(move |j| l[(i, j)])));
    [
        ("weights".into(), single(found.weights.clone(), &[k])),
        ("means".into(), single(found.means.concat(), &[k, d])),
        ("factors".into(), single(factors.collect(), &[k, d, d])),
    ]
    .into()
}

/// The mixture that such arrays describe.
pub(super) fn restore(space: &Space, mut arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
    let d = space.dims;
    let mut take = |name: &str| arrays.remove(name).ok_or_else(|| format!("the array `{name}` is missing"));
    let (weights, means, factors) = (take("weights")?, take("means")?, take("factors")?);
    let k = weights.values.len();
    let finite = [&weights, &means, &factors].iter().all(|a| a.values.iter().all(|v| v.is_finite()));
    if k == 0 || means.values.len() != k * d || factors.values.len() != k * d * d || !finite {
        return Err(format!("its arrays are no mixture in {d} dimensions"));
    }
    let weights = double(&weights.values);
    let sum: f64 = weights.iter().sum();
    let factors: Vec<Mat<f64>> = double(&factors.values)
        .chunks(d * d)
        .map(|l| Mat::from_fn(d, d, |i, j| if j <= i { l[i * d + j] } else { 0.0 }))
        .collect();
    let sound = factors.iter().all(|l| (0..d).all(|j| l[(j, j)] > 0.0));
    if !sound || sum <= 0.0 || weights.iter().any(|w| *w < 0.0) {
        return Err("its arrays are no mixture: a weight or a variance is negative".into());
    }
    Ok(Box::new(Mixture {
        components: Components {
            weights: weights.into_iter().map(|w| w / sum).collect(),
            means: double(&means.values).chunks(d).map(<[f64]>::to_vec).collect(),
            factors,
        },
        dims: d,
    }))
}

/// Draws a component by its weight, then μ_k + τ L_k ε.
struct Mixture {
    components: Components,
    dims: usize,
}

impl Sampler for Mixture {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let chosen = choices(noise, &self.components.weights);
        let normals = how.normals(noise, self.dims);
        let mut codes = Vec::with_capacity(normals.len());
        for (&k, row) in chosen.iter().zip(normals.chunks(self.dims)) {
            let (mean, factor) = (&self.components.means[k], &self.components.factors[k]);
            codes.extend((0..self.dims).map(|i| {
                let moved: f64 = (0..=i).map(|j| factor[(i, j)] * f64::from(row[j])).sum();
                (mean[i] + moved) as f32
            }));
        }
        Ok(codes)
    }

    fn trace(&self, _: &View<'_>, to: &mut NoiseGraph) -> Result<Node, StoreError> {
        let (k, d) = (self.components.weights.len(), self.dims);
        let normal = to.noise("normal", NoiseLaw::Normal, d, None);
        let arrays = arrays_of(&self.components);
        let (means, factors) = (&arrays["means"].values, &arrays["factors"].values);
        if k == 1 {
            // ε Lᵀ + μ
            let turned: Vec<f32> = (0..d * d).map(|at| factors[at % d * d + at / d]).collect();
            return Ok(to.graph.dense(normal, &turned, means));
        }
        let uniform = to.noise("uniform", NoiseLaw::Uniform, 1, Some("component"));
        let graph = &mut to.graph;
        let mut below = 0.0;
        let ends: Vec<f32> = self.components.weights[..k - 1]
            .iter()
            .map(|weight| {
                below += weight;
                below as f32
            })
            .collect();
        let chosen = graph.reached(&uniform, &ends);
        let mean = graph.look_up(&chosen, means, [k, d]);
        let factor = graph.look_up(&chosen, factors, [k, d * d]);
        let factor = graph.reshape(factor, &[d, d]);
        let column = graph.reshape(normal, &[d, 1]);
        let moved = graph.matrices(&factor, &column);
        let moved = graph.reshape(moved, &[d]);
        let mean = graph.rows(mean);
        Ok(graph.binary("Add", &mean, &moved))
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        Some(self.components.log_density(&Points::new(codes, self.dims)))
    }
}
