//! The picture of a latent plane: each q(z|x) an ellipse, the prior's contours under them, and the plane as a
//! mosaic of decoded images.
//!
//! One sees where regions touch, where they overlap, and where the prior has mass that no region covers.

use super::axis::Scale;
use super::canvas::{Canvas, Rect};
use super::codes::{check_classes, class_entries, plane, plane_of};
use super::contours::Contours;
use super::frame::{Frame, Swatch, heading, legend_rows};
use super::images::{CellSize, Images, draw_images};
use super::palette::class_hex;
use super::{Figure, FigureError};

const SIDE: f64 = 440.0;
const MARGIN: f64 = 14.0;

/// What stands around a picture of the latent plane.
#[derive(Clone, Debug)]
pub struct LatentView {
    /// Above the picture, in bold; may be empty.
    pub title: String,
    /// Under the title; may be empty.
    pub caption: String,
    /// The name of the horizontal latent.
    pub x_label: String,
    /// The name of the vertical latent.
    pub y_label: String,
    /// Ends of both axes; by itself the picture holds all but a few far codes.
    pub limits: Option<[(f64, f64); 2]>,
}

impl Default for LatentView {
    fn default() -> Self {
        let empty = String::new;
        Self {
            title: empty(), caption: empty(), x_label: "z₁".into(), y_label: "z₂".into(), limits: None
        }
    }
}

/// The normal q(z|x) of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    /// Its mean.
    pub mean: [f64; 2],
    /// Its covariance.
    pub covariance: [[f64; 2]; 2],
}

impl Region {
    /// A normal with a standard deviation for each latent.
    pub fn diagonal(mean: [f64; 2], sigma: [f64; 2]) -> Self {
        Self { mean, covariance: [[sigma[0] * sigma[0], 0.0], [0.0, sigma[1] * sigma[1]]] }
    }

    /// Standard deviations along the principal axes, and the angle of the first, in radians.
    fn principal(&self) -> ([f64; 2], f64) {
        let [[a, b], [_, d]] = self.covariance;
        let (middle, half) = (0.5 * (a + d), (0.25 * (a - d) * (a - d) + b * b).sqrt());
        let angle = 0.5 * (2.0 * b).atan2(a - d);
        ([middle + half, middle - half].map(|variance| variance.max(0.0).sqrt()), angle)
    }
}

/// Regions, their classes and the prior.
#[derive(Clone, Debug, Default)]
pub struct Regions<'a> {
    /// q(z|x) of each row.
    pub regions: &'a [Region],
    /// The class of each row; empty without labels.
    pub classes: &'a [u32],
    /// The names of the classes.
    pub names: &'a [String],
    /// The prior.
    pub prior: Contours,
    /// How many standard deviations an ellipse reaches; 0 stands for 1.
    pub sigmas: f64,
}

/// A plane covered with decoded images.
#[derive(Clone, Copy, Debug)]
pub struct Mosaic<'a> {
    /// The decoded codes of [`Mosaic::codes`], in that order.
    pub images: Images<'a>,
    /// Images in a row.
    pub columns: usize,
    /// The ends of the horizontal axis.
    pub x: (f64, f64),
    /// The ends of the vertical axis.
    pub y: (f64, f64),
}

impl Mosaic<'_> {
    /// The codes at the middles of `rows × columns` cells, row by row, the first row at the greatest y.
    pub fn codes(columns: usize, rows: usize, x: (f64, f64), y: (f64, f64)) -> Vec<[f64; 2]> {
        let middle = |(low, high): (f64, f64), cell: usize, cells: usize| {
            low + (high - low) * (cell as f64 + 0.5) / cells as f64
        };
        let row = |row| {
            (0..columns).map(move |column| [middle(x, column, columns), middle(y, rows - 1 - row, rows)])
        };
        (0..rows).flat_map(row).collect()
    }

    fn check(&self) -> Result<usize, FigureError> {
        if self.columns == 0 || self.images.is_empty() || !self.images.len().is_multiple_of(self.columns) {
            let what = format!("{} images are no rows of {}", self.images.len(), self.columns);
            return Err(FigureError::input("mosaic", what, "hand over the decoded codes of `Mosaic::codes`"));
        }
        Ok(self.images.len() / self.columns)
    }

    fn cell(&self, rows: usize) -> CellSize {
        CellSize::near(&self.images, SIDE / self.columns.max(rows) as f64)
    }

    fn draw(&self, canvas: &mut Canvas, [x, y]: [f64; 2], view: &LatentView) -> Result<(), FigureError> {
        let rows = self.check()?;
        let cell = self.cell(rows);
        let place = |index: usize| {
            [x + cell.width * (index % self.columns) as f64, y + cell.height * (index / self.columns) as f64]
        };
        let cells: Vec<_> = (0..self.images.len()).map(|index| (index, place(index))).collect();
        draw_images(canvas, &self.images, cell, &cells)?;
        let area = Rect::new(x, y, cell.width * self.columns as f64, cell.height * rows as f64);
        let scale = |(low, high)| Scale::between(low, high, false);
        Frame { area, x: scale(self.x), y: scale(self.y) }.draw_axes(canvas, &view.x_label, &view.y_label);
        Ok(())
    }
}

