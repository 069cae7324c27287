//! Muon: a matrix moves along the orthogonal factor of its momentum, all directions alike.
//!
//! m ← μ m + (1 − μ) G,   μ m + (1 − μ) G = U S Vᵀ,   W ← (1 − η λ) W − 0.2 η √max(rows, columns) U Vᵀ
//!
//! U Vᵀ is approached by five iterations that need products alone, X ← a X + (b A + c A²) X with A = X Xᵀ, which bring singular
//! values to within 0.7 and 1.2. By the factor a step is as long as Adam's usually are, so that one learning rate suits both.
//! Kernels are matrices with a row an output.
//!
//! References: Jordan et al., *Muon: an optimizer for hidden layers in neural networks* (2024); the factor and the decay as in
//! Liu et al., *Muon is scalable for LLM training* (arXiv 2502.16982).

use burn::tensor::Tensor;

/// μ, how long the momentum remembers; the authors'.
pub(super) const MOMENTUM: f64 = 0.95;

/// A side that is shorter than this has too few directions to be worth it: such weights move by Adam.
const LEAST_SIDE: usize = 16;

/// The root mean square of a step, over η.
const LENGTH: f64 = 0.2;

/// Of an iteration; as steep at 0 as may be, so that few suffice.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];

const ITERATIONS: usize = 5;

/// `[rows, columns]` of the matrix that a weight of this shape is; none where it moves by Adam.
pub(super) fn sides(shape: &[usize]) -> Option<[usize; 2]> {
    let (&rows, others) = shape.split_first()?;
    let columns: usize = others.iter().product();
    (!others.is_empty() && rows.min(columns) >= LEAST_SIDE).then_some([rows, columns])
}

/// What a weight of these sides moves by at η = 1, for what its momentum says. `m` and what returns are flat.
pub(super) fn direction(m: Tensor<1>, sides @ [rows, columns]: [usize; 2]) -> Tensor<1> {
    // Where nothing pulls yet, nothing moves.
    let norm = latent_kernels::sum_of_squares(&m).sqrt().max(1e-20);
    let x = (m / norm).reshape(sides);
    // A is the smaller of the two squares.
    let is_tall = rows > columns;
    let mut x = if is_tall { x.transpose() } else { x };
    let [a, b, c] = COEFFICIENTS;
    for _ in 0..ITERATIONS {
        let square = x.clone().matmul(x.clone().transpose());
        let inner = square.clone() * b + square.clone().matmul(square) * c;
        x = x.clone() * a + inner.matmul(x);
    }
    let x = if is_tall { x.transpose() } else { x };
    x.reshape([rows * columns]) * (LENGTH * (rows.max(columns) as f64).sqrt())
}
