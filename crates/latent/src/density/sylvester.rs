//! An orthogonal Sylvester step, which moves a code in M directions at once:
//!
//! z' = z + Q R tanh(R̃ Qᵀz + b),  ln |det ∂z'/∂z| = Σ_i ln(1 + R_ii R̃_ii tanh'(a_i)),  a = R̃ Qᵀz + b
//!
//! The M columns of Q are orthonormal, R and R̃ upper triangular with diagonals in (−1, 1), so that the step is invertible. Q is the
//! first M columns of a product of M reflections: any orthonormal columns but for their signs, which R and R̃ can take, and orthonormal
//! in any precision. Back: a + R̃R tanh(a) = R̃ Qᵀz' + b, whose last row has one unknown, the one before it another.
//!
//! Reference: van den Berg, Hasenclever, Tomczak & Welling, *Sylvester Normalizing Flows for Variational Inference* (arXiv 1803.05649).

use burn::tensor::{Int, Tensor, TensorData};

use super::transformed::{LEAST_SLOPE, LEAST_SQUARE, dot, solved};
use crate::device::Device;
use crate::store::onnx::{Graph, Node};

/// How many parameters a step of `rank` directions over `dims` dimensions has: M reflections, both triangles without their diagonals,
/// both diagonals, b.
pub(super) fn parameters(dims: usize, rank: usize) -> usize {
    let rank = rank.min(dims);
    rank * (dims + rank + 2)
}

/// M of a step with so many parameters.
fn rank_of(width: usize, dims: usize) -> usize {
    (1..dims).find(|&rank| parameters(dims, rank) >= width).unwrap_or(dims)
}

/// A diagonal is kept below this, so that a product of two leaves [`LEAST_SLOPE`] of a direction.
fn most_diagonal() -> f64 {
    (1.0 - LEAST_SLOPE).sqrt()
}

/// Where each cell of an upper triangle stands in [above the diagonal, row after row; the diagonal; 0].
fn triangle(rank: usize) -> Vec<usize> {
    let above = rank * (rank - 1) / 2;
    let place = |cell: usize| match (cell / rank, cell % rank) {
        (i, j) if i == j => above + i,
        (i, j) if j > i => i * (2 * rank - i - 1) / 2 + j - i - 1,
        _ => above + rank,
    };
    (0..rank * rank).map(place).collect()
}

/// A step's parameters for each row.
pub(super) struct Sylvester {
    /// √2 v/‖v‖ of each reflection, `[rows, dims]`.
    mirrors: Vec<Tensor<2>>,
    /// R, `[rows, M, M]`.
    outer: Tensor<3>,
    /// R̃, `[rows, M, M]`.
    inner: Tensor<3>,
    /// R_ii R̃_ii, `[rows, M]`.
    slope: Tensor<2>,
    /// b, `[rows, M]`.
    offset: Tensor<2>,
}

impl Sylvester {
    pub(super) fn of(parameters: &Tensor<2>, dims: usize) -> Self {
        let [rows, width] = parameters.dims();
        let rank = rank_of(width, dims);
        let above = rank * (rank - 1) / 2;
        let columns = |start: usize, length: usize| parameters.clone().narrow(1, start, length);
        let mirror = |place: usize| {
            let v = columns(place * dims, dims);
            v.clone() * ((dot(&v, &v) + LEAST_SQUARE) * 0.5).sqrt().recip()
        };
        let rest = rank * dims + 2 * above;
        let diagonal = |place: usize| columns(rest + place * rank, rank).tanh() * most_diagonal();
        let places: Vec<i32> = triangle(rank).into_iter().map(|place| place as i32).collect();
        let places =
            Tensor::<1, Int>::from_data(TensorData::new(places, [rank * rank]), &parameters.device());
        let none = columns(0, 1) * 0.0;
        let matrix = |start: usize, diagonal: Tensor<2>| {
            let mut parts = vec![diagonal, none.clone()];
            if above > 0 {
                parts.insert(0, columns(start, above));
            }
            Tensor::cat(parts, 1).select(1, places.clone()).reshape([rows, rank, rank])
        };
        let (outer, inner) = (diagonal(0), diagonal(1));
        Self {
            mirrors: (0..rank).map(mirror).collect(),
            slope: outer.clone() * inner.clone(),
            outer: matrix(rank * dims, outer),
            inner: matrix(rank * dims + above, inner),
            offset: columns(rest + 2 * rank, rank),
        }
    }

    fn rank(&self) -> usize {
        self.mirrors.len()
    }

    /// Qᵀz, `[rows, dims]` → `[rows, M]`.
    fn along(&self, z: Tensor<2>) -> Tensor<2> {
        self.mirrors.iter().fold(z, reflected).narrow(1, 0, self.rank())
    }

