//! A plain table of numbers read as it is: codes to decode.

use std::path::Path;

use super::open::find_file;
use super::{DataError, DataSettings};

/// The rows of an `.npy`, `.npz` or `.csv` file, `width` numbers each, row-major and unchanged.
///
/// # Errors
/// Whatever is wrong with the file; [`DataError::Malformed`] if its rows have another width.
pub fn read_matrix(path: &Path, width: usize) -> Result<Vec<f32>, DataError> {
    if path.is_dir() || !path.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        return Err(DataError::io(path, source));
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
