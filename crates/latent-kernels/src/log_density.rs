//! How probable a code is under normals, and the mean of weights given as logarithms: what the importance-weighted
//! bound is made of.
//!
//!   log N(z; μ, σ²) = −½ Σ_j [ln 2π + λ_j + (z_j − μ_j)² e^{−λ_j}],  λ = ln σ²
//!   log mean exp of w: m + ln (1/k Σ_d e^{w_d − m}),  m = max_d w_d
//!
//! k draws of n rows come draw-major, `[k·n, dims]`; row d·n + i meets row i of μ and λ.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Flex};
use burn_autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn_autodiff::grads::Gradients;
use burn_autodiff::ops::{Backward, Ops, OpsKind};
use burn_flex::FlexTensor;

use crate::elementwise::{Shared, precisions, total};
use crate::math::{exp, vectorised};
use crate::parallel;
use crate::storage::{in_order, sides, tensor_from, values};

/// Elements a thread should have at least.
const LEAST: usize = 1 << 12;

const LOG_TWO_PI: f32 = 1.837_877_1;

vectorised! {
    /// Σ_j λ_j + (z_j − μ_j)² / σ_j²
    fn row(z: &[f32], mean: &[f32], log_variance: &[f32], precision: &[f32]) -> f32 {
        let mut partial = [0f32; 16];
        let whole = z.len() / 16 * 16;
        for (((z, mean), log_variance), precision) in z
            .as_chunks::<16>()
            .0
            .iter()
            .zip(mean.as_chunks::<16>().0)
            .zip(log_variance.as_chunks::<16>().0)
            .zip(precision.as_chunks::<16>().0)
        {
            for i in 0..16 {
                let apart = z[i] - mean[i];
                partial[i] += apart * apart * precision[i] + log_variance[i];
            }
        }
        for i in whole..z.len() {
            let apart = z[i] - mean[i];
            partial[i - whole] += apart * apart * precision[i] + log_variance[i];
        }
        total(&partial)
    }

    /// Σ_j z_j²
    fn row_of_squares(z: &[f32]) -> f32 {
        let mut partial = [0f32; 16];
        let (chunks, rest) = z.as_chunks::<16>();
        for chunk in chunks {
            partial.iter_mut().zip(chunk).for_each(|(sum, z)| *sum += z * z);
        }
        partial.iter_mut().zip(rest).for_each(|(sum, z)| *sum += z * z);
        total(&partial)
    }

    /// Of one row, `weight` being the gradient of its density: dz is written, the others are added to.
    fn row_through(
        weight: f32, z: &[f32], mean: &[f32], precision: &[f32], dz: &mut [f32], d_mean: &mut [f32], d_log_variance: &mut [f32],
    ) {
        let parameters = mean.iter().zip(precision);
        let gradients = dz.iter_mut().zip(d_mean).zip(d_log_variance);
        for ((z, (mean, precision)), ((dz, d_mean), d_log_variance)) in z.iter().zip(parameters).zip(gradients) {
            let apart = z - mean;
            let slope = weight * (apart * precision);
            *dz = -slope;
            *d_mean += slope;
            *d_log_variance += 0.5 * (slope * apart - weight);
        }
    }

    /// gradient ← −weight z
    fn row_of_squares_through(weight: f32, z: &[f32], dz: &mut [f32]) {
        dz.iter_mut().zip(z).for_each(|(dz, z)| *dz = -weight * z);
    }

    /// values ← exp(values − greatest), and sums += those.
    fn weigh(values: &mut [f32], greatest: &[f32], sums: &mut [f32]) {
        for ((value, greatest), sum) in values.iter_mut().zip(greatest).zip(sums) {
            *value = exp::<FMA>(*value - greatest);
            *sum += *value;
        }
    }
}

/// rows, n, dims
fn sizes(z: &FlexTensor, mean: &FlexTensor, log_variance: &FlexTensor) -> [usize; 3] {
    let ([rows, dims], [n, wide]) = (sides(z), sides(mean));
    assert!(
        dims == wide && [n, wide] == sides(log_variance) && (rows == 0 || n > 0 && rows.is_multiple_of(n)),
        "normal_log_density: z, mean and log variance don't fit"
    );
    [rows, n, dims]
}

