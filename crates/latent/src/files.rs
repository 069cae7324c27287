//! Files and folders are written whole or not at all: under a temporary name beside the target, synced, then renamed.
//!
//! `NAME.PID.tmp` is what is being written, `NAME.PID.old` a folder on its way out. Nothing else is ever removed, and
//! nothing is reached through a symbolic link: what it leads to is somebody else's.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Writes `path` through `write`; after an error the old file, if there was one, is still there.
pub fn write_whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let temporary = beside(path, "tmp");
    // Only a process that was killed and had our number can have left one.
    let _ = fs::remove_file(&temporary);
    let result = (|| {
        let file = OpenOptions::new().write(true).create_new(true).open(&temporary)?;
        let mut file = io::BufWriter::new(file);
        write(&mut file)?;
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        fs::rename(&temporary, path)?;
        sync_folder_of(path);
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

/// Writes the folder `path` through `write`, which gets a new folder beside it. A folder that stands there is replaced: its
/// files go if their names are `ours`, as all must be. After an error it is as it was. The outer error is the system's, the
/// inner one `write`'s own.
pub fn write_folder<E>(
    path: &Path,
    ours: &dyn Fn(&str) -> bool,
    write: impl FnOnce(&Path) -> Result<(), E>,
) -> io::Result<Result<(), E>> {
    // Where a link leads to a folder, that folder is replaced and the link stays.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
    let (new, old) = (beside(&path, "tmp"), beside(&path, "old"));
    let clear = |folder: &Path| {
        remove_ours(folder, ours);
        let _ = fs::remove_dir(folder);
    };
    clear(&new);
    fs::create_dir(&new)?;
    if let Err(error) = write(&new) {
        clear(&new);
        return Ok(Err(error));
    }
    let replaces = path.is_dir();
    let swapped = (|| {
        if replaces {
            fs::rename(&path, &old)?;
        }
        fs::rename(&new, &path).inspect_err(|_| {
            if replaces {
                let _ = fs::rename(&old, &path);
            }
        })
    })();
    if swapped.is_err() {
        clear(&new);
    } else if replaces {
        clear(&old);
    }
    sync_folder_of(&path);
    swapped.map(Ok)
}

/// `NAME.PID.what` in the folder of `path`.
fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.{what}", std::process::id()));
    path.with_file_name(name)
}

/// A rename lasts only once the folder is on disk. Not every system can sync a folder.
fn sync_folder_of(path: &Path) {
    if let Some(folder) = path.parent().and_then(|folder| File::open(folder).ok()) {
        let _ = folder.sync_all();
    }
}

/// Opens a file that is written in place, and makes it if need be. Nothing is cut off.
pub fn open_in_place(path: &Path) -> io::Result<File> {
    if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other(
            "this is a link or no regular file, and is not written through; move it away",
        ));
    }
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
}

/// Removes regular files of `folder` whose name is `ours`; what cannot be removed stays, as it only takes room.
pub fn remove_ours(folder: &Path, ours: &dyn Fn(&str) -> bool) {
    if !fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        if is_file && entry.file_name().to_str().is_some_and(ours) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Removes what writers that were killed left of files whose name is `ours`. One that may still be written stays.
fn remove_unfinished(folder: &Path, ours: &dyn Fn(&str) -> bool) {
    remove_ours(folder, &|name| {
        unfinished(name).is_some_and(|(target, writer)| ours(target) && !is_running(writer))
    });
}

/// Removes what commands that were killed left half-written of what they keep beside a model in a run folder.
pub fn clear_run(run: &Path) {
    remove_unfinished(run, &|file| {
        matches!(file, "report.html" | "evaluation.json" | "evaluation-rows.csv" | ".writable")
    });
    remove_unfinished(&run.join("figures"), &|name| {
        let stem = [".png", ".svg", ".apng"].iter().find_map(|ending| name.strip_suffix(ending));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
        stem.is_some_and(|stem| !stem.is_empty() && stem.chars().all(plain))
    });
    for folder in ["samplers", "directions"] {
        remove_unfinished(&run.join(folder), &|file| file == "chosen.toml" || file.ends_with(".safetensors"));
    }
}

/// The file that [`write_whole`] was to write under this temporary name, and the process that did.
pub fn unfinished(name: &str) -> Option<(&str, u32)> {
    let (target, writer) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
    Some((target, writer.parse().ok()?))
}

/// Whether another process of that number is there, where the system says so.
fn is_running(process: u32) -> bool {
    process != std::process::id() && Path::new("/proc").join(process.to_string()).exists()
}

/// The first entry of a folder, by name, that is not `ours`; none in a folder that is not there.
pub fn first_other(folder: &Path, ours: &dyn Fn(&fs::DirEntry) -> bool) -> io::Result<Option<OsString>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut first: Option<OsString> = None;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        if !ours(&entry) && first.as_ref().is_none_or(|first| name < *first) {
            first = Some(name);
        }
    }
    Ok(first)
}

