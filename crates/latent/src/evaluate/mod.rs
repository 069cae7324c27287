//! How good is a model? One file a question; the report of a run puts the answers into words and pictures.

mod chi_square;
pub mod compare;
pub mod disentanglement;
mod information;
mod jackknife;
pub mod latents;
mod logistic;
mod measure;
mod pca;
mod proportion;
mod regions;
mod report;
mod terms;
mod verdict;

pub use chi_square::chi_square_quantile;
pub use compare::compare;
pub use disentanglement::disentanglement;
pub use information::{Information, information};
pub use latents::latents;
pub use measure::{Better, Estimate, Measure, Section, Subject, Z_95};
pub use pca::Pca;
pub use proportion::proportion;
pub use regions::{bhattacharyya, holes, overlap};
pub use report::{RunReport, dimensions_by_rate, read_log, report};
pub use terms::{Mean, Terms, terms};
pub use verdict::{Findings, Verdict, verdicts};
