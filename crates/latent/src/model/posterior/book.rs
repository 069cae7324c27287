//! Looking a vector up in a book of codes: which code is near, and how a gradient passes the look-up.
//!
//! straight through: q = f + sg\[e − f\], the gradient at q is the gradient at f
//! rotation: q = λ R f with λ = ‖e‖ / ‖f‖ and R = I − 2 r rᵀ + 2 ê f̂ᵀ, r = (f̂ + ê) / ‖f̂ + ê‖, both held: R turns f̂ into ê, so that
//! the gradient at f is the gradient at q turned and scaled back, and keeps its angle to the vector
//!
//! References: van den Oord, Vinyals & Kavukcuoglu (arXiv 1711.00937); Fifty et al., *Restructuring Vector Quantization with the
//! Rotation Trick* (arXiv 2410.06424), section 4; cosine codes as in Yu et al., *Vector-quantized Image Modeling with Improved
//! VQGAN* (arXiv 2110.04627).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::store::onnx::{Graph, Node};

/// Which code is near.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Distance {
    /// The least ‖f − e‖.
    #[default]
    Euclidean,
    /// The least angle: outputs and codes are brought to the unit sphere.
    Cosine,
}

/// How a gradient passes from a code to the encoder's output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Passage {
    /// As it is.
    #[default]
    StraightThrough,
    /// Turned and scaled as the code is from the output.
    Rotation,
}

impl Distance {
    /// Vectors as they are compared, `[m, width]`.
    pub(super) fn compared(self, vectors: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Euclidean => vectors,
            Self::Cosine => on_sphere(vectors),
        }
    }
}

/// Lengths are kept this far from 0.
const SHORTEST: f64 = 1e-6;

/// ‖v‖ of each row, `[m, 1]`, with a gradient that is finite at 0.
fn length(vectors: &Tensor<2>) -> Tensor<2> {
    (vectors.clone() * vectors.clone()).sum_dim(1).clamp_min(SHORTEST * SHORTEST).sqrt()
}

/// v / ‖v‖ of each row.
pub(super) fn on_sphere(vectors: Tensor<2>) -> Tensor<2> {
    let length = length(&vectors);
    vectors / length
}

/// The nearest code of each vector, `[m]`.
pub(super) fn nearest(book: &Tensor<2>, vectors: &Tensor<2>) -> Tensor<1> {
    let norms = (book.clone() * book.clone()).sum_dim(1).transpose();
    // ‖f‖² is the same for every code.
    let distance = norms - vectors.clone().matmul(book.clone().transpose()) * 2.0;
    let m = vectors.dims()[0];
    distance.argmin(1).reshape([m]).float().cast(vectors.dtype())
}

/// The codes of vectors, `[m, width]`, with a gradient that passes to the vectors.
pub(super) fn passed(passage: Passage, vectors: Tensor<2>, codes: Tensor<2>) -> Tensor<2> {
    let codes = codes.detach();
    let carried = match passage {
        Passage::StraightThrough => vectors,
        Passage::Rotation => {
            let held = vectors.clone().detach();
            let scale = length(&codes) / length(&held);
            let (from, to) = (on_sphere(held), on_sphere(codes.clone()));
            let between = on_sphere(from.clone() + to.clone());
            let along = |direction: &Tensor<2>| (vectors.clone() * direction.clone()).sum_dim(1);
            (vectors.clone() - between.clone() * along(&between) * 2.0 + to * along(&from) * 2.0) * scale
        }
    };
    // What rounding or a vector of no length leaves: the value is the code's.
    carried.clone() + (codes - carried.detach())
}

/// [`nearest`] in a graph: the place in a book `[codes, width]` of each of the vectors `[places, width]`.
pub(super) fn trace_nearest(graph: &mut Graph, vectors: &Node, book: &[f32], distance: Distance) -> Node {
    let width = vectors.shape.last().copied().unwrap_or(1).max(1);
    let codes = book.len() / width;
    // ‖e‖² − 2 f·e, which orders codes as ‖f − e‖² does; of one length −2 f·e does, whatever the length of f.
    let across: Vec<f32> =
        (0..width).flat_map(|i| book.iter().skip(i).step_by(width).map(|v| -2.0 * v)).collect();
    let product = graph.product(vectors, &across, [width, codes]);
    let norms: Vec<f32> = match distance {
        Distance::Euclidean => book.chunks_exact(width).map(|e| e.iter().map(|v| v * v).sum()).collect(),
        Distance::Cosine => vec![0.0; codes],
    };
    let distance = graph.with("Add", &product, &norms, &[codes]);
    graph.least(&distance)
}
