//! idx, the format of MNIST: two zero bytes, a type, the number of axes, their lengths (big-endian), numbers.
//!
//! A folder of the four MNIST-style files holds a training and a test set; each may be gzip-compressed.
//!
//! Reference: LeCun, Cortes, Burges, *The MNIST database*, section "File formats".

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::DataError;
use super::array::{Array, ArrayRows};
use super::dataset::{Labels, Number};
use super::gzip::Gzip;
use super::settings::{ImageSettings, Layout};
use super::storage::Storage;

/// What is decompressed into memory may be this large.
pub(crate) const MOST_IN_MEMORY: u64 = 4 << 30;

/// Deflate makes at most 1032 bytes of one.
const DEFLATE_RATIO: u64 = 1032;

/// The images and labels of a folder, or of one file and the labels beside it.
pub(crate) struct IdxFiles {
    pub images: PathBuf,
    pub labels: Option<PathBuf>,
}

/// The training and the test files of a folder, where there are any.
pub(crate) fn files_of_folder(folder: &Path) -> Result<(Option<IdxFiles>, Option<IdxFiles>), DataError> {
    let mut images: [Option<PathBuf>; 2] = [None, None];
    let mut labels: [Option<PathBuf>; 2] = [None, None];
    let entries = fs::read_dir(folder).map_err(|source| DataError::io(folder, source))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|source| DataError::io(folder, source))?.path());
    }
    // A plain file sorts before its .gz and wins.
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let stem = name.strip_suffix(".gz").unwrap_or(&name);
        let split = if name.starts_with("t10k") || name.starts_with("test") { 1 } else { 0 };
        let slot = if stem.ends_with("images-idx3-ubyte") || stem.ends_with("images.idx3-ubyte") {
            &mut images[split]
        } else if stem.ends_with("labels-idx1-ubyte") || stem.ends_with("labels.idx1-ubyte") {
            &mut labels[split]
        } else {
            continue;
        };
        match slot {
            None => *slot = Some(path),
            Some(first) if path.with_extension("") == *first || path == first.with_extension("gz") => {}
            Some(first) if path.to_string_lossy() == format!("{}.gz", first.display()) => {}
            Some(first) => {
                return Err(DataError::malformed(
                    folder,
                    format!("{} and {} both look like the same part", first.display(), path.display()),
                    "name one idx file, or leave one pair of images and labels in the folder",
                ));
            }
        }
    }
    let [train_labels, test_labels] = labels;
    let [train, test] = images;
    Ok((
        train.map(|images| IdxFiles { images, labels: train_labels }),
        test.map(|images| IdxFiles { images, labels: test_labels }),
    ))
}

/// The labels that lie beside an images file under the name that MNIST gives them.
pub(crate) fn labels_beside(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let plain = name.strip_suffix(".gz").unwrap_or(name);
    let labels = plain.replace("images", "labels").replace("idx3", "idx1");
    if labels == plain {
        return None;
    }
    [labels.clone(), format!("{labels}.gz")]
        .into_iter()
        .map(|name| images.with_file_name(name))
        .find(|path| path.is_file())
}

/// Images and labels as rows.
pub(crate) fn open(
    files: &IdxFiles,
    image: &ImageSettings,
    layout: Layout,
    log: &mut dyn FnMut(String),
) -> Result<ArrayRows, DataError> {
    let array = read(&files.images, log)?;
    let labels = match &files.labels {
        None => None,
        Some(path) => {
            let column = read(path, log)?.column()?;
            Some(
                Labels::from_numbers(&column)
                    .map_err(|what| DataError::malformed(path, what, "give labels as small integers"))?,
            )
        }
    };
    ArrayRows::new(array, labels, image, layout)
}

/// One idx file, compressed or not.
fn read(path: &Path, log: &mut dyn FnMut(String)) -> Result<Array, DataError> {
    parse(path, Storage::open(path)?, log)
}