/// log N(z; μ, σ²) of each row.
pub(crate) fn normal(z: &FlexTensor, mean: &FlexTensor, log_variance: &FlexTensor) -> FlexTensor {
    let [rows, n, dims] = sizes(z, mean, log_variance);
    let (z, mean, log_variance) = (values(z), values(mean), values(log_variance));
    let mut precision = vec![0.0; mean.len()];
    precisions(log_variance, &mut precision);
    let constant = dims as f32 * LOG_TWO_PI;
    each_row(rows, dims, |r| {
        let own = r % n * dims..(r % n + 1) * dims;
        let z = &z[r * dims..(r + 1) * dims];
        -0.5 * (row(z, &mean[own.clone()], &log_variance[own.clone()], &precision[own]) + constant)
    })
}

/// log N(z; 0, 1) of each row.
pub(crate) fn standard(z: &FlexTensor) -> FlexTensor {
    let [rows, dims] = sides(z);
    let z = values(z);
    let constant = dims as f32 * LOG_TWO_PI;
    each_row(rows, dims, |r| -0.5 * (row_of_squares(&z[r * dims..(r + 1) * dims]) + constant))
}

fn each_row(rows: usize, dims: usize, value: impl Fn(usize) -> f32 + Sync) -> FlexTensor {
    let mut out = vec![0.0; rows];
    let target = Shared(out.as_mut_ptr());
    parallel::ranges(rows, (LEAST / dims.max(1)).max(1), |range| {
        // SAFETY: the ranges are disjoint and inside the buffer, which outlives this call.
        let out = unsafe { target.slice(range.start, range.len()) };
        out.iter_mut().zip(range).for_each(|(out, r)| *out = value(r));
    });
    tensor_from(out, [rows])
}

