//! What can go wrong with a sampler.

use std::path::PathBuf;

/// A sampler cannot be fitted, found, or drawn from as asked.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum SamplerError {
    /// The sampler is for other codes.
    #[error("the sampler `{sampler}` {what}; {remedy}")]
    Unsuitable { sampler: String, what: String, remedy: String },
    /// There are not enough codes.
    #[error("{what}: {rows} rows, and at least {wanted} are needed; {remedy}")]
    TooFew { what: String, rows: usize, wanted: usize, remedy: String },
    /// Codes are not finite.
    #[error(
        "the code of row {row} is NaN or infinite, so no sampler can be fitted; train the model anew with a lower \
         train.optimizer.learning_rate or train.clip = 1.0"
    )]
    NotFinite { row: u64 },
    /// No such sampler was fitted.
    #[error("{}: the sampler `{name}` has not been fitted; fit it with: latent fit-sampler {} --sampler {name}", path.display(), run.display())]
    Missing { path: PathBuf, run: PathBuf, name: String },
    /// It was fitted before, and what is fitted is not thrown away unasked.
    #[error("{}: the sampler `{name}` is fitted already; add --force to fit it anew", path.display())]
    Exists { path: PathBuf, name: String },
    /// It was fitted on another model's codes.
    #[error("{}: fitted on another state of this model (it has been trained since); fit it anew with: latent fit-sampler {} --sampler {name} --force", path.display(), run.display())]
    Stale { path: PathBuf, run: PathBuf, name: String },
    /// Something else lies where a sampler would be written.
    #[error("{}: {what}; move it away, or choose another run folder", path.display())]
    Occupied { path: PathBuf, what: String },
    /// The file is not a fit of that sampler.
    #[error("{}: {what}; fit the sampler anew, with --force", path.display())]
    Damaged { path: PathBuf, what: String },
    /// What is asked of a draw makes no sense, or not for this sampler.
    #[error("{what}; {remedy}")]
    Request { what: String, remedy: String },
    /// The density is needed and there is none.
    #[error("the sampler `{sampler}` has no density, so it is no prior to score with; score with {remedy}")]
    NoDensity { sampler: String, remedy: String },
}
