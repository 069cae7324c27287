//! Data that a program holds already: numbers in memory, with whatever belongs to them.
//!
//! It goes the way of files: the same numbers in an `.npy` file (for named columns: in a csv file) are the same
//! data, hash included. Only memory can say which values are missing, and how much a row counts.

use std::path::Path;

use super::build::Meaning;
use super::condition::number_names;
use super::memory_rows::MemoryRows;
use super::open::{Found, roles};
use super::table::{WordColumn, of_columns};
use super::{Data, DataError, DataSettings, Facts, SampleShape, Values};
use crate::Key;

/// Rows in memory, and what is known about each.
///
/// ```
/// use latent::data::{Data, DataSettings, Memory};
///
/// let values: Vec<f32> = (0..40 * 2).map(|n| n as f32).collect();
/// let memory = Memory::table(["length", "width"], values)
///     .labels((0..40).map(|n| n % 2))
///     .condition("age", (0..40).map(f64::from).collect());
/// let settings = DataSettings { condition: vec!["label".into(), "age".into()], ..DataSettings::default() };
/// let data = Data::from_memory(memory, &settings, latent::Key::from_seed(1), &mut |_| {})?;
/// assert_eq!(data.facts().condition_width(), 3);
/// # Ok::<(), latent::data::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Memory {
    pub(crate) name: String,
    pub(crate) shape: SampleShape,
    pub(crate) columns: Vec<String>,
    /// Columns of words, in the place of `values`: empty for numbers.
    pub(crate) cells: Vec<WordColumn>,
    pub(crate) values: Values,
    pub(crate) labels: Option<Vec<String>>,
    pub(crate) groups: Option<Vec<String>>,
    pub(crate) conditions: Vec<(String, Vec<f64>)>,
    pub(crate) mask: Option<Vec<bool>>,
    pub(crate) weight: Option<Vec<f32>>,
}

/// What is wrong with any of it is said when the data is opened: no size given here is too much or too little.
impl Memory {
    /// Rows of `shape`, row-major: `[rows, columns]`, or `[rows, channels, height, width]`.
    pub fn new(shape: SampleShape, values: impl Into<Values>) -> Self {
        Self {
            name: "memory".into(),
            shape,
            columns: Vec::new(),
            cells: Vec::new(),
            values: values.into(),
            labels: None,
            groups: None,
            conditions: Vec::new(),
            mask: None,
            weight: None,
        }
    }

    /// Images, `[rows, channels, height, width]`.
    pub fn images(values: impl Into<Values>, channels: usize, height: usize, width: usize) -> Self {
        Self::new(SampleShape::Image { channels, height, width }, values)
    }

    /// A table with named columns, `[rows, columns]`.
    pub fn table(columns: impl IntoIterator<Item = impl ToString>, values: impl Into<Values>) -> Self {
        let columns: Vec<String> = columns.into_iter().map(|name| name.to_string()).collect();
        let shape = SampleShape::Vector { columns: columns.len() };
        Self { columns, ..Self::new(shape, values) }
    }

    /// A table of mixed columns: numbers, categories, dates and gaps as words, as a csv file has them. What each column is
    /// is found out, or said by `data.columns`; the class, groups and conditions are columns that the settings name.
    pub fn cells(columns: Vec<WordColumn>) -> Self {
        let shape = SampleShape::Vector { columns: columns.len() };
        Self { cells: columns, ..Self::new(shape, Vec::<f32>::new()) }
    }

    /// Rows of columns of words, if that is what it holds.
    fn mixed(
        &mut self,
        settings: &DataSettings,
        like: Option<&Facts>,
        log: &mut dyn FnMut(String),
    ) -> Result<Option<Found>, DataError> {
        if self.cells.is_empty() {
            return Ok(None);
        }
        let path = Path::new(&self.name);
        let beside = [
            self.labels.is_some(),
            self.groups.is_some(),
            !self.conditions.is_empty(),
            self.mask.is_some(),
            self.weight.is_some(),
        ];
        if beside.contains(&true) {
            let what = "labels, groups, conditions, a mask or weights stand beside columns of words";
            let remedy = "give them as columns, named by data.label, data.group and data.condition; an empty word is a gap";
            return Err(DataError::malformed(path, what, remedy));
        }
        if let Some(model) = like.filter(|model| model.table.is_none()) {
            let what = format!("columns of words, and the model knows rows of {} numbers", model.shape);
            return Err(DataError::mismatch(path, what, "give numbers"));
        }
        let numbers = number_names(settings, like);
        let cells = std::mem::take(&mut self.cells);
        Ok(Some(Found::only(of_columns(path, cells, roles(settings, like, &numbers), settings, log)?)))
    }

