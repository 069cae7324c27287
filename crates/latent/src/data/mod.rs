//! Where x comes from: idx files, image folders, npy/npz, csv, a name, a program's memory; splits; batches.
//!
//! A [`Data`] is a data set cut into three splits, whose rows are read by position; the [`Facts`] say what
//! they are. Values enter a model as `f32` in the range that [`Normalisation`] states, and leave it through
//! the inverse, in the user's units, range and type.
//!
//! ```text
//! settings: [data]
//! open: which reader?  →  idx, npy, npz, csv, folder, known, shapes  →  dataset: rows by position (user's units)
//!                         memory: rows that a program holds          →
//! build: split, scan once, facts  →  opened, rows: x, bits, flips, and what is told beside x (condition)
//! loader: ahead of the step that wants them;  given: the same as a user types it;  summary: what is in it
//! write: x in the user's units, back into a file
//! ```

mod array;
mod attributes;
mod build;
mod checks;
mod classes;
mod condition;
mod constant;
mod content;
mod csv;
mod dataset;
mod error;
mod examples;
mod fit;
mod folder;
#[cfg(test)]
mod fuzz;
mod given;
mod gzip;
mod header;
mod idx;
mod known;
mod loader;
mod matrix;
mod memory;
mod memory_rows;
mod mirror;
mod moments;
mod normalise;
mod npy;
mod npz;
mod open;
mod opened;
mod ordered;
mod overlap;
mod picture;
mod rows;
mod scan;
mod settings;
pub mod shapes;
mod split;
mod storage;
mod summary;
pub mod table;
#[cfg(test)]
mod tests;
mod values;
mod walk;
mod write;

pub(crate) use classes::find as find_class;
pub use condition::Attribute;
pub(crate) use condition::values_told;
pub use constant::Constant;
pub use error::DataError;
pub use examples::Examples;
pub use loader::{Loader, PlanItem};
pub use matrix::read_matrix;
pub use memory::Memory;
pub use opened::Data;
pub use settings::{
    Binarize, Channels, Class, ColumnKind, ColumnSettings, Crop, DataSettings, Flip, Header, ImageSettings,
    Layout, NamedCrop, Normalise, Part, Size, TableAs,
};
pub use storage::Bytes;
pub use summary::{ClassCount, ColumnSummary, Summary};
pub use table::Table;
pub use values::{Shared, Values};
pub use write::{
    Column, no_picture_of_ours, png_of_sample, write_csv, write_images, write_npy, write_table, write_text,
};

use serde::{Deserialize, Serialize};

/// The class of a row to train on that nothing is known of.
pub const UNKNOWN_CLASS: u32 = u32::MAX;

/// The shape of one sample. Row-major; an image is stored channel, row, column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SampleShape {
    /// `channels × height × width`
    Image {
        /// 1 for grey, 3 for colour.
        channels: usize,
        /// Pixels from top to bottom.
        height: usize,
        /// Pixels from left to right.
        width: usize,
    },
    /// A row of a table.
    Vector {
        /// Numbers in a row.
        columns: usize,
    },
}

impl SampleShape {
    /// How many numbers one sample has.
    pub fn features(self) -> usize {
        match self {
            Self::Image { channels, height, width } => channels * height * width,
            Self::Vector { columns } => columns,
        }
    }

    /// Whether a sample is a picture.
    pub fn is_image(self) -> bool {
        matches!(self, Self::Image { .. })
    }
}

impl std::fmt::Display for SampleShape {
    /// `3×64×64` (channels, height, width) or `14 columns`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { channels, height, width } => write!(f, "{channels}×{height}×{width}"),
            Self::Vector { columns } => write!(f, "{columns} columns"),
        }
    }
}

/// What the numbers of a sample are, resolved from the training data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueKind {
    /// 0 and 1 only (by nature or by `data.binarize`).
    Binary,
    /// One channel of grey levels, scaled to [0, 1].
    Grey,
    /// Several channels of levels, scaled to [0, 1].
    Colour,
    /// Real numbers; a table's columns are standardised.
    Real,
    /// Columns of several kinds, each a number that says which of its [levels](table::Scale) a cell has.
    Mixed,
}

