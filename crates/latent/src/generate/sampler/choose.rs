//! Which sampler is best? Each is fitted on training codes and judged against validation codes; the one whose codes are told
//! least from them is chosen. `RUN/samplers/chosen.toml` keeps the table.
//!
//! The least accuracy of the [classifier](super::judge) wins; samplers that lie within its interval are as good, and among
//! them the one whose discrepancy is surely least (by the upper end of its interval: a few codes far out make it uncertain
//! before they make it large). Test rows play no part.

use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use toml::Table;

use super::file::folder;
use super::fitted::{identity, is_of, kind_table, support};
use super::{
    CodeSet, FitOptions, FittedSampler, How, Learned, SamplerError, SamplerSettings, TwoSample, two_sample,
};
use crate::array::Array;
use crate::batch::Support;
use crate::config::ConfigError;
use crate::estimate::Z_95;
use crate::files::{takes_files, write_whole};
use crate::generate::Result;
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;
use crate::store::{StoreError, TensorFile};

/// A sampler and how well its codes are told from validation codes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The sampler.
    pub sampler: String,
    /// How its codes are told from validation codes.
    #[serde(flatten)]
    pub two_sample: TwoSample,
    /// How long its fit took.
    pub seconds: f64,
    /// How it learned, if by steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learned: Option<Learned>,
}

/// The samplers of a run, judged, and the one that is drawn from unless asked otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The version of this format.
    format: u32,
    /// The model that they were fitted on.
    model: String,
    /// The best.
    pub chosen: String,
    /// Every sampler judged so far, the best first.
    pub table: Vec<Judged>,
    /// What could not be fitted or kept in this call, and why.
    #[serde(skip)]
    pub failed: Vec<(String, String)>,
}

/// The format that this program writes. The first one had the judgements of another classifier.
const FORMAT: u32 = 2;

impl Choice {
    /// The choice of a run; none where no sampler was fitted, or the model has been trained since.
    ///
    /// # Errors
    /// [`SamplerError::Damaged`] for a file that cannot be read.
    pub fn of(model: &Model, run: &Path) -> Result<Option<Self>> {
        Ok(Self::read(run)?.filter(|choice| is_of(&choice.model, model)))
    }

    /// The choice that the run folder holds, whatever has become of the model; none where no sampler was fitted.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn read(run: &Path) -> Result<Option<Self>> {
        let path = folder(run).join("chosen.toml");
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|source| StoreError::Read { path: path.clone(), source })?;
        let damaged = |what: String| SamplerError::Damaged { path: path.clone(), what };
        let choice: Self = toml::from_str(&text).map_err(|error| {
            damaged(format!("it cannot be read: {}", error.message().lines().next().unwrap_or_default()))
        })?;
        if choice.format > FORMAT {
            return Err(StoreError::Newer { path, found: choice.format, known: FORMAT }.into());
        }
        Ok(Some(choice))
    }

    /// The sampler that a run draws from unless asked otherwise: the chosen one, or else the prior.
    ///
    /// # Errors
    /// What [`Choice::of`] and [`FittedSampler::load`] say of broken files, and of a chosen sampler that is gone.
    pub fn sampler(model: &Model, run: &Path, registry: &Registry) -> Result<FittedSampler> {
        match Self::of(model, run)? {
            Some(choice) => FittedSampler::load(model, run, &choice.chosen, registry),
            None => FittedSampler::prior(model, registry),
        }
    }

    /// What a run has so far, all of it judged by the test of today.
    fn begun(model: &Model, run: &Path, codes: &CodeSet, options: &FitOptions<'_>) -> Result<Self> {
        let mut new = Self::new(model);
        let Some(old) = Self::of(model, run)? else { return Ok(new) };
        if old.format == FORMAT {
            return Ok(old);
        }
        for row in old.table {
            // One that cannot be read any more is left out, and may be fitted anew.
            let fitted = match row.sampler.as_str() {
                "prior" => FittedSampler::prior(model, options.registry),
                name => FittedSampler::load(model, run, name, options.registry),
            };
            if let Ok(fitted) = fitted {
                new.take(judged(model, codes, &fitted, options)?);
            }
        }
        Ok(new)
    }

    /// Whether its table is by the test of today.
    pub fn is_current(&self) -> bool {
        self.format == FORMAT
    }

    fn new(model: &Model) -> Self {
        let (model, chosen) = (identity(model), "prior".into());
        Self { format: FORMAT, model, chosen, table: Vec::new(), failed: Vec::new() }
    }

    /// Takes a judged sampler in, in the place of an older fit, and chooses anew.
    fn take(&mut self, judged: Judged) {
        self.table.retain(|row| row.sampler != judged.sampler);
        self.table.push(judged);
        self.table.sort_by(|a, b| a.two_sample.accuracy.total_cmp(&b.two_sample.accuracy));
        let Some(reach) = self.reach() else { return };
        let alike = self.table.iter().enumerate().filter(|(_, row)| row.two_sample.accuracy <= reach);
        let at_most = |row: &Judged| row.two_sample.mmd + Z_95 * row.two_sample.mmd_error;
        let best = alike.min_by(|(_, a), (_, b)| at_most(a).total_cmp(&at_most(b))).map(|(i, _)| i);
        let best = self.table.remove(best.unwrap_or(0));
        self.chosen.clone_from(&best.sampler);
        self.table.insert(0, best);
    }

    /// Samplers are told apart as little as the one that is told least up to here: the upper end of its interval.
    fn reach(&self) -> Option<f64> {
        let least = self.table.iter().map(|row| &row.two_sample);
        least.min_by(|a, b| a.accuracy.total_cmp(&b.accuracy)).map(|test| test.accuracy_high)
    }

    /// By what rule the chosen one is the best, in words.
    pub fn why(&self) -> String {
        let within = |row: &&Judged| self.reach().is_some_and(|reach| row.two_sample.accuracy <= reach);
        let others: Vec<&str> = self
            .table
            .iter()
            .filter(within)
            .map(|row| row.sampler.as_str())
            .filter(|name| *name != self.chosen)
            .collect();
        match others.len() {
            0 => "its codes are told from validation codes least".into(),
            _ => format!(
                "{} are told as little from validation codes (within the 95 % interval of the least), and of these its mmd is \
                 surely the least (mmd + 1.96 errors)",
                [&[self.chosen.as_str()], &others[..]].concat().join(", ")
            ),
        }
    }

    fn write(&self, run: &Path) -> Result<()> {
        let path = folder(run).join("chosen.toml");
        std::fs::create_dir_all(folder(run))
            .map_err(|source| StoreError::Io { path: folder(run), source })?;
        // What could not be kept is not drawn from.
        let is_there =
            |row: &Judged| row.sampler == "prior" || FittedSampler::path(run, &row.sampler).exists();
        let mut kept = self.clone();
        kept.table.retain(is_there);
        kept.chosen = kept.table.first().map_or_else(|| "prior".into(), |best| best.sampler.clone());
        let text = toml::to_string(&kept)
            .map_err(|error| ConfigError::Unwritable { key: "samplers".into(), what: error.to_string() })?;
        write_whole(&path, |out| out.write_all(text.as_bytes()))
            .map_err(|source| StoreError::Io { path, source }.into())
    }
}

