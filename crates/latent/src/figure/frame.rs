//! The axes of a plot: where values lie on the sheet, ticks, labels, legend.

use super::axis::Scale;
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::{fitted, text_width};
use super::palette::{AXIS, GRID, INK, MUTED};

/// The size of tick and legend labels.
pub(super) const SMALL: f64 = 12.0;
/// The size of axis labels.
pub(super) const NORMAL: f64 = 12.5;
/// The size of titles.
pub(super) const TITLE: f64 = 14.5;

/// A rectangle of the sheet with a scale on either side.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    pub area: Rect,
    pub x: Scale,
    pub y: Scale,
}

impl Frame {
    /// The largest frame that leaves room for ticks and labels inside of `area`, and `above` for labels on top.
    pub fn inside(area: Rect, above: f64, x: Scale, y: Scale, x_label: &str, y_label: &str) -> Self {
        let left = Self::left_margin(area.height, y, y_label);
        let below = if x_label.is_empty() { 24.0 } else { 44.0 };
        let inner =
            Rect::new(area.x + left, area.y + above, area.width - left - 14.0, area.height - above - below);
        Self { area: inner, x, y }
    }

    /// The room that the labels of the vertical axis take.
    fn left_margin(height: f64, y: Scale, y_label: &str) -> f64 {
        let widest = y
            .ticks(Self::y_ticks(height))
            .iter()
            .map(|(_, label)| text_width(label, SMALL, false))
            .fold(0.0, f64::max);
        widest + 10.0 + if y_label.is_empty() { 4.0 } else { 22.0 }
    }

