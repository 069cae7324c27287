//! What can go wrong with a model in use.

/// A model was asked for what it cannot give.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum ModelError {
    /// The model has no density to score with.
    #[error("{what}; {remedy}")]
    NoDensity { what: String, remedy: String },
    /// Too many codes to sum over.
    #[error(
        "P(x) by enumeration needs a sum over 2^{bits} codes; at most 2^{most} are summed: use `latent score`, which samples"
    )]
    TooManyCodes { bits: usize, most: usize },
    /// The numbers do not fit the model.
    #[error("{what}: {found} numbers a row, and the model has {wanted}; {remedy}")]
    Shape { what: String, found: usize, wanted: usize, remedy: String },
    /// Foreign rows do not fit the model.
    #[error("{what}; {remedy}")]
    Foreign { what: String, remedy: String },
    /// Rows of a table have no picture.
    #[error("rows of {columns} columns are not pictures; write .csv or .npy instead")]
    NoPicture { columns: usize },
    /// No writer for that ending.
    #[error("{}: nothing writes `.{extension}`; end the path in .png, .svg, .npy, .csv, or nothing for a folder", path.display())]
    Output { path: std::path::PathBuf, extension: String },
}
