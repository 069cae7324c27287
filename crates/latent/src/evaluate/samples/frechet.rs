//! The Fréchet distance: how far apart are two sets, if each is seen as one normal distribution?
//!
//! d² = ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)
//!
//! The centred rows of the sets are X = Q A and Y = P B, with orthonormal columns in Q and P and as few rows in A and B as
//! may be (Q = 1 where a set has fewer rows than features). Then Tr (Σ₁Σ₂)^½ is the sum of the singular values S of
//! A Bᵀ = U S Vᵀ, over √((n − 1)(m − 1)). Estimated means and covariances make d² too large, by about Σ dims/n: it is a
//! number *at n*, compared at equal n alone.
//!
//! Its standard error follows from how each row pulls at it (the infinitesimal jackknife): with x = Aᵀq a centred row,
//!
//! 2 (μ₁ − μ₂)·x + ‖x‖² − √((n − 1)/(m − 1)) ‖S^½ Uᵀ q‖², less its mean,
//!
//! and for a row of the second set the same from its side.
//!
//! References: Dowson & Landau, *The Fréchet distance between multivariate normal distributions* (1982); Heusel et al.,
//! *GANs trained by a two time-scale update rule* (arXiv 1706.08500); Jaeckel, *The infinitesimal jackknife* (1972).

use faer::Mat;
use latent_kernels::host::map;

use crate::array::Array;
use crate::evaluate::Estimate;

/// d² between two sets of rows, with the interval for its expectation at these numbers of rows (both sets drawn anew). None
/// where a set has fewer than two rows or a number that is not finite.
pub fn frechet(first: &Array, second: &Array) -> Option<Estimate> {
    Some(Distance::of(first, second)?.estimate())
}

/// A distance and how each row pulls at it.
#[derive(Clone, Debug)]
pub struct Distance {
    /// d²
    pub value: f64,
    /// The influence of each row of both sets; their mean is 0.
    pub pulls: [Vec<f64>; 2],
}

impl Distance {
    /// Between two sets of rows; none as for [`frechet`].
    pub fn of(first: &Array, second: &Array) -> Option<Self> {
        let dims = first.width();
        let usable =
            |set: &Array| set.rows() >= 2 && set.width() == dims && set.values.iter().all(|v| v.is_finite());
        if dims == 0 || !usable(first) || !usable(second) {
            return None;
        }
        let sets = [first, second];
        let [one, two] = <[Factored; 2]>::try_from(map(2, |index| Factored::of(sets[index]))).ok()?;
        let svd = (&one.a * two.a.transpose()).thin_svd().ok()?;
        let s: Vec<f64> = (0..svd.S().dim()).map(|j| svd.S()[j]).collect();
        let difference: Vec<f64> = one.mean.iter().zip(&two.mean).map(|(a, b)| a - b).collect();
        let freedom = [first, second].map(|set| set.rows() as f64 - 1.0);
        let root = s.iter().sum::<f64>() / (freedom[0] * freedom[1]).sqrt();
        let value = difference.iter().map(|d| d * d).sum::<f64>() + one.trace() + two.trace() - 2.0 * root;
        let pulls = map(2, |index| {
            let (set, vectors, sign) = [(&one, svd.U(), 2.0), (&two, svd.V(), -2.0)][index];
            let scaled =
                Mat::from_fn(vectors.nrows(), s.len(), |i, j| s[j].max(0.0).sqrt() * vectors[(i, j)]);
            let scale = (freedom[index] / freedom[1 - index]).sqrt();
            set.pulls(&difference, sign, &scaled, scale)
        });
        Some(Self { value: value.max(0.0), pulls: <[Vec<f64>; 2]>::try_from(pulls).ok()? })
    }

    /// With its interval.
    pub fn estimate(&self) -> Estimate {
        let variance: f64 = self.pulls.iter().map(|pulls| variance_of_mean(pulls)).sum();
        // A square is never negative.
        Estimate::normal(self.value, variance.sqrt()).within(0.0, f64::INFINITY)
    }
}

/// The variance of the mean of numbers whose mean is 0.
pub fn variance_of_mean(pulls: &[f64]) -> f64 {
    let n = pulls.len() as f64;
    pulls.iter().map(|v| v * v).sum::<f64>() / (n - 1.0) / n
}

/// The rows of a set, less their mean, as Q A.
struct Factored {
    mean: Vec<f64>,
    rows: Mat<f64>,
    /// None where Q = 1.
    q: Option<Mat<f64>>,
    a: Mat<f64>,
}

