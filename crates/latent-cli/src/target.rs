//! Where a command writes: what the path's ending asks for, checked before any work is done.

use std::path::{Path, PathBuf};

use latent::Model;
use latent::data::{DataError, no_picture_of_ours};
use latent::figure::{Figure, Images};
use latent::generate::Samples;
use latent::model::ModelError;

use crate::failure::Failure;

/// What is written, by what a path ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `.png` or `.svg`: one picture.
    Picture,
    /// `.npy`: an array.
    Array,
    /// `.csv`: a table.
    Table,
    /// `.parquet`, `.arrow`, `.feather`: a table whose columns have types.
    Typed,
    /// `.html`: a page.
    Page,
    /// `.onnx`: a graph of operations.
    Graph,
    /// No ending, or a slash: a folder of one PNG a row.
    Folder,
}

impl Kind {
    /// What rows of a model can be written as.
    pub const ALL: [Self; 5] = [Self::Picture, Self::Array, Self::Table, Self::Typed, Self::Folder];
    /// What numbers that are no picture can be written as.
    pub const NUMBERS: [Self; 2] = [Self::Array, Self::Table];

    fn of(path: &Path) -> Option<Self> {
        if path.as_os_str().to_string_lossy().ends_with(['/', '\\']) {
            return Some(Self::Folder);
        }
        let Some(ending) = path.extension() else { return Some(Self::Folder) };
        match ending.to_string_lossy().to_ascii_lowercase().as_str() {
            "png" | "svg" => Some(Self::Picture),
            "npy" => Some(Self::Array),
            "csv" | "tsv" => Some(Self::Table),
            "parquet" | "arrow" | "feather" => Some(Self::Typed),
            "html" => Some(Self::Page),
            "onnx" => Some(Self::Graph),
            "" => Some(Self::Folder),
            _ => None,
        }
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Picture => ".png, .svg",
            Self::Array => ".npy",
            Self::Table => ".csv",
            Self::Typed => ".parquet",
            Self::Page => ".html",
            Self::Graph => ".onnx",
            Self::Folder => "or / for a folder",
        }
    }
}

/// A path that a command may write to.
#[derive(Clone, Debug)]
pub struct Target {
    /// The path.
    pub path: PathBuf,
    /// What is written there.
    pub kind: Kind,
}

impl Target {
    /// Takes what `flag` gave, if its ending is one of `allowed` and nothing stands there (unless `force`).
    pub fn new(flag: &'static str, path: &Path, force: bool, allowed: &[Kind]) -> Result<Self, Failure> {
        let Some(kind) = Kind::of(path).filter(|kind| allowed.contains(kind)) else {
            let endings: Vec<&str> = allowed.iter().map(|kind| kind.ending()).collect();
            return Err(Failure::Flag {
                flag,
                what: format!("{} has no ending that can be written here", path.display()),
                remedy: format!("end it in {}", endings.join(", ")),
            });
        };
        // Also of a link that leads nowhere: it is somebody's all the same.
        let is_there = std::fs::symlink_metadata(path).is_ok();
        if is_there && path.is_dir() != (kind == Kind::Folder) {
            let what = if path.is_dir() { "file" } else { "folder" };
            return Err(Failure::path(path, format!("is there and is no {what}"), "give another path"));
        }
        let taken = match kind {
            Kind::Folder => {
                if path.file_name().is_none() {
                    let what = format!(
                        "{} has no name, and a folder is written beside its place first",
                        path.display()
                    );
                    return Err(Failure::flag(flag, what, "give a folder below it, such as samples/"));
                }
                if let Some(other) = no_picture_of_ours(path)? {
                    let what = format!("holds {}, which is none of a folder of samples", other.display());
                    let remedy = "give another folder: --force replaces only such pictures";
                    return Err(Failure::path(path, what, remedy));
                }
                is_there && path.read_dir().map_or(true, |mut entries| entries.next().is_some())
            }
            _ => is_there,
        };
        if taken && !force {
            return Err(Failure::Exists(path.into()));
        }
        may_write(path)?;
        Ok(Self { path: path.into(), kind })
    }

    /// Refuses pictures of rows that are none, and typed columns of rows that have none.
    pub fn suits(&self, model: &Model) -> Result<(), Failure> {
        if self.kind == Kind::Typed && model.facts.table.is_none() {
            let what = format!(
                "{} is for tables of mixed columns, and these are rows of numbers",
                self.path.display()
            );
            return Err(Failure::path(&self.path, what, "write .csv or .npy"));
        }
        if matches!(self.kind, Kind::Picture | Kind::Folder) && !model.facts.shape.is_image() {
            return Err(ModelError::NoPicture { columns: model.facts.shape.features() }.into());
        }
        Ok(())
    }

    /// Refuses more rows than memory holds, or than a picture shows.
    pub fn holds(&self, flag: &'static str, rows: usize, model: &Model) -> Result<(), Failure> {
        if rows == 0 {
            return Err(Failure::Flag {
                flag,
                what: "nothing to write".into(),
                remedy: "give at least 1".into(),
            });
        }
        if self.kind == Kind::Picture && rows > MOST_PICTURES {
            return Err(Failure::Flag {
                flag,
                what: format!("a picture of {rows} rows shows none of them"),
                remedy: format!("give at most {MOST_PICTURES}, or write .npy or a folder/"),
            });
        }
        let numbers = model.facts.shape.features().saturating_add(model.functions.latent.dims());
        let bytes = rows.saturating_mul(numbers).saturating_mul(BYTES_A_NUMBER) as u64;
        match latent::train::memory_limit() {
            Some(free) if bytes > free => Err(Failure::Flag {
                flag,
                what: format!(
                    "{rows} rows need about {} GB of memory, and {} GB are free",
                    giga(bytes),
                    giga(free)
                ),
                remedy: "ask for fewer, several times, each with its own --seed".into(),
            }),
            _ => Ok(()),
        }
    }

    /// Writes samples: as the picture that `drawn` makes of them, or as files, an array or a table.
    pub fn write(
        &self,
        samples: &Samples,
        title: &str,
        drawn: impl FnOnce(&Images<'_>) -> Result<Figure, Failure>,
    ) -> Result<(), Failure> {
        self.ready()?;
        match self.kind {
            Kind::Picture => Ok(drawn(&samples.pictures()?.images()?)?.save(&self.path)?),
            _ => Ok(samples.save(&self.path, title)?),
        }
    }

    /// Makes the folder that the path lies in. Called once everything else is right.
    pub fn ready(&self) -> Result<(), Failure> {
        match self.path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            Some(parent) => std::fs::create_dir_all(parent)
                .map_err(|source| DataError::Write { path: parent.into(), source }.into()),
            None => Ok(()),
        }
    }
}

/// Refuses a place below a file, or in a folder that nobody may write to, before hours of work are spent on it.
fn may_write(path: &Path) -> Result<(), Failure> {
    let there = path.ancestors().skip(1).find_map(|above| Some((above, std::fs::metadata(above).ok()?)));
    let kind = match &there {
        Some((_, found)) if !found.is_dir() => std::io::ErrorKind::NotADirectory,
        Some((_, found)) if found.permissions().readonly() => std::io::ErrorKind::PermissionDenied,
        _ => return Ok(()),
    };
    let path = there.map_or(path, |(above, _)| above).into();
    Err(DataError::Write { path, source: kind.into() }.into())
}

/// As many as can be told apart.
const MOST_PICTURES: usize = 10_000;

/// A number in the model's precision, its code's, in the user's units, and as text.
const BYTES_A_NUMBER: usize = 24;

fn giga(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / 1e9)
}
