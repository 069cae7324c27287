//! RealNVP: affine couplings, in which half of the dimensions scales and shifts the other half.
//!
//! u_A = x_A,  u_B = x_B e^{s(x_A)} + t(x_A);    ln |det du/dx| = Σ_B s
//!
//! Densities and draws both take one pass. Which dimensions are A is a digit of their number in binary, and then the other
//! way about, so that after a few couplings every dimension has met every other.
//!
//! Reference: Dinh, Sohl-Dickstein & Bengio, *Density estimation using Real NVP* (arXiv 1605.08803).

use burn::tensor::Tensor;
use latent_kernels::{Activation, dense};

use super::{Flow, MOST_LOG_SCALE, bounded};
use crate::density::sum_dimensions;
use crate::device::Device;
use crate::network::{Dense, DenseConfig};
use crate::store::onnx::{Graph, Node};
use crate::weights::{Init, Initial, WeightId, Weights};

/// s and t from the dimensions that stay.
struct Coupling {
    hidden: Vec<Dense>,
    weight: WeightId,
    bias: WeightId,
    /// 1 where a dimension stays.
    stays: Vec<f32>,
}

impl Coupling {
    fn new(dims: usize, index: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        // As many binary digits as tell the dimensions apart; a layer pair for each in turn.
        let digits = (usize::BITS - (dims - 1).leading_zeros()).max(1) as usize;
        let digit = (index / 2) % digits;
        let stays = (0..dims).map(|j| f32::from(u8::from((j >> digit) & 1 == index % 2))).collect();
        let mut width = dims;
        let mut layers = Vec::new();
        for (place, &next) in hidden.iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            layers.push(layer.init(init, &place.to_string()));
            width = next;
        }
        let mut init = init.scope("last");
        // Near the identity at the start.
        let weight = init.matrix("weight", &[width, 2 * dims], Initial::Uniform(0.01));
        let bias = init.weight("bias", &[2 * dims], Initial::Constant(0.0));
        Self { hidden: layers, weight, bias, stays }
    }

    /// s and t, 0 where a dimension stays, each `[n, dims]`.
    fn scale_and_shift(&self, weights: &Weights, x: &Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let dims = self.stays.len();
        let device = Device::of(x);
        let stays = device.tensor(self.stays.clone(), [1, dims]);
        let moves = device.tensor(self.stays.iter().map(|s| 1.0 - s).collect(), [1, dims]);
        let hidden = self.hidden.iter().fold(x.clone() * stays, |hidden, layer| layer.apply(weights, hidden));
        let outputs = dense(hidden, weights.get(self.weight), weights.get(self.bias), Activation::Identity);
        let s = bounded(outputs.clone().narrow(1, 0, dims)) * moves.clone();
        (s, outputs.narrow(1, dims, dims) * moves)
    }
}

impl Coupling {
    /// x of u in a graph.
    fn trace(&self, weights: &Weights, graph: &mut Graph, u: Node) -> Node {
        let dims = self.stays.len();
        let moves: Vec<f32> = self.stays.iter().map(|stays| 1.0 - stays).collect();
        let kept = graph.with("Mul", &u, &self.stays, &[dims]);
        let hidden = self.hidden.iter().fold(kept, |hidden, layer| layer.trace(weights, graph, hidden));
        let [weight, bias] = [self.weight, self.bias].map(|id| weights.entry(id).values());
        let outputs = graph.dense(hidden, &weight, &bias);
        let s = graph.columns(&outputs, 0, dims);
        let s = graph.with("Div", &s, &[MOST_LOG_SCALE as f32], &[1]);
        let s = graph.unary("Tanh", &s);
        let back: Vec<f32> = moves.iter().map(|moves| -(MOST_LOG_SCALE as f32) * moves).collect();
        let back = graph.with("Mul", &s, &back, &[dims]);
        let back = graph.unary("Exp", &back);
        let t = graph.columns(&outputs, dims, dims);
        let t = graph.with("Mul", &t, &moves, &[dims]);
        let off = graph.binary("Sub", &u, &t);
        graph.binary("Mul", &off, &back)
    }
}

/// Affine couplings.
pub struct CouplingFlow {
    couplings: Vec<Coupling>,
}

impl CouplingFlow {
    /// So many couplings over `dims` dimensions (two at least), each with these hidden layers.
    pub fn new(dims: usize, layers: usize, hidden: &[usize], init: &mut Init<'_>) -> Self {
        let layer = |index: usize| Coupling::new(dims, index, hidden, &mut init.scope(index));
        Self { couplings: (0..layers).map(layer).collect() }
    }
}

impl Flow for CouplingFlow {
    fn u_from_x(&self, weights: &Weights, x: Tensor<2>) -> (Tensor<2>, Tensor<1>) {
        let n = x.dims()[0];
        let mut log_determinant = Device::of(&x).tensor(vec![0.0; n], [n]);
        let mut u = x;
        for coupling in &self.couplings {
            let (s, t) = coupling.scale_and_shift(weights, &u);
            u = u * s.clone().exp() + t;
            log_determinant = log_determinant + sum_dimensions(s);
        }
        (u, log_determinant)
    }

    fn x_from_u(&self, weights: &Weights, u: Tensor<2>) -> Tensor<2> {
        self.couplings.iter().rev().fold(u, |x, coupling| {
            // s and t are functions of what stays, which is the same on both sides.
            let (s, t) = coupling.scale_and_shift(weights, &x);
            (x - t) * s.neg().exp()
        })
    }

    fn trace(&self, weights: &Weights, graph: &mut Graph, u: Node) -> Option<Node> {
        Some(self.couplings.iter().rev().fold(u, |x, coupling| coupling.trace(weights, graph, x)))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{integral, maps_exactly, shaken};
    use super::*;

    fn flow(dims: usize, init: &mut Init<'_>) -> Box<dyn Flow> {
        Box::new(CouplingFlow::new(dims, 4, &[16, 16], init))
    }

    #[test]
    fn determinant_and_inverse_are_exact() {
        for dims in [2, 3, 6] {
            let (map, weights) = shaken(|init| flow(dims, init));
            maps_exactly(map.as_ref(), &weights, dims);
        }
    }

    #[test]
    fn the_density_sums_to_one() {
        let (map, weights) = shaken(|init| flow(2, init));
        let sum = integral(map.as_ref(), &weights);
        assert!((sum - 1.0).abs() < 1e-3, "{sum}");
    }
}
