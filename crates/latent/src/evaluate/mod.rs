//! How good is a model? One file a question; the report of a run puts the answers into words and pictures.

pub mod anomaly;
mod chi_square;
mod evaluation;
pub mod features;
mod information;
mod judged;
pub mod latents;
pub mod likelihood;
mod logistic;
mod measure;
mod pca;
mod proportion;
pub mod reconstruction;
mod regions;
mod report;
pub mod samples;
mod terms;
mod verdict;

pub use anomaly::anomaly;
pub use chi_square::chi_square_quantile;
pub use evaluation::{Evaluation, PictureFile, Question, checksum, questions};
pub use information::{Information, information};
pub use latents::latents;
pub use likelihood::likelihood;
pub use measure::{Better, Estimate, Measure, Section, Subject, Z_95};
pub use pca::Pca;
pub use proportion::proportion;
pub use reconstruction::reconstruction;
pub use regions::{bhattacharyya, holes, overlap};
pub use report::{RunReport, dimensions_by_rate, read_log, report};
pub use samples::samples;
pub use terms::{Mean, Terms, terms};
pub use verdict::{Findings, Verdict, verdicts};
