//! A run folder: `run.toml`, `model.safetensors`, `metrics.jsonl`, `checkpoints/`, `events/`, `figures/`, `report.html`.
//!
//! It is new, or empty, or ours: its `.lock` says so, or, where version 0.1 or a copy left none that does, its `run.toml` is a
//! run that was resolved. Any other folder is refused. What is removed has exactly a name that a run gives.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::TrainError;
use crate::files::{clear_run, first_other, open_in_place, remove_ours, unfinished};

/// A run folder, locked against a second writer for as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// What `.lock` says.
const MARK: &str = "A run folder of latent, locked while it is trained.\n";

impl RunFolder {
    /// Refuses a folder that holds files which no run wrote; nothing is made or changed.
    ///
    /// # Errors
    /// [`TrainError::Foreign`], with one of them; what the file system says.
    pub fn check(path: &Path) -> Result<(), TrainError> {
        // What is no folder is refused where it would become one.
        if !path.is_dir() || Self::is_ours(path) {
            return Ok(());
        }
        // What a run leaves that is killed as it begins.
        let nothing = |entry: &fs::DirEntry| match entry.file_name().to_str() {
            Some(".lock") => entry.metadata().is_ok_and(|found| found.is_file() && found.len() == 0),
            Some("checkpoints") => entry.path().read_dir().is_ok_and(|mut inside| inside.next().is_none()),
            _ => false,
        };
        let Some(other) = first_other(path, &nothing).map_err(TrainError::read(path))? else { return Ok(()) };
        let (file, why) = match resolved(path) {
            Some(Err(why)) => ("run.toml".into(), format!(" ({why})")),
            _ => (other.into(), String::new()),
        };
        Err(TrainError::Foreign { path: path.into(), file, why })
    }

    /// Whether a run of ours lies, or has begun, in this folder.
    pub fn is_ours(path: &Path) -> bool {
        let lock = path.join(".lock");
        let small = |found: fs::Metadata| found.is_file() && found.len() < 4096;
        let marked = fs::symlink_metadata(&lock).is_ok_and(small)
            && fs::read(&lock).is_ok_and(|text| text.starts_with(MARK.as_bytes()));
        marked || matches!(resolved(path), Some(Ok(())))
    }

    /// Makes the folder if it is missing, takes its lock, and clears away what a killed writer left half-written.
    ///
    /// # Errors
    /// [`TrainError::Locked`] where another process trains into it; as [`RunFolder::check`]; what the file system says.
    pub fn open(path: &Path) -> Result<Self, TrainError> {
        Self::check(path)?;
        fs::create_dir_all(path).map_err(TrainError::io(path))?;
        let lock_path = path.join(".lock");
        let mut lock = open_in_place(&lock_path).map_err(TrainError::io(&lock_path))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Err(TrainError::Locked { path: path.into() }),
            Err(fs::TryLockError::Error(source)) => return Err(TrainError::Io { path: lock_path, source }),
        }
        if lock.metadata().is_ok_and(|found| found.len() == 0) {
            lock.write_all(MARK.as_bytes()).map_err(TrainError::io(&lock_path))?;
        }
        let folder = Self { path: path.into(), _lock: lock };
        let checkpoints = folder.checkpoints();
        fs::create_dir_all(&checkpoints).map_err(TrainError::io(&checkpoints))?;
        folder.clear();
        Ok(folder)
    }

    /// Removes what killed writers left half-written.
    fn clear(&self) {
        // These are written under the lock alone.
        remove_ours(&self.checkpoints(), &|name| {
            unfinished(name).is_some_and(|(file, _)| is_checkpoint(file))
        });
        remove_ours(&self.path, &|name| {
            unfinished(name).is_some_and(|(file, _)| matches!(file, "run.toml" | "model.safetensors"))
        });
        // These by other commands too.
        clear_run(&self.path);
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

    fn checkpoints(&self) -> PathBuf {
        self.path.join("checkpoints")
    }

    /// Takes back a run that has not begun. Folders that hold anything else stay, and stay ours.
    pub(crate) fn abandon(&self) {
        for file in [self.run(), self.first()] {
            let _ = fs::remove_file(file);
        }
        let _ = fs::remove_dir(self.checkpoints());
        if matches!(first_other(&self.path, &|entry| entry.file_name() == ".lock"), Ok(None)) {
            let _ = fs::remove_file(self.path.join(".lock"));
            let _ = fs::remove_dir(&self.path);
        }
    }

    pub(super) fn is_best(&self, path: &Path) -> bool {
        path.file_name().and_then(|name| name.to_str()).is_some_and(is_best)
    }

    /// Removes checkpoints. What cannot be removed stays: it only takes room.
    pub(crate) fn forget(&self, which: &dyn Fn(&Path) -> bool) {
        let checkpoints = self.checkpoints();
        remove_ours(&checkpoints, &|name| is_checkpoint(name) && which(&checkpoints.join(name)));
    }
}

/// Whether the folder's `run.toml` is a run that was resolved, by this or any other version; what it is instead.
fn resolved(path: &Path) -> Option<Result<(), String>> {
    let text = fs::read_to_string(Some(path.join("run.toml")).filter(|file| file.is_file())?);
    let table = text.map_err(|error| error.to_string()).and_then(|text| {
        text.parse::<Table>().map_err(|error| error.message().lines().next().unwrap_or_default().to_string())
    });
    Some(table.and_then(|table| {
        let is = |key: &str, kind: fn(&Value) -> bool| table.get(key).is_some_and(kind);
        let all = is("format", Value::is_integer)
            && is("program", Value::is_str)
            && is("data", Value::is_table)
            && is("facts", Value::is_table);
        all.then_some(()).ok_or_else(|| "that is not one that `latent train` writes".into())
    }))
}

