//! Lines, points, bands and error bars over two axes, either of which may be logarithmic.

use super::axis::{Scale, robust_limits, short};
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::text_width;
use super::frame::{Frame, Swatch, heading, legend_rows};
use super::labels::near;
use super::palette::{MUTED, PAPER, class_hex};
use super::{Figure, FigureError};

/// One axis of a plot.
#[derive(Clone, Debug, Default)]
pub struct Axis {
    /// What the axis shows, with its unit.
    pub label: String,
    /// Whether it is logarithmic; what is not above 0 is then not drawn.
    pub log: bool,
    /// The values at its ends; by itself the axis holds all that is drawn.
    pub limits: Option<(f64, f64)>,
    /// Whether the vertical axis follows the bulk of the curves, rather than their first steps.
    pub robust: bool,
}

impl Axis {
    /// A linear axis.
    pub fn linear(label: impl Into<String>) -> Self {
        Self { label: label.into(), ..Self::default() }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Self {
        Self { log: true, ..Self::linear(label) }
    }

    /// The same axis between fixed ends.
    pub fn between(self, low: f64, high: f64) -> Self {
        Self { limits: Some((low, high)), ..self }
    }
}

/// How the points of a series are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// By a line.
    #[default]
    Solid,
    /// By a broken line: an expectation, an exact value.
    Dashed,
    /// By a thin pale line: noisy values behind others.
    Faint,
    /// By a line with a disc at each point.
    Marked,
    /// Not at all: discs alone.
    Points,
}

/// Points that belong together.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Its name in the legend; without one it has no entry there.
    pub name: String,
    /// Points `[x, y]` in the order of x. A gap where y is not finite.
    pub points: Vec<[f64; 2]>,
    /// For each point the ends of a band around it; none otherwise.
    pub band: Vec<[f64; 2]>,
    /// For each point half the length of its error bar (such as a standard error); none otherwise.
    pub errors: Vec<f64>,
    /// How the points are joined.
    pub line: Line,
    /// The number of its colour; by itself that of its place among the series.
    pub colour: Option<usize>,
}

impl Series {
    /// Points joined by a line.
    pub fn line(name: impl Into<String>, points: Vec<[f64; 2]>) -> Self {
        Self { name: name.into(), points, ..Self::default() }
    }

    /// The same points joined in another way.
    pub fn drawn(self, line: Line) -> Self {
        Self { line, ..self }
    }

    /// The same series in the colour of another.
    pub fn coloured(self, colour: usize) -> Self {
        Self { colour: Some(colour), ..self }
    }
}

/// Something to be pointed out.
#[derive(Clone, Debug)]
pub enum Mark {
    /// A vertical line at x, with a label.
    X(f64, String),
    /// A horizontal line at y, with a label.
    Y(f64, String),
    /// A point with a label.
    Point([f64; 2], String),
}

/// Series over two axes.
#[derive(Clone, Debug, Default)]
pub struct Plot {
    /// Above the plot, in bold; may be empty.
    pub title: String,
    /// Under the title; may be empty.
    pub caption: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// What is drawn.
    pub series: Vec<Series>,
    /// What is pointed out.
    pub marks: Vec<Mark>,
}

/// Draws one plot.
///
/// # Errors
/// Where no point can be drawn, or a band or error bars don't fit their points.
pub fn plot(plot: &Plot) -> Result<Figure, FigureError> {
    draw_panels("plot", std::slice::from_ref(plot), 1, [640.0, 400.0])
}

/// Draws plots side by side, `columns` in a row.
///
/// # Errors
/// Where there is no plot, no point can be drawn, or a band or error bars don't fit their points.
pub fn panels(plots: &[Plot], columns: usize) -> Result<Figure, FigureError> {
    draw_panels("panels", plots, columns, [430.0, 320.0])
}

