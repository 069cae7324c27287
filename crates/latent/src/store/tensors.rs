//! A safetensors file: a header of strings and named f32 arrays. Nothing in it executes.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

use super::StoreError;
use crate::array::Array;
use crate::files::write_whole;

/// Header and arrays of one file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TensorFile {
    /// Strings by name.
    pub header: HashMap<String, String>,
    /// Arrays by name.
    pub arrays: HashMap<String, Array>,
}

impl TensorFile {
    /// Writes the file whole or not at all.
    pub fn save(&self, path: &Path) -> Result<(), StoreError> {
        let bytes: Vec<(&String, &Array, Vec<u8>)> = self
            .arrays
            .iter()
            .map(|(name, array)| (name, array, array.values.iter().flat_map(|v| v.to_le_bytes()).collect()))
            .collect();
        let malformed = |what: String| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "report this as a bug".into(),
        };
        let views = bytes
            .iter()
            .map(|(name, array, bytes)| {
                TensorView::new(Dtype::F32, array.shape.clone(), bytes).map(|view| (name.as_str(), view))
            })
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| malformed(error.to_string()))?;
        let file =
            serialize(views, Some(self.header.clone())).map_err(|error| malformed(error.to_string()))?;
        write_whole(path, |out| out.write_all(&file))
            .map_err(|source| StoreError::Io { path: path.into(), source })
    }

    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, StoreError> {
        let bytes = std::fs::read(path).map_err(|source| StoreError::Io { path: path.into(), source })?;
        Self::parse(&bytes, path)
    }

    /// Reads the bytes of a file; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self, StoreError> {
        let malformed = |what: String| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "the file is damaged or cut short: copy it again, or train anew".into(),
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| malformed(format!("not a readable safetensors file ({e})")))?;
        let tensors = SafeTensors::deserialize(bytes)
            .map_err(|e| malformed(format!("not a readable safetensors file ({e})")))?;
        let mut arrays = HashMap::new();
        for (name, view) in tensors.tensors() {
            if view.dtype() != Dtype::F32 {
                return Err(StoreError::Foreign {
                    path: path.into(),
                    what: format!("array `{name}` is {:?}, not f32", view.dtype()),
                });
            }
            let values =
                view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            arrays.insert(name, Array { shape: view.shape().to_vec(), values });
        }
        Ok(Self { header: metadata.metadata().clone().unwrap_or_default(), arrays })
    }

    /// The header's `key`, or an error that says that the file is not one of ours.
    pub fn header(&self, key: &str, path: &Path) -> Result<&str, StoreError> {
        self.header.get(key).map(String::as_str).ok_or_else(|| StoreError::Foreign {
            path: path.into(),
            what: format!("`{key}` is missing from its header"),
        })
    }
}
