//! An evaluation on the page of the report: its sections as tables and figures, each with its warnings.

use std::path::Path;

use super::{Call, Evaluation, Section};
use crate::figure::{self, Figure, Level, Report, Table};

/// The report with what the evaluation found.
/// Where samplers were `compared` in a table of their own, the section on samples has none.
pub(super) fn judged(mut report: Report, evaluation: &Evaluation, figures: &Path, compared: bool) -> Report {
    // What makes every number void stands first; what is about some numbers stands with them.
    for warning in evaluation.sections.iter().flat_map(|section| &section.warnings).filter(|w| is_of_all(w)) {
        let (headline, evidence) = warning.split_once(": ").unwrap_or((warning, ""));
        report = report.verdict(Level::Warning, headline, evidence);
    }
    let mut notes = Notes::default();
    for section in &evaluation.sections {
        let is_shown = compared && section.name == "samples";
        report = report.section(page(section, evaluation, figures, is_shown, &mut notes));
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

/// Whether a warning is about the rows, and so about every number.
fn is_of_all(warning: &str) -> bool {
    warning.starts_with("These rows are no test")
}

/// What must be known to read a number, each said once on the page and then referred to.
#[derive(Default)]
struct Notes {
    said: Vec<String>,
}

impl Notes {
    /// The number of a note, and whether it has not been said before.
    fn number(&mut self, note: &str) -> (usize, bool) {
        match self.said.iter().position(|said| said == note) {
            Some(place) => (place + 1, false),
            None => {
                self.said.push(note.into());
                (self.said.len(), true)
            }
        }
    }
}

fn page(
    section: &Section,
    evaluation: &Evaluation,
    figures: &Path,
    is_shown: bool,
    notes: &mut Notes,
) -> figure::Section {
    let mut page = figure::Section::new(&section.title);
    let own = |name: &&super::PictureFile| name.section == section.name;
    for picture in evaluation.pictures.iter().filter(own) {
        // A picture that somebody has removed is left out.
        if let Ok(svg) = std::fs::read_to_string(figures.join(format!("{}.svg", picture.name))) {
            page = page.figure(Figure { svg }, &picture.caption, &picture.caption);
        }
    }
    if is_shown {
        page = page
            .paragraph("Each sampler's numbers stand in the table \u{201c}Where samples come from\u{201d}.");
    }
    let is_first = notes.said.is_empty();
    let mut new = Vec::new();
    let mut rows = Vec::new();
    for measure in section.measures.iter().filter(|measure| !measure.name.ends_with(":chosen")) {
        let mut title = measure.title.clone();
        if !measure.note.is_empty() {
            let (number, is_new) = notes.number(&measure.note);
            title.push_str(&format!(" [{number}]"));
            if is_new {
                new.push(format!("[{number}] {}", measure.note));
            }
        }
        rows.push(vec![title, measure.estimate.to_string(), measure.unit.clone(), measure.n.to_string()]);
    }
    if !rows.is_empty() && !is_shown {
        let caption = if is_first {
            "Each estimate with its 95 % interval; n is the number of rows that it stands on. Numbers in brackets lead to the notes."
        } else {
            ""
        };
        let header = ["measure", "estimate", "unit", "n"].map(String::from).to_vec();
        page = page.table(Table { caption: caption.into(), header, rows });
    }
    for warning in section.warnings.iter().filter(|warning| !is_of_all(warning)) {
        page = page.note(format!("Caution: {warning}"));
    }
    for note in new {
        page = page.note(note);
    }
    for absent in &section.absent {
        page = page.note(format!("Left out: {absent}"));
    }
    page
}
