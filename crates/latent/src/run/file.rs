//! The model file: weights and the resolved Run that built them, in one safetensors file.
//!
//! Loading builds the model from its Run and fills in the weights; nothing in the file executes, and it loads on any device.

use std::path::{Path, PathBuf};

use super::{Checked, FORMAT, Run};
use crate::config::ConfigError;
use crate::data::{Facts, SampleShape, Table, ValueKind};
use crate::device::Device;
use crate::error::Result;
use crate::files::write_whole;
use crate::member::Registry;
use crate::model::{LatentModel, Model};
use crate::store::{StoreError, TensorFile, TensorWriter, take_kept};
use crate::train::{Counters, DECODER, Line, RunFolder, TrainError, load_weights};
use crate::weights::Weights;

impl Model {
    /// Loads a model file, or the model of a run folder, on the processor.
    ///
    /// # Errors
    /// What is no model file of ours, is damaged, or comes from a newer version; a run folder without a model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &Device::cpu(), &Registry::default())
    }

    /// Loads a model on a device, with members of one's own.
    ///
    /// # Errors
    /// As [`Model::load`], and a member that the registry lacks.
    pub fn load_with(path: impl AsRef<Path>, device: &Device, registry: &Registry) -> Result<Self> {
        let path = model_path(path.as_ref())?;
        Self::from_file(TensorFile::load(&path)?, &path, device, registry)
    }

    /// The model of a run that is still trained, as its last checkpoint has it, and the step that it was written after.
    ///
    /// # Errors
    /// A folder that holds no run, or a run without a checkpoint; what is wrong with either.
    pub fn of_checkpoint(folder: &Path, registry: &Registry) -> Result<(Self, u64)> {
        let (run, last) = (folder.join("run.toml"), folder.join("checkpoints/last.safetensors"));
        let text = std::fs::read_to_string(&run).map_err(TrainError::read(&run))?;
        let run = Run::from_toml(&text, &run)?;
        let checked = Checked::new(run, registry)?;
        let (functions, weights) = checked.build(&Device::cpu())?;
        let step = Counters::load(&last)?.step;
        let (weights, _) = load_weights(&weights, &last)?;
        Ok((Self::of(checked.run, functions, weights)?, step))
    }

    /// Reads the bytes of a model file; `path` is for messages.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        Self::from_file(TensorFile::parse(bytes, path)?, path, &Device::cpu(), &Registry::default())
    }

    fn from_file(mut file: TensorFile, path: &Path, device: &Device, registry: &Registry) -> Result<Self> {
        let foreign = |what: String| StoreError::Foreign { path: path.into(), what };
        let version: u32 =
            file.header("latent", path)?.parse().map_err(|_| foreign("its format is not a number".into()))?;
        if version > FORMAT {
            return Err(StoreError::Newer { path: path.into(), found: version, known: FORMAT }.into());
        }
        let mut run = Run::from_toml(file.header("run", path)?, path)?;
        if run.facts.kind == ValueKind::Mixed {
            let table = Table::from_json(file.header("table", path)?).map_err(foreign)?;
            let names: Vec<&str> = table.modelled().map(|column| column.name.as_str()).collect();
            if names != run.facts.columns || run.facts.shape.features() != names.len() {
                return Err(foreign("its table has other columns than its run".into()).into());
            }
            run.facts.table = Some(std::sync::Arc::new(table));
        }
        check_normalisation(&run).map_err(foreign)?;
        let malformed = |what: String| StoreError::Malformed {
            path: path.into(),
            what,
            remedy: "the file does not hold the model that its header describes: train anew".into(),
        };
        // Before anything is built: it shall not take more memory than the file's own arrays.
        let checked = Checked::new(run, registry)?;
        for (name, shape) in checked.outline()? {
            match file.arrays.get(&format!("weights/{name}")) {
                Some(array) if array.shape == shape => {}
                Some(array) => {
                    return Err(malformed(format!(
                        "the array `{name}` is {:?} and should be {shape:?}",
                        array.shape
                    ))
                    .into());
                }
                None => return Err(malformed(format!("the array `{name}` is missing")).into()),
            }
        }
        let (functions, mut weights) = checked.build(device)?;
        take_kept(&mut file, "weights", &mut weights).map_err(malformed)?;
        Self::of(checked.run, functions, weights)
    }

    /// Joins what a run became.
    ///
    /// # Errors
    /// [`ConfigError::Unwritable`], which is our fault.
    pub(crate) fn of(run: Run, functions: LatentModel, weights: Weights) -> Result<Self> {
        let text = run.without_statistics().to_toml()?;
        Ok(Self { facts: run.facts, data: run.data, seed: run.seed, functions, weights, run: text })
    }

    /// The run that it came from: every setting, with the data's facts as the model has them.
    ///
    /// # Errors
    /// What is wrong with its text, which is our fault.
    pub fn run(&self) -> Result<Run, ConfigError> {
        let run = Run::from_toml(&self.run, Path::new("run.toml"))?;
        Ok(Run { facts: self.facts.clone(), ..run })
    }

    /// Writes a model file, whole or not at all.
    ///
    /// # Errors
    /// What the file system says.
    pub fn save(run: &Run, weights: &Weights, path: &Path) -> Result<()> {
        Ok(writer(run.without_statistics().to_toml()?, &run.facts, weights)?.save(path)?)
    }

    /// The bytes of its model file, which [`Model::parse`] reads: what a program keeps or sends without a file.
    ///
    /// # Errors
    /// None but of our own fault.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let path = PathBuf::from("model.safetensors");
        Ok(writer(self.run.clone(), &self.facts, &self.weights)?
            .bytes()
            .map_err(|source| StoreError::Io { path, source })?)
    }

    /// Writes a run folder of a model that was trained in memory: the run, the model and, of its training, `lines`. Other
    /// commands take it as a run of their own; only training can't go on in it.
    ///
    /// # Errors
    /// A folder that holds another run or files which no run wrote; what the file system says.
    pub fn save_run(&self, folder: &Path, lines: &[Line]) -> Result<()> {
        if folder.join("run.toml").exists() || folder.join("model.safetensors").exists() {
            return Err(TrainError::Exists { path: folder.into() }.into());
        }
        let folder = RunFolder::open(folder)?;
        let log: String = lines.iter().map(|line| line.json() + "\n").collect();
        for (path, text) in [(folder.metrics(), &log), (folder.run(), &self.run)] {
            write_whole(&path, |out| out.write_all(text.as_bytes())).map_err(TrainError::io(&path))?;
        }
        Ok(writer(self.run.clone(), &self.facts, &self.weights)?.save(&folder.model())?)
    }

    /// Whether `path` holds just this model.
    pub(crate) fn is_at(run: &Run, weights: &Weights, path: &Path) -> bool {
        let (Ok(file), Ok(text)) = (TensorFile::load(path), run.without_statistics().to_toml()) else {
            return false;
        };
        let same = |weight: &crate::weights::Weight| {
            file.arrays
                .get(&format!("weights/{}", weight.path()))
                .is_some_and(|array| array.values == weight.values())
        };
        let Some(found) = file.header.get("run") else { return false };
        // A decoder that learned on is this model's all the same.
        let before = Run::from_toml(found, path).ok().filter(|run| run.refined.is_some());
        let is_refined = before
            .and_then(|run| Run { refined: None, ..run }.to_toml().ok())
            .is_some_and(|before| before == text);
        let may_differ = |path: &str| is_refined && path.starts_with(DECODER);
        (is_refined || *found == text)
            && weights.kept().all(|(_, weight)| may_differ(weight.path()) || same(weight))
    }
}

