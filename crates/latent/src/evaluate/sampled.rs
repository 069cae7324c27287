//! The samplers that were fitted on the codes, on the page of the report: samples of the one that is drawn from, what in the
//! training data is like them, and how all of them were judged.

use std::path::Path;

use crate::array::Array;
use crate::data::{Data, SampleShape, Split};
use crate::error::Result;
use crate::figure::{Figure, Section, Table, pairs};
use crate::generate::Samples;
use crate::generate::sampler::{Choice, FittedSampler, How};
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;
use crate::nearest::Nearest;

/// What the chosen sampler draws, of a model of images.
pub(super) struct Best {
    /// The sampler.
    pub name: String,
    /// 64 samples.
    pub grid: Figure,
    /// Some of them above the training rows that are nearest.
    pub nearest: Figure,
}

/// Samples above their nearest training rows.
const COMPARED: usize = 10;

/// Training rows that are searched, at most.
const SEARCHED: usize = 60_000;

/// Samples of the chosen sampler; none where the prior is as good, or none was fitted, or rows are no images.
pub(super) fn best(model: &Model, folder: &Path, data: &Data, key: Key) -> Result<Option<Best>> {
    let chosen = Choice::of(model, folder)?.map(|choice| choice.chosen).filter(|name| name != "prior");
    let (Some(name), SampleShape::Image { .. }) = (chosen, model.functions.sample) else { return Ok(None) };
    let sampler = FittedSampler::load(model, folder, &name, &Registry::default())?;
    let (told, how) = (model.told(64, key)?, How::default());
    let drawn = model.sample_with(&sampler, &told, &how, model.observe(), key.fold("sampled"))?;
    let grid = drawn.grid(&format!("64 samples: codes drawn from {name}, decoded"))?;
    let width = model.facts.shape.features();
    let few = drawn.x.iter().take(COMPARED * width).copied().collect();
    let few = Array { shape: vec![COMPARED, width], values: few };
    let found = nearest_rows(&few, data)?;
    let samples = Samples::new(few.values, &model.facts).pictures()?;
    let rows = Samples::new(found, &model.facts).pictures()?;
    let title = "Samples, and the training row nearest to each in squared error of pixels";
    let nearest = pairs(&samples.images()?, &rows.images()?, ["sample", "nearest row"], title)?;
    Ok(Some(Best { name, grid, nearest }))
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

/// The table of all samplers that were judged; none where none was fitted.
pub(super) fn table(model: &Model, folder: &Path) -> Result<Option<Section>> {
    let Some(choice) = Choice::of(model, folder)? else { return Ok(None) };
    let section = Section::new("Where samples come from").paragraph(format!(
        "A sampler is fitted on the codes that training rows have in the end and drawn from in the prior's place. `latent \
         sample` draws from {} unless asked otherwise.",
        choice.chosen
    ));
    let rows = choice.table.iter().map(|row| {
        let t = &row.two_sample;
        vec![
            row.sampler.clone(),
            format!("{:.3} [{:.3}, {:.3}]", t.accuracy, t.accuracy_low, t.accuracy_high),
            format!("{:.4} ± {:.4}", t.mmd, crate::evaluate::Z_95 * t.mmd_error),
            if row.sampler == "prior" { "–".into() } else { format!("{:.1}", row.seconds) },
        ]
    });
    Ok(Some(section.table(Table {
        caption: "How well a classifier tells the codes of each from those of validation rows (½: not at all), and the \
                  squared MMD of both, with 95 % intervals."
            .into(),
        header: ["sampler", "told apart", "squared MMD", "fit, seconds"].map(String::from).to_vec(),
        rows: rows.collect(),
    })))
}
