//! What both networks can be taught before the first step: the last layer of each, by ridge regression on codes that
//! training rows shall have.
//!
//! W, b = argmin Σ_n ‖h_n W + b − t_n‖² + λ ‖W‖²,  h what comes into the layer, b not shrunk
//!
//! For the encoder t are the outputs that mean the codes; for the decoder those whose mean E[x|z] is what the codes say of x.
//! A network whose last layer is not dense (a decoder that ends in a convolution) is left as it is.

use burn::tensor::Tensor;
use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::{LatentModel, View};
use crate::batch::Batch;
use crate::device::host;
use crate::member::Lesson;
use crate::network::Network;
use crate::weights::{WeightId, Weights};

/// λ, as a share of the mean variance of what comes into the layer.
const RIDGE: f64 = 1e-3;

/// Layers of more inputs are left as they are: the cost grows with the cube.
const MOST_INPUTS: usize = 1600;

/// Outputs under a mean between 0 and 1 go no further, lest they leave where gradients are.
const MOST_LOGIT: f64 = 6.0;

/// Rows that are in double precision at a time.
const BLOCK: usize = 512;

/// Halvings of the interval in which an output is looked for.
const HALVINGS: usize = 24;

/// Sets the last layers, except what is `filled` already.
pub(crate) fn teach(
    model: &LatentModel,
    weights: &mut Weights,
    filled: &[WeightId],
    batch: &Batch,
    lesson: &Lesson,
) {
    let device = weights.device();
    let tensor =
        |array: &crate::array::Array| device.tensor::<2>(array.values.clone(), [array.rows(), array.width()]);
    let (encoder, decoder) = {
        let view = View::evaluation(model, weights);
        let encoder = last_inputs(model.encoder.as_ref(), &view, "encoder", batch, batch.x.clone())
            .and_then(|(h, ids)| Some((ids, least_squares(&h, &tensor(&lesson.heads))?)));
        let decoder = last_inputs(model.decoder.as_ref(), &view, "decoder", batch, tensor(&lesson.codes))
            .and_then(|(h, ids)| {
                let wanted = outputs_of(&view, ids[1], tensor(&lesson.x))?;
                Some((ids, least_squares(&h, &wanted)?))
            });
        (encoder, decoder)
    };
    for ([weight, bias], (w, b)) in encoder.into_iter().chain(decoder) {
        if !filled.contains(&weight) && w.len() == weights.entry(weight).values().len() {
            weights.set_values(weight, w);
            weights.set_values(bias, b);
        }
    }
}

fn last_inputs(
    network: &dyn Network,
    view: &View<'_>,
    who: &str,
    batch: &Batch,
    input: Tensor<2>,
) -> Option<(Tensor<2>, [WeightId; 2])> {
    network.last_inputs(&view.call(who, batch.given()), input)
}

/// The decoder's outputs under which E[x|z] is x; none where the likelihood has more than one output a feature, or a mean that
/// is neither the output nor between 0 and 1.
fn outputs_of(view: &View<'_>, bias: WeightId, x: Tensor<2>) -> Option<Tensor<2>> {
    if view.weights.entry(bias).values().len() != x.dims()[1] {
        return None;
    }
    let mean = |outputs: Tensor<2>| view.model.likelihood.mean(view, outputs);
    let most = |t: Tensor<2>| f64::from(host(&t.max().reshape([1])).first().copied().unwrap_or(f32::NAN));
    if most((mean(x.clone()) - x.clone()).abs()) < 1e-6 {
        return Some(x);
    }
    let far = mean(x.zeros_like() + 1e3);
    if most(far) > 1.0 + 1e-6 || most(mean(x.zeros_like() - 1e3)) > 1e-3 {
        return None;
    }
    // Each mean grows with its own output: halve the interval that it lies in.
    let (mut middle, mut step) = (x.zeros_like(), MOST_LOGIT / 2.0);
    for _ in 0..HALVINGS {
        let up = x.clone().greater(mean(middle.clone())).float().cast(x.dtype());
        middle = middle + (up * 2.0 - 1.0) * step;
        step /= 2.0;
    }
    Some(middle)
}

/// W, row-major `[inputs, outputs]`, and b.
fn least_squares(h: &Tensor<2>, target: &Tensor<2>) -> Option<(Vec<f32>, Vec<f32>)> {
    let [n, inputs] = h.dims();
    if n < 2 || inputs > MOST_INPUTS {
        return None;
    }
    let outputs = target.dims()[1];
    let (h, t) = (host(h), host(target));
    let (h_mean, t_mean) = (means(&h, inputs), means(&t, outputs));
    let (mut gram, mut cross) = (Mat::<f64>::zeros(inputs, inputs), Mat::<f64>::zeros(inputs, outputs));
    for (h, t) in h.chunks(BLOCK * inputs.max(1)).zip(t.chunks(BLOCK * outputs.max(1))) {
        let h = centred(h, &h_mean);
        gram += h.transpose() * &h;
        cross += h.transpose() * centred(t, &t_mean);
    }
    let scale = (0..inputs).map(|i| gram[(i, i)]).sum::<f64>() / inputs.max(1) as f64;
    // Units that never fire have no variance: their part of the diagonal alone keeps it regular.
    let ridge = (RIDGE * scale).max(1e-9);
    let gram = Mat::from_fn(inputs, inputs, |i, j| gram[(i, j)] + if i == j { ridge } else { 0.0 });
    let w = gram.llt(Side::Lower).ok()?.solve(&cross);
    let b: Vec<f32> = (0..outputs)
        .map(|j| (t_mean[j] - (0..inputs).map(|i| h_mean[i] * w[(i, j)]).sum::<f64>()) as f32)
        .collect();
    let w: Vec<f32> = (0..inputs * outputs).map(|k| w[(k / outputs, k % outputs)] as f32).collect();
    w.iter().chain(&b).all(|v| v.is_finite()).then_some((w, b))
}

fn means(values: &[f32], width: usize) -> Vec<f64> {
    let n = values.len() / width.max(1);
    let mut mean = vec![0.0; width];
    for row in values.chunks_exact(width.max(1)) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += f64::from(*v) / n.max(1) as f64);
    }
    mean
}

/// Rows less the means of all.
fn centred(rows: &[f32], mean: &[f64]) -> Mat<f64> {
    let width = mean.len();
    Mat::from_fn(rows.len() / width.max(1), width, |i, j| f64::from(rows[i * width + j]) - mean[j])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    #[test]
    fn an_affine_map_is_found_again() {
        let device = Device::cpu();
        let h: Vec<f32> = (0..60).map(|i| ((i * 37 % 23) as f32).sin()).collect();
        let of = |h: &[f32]| [2.0 * h[0] - h[2] + 0.5, h[1] + 3.0];
        let t: Vec<f32> = h.chunks(3).flat_map(of).collect();
        let (w, b) = least_squares(&device.tensor(h.clone(), [20, 3]), &device.tensor(t, [20, 2])).unwrap();
        for (found, exact) in w.iter().chain(&b).zip([2.0, 0.0, 0.0, 1.0, -1.0, 0.0, 0.5, 3.0]) {
            assert!((found - exact).abs() < 0.02, "{w:?} {b:?}");
        }
        assert!(
            least_squares(&device.tensor(vec![1.0], [1, 1]), &device.tensor(vec![1.0], [1, 1])).is_none()
        );
    }
}
