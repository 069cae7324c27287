//! The velocity that carries noise to a normal: what a flow starts from, so that it learns only how codes differ from one.
//!
//! For x_t = (1 − t) x_0 + t x_1 with x_0 ~ N(0, I) and x_1 ~ N(0, Σ), Σ = U diag(λ) Uᵀ,
//!
//! v(x, t) = E[x_1 − x_0 | x_t = x] = U diag((t λ − (1 − t)) / (t² λ + (1 − t)²)) Uᵀ x
//!
//! Its flow ends in N(0, Σ) exactly. Samplers see codes in a [chart](super::chart) where their mean is 0.
//!
//! Reference: the conditional mean of jointly normal vectors; flow matching as in Lipman et al. (arXiv 2210.02747).

use burn::tensor::Tensor;
use faer::{MatRef, Side};

use super::Arrays;
use super::gaussian_mixture::double;
use crate::array::Array;
use crate::device::Device;

/// The eigenvectors and eigenvalues of Σ.
#[derive(Clone, Debug)]
pub(super) struct NormalFlow {
    /// U, `[dims, dims]`, a vector a column.
    basis: Tensor<2>,
    /// λ, `[1, dims]`
    variances: Tensor<2>,
}

/// Finding them takes dims³ steps: beyond this a flow starts from nothing.
const MOST_DIMS: usize = 2048;

/// The least eigenvalue: codes that lie in a plane are given a little depth.
const LEAST: f64 = 1e-4;

impl NormalFlow {
    /// Of these codes; none where there are too few, or too many dimensions.
    pub fn fit(codes: &Array, device: &Device) -> Option<Self> {
        let (n, d) = (codes.rows(), codes.width());
        if d > MOST_DIMS || n < 2 {
            return None;
        }
        let x = double(&codes.values);
        let x = MatRef::from_row_major_slice(&x, n, d);
        let scatter = x.transpose() * x;
        let eigen = scatter.self_adjoint_eigen(Side::Lower).ok()?;
        let basis = (0..d * d).map(|k| eigen.U()[(k / d, k % d)] as f32).collect();
        let variances = (0..d).map(|j| (eigen.S()[j] / n as f64).max(LEAST) as f32).collect();
        Self::new(basis, variances, device)
    }

    fn new(basis: Vec<f32>, variances: Vec<f32>, device: &Device) -> Option<Self> {
        let d = variances.len();
        let sound =
            basis.iter().chain(&variances).all(|v| v.is_finite()) && variances.iter().all(|v| *v > 0.0);
        (sound && basis.len() == d * d).then(|| Self {
            basis: device.tensor(basis, [d, d]),
            variances: device.tensor(variances, [1, d]),
        })
    }

    /// v at `x [n, dims]` and `t [n, 1]`.
    pub fn velocity(&self, x: Tensor<2>, t: Tensor<2>) -> Tensor<2> {
        let rest = t.clone().neg() + 1.0;
        let above = t.clone() * self.variances.clone() - rest.clone();
        let below = t.clone() * t * self.variances.clone() + rest.clone() * rest;
        let along = x.matmul(self.basis.clone()) * above / below;
        along.matmul(self.basis.clone().transpose())
    }

    /// Puts it beside a sampler's arrays.
    pub fn keep(&self, arrays: &mut Arrays) {
        let host = crate::device::host::<2>;
        let shape = |t: &Tensor<2>| t.dims().to_vec();
        arrays.insert(BASIS.into(), Array { shape: shape(&self.basis), values: host(&self.basis) });
        arrays
            .insert(VARIANCES.into(), Array { shape: shape(&self.variances), values: host(&self.variances) });
    }

    /// Takes it from a sampler's arrays; none where they have none.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn take(arrays: &mut Arrays, dims: usize, device: &Device) -> Result<Option<Self>, String> {
        let (basis, variances) = match (arrays.remove(BASIS), arrays.remove(VARIANCES)) {
            (None, None) => return Ok(None),
            (Some(basis), Some(variances)) if variances.values.len() == dims => {
                (basis.values, variances.values)
            }
            _ => return Err(format!("the arrays `{BASIS}` and `{VARIANCES}` do not fit {dims} dimensions")),
        };
        let found = Self::new(basis, variances, device);
        found
            .map(Some)
            .ok_or_else(|| format!("the arrays `{BASIS}` and `{VARIANCES}` hold what no normal has"))
    }
}

const BASIS: &str = "normal.basis";
const VARIANCES: &str = "normal.variances";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::host;
    use crate::key::Key;

    #[test]
    fn its_flow_ends_in_the_normal() {
        // x_1 = (2a, a + b/2): covariance [[4, 2], [2, 1.25]].
        let mut noise = vec![0.0; 40_000];
        Key::from_seed(1).normals(&mut noise);
        let values = noise.chunks(2).flat_map(|n| [2.0 * n[0], n[0] + 0.5 * n[1]]).collect();
        let device = Device::cpu();
        let flow = NormalFlow::fit(&Array::matrix(values, 2), &device).unwrap();
        let mut start = vec![0.0; 40_000];
        Key::from_seed(2).normals(&mut start);
        let n = start.len() / 2;
        let mut x = device.tensor(start, [n, 2]);
        let steps = 200;
        for step in 0..steps {
            let at = |t: f64| device.tensor(vec![t as f32; n], [n, 1]);
            let t = step as f64 / steps as f64;
            let here = flow.velocity(x.clone(), at(t));
            let there =
                flow.velocity(x.clone() + here.clone() * (1.0 / steps as f64), at(t + 1.0 / steps as f64));
            x = x + (here + there) * (0.5 / steps as f64);
        }
        let x = host(&x);
        let mean = |of: &dyn Fn(&[f32]) -> f32| x.chunks(2).map(of).sum::<f32>() / n as f32;
        for (found, wanted) in
            [(mean(&|x| x[0] * x[0]), 4.0), (mean(&|x| x[0] * x[1]), 2.0), (mean(&|x| x[1] * x[1]), 1.25)]
        {
            assert!((found - wanted).abs() < 0.05 * wanted, "{found} {wanted}");
        }
    }

    #[test]
    fn it_is_the_mean_velocity_given_where_one_is() {
        // In one dimension: regress x_1 − x_0 on x_t over many pairs.
        let (deviation, t) = (0.6f64, 0.35f64);
        let mut noise = vec![0.0; 400_000];
        Key::from_seed(3).normals(&mut noise);
        let pairs = noise.chunks(2).map(|n| {
            let (start, end) = (f64::from(n[0]), deviation * f64::from(n[1]));
            ((1.0 - t) * start + t * end, end - start)
        });
        let (mut across, mut square) = (0.0, 0.0);
        pairs.for_each(|(x, v)| (across, square) = (across + x * v, square + x * x));
        let device = Device::cpu();
        let flow = NormalFlow::new(vec![1.0], vec![(deviation * deviation) as f32], &device).unwrap();
        let found =
            host(&flow.velocity(device.tensor(vec![1.0], [1, 1]), device.tensor(vec![t as f32], [1, 1])));
        assert!((f64::from(found[0]) - across / square).abs() < 0.02, "{found:?} {}", across / square);
    }
}
