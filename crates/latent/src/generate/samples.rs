//! What a model gives, in the model's units and in the user's.

use std::path::Path;

use crate::data::table::write_rows;
use crate::data::{Facts, SampleShape, ValueKind, write_images, write_npy, write_table};
use crate::figure::{Figure, FigureError, GridLabels, Images, column_histograms, sample_grid};
use crate::generate::error::Result;
use crate::key::Key;
use crate::model::ModelError;

/// Rows of x with the way back to the user's units, range and type.
#[derive(Clone, Debug)]
pub struct Samples {
    /// `rows × features`, normalised.
    pub x: Vec<f32>,
    facts: Facts,
}

/// Images of one or three channels with every number in [0, 1].
#[derive(Clone, Debug)]
pub struct Pictures {
    pixels: Vec<f32>,
    channels: usize,
    height: usize,
    width: usize,
}

impl Pictures {
    /// What figures take.
    ///
    /// # Errors
    /// Where a side of the pictures is 0.
    pub fn images(&self) -> Result<Images<'_>, FigureError> {
        Images::new(&self.pixels, self.channels, self.height, self.width)
    }

    /// The numbers, `[n, channels, height, width]`.
    pub fn pixels(&self) -> &[f32] {
        &self.pixels
    }

    /// Channels (1 or 3), height and width.
    pub fn shape(&self) -> [usize; 3] {
        [self.channels, self.height, self.width]
    }
}

impl Samples {
    /// Rows of x that belong to data with these facts.
    pub fn new(x: Vec<f32>, facts: &Facts) -> Self {
        Self { x, facts: facts.clone() }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.x.len() / self.facts.shape.features().max(1)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.x.is_empty()
    }

    /// The mean over rows and features of the squared difference from `other`, as the model sees them.
    pub fn squared_error(&self, other: &Self) -> f64 {
        let squares = self.x.iter().zip(&other.x).map(|(a, b)| f64::from(a - b).powi(2));
        squares.sum::<f64>() / self.x.len().max(1) as f64
    }

    /// In the user's units, `rows × width`: normalisation undone, clamped to the range of the data, whole where the data
    /// was, and with the columns that never change put back ([`Facts::values_from_x`]).
    pub fn values(&self) -> Vec<f64> {
        self.facts.values_from_x(&self.x)
    }

    /// As pictures, each number in [0, 1]. Only images are.
    ///
    /// # Errors
    /// [`ModelError::NoPicture`] for rows of a table.
    pub fn pictures(&self) -> Result<Pictures> {
        let SampleShape::Image { channels, height, width } = self.facts.shape else {
            return Err(ModelError::NoPicture { columns: self.facts.shape.features() }.into());
        };
        let mut pixels = self.x.clone();
        if self.facts.kind == ValueKind::Real {
            // By the range of the data, so that pictures side by side have one scale.
            let (low, high) = self.facts.normalisation.range.unwrap_or((0.0, 1.0));
            let (mut least, mut greatest) = ([0.0], [1.0]);
            self.facts.normalisation.x_from_value(&[low], &mut least);
            self.facts.normalisation.x_from_value(&[high], &mut greatest);
            let (least, greatest) = (least[0], greatest[0]);
            pixels.iter_mut().for_each(|v| *v = (*v - least) / (greatest - least).max(1e-12));
        }
        // A figure has one channel or three: of others the first is drawn, and alpha is left out.
        let drawn = if channels >= 3 { 3 } else { 1 };
        if drawn != channels {
            let (whole, wanted) = (channels * height * width, drawn * height * width);
            pixels = pixels.chunks(whole).flat_map(|image| image[..wanted].iter().copied()).collect();
        }
        Ok(Pictures { pixels, channels: drawn, height, width })
    }

    /// A grid of the images.
    ///
    /// # Errors
    /// [`ModelError::NoPicture`] for rows of a table; no rows at all.
    pub fn grid(&self, title: &str) -> Result<Figure> {
        let pictures = self.pictures()?;
        Ok(sample_grid(&pictures.images()?, &GridLabels::titled(title))?)
    }

