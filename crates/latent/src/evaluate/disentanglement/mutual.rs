//! I(z_j; v_k) of every code dimension and factor, by histograms: 20 equally wide bins from the least to the greatest value
//! of a dimension, as numpy.histogram makes them, and counted frequencies.
//!
//! Definition: disentanglement_lib (Locatello et al., arXiv 1811.12359), `utils.discrete_mutual_info`.

use crate::array::Array;
use crate::evaluate::information;

/// Bins of a dimension.
const BINS: usize = 20;

/// What dimensions and factors say of each other, in nats.
pub struct Mutual {
    /// I(z_j; v_k), a row a dimension.
    pub of: Vec<Vec<f64>>,
    /// H(v_k)
    pub entropy: Vec<f64>,
}

impl Mutual {
    /// Of `codes` and `factors`, a list a factor, row by row.
    pub fn of(codes: &Array, factors: &[Vec<u32>]) -> Self {
        let entropy = factors.iter().map(|factor| information(factor, factor).first).collect();
        let of = (0..codes.width())
            .map(|dimension| {
                let bins = bins(codes, dimension);
                factors.iter().map(|factor| information(&bins, factor).mutual).collect()
            })
            .collect();
        Self { of, entropy }
    }
}

/// The bin of each row: how many of the left edges are not above it.
fn bins(codes: &Array, dimension: usize) -> Vec<u32> {
    let column = || (0..codes.rows()).map(|row| f64::from(codes.row(row)[dimension]));
    let (least, greatest) =
        column().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    let step = (greatest - least) / BINS as f64;
    let edges: Vec<f64> = (0..BINS).map(|k| k as f64 * step + least).collect();
    column().map(|value| edges.partition_point(|edge| *edge <= value) as u32).collect()
}
