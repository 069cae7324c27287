//! A straight way beside the layers, from blocks of pixels to codes and back, that starts where linear codes are best.
//!
//! f(x) = V blocks(x) + layers(x),    g(z) = W z + layers(z)
//!
//! Blocks of f × f pixels become one place with f² times the channels. At the start the rows of V are the principal components of
//! blocks of the training data, scaled so that each channel of the codes has variance 1, W is the least-squares way back, and the
//! layers end in zeros: training begins with the best linear code of blocks and learns what it leaves out, instead of finding it
//! again. What the decoder gives must be values, not logits (`likelihood.mean = "line"`).
//!
//! References: Hotelling (1933) for components; Chen et al., *Deep Compression Autoencoder* (arXiv 2410.10733) for shortcuts of
//! pixels to channels, which there are not learned.

use faer::linalg::solvers::Solve;
use faer::{Mat, Side};

use super::layer::{Conv, ConvConfig, Layer, space_to_depth};
use crate::data::DataError;
use crate::device::host;
use crate::member::{Role, Start};
use crate::weights::Init;

/// Its layers, and how they start.
#[derive(Clone, Debug)]
pub(super) struct Shortcut {
    role: Role,
    /// `[channels, height, width]` of the images.
    image: [usize; 3],
    /// Channels of the codes.
    code: usize,
    /// The side of a block.
    factor: usize,
    conv: Conv,
}

/// Numbers of training rows that are looked at, at most.
const LOOKED_AT: usize = 1 << 23;

/// Components are found of blocks of so many numbers, at most: larger ones are pooled before.
const MOST: usize = 768;

/// ln σ² of a fresh posterior.
const LOG_VARIANCE: f32 = -4.0;

impl Shortcut {
    /// Between images and codes of `code` channels; an encoder has `outputs` channels, the first of which are the codes' means.
    pub fn new(
        init: &mut Init<'_>,
        role: Role,
        image: [usize; 3],
        [code, outputs]: [usize; 2],
        factor: usize,
    ) -> Self {
        let pixels = image[0] * factor * factor;
        let (from, to) = match role {
            Role::Encoder => (pixels, outputs),
            Role::Decoder => (code, pixels),
        };
        let conv = ConvConfig::new(from, to).with_kernel(1).init(init, "shortcut");
        Self { role, image, code, factor, conv }
    }

    /// From rows to maps.
    pub fn layers(&self) -> Vec<Layer> {
        let [channels, height, width] = self.image;
        match self.role {
            Role::Encoder => vec![
                Layer::Maps([channels, height, width]),
                Layer::SpaceToDepth(self.factor),
                Layer::Conv(self.conv),
            ],
            Role::Decoder => {
                let [h, w] = [height, width].map(|side| side.div_ceil(self.factor));
                vec![
                    Layer::Maps([self.code, h, w]),
                    Layer::Conv(self.conv),
                    Layer::DepthToSpace(self.factor, [height, width]),
                ]
            }
        }
    }

    /// Sets the weights from training rows.
    pub fn start(&self, start: &mut Start<'_>) -> Result<(), DataError> {
        if start.is_filled(self.conv.weight_id()) {
            return Ok(());
        }
        let [channels, height, width] = self.image;
        let batch = start.rows((LOOKED_AT / (channels * height * width).max(1)).max(1))?;
        let rows = batch.len();
        let x = batch.x.clone().reshape([rows, channels, height, width]);
        let (weight, bias) = match self.role {
            Role::Encoder => {
                let pool = pooling(channels, self.factor);
                let x = if pool > 1 { super::layer::pooled(x, pool) } else { x };
                let factor = self.factor / pool;
                let blocks = Blocks::of(
                    &host(&space_to_depth(x, factor).flatten::<1>(0, 3)),
                    rows,
                    channels * factor * factor,
                );
                match components(&blocks, self.code, self.conv.outputs) {
                    Some((weight, bias)) => (spread(&weight, channels, self.factor, pool), bias),
                    None => return Ok(()),
                }
            }
            Role::Decoder => {
                let heads = start.encoded(&batch);
                let places = [height, width].map(|side| side.div_ceil(self.factor));
                let numbers = self.code * places[0] * places[1];
                if heads.dims()[1] < numbers {
                    return Ok(());
                }
                let codes =
                    Blocks::of(&host(&heads.narrow(1, 0, numbers).flatten::<1>(0, 1)), rows, self.code);
                let pixels = channels * self.factor * self.factor;
                let blocks =
                    Blocks::of(&host(&space_to_depth(x, self.factor).flatten::<1>(0, 3)), rows, pixels);
                match way_back(&codes, &blocks) {
                    Some(found) => found,
                    None => return Ok(()),
                }
            }
        };
        start.weights.set_values(self.conv.weight_id(), weight);
        start.weights.set_values(self.conv.bias_id(), bias);
        Ok(())
    }
}