/// The array that the bytes of an idx file (or its gzip) describe.
pub(crate) fn parse(path: &Path, storage: Storage, log: &mut dyn FnMut(String)) -> Result<Array, DataError> {
    let wrong = |what: String| {
        DataError::malformed(path, what, "give an idx file as MNIST's, plain or gzip-compressed")
    };
    let mut magic = [0; 2];
    storage.read_at(0, &mut magic).map_err(|_| wrong("the file is too short for idx".into()))?;
    let storage = if magic == [0x1f, 0x8b] { decompress(path, &storage, log)? } else { storage };
    let mut start = [0; 4];
    storage.read_at(0, &mut start).map_err(|_| wrong("the file is too short for idx".into()))?;
    let [0, 0, code, axes] = start else {
        return Err(wrong("the file does not start as idx".into()));
    };
    let number = number(code).ok_or_else(|| wrong(format!("idx knows no number type 0x{code:02x}")))?;
    let mut lengths = vec![0; usize::from(axes) * 4];
    storage.read_at(4, &mut lengths).map_err(|_| wrong(format!("the header of {axes} axes is cut short")))?;
    let axes: Vec<u64> =
        lengths.as_chunks::<4>().0.iter().map(|length| u32::from_be_bytes(*length).into()).collect();
    let offset = 4 + lengths.len() as u64;
    let array = Array {
        path: path.to_path_buf(),
        format: "idx",
        storage,
        offset,
        number,
        big_endian: true,
        fortran: false,
        axes,
    };
    array.check()?;
    let promised = array.axes.iter().product::<u64>() * number.bytes() as u64 + offset;
    if promised != array.storage.len() {
        return Err(wrong(format!(
            "the header promises {promised} bytes, and {} are there",
            array.storage.len()
        )));
    }
    Ok(array)
}

fn number(code: u8) -> Option<Number> {
    Some(match code {
        0x08 => Number::U8,
        0x09 => Number::I8,
        0x0b => Number::I16,
        0x0c => Number::I32,
        0x0d => Number::F32,
        0x0e => Number::F64,
        _ => return None,
    })
}

/// Reads the header first and then no more than it promises, which must be possible for the compressed size.
fn decompress(path: &Path, storage: &Storage, log: &mut dyn FnMut(String)) -> Result<Storage, DataError> {
    let wrong = |source: std::io::Error| {
        DataError::malformed(path, format!("gzip: {source}"), "compress the file again")
    };
    let mut decoder = Gzip::new(storage);
    let mut bytes = Vec::new();
    (&mut decoder).take(4).read_to_end(&mut bytes).map_err(wrong)?;
    let axes = bytes.get(3).copied().unwrap_or(0);
    (&mut decoder).take(u64::from(axes) * 4).read_to_end(&mut bytes).map_err(wrong)?;
    let promised = bytes[bytes.len().min(4)..]
        .as_chunks::<4>()
        .0
        .iter()
        .try_fold(8_u64, |product, length| product.checked_mul(u32::from_be_bytes(*length).into()))
        .unwrap_or(u64::MAX);
    let most = MOST_IN_MEMORY.min(storage.len().saturating_mul(DEFLATE_RATIO));
    // `promised` counts 8 bytes a number, the most there can be; the true size is checked with the type.
    if promised / 8 > most {
        return Err(DataError::malformed(
            path,
            format!(
                "the header promises {} numbers, more than {} compressed bytes can hold",
                promised / 8,
                storage.len()
            ),
            "the header is wrong, or the data is too large for a compressed file: store it as .npy",
        ));
    }
    (&mut decoder).take(promised.min(most) + 1).read_to_end(&mut bytes).map_err(wrong)?;
    if decoder.left_alone > 0 {
        log(format!(
            "{}: {} bytes after the compressed data are no gzip and are left alone",
            path.display(),
            decoder.left_alone
        ));
    }
    Ok(Storage::Memory(bytes))
}
