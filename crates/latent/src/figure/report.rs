//! The report: one HTML file that needs no network, reads well on a phone and in print, light and dark.
//!
//! What was found stands first: each verdict beside the number that it derives from. Then come sections of
//! prose, figures and tables; the settings stand last, folded.

use std::io::Read;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::canvas::escaped;
use super::{Animation, Figure, FigureError};
use crate::files::write_whole;

/// How a verdict is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something to act on.
    Warning,
    /// Something to know.
    Note,
    /// All is well.
    Good,
}

/// What a picture shows.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Figures side by side, one below the other where the page is narrow.
    Figures(Vec<Figure>),
    /// A picture that moves, folded: nothing moves before the reader asks for it.
    Animation(Animation),
}

/// A picture in the report.
#[derive(Clone, Debug)]
pub struct Picture {
    /// What is drawn.
    pub shown: Shown,
    /// What the reader should see in it.
    pub caption: String,
    /// What it shows, for those who cannot see it.
    pub alt: String,
}

/// A table; columns of numbers are aligned at their right.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// What the table shows.
    pub caption: String,
    /// The name of each column.
    pub header: Vec<String>,
    /// The cells, row by row; one between two pairs of asterisks, `**1.5**`, is set in bold.
    pub rows: Vec<Vec<String>>,
}

/// A part of the report under a heading of its own.
#[derive(Clone, Debug, Default)]
pub struct Section {
    /// The heading.
    pub heading: String,
    /// The prose.
    pub paragraphs: Vec<String>,
    /// Figures, after the prose.
    pub figures: Vec<Picture>,
    /// Tables, after the figures.
    pub tables: Vec<Table>,
    /// What must be known to read them, in small print at the end.
    pub notes: Vec<String>,
}

impl Section {
    /// An empty section.
    pub fn new(heading: impl Into<String>) -> Self {
        Self { heading: heading.into(), ..Self::default() }
    }

    /// The section with a paragraph more.
    pub fn paragraph(mut self, text: impl Into<String>) -> Self {
        self.paragraphs.push(text.into());
        self
    }

    /// The section with a figure more.
    pub fn figure(self, figure: Figure, caption: impl Into<String>, alt: impl Into<String>) -> Self {
        self.panels(vec![figure], caption, alt)
    }

    /// The section with figures more that belong together: side by side where there is room.
    pub fn panels(
        mut self,
        figures: Vec<Figure>,
        caption: impl Into<String>,
        alt: impl Into<String>,
    ) -> Self {
        let shown = Shown::Figures(figures);
        self.figures.push(Picture { shown, caption: caption.into(), alt: alt.into() });
        self
    }

    /// The section with a picture more that moves; the caption is what the reader opens it by.
    pub fn animation(
        mut self,
        animation: Animation,
        caption: impl Into<String>,
        alt: impl Into<String>,
    ) -> Self {
        let shown = Shown::Animation(animation);
        self.figures.push(Picture { shown, caption: caption.into(), alt: alt.into() });
        self
    }

    /// The section with a note more, in small print at its end.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// The section with a table more.
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }
}

#[derive(Clone, Debug)]
struct Verdict {
    level: Level,
    headline: String,
    evidence: String,
}

/// Tables of more columns are set small.
const MOST_AT_EASE: usize = 6;

/// Where a report says what it was drawn from.
const OF: &str = "<meta name=\"latent-drawn-from\" content=\"";

/// Bytes of a report within which that stands.
const START: u64 = 512;

/// Builds `report.html`.
///
/// All text is plain: markup in it is shown, not obeyed. Only what stands between backticks is set as code.
#[derive(Clone, Debug, Default)]
pub struct Report {
    title: String,
    of: String,
    lead: String,
    verdicts: Vec<Verdict>,
    sections: Vec<Section>,
    details: Vec<(String, String)>,
}

