//! A trained model at work, and pictures.

use std::path::{Path, PathBuf};

use latent::data::{Attribute, Data, Rows as Prepared, SampleShape, Split, StoredType};
use latent::device::Device;
use latent::evaluate::Pca;
use latent::figure::{CodeMap, LatentView, code_map};
use latent::generate::columns::without_gaps;
use latent::generate::sampler::How;
use latent::generate::{Observe, Samples, Told};
use latent::run::Imported;
use latent::train::Line;
use latent::{Key, Registry};
use numpy::{PyArray1, PyArray2, PyArrayDyn};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::arrays::{Rows, codes, matrix, shaped};
use crate::errors::{Result, detached};
use crate::sampler::{self, Asked, Sampler, or_prior};

/// A trained model. It never changes, and any number of threads may use it.
#[pyclass(frozen, module = "latent._latent")]
pub struct Model {
    model: latent::Model,
    lines: Vec<Line>,
    /// Whether training was stopped before its end.
    #[pyo3(get)]
    interrupted: bool,
}

impl Model {
    pub fn new(model: latent::Model, lines: Vec<Line>, interrupted: bool) -> Self {
        Self { model, lines, interrupted }
    }

    /// The same training's, its weights moved on since.
    pub fn with(&self, model: latent::Model) -> Self {
        Self { model, lines: self.lines.clone(), interrupted: self.interrupted }
    }

    /// The library's.
    pub fn engine(&self) -> &latent::Model {
        &self.model
    }

    /// Data of the caller's as the model knows it.
    pub fn data(&self, rows: &Rows) -> Result<Data> {
        let key = Key::from_seed(self.model.seed);
        Ok(Data::memory_for(&self.model.facts, rows.memory(), &self.model.data, key, &mut |_| {})?)
    }

    /// Passes all rows through `each`, a part at a time, so that an array larger than memory stays where it is.
    pub fn parts(&self, rows: &Rows, mut each: impl FnMut(Prepared) -> Result<()>) -> Result<()> {
        const PART: usize = 4096;
        let data = self.data(rows)?;
        let count = data.len(Split::Test);
        for start in (0..count).step_by(PART) {
            let positions: Vec<usize> = (start..count.min(start + PART)).collect();
            each(data.rows(Split::Test, &positions, 0)?)?;
        }
        Ok(())
    }

    /// The axes of a row in the user's units.
    fn row_shape(&self) -> Vec<usize> {
        match self.model.facts.shape {
            SampleShape::Image { channels: 1, height, width } => vec![height, width],
            SampleShape::Image { channels, height, width } => vec![channels, height, width],
            SampleShape::Vector { .. } => vec![self.model.facts.width()],
        }
    }

    /// Samples as an array of the user's shape.
    fn array<'py>(&self, py: Python<'py>, values: Vec<f64>) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let row = self.row_shape();
        let count = values.len() / row.iter().product::<usize>().max(1);
        shaped(py, values, &[vec![count], row].concat())
    }

    fn told(&self, given: &[(String, String)], count: usize, key: Key) -> Result<Told> {
        Ok(Told::drawn(&self.model.facts, given, count, key)?)
    }
}

/// What of p(x|z) is shown.
fn observe(model: &latent::Model, asked: Option<&str>) -> PyResult<Observe> {
    match asked {
        None => Ok(model.observe()),
        Some("mean") => Ok(Observe::Mean),
        Some("draw") => Ok(Observe::Draw),
        Some(other) => Err(PyValueError::new_err(format!("observe is {other:?}: give \"mean\" or \"draw\""))),
    }
}

