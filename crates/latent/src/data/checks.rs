//! What is checked before anything is read: settings against the format, and data against other data.

use super::condition;
use super::dataset::Dataset;
use super::{DataError, DataSettings, Facts, Normalisation, SampleShape, StoredType, ValueKind};

/// Columns are named in tables only.
pub(crate) fn check_roles(settings: &DataSettings, rows: &dyn Dataset) -> Result<(), DataError> {
    for (key, name) in [("label", &settings.label), ("group", &settings.group)] {
        if let (Some(name), "idx" | "npy" | "npz" | "memory") = (name, rows.format()) {
            return Err(DataError::setting(
                key,
                format!(
                    "{name:?} names a column, and {} is {}, not csv",
                    rows.path().display(),
                    rows.format()
                ),
                format!("leave data.{key} out"),
            ));
        }
    }
    if let (Some(name), "images") = (&settings.label, rows.format())
        && rows.labels().is_none()
    {
        let what = format!("{name:?} names an attribute of images, and {} has none", rows.path().display());
        let remedy = "name the table of attributes in data.attributes, or read file names by data.pattern";
        return Err(DataError::setting("label", what, remedy));
    }
    if !settings.constraints.is_empty() && rows.table().is_none() {
        return Err(DataError::setting(
            "constraints",
            format!("{} is {}, no table of mixed columns", rows.path().display(), rows.format()),
            "leave data.constraints out, or give a csv, Parquet or Arrow file",
        ));
    }
    Ok(())
}

pub(crate) fn check_shape(rows: &dyn Dataset, expected: SampleShape) -> Result<(), DataError> {
    let shape = rows.shape();
    if shape == expected {
        return Ok(());
    }
    let remedy = match (shape, expected) {
        (SampleShape::Image { channels, .. }, SampleShape::Image { channels: wanted, .. })
            if channels != wanted =>
        {
            let word = if wanted == 1 { "grey" } else { "colour" };
            format!("set data.image.channels = {word:?}")
        }
        (SampleShape::Image { .. }, SampleShape::Image { height, width, .. }) => {
            format!("set data.image.size = [{height}, {width}]")
        }
        _ => "give data of the same kind".into(),
    };
    Err(DataError::mismatch(rows.path(), format!("a sample is {shape} where {expected} is wanted"), remedy))
}

/// Facts enough to open a table with the same columns.
pub(crate) fn stub(settings: &DataSettings, rows: &dyn Dataset) -> Facts {
    Facts {
        source: rows.path().display().to_string(),
        shape: rows.shape(),
        kind: if rows.table().is_some() { ValueKind::Mixed } else { ValueKind::Real },
        normalisation: Normalisation {
            offset: vec![0.0],
            scale: vec![1.0],
            stored: StoredType::F64,
            range: None,
            whole: Vec::new(),
        },
        columns: rows.columns().to_vec(),
        constant: Vec::new(),
        classes: Vec::new(),
        rows: [0; 3],
        mean: Vec::new(),
        variance: Vec::new(),
        hash: String::new(),
        overlaps: Vec::new(),
        condition: condition::asked(settings, rows),
        table: rows.table().cloned(),
    }
}
