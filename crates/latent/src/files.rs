//! Files are written whole or not at all: to a temporary name beside the target, synced, then renamed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes `path` through `write`; after an error the old file, if there was one, is still there.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    let result = (|| {
        let mut file = io::BufWriter::new(File::create(&temporary)?);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        // The rename itself lasts only once the folder is on disk. Not every system can sync a folder.
        if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
            let _ = folder.sync_all();
        }
        Ok(())
    })();
    if result.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    result
}

/// Whether a folder takes a file: one of some size is written there and removed again. A disk without room takes the name
/// of a file, and nothing in it.
///
/// # Errors
/// What the system says.
pub fn takes_files(folder: &Path) -> io::Result<()> {
    const SIZE: usize = 1 << 18;
    let path = folder.join(format!(".writable.{}.tmp", std::process::id()));
    let result = File::create(&path).and_then(|mut file| {
        file.write_all(&vec![1; SIZE])?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    result
}

/// What the system refused, in words, with the remedy where there is a usual one.
pub fn refusal(path: &Path, source: &io::Error) -> String {
    let remedy = match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; nothing was lost: make room on the disk and go on (training: with --resume)"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; choose a place where you may write"
        }
        io::ErrorKind::NotADirectory | io::ErrorKind::AlreadyExists => {
            "; a file stands where a folder is needed"
        }
        _ => "",
    };
    format!("{}: {source}{remedy}", path.display())
}
