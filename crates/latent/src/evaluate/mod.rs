//! How good is a model? One file a question; the report of a run puts the answers into words and pictures.

mod pca;
mod report;
mod terms;
mod verdict;

pub use pca::Pca;
pub use report::{RunReport, dimensions_by_rate, read_log, report};
pub use terms::{Mean, Terms, terms};
pub use verdict::{Findings, Verdict, verdicts};
