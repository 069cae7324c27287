//! A model, its data, and what is known of its rows so far.
//!
//! Rows are numbered as they are surveyed: held-out (validation) rows first, then training rows in a keyed order. Test rows
//! are left to `latent evaluate`.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use latent::array::Array;
use latent::data::{Data, Rows, SampleShape, Split};
use latent::generate::sampler::{Choice, FittedSampler};
use latent::generate::{Samples, Survey};
use latent::{Key, Model, Registry};

use crate::error::Refusal;
use crate::plane::Plane;

/// A model on the page.
pub(crate) struct Explored {
    /// Counts models: a run under way shows one after another.
    pub generation: u64,
    /// The step that the model was taken after, of a run under way.
    pub step: Option<u64>,
    pub model: Model,
    pub data: Option<Arc<Data>>,
    /// What may be drawn from, the prior first.
    pub samplers: Vec<FittedSampler>,
    /// The sampler that the run draws from.
    pub chosen: String,
    /// The rows that are surveyed, in their order: split and position there.
    pub listed: Vec<(Split, u32)>,
    /// The class of each, where there are labels.
    pub labels: Vec<u32>,
    known: RwLock<Known>,
    /// Whether somebody has asked for log P(x) of rows.
    pub wants_log_p: AtomicBool,
    /// Set when a newer model has taken its place.
    pub replaced: AtomicBool,
}

/// What is known of the rows surveyed so far.
#[derive(Default)]
pub(crate) struct Known {
    pub rows: usize,
    /// `rows × dims`
    pub mean: Vec<f32>,
    /// `rows × dims`, or empty where q has no deviation.
    pub deviation: Vec<f32>,
    /// In nats a row; empty where q is a point.
    pub rate: Vec<f32>,
    pub error: Vec<f32>,
    pub distortion: Vec<f32>,
    /// NaN where it is not known (yet).
    pub log_p: Vec<f32>,
    pub log_p_known: usize,
    /// `rows × columns` of a table, in the user's units.
    pub values: Vec<f32>,
    /// Σ over rows of the rate of each dimension; empty where it doesn't split.
    pub rate_sums: Vec<f64>,
    /// The planes that there are, by name.
    pub planes: Vec<(String, Plane)>,
    /// How far the UMAP is, from 0 to 1; none before it begins.
    pub umap: Option<f64>,
    /// Why the survey ended before its time.
    pub failure: Option<String>,
}

impl Explored {
    /// A model with at most `most` rows on its map.
    pub fn new(
        model: Model,
        data: Option<Arc<Data>>,
        run: &Path,
        most: usize,
        generation: u64,
        step: Option<u64>,
    ) -> Self {
        let registry = Registry::default();
        let mut samplers: Vec<FittedSampler> = FittedSampler::prior(&model, &registry).into_iter().collect();
        let choice = Choice::of(&model, run).ok().flatten();
        for row in choice.iter().flat_map(|choice| &choice.table).filter(|row| row.sampler != "prior") {
            samplers.extend(FittedSampler::load(&model, run, &row.sampler, &registry));
        }
        let chosen = choice.map_or_else(|| "prior".into(), |choice| choice.chosen);
        let (mut listed, mut labels) = (Vec::new(), Vec::new());
        if let Some(data) = &data {
            let held = data.len(Split::Validation).min(most);
            listed.extend((0..held as u32).map(|at| (Split::Validation, at)));
            let order = Key::from_seed(1).fold("explore").permutation(data.len(Split::Train));
            listed.extend(order.into_iter().take(most - held).map(|at| (Split::Train, at as u32)));
            let of = [data.labels(Split::Train), data.labels(Split::Validation)];
            labels = listed
                .iter()
                .filter_map(|&(split, at)| of[usize::from(split != Split::Train)].get(at as usize).copied())
                .collect();
            if labels.len() != listed.len() {
                labels.clear();
            }
        }
        let mut known = Known::default();
        if let Some(plane) = Plane::of_latents(model.dims()) {
            known.planes.push(("latents".into(), plane));
        }
        Self {
            generation,
            step,
            model,
            data,
            samplers,
            chosen,
            listed,
            labels,
            known: RwLock::new(known),
            wants_log_p: AtomicBool::new(false),
            replaced: AtomicBool::new(false),
        }
    }

