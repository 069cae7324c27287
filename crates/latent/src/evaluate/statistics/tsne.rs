//! t-SNE: a map of the codes in which neighbours stay neighbours.
//!
//! ```text
//! p_{j|i} ∝ exp(−‖z_i − z_j‖² β_i),  β_i such that the entropy of row i is ln perplexity;  p_ij = (p_{j|i} + p_{i|j}) / 2n
//! q_ij ∝ 1 / (1 + ‖y_i − y_j‖²)
//! minimise KL(P ‖ Q):  ∂/∂y_i = 4 Σ_j (p_ij − q_ij) (y_i − y_j) / (1 + ‖y_i − y_j‖²)
//! ```
//!
//! By gradient descent with momentum and gains, from the first two principal components, with early exaggeration. Distances
//! between far clusters, and their sizes, mean nothing. All pairs are computed: for some thousand points.
//!
//! References: van der Maaten & Hinton, *Visualizing Data using t-SNE* (JMLR 9, 2008); Kobak & Berens (Nature
//! Communications 10, 2019) for the start and the learning rate.

use super::pca::Pca;
use crate::array::Array;

/// Steps of the descent; the first quarter of them is exaggerated.
const STEPS: usize = 500;
/// How much nearer than they are points pull each other at first.
const EXAGGERATION: f64 = 12.0;

/// A place in the plane for each row; none where there are fewer than four rows or they are not finite. The perplexity is
/// the number of neighbours that a point has, about; at most a third of the rows.
pub fn tsne(points: &Array, perplexity: f64) -> Option<Vec<[f64; 2]>> {
    let n = points.rows();
    let pca = Pca::fit(&points.values, points.width(), 2).filter(|_| n >= 4)?;
    let p = joint(points, perplexity.min((n - 1) as f64 / 3.0));
    // The first component with a standard deviation of 1e-4.
    let scale = 1e-4 / pca.variances.first().copied().unwrap_or(0.0).sqrt().max(1e-12);
    let mut y: Vec<[f64; 2]> = (0..n)
        .map(|row| {
            let along = pca.project(points.row(row));
            [0, 1].map(|axis| scale * along.get(axis).copied().unwrap_or(0.0))
        })
        .collect();
    let rate = (n as f64 / EXAGGERATION).max(50.0);
    let (mut speed, mut gain) = (vec![[0.0; 2]; n], vec![[1.0f64; 2]; n]);
    for step in 0..STEPS {
        let early = step < STEPS / 4;
        let (pull, momentum) = if early { (EXAGGERATION, 0.5) } else { (1.0, 0.8) };
        let slope = gradient(&p, &y, pull);
        for row in 0..n {
            for axis in 0..2 {
                let (g, v) = (slope[row][axis], &mut speed[row][axis]);
                let gain = &mut gain[row][axis];
                // A direction that keeps its sign is trusted more.
                *gain = if (g > 0.0) == (*v > 0.0) { (*gain * 0.8).max(0.01) } else { *gain + 0.2 };
                *v = momentum * *v - rate * *gain * g;
                y[row][axis] += *v;
            }
        }
    }
    Some(y)
}

/// p_ij, `n × n`, symmetric, 0 on the diagonal, with sum 1.
fn joint(points: &Array, perplexity: f64) -> Vec<f64> {
    let n = points.rows();
    let mut p = vec![0.0; n * n];
    for i in 0..n {
        let distances: Vec<f64> = (0..n).map(|j| square(points.row(i), points.row(j))).collect();
        let row = &mut p[i * n..(i + 1) * n];
        neighbours(&distances, i, perplexity.max(1.0).ln(), row);
    }
    for i in 0..n {
        for j in 0..i {
            let both = (p[i * n + j] + p[j * n + i]) / (2.0 * n as f64);
            (p[i * n + j], p[j * n + i]) = (both, both);
        }
    }
    p
}

/// p_{j|i} of one row: β is bisected until the entropy is as wanted.
fn neighbours(distances: &[f64], own: usize, entropy: f64, row: &mut [f64]) {
    let others = || distances.iter().enumerate().filter(|(j, _)| *j != own);
    let nearest = others().map(|(_, d)| *d).fold(f64::INFINITY, f64::min);
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0);
    for _ in 0..100 {
        let (mut sum, mut mean) = (0.0, 0.0);
        for (j, &distance) in distances.iter().enumerate() {
            let weight = if j == own { 0.0 } else { (-(distance - nearest) * beta).exp() };
            row[j] = weight;
            sum += weight;
            mean += weight * (distance - nearest);
        }
        row.iter_mut().for_each(|weight| *weight /= sum);
        // H = ln Σ w + β Σ p d
        let found = sum.ln() + beta * mean / sum;
        if (found - entropy).abs() < 1e-5 {
            break;
        }
        if found > entropy {
            low = beta;
            beta = if high.is_finite() { (low + high) / 2.0 } else { beta * 2.0 };
        } else {
            high = beta;
            beta = (low + high) / 2.0;
        }
    }
}