pub(super) fn draw_panels(
    figure: &'static str,
    plots: &[Plot],
    columns: usize,
    [width, height]: [f64; 2],
) -> Result<Figure, FigureError> {
    if plots.is_empty() || columns == 0 {
        return Err(FigureError::input(
            figure,
            "there is nothing to draw",
            "hand over at least one plot and column",
        ));
    }
    plots.iter().try_for_each(|plot| plot.check(figure))?;
    let columns = columns.min(plots.len());
    let (gap, margin) = (18.0, 14.0);
    let rows = plots.len().div_ceil(columns);
    let sheet = |cells: usize, side: f64| 2.0 * margin + cells as f64 * (side + gap) - gap;
    let mut canvas = Canvas::new(sheet(columns, width), sheet(rows, height));
    for (row, row_plots) in plots.chunks(columns).enumerate() {
        // The frames of a row start at the same height.
        let above = row_plots
            .iter()
            .map(|plot| plot.draw_above(None, Rect::new(0.0, 0.0, width, height)))
            .fold(0.0, f64::max);
        for (column, plot) in row_plots.iter().enumerate() {
            let x = margin + column as f64 * (width + gap);
            let y = margin + row as f64 * (height + gap);
            plot.draw(&mut canvas, Rect::new(x, y, width, height), above);
        }
    }
    Ok(canvas.finish())
}

impl Plot {
    fn check(&self, figure: &'static str) -> Result<(), FigureError> {
        for series in &self.series {
            for (what, length) in [("ends of a band", series.band.len()), ("error bars", series.errors.len())]
            {
                if length != 0 && length != series.points.len() {
                    let what = format!(
                        "series `{}` has {} points and {length} {what}",
                        series.name,
                        series.points.len()
                    );
                    return Err(FigureError::input(figure, what, "hand over one for each point, or none"));
                }
            }
        }
        let visible = |[x, y]: &[f64; 2]| {
            x.is_finite() && y.is_finite() && (!self.x.log || *x > 0.0) && (!self.y.log || *y > 0.0)
        };
        if !self.series.iter().any(|series| series.points.iter().any(visible)) {
            let what = format!("no point of `{}` can be drawn", self.title);
            return Err(FigureError::input(
                figure,
                what,
                "hand over finite values (above 0 on a logarithmic axis)",
            ));
        }
        Ok(())
    }

    /// Title and legend; returns their height.
    fn draw_above(&self, canvas: Option<&mut Canvas>, area: Rect) -> f64 {
        let mut canvas = canvas;
        let title = heading(canvas.as_deref_mut(), [area.x, area.y], area.width, &self.title, &self.caption);
        let entries: Vec<(Swatch, &str)> = self
            .series
            .iter()
            .enumerate()
            .filter(|(_, series)| !series.name.is_empty())
            .map(|(index, series)| (series.swatch(index), series.name.as_str()))
            .collect();
        // One series under a title needs no legend.
        let entries = if self.series.len() == 1 && !self.title.is_empty() { Vec::new() } else { entries };
        title + legend_rows(canvas, [area.x, area.y + title], area.width, &entries)
    }