/// [`normal`] with a node in the graph.
pub(crate) fn recorded_normal<C: CheckpointStrategy>(
    z: FloatTensor<Autodiff<Flex, C>>,
    mean: FloatTensor<Autodiff<Flex, C>>,
    log_variance: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let ((z, z_node), (mean, mean_node), (log_variance, variance_node)) =
        (z.into_parts(), mean.into_parts(), log_variance.into_parts());
    let (z, mean, log_variance) = (in_order(z), in_order(mean), in_order(log_variance));
    let output = normal(&z, &mean, &log_variance);
    match NormalBackward.prepare::<C>([z_node, mean_node, variance_node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish([z, mean, log_variance], output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct NormalBackward;

impl Backward<Flex, 3> for NormalBackward {
    /// z, μ, λ
    type State = [FlexTensor; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let weights = in_order(grads.consume::<Flex>(&ops.node));
        let [z, mean, log_variance] = &ops.state;
        let [rows, n, dims] = sizes(z, mean, log_variance);
        let (weights, z, mean) = (values(&weights), values(z), values(mean));
        let mut precision = vec![0.0; mean.len()];
        precisions(values(log_variance), &mut precision);
        let (mut dz, mut d_mean, mut d_log_variance) =
            (vec![0.0; z.len()], vec![0.0; mean.len()], vec![0.0; mean.len()]);
        let targets = [&mut dz, &mut d_mean, &mut d_log_variance].map(|values| Shared(values.as_mut_ptr()));
        // Each thread has rows of the parameters and all their draws, which it adds in order.
        let least = (LEAST * n).div_ceil((rows * dims).max(1)).max(1);
        parallel::ranges(n, least, |range| {
            for i in range {
                let own = i * dims..(i + 1) * dims;
                // SAFETY: each part has rows of its own, inside all buffers, which outlive this call.
                let [d_mean, d_log_variance] =
                    [&targets[1], &targets[2]].map(|target| unsafe { target.slice(own.start, dims) });
                for r in (i..rows).step_by(n) {
                    // SAFETY: as above.
                    let dz = unsafe { targets[0].slice(r * dims, dims) };
                    let z = &z[r * dims..(r + 1) * dims];
                    let (mean, precision) = (&mean[own.clone()], &precision[own.clone()]);
                    row_through(weights[r], z, mean, precision, dz, d_mean, d_log_variance);
                }
            }
        });
        let gradients = [(dz, rows), (d_mean, n), (d_log_variance, n)];
        for (node, (gradient, rows)) in ops.parents.into_iter().zip(gradients) {
            if let Some(node) = node {
                grads.register::<Flex>(node.id, tensor_from(gradient, [rows, dims]));
            }
        }
    }
}

/// [`standard`] with a node in the graph.
pub(crate) fn recorded_standard<C: CheckpointStrategy>(
    z: FloatTensor<Autodiff<Flex, C>>,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (z, node) = z.into_parts();
    let z = in_order(z);
    let output = standard(&z);
    match StandardBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(z, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct StandardBackward;

impl Backward<Flex, 1> for StandardBackward {
    type State = FlexTensor;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let weights = in_order(grads.consume::<Flex>(&ops.node));
        let [rows, dims] = sides(&ops.state);
        let [Some(node)] = ops.parents else { return };
        let (weights, z) = (values(&weights), values(&ops.state));
        let mut dz = vec![0.0; z.len()];
        let target = Shared(dz.as_mut_ptr());
        parallel::ranges(rows, (LEAST / dims.max(1)).max(1), |range| {
            for r in range {
                // SAFETY: each part has rows of its own, inside the buffer, which outlives this call.
                let dz = unsafe { target.slice(r * dims, dims) };
                row_of_squares_through(weights[r], &z[r * dims..(r + 1) * dims], dz);
            }
        });
        grads.register::<Flex>(node.id, tensor_from(dz, [rows, dims]));
    }
}

/// The logarithm of the mean over draws of e^w for `[draws·n]`, draw-major; and each draw's share of it.
pub(crate) fn log_mean_exp(w: &FlexTensor, draws: usize) -> (FlexTensor, Vec<f32>) {
    let mut shares = values(w).to_vec();
    assert!(draws > 0 && shares.len().is_multiple_of(draws), "log_mean_exp: the draws differ in number");
    let n = shares.len() / draws;
    // −∞ − (−∞) would be NaN.
    let mut greatest = vec![f32::MIN; n];
    for draw in shares.chunks_exact(n.max(1)) {
        greatest.iter_mut().zip(draw).for_each(|(most, w)| *most = if *w > *most { *w } else { *most });
    }
    let mut sums = vec![0.0; n];
    for draw in shares.chunks_exact_mut(n.max(1)) {
        weigh(draw, &greatest, &mut sums);
    }
    for draw in shares.chunks_exact_mut(n.max(1)) {
        draw.iter_mut().zip(&sums).for_each(|(share, sum)| *share /= sum);
    }
    let log_draws = (draws as f32).ln();
    let out: Vec<f32> = greatest.iter().zip(&sums).map(|(most, sum)| most + (sum.ln() - log_draws)).collect();
    (tensor_from(out, [n]), shares)
}

/// [`log_mean_exp`] with a node in the graph.
pub(crate) fn recorded_log_mean_exp<C: CheckpointStrategy>(
    w: FloatTensor<Autodiff<Flex, C>>,
    draws: usize,
) -> FloatTensor<Autodiff<Flex, C>> {
    let (w, node) = w.into_parts();
    let (output, shares) = log_mean_exp(&in_order(w), draws);
    match LogMeanExpBackward.prepare::<C>([node]).compute_bound().stateful() {
        OpsKind::Tracked(prepared) => prepared.finish(shares, output),
        OpsKind::UnTracked(prepared) => prepared.finish(output),
    }
}

#[derive(Debug)]
struct LogMeanExpBackward;

impl Backward<Flex, 1> for LogMeanExpBackward {
    /// The draws' shares.
    type State = Vec<f32>;

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = in_order(grads.consume::<Flex>(&ops.node));
        let [Some(node)] = ops.parents else { return };
        let (gradient, mut shares) = (values(&gradient), ops.state);
        for draw in shares.chunks_exact_mut(gradient.len().max(1)) {
            draw.iter_mut().zip(gradient).for_each(|(share, gradient)| *share *= gradient);
        }
        let length = shares.len();
        grads.register::<Flex>(node.id, tensor_from(shares, [length]));
    }
}