/// The samplers that `auto` fits, the quick ones first. Kernel density is not among them: it repeats training codes with
/// noise, which no comparison of codes notices.
pub fn auto_kinds(model: &Model) -> &'static [&'static str] {
    match support(model) {
        Support::Bits => &["prior", "autoregressive-bits"],
        Support::Index(_) => &["prior", "autoregressive"],
        // The U-Net starts from the normal and learns what that lacks, which no comparison of some hundred codes of so many dimensions
        // sees, and pictures show.
        Support::Reals | Support::UnitInterval if has_maps(model) => &["prior", "flow-unet"],
        // A model that is told something has codes that depend on it: only samplers that know classes.
        Support::Reals | Support::UnitInterval if model.functions.condition > 0 => {
            &["prior", "normal", "gaussian-mixture", "flow-matching"]
        }
        Support::Reals | Support::UnitInterval => {
            &["prior", "normal", "gaussian-mixture", "two-stage", "maf", "flow-matching"]
        }
    }
}

/// The settings of one of these: a flow on many dimensions is wider than its default.
fn auto_table(model: &Model, kind: &str) -> Table {
    let mut table = kind_table(kind);
    let dims = model.functions.latent.dims();
    if kind == "flow-matching" && dims > WIDE {
        let width = (2 * dims).min(MOST_WIDTH) as i64;
        table.insert("hidden".into(), vec![width; 3].into());
    }
    table
}

/// A flow on more dimensions than this is twice as wide as they are many, up to a limit.
const WIDE: usize = 128;
const MOST_WIDTH: usize = 1024;

/// Whether its codes have a place.
fn has_maps(model: &Model) -> bool {
    matches!(model.functions.latent.blocks.as_slice(), [block] if block.shape.len() == 3)
}

/// Fits the sampler that `table` names, judges it, and keeps both beside the model. What was fitted before is replaced
/// only if `force` says so.
///
/// # Errors
/// [`SamplerError::Exists`]; and what [`FittedSampler::fit`] and [`FittedSampler::save`] say.
pub fn fit_one(
    model: &Model,
    run: &Path,
    codes: &CodeSet,
    table: &Table,
    force: bool,
    options: &FitOptions<'_>,
) -> Result<Choice> {
    let (_, resolved) = options.registry.resolve::<dyn SamplerSettings>(table, "sampler")?;
    let kind = resolved.get("kind").and_then(toml::Value::as_str).unwrap_or_default();
    refuse_fitted(run, kind, force)?;
    keepable(run)?;
    let mut choice = Choice::begun(model, run, codes, options)?;
    if kind != "prior" && !choice.table.iter().any(|row| row.sampler == "prior") {
        let prior = FittedSampler::fit(model, codes, &kind_table("prior"), options)?;
        choice.take(judged(model, codes, &prior, options)?);
    }
    let fitted = FittedSampler::fit(model, codes, table, options)?;
    keep(model, run, codes, &fitted, &mut choice, options)?;
    Ok(choice)
}