impl Report {
    /// An empty report.
    pub fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }

    /// What was learned and how good it is, in a paragraph of plain words.
    pub fn lead(mut self, text: impl Into<String>) -> Self {
        self.lead = text.into();
        self
    }

    /// A verdict, such as `collapsed`, and the numbers that it derives from. Warnings are shown first.
    pub fn verdict(mut self, level: Level, headline: impl Into<String>, evidence: impl Into<String>) -> Self {
        self.verdicts.push(Verdict { level, headline: headline.into(), evidence: evidence.into() });
        self
    }

    /// What it was drawn from, a checksum: [`Report::drawn_from`] reads it back.
    pub fn of(mut self, source: impl Into<String>) -> Self {
        self.of = source.into();
        self
    }

    /// What the report in this file was drawn from; none where there is no report, or none that says so.
    pub fn drawn_from(path: &Path) -> Option<String> {
        let mut start = String::new();
        // It stands in the first lines.
        std::fs::File::open(path).ok()?.take(START).read_to_string(&mut start).ok()?;
        let (_, rest) = start.split_once(OF)?;
        rest.split_once('"').map(|(source, _)| source.to_string())
    }

    /// The next section.
    pub fn section(mut self, section: Section) -> Self {
        self.sections.push(section);
        self
    }

    /// Text that is folded at the end, such as the settings (`run.toml`) or the environment.
    pub fn details(mut self, summary: impl Into<String>, text: impl Into<String>) -> Self {
        self.details.push((summary.into(), text.into()));
        self
    }

    /// The whole file.
    ///
    /// # Errors
    /// Where a figure cannot be rasterised.
    pub fn html(&self) -> Result<String, FigureError> {
        let title = escaped(&self.title);
        let mut body = format!("<header>\n<h1>{title}</h1>\n");
        if !self.lead.is_empty() {
            body += &format!("<p class=\"lead\">{}</p>\n", prose(&self.lead));
        }
        body += "</header>\n";
        body += &self.verdicts_html();
        for section in &self.sections {
            body += &section.html()?;
        }
        if !self.details.is_empty() {
            body += "<section class=\"details\">\n";
            for (summary, text) in &self.details {
                let (summary, text) = (escaped(summary), escaped(text));
                body += &format!(
                    "<details>\n<summary>{summary}</summary>\n<pre tabindex=\"0\">{text}</pre>\n</details>\n"
                );
            }
            body += "</section>\n";
        }
        let style = include_str!("report.css");
        let of = match self.of.as_str() {
            "" => String::new(),
            of => format!("{OF}{}\">\n", escaped(of)),
        };
        Ok(format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n{of}\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n\
             <title>{title}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
        ))
    }

    /// Writes the report whole or not at all.
    ///
    /// # Errors
    /// Where a figure cannot be rasterised or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FigureError> {
        let html = self.html()?;
        write_whole(path, |file| file.write_all(html.as_bytes()))
            .map_err(|source| FigureError::Io { path: path.to_owned(), source })
    }

    fn verdicts_html(&self) -> String {
        if self.verdicts.is_empty() {
            return String::new();
        }
        let mut verdicts: Vec<&Verdict> = self.verdicts.iter().collect();
        // What is well comes before what is merely to be known.
        verdicts.sort_by_key(|verdict| match verdict.level {
            Level::Warning => 0,
            Level::Good => 1,
            Level::Note => 2,
        });
        let mut html = String::from("<section class=\"verdicts\" aria-label=\"Verdicts\">\n");
        for Verdict { level, headline, evidence } in verdicts {
            let (class, sign, word) = match level {
                Level::Warning => ("warning", "!", "Warning"),
                Level::Note => ("note", "i", "Note"),
                Level::Good => ("good", "✓", "Good"),
            };
            html += &format!(
                "<div class=\"verdict {class}\"><span class=\"sign\" role=\"img\" aria-label=\"{word}\">{sign}</span>\
                 <div><p class=\"headline\">{}</p><p class=\"evidence\">{}</p></div></div>\n",
                prose(headline),
                prose(evidence)
            );
        }
        html + "</section>\n"
    }
}

impl Section {
    fn html(&self) -> Result<String, FigureError> {
        let mut html = format!("<section>\n<h2>{}</h2>\n", escaped(&self.heading));
        for text in &self.paragraphs {
            html += &format!("<p>{}</p>\n", prose(text));
        }
        for picture in &self.figures {
            html += &picture.html()?;
        }
        for table in &self.tables {
            html += &table.html();
        }
        for note in &self.notes {
            html += &format!("<p class=\"note-below\">{}</p>\n", prose(note));
        }
        Ok(html + "</section>\n")
    }
}