    /// What is known so far.
    pub fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is known.
    pub fn learn<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.write().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what a survey found of the rows that follow those known.
    pub fn take(&self, survey: Survey, values: Vec<f32>) {
        self.learn(|known| {
            let count = survey.error.len();
            known.rows += count;
            known.mean.extend(survey.codes.mean.values);
            known.deviation.extend(survey.codes.deviation.map(|array| array.values).unwrap_or_default());
            if let Some(rate) = survey.rate {
                let width = rate.width();
                known.rate.extend(rate.values.chunks_exact(width.max(1)).map(|row| row.iter().sum::<f32>()));
                if width == self.model.dims() {
                    known.rate_sums.resize(width, 0.0);
                    for row in rate.values.chunks_exact(width) {
                        known.rate_sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
                    }
                }
            }
            known.error.extend(survey.error);
            known.distortion.extend(survey.distortion);
            known.log_p.resize(known.rows, f32::NAN);
            known.values.extend(values);
        });
    }

    /// Some of the rows of the data, by their numbers.
    pub fn rows(&self, numbers: &[usize]) -> Result<Rows, Refusal> {
        let Some(data) = &self.data else {
            return Err(Refusal::missing("the data that the model was trained on is not there"));
        };
        let mut all = Rows::default();
        for &number in numbers {
            let &(split, at) = self.listed.get(number).ok_or_else(|| {
                Refusal::missing(format!(
                    "there is no row {number}; the last is {}",
                    self.listed.len().saturating_sub(1)
                ))
            })?;
            let row = data.rows(split, &[at as usize], 0)?;
            append(&mut all, row);
        }
        Ok(all)
    }

    /// Rows that follow each other in the survey.
    pub fn part(&self, from: usize, count: usize) -> Result<Rows, Refusal> {
        let Some(data) = &self.data else { return Ok(Rows::default()) };
        let mut all = Rows::default();
        let part = self.listed.get(from..(from + count).min(self.listed.len())).unwrap_or_default();
        for split in [Split::Validation, Split::Train] {
            let at: Vec<usize> =
                part.iter().filter(|(of, _)| *of == split).map(|(_, at)| *at as usize).collect();
            if !at.is_empty() {
                append(&mut all, data.rows(split, &at, 0)?);
            }
        }
        Ok(all)
    }

    /// Where a row stands in the user's data, such as `validation 17`.
    pub fn name(&self, number: usize) -> String {
        self.listed.get(number).map(|(split, at)| format!("{split} {at}")).unwrap_or_default()
    }

    /// The file that a row is, where rows are files.
    pub fn file(&self, number: usize) -> Option<String> {
        let data = self.data.as_ref()?;
        let (split, at) = *self.listed.get(number)?;
        data.name(*data.ids(split).get(at as usize)?)
    }

    /// The place that is shown where the pointer is nowhere.
    pub fn samples(&self, x: Vec<f32>) -> Samples {
        Samples::new(x, &self.model.facts)
    }

    /// Brings codes to what the latent can be: finite, whole where it is discrete, within its bounds.
    pub fn tidy(&self, codes: &mut Array) {
        use latent::batch::Support;
        let supports = self.model.functions.latent.supports();
        for row in codes.values.chunks_exact_mut(supports.len().max(1)) {
            for (value, support) in row.iter_mut().zip(&supports) {
                let finite = if value.is_finite() { *value } else { 0.0 };
                *value = match support {
                    Support::Reals => finite.clamp(-1e4, 1e4),
                    Support::UnitInterval => finite.clamp(0.0, 1.0),
                    Support::Bits => f32::from(u8::from(finite >= 0.5)),
                    Support::Index(size) => finite.round().clamp(0.0, size.saturating_sub(1) as f32),
                };
            }
        }
    }

    /// Whether samples are pictures, and then of which shape.
    pub fn shape(&self) -> SampleShape {
        self.model.facts.shape
    }
}

/// Puts rows behind others.
pub(crate) fn append(all: &mut Rows, more: Rows) {
    // Noise is keyed by content or by id, for all rows alike.
    let has_content = all.content.len() == all.ids.len() && more.content.len() == more.ids.len();
    all.x.extend(more.x);
    all.ids.extend(more.ids);
    match has_content {
        true => all.content.extend(more.content),
        false => all.content.clear(),
    }
    all.labels.extend(more.labels);
    all.condition.extend(more.condition);
    all.mask.extend(more.mask);
    all.weight.extend(more.weight);
}
