//! A fitted sampler on disk: `RUN/samplers/NAME.safetensors`, its settings and what it was fitted on in the header, its arrays
//! below; written whole or not at all.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use super::fitted::{identity, is_of};
use super::{Arrays, FittedSampler, SamplerError, SamplerSettings};
use crate::files::clear_run;
use crate::generate::Result;
use crate::member::Registry;
use crate::model::Model;
use crate::store::{StoreError, TensorFile, TensorWriter};

/// The format that this program writes.
const FORMAT: u32 = 1;

/// Where the samplers of a run lie.
pub(super) fn folder(run: &Path) -> PathBuf {
    run.join("samplers")
}

impl FittedSampler {
    /// Where the sampler of that name lies.
    pub fn path(run: &Path, name: &str) -> PathBuf {
        folder(run).join(format!("{name}.safetensors"))
    }

    /// Writes the sampler beside the model in the run folder, over an older fit of the same name and over nothing else.
    ///
    /// # Errors
    /// [`SamplerError::Occupied`] where another file has that name.
    pub fn save(&self, model: &Model, run: &Path) -> Result<PathBuf> {
        let path = Self::path(run, &self.kind);
        if path.exists() {
            let theirs = TensorFile::load(&path).ok().and_then(|file| file.header.get("sampler").cloned());
            if theirs.as_ref() != Some(&self.kind) {
                let what = "a file that is no fit of this sampler has its name".into();
                return Err(SamplerError::Occupied { path, what }.into());
            }
        }
        let folder = folder(run);
        std::fs::create_dir_all(&folder).map_err(|source| StoreError::Io { path: folder, source })?;
        let settings = toml::to_string(&self.settings).map_err(|error| {
            crate::config::ConfigError::Unwritable { key: "sampler".into(), what: error.to_string() }
        })?;
        let chart = self.chart.arrays();
        let mut file = TensorWriter::default();
        file.header("latent-sampler", FORMAT.to_string());
        file.header("program", env!("CARGO_PKG_VERSION").into());
        file.header("sampler", self.kind.clone());
        file.header("settings", settings);
        file.header("model", identity(model));
        file.header("seed", self.seed.to_string());
        file.header("seconds", format!("{:.3}", self.seconds));
        if let Some(learned) = self.learned {
            let text = toml::to_string(&learned).map_err(|error| crate::config::ConfigError::Unwritable {
                key: "sampler".into(),
                what: error.to_string(),
            })?;
            file.header("learned", text);
        }
        for (name, array) in self.arrays.iter().chain(&chart) {
            file.array(name.clone(), &array.shape, || Cow::Borrowed(&array.values));
        }
        file.save(&path)?;
        clear_run(run);
        Ok(path)
    }

    /// Loads the sampler of that name for the model of the run folder; `prior` is always there.
    ///
    /// # Errors
    /// Unknown names; [`SamplerError::Missing`], [`SamplerError::Stale`] and [`SamplerError::Damaged`] with what to do.
    pub fn load(model: &Model, run: &Path, name: &str, registry: &Registry) -> Result<Self> {
        if name == "prior" {
            return Self::prior(model, registry);
        }
        let path = Self::path(run, name);
        if !path.exists() {
            // A name that no sampler has is refused with the nearest that one has.
            registry.resolve::<dyn SamplerSettings>(&super::fitted::kind_table(name), "sampler")?;
            return Err(SamplerError::Missing { path, run: run.into(), name: name.into() }.into());
        }
        let file = TensorFile::load(&path)?;
        let damaged = |what: String| SamplerError::Damaged { path: path.clone(), what };
        let format = file.header("latent-sampler", &path)?;
        let format: u32 = format.parse().map_err(|_| damaged("its format is not a number".into()))?;
        if format > FORMAT {
            return Err(StoreError::Newer { path, found: format, known: FORMAT }.into());
        }
        if file.header("sampler", &path)? != name {
            let what = format!("it holds the sampler `{}`", file.header("sampler", &path)?);
            return Err(damaged(what).into());
        }
        if !is_of(file.header("model", &path)?, model) {
            return Err(SamplerError::Stale { path, run: run.into(), name: name.into() }.into());
        }
        let text = file.header("settings", &path)?;
        let mut table: toml::Table = text.parse().map_err(|_| damaged("its settings are no TOML".into()))?;
        table.insert("kind".into(), name.into());
        let number =
            |key: &str| file.header.get(key).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let seed = file.header.get("seed").and_then(|text| text.parse().ok()).unwrap_or(0);
        let arrays: Arrays = file.arrays.clone().into_iter().collect();
        let mut sampler = Self::load_parts(model, registry, &table, seed, number("seconds"), arrays)
            .map_err(|(what, _)| damaged(what))?;
        sampler.learned = file.header.get("learned").and_then(|text| toml::from_str(text).ok());
        Ok(sampler)
    }
}
