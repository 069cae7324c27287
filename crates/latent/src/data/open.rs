//! From a path or a name to rows: which reader reads it.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::array::ArrayRows;
use super::attributes;
use super::condition::{label_name, number_names};
use super::csv::{Roles, Table};
use super::dataset::Dataset;
use super::folder::{self, Folder};
use super::gzip::Gzip;
use super::idx::MOST_IN_MEMORY;
use super::settings::{DataSettings, TableAs};
use super::storage::{Storage, open_regular};
use super::table::arrow::Typed;
use super::{DataError, Facts, StoredType, idx, known, npy, npz, shapes, table};

/// Names that stand for data.
const NAMES: [&str; 4] = ["embedded", "fashion-mnist", "mnist", shapes::NAME];

/// What a source holds: its rows and, where one lies beside them, its test set.
pub(crate) struct Found {
    pub main: Box<dyn Dataset>,
    pub test: Option<Box<dyn Dataset>>,
    /// Classes have the names of Fashion-MNIST's.
    pub fashion: bool,
}

impl Found {
    pub(crate) fn only(main: impl Dataset + 'static) -> Self {
        Self { main: Box::new(main), test: None, fashion: false }
    }
}

/// Opens `source`; `like` are the facts of the data that it must go with.
pub(crate) fn find(
    source: &str,
    settings: &DataSettings,
    like: Option<&Facts>,
    log: &mut dyn FnMut(String),
) -> Result<Found, DataError> {
    let path = Path::new(source);
    if path.is_dir() {
        return find_folder(path, settings, like, log);
    }
    if path.is_file() {
        return find_file(path, settings, like, log);
    }
    if source == "embedded" {
        let main = known::embedded(&settings.image)?;
        return Ok(Found { main: Box::new(main), test: None, fashion: true });
    }
    if source == shapes::NAME {
        return Ok(Found::only(shapes::Shapes::open(settings)?));
    }
    if NAMES.contains(&source) {
        let places = [
            PathBuf::from("/usr/share/datasets").join(source),
            PathBuf::from("/usr/local/share/datasets").join(source),
            PathBuf::from("data").join(source),
            PathBuf::from("data"),
        ];
        for place in &places {
            if place.is_dir() && matches!(idx::files_of_folder(place), Ok((Some(_), _) | (_, Some(_)))) {
                let mut found = find_folder(place, settings, like, log)?;
                found.fashion = source == "fashion-mnist";
                return Ok(found);
            }
        }
        let looked = places.map(|place| place.display().to_string()).join(", ");
        let hint = if source == "fashion-mnist" {
            "; Debian's package dataset-fashion-mnist has it, and `embedded` needs no file"
        } else {
            ""
        };
        return Err(DataError::NotFound { path: path.into(), known: format!("looked in {looked}{hint}") });
    }
    match fs::metadata(path) {
        // Neither file nor folder: said by what it is.
        Ok(_) => open_regular(path).map(|_| ())?,
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            return Err(DataError::io(path, source));
        }
        Err(_) => {}
    }
    Err(DataError::NotFound { path: path.into(), known: format!("known names: {}", NAMES.join(", ")) })
}

fn find_folder(
    path: &Path,
    settings: &DataSettings,
    like: Option<&Facts>,
    log: &mut dyn FnMut(String),
) -> Result<Found, DataError> {
    let mut read = |files: &idx::IdxFiles| idx::open(files, &settings.image, settings.layout, log);
    let fashion = path.file_name().is_some_and(|name| name == "fashion-mnist");
    match idx::files_of_folder(path)? {
        (Some(train), test) => {
            let test = match test {
                None => None,
                Some(test) => Some(Box::new(read(&test)?) as Box<dyn Dataset>),
            };
            Ok(Found { main: Box::new(read(&train)?), test, fashion })
        }
        (None, Some(test)) => Ok(Found { fashion, ..Found::only(read(&test)?) }),
        (None, None) => {
            let (files, labels) = folder::list(path, log)?;
            let said = attributes::of(path, &files, settings, like)?;
            Ok(Found::only(images(path, files, labels, settings, like)?.with_attributes(said)))
        }
    }
}

fn images(
    path: &Path,
    files: Vec<PathBuf>,
    labels: Option<super::dataset::Labels>,
    settings: &DataSettings,
    like: Option<&Facts>,
) -> Result<Folder, DataError> {
    // A model of 8-bit images sees 16-bit ones as 8-bit, and the other way round.
    let deep = like.map(|facts| facts.normalisation.stored == StoredType::U16);
    Folder::open(path, files, labels, &settings.image, deep, settings.threads())
}

