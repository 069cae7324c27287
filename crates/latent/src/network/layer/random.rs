//! Noise inside a network, while training alone: a function of the step, the layer, the row and the draw.
//!
//! *Dropout*: each unit is 0 with probability p, else 1/(1 − p) of itself. *Noise*: x + σ ε, ε ~ N(0, I).
//!
//! References: Srivastava et al. (JMLR 15, 2014); Vincent et al., denoising autoencoders (ICML 2008).

use burn::tensor::Tensor;

use super::Signal;
use crate::batch::Noise;
use crate::member::Call;

/// Leaves units out.
#[derive(Clone, Debug)]
pub struct Dropout {
    /// p, in [0, 1).
    pub probability: f64,
    /// What its noise is keyed by.
    pub name: String,
}

/// Adds normal noise.
#[derive(Clone, Debug)]
pub struct InputNoise {
    /// σ
    pub deviation: f64,
    /// What its noise is keyed by.
    pub name: String,
}

impl Dropout {
    /// Nothing in evaluation.
    pub fn apply(&self, call: &Call<'_>, x: Signal) -> Signal {
        if self.probability == 0.0 {
            return x;
        }
        noisy(
            call,
            &self.name,
            x,
            |n, k, w, d| n.uniforms(k, w, d),
            |x, u| {
                let kept = u.greater_equal_elem(self.probability).float().cast(x.dtype());
                x * kept * (1.0 / (1.0 - self.probability))
            },
        )
    }
}

impl InputNoise {
    /// Nothing in evaluation.
    pub fn apply(&self, call: &Call<'_>, x: Signal) -> Signal {
        if self.deviation == 0.0 {
            return x;
        }
        noisy(call, &self.name, x, |n, k, w, d| n.normals(k, w, d), |x, noise| x + noise * self.deviation)
    }
}

type Draw = fn(Noise<'_>, usize, usize, &crate::device::Device) -> Tensor<2>;

/// Changes rows by noise of their own.
fn noisy(
    call: &Call<'_>,
    name: &str,
    x: Signal,
    draw: Draw,
    change: impl FnOnce(Tensor<2>, Tensor<2>) -> Tensor<2>,
) -> Signal {
    let n = call.given.ids.len();
    if !call.mode.is_training() || n == 0 {
        return x;
    }
    let shape = match &x {
        Signal::Maps(maps) => Some(maps.dims()),
        Signal::Rows(_) => None,
    };
    let rows = x.rows();
    let [count, width] = rows.dims();
    let noise = draw(call.noise(name), count / n, width, call.weights.device());
    let changed = change(rows, noise);
    match shape {
        Some(shape) => Signal::Maps(changed.reshape(shape)),
        None => Signal::Rows(changed),
    }
}
