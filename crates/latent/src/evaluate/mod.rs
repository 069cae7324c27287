//! How good is a model? One file a question; the report of a run puts the answers into words and pictures.

pub mod anomaly;
mod chi_square;
pub mod compare;
pub mod disentanglement;
mod evaluation;
pub mod features;
mod information;
mod jackknife;
mod judged;
pub mod latents;
pub mod likelihood;
mod logistic;
mod measure;
mod memorisation;
mod pca;
pub mod reconstruction;
mod regions;
mod report;
mod sampled;
pub mod samples;
mod terms;
mod tsne;
mod verdict;

pub use anomaly::anomaly;
pub use chi_square::chi_square_quantile;
pub use compare::compare;
pub use disentanglement::disentanglement;
pub use evaluation::{Call, Evaluation, PictureFile, Question, checksum, questions};
pub use information::{Information, information};
pub use latents::latents;
pub use likelihood::likelihood;
pub use measure::{Better, Measure, Section, Subject};
pub use memorisation::{copying_score, memorisation};
pub use pca::Pca;
pub use reconstruction::reconstruction;
pub use regions::{bhattacharyya, holes, overlap};
pub use report::{RunReport, dimensions_by_rate, read_log, report};
pub use samples::samples;
pub use terms::{Terms, terms};
pub use tsne::tsne;
pub use verdict::{Findings, Verdict, verdicts};

pub use crate::estimate::{Estimate, Mean, Z_95};
pub use crate::proportion::proportion;
