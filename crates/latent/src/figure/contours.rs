//! The prior under the regions of a latent plane: contours that hold 39, 86 and 99 % of its mass.
//!
//! They are those of a normal at 1, 2 and 3 standard deviations, 1 − e^{−r²/2}. They are named by their share: σ is the
//! name of a model's own widths.

use super::canvas::{Canvas, Rect, TextStyle};
use super::font::text_width;
use super::frame::Frame;
use super::palette::{MUTED, PAPER};

/// The density of a prior on a regular grid.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityGrid {
    /// The first and the last column's value.
    pub x: (f64, f64),
    /// The first and the last row's value.
    pub y: (f64, f64),
    /// How many columns; the rest follows from `density`.
    pub columns: usize,
    /// `[rows, columns]`, the first row at the least y; need not be normalised.
    pub density: Vec<f64>,
}

/// The prior under the regions.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Contours {
    /// None.
    #[default]
    Nothing,
    /// N(0, I): circles of radius 1, 2 and 3, which hold 39, 86 and 99 % of it.
    StandardNormal,
    /// Contours that hold 39, 86 and 99 % of the mass on the grid.
    Density(DensityGrid),
}

/// The mass within each contour, and on which side its label stands, so that those of narrow contours keep apart.
const SHARES: [(f64, [f64; 2]); 3] = [(0.393, [1.0, 0.0]), (0.865, [0.0, 1.0]), (0.989, [0.0, -1.0])];
/// The height of a label.
const LABEL: f64 = 14.0;

