//! A block of numbers in a file: what idx, npy and npz come down to.
//!
//! Rows are read by position (`pread`), so that a file larger than memory costs one row at a time. Both
//! byte orders and both C and Fortran order are read; contents are hashed as little-endian rows, so that
//! the same numbers have the same hash however they are stored.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::dataset::{Dataset, Labels, Number, Visit};
use super::fit::Fit;
use super::settings::{ImageSettings, Layout};
use super::storage::Storage;
use super::values::is_single;
use super::{DataError, SampleShape};

/// Numbers of one type with a shape, somewhere in a storage.
pub(crate) struct Array {
    pub path: PathBuf,
    pub format: &'static str,
    pub storage: Storage,
    /// Where the first number starts.
    pub offset: u64,
    pub number: Number,
    pub big_endian: bool,
    /// The first axis varies fastest.
    pub fortran: bool,
    /// Lengths of the axes; the first is the rows'.
    pub axes: Vec<u64>,
}

/// What receives the bytes of each row.
type VisitBytes<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), DataError>;

/// A Fortran-ordered file is walked in blocks of about this many bytes, a C-ordered one likewise.
const BLOCK: u64 = 1 << 22;

/// A row of more numbers than this is taken for a mistake.
pub(crate) const MOST_FEATURES: usize = 1 << 24;

impl Array {
    /// Compares what the header promises with what the storage holds, before anything is allocated.
    pub(crate) fn check(&self) -> Result<(), DataError> {
        let shape = self.axes.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
        let promised = self
            .axes
            .iter()
            .try_fold(self.number.bytes() as u64, |bytes, &axis| bytes.checked_mul(axis))
            .and_then(|bytes| bytes.checked_add(self.offset));
        let held = self.storage.len();
        match promised {
            Some(promised) if promised <= held => {}
            _ => {
                let promised =
                    promised.map_or("more than any file".to_string(), |bytes| format!("{bytes} bytes"));
                return Err(DataError::malformed(
                    &self.path,
                    format!(
                        "the header promises {shape} {} ({promised}), and {held} bytes are there",
                        self.number.name()
                    ),
                    "the file was cut short or its header is wrong: write it again",
                ));
            }
        }
        if self.axes.is_empty() || self.axes.contains(&0) {
            return Err(DataError::malformed(
                &self.path,
                format!("the array has shape [{shape}], which holds no rows"),
                "give an array whose first axis counts the rows",
            ));
        }
        Ok(())
    }

    /// Numbers of one row.
    fn features(&self) -> usize {
        // `check` compared the product with the size of the storage.
        self.axes[1..].iter().product::<u64>() as usize
    }

    /// The bytes of one row, little-endian, in C order.
    fn row_bytes(&self, row: u64, bytes: &mut [u8]) -> Result<(), DataError> {
        let size = self.number.bytes();
        if self.fortran && self.axes.len() > 1 {
            for (index, number) in bytes.chunks_exact_mut(size).enumerate() {
                self.read_at((self.fortran_index(index) * self.axes[0] + row) * size as u64, number)?;
            }
        } else {
            self.read_at(row * bytes.len() as u64, bytes)?;
        }
        self.to_little_endian(bytes);
        Ok(())
    }

    /// Where the `index`-th number of a row (in C order) comes among a row's numbers in Fortran order.
    fn fortran_index(&self, index: usize) -> u64 {
        let mut rest = index as u64;
        let (mut place, mut stride) = (0, self.axes[1..].iter().product::<u64>());
        for &axis in self.axes[1..].iter().rev() {
            stride /= axis;
            place += rest % axis * stride;
            rest /= axis;
        }
        place
    }

    fn to_little_endian(&self, bytes: &mut [u8]) {
        let size = self.number.bytes();
        if self.big_endian && size > 1 {
            bytes.chunks_exact_mut(size).for_each(<[u8]>::reverse);
        }
    }

    fn read_at(&self, offset: u64, bytes: &mut [u8]) -> Result<(), DataError> {
        self.storage.read_at(self.offset + offset, bytes).map_err(|source| {
            // The end of a file comes too early where it was cut after it was opened.
            let changed = self.storage.check_unchanged(&self.path).err();
            changed.unwrap_or_else(|| DataError::io(&self.path, source))
        })
    }