/// Room for the vertical axis beside, and for the horizontal one under a frame.
const AXES: [f64; 2] = [56.0, 48.0];

/// Draws regions over the prior's contours.
///
/// # Errors
/// Where there is no finite region, or not one class a region.
pub fn regions(shown: &Regions, view: &LatentView) -> Result<Figure, FigureError> {
    sheet(Some(shown), None, view)
}

/// Draws the plane as a mosaic of decoded images.
///
/// # Errors
/// Where the images are no whole rows.
pub fn mosaic(shown: &Mosaic, view: &LatentView) -> Result<Figure, FigureError> {
    sheet(None, Some(shown), view)
}

/// Draws regions on the left and the mosaic of the same part of the plane on the right.
///
/// # Errors
/// As [`regions`] and [`mosaic`].
pub fn regions_and_mosaic(left: &Regions, right: &Mosaic, view: &LatentView) -> Result<Figure, FigureError> {
    sheet(Some(left), Some(right), &LatentView { limits: Some([right.x, right.y]), ..view.clone() })
}

fn sheet(left: Option<&Regions>, right: Option<&Mosaic>, view: &LatentView) -> Result<Figure, FigureError> {
    // The mosaic's cells are whole pixels: it sets the size of both frames.
    let [width, height] = match right {
        Some(mosaic) => {
            let rows = mosaic.check()?;
            let cell = mosaic.cell(rows);
            [cell.width * mosaic.columns as f64, cell.height * rows as f64]
        }
        None => [SIDE; 2],
    };
    let entries = left.map_or(Vec::new(), |regions| {
        let used: Vec<usize> = regions.classes.iter().map(|class| *class as usize).collect();
        class_entries(&used, regions.classes, regions.names)
    });
    let legend: Vec<(Swatch, &str)> =
        entries.iter().map(|(class, name)| (Swatch::Disc(class_hex(*class)), name.as_str())).collect();
    let caption = left.map_or(view.caption.clone(), |regions| regions.caption(view, right.is_some()));
    let frames = f64::from(u8::from(left.is_some())) + f64::from(u8::from(right.is_some()));
    let inner = frames * (AXES[0] + width) + (frames - 1.0) * 12.0 + 10.0;
    let above = heading(None, [0.0; 2], inner, &view.title, &caption);
    let legend_height = legend_rows(None, [0.0; 2], inner, &legend);
    let top = (MARGIN + above + legend_height + 8.0).round();
    let mut canvas = Canvas::new(2.0 * MARGIN + inner, top + height + AXES[1] + 4.0);
    heading(Some(&mut canvas), [MARGIN; 2], inner, &view.title, &caption);
    legend_rows(Some(&mut canvas), [MARGIN, MARGIN + above], inner, &legend);
    let mut x = MARGIN + AXES[0];
    if let Some(regions) = left {
        regions.draw(&mut canvas, Rect::new(x, top, width, height), view, right.is_some())?;
        x += width + 12.0 + AXES[0];
    }
    if let Some(mosaic) = right {
        mosaic.draw(&mut canvas, [x, top], view)?;
    }
    Ok(canvas.finish())
}

