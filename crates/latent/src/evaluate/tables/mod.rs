//! Tables as people have them, real against synthetic: plain functions over typed columns, which know no model, so that they
//! judge anybody's rows.
//!
//! ```text
//! columns               what is compared, and how two tables are brought to one set of levels
//! shape, trend          columns alone; columns in pairs
//! detection             can anybody tell? boosted trees (bins, trees), lines (ridge)
//! fidelity, privacy     where rows lie among each other (neighbours)
//! utility               what can be learned from them
//! kept                  gaps, rare categories, ranges, intervals
//! copula                a baseline without training
//! judge, measured, said all of it, in numbers and in words
//! pictures              marginals over each other, dependence side by side
//! read                  two files of anybody's
//! ```

mod bins;
mod columns;
mod copula;
mod detection;
mod fidelity;
mod judge;
mod kept;
mod measured;
mod neighbours;
mod pictures;
mod privacy;
#[cfg(test)]
mod protocol;
mod read;
mod ridge;
mod said;
mod shape;
mod trees;
mod trend;
mod utility;

pub use columns::{Column, Columns, GAP, TableError, align};
pub use copula::Copula;
pub use detection::{boosted, logistic};
pub use fidelity::{Fidelity, fidelity};
pub use judge::{ColumnReport, Effort, PairReport, TableFigure, TableReport, judge};
pub use kept::{Rare, coverage, gap_rates, invented, rare};
pub use pictures::page;
pub use privacy::{copies, membership, membership_by_scores, nearer_to_training};
pub use read::{Kinds, read};
pub use said::{Finding, Tone};
pub use shape::{column_shape, kolmogorov_smirnov, per_cent, shape, total_variation};
pub use trend::{Edges, Pair, association, pearson, trend};
pub use utility::utility;
