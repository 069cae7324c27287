//! An evaluation on the page of the report: its warnings among the verdicts, its sections as tables and figures.

use std::path::Path;

use super::{Call, Evaluation, Section};
use crate::figure::{self, Figure, Level, Report, Table};

/// The report with what the evaluation found.
pub(super) fn judged(mut report: Report, evaluation: &Evaluation, figures: &Path) -> Report {
    for section in &evaluation.sections {
        for warning in &section.warnings {
            let (headline, evidence) = warning.split_once(": ").unwrap_or((warning, ""));
            report = report.verdict(Level::Warning, headline, evidence);
        }
    }
    for section in &evaluation.sections {
        report = report.section(page(section, evaluation, figures));
    }
    let mut how = format!(
        "latent evaluate: {} rows of {} ({} split)",
        evaluation.rows, evaluation.data, evaluation.split
    );
    for call in &evaluation.calls {
        let given = match (call.full, call.budget) {
            (true, _) => ", all rows for everything".into(),
            (false, Some(budget)) => format!(", about {budget:.0} s for each section"),
            (false, None) => String::new(),
        };
        let set = call.set.map_or(String::new(), |n| format!(", sets of {n} samples"));
        let Call { seed, seconds, program, .. } = call;
        let names = call.answered.join(", ");
        how.push_str(&format!("\n{names}: seed {seed}, {seconds:.0} s{given}{set}, version {program}"));
    }
    report.details("How the evaluation was made", how)
}

fn page(section: &Section, evaluation: &Evaluation, figures: &Path) -> figure::Section {
    let mut page = figure::Section::new(&section.title);
    let own = |name: &&super::PictureFile| name.section == section.name;
    for picture in evaluation.pictures.iter().filter(own) {
        // A picture that somebody has removed is left out.
        if let Ok(svg) = std::fs::read_to_string(figures.join(format!("{}.svg", picture.name))) {
            page = page.figure(Figure { svg }, &picture.caption, &picture.caption);
        }
    }
    if !section.measures.is_empty() {
        page = page.table(Table {
            caption: "Each estimate with its 95 % interval and the number of rows that it stands on.".into(),
            header: ["", "estimate", "unit", "n", "to be read with"].map(String::from).to_vec(),
            rows: section
                .measures
                .iter()
                .map(|m| {
                    let estimate = m.estimate.to_string();
                    vec![m.title.clone(), estimate, m.unit.clone(), m.n.to_string(), m.note.clone()]
                })
                .collect(),
        });
    }
    for absent in &section.absent {
        page = page.paragraph(format!("Left out: {absent}"));
    }
    page
}
