//! Tables.
mod bins;
pub mod columns;
pub mod detection;
mod ridge;
pub mod shape;
pub mod trend;
mod trees;
