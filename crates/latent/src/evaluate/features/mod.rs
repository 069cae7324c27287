//! Features: numbers in which likeness is what people see, and in which sets of samples are compared.
//!
//! x ──φ──▶ features, φ a network trained to name what is in a picture; for tables φ standardises each column
//!
//! A distance between sets is a distance between their features, and is named after them: "Fréchet distance on
//! EfficientNet-Lite0 features". Figures on other features (FID's Inception, DINOv2) are not to be compared with it: a
//! measure keeps the name of its features, and a comparison ranks within one name alone.

mod efficientnet;
#[cfg(feature = "onnx")]
mod onnx;
mod resize;

use std::ops::Range;

pub use efficientnet::EfficientNetLite0;
#[cfg(feature = "onnx")]
pub use onnx::{OnnxFeatures, OnnxSettings, SIDE, Scaling};
pub use resize::resize;

use super::Subject;
use crate::array::Array;
use crate::data::Facts;
use crate::error::Result;
use crate::generate::Samples;

/// A map from samples to features. A user's own extractor enters by this trait.
pub trait Features: Send + Sync {
    /// What stands in titles: `EfficientNet-Lite0`.
    fn name(&self) -> &str;

    /// Features of one sample.
    fn dims(&self) -> usize;

    /// The features of each sample, `rows × dims`.
    ///
    /// # Errors
    /// Where samples are of a kind that it does not know.
    fn of(&self, part: &Samples) -> Result<Array>;
}

/// The features that samples of this model are compared in: those that are given, else EfficientNet-Lite0's for images and
/// the standardised columns of a table.
///
/// # Errors
/// Never for a build whose embedded weights are whole.
pub fn features_for<'a>(subject: &Subject<'a>) -> Result<Box<dyn Features + 'a>> {
    if let Some(features) = subject.features {
        return Ok(Box::new(features));
    }
    Ok(match subject.model.facts.shape.is_image() {
        true => Box::new(EfficientNetLite0::embedded()?),
        false => Box::new(Columns::of_subject(subject)),
    })
}

impl<F: Features + ?Sized> Features for &F {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn dims(&self) -> usize {
        (**self).dims()
    }

    fn of(&self, part: &Samples) -> Result<Array> {
        (**self).of(part)
    }
}

const COLUMNS: &str = "standardised columns";

/// The columns of a table, (x − mean) / sd over the training rows; a constant column is divided by 1.
#[derive(Clone, Debug)]
pub struct Columns {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Columns {
    /// By the moments that `facts` hold; x as it is where they hold none.
    pub fn new(facts: &Facts) -> Self {
        let columns = facts.shape.features();
        if facts.mean.len() != columns || facts.variance.len() != columns {
            return Self { mean: vec![0.0; columns], deviation: vec![1.0; columns] };
        }
        let deviation = facts.variance.iter().map(|v| if *v > 0.0 { v.sqrt() } else { 1.0 }).collect();
        Self { mean: facts.mean.clone(), deviation }
    }

    /// By the training rows where they are at hand, else by the rows that are judged: a model file holds no moments.
    pub(crate) fn of_subject(subject: &Subject<'_>) -> Self {
        Self::new(subject.train.unwrap_or(subject.held_out.0).facts())
    }
}

impl Features for Columns {
    fn name(&self) -> &str {
        COLUMNS
    }

    fn dims(&self) -> usize {
        self.mean.len()
    }

    fn of(&self, part: &Samples) -> Result<Array> {
        let mut values = part.x.clone();
        for row in values.chunks_mut(self.mean.len().max(1)) {
            let moments = self.mean.iter().zip(&self.deviation);
            row.iter_mut().zip(moments).for_each(|(v, (mean, deviation))| *v = (*v - mean) / deviation);
        }
        Ok(Array::matrix(values, self.mean.len()))
    }
}

/// Samples whose features are asked for at once: their pictures at the network's size stay few.
pub(crate) const PART: usize = 64;

/// The features of `count` samples that `part` gives a range at a time, telling `progress` the share that is done.
pub(crate) fn features_in_parts(
    features: &dyn Features,
    count: usize,
    mut part: impl FnMut(Range<usize>) -> Result<Samples>,
    progress: &dyn Fn(f64),
) -> Result<Array> {
    let mut values = Vec::with_capacity(count * features.dims());
    for start in (0..count).step_by(PART) {
        let end = count.min(start + PART);
        values.extend(features.of(&part(start..end)?)?.values);
        progress(end as f64 / count as f64);
    }
    Ok(Array::matrix(values, features.dims()))
}

/// A picture `[channels, height, width]` in [0, 1] as a network of `wanted` channels (one or three) sees it, `[wanted, side,
/// side]`: resized, and copied from grey to colours. Values beyond [0, 1] are cut off first: the mean of a normal may leave
/// the range that pictures have.
fn planes(picture: &[f32], [_, height, width]: [usize; 3], wanted: usize, size: [usize; 2]) -> Vec<f32> {
    let mut seen = Vec::with_capacity(wanted * size[0] * size[1]);
    for plane in picture.chunks_exact((height * width).max(1)).take(wanted) {
        let plane: Vec<f32> = plane.iter().map(|v| v.clamp(0.0, 1.0)).collect();
        seen.extend(resize(&plane, [height, width], size));
    }
    let plane = seen.len().min(size[0] * size[1]);
    while seen.len() < wanted * plane {
        seen.extend_from_within(..plane);
    }
    seen
}

#[cfg(test)]
pub(super) mod tests {
    pub(crate) use super::efficientnet::tests::picture;
}
