//! The subcommands, one file each: flags, run, and examples that the tests execute.

pub mod data;
pub mod decode;
pub mod demo;
pub mod devices;
pub mod encode;
pub mod inspect;
pub mod interpolate;
pub mod presets;
pub mod reconstruct;
pub mod report;
pub mod sample;
pub mod score;
pub mod textbook;
pub mod train;
pub mod traverse;

use std::path::Path;

use latent::array::Array;
use latent::data::{Data, Rows, Split};
use latent::device::Device;
use latent::model::Registry;
use latent::{Key, Model};

use crate::failure::Failure;
use crate::output::Output;

/// Shown under `latent --help`.
pub const FIRST_STEPS: &str = "\
First steps:
  latent demo
  latent train --data DATA --out runs/mine
  latent sample runs/mine --count 64 --out samples.png";

/// A model from a run folder or a model file, on a device by name.
pub fn load(run: &Path, device: &str) -> Result<Model, Failure> {
    Ok(Model::load_with(run, &Device::named(device)?, &Registry::default())?)
}

/// The key of a command's own draws.
pub fn key(seed: u64, purpose: &str) -> Key {
    Key::from_seed(seed).fold(purpose)
}

/// Rows to work on: all of `--data`, or a split of the model's own data.
pub struct Chosen {
    /// The data.
    pub data: Data,
    /// The split that is read.
    pub split: Split,
}

impl Chosen {
    /// Opens `source`, or the held-out rows of the model's own data.
    pub fn open(model: &Model, source: Option<&str>, out: &Output) -> Result<Self, Failure> {
        let mut note = |line: String| out.note(line);
        match source {
            Some(source) => {
                let data = model.open(source, &mut note)?;
                refuse_known_test(model, &data)?;
                Ok(Self { data, split: Split::Test })
            }
            None => Ok(Self { data: model.open_own(&mut note)?, split: Split::Validation }),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.data.len(self.split)
    }

    /// Rows from `start`, at most `count`.
    pub fn rows(&self, start: usize, count: usize) -> Result<Rows, Failure> {
        let end = (start + count).min(self.len());
        let positions: Vec<usize> = (start..end).collect();
        Ok(self.data.rows(self.split, &positions, 0)?)
    }

    /// Passes all rows through `each`, a part at a time.
    pub fn each(&self, mut each: impl FnMut(Rows) -> Result<(), Failure>) -> Result<(), Failure> {
        let mut start = 0;
        while start < self.len() {
            let rows = self.rows(start, 512)?;
            start += rows.len();
            each(rows)?;
        }
        Ok(())
    }
}

/// A model trained on rows of a known test set is not judged on that test set.
fn refuse_known_test(model: &Model, data: &Data) -> Result<(), Failure> {
    match data.test_is_known() {
        Some(known) if model.run.facts.overlaps.iter().any(|name| name == known) => Err(Failure::Flag {
            flag: "--data",
            what: format!("this model was trained on rows of {known}, so what it says of them is no test"),
            remedy: "leave --data out to use its own held-out rows, or train on the official training set"
                .into(),
        }),
        _ => Ok(()),
    }
}

/// Refuses to replace a file or a folder that has something in it.
pub fn free(path: &Path, force: bool) -> Result<(), Failure> {
    let taken = if path.is_dir() {
        path.read_dir().map(|mut entries| entries.next().is_some()).unwrap_or(true)
    } else {
        path.exists()
    };
    if taken && !force {
        return Err(Failure::Exists(path.into()));
    }
    if let Some(folder) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder).map_err(|source| Failure::Io { path: folder.into(), source })?;
    }
    Ok(())
}

/// Codes from a `.npy` or `.csv` file, as wide as the model's.
pub fn codes_from(path: &Path, model: &Model) -> Result<Array, Failure> {
    let width = model.model.latent.dims();
    let values = latent::data::read_matrix(path, width)?;
    Ok(Array::matrix(values, width))
}