    /// Draws into `area`, the frame below `above`.
    fn draw(&self, canvas: &mut Canvas, area: Rect, above: f64) {
        self.draw_above(Some(canvas), area);
        let (x, y, outside) = self.scales();
        let inner = Rect::new(area.x, area.y + above, area.width, area.height - above);
        let labelled = self.marks.iter().any(|mark| matches!(mark, Mark::X(..)));
        let frame =
            Frame::inside(inner, if labelled { 20.0 } else { 6.0 }, x, y, &self.x.label, &self.y.label);
        frame.draw_grid(canvas);
        // Half a pixel more, so that lines along the edge keep their width.
        let Rect { x: left, y: top, width, height } = frame.area;
        canvas.clipped(Rect::new(left - 1.0, top - 1.0, width + 2.0, height + 2.0), |canvas| {
            for (index, series) in self.series.iter().enumerate() {
                series.draw(canvas, &frame, index);
            }
        });
        frame.draw_axes(canvas, &self.x.label, &self.y.label);
        self.draw_marks(canvas, &frame);
        let (right, top, bottom) = (frame.area.right(), frame.area.y + 1.0, frame.area.bottom() - 17.0);
        for (value, y) in outside.into_iter().zip([bottom, top]) {
            let Some(value) = value else { continue };
            let note = format!("early values reach {}", short(value));
            let width = text_width(&note, 11.0, false) + 8.0;
            canvas.rect(Rect::new(right - width, y, width, 16.0), &format!(r#"fill="{PAPER}""#));
            canvas.text(right - 4.0, y + 12.0, &note, TextStyle::new(11.0).end().colour(MUTED));
        }
    }

    /// Both scales, and the least and the greatest value where the vertical one leaves them out on purpose.
    fn scales(&self) -> (Scale, Scale, [Option<f64>; 2]) {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let marked = |axis: usize| {
            self.marks.iter().filter_map(move |mark| match mark {
                Mark::X(x, _) if axis == 0 => Some(*x),
                Mark::Y(y, _) if axis == 1 => Some(*y),
                Mark::Point(point, _) => Some(point[axis]),
                _ => None,
            })
        };
        let x = match self.x.limits {
            Some((low, high)) => Scale::between(low, high, self.x.log),
            None => {
                let scale = Scale::over(points().map(|point| point[0]).chain(marked(0)), self.x.log);
                let discs =
                    self.series.iter().any(|series| matches!(series.line, Line::Points | Line::Marked));
                if discs { scale.padded(0.03) } else { scale }
            }
        };
        if let Some((low, high)) = self.y.limits {
            return (x, Scale::between(low, high, self.y.log), [None; 2]);
        }
        if self.y.robust {
            let curves: Vec<&[[f64; 2]]> =
                self.series.iter().map(|series| series.points.as_slice()).collect();
            let (y, outside) = robust_limits(&curves, self.y.log);
            return (x, y.padded(0.05), outside);
        }
        let ends = self.series.iter().flat_map(|series| {
            let errors = series.points.iter().zip(&series.errors).flat_map(|([_, y], e)| [y - e, y + e]);
            series.band.iter().flatten().copied().chain(errors)
        });
        let y = Scale::over(points().map(|point| point[1]).chain(marked(1)).chain(ends), self.y.log);
        // A label has room under the lowest point and over the highest.
        let labelled = self.marks.iter().any(|mark| matches!(mark, Mark::Point(..)));
        (x, y.padded(if labelled { 0.1 } else { 0.05 }), [None; 2])
    }

    /// Every piece of line within the frame: those of the series and those of marks.
    fn lines(&self, frame: &Frame) -> Vec<[[f64; 2]; 2]> {
        let (x, y) = (frame.x, frame.y);
        let joined = self.series.iter().filter(|series| series.line != Line::Points);
        let pieces = joined.flat_map(|series| series.points.windows(2)).map(|pair| [pair[0], pair[1]]);
        let marked = self.marks.iter().filter_map(|mark| match mark {
            Mark::X(at, _) => Some([[*at, y.low], [*at, y.high]]),
            Mark::Y(at, _) => Some([[x.low, *at], [x.high, *at]]),
            Mark::Point(..) => None,
        });
        let placed = pieces.chain(marked).map(|ends| ends.map(|end| frame.place(end)));
        placed.filter(|ends| ends.iter().flatten().all(|value| value.is_finite())).collect()
    }

    fn draw_marks(&self, canvas: &mut Canvas, frame: &Frame) {
        let style = format!(r#"stroke="{MUTED}" stroke-width="1.2" stroke-dasharray="4 3""#);
        let Rect { x: left, y: top, .. } = frame.area;
        let (right, bottom) = (frame.area.right(), frame.area.bottom());
        let inside =
            |[x, y]: [f64; 2]| x >= left - 1.0 && x <= right + 1.0 && y >= top - 1.0 && y <= bottom + 1.0;
        let text = TextStyle::new(11.5).colour(MUTED).halo();
        let lines = self.lines(frame);
        // No label covers a point that is pointed out.
        let points = self.marks.iter().filter_map(|mark| match mark {
            Mark::Point(point, _) => Some(frame.place(*point)),
            _ => None,
        });
        let mut drawn: Vec<Rect> = points.map(|[x, y]| Rect::new(x - 3.5, y - 3.5, 7.0, 7.0)).collect();
        for mark in &self.marks {
            let (at, label) = match mark {
                Mark::X(x, label) => ([frame.place([*x, frame.y.low])[0], top], label),
                Mark::Y(y, label) => ([right, frame.place([frame.x.low, *y])[1]], label),
                Mark::Point(point, label) => (frame.place(*point), label),
            };
            if !inside(at) {
                continue;
            }
            let width = text_width(label, 11.5, false);
            let corner = match mark {
                Mark::X(..) => {
                    canvas.line([at[0], top], [at[0], bottom], &style);
                    [(at[0] - width / 2.0).min(right - width).max(left), top - 17.0]
                }
                Mark::Y(..) => {
                    canvas.line([left, at[1]], [right, at[1]], &style);
                    [right - width - 6.0, at[1] - 17.0]
                }
                Mark::Point(..) => {
                    canvas.circle(at, 4.5, &format!(r#"fill="{PAPER}" stroke="{MUTED}" stroke-width="2""#));
                    let place = near(at, [width, 14.0], frame.area, &lines, &drawn);
                    [place.x, place.y]
                }
            };
            let mut place = Rect::new(corner[0], corner[1], width, 14.0);
            // Where a label of a line already stands, the next one goes under it.
            let lined = !matches!(mark, Mark::Point(..));
            while lined && drawn.iter().any(|other| other.overlaps(place)) && place.y < bottom - 30.0 {
                place.y += 15.0;
            }
            drawn.push(place);
            canvas.text(place.x, place.y + 11.0, label, text);
        }
    }
}

impl Series {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame, index: usize) {
        let colour = self.hex(index);
        let placed: Vec<[f64; 2]> = self.points.iter().map(|point| frame.place(*point)).collect();
        let finite = |[x, y]: &[f64; 2]| x.is_finite() && y.is_finite();
        let ends: Vec<[[f64; 2]; 2]> = self
            .points
            .iter()
            .zip(&self.band)
            .map(|([x, _], [low, high])| [frame.place([*x, *low]), frame.place([*x, *high])])
            .collect();
        for run in ends.split(|[low, high]| !finite(low) || !finite(high)) {
            let outline: Vec<[f64; 2]> =
                run.iter().map(|ends| ends[0]).chain(run.iter().rev().map(|ends| ends[1])).collect();
            canvas.path(&outline, true, &format!(r#"fill="{colour}" fill-opacity="0.16""#));
        }
        if self.line != Line::Points {
            for run in placed.split(|point| !finite(point)) {
                canvas.path(&thinned(run), false, &format!(r#"fill="none" {}"#, self.stroke(index)));
            }
        }
        for (([x, y], error), [left, _]) in self.points.iter().zip(&self.errors).zip(&placed) {
            let [low, high] = [y - error, y + error].map(|end| frame.place([*x, end])[1]);
            let style = format!(r#"stroke="{colour}" stroke-width="1.4""#);
            if !left.is_finite() || !high.is_finite() {
                continue;
            }
            // On a log axis the lower end may lie at or below 0: the bar then leaves the frame.
            let low = if low.is_finite() { low } else { frame.area.bottom() + 20.0 };
            canvas.line([*left, low], [*left, high], &style);
            for end in [low, high] {
                canvas.line([left - 3.5, end], [left + 3.5, end], &style);
            }
        }
        let alone = placed.iter().filter(|point| finite(point)).count() == 1;
        if alone || matches!(self.line, Line::Marked | Line::Points) {
            let radius = if placed.len() > 200 { 2.0 } else { 3.4 };
            for point in placed.iter().filter(|point| finite(point)) {
                canvas.circle(*point, radius, &format!(r#"fill="{colour}""#));
            }
        }
    }

    fn stroke(&self, index: usize) -> String {
        let rest = match self.line {
            Line::Faint => r#"stroke-width="1.2" stroke-opacity="0.4""#,
            Line::Dashed => r#"stroke-width="1.8" stroke-dasharray="6 4""#,
            _ => r#"stroke-width="2""#,
        };
        format!(r#"stroke="{}" stroke-linejoin="round" {rest}"#, self.hex(index))
    }

    fn swatch(&self, index: usize) -> Swatch {
        if self.line == Line::Points {
            Swatch::Disc(self.hex(index))
        } else {
            Swatch::Stroke(self.stroke(index))
        }
    }

    fn hex(&self, index: usize) -> String {
        class_hex(self.colour.unwrap_or(index))
    }
}

/// At most four points for each pixel of width: the first, the least, the greatest and the last.
/// The line looks the same and a long run's file stays small.
fn thinned(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for column in points.chunk_by(|a, b| a[0].floor() == b[0].floor()) {
        if column.len() <= 4 {
            kept.extend(column);
            continue;
        }
        let by_height = |a: &usize, b: &usize| column[*a][1].total_cmp(&column[*b][1]);
        let ends = [(0..column.len()).min_by(by_height), (0..column.len()).max_by(by_height)];
        let mut indices = vec![0, column.len() - 1];
        indices.extend(ends.into_iter().flatten());
        indices.sort_unstable();
        indices.dedup();
        kept.extend(indices.into_iter().map(|index| column[index]));
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    fn example() -> Plot {
        let points: Vec<[f64; 2]> =
            (0..12).map(|k| [2f64.powi(k), -100.0 + 8.0 / f64::from(k + 1)]).collect();
        let errors = (0..12).map(|k| 3.0 / f64::from(k + 1)).collect();
        let band = points.iter().map(|[_, y]| [y - 1.0, y + 1.0]).collect();
        Plot {
            title: "estimates & truth".into(),
            x: Axis::log("draws"),
            y: Axis::linear("log P(x) [nats]"),
            series: vec![
                Series { errors, ..Series::line("importance", points.clone()).drawn(Line::Marked) },
                Series { band, ..Series::line("ELBO", points) },
            ],
            marks: vec![
                Mark::Y(-100.0, "exact".into()),
                Mark::X(64.0, "64".into()),
                Mark::Point([8.0, -99.0], "p".into()),
            ],
            ..Plot::default()
        }
    }

    #[test]
    fn plots_are_drawn() {
        check(|| plot(&example()).unwrap());
        check(|| panels(&[example(), example(), example()], 2).unwrap());
    }

    #[test]
    fn odd_numbers_do_no_harm() {
        for log in [false, true] {
            let points =
                vec![[0.0, f64::NAN], [1.0, 1.0], [f64::INFINITY, 2.0], [2.0, -1.0], [3.0, f64::MAX]];
            let errors = vec![f64::NAN, 1e308, f64::INFINITY, 0.0, 2.0];
            let series = Series { errors, ..Series::line("s", points) };
            let axis = |label: &str| Axis { log, ..Axis::linear(label) };
            let odd = Plot { x: axis("x"), y: axis("y"), series: vec![series], ..Plot::default() };
            check(|| plot(&odd).unwrap());
        }
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        assert!(panels(&[], 2).is_err());
        assert!(plot(&Plot::default()).is_err());
        let mut wrong = example();
        wrong.series[0].errors.pop();
        let error = plot(&wrong).unwrap_err().to_string();
        assert!(error.contains("`importance` has 12 points and 11 error bars"), "{error}");
        let negative = Plot { y: Axis::log("y"), ..example() };
        assert!(plot(&negative).is_err());
    }

    #[test]
    fn the_label_of_the_lowest_point_is_not_struck_through() {
        let points = vec![[0.07, -43.0], [0.122, -471.0], [0.15, -440.0], [0.3, -118.0], [2.5, 1444.0]];
        let lowest = Plot {
            title: "−ELBO".into(),
            x: Axis::log("σ"),
            series: vec![Series::line("", points)],
            marks: vec![Mark::Point([0.122, -471.0], "σ* = 0.122".into())],
            ..Plot::default()
        };
        let svg = panels(&[lowest.clone(), lowest.clone(), lowest], 3).unwrap().svg;
        let number = |line: &str, name: &str| -> f64 {
            line.split_once(&format!(" {name}=\"")).unwrap().1.split('"').next().unwrap().parse().unwrap()
        };
        let circle = svg.lines().find(|line| line.starts_with("<circle")).unwrap();
        let label = svg.lines().find(|line| line.ends_with(">σ* = 0.122</text>")).unwrap();
        // Both branches of the curve rise from here: only below it is there room.
        assert!(number(label, "y") - 9.0 > number(circle, "cy"), "{circle}\n{label}");
    }

    #[test]
    fn long_lines_are_thinned_without_losing_peaks() {
        let mut points: Vec<[f64; 2]> =
            (0..10_000).map(|i| [f64::from(i) / 100.0, f64::from(i % 7)]).collect();
        points[5_050][1] = 99.0;
        let kept = thinned(&points);
        assert!(kept.len() <= 404 && kept.iter().any(|point| point[1] == 99.0));
    }
}
