//! A run folder: `run.toml`, `model.safetensors`, `metrics.jsonl`, `checkpoints/`, `events/`, `figures/`, `report.html`.

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
    /// Makes the folder if it is missing, takes its lock, and clears away what a killed writer left half-written.
    ///
    /// # Errors
    /// [`TrainError::Locked`] where another process trains into it; what the file system says.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        let checkpoints = path.join("checkpoints");
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(&checkpoints))?;
        let lock_path = path.join(".lock");
        let lock = File::create(&lock_path).map_err(TrainError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(TrainError::Locked { path: path.into() }),
            Err(fs::TryLockError::Error(source)) => return Err(TrainError::Io { path: lock_path, source }),
        }
        let folder = Self { path: path.into(), _lock: lock };
        folder.forget(&|path| path.extension().is_some_and(|extension| extension == "tmp"));
        for file in [folder.run(), folder.model()] {
            let stem = format!("{}.", name(&file));
            remove(path, &|path| name(path).starts_with(&stem) && name(path).ends_with(".tmp"));
        }
        Ok(folder)
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

    /// What TensorBoard reads.
    pub fn events(&self) -> PathBuf {
        self.path.join("events")
    }

    /// Pictures.
    pub fn figures(&self) -> PathBuf {
        self.path.join("figures")
    }

    /// The last checkpoint.
    pub fn last(&self) -> PathBuf {
        self.path.join("checkpoints/last.safetensors")
    }

    /// The last planned checkpoint, where the last one is not.
    pub fn planned(&self) -> PathBuf {
        self.path.join("checkpoints/planned.safetensors")
    }

    /// The planned checkpoint before the last one.
    pub fn previous(&self) -> PathBuf {
        self.path.join("checkpoints/previous.safetensors")
    }

    /// Whether there is a checkpoint to go on from.
    pub fn has_checkpoint(&self) -> bool {
        [self.last(), self.planned(), self.previous()].iter().any(|path| path.exists())
    }

    /// The weights that a run starts from, where they are another run's.
    pub fn first(&self) -> PathBuf {
        self.path.join("checkpoints/first.safetensors")
    }

    /// The weights with the best validation, after that step.
    pub fn best(&self, step: u64) -> PathBuf {
        self.path.join(format!("checkpoints/best-{step}.safetensors"))
    }

    /// Takes back a run that has not begun. Folders that hold anything else stay.
    pub(crate) fn abandon(&self) {
        for file in [self.run(), self.first(), self.path.join(".lock")] {
            let _ = fs::remove_file(file);
        }
        let _ = fs::remove_dir(self.path.join("checkpoints"));
        let _ = fs::remove_dir(&self.path);
    }

    pub(super) fn is_best(&self, path: &Path) -> bool {
        name(path).starts_with("best-")
    }

    /// Removes checkpoints. What cannot be removed stays: it only takes room.
    pub(crate) fn forget(&self, which: &dyn Fn(&Path) -> bool) {
        remove(&self.path.join("checkpoints"), which);
    }
}

fn remove(folder: &Path, which: &dyn Fn(&Path) -> bool) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if which(&entry.path()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn name(path: &Path) -> std::borrow::Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}
