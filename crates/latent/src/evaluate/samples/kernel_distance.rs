//! The kernel distance (KID): the squared maximum mean discrepancy between two sets, without bias at any size.
//!
//! MMD² = mean_{i≠j} k(x_i, x_j) + mean_{i≠j} k(y_i, y_j) − 2 mean_{i,j} k(x_i, y_j),  k(x, y) = (x·y/d + 1)³
//!
//! Its variance, from Hoeffding's decomposition of each mean, k(x_i, x_j) = μ + f_i + f_j + r_ij:
//!
//! 4 Var(h_x)/n + 4 Var(h_y)/m + 2 Var(r_xx)/n(n−1) + 2 Var(r_yy)/m(m−1) + 4 Var(r_xy)/nm
//!
//! h_x(x) = E k(x, x′) − E k(x, y). The last three terms are all there is when the sets have one distribution.
//!
//! References: Bińkowski et al., *Demystifying MMD GANs* (arXiv 1801.01401); Sutherland & Deka, *Unbiased estimators for the
//! variance of MMD estimators* (arXiv 1906.02104).

use latent_kernels::host::{map, product_of_rows};

use crate::array::Array;
use crate::evaluate::Estimate;

/// Rows whose products with all others are held at once.
const TILE: usize = 256;

/// KID between two sets of rows; its expectation is the same at any size. None where a set has fewer than four rows.
pub fn kernel_distance(first: &Array, second: &Array) -> Option<Estimate> {
    if first.rows() < 4 || second.rows() < 4 || first.width() != second.width() || first.width() == 0 {
        return None;
    }
    let (n, m) = (first.rows() as f64, second.rows() as f64);
    let (xx, yy) = (Sums::within(first), Sums::within(second));
    let xy = Sums::between(first, second);

    let value = xx.mean() + yy.mean() - 2.0 * xy.mean();
    // Var k = 2 Var f + Var r and Var of a row's mean = Var f + Var r/(n − 1); the same for two sets.
    let alone = |sums: &Sums, n: f64| {
        let rest = (sums.variance() - 2.0 * variance(&sums.row_means())) / (1.0 - 2.0 / (n - 1.0));
        rest.max(0.0)
    };
    let (rest_xx, rest_yy) = (alone(&xx, n), alone(&yy, m));
    let by_column = xy.column_means(n);
    let rest_xy = ((xy.variance() - variance(&xy.row_means()) - variance(&by_column))
        / (1.0 - 1.0 / n - 1.0 / m))
        .max(0.0);
    let first_order = |own: Vec<f64>, other: Vec<f64>, noise: f64| {
        let h: Vec<f64> = own.iter().zip(&other).map(|(a, b)| a - b).collect();
        (variance(&h) - noise).max(0.0)
    };
    let h_x = first_order(xx.row_means(), xy.row_means(), rest_xx / (n - 1.0) + rest_xy / m);
    let h_y = first_order(yy.row_means(), by_column, rest_yy / (m - 1.0) + rest_xy / n);
    let variance = 4.0 * h_x / n
        + 4.0 * h_y / m
        + 2.0 * rest_xx / (n * (n - 1.0))
        + 2.0 * rest_yy / (m * (m - 1.0))
        + 4.0 * rest_xy / (n * m);
    Some(Estimate::normal(value, variance.sqrt()))
}

fn variance(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (values.len() as f64 - 1.0)
}

/// Sums of a kernel matrix, without its diagonal where rows meet themselves.
struct Sums {
    rows: Vec<f64>,
    columns: Vec<f64>,
    squares: f64,
    /// Entries in a row that count.
    width: f64,
}

impl Sums {
    fn within(set: &Array) -> Self {
        Self::of(set, set, true)
    }

    fn between(first: &Array, second: &Array) -> Self {
        Self::of(first, second, false)
    }

