//! How good is a model? Questions, each answered by a [`Section`] of [`Measure`]s with their intervals; the report of a run
//! puts the answers into words and pictures.
//!
//! ```text
//! likelihood/       how probable is held-out data?
//! latents/          what do the codes hold, and how do they lie against the prior? (regions: overlap and holes)
//! reconstruction/   what survives the code?
//! samples/          how like the data are the samples? on features/ of pictures
//! conditions        do samples show what they were told?
//! memorisation      are samples copies of training rows?
//! anomaly/          does it tell foreign rows from its own?
//! disentanglement/  does each dimension know one factor?
//! compare/          which run is better, and is it more than chance?
//! tables/           synthetic rows of mixed columns beside real ones, whoever made them
//!
//! training_rows     are these rows a test, or has the model learned them?
//! measure           what a question takes (a Subject) and gives
//! terms             the terms of the loss on held-out rows
//! power             how much fine detail pictures have beside the data
//! statistics/       tools on plain numbers that several questions share
//! evaluation        all questions of a run, kept in its folder; headlines: the numbers that a screen has room for
//! report            the page of a run: pictured, sampled, bits, named and judged are parts of it, verdict its words
//! ```

pub mod anomaly;
mod bits;
pub mod compare;
mod conditions;
pub mod disentanglement;
mod evaluation;
pub mod features;
mod headlines;
mod judged;
pub mod latents;
pub mod likelihood;
mod measure;
mod memorisation;
mod named;
mod pictured;
pub mod power;
pub mod reconstruction;
mod regions;
mod report;
mod sampled;
pub mod samples;
mod statistics;
pub mod tables;
mod terms;
mod training_rows;
mod verdict;

pub use anomaly::anomaly;
pub use compare::compare;
pub use conditions::conditions;
pub use disentanglement::disentanglement;
pub use evaluation::{Call, Evaluation, Failed, PictureFile, Question, checksum, questions};
pub use headlines::gist;
pub use latents::latents;
pub use likelihood::likelihood;
pub use measure::{Better, Measure, Section, Subject};
pub use memorisation::{copying_score, memorisation};
pub use reconstruction::reconstruction;
pub use regions::{bhattacharyya, holes, overlap};
pub use report::{RunReport, dimensions_by_rate, is_current, labelled, read_log, report};
pub use samples::samples;
pub use statistics::chi_square::chi_square_quantile;
pub use statistics::information::{Information, information};
pub use statistics::pca::Pca;
pub use statistics::tsne::tsne;
pub use statistics::umap::{Umap, trust};
pub use terms::{Terms, terms};
pub use training_rows::Overlap;
pub use verdict::{Findings, Verdict, verdicts};

pub use crate::estimate::{Estimate, Mean, Z_95};
pub use crate::proportion::proportion;
