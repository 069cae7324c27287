//! Pictures: grids of samples, curves, latent maps; the report.

mod error;

pub use error::FigureError;
