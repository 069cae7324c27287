//! How much of a row survives its code? x against g(f(x)), the mean of p(x|z) at the centre of q(z|x).
//!
//! Pictures are compared in [0, 1]: squared error per number, peak signal-to-noise ratio −10 log₁₀ of it, structural
//! similarity, the distance of their features, and how much [power](super::power) fine frequencies have. Columns of a table are compared in their standard deviations over the
//! training rows: 1 − squared error is what R² says.

mod similarity;

use std::time::Instant;

use latent_kernels::host::map;

pub use similarity::{PictureShape, multi_scale_ssim, scales, ssim, window};

use super::features::{Columns, Features, features_for};
use super::power::{self, Power};
use super::{Better, Estimate, Measure, Section, Subject};
use crate::data::Rows;
use crate::error::Result;
use crate::generate::{Pictures, Samples};

/// Rows that are rebuilt and compared at once.
const PART: usize = 64;

/// A squared error below this (one level of 16 bits) is no error: the ratio stays finite.
const NO_ERROR: f64 = 1.0 / (65535.0 * 65535.0);

/// What is kept for each row.
#[derive(Default)]
struct PerRow {
    ids: Vec<u64>,
    squared_error: Vec<f64>,
    ratio: Vec<f64>,
    ssim: Vec<f64>,
    multi_scale: Vec<f64>,
    feature_distance: Vec<f64>,
    /// Of the row and of what became of it.
    power: [Vec<Power>; 2],
}

/// Reconstruction of held-out rows, each number with its value for every row.
///
/// # Errors
/// Where data cannot be read.
pub fn reconstruction(subject: &Subject<'_>) -> Result<Section> {
    let mut section = Section::new("reconstruction", "How much of a row survives its code?");
    let (data, split) = subject.held_out;
    let order = subject.key.fold("reconstruction").permutation(data.len(split));
    if order.is_empty() {
        section.absent.push("There is no held-out row to reconstruct: give held-out data.".into());
        return Ok(section);
    }
    match subject.model.facts.shape.is_image() {
        true => pictures(subject, &order, &mut section)?,
        false => columns(subject, &order, &mut section)?,
    }
    Ok(section)
}

/// The rows of each part until the time is up, at least one part.
fn in_parts(subject: &Subject<'_>, order: &[usize], mut each: impl FnMut(Rows) -> Result<()>) -> Result<()> {
    let (data, split) = subject.held_out;
    let started = Instant::now();
    for (part, positions) in order.chunks(PART).enumerate() {
        each(data.rows(split, positions, 0)?)?;
        let by_rows = ((part + 1) * PART) as f64 / order.len() as f64;
        let by_time = subject.seconds.map_or(0.0, |s| started.elapsed().as_secs_f64() / s.max(1e-9));
        (subject.progress)("reconstruction", by_rows.max(by_time).min(1.0));
        if by_time >= 1.0 {
            break;
        }
    }
    Ok(())
}

fn pictures(subject: &Subject<'_>, order: &[usize], section: &mut Section) -> Result<()> {
    let features = features_for(subject)?;
    let mut found = PerRow::default();
    let mut shape = PictureShape { channels: 1, height: 1, width: 1 };
    in_parts(subject, order, |rows| {
        let rebuilt = subject.model.reconstruct(&rows)?;
        let original = Samples::new(rows.x, &subject.model.facts);
        let (a, b) = (original.pictures()?, rebuilt.pictures()?);
        let [channels, height, width] = a.shape();
        shape = PictureShape { channels, height, width };
        found.compare(&a, &b, shape);
        found.power.iter_mut().zip([&a, &b]).for_each(|(all, pictures)| all.extend(power::power(pictures)));
        found.feature_distance.extend(feature_distances(features.as_ref(), &original, &rebuilt)?);
        found.ids.extend(rows.ids);
        Ok(())
    })?;
    let PerRow { ids, squared_error, ratio, ssim, multi_scale, feature_distance, power: [data, made] } =
        &found;
    let n = ids.len();
    let mut add = |name: &str, title: &str, unit: &str, values: &[f64], better, note: String| {
        let measure = Measure::new(name, title, unit, Estimate::mean(values), n, better);
        section.add(measure.note(note).rows(ids, values));
    };
    let range = "pictures in [0, 1]; at the centre of q(z|x)";
    add("mse", "squared error", "", squared_error, Better::Lower, format!("mean over numbers; {range}"));
    add(
        "psnr",
        "peak signal-to-noise ratio",
        "dB",
        ratio,
        Better::Higher,
        format!("mean over rows of −10 log₁₀ of the row's squared error; {range}"),
    );
    let side = window(shape);
    add(
        "ssim",
        "structural similarity",
        "",
        ssim,
        Better::Higher,
        format!(
            "normal window of {side}×{side} pixels, σ {}; {range}",
            1.5 * ((side / 2).max(1) as f64) / 5.0
        ),
    );
    add(
        "ms_ssim",
        "multi-scale structural similarity",
        "",
        multi_scale,
        Better::Higher,
        match scales(shape) {
            5 => format!("5 scales; {range}"),
            fewer => {
                format!("{fewer} of 5 scales, weights divided by their sum: pictures are small; {range}")
            }
        },
    );
    add(
        "feature_distance",
        "feature distance",
        "",
        feature_distance,
        Better::Lower,
        format!("1 − cosine of features of {}", features.name()),
    );
    section.on(features.as_ref(), section.measures.len() - 1);
    for (band, (name, _)) in power::BANDS.into_iter().enumerate() {
        if let Some(estimate) = power::paired(data, made, band) {
            section.add(power::measure(&format!("power_{name}"), band, "", estimate, n, range));
        }
    }
    Ok(())
}

