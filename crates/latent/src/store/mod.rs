//! What is kept: named arrays with a header, in one safetensors file, written whole or not at all. Nothing in a file executes.
//!
//! Beside it, graphs of operations for other runtimes ([`onnx`]), which are written and never read.
//!
//! What stands in which file is said where it is written: checkpoints in `train`, samplers in `generate`, models in `run`.

mod error;
pub mod onnx;
mod tensors;

pub use error::StoreError;
pub use tensors::TensorFile;
pub(crate) use tensors::{TensorWriter, read_header, take_kept, take_weights};