/// Fits [a few](auto_kinds) within `options.minutes` together, judges them, and keeps all. Those that are fitted already stay
/// as they are, unless `force` says otherwise.
///
/// # Errors
/// [`SamplerError::Exists`] for a file that is in the way; what fitting, judging and writing say.
pub fn fit_auto(
    model: &Model,
    run: &Path,
    codes: &CodeSet,
    force: bool,
    options: &FitOptions<'_>,
) -> Result<Choice> {
    let begun = Instant::now();
    keepable(run)?;
    let mut choice = Choice::begun(model, run, codes, options)?;
    let kinds = auto_kinds(model);
    let mut first = None;
    for (index, &kind) in kinds.iter().enumerate() {
        let is_there = !force && choice.table.iter().any(|row| row.sampler == kind);
        if is_there && (kind == "prior" || FittedSampler::load(model, run, kind, options.registry).is_ok()) {
            continue;
        }
        refuse_fitted(run, kind, force)?;
        // What is left is shared by those to come.
        let minutes = options.minutes.map(|all| {
            let left = (all - begun.elapsed().as_secs_f64() / 60.0).max(0.0);
            left / (kinds.len() - index) as f64
        });
        let options = FitOptions { minutes, ..*options };
        let fitted = FittedSampler::fit(model, codes, &auto_table(model, kind), &options);
        // One that fails does not take the others with it.
        if let Err(error) = fitted.and_then(|fitted| keep(model, run, codes, &fitted, &mut choice, &options))
        {
            choice.failed.push((kind.into(), error.to_string()));
            first.get_or_insert(error);
        }
    }
    match first {
        Some(error) if choice.table.is_empty() => return Err(error),
        _ => {}
    }
    if let Err(error) = choice.write(run) {
        choice.failed.push(("the choice".into(), error.to_string()));
    }
    Ok(choice)
}

/// Whether what is fitted can be kept, before it is.
fn keepable(run: &Path) -> Result<()> {
    Ok(takes_files(run).map_err(|source| StoreError::Io { path: run.into(), source })?)
}

/// Refuses to replace a fit. One that no choice names was left by a command that ended before it was judged, and is made anew.
fn refuse_fitted(run: &Path, kind: &str, force: bool) -> Result<()> {
    let path = FittedSampler::path(run, kind);
    if kind == "prior" || force || !path.exists() {
        return Ok(());
    }
    let is_judged =
        Choice::read(run)?.is_some_and(|choice| choice.table.iter().any(|row| row.sampler == kind));
    let is_ours = TensorFile::load(&path).is_ok_and(|file| file.header.contains_key("latent-sampler"));
    if is_judged || !is_ours {
        return Err(SamplerError::Exists { path, name: kind.into() }.into());
    }
    Ok(())
}

/// Saves, judges, and writes the choice: each step leaves the folder whole.
fn keep(
    model: &Model,
    run: &Path,
    codes: &CodeSet,
    fitted: &FittedSampler,
    choice: &mut Choice,
    options: &FitOptions<'_>,
) -> Result<()> {
    // Judged even where it cannot be kept: the fit's time shall not be lost without a word.
    choice.take(judged(model, codes, fitted, options)?);
    if fitted.kind() != "prior" {
        fitted.save(model, run)?;
    }
    choice.write(run)
}

/// As many draws as there are validation codes, told apart from them; each beside what its row is told, so that a sampler which
/// passes over that is told, too.
fn judged(
    model: &Model,
    codes: &CodeSet,
    fitted: &FittedSampler,
    options: &FitOptions<'_>,
) -> Result<Judged> {
    (options.progress)(&format!("judging {}", fitted.kind()), 0.0);
    // The same noise for all, whatever the seed of their fits.
    let key = Key::from_seed(0).fold("judge");
    let drawn = fitted.draw_unchecked(model, &codes.validation_told, &How::default(), key.fold("draws"))?;
    let beside_told = |codes_of: &Array| {
        let told = &codes.validation_told;
        let rows = (0..codes_of.rows()).flat_map(|row| [codes_of.row(row), told.row(row)].concat());
        Array::matrix(rows.collect(), codes_of.width() + told.width())
    };
    let two_sample = two_sample(&beside_told(&codes.validation), &beside_told(&drawn), key)?;
    (options.progress)(&format!("judging {}", fitted.kind()), 1.0);
    let (sampler, seconds, learned) = (fitted.kind().into(), fitted.seconds(), fitted.learned());
    Ok(Judged { sampler, two_sample, seconds, learned })
}
