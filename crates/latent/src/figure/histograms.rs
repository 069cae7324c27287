//! Tables: the distribution of each column, original beside generated.
//!
//! A view holds all original values and the bulk of the generated ones; what lies outside is counted in words, not in
//! the bins at the edge. Where values are close together and far from 0, the axis counts from a base that is named.

use super::axis::{Scale, grouped, nice_step};
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::{fitted, text_width};
use super::frame::{Frame, SMALL, Swatch, heading, legend_rows};
use super::palette::{INK, MUTED, class_hex};
use super::{Figure, FigureError};

/// The most columns that are drawn.
const MOST_COLUMNS: usize = 64;

/// The size of tick labels and notes.
const TINY: f64 = 11.0;

/// One column of a table, twice.
#[derive(Clone, Debug)]
pub struct ColumnPair<'a> {
    /// The column's name.
    pub name: &'a str,
    /// Its values in the data.
    pub original: &'a [f64],
    /// Its values in what the model generated.
    pub generated: &'a [f64],
}

/// What is drawn of a column.
struct View {
    /// What values are counted from.
    base: f64,
    scale: Scale,
    /// The share of all finite values in each bin: original, generated.
    shares: [Vec<f64>; 2],
    /// What lies outside, in words; empty where nothing does.
    note: String,
}

/// A small histogram for each column, at most 64, with the same bins for original and generated values.
///
/// # Errors
/// Where there is no column, or one has no finite value on either side.
pub fn column_histograms(columns: &[ColumnPair], title: &str) -> Result<Figure, FigureError> {
    if columns.is_empty() {
        return Err(FigureError::input("column histograms", "there is no column", "hand over at least one"));
    }
    let shown = &columns[..columns.len().min(MOST_COLUMNS)];
    let views = shown.iter().map(View::of).collect::<Result<Vec<_>, _>>()?;
    let caption = if shown.len() < columns.len() {
        format!("share of rows in each bin; the first {} of {} columns", shown.len(), columns.len())
    } else {
        "share of rows in each bin".into()
    };
    let across = shown.len().min(4);
    let noted = if views.iter().all(|view| view.note.is_empty()) { 0.0 } else { 14.0 };
    let based = if views.iter().all(|view| view.base == 0.0) { 0.0 } else { 14.0 };
    let (margin, width, height) = (14.0, 210.0, 160.0 + noted + based);
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
    for (index, (column, view)) in shown.iter().zip(&views).enumerate() {
        let x = margin + (index % across) as f64 * width;
        let y = top + (index / across) as f64 * height;
        let highest = view.shares.iter().flatten().copied().fold(0.0, f64::max).max(1e-12);
        let frame = Frame {
            area: Rect::new(x + 6.0, y + 22.0 + noted, width - 22.0, 108.0),
            x: view.scale,
            y: Scale::between(0.0, 1.05 * highest, false),
        };
        let name = fitted(column.name, SMALL, true, width - 18.0);
        canvas.text(x + 6.0, y + 14.0, &name, TextStyle::new(SMALL).bold().colour(INK));
        let note = fitted(&view.note, TINY, false, width - 12.0);
        canvas.text(x + 6.0, y + 28.0, &note, TextStyle::new(TINY).colour(MUTED));
        for (series, shares) in view.shares.iter().enumerate() {
            let outline = steps(shares, &frame);
            if series == 0 {
                canvas.path(&outline, true, &fill);
            }
            canvas.path(&outline, false, &stroke(series));
        }
        draw_x_axis(&mut canvas, &frame, [x, x + width], view.base);
    }
    Ok(canvas.finish())
}

impl View {
    fn of(column: &ColumnPair) -> Result<Self, FigureError> {
        let base = base_of(column);
        let [original, generated] = [column.original, column.generated]
            .map(|values| finite(values).map(|value| value - base).collect::<Vec<f64>>());
        if original.is_empty() || generated.is_empty() {
            let what =
                format!("column `{}` has no finite value in the data or in what was generated", column.name);
            return Err(FigureError::input("column histograms", what, "leave the column out"));
        }
        let scale = limits(&original, &generated);
        let bins = bin_count(&original);
        let shares = [shares(&original, scale, bins), shares(&generated, scale, bins)];
        let outside = generated.iter().filter(|value| !is_inside(scale, **value)).count();
        let note = match outside {
            0 => String::new(),
            1 => "1 generated value lies outside".into(),
            many => format!("{} generated values lie outside", grouped(&many.to_string())),
        };
        Ok(Self { base, scale, shares, note })
    }
}

