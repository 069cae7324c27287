//! A run folder: `run.toml`, `model.safetensors`, `metrics.jsonl`, `checkpoints/`, `figures/`, `report.html`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::TrainError;

/// A run folder, locked against a second writer for as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// Makes the folder if it is missing and takes its lock.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(&checkpoints))?;
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(TrainError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.into(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(TrainError::Locked { path: path.into() }),
            Err(fs::TryLockError::Error(source)) => Err(TrainError::Io { path: lock_path, source }),
        }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The resolved Run.
    pub fn run(&self) -> PathBuf {
        self.path.join("run.toml")
    }

    /// The trained model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// The log.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Pictures.
    pub fn figures(&self) -> PathBuf {
        self.path.join("figures")
    }

    /// The last checkpoint.
    pub fn last(&self) -> PathBuf {
        self.path.join("checkpoints/last.safetensors")
    }

    /// The weights with the best validation.
    pub fn best(&self) -> PathBuf {
        self.path.join("checkpoints/best.safetensors")
    }
}