/// Opens a file by what it begins with, or by its ending.
pub(crate) fn find_file(
    path: &Path,
    settings: &DataSettings,
    like: Option<&Facts>,
    log: &mut dyn FnMut(String),
) -> Result<Found, DataError> {
    let start = start_of(path)?;
    let (image, layout) = (&settings.image, settings.layout);
    if start.starts_with(npy::MAGIC) {
        let array = npy::parse(path, Storage::open(path)?, 0)?;
        warn_of_order(&array, log);
        return Ok(Found::only(ArrayRows::new(array, None, image, layout)?));
    }
    if start.starts_with(b"PK") {
        let reopen = || Storage::open(path);
        return Ok(Found::only(npz::open(path, &reopen, settings.array.as_deref(), image, layout, log)?));
    }
    if let Some(kind) = Typed::of_start(&start) {
        if let Some(model) = like.filter(|model| model.table.is_none()) {
            let what = format!("typed columns, and the model knows rows of {} numbers", model.shape);
            return Err(DataError::mismatch(path, what, "give them as .csv or .npy"));
        }
        if settings.table == TableAs::Numbers {
            let what = format!("{} is read as a table of mixed columns", path.display());
            return Err(DataError::setting(
                "table",
                what,
                "give numbers as .csv or .npy, or leave data.table out",
            ));
        }
        let numbers = number_names(settings, like);
        return Ok(Found::only(table::of_file(path, kind, roles(settings, like, &numbers), settings, log)?));
    }
    let has_extension = |wanted: &[&str]| {
        path.extension()
            .is_some_and(|extension| wanted.iter().any(|wanted| extension.eq_ignore_ascii_case(wanted)))
    };
    let inner = (start.starts_with(&[0x1f, 0x8b])).then(|| path.file_stem().map(Path::new)).flatten();
    let is_table = |path: &Path| {
        path.extension().is_some_and(|e| TABLES.iter().any(|wanted| e.eq_ignore_ascii_case(wanted)))
    };
    if inner.is_some_and(is_table) {
        return table(path, settings, like, log);
    }
    if start.starts_with(&[0x1f, 0x8b]) || start.starts_with(&[0, 0]) {
        let labels = idx::labels_beside(path);
        return Ok(Found::only(idx::open(
            &idx::IdxFiles { images: path.into(), labels },
            image,
            layout,
            log,
        )?));
    }
    if folder::is_image_name(path) {
        return Ok(Found::only(images(path, vec![path.into()], None, settings, like)?));
    }
    if has_extension(&["npy", "npz"]) {
        return Err(DataError::malformed(
            path,
            "the file does not start as its name says",
            "write it with numpy.save",
        ));
    }
    if is_table(path) {
        // A table lies in memory, eight bytes a number.
        let length = open_regular(path)?.1.len();
        if length > MOST_IN_MEMORY {
            let what = format!("a table of {length} bytes is too large to be read as text");
            return Err(DataError::malformed(path, what, "store it as .npy, which is read by position"));
        }
        return table(path, settings, like, log);
    }
    Err(DataError::malformed(
        path,
        "this is no format that can be read",
        "give idx (plain or .gz), .npy, .npz, .csv, .parquet, .arrow, or a folder of PNG or JPEG images",
    ))
}

/// The first bytes of a file.
pub(super) fn start_of(path: &Path) -> Result<Vec<u8>, DataError> {
    let mut start = Vec::new();
    let (file, _) = open_regular(path)?;
    file.take(8).read_to_end(&mut start).map_err(|source| DataError::io(path, source))?;
    Ok(start)
}

/// Endings of tables.
const TABLES: [&str; 5] = ["csv", "tsv", "txt", "data", "dat"];

/// A table: of numbers where every cell is one, else of mixed columns.
fn table(
    path: &Path,
    settings: &DataSettings,
    like: Option<&Facts>,
    log: &mut dyn FnMut(String),
) -> Result<Found, DataError> {
    let wanted = like.filter(|facts| !facts.columns.is_empty());
    let numbers = number_names(settings, like);
    let roles = roles(settings, like, &numbers);
    let mixed = |log: &mut dyn FnMut(String)| table::read(path, text_of(path)?, roles, settings, log);
    let is_mixed = match wanted {
        Some(facts) => facts.table.is_some(),
        None => {
            settings.table == TableAs::Mixed
                || !settings.columns.is_empty()
                || !settings.constraints.is_empty()
        }
    };
    if is_mixed {
        return Ok(Found::only(mixed(log)?));
    }
    let mut said = Vec::new();
    let found = Table::read(path, text_of(path)?, roles, &mut |line| said.push(line));
    match found {
        // A cell that is no number: the columns may be of several kinds.
        Err(DataError::Cell { .. }) if wanted.is_none() && settings.table == TableAs::Auto => {
            Ok(Found::only(mixed(log)?))
        }
        found => {
            said.into_iter().for_each(&mut *log);
            Ok(Found::only(found?))
        }
    }
}

/// Which columns of a table mean what; `numbers` are those that are told beside x.
pub(super) fn roles<'a>(
    settings: &'a DataSettings,
    like: Option<&'a Facts>,
    numbers: &'a [String],
) -> Roles<'a> {
    Roles {
        label: label_name(settings, like),
        group: settings.group.as_deref(),
        numbers,
        wanted: like.filter(|facts| !facts.columns.is_empty()),
        header: settings.header,
        gaps: settings.condition_dropout.is_some(),
    }
}

/// The text of a file, which may be packed by gzip.
pub(super) fn text_of(path: &Path) -> Result<Box<dyn Read>, DataError> {
    let storage = Storage::open(path)?;
    let mut start = [0; 2];
    let packed = storage.len() >= 2 && storage.read_at(0, &mut start).is_ok() && start == [0x1f, 0x8b];
    if !packed {
        return Ok(Box::new(open_regular(path)?.0));
    }
    let mut text = Vec::new();
    let most = MOST_IN_MEMORY;
    Gzip::new(&storage).take(most + 1).read_to_end(&mut text).map_err(|error| DataError::io(path, error))?;
    if text.len() as u64 > most {
        let what = format!("a table of more than {most} bytes is too large to be read as text");
        return Err(DataError::malformed(path, what, "store it as .npy, which is read by position"));
    }
    Ok(Box::new(std::io::Cursor::new(text)))
}

fn warn_of_order(array: &super::array::Array, log: &mut dyn FnMut(String)) {
    if array.fortran && array.axes.len() > 1 {
        log(format!(
            "{}: stored in Fortran order, so that rows are gathered number by number; numpy.ascontiguousarray \
             makes reading faster",
            array.path.display()
        ));
    }
}
