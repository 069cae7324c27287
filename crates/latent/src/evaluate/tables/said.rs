//! What was found, in words that who owns the table understands: what it means first, then the numbers.

use super::judge::{TableFigure, TableReport};
use crate::words::{shown, thousands};

/// How a finding is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tone {
    /// Something to act on.
    Warning,
    /// Something to know.
    Note,
    /// All is well.
    Good,
}

/// A finding with the number that it derives from.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Finding {
    /// How it is meant.
    pub tone: Tone,
    /// The finding.
    pub headline: String,
    /// The numbers.
    pub evidence: String,
}

/// A shape error below that of copies by this share is no luck.
const COPIED: f64 = 0.8;

impl TableReport {
    /// What the numbers mean, warnings first.
    pub fn findings(&self) -> Vec<Finding> {
        let each = [
            Self::told,
            Self::copied,
            Self::members,
            Self::taught,
            Self::marginal,
            Self::gaps,
            Self::made_up,
            Self::rare,
        ];
        let mut findings: Vec<Finding> = each.iter().filter_map(|of| of(self)).collect();
        findings.sort_by_key(|finding| match finding.tone {
            Tone::Warning => 0,
            Tone::Note => 1,
            Tone::Good => 2,
        });
        findings
    }

    fn told(&self) -> Option<Finding> {
        let found = self.get("detection_trees")?;
        let area = found.estimate.value;
        let (mut tone, mut headline) = match area {
            _ if found.estimate.high < 0.48 => {
                // A row that is learned as real is wrongly found among the synthetic ones, and the other way round.
                (
                    Tone::Warning,
                    "synthetic rows are told by less than chance: they are copies of real ones".to_string(),
                )
            }
            _ if found.estimate.low <= 0.52 => {
                (Tone::Good, "synthetic rows can hardly be told from real ones".to_string())
            }
            _ if area < 0.65 => (Tone::Good, "synthetic rows are seldom told from real ones".into()),
            _ if area < 0.8 => (Tone::Note, "synthetic rows are often told from real ones".into()),
            _ => (Tone::Warning, "synthetic rows are easily told from real ones".into()),
        };
        if found.copula.is_some_and(|copula| found.estimate.high >= copula && area > 0.6) {
            tone = Tone::Warning;
            headline += ", no less than those of a Gaussian copula";
        }
        Some(Finding {
            tone,
            headline,
            evidence: format!("boosted trees: AUC {}; ½ is chance", with_baselines(found)),
        })
    }

    fn copied(&self) -> Option<Finding> {
        let copies = self.get("copies")?;
        // Rows of few categories repeat by themselves, in a copula's too.
        let expected = copies.fresh.unwrap_or_default().max(copies.copula.unwrap_or_default());
        let recall = self.get("beta_recall");
        if copies.estimate.low > 2.0 * expected && copies.estimate.value > 0.001 {
            let headline = "training rows are handed out again".into();
            return Some(Finding {
                tone: Tone::Warning,
                headline,
                evidence: format!("exact copies {}", with_baselines(copies)),
            });
        }
        let recall =
            recall.filter(|recall| recall.estimate.low > recall.fresh.unwrap_or(0.5).max(0.5) + 0.03)?;
        let headline =
            "synthetic rows lie nearer to training rows than fresh ones would: they are near copies".into();
        Some(Finding {
            tone: Tone::Warning,
            headline,
            evidence: format!("β-recall {}", with_baselines(recall)),
        })
    }

    fn members(&self) -> Option<Finding> {
        let found = self.get("membership")?;
        let evidence = format!("AUC {}", with_baselines(found));
        Some(if found.estimate.low > 0.5 && found.estimate.value > 0.52 {
            let headline = "who was in the training table can be guessed from the synthetic one".into();
            Finding { tone: Tone::Warning, headline, evidence }
        } else {
            let headline = "an attacker by distance does not learn who was in the training table".into();
            Finding { tone: Tone::Good, headline, evidence }
        })
    }

    fn taught(&self) -> Option<Finding> {
        let (found, target) = (self.get("utility")?, self.target.as_ref()?);
        let real = found.fresh?;
        let evidence =
            format!("{} from synthetic rows, {} from real ones", number(found.estimate.value), number(real));
        let (lost, far) = match found.ideal > 0.5 {
            true => (real - found.estimate.value, 0.05),
            false => ((found.estimate.value - real) / real.max(1e-12), 0.2),
        };
        let target = shown(target);
        Some(match lost {
            _ if lost < 0.3 * far => Finding {
                tone: Tone::Good,
                headline: format!("a model of {target} learns as much from synthetic rows as from real ones"),
                evidence,
            },
            _ if lost < far => Finding {
                tone: Tone::Note,
                headline: format!("a model of {target} learns a little less from synthetic rows"),
                evidence,
            },
            _ => Finding {
                tone: Tone::Warning,
                headline: format!("a model of {target} learns much less from synthetic rows"),
                evidence,
            },
        })
    }

