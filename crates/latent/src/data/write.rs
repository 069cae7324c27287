//! x goes back to its user: npy, csv and png, in the units, range and type that it came in.
//!
//! Values are what [`Normalisation::value_from_x`](super::Normalisation::value_from_x) gives; files are
//! written whole or not at all.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use super::{DataError, Normalisation, SampleShape, StoredType};
use crate::files::{first_other, write_folder, write_whole};

/// Writes an npy file (version 1.0, little-endian, C order) of this shape and type.
///
/// # Errors
/// [`DataError::Malformed`] if shape and values differ in number; what the system says.
pub fn write_npy<T: Copy + Into<f64>>(
    path: &Path,
    shape: &[usize],
    stored: StoredType,
    values: &[T],
) -> Result<(), DataError> {
    check_count(path, shape.iter().product(), values.len())?;
    let descr = match stored {
        StoredType::U8 => "|u1",
        StoredType::U16 => "<u2",
        StoredType::F32 => "<f4",
        StoredType::F64 => "<f8",
    };
    let axes: String = shape.iter().map(|axis| format!("{axis}, ")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}), }}", axes.trim_end());
    // Magic, version and length take 10 bytes; the numbers start at a multiple of 64.
    while !(10 + header.len() + 1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| {
        DataError::malformed(path, format!("{} axes are too many for npy", shape.len()), "use fewer axes")
    })?;
    written(path, |out| {
        out.write_all(b"\x93NUMPY\x01\x00")?;
        out.write_all(&length.to_le_bytes())?;
        out.write_all(header.as_bytes())?;
        for &value in values {
            let value: f64 = value.into();
            match stored {
                StoredType::U8 => out.write_all(&[value.round() as u8])?,
                StoredType::U16 => out.write_all(&(value.round() as u16).to_le_bytes())?,
                StoredType::F32 => out.write_all(&(value as f32).to_le_bytes())?,
                StoredType::F64 => out.write_all(&value.to_le_bytes())?,
            }
        }
        Ok(())
    })
}

/// A column of a csv file.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers; NaN, which stands for "undefined", leaves the cell empty.
    Numbers(Vec<f64>),
    /// Text, quoted where needed.
    Names(Vec<String>),
}

impl Column {
    fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Names(names) => names.len(),
        }
    }

    fn cell(&self, row: usize) -> String {
        match self {
            Self::Numbers(numbers) => number_text(numbers[row]),
            Self::Names(names) => names[row].clone(),
        }
    }
}

/// The shortest text that reads back as the same number: as f32, if it is one.
fn number_text(value: f64) -> String {
    if value.is_nan() {
        return String::new();
    }
    let single = value as f32;
    if f64::from(single) == value { single.to_string() } else { value.to_string() }
}

/// Writes a csv file: the header, then a line for each row.
///
/// # Errors
/// [`DataError::Malformed`] if the columns differ in length or number from the header; what the system says.
pub fn write_csv(path: &Path, header: &[String], columns: &[Column]) -> Result<(), DataError> {
    check_count(path, header.len(), columns.len())?;
    let rows = columns.first().map_or(0, Column::len);
    for column in columns {
        check_count(path, rows, column.len())?;
    }
    write_lines(path, header, rows, |row| columns.iter().map(|column| column.cell(row)).collect())
}

/// Writes a csv file of row-major values, `[rows, header.len()]`.
///
/// # Errors
/// As [`write_csv`].
pub fn write_table<T: Copy + Into<f64>>(
    path: &Path,
    header: &[String],
    values: &[T],
) -> Result<(), DataError> {
    let columns = header.len().max(1);
    let rows = values.len() / columns;
    check_count(path, rows * columns, values.len())?;
    write_lines(path, header, rows, |row| {
        values[row * columns..(row + 1) * columns].iter().map(|&value| number_text(value.into())).collect()
    })
}

fn write_lines(
    path: &Path,
    header: &[String],
    rows: usize,
    line: impl Fn(usize) -> Vec<String>,
) -> Result<(), DataError> {
    written(path, |out| {
        let mut writer = ::csv::Writer::from_writer(out);
        writer.write_record(header)?;
        for row in 0..rows {
            writer.write_record(line(row))?;
        }
        writer.flush()
    })
}

/// Writes text as it is.
///
/// # Errors
/// What the system says.
pub fn write_text(path: &Path, text: &str) -> Result<(), DataError> {
    written(path, |out| out.write_all(text.as_bytes()))
}