impl Contours {
    /// Draws the contours, each with the share that it holds.
    pub(super) fn draw(&self, canvas: &mut Canvas, frame: &Frame) {
        let stroke = format!(r#"stroke="{MUTED}" stroke-width="1.1""#);
        let style = format!(r#"fill="none" {stroke}"#);
        match self {
            Self::Nothing => {}
            Self::StandardNormal => {
                let centre = frame.place([0.0; 2]);
                let [right, top] = frame.place([1.0; 2]);
                let unit = [right - centre[0], centre[1] - top];
                canvas.clipped(frame.area, |canvas| {
                    for radius in 1..=SHARES.len() {
                        canvas.ellipse(centre, unit.map(|unit| unit * radius as f64), 0.0, &style);
                    }
                });
                for (index, (share, _)) in SHARES.iter().enumerate() {
                    // On the outside, where no circle strikes it through; of close circles the last alone.
                    if unit[1] >= LABEL || index + 1 == SHARES.len() {
                        let y = centre[1] - unit[1] * (index + 1) as f64;
                        label(canvas, frame, [centre[0], y], [0.0, -1.0], *share);
                    }
                }
            }
            Self::Density(grid) => {
                for (share, side) in SHARES {
                    let segments: Vec<[[f64; 2]; 2]> = grid
                        .contour(grid.level(share))
                        .iter()
                        .map(|ends| ends.map(|end| frame.place(end)))
                        .collect();
                    canvas.clipped(frame.area, |canvas| canvas.segments(&segments, &stroke));
                    let along = |point: &[f64; 2]| point[0] * side[0] + point[1] * side[1];
                    let ends = segments.iter().map(|ends| ends[0]).filter(|end| has_room(frame, *end));
                    if let Some(at) = ends.max_by(|a, b| along(a).total_cmp(&along(b))) {
                        label(canvas, frame, at, side, share);
                    }
                }
            }
        }
    }
}

/// Whether a label beside a point would be seen whole.
fn has_room(frame: &Frame, [x, y]: [f64; 2]) -> bool {
    let Rect { x: left, y: top, .. } = frame.area;
    let (right, bottom) = (frame.area.right(), frame.area.bottom());
    x > left + 16.0 && x < right - 34.0 && y > top + LABEL + 4.0 && y < bottom - LABEL - 4.0
}

/// A share beside a point of its contour, on the given side.
fn label(canvas: &mut Canvas, frame: &Frame, at: [f64; 2], side: [f64; 2], share: f64) {
    if has_room(frame, at) {
        let text = format!("{:.0} %", 100.0 * share);
        let width = text_width(&text, 11.0, false);
        let [x, y] = [at[0] + 18.0 * side[0], at[1] + 4.0 + 9.0 * side[1]];
        // On paper of its own: among many ellipses a rim around the letters is not enough.
        let paper = Rect::new(x - width / 2.0 - 2.0, y - 9.5, width + 4.0, 12.0);
        canvas.rect(paper, &format!(r#"fill="{PAPER}" fill-opacity="0.85" rx="2""#));
        canvas.text(x, y, &text, TextStyle::new(11.0).middle().colour(MUTED));
    }
}

impl DensityGrid {
    /// The density at the edge of the smallest region that holds `share` of the mass on the grid.
    fn level(&self, share: f64) -> f64 {
        let mut values: Vec<f64> =
            self.density.iter().copied().filter(|value| value.is_finite() && *value > 0.0).collect();
        values.sort_by(|a, b| b.total_cmp(a));
        let total: f64 = values.iter().sum();
        let mut held = 0.0;
        for value in &values {
            held += value;
            if held >= share * total {
                return *value;
            }
        }
        f64::INFINITY
    }

    /// Pieces of the line at which the density crosses `level` (marching squares).
    fn contour(&self, level: f64) -> Vec<[[f64; 2]; 2]> {
        let columns = self.columns;
        let rows = self.density.len().checked_div(columns).unwrap_or(0);
        if columns < 2 || rows < 2 || !level.is_finite() {
            return Vec::new();
        }
        let along = |(low, high): (f64, f64), index: f64, cells: usize| {
            low + (high - low) * index / (cells - 1) as f64
        };
        let value = |column: usize, row: usize| self.density[row * columns + column];
        let mut segments = Vec::new();
        for row in 0..rows - 1 {
            for column in 0..columns - 1 {
                let corners = [(column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)];
                // Where the level is crossed on each of the four edges, in turn.
                let mut crossings: Vec<[f64; 2]> = Vec::with_capacity(4);
                for edge in 0..4 {
                    let ((c0, r0), (c1, r1)) = (corners[edge], corners[(edge + 1) % 4]);
                    let (a, b) = (value(c0, r0), value(c1, r1));
                    if (a >= level) != (b >= level) {
                        let share = ((level - a) / (b - a)).clamp(0.0, 1.0);
                        let mix = |from: usize, to: usize| from as f64 + share * (to as f64 - from as f64);
                        crossings
                            .push([along(self.x, mix(c0, c1), columns), along(self.y, mix(r0, r1), rows)]);
                    }
                }
                segments.extend(crossings.chunks_exact(2).map(|pair| [pair[0], pair[1]]));
            }
        }
        segments
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::axis::Scale;
    use super::*;

    /// N(0, I) on a grid.
    pub fn normal_grid() -> DensityGrid {
        let at = |i: usize| -4.0 + 0.1 * i as f64;
        let density =
            (0..81 * 81).map(|i| (-0.5 * (at(i % 81).powi(2) + at(i / 81).powi(2))).exp()).collect();
        DensityGrid { x: (-4.0, 4.0), y: (-4.0, 4.0), columns: 81, density }
    }

    #[test]
    fn contours_of_a_normal_are_circles_of_one_two_three_sigma() {
        let grid = normal_grid();
        for (share, radius) in [(0.3935, 1.0), (0.8647, 2.0), (0.9889, 3.0)] {
            let segments = grid.contour(grid.level(share));
            assert!(segments.len() > 40);
            for [x, y] in segments.into_iter().flatten() {
                assert!((x.hypot(y) - radius).abs() < 0.08, "{share} {}", x.hypot(y));
            }
        }
    }

    /// The sheet of a prior in a frame from −`side` to `side`, 400 pixels wide, and its labels as (y, text).
    fn drawn(prior: &Contours, side: f64) -> Vec<(f64, String)> {
        let scale = Scale::between(-side, side, false);
        let mut canvas = Canvas::new(400.0, 400.0);
        prior.draw(&mut canvas, &Frame { area: Rect::new(0.0, 0.0, 400.0, 400.0), x: scale, y: scale });
        let svg = canvas.finish().svg;
        let texts = svg.lines().filter(|line| line.starts_with("<text") && !line.contains("stroke="));
        texts
            .map(|line| {
                let after = |mark: &str| line.split_once(mark).unwrap().1;
                let y = after(" y=\"").split('"').next().unwrap().parse().unwrap();
                (y, after(">").split('<').next().unwrap().to_owned())
            })
            .collect()
    }

    #[test]
    fn contours_are_named_by_their_mass_and_beside_their_line() {
        for prior in [Contours::StandardNormal, Contours::Density(normal_grid())] {
            let names: Vec<String> = drawn(&prior, 4.0).into_iter().map(|(_, name)| name).collect();
            assert_eq!(names, ["39 %", "86 %", "99 %"]);
        }
        // 50 pixels a unit: the circles' tops are at 150, 100 and 50, and each baseline above its own.
        for ((y, _), top) in drawn(&Contours::StandardNormal, 4.0).into_iter().zip([150.0, 100.0, 50.0]) {
            assert!(y < top - 3.0 && y > top - 12.0, "{y} at {top}");
        }
        // 10 pixels a unit leave no room between circles.
        assert_eq!(drawn(&Contours::StandardNormal, 20.0).len(), 1);
    }
}
