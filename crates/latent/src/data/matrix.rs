//! A plain table of numbers read as it is: codes to decode.

use std::path::Path;

use super::open::find_file;
use super::{DataError, DataSettings};

/// The rows of an `.npy`, `.npz` or `.csv` file, `width` numbers each, row-major and unchanged.
///
/// A `.csv` whose header names `z1` to `z{width}`, as `latent encode` writes them, gives these columns in that order;
/// its other columns (names, classes, deviations) may hold anything and are passed over.
///
/// # Errors
/// Whatever is wrong with the file; [`DataError::Malformed`] if its rows have another width.
pub fn read_matrix(path: &Path, width: usize) -> Result<Vec<f32>, DataError> {
    if path.is_dir() || !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        return Err(DataError::io(path, source));
    }
    if let Some(values) = named_codes(path, width)? {
        return Ok(values);
    }
    let rows = find_file(path, &DataSettings::default(), None, &mut |_| ())?.main;
    let found = rows.shape().features();
    if found != width {
        return Err(DataError::malformed(
            path,
            format!("rows of {found} numbers where {width} are wanted"),
            "give codes as `latent encode` writes them for this model",
        ));
    }
    let mut values = vec![0.0; width];
    let mut all = Vec::new();
    for row in 0..rows.rows() {
        rows.read(row, &mut values)?;
        if values.iter().any(|v| !v.is_finite()) {
            return Err(DataError::malformed(
                path,
                format!("row {row} holds NaN or infinity"),
                "mend that row",
            ));
        }
        all.extend(values.iter().map(|&v| v as f32));
    }
    Ok(all)
}

/// The columns `z1` to `z{width}` of a comma-separated file; none if it is no such file or doesn't name them all.
fn named_codes(path: &Path, width: usize) -> Result<Option<Vec<f32>>, DataError> {
    if !path.is_file() || !path.extension().is_some_and(|e| e.eq_ignore_ascii_case("csv")) {
        return Ok(None);
    }
    let file = std::fs::File::open(path).map_err(|source| DataError::io(path, source))?;
    let mut reader = ::csv::ReaderBuilder::new().trim(::csv::Trim::All).from_reader(file);
    // What is wrong with such a header is told by the way that reads every column.
    let Ok(header) = reader.headers() else { return Ok(None) };
    let place = |d: usize| header.iter().position(|name| name == format!("z{d}"));
    let Some(places) = (1..=width).map(place).collect::<Option<Vec<usize>>>() else { return Ok(None) };
    if header.iter().any(|name| name == format!("z{}", width + 1)) {
        return Ok(None);
    }
    let mut all = Vec::new();
    for (row, record) in reader.records().enumerate() {
        let record =
            record.map_err(|e| DataError::malformed(path, format!("row {row}: {e}"), "mend that row"))?;
        for (dim, &column) in places.iter().enumerate() {
            let text = record.get(column).unwrap_or_default();
            match text.parse::<f32>() {
                Ok(value) if value.is_finite() => all.push(value),
                _ => {
                    return Err(DataError::malformed(
                        path,
                        format!(
                            "row {row} holds `{text}` in column `z{}` where a finite number is wanted",
                            dim + 1
                        ),
                        "mend that row",
                    ));
                }
            }
        }
    }
    Ok(Some(all))
}