    /// What the data is called in facts and messages. Default (also for an empty name): `memory`.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into()).filter(|name| !name.is_empty()).unwrap_or_else(|| "memory".into());
        self
    }

    /// The class of each row, by name or number.
    #[must_use]
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl ToString>) -> Self {
        self.labels = Some(labels.into_iter().map(|label| label.to_string()).collect());
        self
    }

    /// The group of each row: rows of one group stay in one split.
    #[must_use]
    pub fn groups(mut self, groups: impl IntoIterator<Item = impl ToString>) -> Self {
        self.groups = Some(groups.into_iter().map(|group| group.to_string()).collect());
        self
    }

    /// A named number of each row that is no part of x; `data.condition` tells the model of it.
    #[must_use]
    pub fn condition(mut self, name: impl Into<String>, values: Vec<f64>) -> Self {
        self.conditions.push((name.into(), values));
        self
    }

    /// Which values were observed, one for each: where it is false the value is missing, and what stands there (NaN,
    /// say) is never read. Missing values are left out of range, mean and variance, and x is 0 there.
    #[must_use]
    pub fn mask(mut self, observed: Vec<bool>) -> Self {
        self.mask = Some(observed);
        self
    }

    /// How much each row counts in what is learnt: finite, ≥ 0 and not all 0. Range, mean and variance, which make x of
    /// the values, count all rows alike.
    #[must_use]
    pub fn weight(mut self, weight: Vec<f32>) -> Self {
        self.weight = Some(weight);
        self
    }
}

impl Data {
    /// Splits data in memory and prepares it as [`open`](Self::open) does a file; `settings.source` is not read.
    ///
    /// # Errors
    /// Whatever is wrong with the settings, the sizes or the numbers, with a remedy.
    pub fn from_memory(
        mut memory: Memory,
        settings: &DataSettings,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let settings = DataSettings { source: memory.name.clone(), ..settings.clone() };
        settings.check()?;
        if let Some(found) = memory.mixed(&settings, None, log)? {
            return Self::open_found(found, &settings, Meaning::Fresh, key.fold("data"), log);
        }
        let numbers = number_names(&settings, None);
        for (name, _) in &memory.conditions {
            if !numbers.contains(name) {
                log(format!(
                    "the condition {name:?} is not used: name it in data.condition to tell the model"
                ));
            }
        }
        let rows = MemoryRows::new(memory, &settings.image, &numbers, None)?;
        Self::open_found(Found::only(rows), &settings, Meaning::Fresh, key.fold("data"), log)
    }

    /// Other data in memory for a trained model, as [`open_for`](Self::open_for); the columns of a named table are
    /// found by name.
    ///
    /// # Errors
    /// As [`from_memory`](Self::from_memory), and [`DataError::Mismatch`] if it is not what the model knows.
    pub fn memory_for(
        model: &Facts,
        mut memory: Memory,
        settings: &DataSettings,
        key: Key,
        log: &mut dyn FnMut(String),
    ) -> Result<Self, DataError> {
        let settings = DataSettings { source: memory.name.clone(), ..Self::settings_for(settings) };
        settings.check()?;
        if let Some(found) = memory.mixed(&settings, Some(model), log)? {
            return Self::open_found_for(found, model, &settings, &[], key.fold("data"), log);
        }
        let numbers = number_names(&settings, Some(model));
        let wanted = Some(model).filter(|model| !model.columns.is_empty());
        let rows = MemoryRows::new(memory, &settings.image, &numbers, wanted)?;
        Self::open_found_for(Found::only(rows), model, &settings, &[], key.fold("data"), log)
    }
}
