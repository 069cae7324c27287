//! Rows in memory as a data set: everything checked, and read as an array file would be.
//!
//! A missing value is NaN in what is read; in the block of numbers itself 0 stands there, so that the hash does
//! not depend on what was left in the gap.

use std::collections::HashSet;
use std::path::Path;

use sha2::{Digest, Sha256};

use super::array::{Array, ArrayRows, MOST_FEATURES};
use super::dataset::{Dataset, Labels, Number, Visit};
use super::memory::Memory;
use super::settings::{ImageSettings, Layout};
use super::values::{is_single, picked};
use super::{DataError, Facts, SampleShape};

/// Checked rows in memory.
pub(crate) struct MemoryRows {
    rows: ArrayRows,
    columns: Vec<String>,
    groups: Option<Vec<u32>>,
    numbers: Vec<(String, Vec<f64>)>,
    /// Whether each value was observed; absent where all were.
    mask: Option<Vec<bool>>,
    weight: Option<Vec<f32>>,
}

impl MemoryRows {
    /// `numbers` are the names of numbers that are told beside x and so are no part of it; `wanted` are the facts of a
    /// trained model, whose columns are taken in its order, and after them those of its constant ones that are there.
    pub(crate) fn new(
        memory: Memory,
        image: &ImageSettings,
        numbers: &[String],
        wanted: Option<&Facts>,
    ) -> Result<Self, DataError> {
        let mut memory = memory;
        let rows = check(&memory)?;
        if memory.mask.as_ref().is_some_and(|mask| mask.iter().all(|observed| *observed)) {
            memory.mask = None;
        }
        if let Some(mask) = &memory.mask {
            memory.values.blank(mask);
        }
        check_finite(&memory)?;
        let Memory {
            name,
            mut shape,
            mut columns,
            mut values,
            labels,
            groups,
            conditions,
            mut mask,
            weight,
            ..
        } = memory;
        let path = Path::new(&name);
        let mut told = conditions;
        if !columns.is_empty() {
            let place = |name: &String| columns.iter().position(|column| column == name);
            let kept: Vec<usize> = match wanted {
                None => (0..columns.len()).filter(|&at| !numbers.contains(&columns[at])).collect(),
                Some(wanted) => {
                    let found = wanted.columns.iter().map(|name| {
                        place(name).ok_or_else(|| {
                            let what = format!("there is no column {name:?}, which the model was trained on");
                            let remedy = format!("the model wants {}", wanted.columns.join(", "));
                            DataError::mismatch(path, what, remedy)
                        })
                    });
                    let constant =
                        wanted.constant.iter().filter_map(|constant| place(&constant.name)).map(Ok);
                    found.chain(constant).collect::<Result<_, _>>()?
                }
            };
            if kept.is_empty() {
                return Err(wrong(
                    &name,
                    "no column is left for x",
                    "give at least one that is no condition",
                ));
            }
            for (number, at) in numbers.iter().filter_map(|number| Some((number, place(number)?))) {
                if let Some(mask) = &mask
                    && let Some(row) = (0..rows).find(|row| !mask[row * columns.len() + at])
                {
                    let what = format!("the condition {number:?} is missing in row {row}");
                    return Err(wrong(&name, what, "fill it in, or remove the row"));
                }
                told.push((number.clone(), values.column(at, columns.len())));
            }
            if kept.iter().copied().ne(0..columns.len()) {
                values = values.picked(&kept, columns.len());
                mask = mask.map(|mask| picked(&mask, &kept, columns.len()));
                columns = kept.iter().map(|&at| columns[at].clone()).collect();
                shape = SampleShape::Vector { columns: columns.len() };
            }
        }
        let named = |names: Vec<String>, key: &str| {
            Labels::from_names(&names).map_err(|what| wrong(&name, what, &format!("give fewer {key}")))
        };
        let labels = labels.map(|names| named(names, "labels")).transpose()?;
        let groups = groups.map(|names| named(names, "groups")).transpose()?.map(|groups| groups.of);
        let axes = match shape {
            SampleShape::Vector { columns } => vec![rows, columns],
            SampleShape::Image { channels: 1, height, width } => vec![rows, height, width],
            SampleShape::Image { channels, height, width } => vec![rows, channels, height, width],
        };
        let number = values.number();
        let array = Array {
            path: path.to_path_buf(),
            format: "memory",
            storage: values.into_storage(),
            offset: 0,
            number,
            big_endian: false,
            fortran: false,
            axes: axes.into_iter().map(|axis| axis as u64).collect(),
        };
        let rows = ArrayRows::new(array, labels, image, Layout::Nchw)?;
        if mask.is_some() && !rows.is_plain() {
            return Err(DataError::setting(
                "image",
                "a mask belongs to the pixels as they are given, and size, crop or channels would change them",
                "leave data.image out, or bring images and mask to their shape before",
            ));
        }
        Ok(Self { rows, columns, groups, numbers: told, mask, weight })
    }

    /// Writes NaN where a value of the row is missing.
    fn mark_gaps(&self, row: u64, values: &mut [f64]) {
        if let Some(mask) = &self.mask {
            let start = row as usize * values.len();
            for (value, observed) in values.iter_mut().zip(&mask[start..]) {
                if !observed {
                    *value = f64::NAN;
                }
            }
        }
    }
}

fn wrong(name: &str, what: impl Into<String>, remedy: &str) -> DataError {
    DataError::malformed(Path::new(name), what, remedy)
}