impl Factored {
    fn of(set: &Array) -> Self {
        let (n, dims) = (set.rows(), set.width());
        let mut mean = vec![0.0; dims];
        for row in set.values.chunks_exact(dims) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n as f64);
        }
        let rows = Mat::from_fn(n, dims, |i, j| f64::from(set.values[i * dims + j]) - mean[j]);
        if n <= dims {
            return Self { mean, a: rows.clone(), rows, q: None };
        }
        let qr = rows.qr();
        Self { mean, q: Some(qr.compute_thin_Q()), a: qr.thin_R().to_owned(), rows }
    }

    /// Tr Σ
    fn trace(&self) -> f64 {
        self.rows.squared_norm_l2() / (self.rows.nrows() as f64 - 1.0)
    }

    /// The influence of each row.
    fn pulls(&self, difference: &[f64], sign: f64, vectors: &Mat<f64>, scale: f64) -> Vec<f64> {
        let mapped = self.q.as_ref().map(|q| q * vectors);
        let mapped = mapped.as_ref().unwrap_or(vectors);
        let square = |m: &Mat<f64>, i: usize| (0..m.ncols()).map(|j| m[(i, j)].powi(2)).sum::<f64>();
        let pull = |i: usize| {
            let along: f64 = difference.iter().enumerate().map(|(j, d)| d * self.rows[(i, j)]).sum();
            sign * along + square(&self.rows, i) - scale * square(mapped, i)
        };
        let pulls: Vec<f64> = (0..self.rows.nrows()).map(pull).collect();
        let mean = pulls.iter().sum::<f64>() / pulls.len() as f64;
        pulls.into_iter().map(|pull| pull - mean).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::normals;
    use super::*;

    /// Two normals whose covariances do not commute: Σ₁ = diag(4, 1), Σ₂ = R diag(9, ¼) Rᵀ. In two dimensions
    /// Tr (Σ₁Σ₂)^½ = √(Tr Σ₁Σ₂ + 2 √(det Σ₁ det Σ₂)).
    #[test]
    fn the_distance_of_two_normals_is_the_closed_form() {
        let n = 200_000;
        let (cosine, sine) = (0.8f64, 0.6f64);
        let first: Vec<f32> = normals(1, n, 2).chunks(2).flat_map(|z| [2.0 * z[0], z[1]]).collect();
        let second: Vec<f32> = normals(2, n, 2)
            .chunks(2)
            .flat_map(|z| {
                let (a, b) = (3.0 * f64::from(z[0]), 0.5 * f64::from(z[1]));
                [(cosine * a - sine * b + 1.0) as f32, (sine * a + cosine * b - 2.0) as f32]
            })
            .collect();
        let of_second =
            [9.0 * cosine * cosine + 0.25 * sine * sine, 9.0 * sine * sine + 0.25 * cosine * cosine];
        let product = 4.0 * of_second[0] + of_second[1];
        let root = (product + 2.0 * (4.0f64 * 2.25).sqrt()).sqrt();
        let wanted = 5.0 + 5.0 + 9.25 - 2.0 * root;
        let found = frechet(&Array::matrix(first, 2), &Array::matrix(second, 2)).unwrap();
        let error = (found.high - found.low) / 2.0 / crate::evaluate::Z_95;
        assert!((found.value - wanted).abs() < 4.0 * error && error < 0.03, "{found:?} {wanted}");
        let back =
            frechet(&Array::matrix(normals(1, 50, 2), 2), &Array::matrix(normals(1, 50, 2), 2)).unwrap();
        assert!(back.value < 1e-9);
    }

    /// Rows fewer than features: covariances have no inverse, the distance is the same from both sides.
    #[test]
    fn few_rows_of_many_features_have_a_distance_too() {
        let (a, b) = (Array::matrix(normals(3, 20, 40), 40), Array::matrix(normals(4, 30, 40), 40));
        let (there, back) = (frechet(&a, &b).unwrap(), frechet(&b, &a).unwrap());
        assert!((there.value - back.value).abs() < 1e-6 * there.value, "{there:?} {back:?}");
        assert!((there.high - back.high).abs() < 1e-3 * there.value && there.low > 0.0);
        assert!(frechet(&Array::matrix(vec![1.0; 40], 40), &b).is_none());
        assert!(frechet(&Array::matrix(vec![f32::NAN; 80], 40), &b).is_none());
    }

    /// The error by influences is about that of leaving each row out, with more rows than features and with fewer.
    #[test]
    fn what_rows_pull_is_what_leaving_them_out_changes() {
        for (n, m, dims) in [(90, 70, 5), (40, 50, 60)] {
            let (a, b) = (Array::matrix(normals(5, n, dims), dims), Array::matrix(normals(6, m, dims), dims));
            let mut b = b;
            b.values
                .chunks_mut(dims)
                .for_each(|row| row.iter_mut().step_by(2).for_each(|v| *v = 2.0 * *v + 0.5));
            let found = Distance::of(&a, &b).unwrap();
            let without = |set: &Array, row: usize| {
                let rows = set.values.chunks(dims).enumerate().filter(|(i, _)| *i != row);
                Array::matrix(rows.flat_map(|(_, row)| row.to_vec()).collect(), dims)
            };
            let left: [Vec<f64>; 2] = [
                (0..n).map(|i| Distance::of(&without(&a, i), &b).unwrap().value).collect(),
                (0..m).map(|i| Distance::of(&a, &without(&b, i)).unwrap().value).collect(),
            ];
            for (left, pulls) in left.iter().zip(&found.pulls) {
                let count = left.len() as f64;
                let mean = left.iter().sum::<f64>() / count;
                let variance = (count - 1.0) / count * left.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                let ratio = (variance_of_mean(pulls) / variance).sqrt();
                assert!((0.75..1.15).contains(&ratio), "{ratio} for {n} rows of {dims}");
            }
        }
    }
}