impl PerRow {
    fn compare(&mut self, a: &Pictures, b: &Pictures, shape: PictureShape) {
        let image = shape.channels * shape.height * shape.width;
        let clamped = |pixels: &[f32]| -> Vec<f32> { pixels.iter().map(|v| v.clamp(0.0, 1.0)).collect() };
        let rows = a.pixels().len() / image;
        let values = map(rows, |row| {
            let part = row * image..(row + 1) * image;
            let (a, b) = (clamped(&a.pixels()[part.clone()]), clamped(&b.pixels()[part]));
            let squares = a.iter().zip(&b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2));
            let error = squares.sum::<f64>() / image as f64;
            [error, -10.0 * error.max(NO_ERROR).log10(), ssim(&a, &b, shape), multi_scale_ssim(&a, &b, shape)]
        });
        for [error, ratio, one, many] in values {
            self.squared_error.push(error);
            self.ratio.push(ratio);
            self.ssim.push(one);
            self.multi_scale.push(many);
        }
    }
}

/// 1 − cos of the features of each pair.
fn feature_distances(features: &dyn Features, original: &Samples, rebuilt: &Samples) -> Result<Vec<f64>> {
    let (a, b) = (features.of(original)?, features.of(rebuilt)?);
    let dot =
        |a: &[f32], b: &[f32]| -> f64 { a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum() };
    Ok((0..a.rows())
        .map(|row| {
            let (a, b) = (a.row(row), b.row(row));
            1.0 - dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(f64::MIN_POSITIVE)
        })
        .collect())
}

fn columns(subject: &Subject<'_>, order: &[usize], section: &mut Section) -> Result<()> {
    let standard = Columns::of_subject(subject);
    let dims = standard.dims();
    let (mut ids, mut per_row, mut per_column) = (Vec::new(), Vec::new(), vec![Vec::new(); dims]);
    let mut names = Vec::new();
    in_parts(subject, order, |rows| {
        let rebuilt = subject.model.reconstruct(&rows)?;
        let original = Samples::new(rows.x, &subject.model.facts);
        names = subject.model.facts.names_of_x();
        let (a, b) = (standard.of(&original)?, standard.of(&rebuilt)?);
        for (a, b) in a.values.chunks_exact(dims).zip(b.values.chunks_exact(dims)) {
            let squares: Vec<f64> =
                a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).collect();
            per_row.push(squares.iter().sum::<f64>() / dims as f64);
            per_column.iter_mut().zip(squares).for_each(|(column, square)| column.push(square));
        }
        ids.extend(rows.ids);
        Ok(())
    })?;
    let note = "in standard deviations of each column over the training rows; 1 less it is R²";
    let measure = Measure::new(
        "mse",
        "squared error, mean of columns",
        "sd²",
        Estimate::mean(&per_row),
        ids.len(),
        Better::Lower,
    );
    section.add(measure.note(note).rows(&ids, &per_row));
    for (name, squares) in names.iter().zip(&per_column) {
        let estimate = Estimate::mean(squares);
        let title = format!("squared error of {name}");
        let measure = Measure::new(&format!("mse:{name}"), &title, "sd²", estimate, ids.len(), Better::Lower);
        section.add(measure.note(note).rows(&ids, squares));
    }
    Ok(())
}