    /// Writes to `path`, by what it ends with: `.png` or `.svg` a grid, `.npy` an array, `.csv` a table (`.parquet`, `.arrow` and `.feather`
    /// where columns are mixed), otherwise a folder
    /// of one PNG a sample, which replaces such a folder and no other.
    ///
    /// # Errors
    /// [`ModelError::Output`] for another ending, [`ModelError::NoPicture`] for a table as a picture; what drawing and writing say.
    pub fn save(&self, path: &Path, title: &str) -> Result<()> {
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
        match extension.as_str() {
            "png" | "svg" => self.grid(title)?.save(path)?,
            "npy" => {
                let mut shape = vec![self.len()];
                match self.facts.shape {
                    SampleShape::Image { channels: 1, height, width } => shape.extend([height, width]),
                    SampleShape::Image { channels, height, width } => shape.extend([channels, height, width]),
                    SampleShape::Vector { .. } => shape.push(self.facts.width()),
                }
                write_npy(path, &shape, self.facts.normalisation.stored, &self.values())?;
            }
            "csv" | "tsv" | "parquet" | "arrow" | "feather" if self.facts.table.is_some() => {
                self.write_rows(path)?
            }
            "csv" => write_table(path, &self.columns(), &self.printable())?,
            "" if self.facts.shape.is_image() => {
                write_images(path, self.facts.shape, &self.facts.normalisation, &self.values())?
            }
            "" => return Err(ModelError::NoPicture { columns: self.facts.shape.features() }.into()),
            other => {
                return Err(ModelError::Output { path: path.into(), extension: other.into() }.into());
            }
        }
        Ok(())
    }

    /// Writes a mixed table as its file was: words, gaps, identifiers made anew.
    fn write_rows(&self, path: &Path) -> Result<()> {
        let Some(table) = &self.facts.table else { return Ok(()) };
        Ok(write_rows(path, table, &table.words(&self.x, Key::from_seed(0).fold("words")))?)
    }

    /// [`values`](Self::values) without the digits that a model's single precision doesn't have: a millionth of a
    /// column's scale is the last. Columns that never change keep all of theirs.
    fn printable(&self) -> Vec<f64> {
        let scale = &self.facts.normalisation.scale;
        let mut values = self.facts.normalisation.values(&self.x);
        for (index, value) in values.iter_mut().enumerate() {
            let scale = scale.get(index % scale.len().max(1)).copied().unwrap_or(1.0);
            let digits = (6.0 - scale.log10().floor()).max(0.0);
            // A column of tiny numbers is left as it is: its digits can't be counted from the point.
            if digits > 15.0 {
                continue;
            }
            let digits = digits as i32;
            let rounded = (*value * 10f64.powi(digits)).round() / 10f64.powi(digits);
            if rounded.is_finite() {
                *value = rounded;
            }
        }
        self.facts.with_constants(&values)
    }

    /// Names for the columns of a table.
    pub fn columns(&self) -> Vec<String> {
        self.facts.names_of_values()
    }

    /// The distribution of each column of x beside another's: the picture of a table.
    ///
    /// # Errors
    /// Where there is no column, or one has no finite value on either side.
    pub fn beside(&self, original: &Self, title: &str) -> Result<Figure, FigureError> {
        let columns = self.facts.shape.features();
        let of = |samples: &Self| -> Vec<Vec<f64>> {
            let values = match samples.facts.table {
                Some(_) => samples.values(),
                None => samples.facts.normalisation.values(&samples.x),
            };
            // Empty cells of a mixed table have no place on an axis.
            let column =
                |c: usize| values.iter().skip(c).step_by(columns).copied().filter(|v| !v.is_nan()).collect();
            (0..columns).map(column).collect()
        };
        let (ours, theirs) = (of(self), of(original));
        let names = self.facts.names_of_x();
        let pairs: Vec<_> = (0..columns)
            .map(|c| crate::figure::ColumnPair { name: &names[c], original: &theirs[c], generated: &ours[c] })
            .collect();
        let title = match self.facts.constant.len() {
            0 => title.to_string(),
            1 => format!("{title} (without the one that never changes)"),
            more => format!("{title} (without {more} that never change)"),
        };
        column_histograms(&pairs, &title)
    }
}