impl Regions<'_> {
    /// The part of the plane that holds all but a few far regions, and the prior where it is N(0, I): what a mosaic
    /// beside them should cover. As wide as high.
    pub fn plane(&self) -> [(f64, f64); 2] {
        match self.scales(&LatentView::default(), false) {
            Some((x, y)) => [x, y].map(|scale| (scale.low, scale.high)),
            None => [(-3.0, 3.0); 2],
        }
    }

    /// How many standard deviations an ellipse reaches.
    fn reach(&self) -> f64 {
        if self.sigmas > 0.0 { self.sigmas } else { 1.0 }
    }

    /// The regions that can be drawn, each with its class.
    fn finite(&self) -> Vec<(Region, usize)> {
        let finite = |region: &Region| {
            region.mean.iter().chain(region.covariance.iter().flatten()).all(|value| value.is_finite())
        };
        let class = |row: usize| self.classes.get(row).copied().unwrap_or(0) as usize;
        let all = self.regions.iter().enumerate();
        all.filter(|(_, region)| finite(region)).map(|(row, region)| (*region, class(row))).collect()
    }

    /// Both axes; none where no region can be drawn.
    fn scales(&self, view: &LatentView, beside: bool) -> Option<(Scale, Scale)> {
        let used = self.finite();
        match view.limits {
            _ if used.is_empty() => None,
            // Beside a mosaic both frames show the same part of the plane, square or not.
            Some([x, y]) if beside => {
                Some((Scale::between(x.0, x.1, false), Scale::between(y.0, y.1, false)))
            }
            Some(limits) => Some(plane(limits)),
            None => Some(plane_of(&self.extremes(&used))),
        }
    }

    /// The view's caption, and how many regions the picture leaves out.
    fn caption(&self, view: &LatentView, beside: bool) -> String {
        let Some((x, y)) = self.scales(view, beside) else { return view.caption.clone() };
        let inside = |share: f64| (0.0..=1.0).contains(&share);
        let seen = |region: &&Region| inside(x.share(region.mean[0])) && inside(y.share(region.mean[1]));
        let all = self.regions.len();
        match all - self.regions.iter().filter(seen).count() {
            0 => view.caption.clone(),
            far => {
                let note = format!("Not in the picture: the middles of {far} of {all} regions.");
                format!("{} {note}", view.caption).trim().into()
            }
        }
    }

    fn draw(
        &self,
        canvas: &mut Canvas,
        area: Rect,
        view: &LatentView,
        beside: bool,
    ) -> Result<(), FigureError> {
        check_classes("regions", self.regions.len(), self.classes.len())?;
        let used = self.finite();
        let Some((x, y)) = self.scales(view, beside) else {
            return Err(FigureError::input("regions", "there is no finite region", "hand over at least one"));
        };
        let frame = Frame { area, x, y };
        frame.draw_grid(canvas);
        let opacity = (6.0 / (used.len() as f64).sqrt()).clamp(0.06, 0.3);
        canvas.clipped(area, |canvas| {
            for (region, class) in &used {
                let colour = class_hex(*class);
                let style = format!(
                    r#"fill="{colour}" fill-opacity="{opacity:.2}" stroke="{colour}" stroke-width="0.9" stroke-opacity="{:.2}""#,
                    (2.2 * opacity).min(0.9)
                );
                region.draw(canvas, &frame, self.reach(), &style);
            }
        });
        // Under the regions in meaning, above them on the sheet: thin lines stay visible among many ellipses.
        self.prior.draw(canvas, &frame);
        frame.draw_axes(canvas, &view.x_label, &view.y_label);
        Ok(())
    }

    /// The corners of all ellipses' boxes, and of the prior's.
    fn extremes(&self, used: &[(Region, usize)]) -> Vec<([f64; 2], usize)> {
        let mut points = Vec::with_capacity(2 * used.len() + 2);
        for (Region { mean, covariance }, class) in used {
            let reach = [0, 1].map(|axis| self.reach() * covariance[axis][axis].max(0.0).sqrt());
            points.push(([mean[0] - reach[0], mean[1] - reach[1]], *class));
            points.push(([mean[0] + reach[0], mean[1] + reach[1]], *class));
        }
        if self.prior == Contours::StandardNormal {
            // Often enough that they are no outliers.
            for _ in 0..=points.len() / 50 {
                points.extend([([-3.1, -3.1], 0), ([3.1, 3.1], 0)]);
            }
        }
        points
    }
}

impl Region {
    fn draw(&self, canvas: &mut Canvas, frame: &Frame, sigmas: f64, style: &str) {
        let ([major, minor], angle) = self.principal();
        let centre = frame.place(self.mean);
        let unit = [
            frame.area.width / (frame.x.high - frame.x.low),
            frame.area.height / (frame.y.high - frame.y.low),
        ];
        let axis_aligned = angle == 0.0 || (unit[0] - unit[1]).abs() < 1e-6 * unit[0];
        if axis_aligned {
            let radii = [sigmas * major * unit[0], sigmas * minor * unit[1]].map(|radius| radius.max(0.3));
            canvas.ellipse(centre, radii, -angle.to_degrees(), style);
            return;
        }
        let outline: Vec<[f64; 2]> = (0..48)
            .map(|step| {
                let (sin, cos) = (f64::from(step) / 48.0 * std::f64::consts::TAU).sin_cos();
                let [u, v] = [sigmas * major * cos, sigmas * minor * sin];
                let (s, c) = angle.sin_cos();
                frame.place([self.mean[0] + c * u - s * v, self.mean[1] + s * u + c * v])
            })
            .collect();
        canvas.path(&outline, true, style);
    }
}

#[cfg(test)]
mod tests {
    use super::super::contours::tests::normal_grid;
    use super::super::render::tests::check;
    use super::*;