/// `x = (value − offset) / scale`, a column each (or one for all), and back; in double precision up to the
/// difference, so that a large offset costs no digits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "normalise::Written", into = "normalise::Written")]
pub struct Normalisation {
    /// One number, or one per feature.
    pub offset: Vec<f64>,
    /// One number, or one per feature; never 0.
    pub scale: Vec<f64>,
    /// The type that values had in the user's files and have again in what is written.
    pub stored: StoredType,
    /// The least and greatest value that the stored data may hold (0 and 255 for 8-bit images).
    pub range: Option<(f64, f64)>,
    /// Columns of a table that hold whole numbers only, and do so again in what is written.
    pub whole: Vec<usize>,
}

/// The type of a value in the user's files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoredType {
    /// 0 … 255
    U8,
    /// 0 … 65535
    U16,
    /// 32-bit float
    F32,
    /// 64-bit float
    F64,
}

/// What is known about data: enough to choose likelihood and network, and to undo normalisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The path or name that the data came from.
    pub source: String,
    /// The shape of one sample, as the model sees it: without [`constant`](Self::constant) columns.
    pub shape: SampleShape,
    /// What its numbers are.
    pub kind: ValueKind,
    /// How values became x.
    pub normalisation: Normalisation,
    /// Names of the columns of a table that x has; empty otherwise.
    pub columns: Vec<String>,
    /// Columns of a table that are no part of x, because they hold one value in all training rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constant: Vec<Constant>,
    /// Names of the classes, in the order of label numbers; empty without labels.
    pub classes: Vec<String>,
    /// Rows in train, validation and test.
    pub rows: [u64; 3],
    /// The mean of each feature of x over the training split (normalised units).
    pub mean: Vec<f32>,
    /// The variance of each feature of x over the training split.
    pub variance: Vec<f32>,
    /// SHA-256 of the contents (pixels, labels, order) and of the settings that change x or the splits.
    pub hash: String,
    /// Well-known data sets that these rows overlap with, such as `fashion-mnist-test`.
    pub overlaps: Vec<String>,
    /// What a model of this data is told beside x, in the order of `data.condition`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<Attribute>,
    /// What the columns of a mixed table are, and their levels. It is no part of a run's text: a model file holds it beside
    /// that, and data that is opened again finds it again.
    #[serde(skip)]
    pub table: Option<std::sync::Arc<Table>>,
}

/// Which part of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What gradients come from.
    Train,
    /// Early stopping, best checkpoint, choice of sampler.
    Validation,
    /// Read by evaluation alone.
    Test,
}

impl Split {
    /// All three.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];
}

impl std::fmt::Display for Split {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Some rows on the host, normalised and, where asked for, binarised.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    /// `[rows, features]`, row-major.
    pub x: Vec<f32>,
    /// Which rows of the data set these are: the identity that noise is keyed with in training.
    pub ids: Vec<u64>,
    /// A number for what each held-out row holds, that the noise which it is scored with is keyed by; empty where ids are
    /// used: in training, and for data without a seed of its own.
    pub content: Vec<u64>,
    /// The class of each row; empty where the data has no labels. Not all of some rows known: empty, but for rows to train on,
    /// which have [`UNKNOWN_CLASS`] there.
    pub labels: Vec<u32>,
    /// What the model is told beside x, `[rows, conditions]` with [`Facts::condition_width`] numbers a row;
    /// empty without conditions.
    pub condition: Vec<f32>,
    /// 1 where x was observed, 0 where it is missing (x is 0 there), `[rows, features]`; empty where nothing
    /// of the data is missing.
    pub mask: Vec<f32>,
    /// How much each row counts, `[rows]`, finite and ≥ 0; empty where all count alike.
    pub weight: Vec<f32>,
}

impl Rows {
    /// The number of rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Exchanges left and right of the images `width` wide of the rows of which `which` says so, by their ids.
    pub(crate) fn mirror(&mut self, width: usize, which: impl Fn(u64) -> bool) {
        let features = self.x.len() / self.ids.len().max(1);
        for (row, _) in self.ids.iter().enumerate().filter(|(_, id)| which(**id)) {
            for numbers in [&mut self.x, &mut self.mask] {
                let own = numbers.get_mut(row * features..(row + 1) * features).unwrap_or_default();
                own.chunks_exact_mut(width).for_each(<[f32]>::reverse);
            }
        }
    }
}
