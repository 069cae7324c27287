//! What is kept: named arrays with a header, in one safetensors file, written whole or not at all.

mod error;
mod model;
mod tensors;

pub use error::StoreError;
pub use model::Model;
pub use tensors::TensorFile;
pub(crate) use tensors::TensorWriter;
pub(crate) use tensors::take_weights;