    fn example() -> (Vec<Region>, Vec<u32>) {
        let region = |i: u32| {
            let t = f64::from(i);
            Region {
                mean: [(t * 0.7).cos() * 2.0, (t * 0.7).sin() * 2.0],
                covariance: [[0.04, 0.01], [0.01, 0.09]],
            }
        };
        ((0..60).map(region).collect(), (0..60).map(|i| i % 5).collect())
    }

    #[test]
    fn principal_axes_of_a_covariance() {
        let (sigma, angle) = Region { mean: [0.0; 2], covariance: [[2.0, 1.0], [1.0, 2.0]] }.principal();
        assert!((sigma[0] - 3f64.sqrt()).abs() < 1e-12 && (sigma[1] - 1.0).abs() < 1e-12);
        assert!((angle - std::f64::consts::FRAC_PI_4).abs() < 1e-12);
        let (sigma, angle) = Region::diagonal([0.0; 2], [0.5, 2.0]).principal();
        assert_eq!((sigma, angle.abs()), ([2.0, 0.5], std::f64::consts::FRAC_PI_2));
    }

    #[test]
    fn the_codes_of_a_mosaic_run_from_the_upper_left() {
        let codes = Mosaic::codes(2, 2, (-1.0, 1.0), (0.0, 4.0));
        assert_eq!(codes, [[-0.5, 3.0], [0.5, 3.0], [-0.5, 1.0], [0.5, 1.0]]);
    }

    #[test]
    fn planes_are_drawn() {
        let (rows, classes) = example();
        let pixels = vec![0.4; 12 * 8 * 28 * 28];
        let images = Images::new(&pixels, 1, 28, 28).unwrap();
        let view = LatentView { title: "regions".into(), ..LatentView::default() };
        for prior in [Contours::Nothing, Contours::StandardNormal, Contours::Density(normal_grid())] {
            let shown =
                Regions { regions: &rows, classes: &classes, prior, sigmas: 2.0, ..Regions::default() };
            check(|| regions(&shown, &view).unwrap());
            for columns in [8, 12] {
                let tiles = Mosaic { images, columns, x: (-3.0, 3.0), y: (-2.0, 2.0) };
                check(|| mosaic(&tiles, &view).unwrap());
                check(|| regions_and_mosaic(&shown, &tiles, &view).unwrap());
            }
        }
    }

    #[test]
    fn the_plane_holds_the_regions_and_what_it_leaves_out_is_said() {
        // As the codes of a small σ: far beyond the prior, and each region small.
        let far = |i: u32| {
            let t = f64::from(i);
            Region::diagonal([12.0 * (t * 0.7).cos(), 9.0 * (t * 1.3).sin()], [0.05; 2])
        };
        let rows: Vec<Region> = (0..250).map(far).collect();
        let shown = Regions { regions: &rows, prior: Contours::StandardNormal, ..Regions::default() };
        let [x, y] = shown.plane();
        assert!((x.1 - x.0 - (y.1 - y.0)).abs() < 1e-9);
        let inside =
            |r: &Region| (x.0..x.1).contains(&(r.mean[0] - 0.05)) && (y.0..y.1).contains(&(r.mean[1] + 0.05));
        assert!(rows.iter().all(inside) && x.1 < 14.0, "{x:?} {y:?}");
        let whole = regions(&shown, &LatentView::default()).unwrap();
        assert!(!whole.svg.contains("Not in"), "{}", whole.svg);
        let cut = LatentView { limits: Some([(-3.2, 3.2); 2]), ..LatentView::default() };
        let inside = rows.iter().filter(|r| r.mean.iter().all(|v| v.abs() <= 3.2)).count();
        let said = format!("Not in the picture: the middles of {} of 250 regions.", 250 - inside);
        let part = regions(&shown, &cut).unwrap();
        assert!(inside < 100 && part.svg.contains(&said), "{inside}");
        assert_eq!(Regions::default().plane(), [(-3.0, 3.0); 2]);
    }

    #[test]
    fn what_cannot_be_drawn_is_refused() {
        let (rows, _) = example();
        let view = LatentView::default();
        assert!(regions(&Regions::default(), &view).is_err());
        assert!(regions(&Regions { regions: &rows, classes: &[1], ..Regions::default() }, &view).is_err());
        let nan = [Region::diagonal([f64::NAN, 0.0], [1.0; 2])];
        assert!(regions(&Regions { regions: &nan, ..Regions::default() }, &view).is_err());
        let images = Images::new(&[0.0; 3], 1, 1, 1).unwrap();
        for columns in [0, 2] {
            let tiles = Mosaic { images, columns, x: (0.0, 1.0), y: (0.0, 1.0) };
            assert!(mosaic(&tiles, &view).is_err());
        }
    }
}