/// How far blocks are pooled before their components are found.
fn pooling(channels: usize, factor: usize) -> usize {
    let mut pool = 1;
    while channels * (factor / pool).pow(2) > MOST && pool < factor {
        pool *= 2;
    }
    pool
}

/// What stands at each place of maps, a row a place.
struct Blocks {
    values: Mat<f64>,
    mean: Vec<f64>,
}

impl Blocks {
    /// From maps `[rows, width, places]`.
    fn of(maps: &[f32], rows: usize, width: usize) -> Self {
        let places = maps.len() / (rows * width).max(1);
        let at = |i: usize, j: usize| f64::from(maps[(i / places * width + j) * places + i % places]);
        let n = rows * places;
        let mean: Vec<f64> =
            (0..width).map(|j| (0..n).map(|i| at(i, j)).sum::<f64>() / n.max(1) as f64).collect();
        Self { values: Mat::from_fn(n, width, |i, j| at(i, j) - mean[j]), mean }
    }
}

/// V and its bias: the first `count` components over their deviations, then zeros and the start of ln σ². None where nothing
/// varies.
fn components(blocks: &Blocks, count: usize, outputs: usize) -> Option<(Vec<f32>, Vec<f32>)> {
    let (n, width) = (blocks.values.nrows().max(1) as f64, blocks.values.ncols());
    let covariance = blocks.values.transpose() * &blocks.values;
    let eigen = covariance.self_adjoint_eigen(Side::Lower).ok()?;
    let mut weight = vec![0.0f32; outputs * width];
    let mut bias = vec![0.0f32; outputs];
    bias.iter_mut().skip(count).for_each(|b| *b = LOG_VARIANCE);
    // faer gives eigenvalues in ascending order.
    for (row, column) in (0..width).rev().take(count).enumerate() {
        let deviation = (eigen.S()[column].max(0.0) / n).sqrt();
        if deviation < 1e-6 {
            continue;
        }
        let direction = |j: usize| eigen.U()[(j, column)] / deviation;
        (0..width).for_each(|j| weight[row * width + j] = direction(j) as f32);
        bias[row] = -(0..width).map(|j| direction(j) * blocks.mean[j]).sum::<f64>() as f32;
    }
    weight.iter().all(|w| w.is_finite()).then_some((weight, bias))
}

/// Weights of pooled blocks as weights of their pixels.
fn spread(weight: &[f32], channels: usize, factor: usize, pool: usize) -> Vec<f32> {
    if pool == 1 {
        return weight.to_vec();
    }
    let small = factor / pool;
    let share = 1.0 / (pool * pool) as f32;
    let place = |j: usize| {
        let (channel, y, x) = (j / (factor * factor), j / factor % factor, j % factor);
        (channel * small + y / pool) * small + x / pool
    };
    let from = channels * small * small;
    weight
        .chunks(from)
        .flat_map(|row| (0..channels * factor * factor).map(|j| row[place(j)] * share).collect::<Vec<f32>>())
        .collect()
}

/// W and its bias, of least squares: blocks from codes.
fn way_back(codes: &Blocks, blocks: &Blocks) -> Option<(Vec<f32>, Vec<f32>)> {
    let n = codes.values.nrows() as f64;
    let gram = codes.values.transpose() * &codes.values;
    // A little on the diagonal, lest a channel that never changes make it singular.
    let gram =
        Mat::from_fn(gram.nrows(), gram.ncols(), |i, j| gram[(i, j)] + if i == j { 1e-6 * n } else { 0.0 });
    let across = codes.values.transpose() * &blocks.values;
    let found = gram.llt(Side::Lower).ok()?.solve(&across);
    let (code, pixels) = (found.nrows(), found.ncols());
    let weight: Vec<f32> = (0..pixels * code).map(|k| found[(k % code, k / code)] as f32).collect();
    let bias = |j: usize| blocks.mean[j] - (0..code).map(|i| found[(i, j)] * codes.mean[i]).sum::<f64>();
    let bias: Vec<f32> = (0..pixels).map(|j| bias(j) as f32).collect();
    weight.iter().chain(&bias).all(|w| w.is_finite()).then_some((weight, bias))
}