/// A round number just below values that lie close together far from 0, as time stamps do; else 0.
fn base_of(column: &ColumnPair) -> f64 {
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for value in finite(column.original) {
        (low, high) = (low.min(value), high.max(value));
    }
    let (span, size) = (high - low, low.abs().max(high.abs()));
    if span > 0.0 && span < 1e-4 * size {
        let step = nice_step(span);
        (low / step).floor() * step
    } else {
        0.0
    }
}

/// The range of a column: all original values and the bulk of the generated ones, of which a few outliers would squeeze
/// the rest.
fn limits(original: &[f64], generated: &[f64]) -> Scale {
    let mut generated = generated.to_vec();
    generated.sort_by(f64::total_cmp);
    let tail = generated.len() / 100;
    let bulk = generated.get(tail..generated.len() - tail).unwrap_or_default();
    Scale::over(original.iter().chain(bulk).copied(), false)
}

/// As many bins as the root of the number of values, at least 8, and no more than there are distinct values.
fn bin_count(original: &[f64]) -> usize {
    let mut values = original.to_vec();
    let wanted = ((values.len() as f64).sqrt() as usize).clamp(8, 40);
    values.sort_by(f64::total_cmp);
    values.dedup();
    if values.len() > 1 { wanted.min(values.len().max(5)) } else { 5 }
}

/// Whether a value lies in the view, but for the rounding of its ends.
fn is_inside(scale: Scale, value: f64) -> bool {
    (-1e-9..=1.0 + 1e-9).contains(&scale.share(value))
}

/// The share of the values in each of `bins` equal bins; what lies outside counts in none.
fn shares(values: &[f64], scale: Scale, bins: usize) -> Vec<f64> {
    let mut counts = vec![0.0; bins];
    for &value in values.iter().filter(|value| is_inside(scale, **value)) {
        let bin = (scale.share(value) * bins as f64).floor().clamp(0.0, bins as f64 - 1.0) as usize;
        counts[bin] += 1.0;
    }
    counts.into_iter().map(|count| count / values.len().max(1) as f64).collect()
}