/// A model file in the making.
fn writer<'a>(run: String, facts: &Facts, weights: &'a Weights) -> Result<TensorWriter<'a>, ConfigError> {
    let mut file = TensorWriter::default();
    file.header("latent", FORMAT.to_string());
    file.header("run", run);
    if let Some(table) = &facts.table {
        let text = table.to_json();
        file.header(
            "table",
            text.map_err(|what| ConfigError::Unwritable { key: "facts.table".into(), what })?,
        );
    }
    weights.kept().for_each(|(_, weight)| file.weight("weights", weight));
    Ok(file)
}

/// A run folder stands for the model in it.
fn model_path(path: &Path) -> Result<PathBuf, StoreError> {
    let model = path.join("model.safetensors");
    if !path.is_dir() {
        Ok(path.into())
    } else if model.exists() {
        Ok(model)
    } else if path.join("run.toml").exists() {
        Err(StoreError::Unfinished { path: path.into() })
    } else {
        Err(StoreError::NoRun { path: path.into() })
    }
}

/// What undoes normalisation must fit the samples.
fn check_normalisation(run: &Run) -> Result<(), String> {
    let features = match run.facts.shape {
        SampleShape::Image { channels, height, width } => {
            channels.saturating_mul(height).saturating_mul(width)
        }
        SampleShape::Vector { columns } => columns,
    };
    let normalisation = &run.facts.normalisation;
    for (name, values) in [("offset", &normalisation.offset), ("scale", &normalisation.scale)] {
        if (values.len() != 1 && values.len() != features) || values.iter().any(|v| !v.is_finite()) {
            return Err(format!("facts.normalisation.{name} does not fit samples of {features} numbers"));
        }
    }
    let columns = run.facts.columns.len();
    if columns != 0 && columns != features {
        return Err(format!("facts.columns names {columns} columns of {features}"));
    }
    if normalisation.scale.contains(&0.0) {
        return Err("facts.normalisation.scale has a zero".into());
    }
    run.facts.check_constants()
}