impl Picture {
    fn html(&self) -> Result<String, FigureError> {
        let (alt, caption) = (escaped(&self.alt), prose(&self.caption));
        match &self.shown {
            Shown::Figures(figures) => {
                let several = if figures.len() > 1 { " several" } else { "" };
                let mut html = format!("<figure>\n<div class=\"sheet{several}\">");
                for figure in figures {
                    let (width, height) = figure.size()?;
                    let png =
                        |figure: &Figure| Ok::<_, FigureError>(BASE64.encode(figure.png(Figure::SCALE)?));
                    // On dark paper where the page is dark, and never in print.
                    html += &format!(
                        "<picture><source media=\"screen and (prefers-color-scheme: dark)\" \
                         srcset=\"data:image/png;base64,{}\"><img src=\"data:image/png;base64,{}\" width=\"{width}\" \
                         height=\"{height}\" alt=\"{alt}\"></picture>",
                        png(&figure.dark())?,
                        png(figure)?,
                    );
                }
                html += "</div>\n";
                if !caption.is_empty() {
                    html += &format!("<figcaption>{caption}</figcaption>\n");
                }
                Ok(html + "</figure>\n")
            }
            Shown::Animation(animation) => {
                let (width, height) = animation.size();
                let png = BASE64.encode(animation.bytes());
                Ok(format!(
                    "<details class=\"moving\">\n<summary>{caption}</summary>\n<div class=\"sheet\"><img \
                     src=\"data:image/apng;base64,{png}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\"></div>\n\
                     </details>\n"
                ))
            }
        }
    }
}

impl Table {
    fn html(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).chain([self.header.len()]).max().unwrap_or(0);
        let class = |column: usize| if self.is_numeric(column) { " class=\"number\"" } else { "" };
        let row = |cells: &[String], tag: &str| {
            let mut html = String::from("<tr>");
            for column in 0..columns {
                let text = cells.get(column).map_or(String::new(), |cell| match bold(cell) {
                    Some(cell) => format!("<b>{}</b>", escaped(cell)),
                    None => prose(cell),
                });
                // On a narrow page a row is a block, and each cell says which column it is of.
                let about = match (tag, self.header.get(column)) {
                    ("th", _) => " scope=\"col\"".to_string(),
                    (_, Some(name)) if !name.is_empty() => format!(" data-column=\"{}\"", escaped(name)),
                    _ => String::new(),
                };
                html += &format!("<{tag}{about}{}>{text}</{tag}>", class(column));
            }
            html + "</tr>\n"
        };
        let caption = if self.caption.is_empty() {
            String::new()
        } else {
            format!("<figcaption>{}</figcaption>\n", prose(&self.caption))
        };
        let header = if self.header.is_empty() {
            String::new()
        } else {
            format!("<thead>{}</thead>\n", row(&self.header, "th"))
        };
        let body: String = self.rows.iter().map(|cells| row(cells, "td")).collect();
        let wide = if columns > MOST_AT_EASE { " class=\"wide\"" } else { "" };
        // Tables that are wider yet scroll by themselves; the focus lets a keyboard do so too.
        format!(
            "<figure class=\"table\">\n{caption}<div class=\"scroll\" tabindex=\"0\"><table{wide}>\n{header}<tbody>\n\
             {body}</tbody>\n</table></div>\n</figure>\n"
        )
    }

    /// Whether a column has numbers alone (and signs for what is absent).
    fn is_numeric(&self, column: usize) -> bool {
        let cells = || {
            let all = self.rows.iter().filter_map(|row| row.get(column));
            all.map(|cell| bold(cell).unwrap_or(cell).trim())
        };
        let absent = |cell: &str| matches!(cell, "" | "-" | "–" | "—");
        let number = |cell: &str| {
            let cell = cell.trim_start_matches(['-', '−', '+', '±', '<', '>', '≤', '≥', '≈', ' ']);
            cell.starts_with(|c: char| c.is_ascii_digit()) || matches!(cell, "∞" | "inf" | "NaN")
        };
        cells().any(number) && cells().all(|cell| number(cell) || absent(cell))
    }
}

