//! A sampler that has been fitted to a model's codes: what programs hold.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use toml::Table;

use super::super::{Told, given};
use super::{Arrays, Chart, CodeSet, Fitting, How, Learned, Sampler, SamplerError, SamplerSettings, Space};
use crate::array::Array;
use crate::batch::{Noise, Support};
use crate::config::nearest;
use crate::generate::Result;
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;

/// How a sampler is fitted.
pub struct FitOptions<'a> {
    /// What the fit's noise descends from.
    pub seed: u64,
    /// How long it may take; none for as long as its settings say. A fit cut by the clock is not reproducible.
    pub minutes: Option<f64>,
    /// What names may stand for.
    pub registry: &'a Registry,
    /// Told what is done and how far, from 0 to 1.
    pub progress: &'a dyn Fn(&str, f64),
}

/// A fitted sampler. It draws codes for the model that it was fitted on.
pub struct FittedSampler {
    pub(super) kind: String,
    pub(super) settings: Table,
    pub(super) seed: u64,
    pub(super) seconds: f64,
    pub(super) learned: Option<Learned>,
    pub(super) arrays: Arrays,
    pub(super) chart: Chart,
    space: Space,
    pub(super) sampler: Box<dyn Sampler>,
}

/// Codes that are drawn at once.
const PART: usize = 1024;

impl FittedSampler {
    /// The model's own prior, which needs no fit.
    ///
    /// # Errors
    /// A registry without the sampler `prior`.
    pub fn prior(model: &Model, registry: &Registry) -> Result<Self> {
        Self::load_parts(model, registry, &kind_table("prior"), 0, 0.0, Arrays::new())
            .map_err(|(what, remedy)| SamplerError::Request { what, remedy }.into())
    }

    /// Fits the sampler that `table` names by its key `kind`, with the settings there.
    ///
    /// # Errors
    /// Unknown names and keys; [`SamplerError::Unsuitable`] where the sampler is not for such codes.
    pub fn fit(model: &Model, codes: &CodeSet, table: &Table, options: &FitOptions<'_>) -> Result<Self> {
        let begun = Instant::now();
        let (settings, resolved) = options.registry.resolve::<dyn SamplerSettings>(table, "sampler")?;
        let kind = kind_of(&resolved);
        codes.enough()?;
        let chart = match settings.takes_raw_codes() {
            true => Chart::identity(model.functions.latent.supports()),
            false => Chart::fit(&codes.train, model.functions.latent.supports()),
        };
        let space = chart.space(model);
        settings.check(&space)?;
        let charted = chart.apply(codes);
        let progress = |share: f64| (options.progress)(&kind, share);
        let learned = Cell::new(None);
        let fitting = Fitting {
            codes: &charted,
            space: &space,
            key: Key::from_seed(options.seed).fold("sampler").fold(kind.as_str()),
            deadline: options
                .minutes
                .map(|minutes| begun + Duration::from_secs_f64(60.0 * minutes.clamp(0.0, 1e6))),
            progress: &progress,
            learned: &learned,
        };
        let arrays = settings.fit(&fitting)?;
        let sampler = built(&*settings, &space, &arrays).map_err(|what| SamplerError::Unsuitable {
            sampler: kind.clone(),
            what: format!("was fitted and cannot be used: {what}"),
            remedy: "report this as a bug".into(),
        })?;
        let seconds = begun.elapsed().as_secs_f64();
        let (seed, learned) = (options.seed, learned.get());
        Ok(Self { kind, settings: resolved, seed, seconds, learned, arrays, chart, space, sampler })
    }

    /// From what a file holds; the error is what is wrong and what to do.
    pub(super) fn load_parts(
        model: &Model,
        registry: &Registry,
        table: &Table,
        seed: u64,
        seconds: f64,
        mut arrays: Arrays,
    ) -> Result<Self, (String, String)> {
        let remedy = || "fit the sampler anew".to_string();
        let (settings, resolved) = registry
            .resolve::<dyn SamplerSettings>(table, "sampler")
            .map_err(|error| (error.to_string(), remedy()))?;
        let supports = model.functions.latent.supports();
        let chart = match settings.takes_raw_codes() {
            true => Chart::identity(supports),
            false => Chart::restore(&mut arrays, supports).map_err(|what| (what, remedy()))?,
        };
        let space = chart.space(model);
        settings.check(&space).map_err(|error| (error.to_string(), remedy()))?;
        let sampler = built(&*settings, &space, &arrays).map_err(|what| (what, remedy()))?;
        Ok(Self {
            kind: kind_of(&resolved),
            settings: resolved,
            seed,
            seconds,
            learned: None,
            arrays,
            chart,
            space,
            sampler,
        })
    }

