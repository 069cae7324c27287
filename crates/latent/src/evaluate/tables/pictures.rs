//! The page of a judged table: findings, all numbers, marginals laid over each other, dependence side by side.

use super::columns::{Column, Columns, GAP, align};
use super::judge::TableReport;
use super::said::{Tone, number};
use crate::figure::{
    BarGroup, Bars, ColumnPair, FigureError, Level, Matrix, Report, Section, Table, bars, column_histograms,
    matrices,
};

/// Columns of categories that are drawn, those that are off most.
const BARS: usize = 6;
/// Levels of each, the most frequent.
const LEVELS: usize = 12;

/// The page of a report on these tables.
///
/// # Errors
/// Where a figure cannot be drawn.
pub fn page(report: &TableReport, train: &Columns, synthetic: &Columns) -> Result<Report, FigureError> {
    let mut page = Report::new("A synthetic table beside the real one").lead(format!(
        "{} synthetic rows, judged beside {} training rows and {} test rows. Each number stands beside what fresh real rows \
         would have, and beside a Gaussian copula, which anybody has in seconds.",
        report.synthetic, report.train, report.test
    ));
    for finding in report.findings() {
        let level = match finding.tone {
            Tone::Warning => Level::Warning,
            Tone::Note => Level::Note,
            Tone::Good => Level::Good,
        };
        page = page.verdict(level, finding.headline, finding.evidence);
    }
    page = page.section(Section::new("Numbers").table(figures(report)));
    let tables = align(&[("", train), ("", synthetic)]).unwrap_or_default();
    if let [train, synthetic] = tables.as_slice() {
        page = page.section(columns(report, train, synthetic)?);
    }
    Ok(page.section(pairs(report)?))
}

fn figures(report: &TableReport) -> Table {
    let beside = |value: Option<f64>| value.map_or_else(|| "–".into(), number);
    let row = |figure: &super::judge::TableFigure| {
        let [fresh, copied, copula] = [figure.fresh, figure.copied, figure.copula].map(beside);
        vec![figure.title.into(), figure.estimate.to_string(), number(figure.ideal), fresh, copied, copula]
    };
    Table {
        caption: "Intervals hold 95 %. Fresh rows are real ones that the model has not seen; copies are training rows drawn with \
                  replacement."
            .into(),
        header: ["", "synthetic", "best", "fresh rows", "copies", "copula"].map(String::from).to_vec(),
        rows: report.figures.iter().map(row).collect(),
    }
}

fn columns(report: &TableReport, train: &Columns, synthetic: &Columns) -> Result<Section, FigureError> {
    let mut section = Section::new("Columns alone").paragraph(
        "The shape error is the Kolmogorov–Smirnov statistic of numbers and the total variation of categories, 0 where both \
         tables agree. The worst stand first.",
    );
    let per_cent =
        |share: f64| if share.is_finite() { format!("{:.2}", 100.0 * share) } else { "–".into() };
    section = section.table(Table {
        caption: "Column by column, %".into(),
        header: ["column", "kind", "shape error", "gaps", "gaps, synthetic", "invented", "in 90 % interval"]
            .map(String::from)
            .to_vec(),
        rows: report
            .columns
            .iter()
            .map(|c| {
                let numbers = [c.shape, c.gaps, c.gaps_synthetic, c.invented, c.coverage].map(per_cent);
                [vec![c.name.clone(), c.kind.to_string()], numbers.to_vec()].concat()
            })
            .collect(),
    });
    let finite = |values: &[f64]| values.iter().any(|value| value.is_finite());
    let numbers: Vec<ColumnPair> = train
        .iter()
        .zip(synthetic.columns())
        .filter_map(|((name, a), b)| match (a, b) {
            (Column::Numbers(original), Column::Numbers(generated))
                if finite(original) && finite(generated) =>
            {
                Some(ColumnPair { name, original, generated })
            }
            _ => None,
        })
        .collect();
    if !numbers.is_empty() {
        let figure = column_histograms(&numbers, "numbers")?;
        section = section.figure(
            figure,
            "Training rows and synthetic rows over each other.",
            "Histograms of each column",
        );
    }
    let worst = report.columns.iter().filter(|column| column.kind == "categories").take(BARS);
    for name in worst.map(|column| &column.name) {
        let Some(place) = train.place(name) else { continue };
        let (Column::Categories { codes, levels }, Column::Categories { codes: fakes, .. }) =
            (&train.columns()[place], &synthetic.columns()[place])
        else {
            continue;
        };
        let figure = bars(&categories(name, [codes, fakes], levels))?;
        section = section.figure(
            figure,
            format!("Shares of the levels of {name}."),
            format!("Bars of the levels of {name}"),
        );
    }
    Ok(section)
}

fn categories(name: &str, codes: [&[u32]; 2], levels: &[String]) -> Bars {
    let [real, fake] = codes.map(|codes| {
        let mut shares = vec![0.0; levels.len()];
        codes.iter().for_each(|code| shares[*code as usize] += 100.0 / codes.len().max(1) as f64);
        shares
    });
    let mut order: Vec<usize> = (0..levels.len()).collect();
    order.sort_by(|&a, &b| real[b].total_cmp(&real[a]));
    order.truncate(LEVELS);
    let of = |shares: &[f64]| order.iter().map(|&level| shares[level]).collect();
    Bars {
        title: name.into(),
        caption: if levels.len() > LEVELS {
            format!("the {LEVELS} most frequent of {} levels", levels.len())
        } else {
            String::new()
        },
        value_label: "% of rows".into(),
        labels: order
            .iter()
            .map(|&level| if levels[level] == GAP { "(gap)".into() } else { levels[level].clone() })
            .collect(),
        groups: vec![
            BarGroup { name: "training rows".into(), values: of(&real) },
            BarGroup { name: "synthetic rows".into(), values: of(&fake) },
        ],
    }
}

fn pairs(report: &TableReport) -> Result<Section, FigureError> {
    let [real, fake] = &report.association;
    let both =
        [Matrix { title: "training rows", values: real }, Matrix { title: "synthetic rows", values: fake }];
    let figure = matrices(&both, &report.names, "how strongly columns hang together")?;
    let rows = report.pairs.iter().filter(|pair| pair.error.is_finite()).take(15);
    let section = Section::new("Columns in pairs")
        .paragraph(
            "|r| of two numbers, Cramér's V where there is a category (numbers in ten bins). Where the left picture is dark and \
             the right one light, a dependence is lost.",
        )
        .figure(figure, "Dependence of each pair of columns.", "Two matrices of the strength of each pair of columns");
    if report.pairs.is_empty() {
        return Ok(section);
    }
    Ok(section.table(Table {
        caption: "The pairs that are off most: trend error with common bin edges, %".into(),
        header: ["column", "and", "error"].map(String::from).to_vec(),
        rows: rows
            .map(|pair| {
                vec![pair.columns[0].clone(), pair.columns[1].clone(), format!("{:.2}", 100.0 * pair.error)]
            })
            .collect(),
    }))
}
