//! Can a sampler's codes be told from validation codes?
//!
//! *Classifier two-sample test*: a small network is trained to tell one half of both from each other; its accuracy on the
//! other half is ½ if it cannot. *Maximum mean discrepancy* with the cubic kernel k(a, b) = (aᵀb/d + 1)³ on standardised
//! codes, unbiased, the mean over disjoint blocks (as the kernel inception distance has it, on codes):
//!
//! MMD² = 1/m(m−1) Σ_{i≠j} [k(a_i, a_j) + k(b_i, b_j)] − 2/m² Σ_ij k(a_i, b_j)
//!
//! Both see how codes lie, not whether they repeat training codes.
//!
//! References: Lopez-Paz & Oquab, *Revisiting classifier two-sample tests* (arXiv 1610.06545); Bińkowski et al.,
//! *Demystifying MMD GANs* (arXiv 1801.01401).

use burn::tensor::Tensor;
use latent_kernels::Activation;
use serde::{Deserialize, Serialize};

use super::Pace;
use super::learn::{RowLoss, Task, learn};
use super::{Chart, CodeSet, SamplerError};
use crate::array::Array;
use crate::batch::{Batch, Support};
use crate::density::softplus;
use crate::device::{Device, host};
use crate::estimate::{Estimate, Z_95};
use crate::generate::Result;
use crate::key::Key;
use crate::network::{Dense, DenseConfig};
use crate::proportion::proportion;
use crate::weights::{Init, Weights};

/// How well two sets of codes can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TwoSample {
    /// The share of held-out codes that the classifier puts into the right set; ½ where they are alike.
    pub accuracy: f64,
    /// The lower end of its 95 % interval (Wilson).
    pub accuracy_low: f64,
    /// The upper end.
    pub accuracy_high: f64,
    /// The unbiased estimate of MMD² with the cubic kernel; 0 where they are alike, and below by chance.
    pub mmd: f64,
    /// Its standard error over blocks.
    pub mmd_error: f64,
    /// On how many codes the accuracy stands.
    pub n: usize,
}

/// The classifier: widths of its hidden layers, and its training.
const HIDDEN: [usize; 2] = [128, 128];
const PACE: Pace = Pace { steps: 1000, batch: 256, learning_rate: 2e-3, ema: 0.0 };

/// The share of the training half that chooses when the classifier stops.
const FOR_STOPPING: usize = 5;

/// Tells `real` from `drawn`, as many rows of each as the smaller has.
///
/// # Errors
/// [`SamplerError::TooFew`] below eight rows of each.
pub fn two_sample(real: &Array, drawn: &Array, key: Key) -> Result<TwoSample> {
    let n = real.rows().min(drawn.rows());
    if n < 8 {
        return Err(SamplerError::TooFew {
            what: "codes to tell apart".into(),
            rows: n,
            wanted: 8,
            remedy: "judge on more rows".into(),
        }
        .into());
    }
    let dims = real.width();
    let order = |codes: &Array, key: Key| {
        let mut order = key.permutation(codes.rows());
        order.truncate(n);
        order
    };
    let orders = [order(real, key.fold("real")), order(drawn, key.fold("drawn"))];
    let pick = |from: usize, to: usize| {
        let mut values = Vec::new();
        let mut labels = Vec::new();
        for (label, (codes, order)) in [real, drawn].into_iter().zip(&orders).enumerate() {
            for &row in &order[from..to] {
                values.extend_from_slice(codes.row(row));
                labels.push(label as u32);
            }
        }
        (Array::matrix(values, dims), labels)
    };
    let half = n / 2;
    let stopping = (half / FOR_STOPPING).max(1);
    // The scale is that of real codes which the classifier learns from.
    let scale = {
        let (learned, labels) = pick(0, half);
        let real = learned.values.chunks(dims).zip(&labels).filter(|(_, label)| **label == 0);
        let mut chart = Chart::fit(
            &Array::matrix(real.flat_map(|(row, _)| row.to_vec()).collect(), dims),
            vec![Support::Reals; dims],
        );
        chart.keep_all();
        chart
    };
    let (train, train_labels) = pick(stopping, half);
    let (validation, validation_labels) = pick(0, stopping);
    let mut set =
        scale.apply(&CodeSet { train, validation, train_labels, validation_labels, ..CodeSet::default() });
    tame(&mut set.train.values);
    tame(&mut set.validation.values);
    let mut critic = Task::new(key.fold("critic"), |init| Critic::new(dims, init));
    learn(&mut critic, set, PACE, key.fold("train"), None, &|_| ())?;

    let (test, labels) = pick(half, n);
    let mut test = scale.u_from_z(&test.values);
    tame(&mut test);
    let x = critic.weights.device().tensor(test, [labels.len(), dims]);
    let logits = host(&critic.function.logits(&critic.weights, x));
    let right = logits.iter().zip(&labels).filter(|(logit, label)| (**logit > 0.0) == (**label == 1)).count();
    let scaled = |codes: &Array, order: &[usize]| {
        let rows: Vec<f32> = order.iter().flat_map(|&row| codes.row(row)).copied().collect();
        let mut rows = scale.u_from_z(&rows);
        tame(&mut rows);
        Array::matrix(rows, dims)
    };
    let mmd = cubic_mmd(&scaled(real, &orders[0]), &scaled(drawn, &orders[1]));
    let accuracy = proportion(right, labels.len());
    Ok(TwoSample {
        accuracy: accuracy.value,
        accuracy_low: accuracy.low,
        accuracy_high: accuracy.high,
        mmd: mmd.value,
        mmd_error: (mmd.high - mmd.value) / Z_95,
        n: labels.len(),
    })
}

/// Codes further out than this many deviations, or at no number at all, count as this far: told apart they are anyway.
const FARTHEST: f32 = 100.0;

