//! The samplers that were fitted on the codes, on the page of the report: samples of the one that is drawn from, what in the
//! training data is like them, and how all of them were judged.

use std::path::Path;

use super::compare::short;
use super::report::About;
use super::{Better, Estimate, Evaluation};
use crate::array::Array;
use crate::data::{Data, Split};
use crate::error::Result;
use crate::figure::{Figure, Section, Table, pairs};
use crate::generate::sampler::{Choice, FittedSampler, How};
use crate::generate::{Samples, told_as};
use crate::member::Registry;
use crate::model::Model;
use crate::nearest::Nearest;

/// What `latent sample` draws, of a model of images.
pub(super) struct Drawn {
    /// The sampler, or `prior`.
    pub name: String,
    /// Samples.
    pub samples: Samples,
    /// Some of them above the training rows that are nearest.
    pub nearest: Figure,
}

/// Samples above their nearest training rows.
const COMPARED: usize = 12;

/// Training rows that are searched, at most.
const SEARCHED: usize = 60_000;

/// `count` samples of the chosen sampler; of the prior where that is as good, or none was fitted.
pub(super) fn drawn(about: &About<'_>, folder: &Path, count: usize) -> Result<Drawn> {
    let About { model, data, key, .. } = *about;
    let name = Choice::of(model, folder)?.map_or("prior".into(), |choice| choice.chosen);
    let samples = match name.as_str() {
        "prior" => {
            let told = told_as(model, data, Split::Validation, count, key)?;
            model.sample_told(&told, model.observe(), key.fold("samples"))?
        }
        name => {
            let sampler = FittedSampler::load(model, folder, name, &Registry::default())?;
            let told = model.told(count, key)?;
            model.sample_with(&sampler, &told, &How::default(), model.observe(), key.fold("sampled"))?
        }
    };
    let width = model.facts.shape.features();
    let few = samples.x.iter().take(COMPARED * width).copied().collect();
    let few = Array::matrix(few, width);
    let found = nearest_rows(&few, data)?;
    let (ours, theirs) =
        (Samples::new(few.values, &model.facts).pictures()?, Samples::new(found, &model.facts).pictures()?);
    let title = "Samples above their nearest training rows";
    let nearest = pairs(&ours.images()?, &theirs.images()?, ["sample", "nearest row"], title)?;
    Ok(Drawn { name, samples, nearest })
}

/// The training row nearest to each of some rows, one after the other.
fn nearest_rows(rows: &Array, data: &Data) -> Result<Vec<f32>> {
    const PART: usize = 1000;
    let mut nearest = Nearest::new(rows);
    let all = data.len(Split::Train).min(SEARCHED);
    for start in (0..all).step_by(PART) {
        let positions: Vec<usize> = (start..all.min(start + PART)).collect();
        let x = data.rows(Split::Train, &positions, 0)?.x;
        nearest.meet(rows, &Array { shape: vec![positions.len(), rows.width()], values: x }, start);
    }
    Ok(data.rows(Split::Train, &nearest.row, 0)?.x)
}

/// One table of samplers and measures: how codes of each are told from those of rows, and, where an evaluation compared the
/// samples themselves, that beside it. None where no sampler was fitted.
pub(super) fn table(
    model: &Model,
    folder: &Path,
    evaluation: Option<&Evaluation>,
) -> Result<Option<Section>> {
    let Some(choice) = Choice::of(model, folder)? else { return Ok(None) };
    let section = Section::new("Where samples come from").paragraph(format!(
        "A sampler is fitted on the codes that training rows have in the end and drawn from in the prior's place. `latent \
         sample` draws from {} unless asked otherwise. Told apart: how often a classifier tells its codes from those of \
         validation rows; 50 %, not at all, is best. The squared MMD says how far apart both lie; 0 is best.{}",
        choice.chosen,
        if evaluation.and_then(samples_of).is_some() {
            " The other columns compare samples with held-out rows; ↓ less is better, ↑ more. The last rows are what no sampler \
             can pass."
        } else {
            ""
        }
    ));
    let measured = evaluation.and_then(samples_of);
    let kinds = measured.map(kinds_of).unwrap_or_default();
    let mut header = ["sampler", "told apart, %", "squared MMD"].map(String::from).to_vec();
    header.extend(kinds.iter().map(|(_, title)| title.clone()));
    let row = |set: &str, name: String, codes: [String; 2]| {
        let cell = |kind: &str| {
            let found = measured.and_then(|section| section.get(&format!("{kind}:{set}")));
            found.map_or("–".into(), |measure| short(measure.estimate))
        };
        let mut row = vec![name];
        row.extend(codes);
        row.extend(kinds.iter().map(|(kind, _)| cell(kind)));
        row
    };
    let mut rows: Vec<Vec<String>> = choice
        .table
        .iter()
        .map(|judged| {
            let t = &judged.two_sample;
            let percent = |share: f64| 100.0 * share;
            let told = Estimate {
                value: percent(t.accuracy),
                low: percent(t.accuracy_low),
                high: percent(t.accuracy_high),
            };
            let name = match judged.sampler == choice.chosen {
                true => format!("**{}**", judged.sampler),
                false => judged.sampler.clone(),
            };
            row(&judged.sampler, name, [short(told), short(Estimate::normal(t.mmd, t.mmd_error))])
        })
        .collect();
    for (set, name) in [("posterior", "decoded codes of rows"), ("held-out", "held-out rows themselves")] {
        if measured
            .is_some_and(|section| section.measures.iter().any(|m| m.name.ends_with(&format!(":{set}"))))
        {
            rows.push(row(set, name.into(), ["–".into(), "–".into()]));
        }
    }
    Ok(Some(section.table(Table { caption: "Each number with its 95 % interval.".into(), header, rows })))
}

/// The answers about samples.
fn samples_of(evaluation: &Evaluation) -> Option<&super::Section> {
    evaluation.sections.iter().find(|section| section.name == "samples" && !section.measures.is_empty())
}

/// The kinds of measure in it, in their order, with their headings.
fn kinds_of(section: &super::Section) -> Vec<(String, String)> {
    let mut kinds: Vec<(String, String)> = Vec::new();
    for measure in &section.measures {
        let Some((kind, _)) = measure.name.split_once(':') else { continue };
        if kinds.iter().all(|(known, _)| known != kind) {
            let title = measure.title.split_once(", ").map_or(measure.title.as_str(), |(title, _)| title);
            let sign = match measure.better {
                Better::Lower => " ↓",
                Better::Higher => " ↑",
                Better::Neither => "",
            };
            let title = match kind {
                "closed" => "way closed",
                _ => title.trim_start_matches("improved "),
            };
            kinds.push((kind.into(), format!("{title}{sign}")));
        }
    }
    kinds
}