    /// The name of the sampler, such as `gaussian-mixture`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its settings, with every default filled in.
    pub fn settings(&self) -> &Table {
        &self.settings
    }

    /// How long the fit took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// How it learned; none for one that doesn't learn by steps, and for fits of earlier versions.
    pub fn learned(&self) -> Option<Learned> {
        self.learned
    }

    /// `count` codes for `model`, `count × dims`: a function of the key and of nothing else. Conditions are drawn as the
    /// training rows had them.
    ///
    /// # Errors
    /// [`SamplerError::Request`] for a temperature, a truncation or a class that this sampler cannot give.
    pub fn draw(&self, model: &Model, count: usize, how: &How, key: Key) -> Result<Array> {
        self.draw_told(model, &model.told(count, key)?, how, key)
    }

    /// The same, one code for each row that is told of.
    ///
    /// # Errors
    /// As [`draw`](Self::draw).
    pub fn draw_told(&self, model: &Model, told: &Told, how: &How, key: Key) -> Result<Array> {
        let codes = self.draw_unchecked(model, told, how, key)?;
        if codes.values.iter().all(|v| v.is_finite()) {
            return Ok(codes);
        }
        Err(SamplerError::Request {
            what: format!("the sampler `{}` drew a code that is NaN or infinite", self.kind),
            remedy: "fit it anew with more --set steps or a lower --set learning_rate, or draw from another"
                .into(),
        }
        .into())
    }

    /// The same; a code may be no number, where a flow learned for too short a time.
    pub(super) fn draw_unchecked(&self, model: &Model, told: &Told, how: &How, key: Key) -> Result<Array> {
        how.check()?;
        if let Some(class) = how.class
            && !self.sampler.knows_class(class)
        {
            return Err(self.no_class(class).into());
        }
        if how.guidance != 1.0 && !self.sampler.can_be_guided() {
            return Err(self.cannot_be_guided().into());
        }
        let dims = model.dims();
        let mut values = vec![0.0; told.rows() * dims];
        for (class, rows) in self.by_class(model, told, how) {
            let how = How { class, ..*how };
            for rows in rows.chunks(PART) {
                let ids: Vec<u64> = rows.iter().map(|row| *row as u64).collect();
                let told = told.select(rows).tensor(0..rows.len(), model.weights.device());
                let noise = Noise::new(key.fold("prior"), &ids);
                let u = self.sampler.draw_given(&model.view(), given(&ids, &told), noise, &how)?;
                for (row, z) in rows.iter().zip(self.chart.z_from_u(&u).chunks(dims.max(1))) {
                    values[row * dims..(row + 1) * dims].copy_from_slice(z);
                }
            }
        }
        Ok(Array::matrix(values, dims))
    }

    /// The rows that are drawn as one class: the one that is asked for, or else the one that each row is told it is, where this
    /// sampler knows it. Codes of a model of p(x|z, c) still lie elsewhere for each c.
    fn by_class(&self, model: &Model, told: &Told, how: &How) -> BTreeMap<Option<usize>, Vec<usize>> {
        let classes = if how.class.is_none() { told.classes(&model.facts) } else { Vec::new() };
        let mut groups: BTreeMap<Option<usize>, Vec<usize>> = BTreeMap::new();
        for row in 0..told.rows() {
            let own = classes.get(row).copied().flatten().filter(|class| self.sampler.knows_class(*class));
            groups.entry(how.class.or(own)).or_default().push(row);
        }
        groups
    }

    /// ln p̂(z) of each of these codes in nats, with respect to the volume of z; none where the sampler has no density.
    pub fn log_density(&self, model: &Model, codes: &[f32]) -> Option<Vec<f64>> {
        let volumes = self.chart.log_volumes(codes)?;
        let own = self.sampler.log_density(&model.view(), &self.chart.u_from_z(codes))?;
        Some(own.into_iter().zip(volumes).map(|(own, volume)| own + volume).collect())
    }

