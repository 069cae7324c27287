//! What there is to choose from, from the same source as the command's help.

use latent::Registry;
use latent::device::Device;
use latent::run::sections;
use pyo3::prelude::*;

/// The presets: name, what it is, the paper.
#[pyfunction]
pub fn presets() -> Vec<(String, String, String)> {
    latent::run::presets().iter().map(|preset| (preset.name.into(), preset.about(), preset.paper())).collect()
}

/// Every section of settings, as JSON.
#[pyfunction]
pub fn settings() -> PyResult<String> {
    serde_json::to_string(&sections(&Registry::default()))
        .map_err(|error| crate::errors::LatentError::new_err(error.to_string()))
}

/// The names of the devices present, best last.
#[pyfunction]
pub fn devices() -> Vec<String> {
    Device::present()
}
