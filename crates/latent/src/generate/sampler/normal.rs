//! One normal with full covariance, p̂(z) = N(z; μ, Σ): the mean and covariance of training codes.
//!
//! What linear dependence between dimensions explains, this draws; it is a [mixture](super::gaussian_mixture) of one.

use faer::{Mat, MatRef};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::em::{Components, factor_of};
use super::gaussian_mixture::{arrays_of, double, needs_reals, restore};
use super::per_class::{fit_each, restore_each};
use super::{Arrays, Fitting, Sampler, SamplerError, SamplerSettings, Space};
use crate::config::ConfigError;
use crate::generate::Result;
use crate::member::Named;

/// How the covariance is kept positive definite.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalSamplerSettings {
    /// What is added to each variance, in variances of a dimension.
    pub regularisation: f64,
}

impl Default for NormalSamplerSettings {
    fn default() -> Self {
        Self { regularisation: 1e-6 }
    }
}

impl Named for NormalSamplerSettings {
    const KIND: &'static str = "normal";
    const ABOUT: &'static str = "one normal with full covariance";
}

impl SamplerSettings for NormalSamplerSettings {
    fn check(&self, space: &Space) -> Result<()> {
        needs_reals("normal", space)?;
        if self.regularisation.is_finite() && self.regularisation > 0.0 {
            return Ok(());
        }
        Err(ConfigError::Value {
            key: "sampler.regularisation".into(),
            what: format!("{}", self.regularisation),
            remedy: "give a small positive number, such as 1e-6".into(),
        }
        .into())
    }

    fn fit(&self, fitting: &Fitting<'_>) -> Result<Arrays> {
        fit_each(fitting, |fitting, _| {
            let (n, d) = (fitting.codes.train.rows(), fitting.space.dims);
            let x = double(&fitting.codes.train.values);
            let mut mean = vec![0.0; d];
            x.chunks(d).for_each(|row| mean.iter_mut().zip(row).for_each(|(m, x)| *m += x / n as f64));
            let centred: Vec<f64> =
                x.chunks(d).flat_map(|row| row.iter().zip(&mean).map(|(x, m)| x - m)).collect();
            let centred = MatRef::from_row_major_slice(&centred, n, d);
            let scatter = centred.transpose() * centred;
            let covariance = Mat::from_fn(d, d, |i, j| {
                scatter[(i, j)] / n as f64 + if i == j { self.regularisation } else { 0.0 }
            });
            let factor = factor_of(&covariance).ok_or_else(|| SamplerError::Unsuitable {
                sampler: "normal".into(),
                what: "found no covariance that is positive definite".into(),
                remedy: "raise --set regularisation".into(),
            })?;
            (fitting.progress)(1.0);
            Ok(arrays_of(&Components { weights: vec![1.0], means: vec![mean], factors: vec![factor] }))
        })
    }

    fn restore(&self, space: &Space, arrays: Arrays) -> Result<Box<dyn Sampler>, String> {
        restore_each(space, arrays, restore)
    }
}
