//! Normalising flows: an invertible map from codes to noise whose determinant is known.
//!
//! ln p̂(x) = ln N(u(x); 0, I) + ln |det du/dx|;    draws are x(u), u ~ N(0, I)
//!
//! What [MAF](super::maf) and [RealNVP](super::real_nvp) share: the loss, the draw, the density and the limits.
//!
//! Reference: Papamakarios et al., *Normalizing Flows for Probabilistic Modeling and Inference* (arXiv 1912.02762).

use burn::tensor::Tensor;

use super::learn::{Pace, RowLoss, Task, arrays_of, learn_sampler, restore};
use super::{Arrays, Fitting, How, Sampler};
use crate::batch::{Batch, Noise};
use crate::config::ConfigError;
use crate::density::{LN_2PI, sum_dimensions};
use crate::device::{host, host_f64};
use crate::error::Result;
use crate::key::Key;
use crate::model::View;
use crate::weights::{Init, Weights};

/// An invertible map with a known determinant.
pub(super) trait Flow: Send + Sync {
    /// u(x) and ln |det du/dx|: `[n, dims]` → `[n, dims]`, `[n]`.
    fn u_from_x(&self, weights: &Weights, x: Tensor<2>) -> (Tensor<2>, Tensor<1>);

    /// x(u), `[n, dims]`.
    fn x_from_u(&self, weights: &Weights, u: Tensor<2>) -> Tensor<2>;
}

/// ln p̂(x), `[n]`.
pub(super) fn log_density(flow: &dyn Flow, weights: &Weights, x: Tensor<2>) -> Tensor<1> {
    let (u, log_determinant) = flow.u_from_x(weights, x);
    sum_dimensions((u.clone() * u + LN_2PI) * -0.5) + log_determinant
}

impl RowLoss for Box<dyn Flow> {
    fn loss(&self, weights: &Weights, batch: &Batch, _: Key) -> Tensor<1> {
        log_density(self.as_ref(), weights, batch.x.clone()).neg()
    }
}

/// The most layers of a flow.
const MOST_LAYERS: usize = 64;

/// Refuses a flow without layers, or with too many.
pub(super) fn check_layers(layers: usize) -> Result<(), ConfigError> {
    if (1..=MOST_LAYERS).contains(&layers) {
        return Ok(());
    }
    Err(ConfigError::Value {
        key: "sampler.layers".into(),
        what: format!("{layers} layers"),
        remedy: format!("give 1 to {MOST_LAYERS}"),
    })
}

/// A layer widens or narrows a dimension by e³ at most.
const MOST_LOG_SCALE: f64 = 3.0;

/// A log scale that is a itself near 0 and never beyond ±[`MOST_LOG_SCALE`].
pub(super) fn bounded(a: Tensor<2>) -> Tensor<2> {
    (a * (1.0 / MOST_LOG_SCALE)).tanh() * MOST_LOG_SCALE
}

/// Trains what `build` makes by maximum likelihood.
pub(super) fn fit(
    fitting: &Fitting<'_>,
    pace: Pace,
    build: impl FnOnce(&mut Init<'_>) -> Box<dyn Flow>,
) -> Result<Arrays> {
    let mut task = Task::new(fitting.key, build);
    learn_sampler(&mut task, pace, fitting)?;
    Ok(arrays_of(&task.weights))
}

/// The sampler of a trained flow.
pub(super) fn sampler(
    dims: usize,
    mut arrays: Arrays,
    build: impl Fn(&mut Init<'_>) -> Box<dyn Flow>,
) -> Result<Box<dyn Sampler>, String> {
    let (flow, weights) = restore(&mut arrays, build)?;
    Ok(Box::new(FlowSampler { flow, weights, dims }))
}

struct FlowSampler {
    flow: Box<dyn Flow>,
    weights: Weights,
    dims: usize,
}

/// Codes whose density is computed at once.
const PART: usize = 2048;

impl Sampler for FlowSampler {
    fn draw(&self, _: &View<'_>, noise: Noise<'_>, how: &How) -> Result<Vec<f32>> {
        let u = self.weights.device().tensor(how.normals(noise, self.dims), [noise.ids.len(), self.dims]);
        Ok(host(&self.flow.x_from_u(&self.weights, u)))
    }

    fn log_density(&self, _: &View<'_>, codes: &[f32]) -> Option<Vec<f64>> {
        let part = |codes: &[f32]| {
            let x = self.weights.device().tensor(codes.to_vec(), [codes.len() / self.dims, self.dims]);
            host_f64(&log_density(self.flow.as_ref(), &self.weights, x))
        };
        Some(codes.chunks(PART * self.dims).flat_map(part).collect())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::device::Device;

    /// A flow in double precision whose weights are far from where they start.
    pub fn shaken(build: impl FnOnce(&mut Init<'_>) -> Box<dyn Flow>) -> (Box<dyn Flow>, Weights) {
        let mut weights = Weights::new(&Device::cpu().double());
        let flow = build(&mut Init::new(&mut weights, Key::from_seed(4)));
        let all: Vec<_> = weights.iter().map(|(id, w)| (id, w.values())).collect();
        for (index, (id, mut values)) in all.into_iter().enumerate() {
            let mut noise = vec![0.0; values.len()];
            Key::from_seed(9).fold(index).normals(&mut noise);
            values.iter_mut().zip(noise).for_each(|(v, n)| *v += 0.25 * n);
            weights.set_values(id, values);
        }
        (flow, weights)
    }

    /// The determinant is that of finite differences, and the inverse brings codes back.
    pub fn maps_exactly(flow: &dyn Flow, weights: &Weights, dims: usize) {
        let device = weights.device().clone();
        let point: Vec<f64> = (0..dims).map(|j| 0.7 * (j as f64 * 1.3 + 0.4).sin()).collect();
        let map = |point: &[f64]| {
            let (u, log_determinant) = flow.u_from_x(weights, device.tensor_f64(point.to_vec(), [1, dims]));
            (host_f64(&u), host_f64(&log_determinant)[0])
        };
        let h = 1e-5;
        let jacobian = faer::Mat::from_fn(dims, dims, |i, j| {
            let moved = |by: f64| {
                let mut point = point.clone();
                point[j] += by;
                map(&point).0[i]
            };
            (moved(h) - moved(-h)) / (2.0 * h)
        });
        let (u, log_determinant) = map(&point);
        let differences = jacobian.determinant().abs().ln();
        assert!((differences - log_determinant).abs() < 1e-6, "{differences} {log_determinant}");
        assert!(log_determinant.abs() > 1e-3, "the map is the identity");
        let again = host_f64(&flow.x_from_u(weights, device.tensor_f64(u, [1, dims])));
        assert!(again.iter().zip(&point).all(|(a, b)| (a - b).abs() < 1e-9), "{again:?} {point:?}");
    }

    /// ∫ p̂ over the plane, by a sum over a grid.
    pub fn integral(flow: &dyn Flow, weights: &Weights) -> f64 {
        let (side, reach) = (601, 15.0);
        let step = 2.0 * reach / (side - 1) as f64;
        let grid: Vec<f64> = (0..side * side)
            .flat_map(|cell| [(cell % side) as f64 * step - reach, (cell / side) as f64 * step - reach])
            .collect();
        let of = |part: &[f64]| {
            let x = weights.device().tensor_f64(part.to_vec(), [part.len() / 2, 2]);
            host_f64(&log_density(flow, weights, x)).iter().map(|v| v.exp()).sum::<f64>()
        };
        grid.chunks(20_000).map(of).sum::<f64>() * step * step
    }
}
