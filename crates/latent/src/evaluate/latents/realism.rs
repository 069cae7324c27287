//! Do holes of the latent space decode to anything like the data? The distance of each decoded code to its nearest training
//! row, in the root mean square over features of normalised units, for codes drawn from the prior inside holes and
//! elsewhere:
//!
//! r(z) = min_x ‖g(z) − x‖ / √D
//!
//! Blurred decodes lie near the data's mean and so nearer than sharp ones: the two groups differ by where they come from
//! alone, so that their difference is what counts, not its height.

use crate::array::Array;
use crate::batch::{Given, Latent};
use crate::data::{Data, Split};
use crate::device::host;
use crate::error::Result;
use crate::evaluate::Subject;
use crate::generate::{Told, some_rows};

/// Training rows that decodes are held against.
const REFERENCE: usize = 5000;

/// The distance of each code's decode to its nearest reference row; the number of these.
///
/// # Errors
/// What reading rows says.
pub fn distances(subject: &Subject, (codes, told): (&Array, &Told)) -> Result<(Vec<f64>, usize)> {
    let (data, split): (&Data, Split) = match subject.train {
        Some(train) => (train, Split::Train),
        None => subject.held_out,
    };
    let model = subject.model;
    let features = model.functions.sample.features();
    let reference = some_rows(data, split, REFERENCE, subject.key.fold("reference"))?;
    let device = model.weights.device();
    let decoded = host_decode(subject, codes, told)?;
    let squares = |x: &[f32]| -> Vec<f64> {
        x.chunks(features).map(|row| row.iter().map(|v| f64::from(*v).powi(2)).sum()).collect()
    };
    let own = squares(&decoded);
    let mut nearest = vec![f64::INFINITY; codes.rows()];
    let x = device.tensor(decoded, [codes.rows(), features]);
    // ‖a − b‖² = ‖a‖² + ‖b‖² − 2 a·b, some hundred reference rows at a time.
    for part in reference.x.chunks(512 * features) {
        let rows = part.len() / features;
        let theirs = squares(part);
        let products = host(&x.clone().matmul(device.tensor(part.to_vec(), [rows, features]).transpose()));
        for ((products, own), nearest) in products.chunks(rows).zip(&own).zip(&mut nearest) {
            for (product, their) in products.iter().zip(&theirs) {
                *nearest = nearest.min(own + their - 2.0 * f64::from(*product));
            }
        }
    }
    let distance = |square: f64| (square.max(0.0) / features as f64).sqrt();
    Ok((nearest.into_iter().map(distance).collect(), reference.len()))
}

/// Codes that are decoded at once.
const PART: usize = 256;

/// E[x|z] in normalised units.
fn host_decode(subject: &Subject, codes: &Array, told: &Told) -> Result<Vec<f32>> {
    let (view, dims, device) = (subject.model.view(), codes.width(), subject.model.weights.device());
    let mut x = Vec::new();
    for (index, part) in codes.values.chunks(PART * dims).enumerate() {
        let rows = part.len() / dims;
        let z = Latent::new(device.tensor(part.to_vec(), [rows, dims]));
        let told = told.tensor(index * PART..index * PART + rows, device);
        x.extend(host(&view.mean(&z, Given { ids: &[], condition: told.as_ref() })));
    }
    Ok(x)
}