    fn marginal(&self) -> Option<Finding> {
        let found = self.get("shape")?;
        let copied = found.copied?;
        if found.estimate.value < COPIED * copied {
            let headline = "columns are nearer to the training table than chance allows: its values are handed out again"
                .into();
            return Some(Finding {
                tone: Tone::Note,
                headline,
                evidence: format!("shape error {} %", with_baselines(found)),
            });
        }
        let worst: Vec<String> = self
            .columns
            .iter()
            .filter(|column| 100.0 * column.shape > 2.0 * copied.max(1.0))
            .take(3)
            .map(|column| format!("{} ({:.1} %)", shown(&column.name), 100.0 * column.shape))
            .collect();
        (!worst.is_empty()).then(|| Finding {
            tone: Tone::Note,
            headline: format!("columns that are off: {}", worst.join(", ")),
            evidence: format!("shape error {} %", with_baselines(found)),
        })
    }

    fn gaps(&self) -> Option<Finding> {
        let off: Vec<String> = self
            .columns
            .iter()
            .filter(|column| (column.gaps - column.gaps_synthetic).abs() > 0.02)
            .take(3)
            .map(|column| {
                let [real, fake] =
                    [column.gaps, column.gaps_synthetic].map(|share| format!("{:.1} %", 100.0 * share));
                format!("{} {fake} for {real}", shown(&column.name))
            })
            .collect();
        (!off.is_empty()).then(|| Finding {
            tone: Tone::Warning,
            headline: "gaps are more or fewer than in the real table".into(),
            evidence: off.join(", "),
        })
    }

    fn made_up(&self) -> Option<Finding> {
        let off: Vec<String> = self
            .columns
            .iter()
            .filter(|column| column.invented > 0.001)
            .take(3)
            .map(|column| format!("{} in {:.1} % of rows", shown(&column.name), 100.0 * column.invented))
            .collect();
        (!off.is_empty()).then(|| Finding {
            tone: Tone::Note,
            headline: "some cells hold what no training row has: another category, a number beyond its range"
                .into(),
            evidence: off.join(", "),
        })
    }

    fn rare(&self) -> Option<Finding> {
        let found = self.get("rare_kept")?;
        let expected = found.fresh?;
        (found.estimate.value < 0.8 * expected).then(|| {
            let lost: Vec<String> = self
                .lost
                .iter()
                .take(3)
                .map(|(column, level)| format!("{} of {}", shown(level), shown(column)))
                .collect();
            Finding {
                tone: Tone::Warning,
                headline: "rare categories are lost".into(),
                evidence: format!("{}; the most frequent: {}", with_baselines(found), lost.join(", ")),
            }
        })
    }

    /// All of it on a screen.
    pub fn text(&self) -> String {
        let tests = match self.test {
            0 => String::new(),
            test => format!(", {} test rows", thousands(test as u64)),
        };
        let mut text = format!(
            "{} synthetic rows beside {} training rows{tests}\n\n",
            thousands(self.synthetic as u64),
            thousands(self.train as u64)
        );
        for finding in self.findings() {
            let mark = match finding.tone {
                Tone::Warning => "WARNING: ",
                Tone::Note | Tone::Good => "",
            };
            text += &format!("{mark}{} ({})\n", finding.headline, finding.evidence);
        }
        let header = ["", "synthetic [95 %]", "best", "fresh rows", "copies", "copula"].map(String::from);
        let rows: Vec<[String; 6]> = self.figures.iter().map(row).collect();
        let width = |place: usize| {
            let cells = rows.iter().chain([&header]).map(|row| row[place].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..6).map(width).collect();
        text += "\n";
        for row in [&header].into_iter().chain(&rows) {
            let cells = row.iter().zip(&widths).enumerate().map(|(place, (cell, width))| {
                let pad = " ".repeat(width - cell.chars().count());
                if place == 0 { format!("{cell}{pad}") } else { format!("{pad}{cell}") }
            });
            text += cells.collect::<Vec<_>>().join("  ").trim_end();
            text += "\n";
        }
        let columns = self.columns.iter().filter(|column| column.shape.is_finite()).take(5);
        let columns: Vec<String> =
            columns.map(|column| format!("{} {:.1} %", shown(&column.name), 100.0 * column.shape)).collect();
        let pairs = self.pairs.iter().filter(|pair| pair.error.is_finite()).take(3).map(|pair| {
            let [a, b] = &pair.columns;
            format!("{} and {} {:.1} %", shown(a), shown(b), 100.0 * pair.error)
        });
        text += &format!("\nworst columns: {}\n", columns.join(", "));
        text += &format!("worst pairs: {}\n", pairs.collect::<Vec<_>>().join(", "));
        self.absent.iter().for_each(|absent| text += &format!("without {absent}\n"));
        text
    }
}

/// The cells of a figure's line.
fn row(figure: &TableFigure) -> [String; 6] {
    let beside = |value: Option<f64>| value.map_or_else(|| "–".into(), number);
    [
        figure.title.into(),
        figure.estimate.to_string(),
        number(figure.ideal),
        beside(figure.fresh),
        beside(figure.copied),
        beside(figure.copula),
    ]
}

/// Three digits that mean something.
pub(super) fn number(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if size < 0.001 => format!("{value:.5}"),
        size if size < 10.0 => format!("{value:.3}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

fn with_baselines(figure: &TableFigure) -> String {
    let mut text = figure.estimate.to_string();
    if let Some(fresh) = figure.fresh {
        text += &format!("; fresh rows {}", number(fresh));
    }
    if let Some(copula) = figure.copula {
        text += &format!(", a copula {}", number(copula));
    }
    text
}
