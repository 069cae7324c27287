//! Edges: differences of neighbouring pixels, at several sizes of the image, under a Laplace density whose scale is each row's own.
//!
//! Σ_s D_s (1 + ln 2 b_s),    b_s = the mean of |∇ A^s (x − g(z))| over the row's D_s differences, across and down,
//!
//! A^s the image at half the size s times. The scale that fits best is put in, so that no band has a weight that somebody chose: a
//! band of small contrast counts as much as one of large contrast, and a hundredth less error in it is worth D_s/100 nats. Beside
//! the distortion it counts pixels twice and the loss is no bound on −log P(x); the distortion stays what it is.
//!
//! Reference: differences of neighbours as in Mathieu, Couprie & LeCun, *Deep multi-scale video prediction beyond mean square error*
//! (arXiv 1511.05440); the scale as in Rybkin et al. (arXiv 2006.13202).

use burn::tensor::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Pass, Term, Value};
use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::member::{Context, Life, Named, Settings};
use crate::network::layer::pooled;
use crate::weights::Init;

/// How many sizes.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EdgesSettings {
    /// Sizes of the image, each half of the one before.
    pub scales: usize,
}

impl Default for EdgesSettings {
    fn default() -> Self {
        Self { scales: 3 }
    }
}

/// More sizes than an image has pixels are taken for a mistake.
const MOST_SCALES: usize = 16;

/// A band's mean error is not taken for less: a row without contrast would weigh without limit.
const LEAST: f64 = 1.0 / 1024.0;

impl Named for EdgesSettings {
    const KIND: &'static str = "edges";
    const ABOUT: &'static str = "differences of neighbouring pixels, at several sizes";
}

/// `[channels, height, width]` of the data's images.
pub(super) fn images(context: &Context<'_>, what: &str) -> Result<[usize; 3], ConfigError> {
    match context.facts.shape {
        SampleShape::Image { channels, height, width } if height.min(width) > 1 => {
            Ok([channels, height, width])
        }
        shape => Err(ConfigError::combination(
            format!("{what} are of images, and these rows are {shape}"),
            format!("leave {} away", context.path),
        )),
    }
}

impl Settings<dyn Term> for EdgesSettings {
    fn formula(&self) -> Option<String> {
        Some("Σ_s D_s ln mean |∇A^s (x − g(z))|".into())
    }

    fn declare(&self, context: &mut Context<'_>) -> Result<(), ConfigError> {
        images(context, "edges")?;
        if !(1..=MOST_SCALES).contains(&self.scales) {
            let what = format!("{} sizes of the image", self.scales);
            return Err(ConfigError::value("scales", what, format!("give 1 to {MOST_SCALES}, such as 3")));
        }
        Ok(())
    }

    fn init(&self, context: &Context<'_>, _: &mut Init<'_>) -> Result<Box<dyn Term>, ConfigError> {
        Ok(Box::new(Edges { shape: images(context, "edges")?, scales: self.scales }))
    }
}

struct Edges {
    shape: [usize; 3],
    scales: usize,
}

/// Differences of neighbours: down and across.
pub(super) fn differences(x: &Tensor<4>) -> [Tensor<4>; 2] {
    let [_, _, height, width] = x.dims();
    let along = |side: usize, length: usize| {
        x.clone().narrow(side, 1, length - 1) - x.clone().narrow(side, 0, length - 1)
    };
    [along(2, height), along(3, width)]
}

/// g(z) and x as images, k·n of each.
pub(super) fn both(pass: &Pass<'_>, [channels, height, width]: [usize; 3]) -> [Tensor<4>; 2] {
    let made = pass.view.model.likelihood.mean(&pass.view, pass.outputs().clone());
    let rows = made.dims()[0];
    let shape = [rows, channels, height, width];
    let x = crate::model::likelihood::repeat_x(&pass.batch.x, rows);
    [made.reshape(shape), x.reshape(shape)]
}

impl Term for Edges {
    /// `[k·n]`
    fn value(&self, pass: &Pass<'_>) -> Option<Value> {
        let [made, x] = both(pass, self.shape);
        let mut error = made - x;
        let mut sum: Option<Tensor<1>> = None;
        for scale in 0..self.scales {
            let [_, _, height, width] = error.dims();
            if height.min(width) < 4 && scale > 0 {
                break;
            }
            if scale > 0 {
                error = pooled(error, 2);
            }
            let [_, channels, h, w] = error.dims();
            let [down, across] = differences(&error).map(|d| d.abs().flatten::<2>(1, 3).sum_dim(1));
            let count = (channels * ((h - 1) * w + h * (w - 1))) as f64;
            let b = ((down + across) * (1.0 / count)).clamp_min(LEAST);
            let band: Tensor<1> = ((b * 2.0).log() + 1.0).squeeze_dim::<1>(1) * count;
            sum = Some(match sum {
                Some(sum) => sum + band,
                None => band,
            });
        }
        sum.map(Value::new)
    }
}

impl Life for Edges {}