    /// Where a value lies on the sheet.
    pub fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let Rect { x: left, y: top, width, height } = self.area;
        [left + self.x.share(x) * width, top + (1.0 - self.y.share(y)) * height]
    }

    /// The grid behind the data.
    pub fn draw_grid(&self, canvas: &mut Canvas) {
        let style = format!(r#"stroke="{GRID}" stroke-width="1""#);
        for (value, _) in self.x_ticks() {
            let [x, _] = self.place([value, self.y.low]);
            canvas.line([x, self.area.y], [x, self.area.bottom()], &style);
        }
        for (value, _) in self.y.ticks(Self::y_ticks(self.area.height)) {
            let [_, y] = self.place([self.x.low, value]);
            canvas.line([self.area.x, y], [self.area.right(), y], &style);
        }
    }

    /// Axes, tick labels and the names of the axes.
    pub fn draw_axes(&self, canvas: &mut Canvas, x_label: &str, y_label: &str) {
        let area = self.area;
        let style = format!(r#"stroke="{AXIS}" stroke-width="1""#);
        canvas.line([area.x, area.bottom()], [area.right(), area.bottom()], &style);
        canvas.line([area.x, area.y], [area.x, area.bottom()], &style);
        let ticks = TextStyle::new(SMALL).colour(MUTED);
        for (value, label) in self.x_ticks() {
            let [x, _] = self.place([value, self.y.low]);
            canvas.line([x, area.bottom()], [x, area.bottom() + 4.0], &style);
            canvas.text(x, area.bottom() + 17.0, &label, ticks.middle());
        }
        let y_ticks = self.y.ticks(Self::y_ticks(area.height));
        let mut widest: f64 = 0.0;
        for (value, label) in y_ticks {
            let [_, y] = self.place([self.x.low, value]);
            canvas.line([area.x - 4.0, y], [area.x, y], &style);
            canvas.text(area.x - 7.0, y + 0.36 * SMALL, &label, ticks.end());
            widest = widest.max(text_width(&label, SMALL, false));
        }
        let names = TextStyle::new(NORMAL).middle();
        if !x_label.is_empty() {
            let label = fitted(x_label, NORMAL, false, area.width + 40.0);
            canvas.text(area.x + area.width / 2.0, area.bottom() + 37.0, &label, names);
        }
        if !y_label.is_empty() {
            let label = fitted(y_label, NORMAL, false, area.height + 30.0);
            canvas.text(area.x - widest - 17.0, area.y + area.height / 2.0, &label, names.upward());
        }
    }

    /// As many horizontal ticks as have room for their labels.
    pub fn x_ticks(&self) -> Vec<(f64, String)> {
        let mut most = (self.area.width / 46.0).clamp(2.0, 10.0) as usize;
        loop {
            let ticks = self.x.ticks(most);
            let room = self.area.width * 0.9;
            let taken: f64 = ticks.iter().map(|(_, label)| text_width(label, SMALL, false) + 12.0).sum();
            if taken <= room || most <= 1 {
                return ticks;
            }
            most -= 1;
        }
    }

    fn y_ticks(height: f64) -> usize {
        (height / 42.0).clamp(2.0, 8.0) as usize
    }
}

/// What a legend shows beside a name.
#[derive(Clone, Debug)]
pub(super) enum Swatch {
    /// A disc, for classes.
    Disc(String),
    /// A piece of line with its SVG attributes, for series.
    Stroke(String),
    /// A box, for bars and histograms.
    Box(String),
}

impl Swatch {
    fn draw(&self, canvas: &mut Canvas, x: f64, middle: f64) {
        match self {
            Self::Disc(colour) => canvas.circle([x + 6.0, middle], 5.0, &format!(r#"fill="{colour}""#)),
            Self::Stroke(style) => canvas.line([x, middle], [x + 20.0, middle], style),
            Self::Box(style) => canvas.rect(Rect::new(x, middle - 5.5, 12.0, 11.0), style),
        }
    }

    fn width(&self) -> f64 {
        match self {
            Self::Disc(_) | Self::Box(_) => 18.0,
            Self::Stroke(_) => 26.0,
        }
    }
}

const LEGEND_ROW: f64 = 19.0;

/// A legend in rows no wider than `width`; returns its height. Draws only where there is a canvas.
pub(super) fn legend_rows(
    canvas: Option<&mut Canvas>,
    at: [f64; 2],
    width: f64,
    entries: &[(Swatch, &str)],
) -> f64 {
    let (mut x, mut row, mut canvas) = (0.0, 0.0, canvas);
    for (swatch, name) in entries {
        let name = fitted(name, SMALL, false, width - swatch.width());
        let needed = swatch.width() + text_width(&name, SMALL, false);
        if x > 0.0 && x + needed > width {
            x = 0.0;
            row += 1.0;
        }
        if let Some(canvas) = canvas.as_deref_mut() {
            let middle = at[1] + row * LEGEND_ROW + 8.0;
            swatch.draw(canvas, at[0] + x, middle);
            canvas.text(at[0] + x + swatch.width(), middle + 0.36 * SMALL, &name, TextStyle::new(SMALL));
        }
        x += needed + 18.0;
    }
    if entries.is_empty() { 0.0 } else { (row + 1.0) * LEGEND_ROW }
}

/// A legend as one column; returns its width with the gap before it. Draws only where there is a canvas.
pub(super) fn legend_column(
    canvas: Option<&mut Canvas>,
    at: [f64; 2],
    height: f64,
    entries: &[(Swatch, &str)],
) -> f64 {
    let rows = ((height / LEGEND_ROW).floor() as usize).max(1);
    let mut left = at[0] + 16.0;
    let mut canvas = canvas;
    for column in entries.chunks(rows) {
        let mut widest: f64 = 0.0;
        for (row, (swatch, name)) in column.iter().enumerate() {
            let name = fitted(name, SMALL, false, 150.0);
            widest = widest.max(swatch.width() + text_width(&name, SMALL, false));
            if let Some(canvas) = canvas.as_deref_mut() {
                let middle = at[1] + row as f64 * LEGEND_ROW + 8.0;
                swatch.draw(canvas, left, middle);
                canvas.text(left + swatch.width(), middle + 0.36 * SMALL, &name, TextStyle::new(SMALL));
            }
        }
        left += widest + 16.0;
    }
    if entries.is_empty() { 0.0 } else { left - at[0] }
}

/// A title and under it a caption of lesser weight, wrapped; returns the height of both.
/// Draws only where there is a canvas.
pub(super) fn heading(
    canvas: Option<&mut Canvas>,
    at: [f64; 2],
    width: f64,
    title: &str,
    caption: &str,
) -> f64 {
    let mut canvas = canvas;
    let mut y = 0.0;
    for line in super::font::wrapped(title, TITLE, true, width) {
        y += 20.0;
        if let Some(canvas) = canvas.as_deref_mut() {
            canvas.text(at[0], at[1] + y - 5.0, &line, TextStyle::new(TITLE).bold().colour(INK));
        }
    }
    for line in super::font::wrapped(caption, SMALL, false, width) {
        y += 17.0;
        if let Some(canvas) = canvas.as_deref_mut() {
            canvas.text(at[0], at[1] + y - 4.0, &line, TextStyle::new(SMALL).colour(MUTED));
        }
    }
    if y > 0.0 { y + 6.0 } else { 0.0 }
}
