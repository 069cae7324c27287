//! Tables: the distribution of each column, original beside generated.

use super::axis::Scale;
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::fitted;
use super::frame::{Frame, SMALL, Swatch, heading, legend_rows};
use super::palette::{INK, MUTED, class_hex};
use super::{Figure, FigureError};

/// The most columns that are drawn.
const MOST_COLUMNS: usize = 16;

/// One column of a table, twice.
#[derive(Clone, Debug)]
pub struct ColumnPair<'a> {
    /// The column's name.
    pub name: &'a str,
    /// Its values in the data.
    pub original: &'a [f32],
    /// Its values in what the model generated.
    pub generated: &'a [f32],
}

/// A small histogram for each column, at most 16, with the same bins for original and generated values.
///
/// # Errors
/// Where there is no column, or one has no finite value on either side.
pub fn column_histograms(columns: &[ColumnPair], title: &str) -> Result<Figure, FigureError> {
    if columns.is_empty() {
        return Err(FigureError::input("column histograms", "there is no column", "hand over at least one"));
    }
    let shown = &columns[..columns.len().min(MOST_COLUMNS)];
    let caption = if shown.len() < columns.len() {
        format!("share of rows in each bin; the first {} of {} columns", shown.len(), columns.len())
    } else {
        "share of rows in each bin".into()
    };
    let across = shown.len().min(4);
    let (margin, width, height) = (14.0, 210.0, 160.0);
    let sheet = (2.0 * margin + across as f64 * width).max(420.0);
    let fill = format!(r#"fill="{}" fill-opacity="0.3""#, class_hex(0));
    let stroke = |series: usize| {
        format!(r#"fill="none" stroke="{}" stroke-width="{}""#, class_hex([0, 3][series]), [1.0, 1.8][series])
    };
    let entries = [(Swatch::Box(fill.clone()), "original"), (Swatch::Stroke(stroke(1)), "generated")];
    let above = heading(None, [0.0; 2], sheet - 2.0 * margin, title, &caption);
    let top = margin + above + legend_rows(None, [0.0; 2], sheet, &entries) + 4.0;
    let rows = shown.len().div_ceil(across);
    let mut canvas = Canvas::new(sheet, top + rows as f64 * height + margin);
    heading(Some(&mut canvas), [margin; 2], sheet - 2.0 * margin, title, &caption);
    legend_rows(Some(&mut canvas), [margin, margin + above], sheet, &entries);
    for (index, column) in shown.iter().enumerate() {
        let x = margin + (index % across) as f64 * width;
        let y = top + (index / across) as f64 * height;
        let scale = limits(column);
        let bins = bin_count(column);
        let pair = [column.original, column.generated].map(|values| shares(values, scale, bins));
        if pair.iter().any(Vec::is_empty) {
            let what =
                format!("column `{}` has no finite value in the data or in what was generated", column.name);
            return Err(FigureError::input("column histograms", what, "leave the column out"));
        }
        let highest = pair.iter().flatten().copied().fold(0.0, f64::max).max(1e-12);
        let frame = Frame {
            area: Rect::new(x + 6.0, y + 22.0, width - 22.0, height - 52.0),
            x: scale,
            y: Scale::between(0.0, 1.05 * highest, false),
        };
        let name = fitted(column.name, SMALL, true, width - 18.0);
        canvas.text(x + 6.0, y + 14.0, &name, TextStyle::new(SMALL).bold().colour(INK));
        for (series, shares) in pair.iter().enumerate() {
            let outline = steps(shares, &frame);
            if series == 0 {
                canvas.path(&outline, true, &fill);
            }
            canvas.path(&outline, false, &stroke(series));
        }
        draw_x_axis(&mut canvas, &frame);
    }
    Ok(canvas.finish())
}

/// The range of a column: all original values and the bulk of the generated ones.
///
/// Generated values may have a few outliers; they are counted in the last bins instead of squeezing the rest.
fn limits(column: &ColumnPair) -> Scale {
    let mut generated: Vec<f64> = finite(column.generated).collect();
    generated.sort_by(f64::total_cmp);
    let tail = generated.len() / 100;
    let bulk = generated.get(tail..generated.len() - tail).unwrap_or_default();
    Scale::over(finite(column.original).chain(bulk.iter().copied()), false)
}

/// As many bins as the root of the number of values, at least 8, and no more than there are distinct values.
fn bin_count(column: &ColumnPair) -> usize {
    let mut values: Vec<f64> = finite(column.original).collect();
    let wanted = ((values.len() as f64).sqrt() as usize).clamp(8, 40);
    values.sort_by(f64::total_cmp);
    values.dedup();
    if values.len() > 1 { wanted.min(values.len().max(5)) } else { 5 }
}

/// The share of the finite values in each of `bins` equal bins; what lies outside counts in the first or last.
fn shares(values: &[f32], scale: Scale, bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins];
    let mut total = 0.0;
    for value in finite(values) {
        let bin = (scale.share(value) * bins as f64).floor().clamp(0.0, bins as f64 - 1.0) as usize;
        counts[bin] += 1.0;
        total += 1.0;
    }
    if total == 0.0 { Vec::new() } else { counts.into_iter().map(|count| count / total).collect() }
}

fn finite(values: &[f32]) -> impl Iterator<Item = f64> {
    values.iter().map(|value| f64::from(*value)).filter(|value| value.is_finite())
}

/// The outline of a histogram, from the axis up, along the bins, and down again.
fn steps(shares: &[f64], frame: &Frame) -> Vec<[f64; 2]> {
    let edge = |bin: usize| frame.x.low + (frame.x.high - frame.x.low) * bin as f64 / shares.len() as f64;
    let along =
        shares.iter().enumerate().flat_map(|(bin, share)| [[edge(bin), *share], [edge(bin + 1), *share]]);
    let mut points = vec![[edge(0), 0.0]];
    points.extend(along);
    points.push([edge(shares.len()), 0.0]);
    points.into_iter().map(|point| frame.place(point)).collect()
}

fn draw_x_axis(canvas: &mut Canvas, frame: &Frame) {
    let style = format!(r#"stroke="{}""#, super::palette::AXIS);
    let bottom = frame.area.bottom();
    canvas.line([frame.area.x, bottom], [frame.area.right(), bottom], &style);
    for (value, label) in frame.x_ticks() {
        let [x, _] = frame.place([value, 0.0]);
        canvas.line([x, bottom], [x, bottom + 4.0], &style);
        canvas.text(x, bottom + 16.0, &label, TextStyle::new(11.0).middle().colour(MUTED));
    }
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    #[test]
    fn values_fall_into_their_bins() {
        let scale = Scale::between(0.0, 4.0, false);
        assert_eq!(shares(&[0.0, 0.5, 1.0, 3.9, 4.0, f32::NAN], scale, 4), [0.4, 0.2, 0.0, 0.4]);
        assert_eq!(shares(&[-9.0, 9.0], scale, 2), [0.5, 0.5]);
        assert!(shares(&[f32::NAN], scale, 2).is_empty());
    }

    #[test]
    fn outliers_among_generated_values_do_not_squeeze_the_rest() {
        let original: Vec<f32> = (0..1000).map(|i| i as f32 / 1000.0).collect();
        let mut generated = original.clone();
        generated[0] = 1e9;
        let scale = limits(&ColumnPair { name: "a", original: &original, generated: &generated });
        assert!(scale.high < 2.0);
    }

    #[test]
    fn columns_are_drawn_and_checked() {
        let values: Vec<f32> = (0..500).map(|i| (i as f32 * 0.7).sin()).collect();
        let names: Vec<String> = (0..20).map(|i| format!("column {i} with a rather long name")).collect();
        let pairs: Vec<_> =
            names.iter().map(|name| ColumnPair { name, original: &values, generated: &values }).collect();
        let figure = check(|| column_histograms(&pairs, "wine").unwrap());
        assert!(figure.svg.contains("the first 16 of 20 columns"));
        check(|| {
            column_histograms(&[ColumnPair { name: "one", original: &[2.0], generated: &[2.0, 2.0] }], "")
                .unwrap()
        });
        assert!(column_histograms(&[], "").is_err());
        assert!(
            column_histograms(&[ColumnPair { name: "one", original: &[], generated: &[2.0] }], "").is_err()
        );
    }
}
