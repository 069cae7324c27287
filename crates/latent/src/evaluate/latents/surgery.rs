//! What the rate is spent on. With the rows as the data distribution, n uniform over N of them, and q(z) = 1/N Σ_n q(z|n):
//!
//! rate = I_q(n; z) + KL(q(z) ‖ Π_j q(z_j)) + Σ_j KL(q(z_j) ‖ p(z_j))
//!        index-code mutual information, total correlation, dimension-wise KL
//!
//! Each term is a mean over rows of log densities at one draw of q(z|n), and q(z) is the mixture of **all** N posteriors,
//! the row's own among them: exact for these N rows, where a minibatch would need weights. I_q(n; z) is at most ln N, so
//! that codes which say more than that of x show the cap. A row's influence through the mixture has mean 0, so that the
//! standard error over rows is right to first order.
//!
//! References: Hoffman & Johnson, *ELBO surgery* (2016); Chen et al., *Isolating Sources of Disentanglement*
//! (arXiv 1802.04942).

use burn::tensor::Tensor;

use crate::array::Array;
use crate::batch::Latent;
use crate::density::Density;
use crate::device::{Device, host, host_f64};

/// The split of the rate, a number a row; the means add up to the rate.
pub struct Surgery {
    /// log q(z|n) − log q(z), whose mean is the index-code mutual information.
    pub mutual: Vec<f64>,
    /// log q(z) − log p(z), whose mean is the KL of the aggregate posterior to the prior.
    pub marginal: Vec<f64>,
    /// log q(z) − Σ log q(z_j), whose mean is the total correlation; none where q doesn't factorise.
    pub total_correlation: Option<Vec<f64>>,
    /// Σ [log q(z_j) − log p(z_j)]; none where q or p doesn't factorise.
    pub dimension_wise: Option<Vec<f64>>,
}

/// Numbers of a tensor of log densities at once.
const ELEMENTS: usize = 1 << 20;

/// Splits the rate of the first rows of `posteriors` at `draws`, a draw a row; none where q or p has no density.
pub fn surgery(
    posteriors: &[Box<dyn Density>],
    draws: &Array,
    prior: &dyn Density,
    device: &Device,
) -> Option<Surgery> {
    let (n, dims) = (draws.rows(), draws.width());
    let z = |from: usize, to: usize| {
        device.tensor(draws.values[from * dims..to * dims].to_vec(), [to - from, dims])
    };
    let factorises = posteriors.first().is_some_and(|q| q.log_density_per_dimension(&q.centre()).is_some());
    let width = if factorises { dims + 1 } else { 1 };
    // ln Σ_n exp of each draw: for all dimensions together (the last column) and for each alone.
    let mut mixture = vec![LogSum::default(); n * width];
    let mut own = vec![f64::NAN; n];
    let mut first = 0;
    for q in posteriors {
        let rows = q.centre().rows().min(n - first);
        if rows == 0 {
            break;
        }
        let all = q.centre().rows();
        let step = (ELEMENTS / (all * dims)).max(1);
        for from in (0..n).step_by(step) {
            let to = (from + step).min(n);
            let spread = z(from, to).reshape([to - from, 1, dims]).expand([to - from, all, dims]);
            let spread: Tensor<2> = spread.reshape([(to - from) * all, dims]);
            let spread = Latent::new(spread);
            let values: Vec<f32> = if factorises {
                host(&q.log_density_per_dimension(&spread)?)
            } else {
                host(&q.log_density(&spread)?)
            };
            let columns = width.max(2) - 1;
            for draw in from..to {
                let block = &values[(draw - from) * all * columns..][..rows * columns];
                let sums = &mut mixture[draw * width..(draw + 1) * width];
                for (row, each) in block.chunks(columns).enumerate() {
                    let total: f64 = each.iter().map(|v| f64::from(*v)).sum();
                    sums[width - 1].add(total);
                    if factorises {
                        sums.iter_mut().zip(each).for_each(|(sum, v)| sum.add(f64::from(*v)));
                    }
                    if first + row == draw {
                        own[draw] = total;
                    }
                }
            }
        }
        first += rows;
    }
    let log_n = (n as f64).ln();
    let log_q: Vec<f64> = mixture.chunks(width).map(|sums| sums[width - 1].value() - log_n).collect();
    let codes = Latent::new(z(0, n));
    let log_p = host_f64(&prior.log_density(&codes)?);
    let difference = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a - b).collect::<Vec<f64>>();
    let product: Option<Vec<f64>> = factorises.then(|| {
        let each = mixture.chunks(width);
        each.map(|sums| sums[..dims].iter().map(|sum| sum.value() - log_n).sum()).collect()
    });
    let prior_factorises = prior.log_density_per_dimension(&codes).is_some();
    Some(Surgery {
        mutual: difference(&own, &log_q),
        marginal: difference(&log_q, &log_p),
        total_correlation: product.as_ref().map(|product| difference(&log_q, product)),
        dimension_wise: product.filter(|_| prior_factorises).map(|product| difference(&product, &log_p)),
    })
}

