//! Normalising flows: an invertible map whose determinant is known.
//!
//! ln p(x) = ln N(u(x); 0, I) + ln |det du/dx|;    draws are x(u), u ~ N(0, I)
//!
//! Reference: Papamakarios et al., *Normalizing Flows for Probabilistic Modeling and Inference* (arXiv 1912.02762).

mod autoregressive;
mod coupling;

use burn::tensor::Tensor;

pub use autoregressive::AutoregressiveFlow;
pub use coupling::CouplingFlow;

use super::{LN_2PI, sum_dimensions};
use crate::store::onnx::{Graph, Node};
use crate::weights::Weights;

/// An invertible map with a known determinant.
pub trait Flow: Send + Sync {
    /// u(x) and ln |det du/dx|: `[n, dims]` → `[n, dims]`, `[n]`.
    fn u_from_x(&self, weights: &Weights, x: Tensor<2>) -> (Tensor<2>, Tensor<1>);

    /// x(u), `[n, dims]`.
    fn x_from_u(&self, weights: &Weights, u: Tensor<2>) -> Tensor<2>;

    /// x(u) in a graph, `[dims]`; none where it takes more than one pass.
    fn trace(&self, weights: &Weights, graph: &mut Graph, u: Node) -> Option<Node> {
        let _ = (weights, graph, u);
        None
    }
}

/// ln p(x) under a flow from N(0, I), `[n]`.
pub fn flow_log_density(flow: &dyn Flow, weights: &Weights, x: Tensor<2>) -> Tensor<1> {
    let (u, log_determinant) = flow.u_from_x(weights, x);
    sum_dimensions((u.clone() * u + LN_2PI) * -0.5) + log_determinant
}

/// A layer widens or narrows a dimension by e³ at most.
const MOST_LOG_SCALE: f64 = 3.0;

/// A log scale that is a itself near 0 and never beyond ±[`MOST_LOG_SCALE`].
fn bounded(a: Tensor<2>) -> Tensor<2> {
    (a * (1.0 / MOST_LOG_SCALE)).tanh() * MOST_LOG_SCALE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::{Device, host_f64};
    use crate::key::Key;
    use crate::weights::Init;

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
            host_f64(&flow_log_density(flow, weights, x)).iter().map(|v| v.exp()).sum::<f64>()
        };
        grid.chunks(20_000).map(of).sum::<f64>() * step * step
    }
}
