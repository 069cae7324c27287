//! What can go wrong while drawing.

use std::path::PathBuf;

/// Drawing or writing a picture or a report failed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message says what each field is")]
#[non_exhaustive]
pub enum FigureError {
    /// The operating system refused to write.
    #[error("{}", crate::files::refusal(path, source))]
    Io {
        /// The file that was to be written.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The numbers handed over cannot make this figure.
    #[error("figure `{figure}`: {what}; {remedy}")]
    Input {
        /// The figure that was to be drawn.
        figure: &'static str,
        /// What is wrong with the numbers.
        what: String,
        /// What to hand over instead.
        remedy: &'static str,
    },
    /// The file name ends in neither `.png` nor `.svg`.
    #[error("{}: a figure is written as .png or .svg; choose a name that ends so", path.display())]
    Extension {
        /// The name that was asked for.
        path: PathBuf,
    },
    /// The picture would be larger than can be rasterised.
    #[error("a picture of {width} × {height} pixels is too large; draw fewer images, or a smaller scale")]
    TooLarge {
        /// Width in pixels.
        width: u64,
        /// Height in pixels.
        height: u64,
    },
    /// The rasteriser or the PNG encoder failed.
    #[error("rasterising failed: {what}; the same figure can be written as .svg")]
    Raster {
        /// What it said.
        what: String,
    },
}

impl FigureError {
    /// Numbers that cannot make the figure.
    pub(super) fn input(figure: &'static str, what: impl Into<String>, remedy: &'static str) -> Self {
        Self::Input { figure, what: what.into(), remedy }
    }
}
