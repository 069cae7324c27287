//! A comparison as text, as CSV, and as a page.

use std::path::Path;

use super::pictures::with_pictures;
use super::{Cell, Compared, Comparison};
use crate::evaluate::{Better, Estimate};
use crate::figure::{Report, Section, Table};

impl Comparison {
    /// For a terminal: a row a measure, a column a run, the best with an asterisk (and in bold where `bold`).
    pub fn text(&self, bold: bool) -> String {
        let mut out = String::new();
        let width = |text: &str| text.chars().count();
        let cells: Vec<Vec<String>> = self
            .rows
            .iter()
            .map(|row| row.cells.iter().map(|cell| cell.as_ref().map_or("—".into(), marked)).collect())
            .collect();
        let sections: Vec<Marked<'_>> = self.sections();
        let labels = || sections.iter().flat_map(|section| &section.labels);
        let first = labels().map(|label| width(label)).max().unwrap_or(0);
        let columns: Vec<usize> = (0..self.runs.len())
            .map(|run| {
                cells.iter().map(|row| width(&row[run])).chain([width(&self.runs[run])]).max().unwrap_or(0)
            })
            .collect();
        let pad = |text: &str, to: usize| " ".repeat(to.saturating_sub(width(text)));
        let mut texts = cells.iter();
        for Marked { rows, labels, reasons } in &sections {
            let gap = if out.is_empty() { "" } else { "\n" };
            out.push_str(&format!("{gap}{}\n{}", rows[0].section.1, " ".repeat(first)));
            for (name, to) in self.runs.iter().zip(&columns) {
                out.push_str(&format!("  {}{name}", pad(name, *to)));
            }
            out.push('\n');
            for ((row, label), texts) in rows.iter().zip(labels).zip(&mut texts) {
                out.push_str(&format!("{label}{}", pad(label, first)));
                for ((text, cell), to) in texts.iter().zip(&row.cells).zip(&columns) {
                    let best = bold && cell.is_some_and(|cell| cell.best);
                    let (on, off) = if best { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
                    out.push_str(&format!("  {}{on}{text}{off}", pad(text, *to)));
                }
                out.push('\n');
            }
            reasons.iter().for_each(|reason| out.push_str(&format!("{reason}\n")));
        }
        out.push_str(&format!(
            "\n↑ more is better, ↓ less; ± and [ ] are 95 % intervals. {}\n",
            self.legend()
        ));
        out
    }

    /// A line a cell: section, measure, unit, better, run, value, low, high, n, best, p, refused, differs (whether it is better
    /// than the one that all are held against).
    pub fn csv(&self) -> String {
        let quoted = |text: &str| {
            if text.contains([',', '"', '\n']) {
                format!("\"{}\"", text.replace('"', "\"\""))
            } else {
                text.into()
            }
        };
        let mut out =
            String::from("section,measure,unit,better,run,value,low,high,n,best,p,refused,differs\n");
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
                let differs = cell.differs.map(|better| better.to_string()).unwrap_or_default();
                out.push_str(&format!(
                    "{texts},{value},{low},{high},{},{},{p},{refused},{differs}\n",
                    cell.n, cell.best
                ));
            }
        }
        out
    }

    /// A page of one table a section, the best in bold; before them the pictures of these run folders, by name, side by side.
    pub fn page(&self, folders: &[(&str, &Path)]) -> Report {
        let page = Report::new("Comparison").lead(format!(
            "{} runs. ↑ more is better, ↓ less; ± and brackets are 95 % intervals. {}",
            self.runs.len(),
            self.legend()
        ));
        let mut page = with_pictures(page, folders);
        for Marked { rows, labels, reasons } in self.sections() {
            let table = Table {
                caption: String::new(),
                header: ["measure".to_string()].into_iter().chain(self.runs.iter().cloned()).collect(),
                rows: rows
                    .iter()
                    .zip(labels)
                    .map(|(row, label)| {
                        let cells = row.cells.iter().map(|cell| match cell {
                            Some(cell) if cell.best => format!("**{}**", short(cell.estimate)),
                            Some(cell) => marked(cell),
                            None => "—".into(),
                        });
                        [label].into_iter().chain(cells).collect()
                    })
                    .collect(),
            };
            let mut section = Section::new(rows[0].section.1.clone()).table(table);
            for reason in reasons {
                section = section.paragraph(format!("{reason}."));
            }
            page = page.section(section);
        }
        page
    }

    fn legend(&self) -> String {
        if self.against.is_some() {
            return format!("+ is better and − worse at 5 %, {}.", self.test);
        }
        format!("The best is marked where it differs from each other at 5 %: {}.", self.test)
    }

    /// The rows of each section with their labels; a row without a rank is marked, and why stands below once.
    fn sections(&self) -> Vec<Marked<'_>> {
        let chunks = self.rows.chunk_by(|a, b| a.section == b.section);
        let marked = chunks.map(|rows| {
            let mut reasons: Vec<&String> = rows.iter().filter_map(|row| row.refused.as_ref()).collect();
            let mut seen = std::collections::HashSet::new();
            reasons.retain(|why| seen.insert(*why));
            let mark = |why: &String| superscript(1 + reasons.iter().position(|r| *r == why).unwrap_or(0));
            let labels = rows
                .iter()
                .map(|row| {
                    label(row) + &row.refused.as_ref().map_or(String::new(), |why| format!(" {}", mark(why)))
                })
                .collect();
            let reasons = reasons.iter().map(|why| format!("{} {why}", mark(why))).collect();
            Marked { rows, labels, reasons }
        });
        marked.collect()
    }
}

/// A section of the table.
struct Marked<'a> {
    rows: &'a [Compared],
    labels: Vec<String>,
    reasons: Vec<String>,
}

fn superscript(number: usize) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    number.to_string().bytes().map(|digit| DIGITS[usize::from(digit - b'0')]).collect()
}

fn label(row: &Compared) -> String {
    let arrow = match row.better {
        Better::Lower => " ↓",
        Better::Higher => " ↑",
        Better::Neither => "",
    };
    let unit = if row.unit.is_empty() { String::new() } else { format!(", {}", row.unit) };
    format!("{}{unit}{arrow}", row.title)
}

fn marked(cell: &Cell) -> String {
    let mark = match (cell.best, cell.differs) {
        (true, _) => "*",
        (false, Some(true)) => "+",
        (false, Some(false)) => "−",
        (false, None) => "",
    };
    format!("{}{mark}", short(cell.estimate))
}

/// `247.7 ± 0.9`, or `0.98 [0.95, 0.99]` where the sides differ, to two digits of the interval.
pub(in crate::evaluate) fn short(e: Estimate) -> String {
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