/// ∂/∂y of KL(pull·P ‖ Q), but for what does not depend on y.
fn gradient(p: &[f64], y: &[[f64; 2]], pull: f64) -> Vec<[f64; 2]> {
    let n = y.len();
    let near = |a: [f64; 2], b: [f64; 2]| 1.0 / (1.0 + (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2));
    let sum: f64 = y.iter().map(|a| y.iter().map(|b| near(*a, *b)).sum::<f64>() - 1.0).sum();
    y.iter()
        .zip(p.chunks(n))
        .map(|(a, row)| {
            let mut slope = [0.0; 2];
            for (b, p) in y.iter().zip(row) {
                let w = near(*a, *b);
                let force = 4.0 * (pull * p - w / sum) * w;
                slope[0] += force * (a[0] - b[0]);
                slope[1] += force * (a[1] - b[1]);
            }
            slope
        })
        .collect()
}

fn square(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;

    fn cloud(n: usize, dims: usize) -> Array {
        let mut values = vec![0.0; n * dims];
        Key::from_seed(8).normals(&mut values);
        Array::matrix(values, dims)
    }

    #[test]
    fn each_point_has_as_many_neighbours_as_asked() {
        let points = cloud(60, 5);
        let mut row = vec![0.0; 60];
        for i in [0, 17, 59] {
            let distances: Vec<f64> = (0..60).map(|j| square(points.row(i), points.row(j))).collect();
            neighbours(&distances, i, 12f64.ln(), &mut row);
            let entropy: f64 = row.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
            assert!((entropy.exp() - 12.0).abs() < 1e-3 && row[i] == 0.0, "{}", entropy.exp());
        }
        let p = joint(&points, 12.0);
        assert!((p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        assert!((0..60).all(|i| (0..60).all(|j| p[i * 60 + j] == p[j * 60 + i])));
    }

    #[test]
    fn the_gradient_is_that_of_the_divergence() {
        let p = joint(&cloud(12, 3), 3.0);
        let places = cloud(12, 2);
        let y: Vec<[f64; 2]> = (0..12).map(|i| [0, 1].map(|a| f64::from(places.row(i)[a]))).collect();
        let divergence = |y: &[[f64; 2]]| {
            let w =
                |i: usize, j: usize| 1.0 / (1.0 + (y[i][0] - y[j][0]).powi(2) + (y[i][1] - y[j][1]).powi(2));
            let pairs = || (0..12).flat_map(|i| (0..12).map(move |j| (i, j))).filter(|(i, j)| i != j);
            let sum: f64 = pairs().map(|(i, j)| w(i, j)).sum();
            pairs().map(|(i, j)| p[i * 12 + j] * (p[i * 12 + j] / (w(i, j) / sum)).ln()).sum::<f64>()
        };
        let slope = gradient(&p, &y, 1.0);
        for i in 0..12 {
            for axis in 0..2 {
                let moved = |by: f64| {
                    let mut y = y.clone();
                    y[i][axis] += by;
                    divergence(&y)
                };
                let by_difference = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                assert!((slope[i][axis] - by_difference).abs() < 1e-8, "{} {by_difference}", slope[i][axis]);
            }
        }
    }

    #[test]
    fn clusters_stay_apart() {
        // Three clouds far from each other in ten dimensions.
        let mut points = cloud(90, 10);
        for row in 0..90 {
            points.values[row * 10 + row % 3] += 12.0;
        }
        let y = tsne(&points, 10.0).unwrap();
        let near = |a: usize, b: usize| (y[a][0] - y[b][0]).powi(2) + (y[a][1] - y[b][1]).powi(2);
        for i in 0..90 {
            let nearest = (0..90).filter(|&j| j != i).min_by(|&a, &b| near(i, a).total_cmp(&near(i, b)));
            assert_eq!(nearest.unwrap() % 3, i % 3, "row {i}");
        }
        assert_eq!(tsne(&points, 10.0).unwrap(), y);
        assert!(tsne(&cloud(3, 2), 5.0).is_none());
    }
}
