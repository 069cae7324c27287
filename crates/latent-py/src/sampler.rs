//! Samplers that are fitted on a model's codes and drawn from in the prior's place; decoders that learn on from their codes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use latent::data::Data;
use latent::generate::sampler::{Choice, CodeSet, FitOptions, FittedSampler, How, fit_auto, fit_one};
use latent::run::RefineOptions;
use latent::train::Event;
use latent::{Key, Registry};
use numpy::PyArray2;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use toml::Table;

use crate::arrays::{Rows, matrix};
use crate::errors::{Failure, Result, detached};
use crate::model::Model;

/// A sampler of codes. It draws for the model that it was loaded for.
#[pyclass(frozen, module = "latent._latent")]
pub struct Sampler {
    fitted: FittedSampler,
}

/// One input of a graph: its name, and numbers.
type Noise<'py> = (&'static str, Bound<'py, PyArray2<f32>>);

/// How codes are drawn: temperature, truncation, the name of a class, guidance.
pub type Asked = (f64, Option<f64>, Option<String>, f64);

impl Sampler {
    /// The library's.
    pub fn engine(&self) -> &FittedSampler {
        &self.fitted
    }
}

/// What is asked of a draw.
pub fn how(sampler: &FittedSampler, asked: Option<Asked>) -> Result<How> {
    let Some((temperature, truncation, class, guidance)) = asked else { return Ok(How::default()) };
    let class = class.map(|name| sampler.class(&name)).transpose()?;
    Ok(How { temperature, truncation, class, guidance })
}

/// The sampler to draw from: this one, or else the prior.
pub fn or_prior<T>(
    model: &latent::Model,
    sampler: Option<&Sampler>,
    work: impl FnOnce(&FittedSampler) -> Result<T>,
) -> Result<T> {
    match sampler {
        Some(sampler) => work(&sampler.fitted),
        None => work(&FittedSampler::prior(model, &Registry::default())?),
    }
}

#[pymethods]
impl Sampler {
    /// The sampler `name` of a run folder, or else the one that it chose; the prior where it has none for this model.
    #[staticmethod]
    #[pyo3(signature = (model, folder, name=None))]
    fn load(py: Python<'_>, model: &Bound<'_, Model>, folder: PathBuf, name: Option<&str>) -> PyResult<Self> {
        let model = model.get().engine();
        detached(py, || {
            let registry = Registry::default();
            let fitted = match name {
                Some(name) => FittedSampler::load(model, &folder, name, &registry)?,
                None => Choice::sampler(model, &folder, &registry)?,
            };
            Ok(Self { fitted })
        })
    }

    /// Its name, such as gaussian-mixture.
    #[getter]
    fn kind(&self) -> &str {
        self.fitted.kind()
    }

    /// Codes, `[count, dims]`.
    fn draw<'py>(
        &self,
        py: Python<'py>,
        model: &Bound<'py, Model>,
        count: usize,
        seed: u64,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (model, key) = (model.get().engine(), Key::from_seed(seed).fold("sample"));
        let codes = detached(py, || Ok(self.fitted.draw(model, count, &How::default(), key)?))?;
        matrix(py, codes)
    }

    /// The bytes of an ONNX file of noise → code.
    fn onnx<'py>(&self, py: Python<'py>, model: &Bound<'py, Model>) -> PyResult<Bound<'py, PyBytes>> {
        let model = model.get().engine();
        let graph = detached(py, || Ok(self.fitted.onnx(model)?))?;
        Ok(PyBytes::new(py, &graph.bytes))
    }

    /// The noise of `draw` with the same seed, by the names of the graph's inputs.
    fn noise<'py>(
        &self,
        py: Python<'py>,
        model: &Bound<'py, Model>,
        count: usize,
        seed: u64,
    ) -> PyResult<Vec<Noise<'py>>> {
        let (model, key) = (model.get().engine(), Key::from_seed(seed).fold("sample"));
        let graph = detached(py, || Ok(self.fitted.onnx(model)?))?;
        let noise = self.fitted.noise(&graph, count, key);
        graph.sources.iter().zip(noise).map(|(source, noise)| Ok((source.name, matrix(py, noise)?))).collect()
    }
}

/// The data that the model was fitted on, cut as then: these rows, or else its own. `why` says what other rows are no good for.
fn fitted_on(model: &latent::Model, rows: Option<&Rows>, why: &str) -> Result<Data> {
    let data = match rows {
        Some(rows) => Data::from_memory(rows.memory(), &model.data, Key::from_seed(model.seed), &mut |_| {})?,
        None => model.open_own(&mut |_| {})?,
    };
    let (own, theirs) = (&model.facts, data.facts());
    if theirs.shape == own.shape && theirs.normalisation == own.normalisation && theirs.table == own.table {
        return Ok(data);
    }
    let what = format!("these are not the rows that the model was fitted on: {why}");
    Err(Failure::value(format!("{what}; give the same X, y and conditions as to fit")))
}