/// Plain text as HTML: what stands between a pair of backticks is code.
fn prose(text: &str) -> String {
    let escaped = escaped(text);
    let parts: Vec<&str> = escaped.split('`').collect();
    // A backtick without a partner is shown as it is.
    let paired = parts.len() - (parts.len() + 1) % 2;
    let mut html = String::with_capacity(escaped.len());
    for (index, part) in parts.iter().enumerate() {
        match index {
            _ if index >= paired => html += &format!("`{part}"),
            _ if index % 2 == 1 => html += &format!("<code>{part}</code>"),
            _ => html += part,
        }
    }
    html
}

/// The text between two pairs of asterisks.
fn bold(cell: &str) -> Option<&str> {
    cell.strip_prefix("**")?.strip_suffix("**")
}

#[cfg(test)]
mod tests {
    use super::super::canvas::Canvas;
    use super::*;

    fn example() -> Report {
        Report::new("Run <1> & more")
            .lead("What was learned.")
            .verdict(Level::Good, "trained", "loss fell by 40 nats")
            .verdict(Level::Warning, "collapsed", "0 of 20 latents carry more than 0.01 nats")
            .section(
                Section::new("Samples")
                    .paragraph("<script>alert('x')</script>")
                    .figure(Canvas::new(30.0, 20.0).finish(), "a caption", "an \"alt\" text")
                    .table(Table {
                        caption: "terms".into(),
                        header: vec!["term".into(), "nats".into()],
                        rows: vec![
                            vec!["rate".into(), "−1.5 ± 0.2".into()],
                            vec!["distortion".into(), "—".into()],
                        ],
                    }),
            )
            .details("run.toml", "[model]\nlatents = 20")
    }

    #[test]
    fn text_is_escaped_and_nothing_is_fetched() {
        let html = example().html().unwrap();
        assert!(html.contains("<h1>Run &lt;1&gt; &amp; more</h1>"));
        assert!(!html.contains("<script") && html.contains("alt=\"an &quot;alt&quot; text\""));
        for outside in ["http:", "https:", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("src=\"data:image/png;base64,"));
        assert_eq!(html, example().html().unwrap());
    }

    #[test]
    fn warnings_come_first_and_settings_last() {
        let html = example().html().unwrap();
        let at = |text: &str| html.find(text).unwrap_or_else(|| panic!("no `{text}`"));
        let order = [
            "What was learned",
            "collapsed",
            "loss fell",
            "<h2>Samples",
            "a caption",
            "distortion",
            "<details>",
        ];
        assert!(order.map(at).is_sorted());
    }

    #[test]
    fn columns_of_numbers_are_recognised_and_cells_know_their_column() {
        let html = example().html().unwrap();
        for cells in [
            "<td data-column=\"term\">rate</td><td data-column=\"nats\" class=\"number\">−1.5 ± 0.2</td>",
            "<td data-column=\"term\">distortion</td><td data-column=\"nats\" class=\"number\">—</td>",
        ] {
            assert!(html.contains(cells), "{cells}");
        }
    }

    #[test]
    fn code_is_set_as_code_and_no_backtick_is_left() {
        assert_eq!(
            prose("draw by `latent sample <RUN>`."),
            "draw by <code>latent sample &lt;RUN&gt;</code>."
        );
        assert_eq!(prose("`a` and `b`"), "<code>a</code> and <code>b</code>");
        assert_eq!(prose("one ` alone"), "one ` alone");
        assert_eq!(prose("`a` and ` alone"), "<code>a</code> and ` alone");
        assert_eq!(prose(""), "");
    }

    #[test]
    fn a_figure_has_a_dark_version_and_a_moving_one_is_folded() {
        let dot = [0.0, 0.5, 1.0];
        let images = super::super::Images::new(&dot, 1, 1, 1).unwrap();
        let section = Section::new("Between")
            .panels(vec![Canvas::new(30.0, 20.0).finish(), Canvas::new(9.0, 9.0).finish()], "two", "alt")
            .animation(Animation::ways(&images, 3).unwrap(), "the same, moving", "alt");
        let html = Report::new("x").section(section).html().unwrap();
        assert_eq!(html.matches("prefers-color-scheme: dark)\" srcset").count(), 2);
        assert!(html.contains("<summary>the same, moving</summary>") && html.contains("data:image/apng"));
    }

    #[test]
    fn the_report_is_saved_whole() {
        let folder = tempfile::tempdir().unwrap();
        example().save(&folder.path().join("report.html")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(matches!(example().save(Path::new("/nowhere/at/all.html")), Err(FigureError::Io { .. })));
    }
}
