//! npz: a zip of npy files. An uncompressed array is read where it lies, a compressed one into memory.

use std::io::Read;
use std::path::Path;

use zip::{CompressionMethod, ZipArchive};

use super::DataError;
use super::array::{Array, ArrayRows};
use super::dataset::Labels;
use super::idx::MOST_IN_MEMORY;
use super::npy;
use super::settings::{ImageSettings, Layout};
use super::storage::{Sequential, Storage};

/// Names that hold x, the first found wins, where no name was given.
const X_NAMES: [&str; 6] = ["x", "X", "data", "images", "arr_0", "x_train"];

/// Names that hold labels.
const LABEL_NAMES: [&str; 8] = ["y", "Y", "labels", "label", "targets", "target", "classes", "y_train"];

/// The rows (and labels, where there are any) of an npz file. `reopen` gives its bytes once more.
pub(crate) fn open(
    path: &Path,
    reopen: &dyn Fn() -> Result<Storage, DataError>,
    array: Option<&str>,
    image: &ImageSettings,
    layout: Layout,
    log: &mut dyn FnMut(String),
) -> Result<ArrayRows, DataError> {
    let storage = reopen()?;
    let wrong = |what: String| DataError::malformed(path, what, "write it with numpy.savez");
    let mut archive = ZipArchive::new(std::io::BufReader::new(Sequential { storage: &storage, position: 0 }))
        .map_err(|source| wrong(format!("no zip archive: {source}")))?;
    let names: Vec<String> =
        archive.file_names().filter_map(|name| name.strip_suffix(".npy")).map(String::from).collect();
    if let (Some(kind), None) = (sparse(&names), array) {
        let what = format!("it holds a sparse matrix of SciPy ({kind}), which is not read");
        let remedy = "store it dense: numpy.save(\"x.npy\", scipy.sparse.load_npz(FILE).toarray())";
        return Err(DataError::malformed(path, what, remedy));
    }
    let listed = || names.join(", ");
    let name = match array {
        Some(name) if names.iter().any(|known| known == name) => name.to_string(),
        Some(name) => {
            return Err(DataError::setting(
                "array",
                format!("{} holds no array {name:?}", path.display()),
                format!("it holds {}", listed()),
            ));
        }
        None => {
            let data: Vec<&String> =
                names.iter().filter(|name| !LABEL_NAMES.contains(&name.as_str())).collect();
            let usual = X_NAMES.iter().find(|usual| names.iter().any(|name| name == *usual));
            match (usual, &data[..]) {
                (Some(usual), _) => (*usual).to_string(),
                (None, [only]) => (*only).clone(),
                (None, []) => return Err(wrong("it holds no array".into())),
                (None, _) => {
                    return Err(DataError::setting(
                        "array",
                        format!("{} holds several arrays ({})", path.display(), listed()),
                        "set data.array to the one that is x",
                    ));
                }
            }
        }
    };
    let x = entry(path, &mut archive, reopen, &name)?;
    let labels =
        match LABEL_NAMES.iter().find(|label| names.iter().any(|name| name == *label) && **label != name) {
            None => None,
            Some(label) => labels(path, &mut archive, reopen, label, x.axes[0], log)?,
        };
    ArrayRows::new(x, labels, image, layout)
}

/// The kind of sparse matrix that `scipy.sparse.save_npz` wrote, if it did.
fn sparse(names: &[String]) -> Option<&'static str> {
    let has = |wanted: &[&str]| wanted.iter().all(|wanted| names.iter().any(|name| name == wanted));
    match () {
        () if !has(&["format", "shape", "data"]) => None,
        () if has(&["indices", "indptr"]) => Some("CSR, CSC or BSR"),
        () if has(&["row", "col"]) || has(&["coords"]) => Some("COO"),
        () if has(&["offsets"]) => Some("DIA"),
        () => None,
    }
}

/// Integer labels; labels of another type or shape are passed over with a word.
fn labels<R: Read + std::io::Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    reopen: &dyn Fn() -> Result<Storage, DataError>,
    name: &str,
    rows: u64,
    log: &mut dyn FnMut(String),
) -> Result<Option<Labels>, DataError> {
    let found = entry(path, archive, reopen, name).and_then(|array| {
        let length = array.axes[0];
        if length != rows {
            let what = format!("{name} has {length} labels for {rows} rows");
            return Err(DataError::malformed(path, what, "give each row one label, or remove the labels"));
        }
        array.column()
    });
    let wrong = |what: String| format!("{}: the labels {name:?} are left out: {what}", path.display());
    match found {
        Ok(column) => match Labels::from_numbers(&column) {
            Ok(labels) => Ok(Some(labels)),
            Err(what) => {
                log(wrong(what));
                Ok(None)
            }
        },
        // A wrong number of labels is a mistake worth stopping for; another type is not ours to judge.
        Err(error @ DataError::Malformed { .. }) if error.to_string().contains(" labels for ") => Err(error),
        Err(error) => {
            log(wrong(match error {
                DataError::Malformed { what, .. } => what,
                other => other.to_string(),
            }));
            Ok(None)
        }
    }
}

fn entry<R: Read + std::io::Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    reopen: &dyn Fn() -> Result<Storage, DataError>,
    name: &str,
) -> Result<Array, DataError> {
    let wrong =
        |what: String| DataError::malformed(path, format!("{name}: {what}"), "write it with numpy.savez");
    let mut file = archive.by_name(&format!("{name}.npy")).map_err(|source| wrong(source.to_string()))?;
    let (size, compressed) = (file.size(), file.compressed_size());
    let array = if file.compression() == CompressionMethod::Stored && !file.encrypted() {
        let start = file.data_start();
        // Rows are read by position, so that nothing else compares the checksum: the archive does at an entry's end.
        std::io::copy(&mut file, &mut std::io::sink()).map_err(|source| wrong(source.to_string()))?;
        npy::parse(path, reopen()?, start)?
    } else {
        // Deflate makes at most 1032 bytes of one: a greater claim is a lie.
        if size > MOST_IN_MEMORY || size > compressed.saturating_mul(1032).saturating_add(1024) {
            return Err(DataError::malformed(
                path,
                format!("{name} would take {size} bytes, from {compressed} compressed ones"),
                "store it uncompressed (numpy.savez) or as .npy: those are read by position",
            ));
        }
        let mut bytes = Vec::new();
        file.by_ref().take(size + 1).read_to_end(&mut bytes).map_err(|source| wrong(source.to_string()))?;
        npy::parse(path, Storage::Memory(bytes), 0)?
    };
    Ok(Array { format: "npz", ..array })
}