    /// Q y, `[rows, M]` → `[rows, dims]`.
    fn across(&self, y: Tensor<2>, dims: usize) -> Tensor<2> {
        let rows = y.dims()[0];
        let rest = dims - self.rank();
        let y = match rest {
            0 => y,
            _ => {
                let none = Device::of(&y).tensor(vec![0.0; rows * rest], [rows, rest]);
                Tensor::cat(vec![y, none], 1)
            }
        };
        self.mirrors.iter().rev().fold(y, reflected)
    }

    /// z' and ln |det|.
    pub(super) fn forth(&self, z: Tensor<2>) -> (Tensor<2>, Tensor<2>) {
        let dims = z.dims()[1];
        let t = (times(&self.inner, self.along(z.clone())) + self.offset.clone()).tanh();
        let determinant = self.slope.clone() * (t.clone() * t.clone()).neg().add_scalar(1.0) + 1.0;
        (z + self.across(times(&self.outer, t), dims), determinant.log().sum_dim(1))
    }

    /// z of z'.
    pub(super) fn back(&self, z: Tensor<2>) -> Tensor<2> {
        let (dims, rank) = (z.dims()[1], self.rank());
        let both = self.inner.clone().matmul(self.outer.clone());
        let target = times(&self.inner, self.along(z.clone())) + self.offset.clone();
        let none = target.clone().narrow(1, 0, 1) * 0.0;
        // tanh(a) from the last on; what comes before is not known yet and counts nothing.
        let mut t = vec![none.clone(); rank];
        for i in (0..rank).rev() {
            let row = both.clone().narrow(1, i, 1).reshape(target.dims());
            let known = Tensor::cat(t.clone(), 1);
            let left = target.clone().narrow(1, i, 1) - dot(&row, &known);
            t[i] = solved(&left, &self.slope.clone().narrow(1, i, 1), &none).tanh();
        }
        z - self.across(times(&self.outer, Tensor::cat(t, 1)), dims)
    }

    /// z' in a graph.
    pub(super) fn trace(graph: &mut Graph, parameters: &Node, z: &Node) -> Node {
        let (dims, width) = (z.features(), parameters.features());
        let rank = rank_of(width, dims);
        let above = rank * (rank - 1) / 2;
        let none = graph.same(z, &vec![0.0; (dims - rank).max(1)]);
        let mirrors: Vec<Node> = (0..rank)
            .map(|place| {
                let v = graph.columns(parameters, place * dims, dims);
                let square = graph.dot(&v, &v);
                let square = graph.with("Add", &square, &[LEAST_SQUARE as f32], &[1]);
                let half = graph.with("Mul", &square, &[0.5], &[1]);
                let length = graph.unary("Sqrt", &half);
                graph.binary("Div", &v, &length)
            })
            .collect();
        let reflected = |graph: &mut Graph, z: Node, mirror: &Node| {
            let share = graph.dot(mirror, &z);
            let moved = graph.binary("Mul", mirror, &share);
            graph.binary("Sub", &z, &moved)
        };
        let rest = rank * dims + 2 * above;
        let matrix = |graph: &mut Graph, place: usize| {
            let diagonal = graph.columns(parameters, rest + place * rank, rank);
            let diagonal = graph.unary("Tanh", &diagonal);
            let diagonal = graph.with("Mul", &diagonal, &[most_diagonal() as f32], &[1]);
            let mut parts = vec![diagonal, graph.columns(&none, 0, 1)];
            if above > 0 {
                parts.insert(0, graph.columns(parameters, rank * dims + place * above, above));
            }
            let parts = graph.beside(&parts);
            let cells = graph.pick(&parts, &triangle(rank));
            graph.reshape(cells, &[rank, rank])
        };
        let applied = |graph: &mut Graph, matrix: &Node, y: Node| {
            let column = graph.reshape(y, &[rank, 1]);
            let moved = graph.matrices(matrix, &column);
            graph.reshape(moved, &[rank])
        };
        let turned = mirrors.iter().fold(z.clone(), |z, mirror| reflected(graph, z, mirror));
        let y = graph.columns(&turned, 0, rank);
        let inner = matrix(graph, 1);
        let a = applied(graph, &inner, y);
        let offset = graph.columns(parameters, rest + 2 * rank, rank);
        let a = graph.binary("Add", &a, &offset);
        let t = graph.unary("Tanh", &a);
        let outer = matrix(graph, 0);
        let y = applied(graph, &outer, t);
        let y = if rank < dims { graph.beside(&[y, none]) } else { y };
        let moved = mirrors.iter().rev().fold(y, |y, mirror| reflected(graph, y, mirror));
        graph.binary("Add", z, &moved)
    }
}

/// z − u uᵀz, for u of length √2.
fn reflected(z: Tensor<2>, mirror: &Tensor<2>) -> Tensor<2> {
    let share = dot(mirror, &z);
    z - mirror.clone() * share
}

/// M y of each row: `[rows, M, M]` and `[rows, M]`.
fn times(matrix: &Tensor<3>, y: Tensor<2>) -> Tensor<2> {
    let [rows, rank] = y.dims();
    matrix.clone().matmul(y.reshape([rows, rank, 1])).reshape([rows, rank])
}