/// Checks all sizes and names; the number of rows.
fn check(memory: &Memory) -> Result<usize, DataError> {
    let name = &memory.name;
    let features = match memory.shape {
        SampleShape::Vector { columns } => Some(columns),
        SampleShape::Image { channels, height, width } => {
            channels.checked_mul(height).and_then(|size| size.checked_mul(width))
        }
    };
    let Some(features) = features.filter(|features| (1..=MOST_FEATURES).contains(features)) else {
        let what = format!("a sample of {} holds no number, or more than {MOST_FEATURES}", memory.shape);
        return Err(wrong(name, what, "give the sides of one sample"));
    };
    let held = memory.values.len();
    if held == 0 || !held.is_multiple_of(features) {
        let what = format!("{held} values are no whole number of rows of {features}");
        return Err(wrong(name, what, "give every row all of its values, row after row"));
    }
    let rows = held / features;
    let mut names = HashSet::new();
    for column in memory.columns.iter().chain(memory.conditions.iter().map(|(name, _)| name)) {
        if column.is_empty() {
            return Err(wrong(name, "a column has no name", "name every column"));
        }
        if !names.insert(column) {
            let what = format!("two columns are named {column:?}");
            return Err(wrong(name, what, "give each column its own name"));
        }
    }
    let counts =
        [("labels", memory.labels.as_ref().map(Vec::len)), ("groups", memory.groups.as_ref().map(Vec::len))];
    let counts = counts.into_iter().filter_map(|(what, count)| Some((what.to_string(), count?)));
    let told = memory.conditions.iter().map(|(name, values)| (format!("values of {name:?}"), values.len()));
    let weights = memory.weight.iter().map(|weight| ("weights".to_string(), weight.len()));
    for (what, count) in counts.chain(told).chain(weights) {
        if count != rows {
            return Err(wrong(
                name,
                format!("there are {rows} rows and {count} {what}"),
                "give each row one",
            ));
        }
    }
    if let Some(mask) = &memory.mask
        && mask.len() != held
    {
        let what = format!("there are {held} values and {} in the mask", mask.len());
        return Err(wrong(name, what, "say of each value whether it was observed"));
    }
    Ok(rows)
}

/// Checks that every number that will be read is one.
fn check_finite(memory: &Memory) -> Result<(), DataError> {
    let (name, features) = (&memory.name, memory.shape.features());
    if let Some((index, value)) = memory.values.not_single() {
        let what = format!("row {}, column {} is {value}", index / features, index % features);
        let remedy = "remove the row, fill in a number, or mark it as missing with a mask (rows and columns are \
                      counted from 0)";
        return Err(wrong(name, what, remedy));
    }
    for (condition, values) in &memory.conditions {
        if let Some(row) = values.iter().position(|value| !is_single(*value)) {
            let what = format!("the condition {condition:?} is {} in row {row}", values[row]);
            return Err(wrong(name, what, "remove the row or fill in a number"));
        }
    }
    if let Some(weight) = &memory.weight {
        if let Some(row) = weight.iter().position(|weight| !(weight.is_finite() && *weight >= 0.0)) {
            let what = format!("the weight of row {row} is {}", weight[row]);
            return Err(wrong(name, what, "give finite weights from 0 up"));
        }
        if weight.iter().all(|weight| *weight == 0.0) {
            return Err(wrong(name, "all weights are 0", "give some rows a weight above 0"));
        }
    }
    Ok(())
}

impl Dataset for MemoryRows {
    fn path(&self) -> &Path {
        self.rows.path()
    }

    fn format(&self) -> &'static str {
        self.rows.format()
    }

    fn rows(&self) -> u64 {
        self.rows.rows()
    }

    fn shape(&self) -> SampleShape {
        self.rows.shape()
    }

    fn number(&self) -> Number {
        self.rows.number()
    }

    fn columns(&self) -> &[String] {
        &self.columns
    }

    fn labels(&self) -> Option<&Labels> {
        self.rows.labels()
    }

    fn groups(&self) -> Option<&[u32]> {
        self.groups.as_deref()
    }

    fn numbers(&self, name: &str) -> Option<&[f64]> {
        self.numbers.iter().find(|(known, _)| known == name).map(|(_, values)| &values[..])
    }

    fn number_names(&self) -> Vec<String> {
        self.numbers.iter().map(|(name, _)| name.clone()).chain(self.columns.iter().cloned()).collect()
    }

    fn weight(&self) -> Option<&[f32]> {
        self.weight.as_deref()
    }

    fn has_gaps(&self) -> bool {
        self.mask.is_some()
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        self.rows.read(row, values)?;
        self.mark_gaps(row, values);
        Ok(())
    }

    fn scan(
        &self,
        threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        let mut marked = vec![0.0; self.shape().features()];
        let mut mark = |row: u64, values: &[f64]| {
            marked.copy_from_slice(values);
            self.mark_gaps(row, &mut marked);
            visit(row, &marked)
        };
        if self.columns.is_empty() {
            self.rows.scan(threads, wanted, hash, &mut mark)?;
        } else {
            // As a csv file is hashed.
            hash.update(self.columns.join("\n"));
            let mut values = vec![0.0; self.columns.len()];
            for row in 0..self.rows() {
                self.rows.read(row, &mut values)?;
                values.iter().for_each(|value| hash.update(value.to_le_bytes()));
                if wanted(row) {
                    mark(row, &values)?;
                }
            }
        }
        if let Some(mask) = &self.mask {
            hash.update("mask");
            hash.update(mask.iter().map(|&observed| u8::from(observed)).collect::<Vec<u8>>());
        }
        if let Some(weight) = &self.weight {
            hash.update("weight");
            weight.iter().for_each(|weight| hash.update(weight.to_le_bytes()));
        }
        Ok(Vec::new())
    }
}
