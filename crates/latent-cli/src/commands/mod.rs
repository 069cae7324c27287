//! The subcommands, one file each: flags, run, and examples that the tests execute.

pub mod compare;
pub mod completions;
pub mod data;
pub mod decode;
pub mod demo;
pub mod devices;
pub mod edit;
pub mod encode;
pub mod evaluate;
pub mod explore;
pub mod export;
pub mod fit_sampler;
pub mod import;
pub mod impute;
pub mod inspect;
pub mod interpolate;
pub mod judge;
pub mod man;
pub mod presets;
pub mod reconstruct;
pub mod refine;
pub mod report;
pub mod sample;
pub mod score;
pub mod settings;
pub mod textbook;
pub mod train;
pub mod traverse;

use std::path::{Path, PathBuf};

use latent::Registry;
use latent::array::Array;
use latent::data::{Data, DataError, Rows, Split};
use latent::device::Device;
use latent::generate::GenerateError;
use latent::{Key, Model};

use crate::failure::Failure;
use crate::output::{Output, json_path, path};

/// A model from a run folder or a model file, on a device by name.
pub fn load(run: &Path, device: &str) -> Result<Model, Failure> {
    let device = Device::named(device)?;
    if !run.exists() {
        return Err(Failure::path(
            run,
            "no such run folder or model file",
            "give what `latent train --out` wrote",
        ));
    }
    if !run.join("model.safetensors").exists() && run.join("run.toml").exists() {
        return Err(Failure::Unfinished(run.into()));
    }
    if run.is_dir() && !run.join("model.safetensors").exists() {
        let remedy = "give a folder that `latent train` wrote, or a model file";
        return Err(Failure::path(run, "no run folder: it holds no model.safetensors", remedy));
    }
    Ok(Model::load_with(run, &device, &Registry::default())?)
}

/// The run folder that a model belongs to: the one given, or that in which a model file lies.
pub fn run_folder(run: &Path) -> PathBuf {
    match run.parent() {
        Some(parent) if !run.is_dir() => parent.into(),
        _ => run.into(),
    }
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
        Self::open_told(model, source, &[], out)
    }

    /// The same, where rows that don't say what the model is told are told `given`.
    pub fn open_told(
        model: &Model,
        source: Option<&str>,
        given: &[(String, String)],
        out: &Output,
    ) -> Result<Self, Failure> {
        let mut note = |line: String| out.told(line);
        match source {
            Some(source) => {
                let data = model.open_told(source, given, &mut note)?;
                if let Some(known) = trained_on(model, &data) {
                    note(format!(
                        "this model was trained on rows of {known}: what it makes of them is no test of it"
                    ));
                }
                Ok(Self { data, split: Split::Test })
            }
            None => Ok(Self { data: own_data(model, out)?, split: Split::Validation }),
        }
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.data.len(self.split)
    }

    /// What each row is called, by columns: its identifier or the path of its file, and its class.
    pub fn about(&self) -> Vec<(String, Vec<String>)> {
        let mut about: Vec<_> = self.data.identifiers(self.split).into_iter().collect();
        let names = self.data.ids(self.split).iter().map(|id| self.data.name(*id));
        if let Some(names) = names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty()) {
            about.push(("file".into(), names));
        }
        let classes = &self.data.facts().classes;
        let labels = self.data.known_labels(self.split);
        if labels.iter().any(Option::is_some) {
            let class = |label: &Option<u32>| {
                label.and_then(|l| classes.get(l as usize).cloned()).unwrap_or_default()
            };
            about.push(("label".into(), labels.iter().map(class).collect()));
        }
        about
    }

    /// Rows from `start`, at most `count`.
    pub fn rows(&self, start: usize, count: usize) -> Result<Rows, Failure> {
        let end = start.saturating_add(count).min(self.len());
        let positions: Vec<usize> = (start..end).collect();
        Ok(self.data.rows(self.split, &positions, 0)?)
    }

    /// Refuses a row that isn't there.
    pub fn has(&self, flag: &'static str, row: usize) -> Result<(), Failure> {
        if row < self.len() {
            return Ok(());
        }
        Err(Failure::Flag {
            flag,
            what: format!("there is no row {row}"),
            remedy: format!("give a row from 0 to {}", self.len().saturating_sub(1)),
        })
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

/// The data that the model was trained on. Its path is relative to where training ran.
pub fn own_data(model: &Model, out: &Output) -> Result<Data, Failure> {
    let source = &model.facts.source;
    let data = model.open_own(&mut |line| out.told(line)).map_err(|error| match error {
        GenerateError::Data(DataError::NotFound { .. }) => Failure::path(
            source.as_ref(),
            "the data that the model was trained on is not found from here",
            "run the command where training ran, or give other rows by --data if it has that",
        ),
        error => error.into(),
    })?;
    if data.facts().hash != model.facts.hash {
        out.told(format!(
            "{source} has changed since training: rows that count as held out may be ones the model has learned"
        ));
    }
    Ok(data)
}

/// The known test set that both the data and the rows that the model was trained on belong to.
pub fn trained_on<'a>(model: &Model, data: &'a Data) -> Option<&'a str> {
    data.test_is_known().filter(|known| model.facts.overlaps.iter().any(|name| name == known))
}

/// Codes from a `.npy` or `.csv` file, as wide as the model's.
pub fn codes_from(path: &Path, model: &Model) -> Result<Array, Failure> {
    let width = model.functions.latent.dims();
    let values = latent::data::read_matrix(path, width)?;
    Ok(Array::matrix(values, width))
}

/// `1 sample`, `2 samples`.
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A page that is there leads with samples: it is drawn again, from what samples come from now.
fn report_again(
    folder: &Path,
    data: &Data,
    seed: u64,
    (text, value): (&mut String, &mut serde_json::Value),
    out: &Output,
) -> Result<(), Failure> {
    if !folder.join("report.html").exists() {
        return Ok(());
    }
    out.note("drawing the report again");
    let written = latent::evaluate::report(folder, data, seed)?;
    if let Some(page) = written.files.last() {
        text.push_str(&format!("\nreport: {}", path(page)));
        value["report"] = json_path(page).into();
    }
    Ok(())
}
