//! How good is a model? One file a question; the report of a run puts the answers into words and pictures.

mod chi_square;
pub mod features;
mod information;
mod measure;
mod memorisation;
mod pca;
pub mod reconstruction;
mod regions;
mod report;
pub mod samples;
mod terms;
mod verdict;

pub use chi_square::chi_square_quantile;
pub use information::{Information, information};
pub use measure::{Better, Estimate, Measure, Section, Subject, Z_95};
pub use memorisation::{copying_score, memorisation};
pub use pca::Pca;
pub use reconstruction::reconstruction;
pub use regions::{bhattacharyya, holes, overlap};
pub use report::{RunReport, dimensions_by_rate, read_log, report};
pub use samples::samples;
pub use terms::{Mean, Terms, terms};
pub use verdict::{Findings, Verdict, verdicts};
