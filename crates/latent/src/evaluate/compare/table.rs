//! A comparison as text, as CSV, and as a page.

use std::collections::BTreeSet;

use super::{Cell, Compared, Comparison};
use crate::evaluate::{Better, Estimate};
use crate::figure::{Report, Section, Table};

impl Comparison {
    /// For a terminal: a row a measure, a column a run, the best with an asterisk (and in bold where `bold`).
    pub fn text(&self, bold: bool) -> String {
        let mut out = String::new();
        let width = |text: &str| text.chars().count();
        let mut last = None;
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.as_ref().map_or("—".into(), marked)).collect())
            .collect();
        let first = self.rows.iter().map(|row| width(&self.label(row))).max().unwrap_or(0);
        let columns: Vec<usize> = (0..self.runs.len())
            .map(|run| {
                cells.iter().map(|row| width(&row[run])).chain([width(&self.runs[run])]).max().unwrap_or(0)
            })
            .collect();
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text)));
        for (row, cells) in self.rows.iter().zip(&cells) {
            if last != Some(&row.section) {
                let gap = if last.is_none() { "" } else { "\n" };
                let on = on_features(self.rows.iter().filter(|other| other.section == row.section));
                out.push_str(&format!("{gap}{}\n{on}{}", row.section.1, " ".repeat(first)));
                for (name, to) in self.runs.iter().zip(&columns) {
                    out.push_str(&format!("  {}{name}", pad(name, *to)));
                }
                out.push('\n');
                last = Some(&row.section);
            }
            let label = self.label(row);
            out.push_str(&format!("{label}{}", pad(&label, first)));
            for ((text, cell), to) in cells.iter().zip(&row.cells).zip(&columns) {
                let best = bold && cell.is_some_and(|cell| cell.best);
                let (on, off) = if best { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                out.push_str(&format!("  {}{on}{text}{off}", pad(text, *to)));
            }
            out.push('\n');
            if let Some(why) = &row.refused {
                out.push_str(&format!("  {why}\n"));
            }
        }
        out.push_str(&format!(
            "\n↑ more is better, ↓ less; ± and [ ] are 95 % intervals. {}\n",
            self.legend()
        ));
        out
    }

    /// A line a cell: section, measure, unit, better, run, value, low, high, n, best, p, refused, features.
    pub fn csv(&self) -> String {
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.into()
            }
        };
        let mut out =
            String::from("section,measure,unit,better,run,value,low,high,n,best,p,refused,features\n");
        for row in &self.rows {
            let better = match row.better {
                Better::Lower => "lower",
                Better::Higher => "higher",
                Better::Neither => "neither",
            };
            for (run, cell) in self.runs.iter().zip(&row.cells) {
                let Some(cell) = cell else { continue };
                let Estimate { value, low, high } = cell.estimate;
                let p = cell.p.map(|p| p.to_string()).unwrap_or_default();
                let texts = [&row.section.0, &row.name, &row.unit, better, run].map(quoted).join(",");
                let refused = quoted(row.refused.as_deref().unwrap_or(""));
                let features = quoted(&row.features.join("; "));
                out.push_str(&format!(
                    "{texts},{value},{low},{high},{},{},{p},{refused},{features}\n",
                    cell.n, cell.best
                ));
            }
        }
        out
    }

    /// A page of one table a section, the best in bold.
    pub fn page(&self) -> Report {
        let mut page = Report::new("Comparison").lead(format!(
            "{} runs. ↑ more is better, ↓ less; ± and brackets are 95 % intervals. {}",
            self.runs.len(),
            self.legend()
        ));
        for rows in self.rows.chunk_by(|a, b| a.section == b.section) {
            let Some(one) = rows.first() else { continue };
            let table = Table {
                caption: String::new(),
                header: ["measure".to_string()].into_iter().chain(self.runs.iter().cloned()).collect(),
                rows: rows
                    .iter()
                    .map(|row| {
                        let cells = row.cells.iter().map(|cell| match cell {
                            Some(cell) if cell.best => format!("**{}**", short(cell.estimate)),
                            Some(cell) => short(cell.estimate),
                            None => "—".into(),
                        });
                        [self.label(row)].into_iter().chain(cells).collect()
                    })
                    .collect(),
            };
            let mut section = Section::new(one.section.1.clone()).table(table);
            let on = on_features(rows.iter());
            if !on.is_empty() {
                section = section.paragraph(on.trim());
            }
            for why in rows.iter().filter_map(|row| row.refused.as_ref().map(|why| (row, why))) {
                section = section.paragraph(format!("{}: {}.", why.0.title, why.1));
            }
            page = page.section(section);
        }
        page
    }

    fn legend(&self) -> String {
        format!("The best is marked where it differs from each other at 5 %: {}.", self.test)
    }

    fn label(&self, row: &Compared) -> String {
        let arrow = match row.better {
            Better::Lower => " ↓",
            Better::Higher => " ↑",
            Better::Neither => "",
        };
        let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
        format!("{}{unit}{arrow}", row.title)
    }
}

/// A line that names the features of some rows, if any was measured on such.
fn on_features<'a>(rows: impl Iterator<Item = &'a Compared>) -> String {
    let names: BTreeSet<&str> = rows.flat_map(|row| &row.features).map(String::as_str).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("Features: {}.\n", names.into_iter().collect::<Vec<_>>().join("; ")),
    }
}

fn marked(cell: &Cell) -> String {
    format!("{}{}", short(cell.estimate), if cell.best { "*" } else { "" })
}

/// `247.7 ± 0.9`, or `0.98 [0.95, 0.99]` where the sides differ, to two digits of the interval.
pub(super) fn short(e: Estimate) -> String {
    let half = 0.5 * (e.high - e.low);
    if !e.value.is_finite() {
        return "—".into();
    }
    let digits = if half.is_finite() && half > 0.0 {
        (1 - half.log10().floor() as i32).clamp(0, 8) as usize
    } else if e.value.fract() == 0.0 {
        0
    } else {
        4
    };
    let number = |v: f64| format!("{v:.digits$}").replace('-', "−");
    if half == 0.0 || half.is_nan() {
        return number(e.value);
    }
    let lopsided = ((e.high - e.value) - (e.value - e.low)).abs() > 0.1 * half;
    if lopsided || half.is_infinite() {
        format!("{} [{}, {}]", number(e.value), number(e.low), number(e.high))
    } else {
        format!("{} ± {}", number(e.value), number(half))
    }
}