    fn of(first: &Array, second: &Array, same: bool) -> Self {
        let dims = first.width();
        let tiles = map(first.rows().div_ceil(TILE), |tile| {
            let end = first.rows().min((tile + 1) * TILE);
            let products =
                product_of_rows(&first.values[tile * TILE * dims..end * dims], &second.values, dims);
            let (mut rows, mut columns, mut squares) = (Vec::new(), vec![0.0; second.rows()], 0.0);
            for (i, row) in products.chunks_exact(second.rows()).enumerate() {
                let mut sum = 0.0;
                for (j, product) in row.iter().enumerate() {
                    if same && j == tile * TILE + i {
                        continue;
                    }
                    let k = (f64::from(*product) / dims as f64 + 1.0).powi(3);
                    sum += k;
                    columns[j] += k;
                    squares += k * k;
                }
                rows.push(sum);
            }
            (rows, columns, squares)
        });
        let mut sums = Self {
            rows: Vec::new(),
            columns: vec![0.0; second.rows()],
            squares: 0.0,
            width: (second.rows() - usize::from(same)) as f64,
        };
        for (rows, columns, squares) in tiles {
            sums.rows.extend(rows);
            sums.columns.iter_mut().zip(columns).for_each(|(sum, value)| *sum += value);
            sums.squares += squares;
        }
        sums
    }

    fn count(&self) -> f64 {
        self.rows.len() as f64 * self.width
    }

    fn mean(&self) -> f64 {
        self.rows.iter().sum::<f64>() / self.count()
    }

    fn variance(&self) -> f64 {
        (self.squares / self.count() - self.mean().powi(2)).max(0.0)
    }

    fn row_means(&self) -> Vec<f64> {
        self.rows.iter().map(|sum| sum / self.width).collect()
    }

    fn column_means(&self, rows: f64) -> Vec<f64> {
        self.columns.iter().map(|sum| sum / rows).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    /// x ~ N(0, 1), y ~ N(a, s²), d = 1. With u = x x′: E (u + 1)³ = 1 + 3 E u + 3 E u² + E u³, and moments multiply.
    #[test]
    fn the_distance_of_two_normals_is_the_closed_form() {
        let (n, a, s) = (3000, 0.5f64, 1.25f64);
        let first = Array::matrix(normals(5, n, 1), 1);
        let second: Vec<f32> = normals(6, n, 1).iter().map(|z| (a + s * f64::from(*z)) as f32).collect();
        let second = Array::matrix(second, 1);
        let x = [0.0, 1.0, 0.0];
        let y = [a, a * a + s * s, a.powi(3) + 3.0 * a * s * s];
        let of = |p: [f64; 3], q: [f64; 3]| 1.0 + 3.0 * p[0] * q[0] + 3.0 * p[1] * q[1] + p[2] * q[2];
        let wanted = of(x, x) + of(y, y) - 2.0 * of(x, y);
        let found = kernel_distance(&first, &second).unwrap();
        let error = (found.high - found.low) / 2.0 / crate::evaluate::Z_95;
        assert!((found.value - wanted).abs() < 3.0 * error && error < 0.3 * wanted, "{found:?} {wanted}");
        let swapped = kernel_distance(&second, &first).unwrap();
        assert!((swapped.value - found.value).abs() < 1e-9 && (swapped.high - found.high).abs() < 1e-9);
    }

    /// The unbiased estimate itself, from a double loop over four rows each.
    #[test]
    fn small_sets_are_summed_as_the_definition_says() {
        let (x, y) = (normals(7, 4, 3), normals(8, 5, 3));
        let k = |a: &[f32], b: &[f32]| {
            let dot: f64 = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            (dot / 3.0 + 1.0).powi(3)
        };
        let mean = |a: &[f32], b: &[f32], same: bool| {
            let mut values = Vec::new();
            for (i, p) in a.chunks(3).enumerate() {
                values
                    .extend(b.chunks(3).enumerate().filter(|(j, _)| !same || i != *j).map(|(_, q)| k(p, q)));
            }
            values.iter().sum::<f64>() / values.len() as f64
        };
        let wanted = mean(&x, &x, true) + mean(&y, &y, true) - 2.0 * mean(&x, &y, false);
        let found = kernel_distance(&Array::matrix(x, 3), &Array::matrix(y, 3)).unwrap();
        assert!((found.value - wanted).abs() < 1e-6 * wanted.abs().max(1.0), "{found:?} {wanted}");
        assert!(kernel_distance(&Array::matrix(vec![0.0; 9], 3), &Array::matrix(vec![0.0; 12], 3)).is_none());
    }
}
