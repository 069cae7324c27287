//! Rows and their nearest others, and the cells of k-means.

use latent_kernels::host::product_of_rows;

use crate::array::Array;
use crate::key::Key;

/// The nearest of other rows to each of some rows.
pub(crate) struct Nearest {
    /// Its distance.
    pub distance: Vec<f64>,
    /// Its place.
    pub row: Vec<usize>,
    norms: Vec<f32>,
}

fn norms(set: &Array) -> Vec<f32> {
    let squares = |row: &[f32]| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() as f32;
    set.values.chunks_exact(set.width().max(1)).map(squares).collect()
}

impl Nearest {
    /// None met yet.
    pub fn new(set: &Array) -> Self {
        Self { distance: vec![f64::INFINITY; set.rows()], row: vec![0; set.rows()], norms: norms(set) }
    }

    /// Compares with other rows `first`, `first + 1`, …; the distance itself is summed without cancellation.
    pub fn meet(&mut self, set: &Array, train: &Array, first: usize) {
        if train.rows() == 0 {
            return;
        }
        let theirs = norms(train);
        const TILE: usize = 512;
        for start in (0..set.rows()).step_by(TILE) {
            let end = set.rows().min(start + TILE);
            let dims = set.width();
            let products = product_of_rows(&set.values[start * dims..end * dims], &train.values, dims);
            for (i, products) in (start..end).zip(products.chunks_exact(train.rows())) {
                let squares =
                    products.iter().zip(&theirs).map(|(product, norm)| self.norms[i] + norm - 2.0 * product);
                let best = squares.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
                let Some((j, _)) = best else { continue };
                let pairs = set.row(i).iter().zip(train.row(j));
                let distance =
                    pairs.map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>().sqrt();
                if distance < self.distance[i] {
                    (self.distance[i], self.row[i]) = (distance, first + j);
                }
            }
        }
    }
}

/// The centre that each row is nearest to.
pub(crate) fn assign(set: &Array, centres: &Array) -> Vec<usize> {
    let mut nearest = Nearest::new(set);
    nearest.meet(set, centres, 0);
    nearest.row
}

/// Centres of cells: Lloyd's iterations from rows chosen one after another with probability proportional to the square
/// distance from those chosen before (Arthur & Vassilvitskii 2007).
pub(crate) fn k_means(set: &Array, cells: usize, key: Key) -> Array {
    let (n, dims) = (set.rows(), set.width());
    let cells = cells.min(n);
    let mut uniforms = vec![0.0; cells];
    key.uniforms(&mut uniforms);
    let mut centres = Array::matrix(Vec::new(), dims);
    let mut nearest = Nearest::new(set);
    for (cell, uniform) in uniforms.into_iter().enumerate() {
        let chosen = if cell == 0 {
            (f64::from(uniform) * n as f64) as usize
        } else {
            let total: f64 = nearest.distance.iter().map(|d| d * d).sum();
            let mut left = f64::from(uniform) * total;
            let passed = nearest.distance.iter().position(|d| {
                left -= d * d;
                left <= 0.0
            });
            passed.unwrap_or(n - 1)
        };
        let row = set.row(chosen.min(n - 1)).to_vec();
        nearest.meet(set, &Array::matrix(row.clone(), dims), cell);
        centres.values.extend(row);
    }
    centres = Array::matrix(centres.values, dims);
    for _ in 0..20 {
        let of = assign(set, &centres);
        let mut sums = vec![0f64; cells * dims];
        let mut counts = vec![0f64; cells];
        for (row, cell) in set.values.chunks_exact(dims).zip(&of) {
            counts[*cell] += 1.0;
            sums[cell * dims..(cell + 1) * dims].iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v));
        }
        for (index, value) in centres.values.iter_mut().enumerate() {
            // A cell that lost its rows keeps its centre.
            if counts[index / dims] > 0.0 {
                *value = (sums[index] / counts[index / dims]) as f32;
            }
        }
    }
    centres
}