fn tame(values: &mut [f32]) {
    values.iter_mut().for_each(|v| *v = if v.is_nan() { FARTHEST } else { v.clamp(-FARTHEST, FARTHEST) });
}

/// Codes in a block of the discrepancy, at most.
const BLOCK: usize = 1000;

/// The discrepancy of two sets of standardised codes with the cubic kernel, with the interval that its blocks give.
pub fn cubic_mmd(a: &Array, b: &Array) -> Estimate {
    let n = a.rows().min(b.rows());
    let block = BLOCK.min(n / 4).max(2);
    let (a, b): (Vec<_>, Vec<_>) =
        (0..n / block).map(|i| (rows(a, i * block, block), rows(b, i * block, block))).unzip();
    let values: Vec<f64> = a.iter().zip(&b).map(|(a, b)| unbiased(a, b)).collect();
    Estimate::mean(&values)
}

fn rows(codes: &Array, from: usize, count: usize) -> Vec<&[f32]> {
    (from..from + count).map(|row| codes.row(row)).collect()
}

fn unbiased(a: &[&[f32]], b: &[&[f32]]) -> f64 {
    let m = a.len() as f64;
    let kernel = |x: &[f32], y: &[f32]| {
        let dot: f64 = x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
        (dot / x.len().max(1) as f64 + 1.0).powi(3)
    };
    let within = |of: &[&[f32]]| {
        let pairs = (0..of.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        2.0 * pairs.map(|(i, j)| kernel(of[i], of[j])).sum::<f64>() / (m * (m - 1.0))
    };
    let across: f64 = a.iter().flat_map(|x| b.iter().map(|y| kernel(x, y))).sum();
    within(a) + within(b) - 2.0 * across / (m * m)
}

/// A network that says to which set a code belongs, by ln P(drawn)/P(real).
struct Critic {
    layers: Vec<Dense>,
}

impl Critic {
    fn new(dims: usize, init: &mut Init<'_>) -> Self {
        let mut width = dims;
        let mut layers = Vec::new();
        for (index, next) in HIDDEN.into_iter().enumerate() {
            let layer = DenseConfig::new(width, next).with_activation(Activation::Silu);
            layers.push(layer.init(init, &index.to_string()));
            width = next;
        }
        layers.push(DenseConfig::new(width, 1).init(init, "last"));
        Self { layers }
    }

    fn logits(&self, weights: &Weights, x: Tensor<2>) -> Tensor<2> {
        self.layers.iter().fold(x, |hidden, layer| layer.apply(weights, hidden))
    }
}

impl RowLoss for Critic {
    /// −ln P(label) = softplus(ℓ) − label ℓ
    fn loss(&self, weights: &Weights, batch: &Batch, _: Key) -> Tensor<1> {
        let labels = batch.labels.as_deref().unwrap_or_default().iter().map(|&label| label as f32).collect();
        let labels = Device::of(&batch.x).tensor(labels, [batch.len(), 1]);
        let logits = self.logits(weights, batch.x.clone());
        (softplus(logits.clone()) - labels * logits).squeeze_dim(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, n: usize, dims: usize, mean: f32, deviation: f32) -> Array {
        let mut values = vec![0.0; n * dims];
        Key::from_seed(seed).normals(&mut values);
        values.iter_mut().for_each(|v| *v = mean + deviation * *v);
        Array::matrix(values, dims)
    }

    #[test]
    fn what_is_alike_cannot_be_told_apart_and_what_is_not_can() {
        let real = normals(1, 2000, 4, 1.0, 2.0);
        let same = two_sample(&real, &normals(2, 2000, 4, 1.0, 2.0), Key::from_seed(3)).unwrap();
        assert!(same.accuracy_low < 0.5 && same.accuracy_high > 0.5, "{same:?}");
        assert!(same.mmd.abs() < 4.0 * same.mmd_error, "{same:?}");
        let wider = two_sample(&real, &normals(2, 2000, 4, 1.0, 3.0), Key::from_seed(3)).unwrap();
        // The best test between N(0, 1)⁴ and N(0, 1.5²)⁴ by ‖z‖² is right in 69.6 % of cases.
        assert!(wider.accuracy > 0.62 && wider.accuracy < 0.74, "{wider:?}");
        assert!(wider.mmd > 4.0 * wider.mmd_error, "{wider:?}");
        assert_eq!(same, two_sample(&real, &normals(2, 2000, 4, 1.0, 2.0), Key::from_seed(3)).unwrap());
    }

    #[test]
    fn codes_that_are_no_numbers_are_told_apart() {
        let real = normals(1, 400, 2, 0.0, 1.0);
        let mut drawn = normals(2, 400, 2, 0.0, 1.0);
        drawn.values.iter_mut().step_by(3).for_each(|v| *v = f32::NAN);
        drawn.values[1] = f32::INFINITY;
        let told = two_sample(&real, &drawn, Key::from_seed(3)).unwrap();
        assert!(told.accuracy > 0.7 && told.mmd.is_finite(), "{told:?}");
    }

    #[test]
    fn the_discrepancy_of_two_normals_is_its_closed_form() {
        // In one dimension k = (ab + 1)³ = Σ_j C(3, j) aʲ bʲ, so MMD² = Σ_j C(3, j) (E aʲ − E bʲ)²; here the moments
        // are (0, 1, 0) and (½, 1 + ¼, 3·½ + ⅛).
        let expected = 3.0 * 0.25 + 3.0 * 0.0625 + 1.625f64.powi(2);
        let found = cubic_mmd(&normals(4, 40_000, 1, 0.0, 1.0), &normals(5, 40_000, 1, 0.5, 1.0));
        assert!(found.low < expected && expected < found.high, "{found:?} {expected}");
    }
}
