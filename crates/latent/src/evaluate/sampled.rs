//! The samplers that were fitted on the codes, on the page of the report: which one is drawn from, and why.

use std::path::Path;

use crate::data::SampleShape;
use crate::error::Result;
use crate::figure::{Figure, Section, Table};
use crate::generate::sampler::{Choice, FittedSampler, How};
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;

/// Samples from the chosen sampler and the table of all that were judged; none where none was fitted.
pub(super) fn sampled(model: &Model, folder: &Path, key: Key) -> Result<Option<(Section, Option<Figure>)>> {
    let Some(choice) = Choice::of(model, folder)? else { return Ok(None) };
    let mut section = Section::new("Samples by fitted samplers").paragraph(format!(
        "A sampler is fitted on the codes that training rows have in the end and drawn from in the prior's place. `latent \
         sample` draws from {} unless asked otherwise.",
        choice.chosen
    ));
    let is_image = matches!(model.functions.sample, SampleShape::Image { .. });
    let figure = if is_image && choice.chosen != "prior" {
        let sampler = FittedSampler::load(model, folder, &choice.chosen, &Registry::default())?;
        let drawn = model.sample_with(
            &sampler,
            &model.told(64, key)?,
            &How::default(),
            model.observe(),
            key.fold("sampled"),
        )?;
        Some(drawn.grid(&format!("64 samples: codes drawn from {}, decoded", choice.chosen))?)
    } else {
        None
    };
    if let Some(figure) = &figure {
        section = section.figure(
            figure.clone(),
            format!("Samples by {}.", choice.chosen),
            "A grid of 64 generated images",
        );
    }
    let rows = choice.table.iter().map(|row| {
        let t = &row.two_sample;
        vec![
            row.sampler.clone(),
            format!("{:.3} [{:.3}, {:.3}]", t.accuracy, t.accuracy_low, t.accuracy_high),
            format!("{:.4} ± {:.4}", t.mmd, crate::evaluate::Z_95 * t.mmd_error),
            if row.sampler == "prior" { "–".into() } else { format!("{:.1}", row.seconds) },
        ]
    });
    section = section.table(Table {
        caption: "How well a classifier tells the codes of each from those of validation rows (½: not at all), and the \
                  squared MMD of both, with 95 % intervals."
            .into(),
        header: ["sampler", "told apart", "squared MMD", "fit, seconds"].map(String::from).to_vec(),
        rows: rows.collect(),
    });
    Ok(Some((section, figure)))
}