fn is_checkpoint(name: &str) -> bool {
    const NAMES: [&str; 4] =
        ["last.safetensors", "planned.safetensors", "previous.safetensors", "first.safetensors"];
    NAMES.contains(&name) || is_best(name)
}

/// `best-STEP.safetensors`
fn is_best(name: &str) -> bool {
    name.strip_prefix("best-")
        .and_then(|rest| rest.strip_suffix(".safetensors"))
        .is_some_and(|step| !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_ours_or_has_nothing_to_lose() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let write = |name: &str, text: &str| {
            fs::create_dir_all(at(name).parent().unwrap()).unwrap();
            fs::write(at(name), text).unwrap();
        };
        let foreign = |name: &str| match RunFolder::open(&at(name)) {
            Err(TrainError::Foreign { file, why, .. }) => (file.display().to_string(), why),
            other => panic!("{name}: {other:?}"),
        };
        drop(RunFolder::open(&at("new/run")).unwrap());
        fs::create_dir(at("empty")).unwrap();
        drop(RunFolder::open(&at("empty")).unwrap());
        // Marked: again, even without a run.toml.
        assert!(RunFolder::is_ours(&at("empty")));
        write("empty/metrics.jsonl", "");
        drop(RunFolder::open(&at("empty")).unwrap());
        // Version 0.1, killed as it began; and with its run.toml.
        write("begun/.lock", "");
        fs::create_dir(at("begun/checkpoints")).unwrap();
        drop(RunFolder::open(&at("begun")).unwrap());
        let run = "format = 1\nprogram = '0.1.0'\n[data]\n[facts]\n";
        write("old/run.toml", run);
        write("old/checkpoints/last.safetensors", "");
        drop(RunFolder::open(&at("old")).unwrap());
        // Of somebody else.
        for (file, why) in [
            ("checkpoints/weights.pt", ""),
            (".lock", ""),
            ("metrics.jsonl", ""),
            ("figures/mine.png", ""),
            ("run.toml", "`latent train` writes"),
        ] {
            let folder = file.replace(['/', '.'], "-");
            write(&format!("{folder}/{file}"), "format = 'mine'");
            let (named, said) = foreign(&folder);
            assert!(file.starts_with(&named) && said.contains(why), "{file}: {named} {said}");
            assert_eq!(fs::read_to_string(at(&folder).join(file)).unwrap(), "format = 'mine'");
            assert_eq!(at(&folder).read_dir().unwrap().count(), 1, "{file}");
        }
        write("broken/run.toml", &run.replace("= 1", "="));
        write("broken/.lock", "");
        assert_eq!(foreign("broken").0, "run.toml");
    }

    #[test]
    fn only_what_a_run_writes_is_removed() {
        let root = tempfile::tempdir().unwrap();
        drop(RunFolder::open(root.path()).unwrap());
        let ours = [
            "checkpoints/last.safetensors.1.tmp",
            "checkpoints/previous.safetensors",
            "checkpoints/best-12.safetensors.77.tmp",
            "run.toml.1.tmp",
            "model.safetensors.1.tmp",
            "figures/codes.png.4294967294.tmp",
            "figures/interpolation.apng.4294967294.tmp",
            "report.html.4294967294.tmp",
            "samplers/maf.safetensors.4294967294.tmp",
        ];
        let theirs = [
            "checkpoints/notes.tmp",
            "checkpoints/best-one.safetensors",
            "checkpoints/best-one.safetensors.1.tmp",
            "checkpoints/other.safetensors",
            "checkpoints/last.safetensors.tmp",
            "model.safetensors.old.tmp",
            "figures/codes.png.tmp",
            "figures/codes.pdf.4294967294.tmp",
            "notes.4294967294.tmp",
        ];
        for folder in ["figures", "samplers"] {
            fs::create_dir(root.path().join(folder)).unwrap();
        }
        ours.iter().chain(&theirs).for_each(|name| fs::write(root.path().join(name), "").unwrap());
        let folder = RunFolder::open(root.path()).unwrap();
        folder.forget(&|_| true);
        let there =
            |names: &[&str]| -> Vec<bool> { names.iter().map(|n| root.path().join(n).exists()).collect() };
        assert_eq!(there(&ours), [false; 9]);
        assert_eq!(there(&theirs), [true; 9]);
    }

    #[test]
    #[cfg(unix)]
    fn a_lock_that_leads_elsewhere_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let (theirs, run) = (root.path().join("theirs"), root.path().join("run"));
        drop(RunFolder::open(&run).unwrap());
        fs::write(run.join("run.toml"), "format = 1\nprogram = ''\n[data]\n[facts]\n").unwrap();
        fs::write(&theirs, "precious").unwrap();
        fs::remove_file(run.join(".lock")).unwrap();
        std::os::unix::fs::symlink(&theirs, run.join(".lock")).unwrap();
        let error = RunFolder::open(&run).unwrap_err().to_string();
        assert!(error.contains(".lock") && error.contains("link"), "{error}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "precious");
    }
}