#[pymethods]
impl Model {
    /// Loads a run folder or a model file.
    #[staticmethod]
    #[pyo3(signature = (path, device="cpu"))]
    fn load(py: Python<'_>, path: PathBuf, device: &str) -> PyResult<Self> {
        detached(py, || {
            let model = latent::Model::load_with(&path, &Device::named(device)?, &Registry::default())?;
            let folder = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(Path::new(".")) };
            let lines = latent::evaluate::read_log(&folder.join("metrics.jsonl"));
            Ok(Self::new(model, lines, false))
        })
    }

    /// Reads the bytes of a model file.
    #[staticmethod]
    fn parse(py: Python<'_>, bytes: &[u8]) -> PyResult<Self> {
        detached(py, || {
            Ok(Self::new(latent::Model::parse(bytes, Path::new("these bytes"))?, Vec::new(), false))
        })
    }

    /// A published model, through a mapping (found out unless named); `data` is what it was trained on, if that is here.
    #[staticmethod]
    #[pyo3(signature = (path, settings, mapping=None, preset="vae", data=None))]
    fn imported(
        py: Python<'_>,
        path: PathBuf,
        settings: Vec<String>,
        mapping: Option<&str>,
        preset: &str,
        data: Option<&str>,
    ) -> PyResult<Self> {
        detached(py, || {
            let how = Imported { mapping, preset, data, settings: &settings, seed: None };
            let (model, _) = latent::Model::import_as(&path, how, &mut |_| {})?;
            Ok(Self::new(model, Vec::new(), false))
        })
    }

    /// The bytes of its model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(self.model.bytes()?))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// A pickle is the bytes of the model file, which hold no code.
    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyAny>, (Bound<'py, PyBytes>,))> {
        Ok((py.get_type::<Self>().getattr("parse")?, (self.to_bytes(py)?,)))
    }

    /// Writes a run folder, as the command does.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || Ok(self.model.save_run(&path, &self.lines)?))
    }

    /// The text of its run.toml.
    #[getter]
    fn run(&self) -> &str {
        &self.model.run
    }

    /// Dimensions of a code.
    #[getter]
    fn dims(&self) -> usize {
        self.model.dims()
    }

    /// The seed that weights and noise of training descended from.
    #[getter]
    fn seed(&self) -> u64 {
        self.model.seed
    }

    /// The axes of a row in the user's units.
    #[getter]
    fn shape(&self) -> Vec<usize> {
        self.row_shape()
    }

    /// The names of its columns; empty where they have none.
    #[getter]
    fn columns(&self) -> Vec<String> {
        let facts = &self.model.facts;
        if facts.columns.is_empty() { Vec::new() } else { facts.names_of_values() }
    }

    /// The type that values had: uint8, uint16, float32 or float64.
    #[getter]
    fn dtype(&self) -> &'static str {
        match self.model.facts.normalisation.stored {
            StoredType::U8 => "uint8",
            StoredType::U16 => "uint16",
            StoredType::F32 => "float32",
            StoredType::F64 => "float64",
        }
    }

    /// What it is told beside x: (name, classes), no classes for a number.
    #[getter]
    fn conditions(&self) -> Vec<(String, Vec<String>)> {
        let attribute = |attribute: &Attribute| match attribute {
            Attribute::Class { name, classes, .. } => (name.clone(), classes.clone()),
            Attribute::Number { name, .. } => (name.clone(), Vec::new()),
        };
        self.model.facts.condition.iter().map(attribute).collect()
    }

    /// Why there is no log p(x); None where there is one.
    #[getter]
    fn lacks_density(&self) -> Option<&'static str> {
        self.model.lacks_density()
    }

    /// With respect to what p(x|z) is a density.
    #[getter]
    fn base_measure(&self) -> String {
        self.model.functions.likelihood.measure().name()
    }

    /// The lines of its training: dictionaries of numbers.
    fn log<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        self.lines
            .iter()
            .map(|line| {
                let dict = PyDict::new(py);
                dict.set_item("step", line.step)?;
                dict.set_item("epoch", line.epoch)?;
                dict.set_item("split", if line.validation { "validation" } else { "train" })?;
                line.values.iter().try_for_each(|(name, value)| dict.set_item(name, value))?;
                Ok(dict)
            })
            .collect()
    }

    /// The centres of q(z|x), `[n, dims]`, and its deviations where it has them.
    #[allow(clippy::type_complexity, reason = "two arrays")]
    fn encode<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, Rows>,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Option<Bound<'py, PyArray2<f32>>>)> {
        let rows = rows.get();
        let (dims, mut mean, mut deviation) = (self.model.dims(), Vec::new(), Vec::new());
        detached(py, || {
            self.parts(rows, |part| {
                let codes = self.model.encode(&part)?;
                mean.extend(codes.mean.values);
                deviation.extend(codes.deviation.into_iter().flat_map(|found| found.values));
                Ok(())
            })
        })?;
        let deviation =
            (!deviation.is_empty()).then(|| matrix(py, latent::array::Array::matrix(deviation, dims)));
        Ok((matrix(py, latent::array::Array::matrix(mean, dims))?, deviation.transpose()?))
    }

    /// p(x|z) at these codes, in the user's units.
    #[pyo3(signature = (z, conditions=Vec::new(), rows=None, observe="mean", seed=1))]
    fn decode<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        conditions: Vec<(String, String)>,
        rows: Option<&Bound<'py, Rows>>,
        observe: &str,
        seed: u64,
    ) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let (z, shown) = (codes(z)?, self::observe(&self.model, Some(observe))?);
        let rows = rows.map(|rows| rows.get());
        let values = detached(py, || {
            let told = match rows {
                // What these rows are told.
                Some(rows) => {
                    let data = self.data(rows)?;
                    let all: Vec<usize> = (0..data.len(Split::Test)).collect();
                    Told::of(&data.rows(Split::Test, &all, 0)?)
                }
                None => Told::same(&self.model.facts, &conditions, z.rows())?,
            };
            Ok(self.model.decode_told(&z, &told, shown, Key::from_seed(seed).fold("decode"))?.values())
        })?;
        self.array(py, values)
    }

    /// New samples: codes from a sampler, or else from the prior.
    #[allow(clippy::too_many_arguments, reason = "Python names them")]
    #[pyo3(signature = (count, seed, conditions=Vec::new(), observe=None, sampler=None, how=None))]
    fn sample<'py>(
        &self,
        py: Python<'py>,
        count: usize,
        seed: u64,
        conditions: Vec<(String, String)>,
        observe: Option<&str>,
        sampler: Option<&Bound<'py, Sampler>>,
        how: Option<Asked>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let shown = self::observe(&self.model, observe)?;
        let key = Key::from_seed(seed).fold("sample");
        let sampler = sampler.map(|sampler| sampler.get());
        let values = detached(py, || {
            let told = self.told(&conditions, count, key)?;
            or_prior(&self.model, sampler, |sampler| {
                let how = sampler::how(sampler, how)?;
                Ok(self.model.sample_with(sampler, &told, &how, shown, key)?.values())
            })
        })?;
        self.array(py, values)
    }

    /// g(f(x)) of each row.
    fn reconstruct<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, Rows>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let rows = rows.get();
        let mut values = Vec::new();
        detached(py, || {
            self.parts(rows, |part| {
                values.extend(self.model.reconstruct(&part)?.values());
                Ok(())
            })
        })?;
        self.array(py, values)
    }

    /// log p(x) of each row from below, by `draws` importance samples; −distortion of a model without a density.
    fn score<'py>(
        &self,
        py: Python<'py>,
        rows: &Bound<'py, Rows>,
        draws: usize,
        seed: u64,
    ) -> PyResult<Bound<'py, PyArray1<f64>>> {
        if draws == 0 {
            return Err(PyValueError::new_err("draws is 0: give at least 1"));
        }
        let rows = rows.get();
        let mut values = Vec::new();
        detached(py, || {
            self.parts(rows, |part| {
                // Rows of a table that have gaps are scored by what they hold.
                let part = if self.model.facts.table.is_some() { without_gaps(&part) } else { part };
                match self.model.lacks_density() {
                    None => {
                        let scores = self.model.score(&part, draws, Key::from_seed(seed))?;
                        values.extend(scores.into_iter().map(|score| score.log_p_lower));
                    }
                    Some(_) => values.extend(self.model.distortion(&part)?.into_iter().map(|d| -d)),
                }
                Ok(())
            })
        })?;
        Ok(PyArray1::from_vec(py, values))
    }

    /// A map of the codes of these rows, coloured by label where they have any.
    #[pyo3(signature = (rows, labels=None, title="Codes"))]
    fn plot_codes(
        &self,
        py: Python<'_>,
        rows: &Bound<'_, Rows>,
        labels: Option<Vec<String>>,
        title: &str,
    ) -> PyResult<Figure> {
        let rows = rows.get();
        detached(py, || {
            let mut codes = Vec::new();
            self.parts(rows, |part| {
                codes.extend(self.model.encode(&part)?.mean.values);
                Ok(())
            })?;
            let dims = self.model.dims();
            let pca = if dims == 2 { None } else { Pca::fit(&codes, dims, 2) };
            let point = |code: &[f32]| match (&pca, code) {
                (None, [a, b]) => [f64::from(*a), f64::from(*b)],
                (Some(pca), _) => match pca.project(code)[..] {
                    [a, b, ..] => [a, b],
                    [a] => [a, 0.0],
                    [] => [0.0, 0.0],
                },
                _ => [0.0, 0.0],
            };
            let points: Vec<[f64; 2]> = codes.chunks_exact(dims.max(1)).map(point).collect();
            let mut names = labels.clone().unwrap_or_default();
            names.sort_unstable();
            names.dedup();
            let place = |label: &String| names.binary_search(label).unwrap_or(0) as u32;
            let classes: Vec<u32> = labels.iter().flatten().map(place).collect();
            let axis = |i: usize| match dims {
                2 => format!("z{}", i + 1),
                _ => format!("principal component {}", i + 1),
            };
            let view = LatentView {
                title: title.into(),
                x_label: axis(0),
                y_label: axis(1),
                ..LatentView::default()
            };
            let map = CodeMap { points: &points, classes: &classes, names: &names };
            Ok(Figure { figure: code_map(&map, &view)? })
        })
    }

    /// A grid of new samples; images alone.
    #[pyo3(signature = (count, seed, title="Samples", sampler=None))]
    fn plot_samples(
        &self,
        py: Python<'_>,
        count: usize,
        seed: u64,
        title: &str,
        sampler: Option<&Bound<'_, Sampler>>,
    ) -> PyResult<Figure> {
        let key = Key::from_seed(seed).fold("sample");
        let sampler = sampler.map(|sampler| sampler.get());
        detached(py, || {
            let (told, shown) = (self.model.told(count, key)?, self.model.observe());
            let samples = or_prior(&self.model, sampler, |sampler| {
                Ok(self.model.sample_with(sampler, &told, &How::default(), shown, key)?)
            })?;
            Ok(Figure { figure: samples.grid(title)? })
        })
    }

    /// Draws the report of its run folder on these rows, cut as they were for training; the path of the page.
    #[pyo3(signature = (folder, rows=None))]
    fn report(&self, py: Python<'_>, folder: PathBuf, rows: Option<&Bound<'_, Rows>>) -> PyResult<String> {
        let rows = rows.map(|rows| rows.get());
        detached(py, || {
            let data = match rows {
                Some(rows) => {
                    let key = Key::from_seed(self.model.seed);
                    Data::from_memory(rows.memory(), &self.model.data, key, &mut |_| {})?
                }
                None => self.model.open_own(&mut |_| {})?,
            };
            let written = latent::evaluate::report(&folder, &data, self.model.seed)?;
            Ok(written.files.last().map(|page| page.display().to_string()).unwrap_or_default())
        })
    }

    /// The bytes of an ONNX file of the encoder.
    fn encoder_onnx<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(self.model.encoder_onnx()?))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// The bytes of an ONNX file of the decoder.
    fn decoder_onnx<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(self.model.decoder_onnx()?))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes encoder and decoder as ONNX files.
    fn export_onnx(&self, py: Python<'_>, encoder: PathBuf, decoder: PathBuf) -> PyResult<()> {
        detached(py, || Ok(self.model.export_onnx(&encoder, &decoder)?))
    }

    /// The mean of p(x|z), in the user's units and not rounded: what the exported decoder gives.
    fn unrounded<'py>(
        &self,
        py: Python<'py>,
        z: &Bound<'py, PyAny>,
        conditions: Vec<(String, String)>,
    ) -> PyResult<Bound<'py, PyArrayDyn<f64>>> {
        let z = codes(z)?;
        let values = detached(py, || {
            let told = Told::same(&self.model.facts, &conditions, z.rows())?;
            let samples = self.model.decode_told(&z, &told, Observe::Mean, Key::from_seed(0))?;
            let mut facts = self.model.facts.clone();
            facts.normalisation.stored = StoredType::F64;
            facts.normalisation.whole.clear();
            Ok(Samples::new(samples.x, &facts).values())
        })?;
        self.array(py, values)
    }
}

/// A picture, which notebooks show.
#[pyclass(frozen, module = "latent._latent")]
pub struct Figure {
    figure: latent::figure::Figure,
}

#[pymethods]
impl Figure {
    /// The text of an SVG file.
    #[getter]
    fn svg(&self) -> &str {
        &self.figure.svg
    }

    /// The bytes of a PNG file.
    #[pyo3(signature = (scale=2.0))]
    fn png<'py>(&self, py: Python<'py>, scale: f32) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = detached(py, || Ok(self.figure.png(scale)?))?;
        Ok(PyBytes::new(py, &bytes))
    }

    /// Writes it, by what the name ends with: .png or .svg.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        detached(py, || Ok(self.figure.save(&path)?))
    }

    fn __repr__(&self) -> String {
        format!("<latent.Figure, {} bytes of SVG>", self.figure.svg.len())
    }

    fn _repr_png_<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        self.png(py, 2.0)
    }
}