/// What the system refused to write, in words, with the remedy where there is a usual one.
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

/// What the system refused to read, as [`refusal`].
pub fn unreadable(path: &Path, source: &io::Error) -> String {
    let remedy = match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; you may not read it: change its permissions, or give a copy of yours"
        }
        io::ErrorKind::NotADirectory => "; a file stands where a folder is needed",
        _ => "",
    };
    format!("{}: {source}{remedy}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_folder_is_replaced_whole_or_stays_as_it_was() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("out");
        let fill = |word: &'static str, then: Result<(), &'static str>| {
            write_folder(&folder, &|_| true, move |new| {
                fs::write(new.join("a"), word).unwrap();
                fs::write(new.join(word), word).unwrap();
                then
            })
            .unwrap()
        };
        assert_eq!(fill("half", Err("no room")), Err("no room"));
        assert_eq!(first_other(root.path(), &|_| false).unwrap(), None);
        assert_eq!(fill("one", Ok(())), Ok(()));
        assert_eq!(fill("half", Err("no room")), Err("no room"));
        assert_eq!((text(&folder.join("a")), text(&folder.join("one"))), ("one".into(), "one".into()));
        assert_eq!(fill("two", Ok(())), Ok(()));
        assert_eq!(text(&folder.join("a")), "two");
        assert!(!folder.join("one").exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing lies beside it");
    }

    #[test]
    #[cfg(unix)]
    fn links_are_neither_followed_nor_removed() {
        use std::os::unix::fs::symlink;
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::write(at("theirs"), "precious").unwrap();
        symlink(at("theirs"), at("link")).unwrap();
        symlink(at("nowhere"), at("dangling")).unwrap();
        for name in ["link", "dangling"] {
            let error = open_in_place(&at(name)).unwrap_err().to_string();
            assert!(error.contains("link") && error.contains("move it away"), "{error}");
        }
        // A link under the temporary name of the file that is written.
        symlink(at("theirs"), at(&format!("x.{}.tmp", std::process::id()))).unwrap();
        write_whole(&at("x"), |out| out.write_all(b"ours")).unwrap();
        assert_eq!((text(&at("theirs")), text(&at("x"))), ("precious".into(), "ours".into()));
        // A folder that is reached through a link, and a link within a folder.
        fs::create_dir(at("folder")).unwrap();
        fs::write(at("folder/mine"), "").unwrap();
        symlink(at("theirs"), at("folder/other")).unwrap();
        symlink(at("folder"), at("way")).unwrap();
        remove_ours(&at("way"), &|_| true);
        assert!(at("folder/mine").exists());
        remove_ours(&at("folder"), &|_| true);
        assert!(!at("folder/mine").exists() && at("folder/other").exists());
        assert_eq!(text(&at("theirs")), "precious");
    }

    #[test]
    fn only_what_dead_writers_left_of_our_files_is_removed() {
        let root = tempfile::tempdir().unwrap();
        // No process has a number that great.
        let (dead, own) = ("x.png.4294967294.tmp", format!("x.png.{}.tmp", std::process::id()));
        let stay = ["x.png", "x.png.tmp", "x.png.-1.tmp", "y.png.4294967294.tmp", ".tmp", "notes.tmp"];
        for name in stay.iter().copied().chain([dead, &own]) {
            fs::write(root.path().join(name), "").unwrap();
        }
        remove_unfinished(root.path(), &|name| name == "x.png");
        let mut left: Vec<_> = fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        let mut expected: Vec<OsString> = stay.iter().map(OsString::from).collect();
        left.sort();
        expected.sort();
        assert_eq!(left, expected);
    }
}
