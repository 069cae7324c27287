//! Principal components: the plane in which points differ most.

use faer::{Mat, Side};

/// A mean and orthonormal directions, the one with the greatest variance first.
#[derive(Clone, Debug)]
pub struct Pca {
    /// The mean of the points.
    pub mean: Vec<f64>,
    /// Directions, one a row.
    pub directions: Vec<Vec<f64>>,
    /// The variance along each.
    pub variances: Vec<f64>,
}

impl Pca {
    /// The first `count` components of row-major points; none if there are no points or they are not finite.
    pub fn fit(points: &[f32], dims: usize, count: usize) -> Option<Self> {
        let n = points.len() / dims.max(1);
        if n == 0 || points.iter().any(|v| !v.is_finite()) {
            return None;
        }
        let mut mean = vec![0.0; dims];
        for row in points.chunks(dims) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n as f64);
        }
        let centred = Mat::from_fn(n, dims, |i, j| f64::from(points[i * dims + j]) - mean[j]);
        let covariance = centred.transpose() * &centred;
        let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
        // faer gives eigenvalues in ascending order.
        let chosen = (0..dims).rev().take(count);
        let column = |j: usize| (0..dims).map(|i| eigen.U()[(i, j)]).collect::<Vec<f64>>();
        Some(Self {
            directions: chosen.clone().map(column).collect(),
            variances: chosen.map(|j| eigen.S()[j].max(0.0) / n as f64).collect(),
            mean,
        })
    }

    /// The coordinates of a point along the directions.
    pub fn project(&self, point: &[f32]) -> Vec<f64> {
        self.directions
            .iter()
            .map(|direction| {
                direction.iter().zip(point).zip(&self.mean).map(|((d, v), m)| d * (f64::from(*v) - m)).sum()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_line_that_points_lie_on() {
        let points: Vec<f32> = (0..50).flat_map(|i| [i as f32 * 3.0, i as f32 * 4.0 + 1.0]).collect();
        let pca = Pca::fit(&points, 2, 2).expect("finite points");
        assert!((pca.directions[0][0].abs() - 0.6).abs() < 1e-9);
        assert!((pca.directions[0][1].abs() - 0.8).abs() < 1e-9);
        assert!(pca.variances[1] < 1e-9);
        assert!(pca.project(&[73.5, 99.0]).iter().all(|v| v.abs() < 1e-6));
    }
}
