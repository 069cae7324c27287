//! The engine of the Python package `latent`: what `python/latent` wraps.
//!
//! Everything here takes and gives plain things: arrays, strings, numbers. The GIL is let go around all work, a panic becomes
//! [`LatentError`](errors::LatentError), and errors keep their message.
//!
//! ```text
//! errors   the library's errors as Python's
//! arrays   numpy arrays as rows, read where they lie, and back
//! fit      training in a thread of its own: events, callbacks, Ctrl-C
//! model    a trained model at work
//! sampler  samplers fitted on a model's codes
//! table    rows of mixed columns, as words
//! judge    how good are samples, or runs
//! about    presets and settings
//! ```

mod about;
mod arrays;
mod errors;
mod fit;
mod judge;
mod model;
mod sampler;
mod table;

use pyo3::prelude::*;

/// The engine of `latent`.
#[pymodule]
mod _latent {
    use super::*;

    #[pymodule_export]
    use super::about::{devices, presets, settings};
    #[pymodule_export]
    use super::arrays::Rows;
    #[pymodule_export]
    use super::errors::LatentError;
    #[pymodule_export]
    use super::fit::fit;
    #[pymodule_export]
    use super::judge::{compare, evaluate, judge_files, judge_tables};
    #[pymodule_export]
    use super::model::{Figure, Model};
    #[pymodule_export]
    use super::sampler::{Sampler, fit_sampler, refine};
    #[pymodule_export]
    use super::table::{columns, decode_rows, draw_rows, fill_rows, reconstruct_rows};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