fn finite(values: &[f64]) -> impl Iterator<Item = f64> {
    values.iter().copied().filter(|value| value.is_finite())
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

/// The axis with as many labels as stand side by side within `room`, and what they count from.
fn draw_x_axis(canvas: &mut Canvas, frame: &Frame, room: [f64; 2], base: f64) {
    let style = format!(r#"stroke="{}""#, super::palette::AXIS);
    let bottom = frame.area.bottom();
    canvas.line([frame.area.x, bottom], [frame.area.right(), bottom], &style);
    for (value, label, middle) in labels(frame, room) {
        let [x, _] = frame.place([value, 0.0]);
        canvas.line([x, bottom], [x, bottom + 4.0], &style);
        canvas.text(middle, bottom + 16.0, &label, TextStyle::new(TINY).middle().colour(MUTED));
    }
    if base != 0.0 {
        // As many decimals as it has, but for the rounding of its own making.
        let is_exact = |decimals: &i32| {
            let power = 10f64.powi(*decimals);
            ((base * power).round() / power - base).abs() <= 1e-12 * base.abs()
        };
        let decimals = (0..12).find(is_exact).unwrap_or(12) as usize;
        let text = format!("from {}", grouped(&format!("{base:.decimals$}")));
        let style = TextStyle::new(TINY).middle().colour(MUTED);
        canvas.text(frame.area.x + frame.area.width / 2.0, bottom + 30.0, &text, style);
    }
}

/// Ticks, their labels, and where the middle of each label is: within `room`, and none over another.
fn labels(frame: &Frame, room: [f64; 2]) -> Vec<(f64, String, f64)> {
    const GAP: f64 = 8.0;
    let placed = |most: usize| -> Vec<(f64, String, f64)> {
        let ticks = frame.x.ticks(most).into_iter();
        ticks
            .map(|(value, label)| {
                let half = text_width(&label, TINY, false) / 2.0;
                let (least, greatest) = (room[0] + half, room[1] - half - GAP);
                let middle = frame.place([value, 0.0])[0].min(greatest).max(least);
                (value, label, middle)
            })
            .collect()
    };
    let right = |(_, label, middle): &(f64, String, f64)| middle + text_width(label, TINY, false) / 2.0;
    let left = |(_, label, middle): &(f64, String, f64)| middle - text_width(label, TINY, false) / 2.0;
    let most = (frame.area.width / 46.0).clamp(2.0, 10.0) as usize;
    for most in (1..=most).rev() {
        let ticks = placed(most);
        if ticks.windows(2).all(|pair| right(&pair[0]) + GAP <= left(&pair[1])) {
            return ticks;
        }
    }
    // Long labels: the outer ones, which tell the scale, or the first alone.
    let ticks = placed(1);
    match (ticks.first(), ticks.last()) {
        (Some(first), Some(last)) if right(first) + GAP <= left(last) => vec![first.clone(), last.clone()],
        (first, _) => first.cloned().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    #[test]
    fn values_fall_into_their_bins() {
        let scale = Scale::between(0.0, 4.0, false);
        assert_eq!(shares(&[0.0, 0.5, 1.0, 3.9, 4.0], scale, 4), [0.4, 0.2, 0.0, 0.4]);
    }

    /// No spike at the edge: a value outside of the view is in no bin, and is counted in words.
    #[test]
    fn what_lies_outside_is_said_and_not_drawn() {
        assert_eq!(shares(&[-9.0, 0.5, 9.0, 9.0], Scale::between(0.0, 1.0, false), 2), [0.0, 0.25]);
        let original: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        let mut generated = original.clone();
        generated[..7].fill(1e9);
        let column = ColumnPair { name: "a", original: &original, generated: &generated };
        let view = View::of(&column).unwrap();
        assert!(view.scale.high < 2.0);
        assert_eq!(view.note, "7 generated values lie outside");
        assert!((view.shares[1].iter().sum::<f64>() - 0.993).abs() < 1e-9);
        let last = view.shares.clone().map(|shares| shares[shares.len() - 1]);
        assert!(last[1] <= last[0], "{last:?}");
        let figure = check(|| column_histograms(std::slice::from_ref(&column), "").unwrap());
        assert!(figure.svg.contains("7 generated values lie outside"));
    }

    #[test]
    fn time_stamps_are_counted_from_a_base() {
        let original: Vec<f64> = (0..500).map(|i| 1_700_000_000_120.0 + f64::from(i % 40)).collect();
        let column = ColumnPair { name: "time", original: &original, generated: &original };
        let view = View::of(&column).unwrap();
        assert_eq!((view.base, view.scale.low, view.scale.high), (1_700_000_000_100.0, 20.0, 59.0));
        assert!(view.shares[0].iter().filter(|share| **share > 0.0).count() > 15);
        let figure = check(|| column_histograms(std::slice::from_ref(&column), "").unwrap());
        assert!(figure.svg.contains("from 1,700,000,000,100"));
    }

    /// Every scale, in a narrow frame: labels stay in their panel and off each other.
    #[test]
    fn labels_do_not_touch() {
        for (low, high) in [
            (0.0, 99_999.0),
            (-1e6, 1e6),
            (12_285.0, 1_484_705.0),
            (0.0012345, 0.0012346),
            (-1.5e-7, 3e-7),
            (1e12, 9e12),
            (123_456.0, 123_460.0),
        ] {
            let area = Rect::new(20.0, 0.0, 188.0, 100.0);
            let frame =
                Frame { area, x: Scale::between(low, high, false), y: Scale::between(0.0, 1.0, false) };
            let placed = labels(&frame, [14.0, 224.0]);
            assert!(!placed.is_empty(), "{low} {high}");
            let ends = placed.iter().map(|(_, label, middle)| {
                let half = text_width(label, TINY, false) / 2.0;
                [middle - half, middle + half]
            });
            let ends: Vec<[f64; 2]> = ends.collect();
            assert!(
                ends.iter().all(|[left, right]| *left >= 14.0 && *right <= 224.0),
                "{low} {high}: {ends:?}"
            );
            assert!(ends.windows(2).all(|pair| pair[0][1] + 7.9 <= pair[1][0]), "{low} {high}: {ends:?}");
        }
    }

    #[test]
    fn columns_are_drawn_and_checked() {
        let values: Vec<f64> = (0..500).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let names: Vec<String> = (0..70).map(|i| format!("column {i} with a rather long name")).collect();
        let pairs: Vec<_> =
            names.iter().map(|name| ColumnPair { name, original: &values, generated: &values }).collect();
        let figure = check(|| column_histograms(&pairs[..18], "wine").unwrap());
        assert!(figure.svg.contains("column 17") && !figure.svg.contains("the first"));
        let figure = column_histograms(&pairs, "wide").unwrap();
        assert!(figure.svg.contains("the first 64 of 70 columns"));
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