    fn decode(&self, row: u64, bytes: &[u8], values: &mut [f64]) -> Result<(), DataError> {
        self.number.decode(bytes, values).map_err(|column| {
            DataError::malformed(
                &self.path,
                format!("row {row}, column {column} is the integer {}, beyond ±2⁵³", values[column]),
                "store it as f64",
            )
        })
    }

    /// Calls `visit` with the bytes of each row in order.
    fn each_row(&self, visit: VisitBytes<'_>) -> Result<(), DataError> {
        let rows = self.axes[0];
        let size = self.number.bytes();
        let features = self.features();
        let row_bytes = (features * size) as u64;
        let rows_a_block = (BLOCK / row_bytes).clamp(1, rows);
        let mut block = vec![0; (rows_a_block * row_bytes) as usize];
        let mut row = Vec::new();
        let mut start = 0;
        while start < rows {
            let count = rows_a_block.min(rows - start);
            let block = &mut block[..(count * row_bytes) as usize];
            if self.fortran && self.axes.len() > 1 {
                // Feature by feature, the rows of the block lie side by side.
                for (index, part) in block.chunks_exact_mut(count as usize * size).enumerate() {
                    self.read_at((self.fortran_index(index) * rows + start) * size as u64, part)?;
                }
                self.to_little_endian(block);
                row.resize(row_bytes as usize, 0);
                for position in 0..count as usize {
                    for (index, number) in row.chunks_exact_mut(size).enumerate() {
                        let from = (index * count as usize + position) * size;
                        number.copy_from_slice(&block[from..from + size]);
                    }
                    visit(start + position as u64, &row)?;
                }
            } else {
                self.read_at(start * row_bytes, block)?;
                self.to_little_endian(block);
                for (position, row) in block.chunks_exact(row_bytes as usize).enumerate() {
                    visit(start + position as u64, row)?;
                }
            }
            start += count;
        }
        Ok(())
    }

    /// All numbers of a one-dimensional array (or a column), such as labels.
    pub(crate) fn column(&self) -> Result<Vec<f64>, DataError> {
        if self.features() != 1 {
            return Err(DataError::malformed(
                &self.path,
                format!("labels of shape {:?} are not one number a row", self.axes),
                "store labels as one axis",
            ));
        }
        let mut column = Vec::new();
        self.each_row(&mut |row, bytes| {
            let mut value = [0.0];
            self.decode(row, bytes, &mut value)?;
            column.push(value[0]);
            Ok(())
        })?;
        Ok(column)
    }
}

/// An array as rows of samples.
pub(crate) struct ArrayRows {
    array: Array,
    labels: Option<Labels>,
    /// Channels are the last axis and move to the front.
    channels_last: Option<usize>,
    /// Crop, resize, channels; absent for vectors and where nothing changes.
    fit: Option<Fit>,
    shape: SampleShape,
}

impl ArrayRows {
    /// Decides what the axes mean.
    pub(crate) fn new(
        array: Array,
        labels: Option<Labels>,
        image: &ImageSettings,
        layout: Layout,
    ) -> Result<Self, DataError> {
        array.check()?;
        if let Some(labels) = &labels
            && labels.of.len() as u64 != array.axes[0]
        {
            return Err(DataError::malformed(
                &array.path,
                format!("there are {} rows and {} labels", array.axes[0], labels.of.len()),
                "give each row one label, or remove the labels",
            ));
        }
        if array.features() > MOST_FEATURES {
            return Err(DataError::malformed(
                &array.path,
                format!("one row of shape {:?} has {} numbers", &array.axes[1..], array.features()),
                "the first axis must count the rows",
            ));
        }
        let axes: Vec<usize> = array.axes[1..].iter().map(|&axis| axis as usize).collect();
        let mut channels_last = None;
        let from = match axes[..] {
            [] => None,
            [_] => None,
            [height, width] => Some((1, height, width)),
            [first, second, third] => {
                if is_channels_last(&array, layout)? {
                    channels_last = (third > 1).then_some(third);
                    Some((third, first, second))
                } else {
                    Some((first, second, third))
                }
            }
            _ => {
                return Err(DataError::malformed(
                    &array.path,
                    format!(
                        "an array of {} axes ({:?}) is neither a table nor images",
                        array.axes.len(),
                        array.axes
                    ),
                    "reshape it to [n, features], [n, h, w], [n, c, h, w] or [n, h, w, c]",
                ));
            }
        };
        let Some(from) = from else {
            let shape = SampleShape::Vector { columns: array.features() };
            return Ok(Self { array, labels, channels_last, fit: None, shape });
        };
        let fit = Fit::plan(from, image, !array.number.is_float())?;
        let (channels, height, width) = fit.to;
        let shape = SampleShape::Image { channels, height, width };
        let fit = (!fit.is_identity()).then_some(fit);
        Ok(Self { array, labels, channels_last, fit, shape })
    }