    /// The number of the class of that name, which this sampler can draw.
    ///
    /// # Errors
    /// [`SamplerError::Request`] where there is no such class, or the sampler knows none.
    pub fn class(&self, name: &str) -> Result<usize> {
        let names = &self.space.classes;
        if names.is_empty() {
            return Err(SamplerError::Request {
                what: "the model's data has no classes".into(),
                remedy:
                    "leave the class out, or train on data with labels (--set data.label=NAME for a table)"
                        .into(),
            }
            .into());
        }
        let Some(class) = names.iter().position(|known| known == name) else {
            let hint = nearest(name, names.iter().map(String::as_str));
            return Err(SamplerError::Request {
                what: format!(
                    "no class is called `{name}`{}",
                    hint.map(|hint| format!(" (did you mean `{hint}`?)")).unwrap_or_default()
                ),
                remedy: format!("the classes are {}", names.join(", ")),
            }
            .into());
        };
        if self.sampler.knows_class(class) { Ok(class) } else { Err(self.no_class(class).into()) }
    }

    fn cannot_be_guided(&self) -> SamplerError {
        let what = format!("draws from `{}` cannot be guided", self.kind);
        let remedy = match self.space.classes.is_empty() && self.space.condition == 0 {
            true => {
                "leave the guidance out: rows of this model's data have no classes, and it is told nothing of them"
            }
            false => {
                "fit a flow anew (latent fit-sampler RUN --sampler flow-matching --force) and name it by --sampler"
            }
        };
        SamplerError::Request { what, remedy: remedy.into() }
    }

    fn no_class(&self, class: usize) -> SamplerError {
        let name = self.space.classes.get(class).map_or_else(|| class.to_string(), Clone::clone);
        let some = (0..self.space.classes.len()).any(|class| self.sampler.knows_class(class));
        let (what, remedy) = if self.sampler.follows_told() {
            (
                format!(
                    "`{}` draws for what the model is told of each row, not for a class beside it",
                    self.kind
                ),
                "give the class by --condition where the model is told it; elsewhere fit gaussian-mixture, normal or \
                 kernel-density, which know classes, and name it by --sampler",
            )
        } else if some {
            (
                format!("class `{name}` had too few rows to fit `{}` on them", self.kind),
                "choose another class",
            )
        } else {
            (
                format!("`{}` cannot draw codes of one class", self.kind),
                "fit one that can (gaussian-mixture, flow-matching, normal or kernel-density, on data with labels) and \
                 name it by --sampler",
            )
        };
        SamplerError::Request { what, remedy: remedy.into() }
    }
}

/// What the model's codes are, in the coordinates that samplers see.
pub(super) fn support(model: &Model) -> Support {
    let latent = &model.functions.latent;
    latent.support().filter(|support| support.values().is_some()).unwrap_or(Support::Reals)
}

/// What tells this model from those whose codes are others: a hash of its arrays without what is made of codes, so that a decoder
/// may learn on.
pub(in crate::generate) fn identity(model: &Model) -> String {
    hash_of(model, |path| !["decoder", "likelihood"].iter().any(|part| path.starts_with(part)))
}

/// Whether what was learned from this model's codes holds for it. Before decoders learned on, all weights were asked for.
pub(in crate::generate) fn is_of(found: &str, model: &Model) -> bool {
    found == identity(model) || found == hash_of(model, |_| true)
}

fn hash_of(model: &Model, counts: impl Fn(&str) -> bool) -> String {
    let mut hash = Sha256::new();
    for (_, weight) in model.weights.kept().filter(|(_, weight)| counts(weight.path())) {
        hash.update(weight.path());
        weight.values().into_iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A table that names a sampler and leaves its settings as they are.
pub(super) fn kind_table(kind: &str) -> Table {
    Table::from_iter([("kind".to_string(), toml::Value::from(kind))])
}

fn kind_of(resolved: &Table) -> String {
    resolved.get("kind").and_then(toml::Value::as_str).unwrap_or_default().into()
}

fn built(settings: &dyn SamplerSettings, space: &Space, arrays: &Arrays) -> Result<Box<dyn Sampler>, String> {
    settings.restore(space, arrays.clone())
}
