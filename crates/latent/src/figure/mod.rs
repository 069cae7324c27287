//! Pictures: grids of samples, curves, latent maps; the report.
//!
//! A figure is written once as SVG and rasterised from that same text, with a font that is compiled in, so
//! that it looks the same on every machine. This room knows no tensor and no model: it takes plain numbers
//! (images row-major in [0, 1], points, series), so that everything can be drawn from anything.
//!
//! ```text
//! grid, images            samples, reconstructions, interpolations, traversals
//! animation               ways between images that move
//! plot, curves            lines, points and bands over two axes; how training went
//! bars, histograms        values side by side; columns of a table
//! matrices                how pairs of columns hang together
//! codes, regions          the latent plane; contours: the prior in it
//! frame, axis             the axes of all of these; labels: where names of points go
//! canvas, font, palette   what is drawn with; render: from SVG to pixels and files
//! report                  one HTML page
//! ```

mod animation;
mod axis;
mod bars;
mod canvas;
mod codes;
mod contours;
mod curves;
mod error;
mod font;
mod frame;
#[cfg(test)]
mod gallery;
mod grid;
mod histograms;
mod images;
mod labels;
mod matrices;
mod palette;
mod plot;
mod regions;
mod render;
mod report;

pub use animation::Animation;
pub use bars::{BarGroup, Bars, bars};
pub use codes::{CodeMap, code_map};
pub use contours::{Contours, DensityGrid};
pub use curves::{CurvePanel, training_curves};
pub use error::FigureError;
pub use grid::{GridLabels, image_sheet, interpolation, pairs, reconstructions, sample_grid, traversal};
pub use histograms::{ColumnPair, column_histograms};
pub use images::Images;
pub use matrices::{Matrix, matrices};
pub use plot::{Axis, Line, Mark, Plot, Series, panels, plot};
pub use regions::{LatentView, Mosaic, Region, Regions, mosaic, regions, regions_and_mosaic};
pub use render::Figure;
pub use report::{Level, Picture, Report, Section, Shown, Table};