/// ln Σ exp of numbers that come one by one.
#[derive(Clone, Copy)]
struct LogSum {
    most: f64,
    sum: f64,
}

impl Default for LogSum {
    fn default() -> Self {
        Self { most: f64::NEG_INFINITY, sum: 0.0 }
    }
}

impl LogSum {
    fn add(&mut self, value: f64) {
        let above = value - self.most;
        if above > 0.0 {
            self.sum = self.sum * (-above).exp() + 1.0;
            self.most = value;
        } else if above > -40.0 {
            // What is smaller than e⁻⁴⁰ of the greatest is lost in rounding.
            self.sum += above.exp();
        }
    }

    fn value(self) -> f64 {
        self.most + self.sum.ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Key;
    use crate::density::{DiagonalNormal, FactorisedBits, StandardNormal};
    use crate::evaluate::Estimate;

    /// x ~ N(0, I₃), q(z|x) = N(A x, s² I₂): the aggregate posterior is N(0, S), S = A Aᵀ + s² I.
    #[test]
    fn a_linear_model_is_split_as_in_closed_form() {
        let (n, s) = (3000, 0.8f32);
        let a = [[0.9f32, 0.2, 0.0], [0.6, -0.5, 0.4]];
        let device = Device::cpu();
        let (mut x, mut noise) = (vec![0.0f32; 3 * n], vec![0.0f32; 2 * n]);
        Key::from_seed(1).normals(&mut x);
        Key::from_seed(2).normals(&mut noise);
        let mean: Vec<f32> = x
            .chunks(3)
            .flat_map(|x| a.map(|row| row.iter().zip(x).map(|(a, x)| a * x).sum::<f32>()))
            .collect();
        let draws: Vec<f32> = mean.iter().zip(&noise).map(|(m, e)| m + s * e).collect();
        let posteriors: Vec<Box<dyn Density>> = mean
            .chunks(2 * 500)
            .map(|part| {
                let rows = part.len() / 2;
                let mean = device.tensor(part.to_vec(), [rows, 2]);
                let log_variance = device.tensor(vec![2.0 * s.ln(); part.len()], [rows, 2]);
                Box::new(DiagonalNormal { mean, log_variance }) as Box<dyn Density>
            })
            .collect();
        let prior = StandardNormal { dims: 2, device: device.clone() };
        let found = surgery(&posteriors, &Array::matrix(draws, 2), &prior, &device).unwrap();

        let dot = |i: usize, j: usize| (0..3).map(|k| f64::from(a[i][k] * a[j][k])).sum::<f64>();
        let v = f64::from(s * s);
        let (s00, s11, s01) = (dot(0, 0) + v, dot(1, 1) + v, dot(0, 1));
        let determinant = s00 * s11 - s01 * s01;
        let mutual = 0.5 * (determinant / (v * v)).ln();
        let correlation = 0.5 * (s00 * s11 / determinant).ln();
        let wise = 0.5 * (s00 - 1.0 - s00.ln() + s11 - 1.0 - s11.ln());
        let tc = found.total_correlation.unwrap();
        let dw = found.dimension_wise.unwrap();
        for (name, values, exact) in
            [("mutual", &found.mutual, mutual), ("correlation", &tc, correlation), ("wise", &dw, wise)]
        {
            let estimate = Estimate::mean(values);
            let error = (estimate.high - estimate.low) / 3.92;
            // Three standard errors, and 1/N times the few effective components of the mixture for its bias.
            assert!((estimate.value - exact).abs() < 3.0 * error + 2e-3, "{name}: {estimate:?} {exact}");
        }
        // The three parts are the rate, row by row.
        for row in 0..n {
            let whole = found.mutual[row] + found.marginal[row];
            assert!((whole - found.mutual[row] - tc[row] - dw[row]).abs() < 1e-5);
        }
    }

    #[test]
    fn codes_that_name_their_row_reach_the_cap() {
        // 8 rows, each with its own 3 sure bits: I = ln 8, independent fair bits, prior matched: TC = dimension-wise = 0.
        let device = Device::cpu();
        let bits: Vec<f32> = (0..8).flat_map(|i| [i & 1, i >> 1 & 1, i >> 2].map(|b| b as f32)).collect();
        let logits = bits.iter().map(|b| 60.0 * b - 30.0).collect();
        let gradient = crate::density::BitGradient::None;
        let q: Box<dyn Density> =
            Box::new(FactorisedBits { logits: device.tensor(logits, [8, 3]), gradient });
        let prior = FactorisedBits { logits: device.tensor(vec![0.0; 3], [1, 3]), gradient };
        let found = surgery(&[q], &Array::matrix(bits, 3), &prior, &device).unwrap();
        assert!(found.mutual.iter().all(|v| (v - 8f64.ln()).abs() < 1e-6), "{:?}", found.mutual);
        assert!(found.total_correlation.unwrap().iter().all(|v| v.abs() < 1e-6));
        assert!(found.dimension_wise.unwrap().iter().all(|v| v.abs() < 1e-6));
    }
}