/// One sampler, judged: its name; accuracy of who tells its codes from held-out ones, lower and upper end of its interval; mmd and its
/// error; seconds of its fit.
type Judged = (String, f64, f64, f64, f64, f64, f64);

/// The name of one that could not be fitted, and why.
type Failed = (String, String);

/// Fits the sampler that `settings` name (`v = { kind = … }`), or several for "auto", on the codes of these rows, cut as for
/// training, or of the model's own data. What is fitted is left in `folder`: the table of those judged, and what failed.
#[pyfunction]
#[pyo3(signature = (model, folder, settings, rows=None, minutes=None, seed=1))]
pub fn fit_sampler(
    py: Python<'_>,
    model: &Bound<'_, Model>,
    folder: PathBuf,
    settings: &str,
    rows: Option<&Bound<'_, Rows>>,
    minutes: Option<f64>,
    seed: u64,
) -> PyResult<(Vec<Judged>, Vec<Failed>)> {
    /// Rows whose codes are used, at most; what `auto` takes unless told otherwise.
    const ROWS: usize = 60_000;
    const AUTO_MINUTES: f64 = 2.0;
    if minutes.is_some_and(|minutes| !(minutes.is_finite() && minutes > 0.0)) {
        return Err(Failure::value("minutes is no positive number").into());
    }
    let (model, rows) = (model.get().engine(), rows.map(|rows| rows.get()));
    let parsed = settings.parse::<Table>().ok().and_then(|mut table| table.remove("v"));
    let Some(toml::Value::Table(table)) = parsed else {
        return Err(Failure::value(format!("{settings}: no settings")).into());
    };
    let is_auto = table.get("kind").and_then(|kind| kind.as_str()) == Some("auto");
    if is_auto && table.len() > 1 {
        return Err(
            Failure::value("settings are those of one sampler, and auto fits several: name one").into()
        );
    }
    let choice = detached(py, || {
        let key = Key::from_seed(seed).fold("fit-sampler");
        let data = fitted_on(model, rows, "a sampler is fitted on their codes")?;
        let codes = CodeSet::of(model, &data, ROWS, key, &|_| {})?;
        let registry = Registry::default();
        let minutes = minutes.or(is_auto.then_some(AUTO_MINUTES));
        let options = FitOptions { seed, minutes, registry: &registry, progress: &|_, _| {} };
        Ok(match is_auto {
            true => fit_auto(model, &folder, &codes, false, &options)?,
            false => fit_one(model, &folder, &codes, &table, true, &options)?,
        })
    })?;
    let row = |row: &latent::generate::sampler::Judged| {
        let t = &row.two_sample;
        let (name, error) = (row.sampler.clone(), t.mmd_error);
        (name, t.accuracy, t.accuracy_low, t.accuracy_high, t.mmd, error, row.seconds)
    };
    Ok((choice.table.iter().map(row).collect(), choice.failed))
}

/// How a decoder learns on: steps, or else minutes; and what the critic counts.
type Learning = (Option<u64>, f64, f64);

/// The model with a decoder that learned on from codes of a sampler, on the rows that the model was fitted on, or else its own data.
/// Ctrl-C ends it.
#[pyfunction]
#[pyo3(signature = (model, sampler, how, rows=None, seed=1))]
pub fn refine(
    py: Python<'_>,
    model: &Bound<'_, Model>,
    sampler: &Bound<'_, Sampler>,
    how: Learning,
    rows: Option<&Bound<'_, Rows>>,
    seed: u64,
) -> PyResult<Model> {
    let (steps, minutes, weight) = how;
    for (name, value) in [("minutes", minutes), ("weight", weight), ("steps", steps.unwrap_or(1) as f64)] {
        if !(value.is_finite() && value > 0.0) {
            return Err(Failure::value(format!("{name} is {value}: give a positive number")).into());
        }
    }
    let (known, sampler, rows) = (model.get(), sampler.get().engine(), rows.map(|rows| rows.get()));
    let (stop, registry, mut raised) = (AtomicBool::new(false), Registry::default(), None);
    let refined = detached(py, || {
        let data = Arc::new(fitted_on(known.engine(), rows, "the critic sees them beside what is made")?);
        let options = RefineOptions { steps, minutes, weight, seed, registry: &registry, stop: &stop };
        let mut listen = |_: Event<'_>| {
            if let Err(error) = Python::attach(|py| py.check_signals()) {
                stop.store(true, Ordering::Relaxed);
                raised.get_or_insert(error);
            }
        };
        Ok(latent::run::refine(known.engine(), &data, sampler, &options, &mut listen)?)
    })?;
    match (refined, raised) {
        (_, Some(error)) => Err(error),
        (Some(refined), None) => Ok(known.with(refined)),
        (None, None) => Err(Failure::value("refining was stopped").into()),
    }
}
