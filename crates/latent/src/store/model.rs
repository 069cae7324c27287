//! The model file: weights and the resolved Run that built them, in one safetensors file.
//!
//! Loading builds the model from its Run and fills in the weights; nothing in the file executes, and it loads on any device.

use std::path::{Path, PathBuf};

use super::{StoreError, TensorFile};
use crate::config::{FORMAT, Run};
use crate::device::Device;
use crate::error::Result;
use crate::model::{LatentModel, Registry, View, build};
use crate::train::{put_weights, take_weights};
use crate::weights::Weights;

/// A trained model: `Send + Sync`, without global state.
pub struct Model {
    /// What it came from.
    pub run: Run,
    /// Its functions.
    pub model: LatentModel,
    /// Its numbers.
    pub weights: Weights,
}

impl Model {
    /// Loads a model file, or the model of a run folder, on the processor.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &Device::cpu(), &Registry::default())
    }

    /// Loads a model on a device, with members of one's own.
    pub fn load_with(path: impl AsRef<Path>, device: &Device, registry: &Registry) -> Result<Self> {
        let path = model_path(path.as_ref());
        Self::from_file(&TensorFile::load(&path)?, &path, device, registry)
    }

    /// Reads the bytes of a model file; `path` is for messages.
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::from_file(&TensorFile::parse(bytes, path)?, path, &Device::cpu(), &Registry::default())
    }

    fn from_file(file: &TensorFile, path: &Path, device: &Device, registry: &Registry) -> Result<Self> {
        let foreign = |what: String| StoreError::Foreign { path: path.into(), what };
        let version: u32 =
            file.header("latent", path)?.parse().map_err(|_| foreign("its format is not a number".into()))?;
        if version > FORMAT {
            return Err(StoreError::Newer { path: path.into(), found: version, known: FORMAT }.into());
        }
        let run = Run::from_toml(file.header("run", path)?, path)?;
        let (model, mut weights) = build(&run, registry, device)?;
        take_weights(file, "weights", &mut weights).map_err(|what| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "the file does not hold the model that its header describes: train anew".into(),
        })?;
        Ok(Self { run, model, weights })
    }

    /// Writes a model file, whole or not at all.
    pub fn save(run: &Run, weights: &Weights, path: &Path) -> Result<()> {
        let mut file = TensorFile::default();
        file.header.insert("latent".into(), FORMAT.to_string());
        file.header.insert("run".into(), run.without_statistics().to_toml()?);
        put_weights(&mut file, "weights", weights);
        Ok(file.save(path)?)
    }

    /// The model for use.
    pub fn view(&self) -> View<'_> {
        View::evaluation(&self.model, &self.weights)
    }

    /// Gives its arrays to `weights` where path and shape are the same; how many of how many.
    pub(crate) fn give_weights(&self, weights: &mut Weights) -> (usize, usize) {
        let wanted: Vec<_> =
            weights.iter().map(|(id, w)| (id, w.path().to_string(), w.shape().to_vec())).collect();
        let all = wanted.len();
        let mut taken = 0;
        for (id, path, shape) in wanted {
            if let Some((_, own)) = self.weights.iter().find(|(_, w)| w.path() == path && w.shape() == shape)
            {
                weights.set_values(id, own.values());
                taken += 1;
            }
        }
        (taken, all)
    }
}

/// A run folder stands for the model in it.
fn model_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("model.safetensors") } else { path.into() }
}
