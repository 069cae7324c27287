//! How large a code is: so many dimensions, so many for each column of a table, or so many channels at each place of a smaller
//! image.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::ConfigError;
use crate::data::SampleShape;
use crate::member::Context;

/// The size of a code: `latent = 16`, or `latent = { channels = 4, factor = 4 }` for maps of 4 channels whose sides are
/// a quarter of the image's, rounded up, or `latent = { column = 4 }` for 4 dimensions for each column of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a number of dimensions, { channels = 4, factor = 4 } for maps, or { column = 4 } for tables"
)]
pub enum LatentSize {
    /// A vector of so many dimensions.
    Dims(usize),
    /// Maps.
    Map(MapSize),
    /// Dimensions of each column.
    Each(EachSize),
}

/// A vector whose length follows the table's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EachSize {
    /// Dimensions for each column.
    pub column: usize,
}

/// Maps of a size that follows the image's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MapSize {
    /// Numbers at each place.
    pub channels: usize,
    /// What the image's sides are divided by: 1, 2, 4, 8 …
    pub factor: usize,
}

impl Default for LatentSize {
    fn default() -> Self {
        Self::Dims(16)
    }
}

impl LatentSize {
    /// The shape of a code for these samples.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key `latent` for a code without dimensions, a factor that is no power of two, or
    /// maps of what is no image.
    pub fn shape(self, context: &Context<'_>) -> Result<SampleShape, ConfigError> {
        let wrong = |what: String, remedy: &str| Err(ConfigError::value("latent", what, remedy));
        match self {
            Self::Dims(0) | Self::Map(MapSize { channels: 0, .. }) | Self::Each(EachSize { column: 0 }) => {
                wrong("0 latent dimensions".into(), "give at least 1")
            }
            Self::Dims(columns) => Ok(SampleShape::Vector { columns }),
            Self::Each(EachSize { column }) => match context.facts.shape {
                SampleShape::Vector { columns } => Ok(SampleShape::Vector { columns: column * columns }),
                SampleShape::Image { .. } => {
                    wrong("images have no columns".into(), "give { channels = 4, factor = 4 }, or a number")
                }
            },
            Self::Map(MapSize { channels, factor }) => match context.facts.shape {
                SampleShape::Image { height, width, .. } if factor.is_power_of_two() => {
                    // Halving with rounding up, so many times, is dividing with rounding up.
                    let [height, width] = [height, width].map(|side| side.div_ceil(factor));
                    Ok(SampleShape::Image { channels, height, width })
                }
                SampleShape::Image { .. } => {
                    wrong(format!("a factor of {factor}"), "give 1, 2, 4, 8 or another power of two")
                }
                SampleShape::Vector { columns } => wrong(
                    format!("maps need images, and these rows are vectors of {columns} columns"),
                    "give a number of dimensions",
                ),
            },
        }
    }
}

/// The same with so many times the channels, or dimensions.
pub(crate) fn times(shape: SampleShape, count: usize) -> SampleShape {
    match shape {
        SampleShape::Image { channels, height, width } => {
            SampleShape::Image { channels: channels * count, height, width }
        }
        SampleShape::Vector { columns } => SampleShape::Vector { columns: columns * count },
    }
}

/// The lengths of a shape's axes.
pub(crate) fn axes(shape: SampleShape) -> Vec<usize> {
    match shape {
        SampleShape::Image { channels, height, width } => vec![channels, height, width],
        SampleShape::Vector { columns } => vec![columns],
    }
}
