//! Bytes that can be read by position, on disk or in memory.
//!
//! Files larger than memory are read with `pread`: no seek, no lock, no mapping, so that any number of threads
//! read one file at once.

use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::DataError;

/// What tells whether a file was written to: its size, and when it was changed last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stamp {
    pub length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self { length: metadata.len(), modified: metadata.modified().ok() }
    }

    /// What happened to a file that is `now` so, if anything.
    pub(crate) fn change(self, now: Self) -> Option<String> {
        if self.length != now.length {
            return Some(format!("it was {} bytes long and became {}", self.length, now.length));
        }
        (self != now).then(|| "it was written to".into())
    }
}

/// Opens a regular file. Nothing else is opened: a pipe would block, a device never end.
pub(crate) fn open_regular(path: &Path) -> Result<(File, Metadata), DataError> {
    let io = |source| DataError::io(path, source);
    let special = |metadata: &Metadata| {
        let what = format!("it is {}, not a file", sort_of(metadata));
        DataError::malformed(
            path,
            what,
            "give a regular file: what comes from a pipe or a device, write to one first",
        )
    };
    let before = fs::metadata(path).map_err(io)?;
    if !before.is_file() {
        return Err(special(&before));
    }
    let file = File::open(path).map_err(io)?;
    let metadata = file.metadata().map_err(io)?;
    // Another may have taken its place.
    if metadata.is_file() { Ok((file, metadata)) } else { Err(special(&metadata)) }
}

/// What something in a folder is, in words.
pub(crate) fn sort_of(metadata: &Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        } else if kind.is_socket() {
            return "a socket";
        } else if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    if metadata.is_dir() { "a folder" } else { "something else" }
}

/// Bytes that another owns.
pub trait Bytes: AsRef<[u8]> + Send + Sync {}

impl<T: AsRef<[u8]> + Send + Sync> Bytes for T {}

/// Bytes that can be read by position.
pub(crate) enum Storage {
    /// Decompressed, embedded or given.
    Memory(Vec<u8>),
    /// In memory that another owns.
    Shared(Arc<dyn Bytes>),
    /// On disk, as it was when it was opened.
    File { file: File, stamp: Stamp },
}

impl Storage {
    /// Opens a file.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let (file, metadata) = open_regular(path)?;
        Ok(Self::File { file, stamp: Stamp::of(&metadata) })
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Shared(bytes) => bytes.as_ref().as_ref().len() as u64,
            Self::File { stamp, .. } => stamp.length,
        }
    }

    /// Refuses a file that was written to since it was opened; `path` is for the message. A file that another took the
    /// place of is still the old one here.
    pub(crate) fn check_unchanged(&self, path: &Path) -> Result<(), DataError> {
        let Self::File { file, stamp } = self else { return Ok(()) };
        let now = file.metadata().map_err(|source| DataError::io(path, source))?;
        match stamp.change(Stamp::of(&now)) {
            None => Ok(()),
            Some(what) => Err(DataError::Changed { path: path.to_path_buf(), what }),
        }
    }

    /// Fills `buffer` from the bytes at `offset`.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes: &[u8] = match self {
            Self::Memory(bytes) => bytes,
            Self::Shared(bytes) => bytes.as_ref().as_ref(),
            Self::File { file, .. } => return read_exact_at(file, offset, buffer),
        };
        let range = usize::try_from(offset)
            .ok()
            .and_then(|start| Some(start..start.checked_add(buffer.len())?))
            .and_then(|range| bytes.get(range))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(range);
        Ok(())
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut offset: u64, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buffer, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                buffer = &mut buffer[read..];
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// A storage from front to back.
pub(crate) struct Sequential<'a> {
    pub storage: &'a Storage,
    pub position: u64,
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.storage.len().saturating_sub(self.position);
        let count = left.min(buffer.len() as u64) as usize;
        self.storage.read_at(self.position, &mut buffer[..count])?;
        self.position += count as u64;
        Ok(count)
    }
}

impl Seek for Sequential<'_> {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.storage.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