/// Writes each sample as `00000.png`, `00001.png` … into a folder, which is made if need be; whole or not at all. Such
/// pictures that lie there are replaced, all of them.
///
/// # Errors
/// As [`png_of_sample`]; [`DataError::Malformed`] where the folder holds anything else; what the system says.
pub fn write_images(
    folder: &Path,
    shape: SampleShape,
    normalisation: &Normalisation,
    values: &[f64],
) -> Result<(), DataError> {
    let features = shape.features().max(1);
    check_count(folder, values.len() / features * features, values.len())?;
    if let Some(other) = no_picture_of_ours(folder)? {
        return Err(DataError::malformed(
            folder,
            format!("holds {}, which was not written as one of a folder of samples", other.display()),
            "give another folder: only a folder of such pictures is replaced",
        ));
    }
    let refused = |source| DataError::Write { path: folder.to_path_buf(), source };
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent).map_err(refused)?;
    }
    let is_ours = |name: &str| number_of(name).is_some();
    write_folder(folder, &is_ours, |folder| {
        values.chunks_exact(features).enumerate().try_for_each(|(row, sample)| {
            let path = folder.join(name_of(row));
            let png = png_of_sample(&path, shape, normalisation, sample)?;
            written(&path, |out| out.write_all(&png))
        })
    })
    .map_err(refused)?
}

/// The name of a picture in a folder of samples.
fn name_of(row: usize) -> String {
    format!("{row:05}.png")
}

/// The row whose picture has that name.
fn number_of(name: &str) -> Option<usize> {
    let row = name.strip_suffix(".png")?.parse().ok()?;
    (name_of(row) == name).then_some(row)
}

/// What a folder holds beside the pictures that [`write_images`] writes: the name of the first such file, none where it may
/// replace all that there is.
///
/// # Errors
/// A folder that cannot be listed.
pub fn no_picture_of_ours(folder: &Path) -> Result<Option<OsString>, DataError> {
    // Our pictures are counted from 0 without a gap; a folder of pictures with other numbers is somebody's data.
    let count = fs::read_dir(folder).map_or(0, Iterator::count);
    first_other(folder, &|entry| {
        let row = entry.file_name().to_str().and_then(number_of);
        row.is_some_and(|row| row < count) && entry.file_type().is_ok_and(|kind| kind.is_file())
    })
    .map_err(|source| DataError::io(folder, source))
}

/// One sample, in the user's units, as the bytes of a PNG file: 16 bits a level where the data had them, else 8.
/// Real values are spread over the levels by the range that the normalisation knows.
///
/// # Errors
/// [`DataError::Malformed`] (for `path`) if the sample is no image of 1 to 4 channels.
pub fn png_of_sample(
    path: &Path,
    shape: SampleShape,
    normalisation: &Normalisation,
    sample: &[f64],
) -> Result<Vec<u8>, DataError> {
    let wrong = |what: String| DataError::malformed(path, what, "write .npy or .csv");
    let SampleShape::Image { channels, height, width } = shape else {
        return Err(wrong(format!("rows of {shape} are no pictures")));
    };
    check_count(path, shape.features(), sample.len())?;
    let deep = normalisation.stored == StoredType::U16;
    let color = match (channels, deep) {
        (1, false) => ExtendedColorType::L8,
        (2, false) => ExtendedColorType::La8,
        (3, false) => ExtendedColorType::Rgb8,
        (4, false) => ExtendedColorType::Rgba8,
        (1, true) => ExtendedColorType::L16,
        (2, true) => ExtendedColorType::La16,
        (3, true) => ExtendedColorType::Rgb16,
        (4, true) => ExtendedColorType::Rgba16,
        _ => return Err(wrong(format!("PNG has no pictures of {channels} channels"))),
    };
    let (least, most) = normalisation.range.unwrap_or((0.0, 1.0));
    let span = (most - least).max(f64::MIN_POSITIVE);
    let pixels = height * width;
    let mut bytes = Vec::with_capacity(sample.len() * 2);
    for index in 0..sample.len() {
        let value = sample[index % channels * pixels + index / channels];
        let unit = (value - least) / span;
        if deep {
            bytes.extend(((unit * 65535.0).round() as u16).to_ne_bytes());
        } else {
            bytes.push((unit * 255.0).round() as u8);
        }
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&bytes, width as u32, height as u32, color)
        .map_err(|error| wrong(format!("PNG: {error}")))?;
    Ok(png)
}

fn written(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), DataError> {
    write_whole(path, write).map_err(|source| DataError::Write { path: path.to_path_buf(), source })
}

fn check_count(path: &Path, expected: usize, found: usize) -> Result<(), DataError> {
    if expected == found {
        return Ok(());
    }
    Err(DataError::malformed(
        path,
        format!("{found} values where {expected} are wanted"),
        "give as many as the shape says",
    ))
}