    /// Whether rows are read as they stand.
    pub(crate) fn is_plain(&self) -> bool {
        self.channels_last.is_none() && self.fit.is_none()
    }

    /// Values in file order → channels first, cropped and resized.
    fn arrange(&self, raw: &[f64], values: &mut [f64]) {
        match (self.channels_last, &self.fit) {
            (None, None) => values.copy_from_slice(raw),
            (Some(channels), None) => {
                let pixels = raw.len() / channels;
                for (pixel, levels) in raw.chunks_exact(channels).enumerate() {
                    for (channel, &level) in levels.iter().enumerate() {
                        values[channel * pixels + pixel] = level;
                    }
                }
            }
            (Some(channels), Some(fit)) => {
                let width = fit.from.2;
                fit.apply(|channel, y, x| raw[(y * width + x) * channels + channel], values);
            }
            (None, Some(fit)) => {
                let (_, height, width) = fit.from;
                fit.apply(|channel, y, x| raw[(channel * height + y) * width + x], values);
            }
        }
    }
}

/// Whether a four-dimensional array is `[n, height, width, channels]`.
fn is_channels_last(array: &Array, layout: Layout) -> Result<bool, DataError> {
    let is_channels = |axis: u64| (1..=4).contains(&axis);
    match layout {
        Layout::Nchw => Ok(false),
        Layout::Nhwc => Ok(true),
        Layout::Auto => match (is_channels(array.axes[1]), is_channels(array.axes[3])) {
            (true, false) => Ok(false),
            (false, true) => Ok(true),
            (channels, _) => Err(DataError::setting(
                "layout",
                format!(
                    "{:?} in {}: {}",
                    array.axes,
                    array.path.display(),
                    if channels {
                        "the second or the last axis may be the channels'"
                    } else {
                        "no axis looks like channels (1 to 4)"
                    }
                ),
                "set data.layout = \"nchw\" or \"nhwc\", or reshape the array to [n, h, w]",
            )),
        },
    }
}

impl Dataset for ArrayRows {
    fn path(&self) -> &Path {
        &self.array.path
    }

    fn format(&self) -> &'static str {
        self.array.format
    }

    fn rows(&self) -> u64 {
        self.array.axes[0]
    }

    fn shape(&self) -> SampleShape {
        self.shape
    }

    fn number(&self) -> Number {
        self.array.number
    }

    fn labels(&self) -> Option<&Labels> {
        self.labels.as_ref()
    }

    fn check_unchanged(&self) -> Result<(), DataError> {
        self.array.storage.check_unchanged(&self.array.path)
    }

    fn read(&self, row: u64, values: &mut [f64]) -> Result<(), DataError> {
        let features = self.array.features();
        let mut bytes = vec![0; features * self.array.number.bytes()];
        self.array.row_bytes(row, &mut bytes)?;
        if self.is_plain() {
            return self.array.decode(row, &bytes, values);
        }
        let mut raw = vec![0.0; features];
        self.array.decode(row, &bytes, &mut raw)?;
        self.arrange(&raw, values);
        Ok(())
    }

    fn scan(
        &self,
        _threads: usize,
        wanted: &(dyn Fn(u64) -> bool + Sync),
        hash: &mut Sha256,
        visit: Visit<'_>,
    ) -> Result<Vec<(u64, String)>, DataError> {
        hash.update(format!("{:?} {:?}", self.array.number, self.array.axes));
        let mut raw = vec![0.0; self.array.features()];
        let mut values = vec![0.0; self.shape.features()];
        self.array.each_row(&mut |row, bytes| {
            hash.update(bytes);
            if !wanted(row) {
                return Ok(());
            }
            self.array.decode(row, bytes, &mut raw)?;
            if self.array.number.is_float()
                && let Some(column) = raw.iter().position(|value| !is_single(*value))
            {
                let (path, value) = (self.array.path.clone(), raw[column]);
                return Err(DataError::NotFinite { path, row, column: column as u64, value });
            }
            self.arrange(&raw, &mut values);
            visit(row, &values)
        })?;
        Ok(Vec::new())
    }
}
