//! General tools of statistics: each takes plain numbers and knows no model. The questions beside this folder use them.
//!
//! - what a number may be by chance: [`jackknife`], [`student`] (t-tests, Holm's correction), [`chi_square`]
//! - what one thing tells of another: [`information`]
//! - points seen from where they differ most: [`pca`], [`tsne`], [`umap`]

pub(super) mod chi_square;
pub(super) mod information;
pub(super) mod jackknife;
pub(super) mod pca;
pub(super) mod student;
pub(super) mod tsne;
pub(super) mod umap;
