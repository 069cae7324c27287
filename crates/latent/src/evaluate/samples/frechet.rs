//! The Fréchet distance: how far apart are two sets, if each is seen as one normal distribution?
//!
//! d² = ‖μ₁ − μ₂‖² + Tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½)
//!
//! Σ₁ = U S Uᵀ, B = S^½ Uᵀ; then (Σ₁Σ₂)^½ has the eigenvalues √m of B Σ₂ Bᵀ = V M Vᵀ. Estimated means and covariances
//! make d² too large, by about Σ dims/n: it is a number *at n*, compared at equal n alone.
//!
//! Its standard error follows from how each row pulls at it (the infinitesimal jackknife). With T the map that carries
//! N(0, Σ₂) to N(0, Σ₁), T = Bᵀ V M^−½ Vᵀ B, a row y of the second set, centred, has the influence
//!
//! −2 (μ₁ − μ₂)·y + ‖y‖² − yᵀ T y, less its mean; of the first set, 2 (μ₁ − μ₂)·x + ‖x‖² − xᵀ T⁻¹ x.
//!
//! References: Dowson & Landau, *The Fréchet distance between multivariate normal distributions* (1982); Heusel et al.,
//! *GANs trained by a two time-scale update rule* (arXiv 1706.08500); Jaeckel, *The infinitesimal jackknife* (1972).

use faer::{Mat, Side};
use latent_kernels::host::map;

use crate::array::Array;
use crate::evaluate::Estimate;

/// Directions whose share of the greatest eigenvalue is less are taken for rounding.
const RELATIVE_RANK: f64 = 1e-12;

/// d² between two sets of rows, with the interval for its expectation at these numbers of rows (both sets drawn anew). None
/// where a set has fewer than two rows or a number that is not finite.
pub fn frechet(first: &Array, second: &Array) -> Option<Estimate> {
    let dims = first.width();
    let usable =
        |set: &Array| set.rows() >= 2 && set.width() == dims && set.values.iter().all(|v| v.is_finite());
    if dims == 0 || !usable(first) || !usable(second) {
        return None;
    }
    let sets = [first, second];
    let [one, two] = <[Moments; 2]>::try_from(map(2, |index| Moments::of(sets[index]))).ok()?;

    let eigen = one.covariance.self_adjoint_eigen(Side::Lower).ok()?;
    let spread: Vec<f64> = (0..dims).map(|j| eigen.S()[j].max(0.0)).collect();
    let least = RELATIVE_RANK * spread.iter().copied().fold(0.0, f64::max);
    let b = Mat::from_fn(dims, dims, |i, j| spread[i].sqrt() * eigen.U()[(j, i)]);
    let middle = &b * &two.covariance * b.transpose();
    let inner = middle.self_adjoint_eigen(Side::Lower).ok()?;
    let m: Vec<f64> = (0..dims).map(|j| inner.S()[j].max(0.0)).collect();
    let smallest = RELATIVE_RANK * m.iter().copied().fold(0.0, f64::max);

    let difference: Vec<f64> = one.mean.iter().zip(&two.mean).map(|(a, b)| a - b).collect();
    let root: f64 = m.iter().map(|v| v.sqrt()).sum();
    let value = difference.iter().map(|d| d * d).sum::<f64>() + one.trace() + two.trace() - 2.0 * root;

    // yᵀ T y = ‖M^−¼ Vᵀ B y‖², xᵀ T⁻¹ x = ‖M^¼ Vᵀ S^−½ Uᵀ x‖².
    let scaled = |power: f64| {
        Mat::from_fn(
            dims,
            dims,
            |i, j| if m[j] > smallest { m[j].powf(power) * inner.U()[(i, j)] } else { 0.0 },
        )
    };
    let inverse =
        Mat::from_fn(
            dims,
            dims,
            |i, j| {
                if spread[i] > least { eigen.U()[(j, i)] / spread[i].sqrt() } else { 0.0 }
            },
        );
    let forms = [inverse.transpose() * scaled(0.25), b.transpose() * scaled(-0.25)];
    let signs = [2.0, -2.0];
    let variances = map(2, |index| {
        let moments = [&one, &two][index];
        influence_variance(sets[index], &moments.mean, &forms[index], &difference, signs[index])
    });
    Some(Estimate::normal(value.max(0.0), variances.iter().sum::<f64>().sqrt()))
}

/// The mean and covariance of rows.
struct Moments {
    mean: Vec<f64>,
    covariance: Mat<f64>,
}

/// Rows that are centred at once.
const PART: usize = 1024;

impl Moments {
    fn of(set: &Array) -> Self {
        let (n, dims) = (set.rows() as f64, set.width());
        let mut mean = vec![0.0; dims];
        for row in set.values.chunks_exact(dims) {
            mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n);
        }
        let mut covariance = Mat::<f64>::zeros(dims, dims);
        for part in set.values.chunks(PART * dims) {
            let centred = centred(part, &mean);
            covariance += centred.transpose() * &centred;
        }
        Self { mean, covariance: covariance * faer::Scale(1.0 / (n - 1.0)) }
    }

    fn trace(&self) -> f64 {
        (0..self.mean.len()).map(|j| self.covariance[(j, j)]).sum()
    }
}

fn centred(rows: &[f32], mean: &[f64]) -> Mat<f64> {
    let dims = mean.len();
    Mat::from_fn(rows.len() / dims, dims, |i, j| f64::from(rows[i * dims + j]) - mean[j])
}

/// The variance of the mean influence of a set's rows.
fn influence_variance(set: &Array, mean: &[f64], form: &Mat<f64>, difference: &[f64], sign: f64) -> f64 {
    let (n, dims) = (set.rows() as f64, set.width());
    let mut influences = Vec::with_capacity(set.rows());
    for part in set.values.chunks(PART * dims) {
        let rows = centred(part, mean);
        let mapped = &rows * form;
        for i in 0..rows.nrows() {
            let (mut along, mut square, mut quadratic) = (0.0, 0.0, 0.0);
            for (j, difference) in difference.iter().enumerate() {
                along += difference * rows[(i, j)];
                square += rows[(i, j)].powi(2);
                quadratic += mapped[(i, j)].powi(2);
            }
            influences.push(sign * along + square - quadratic);
        }
    }
    let centre = influences.iter().sum::<f64>() / n;
    influences.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (n - 1.0) / n
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
}
