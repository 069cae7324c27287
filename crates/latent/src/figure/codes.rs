//! A map of two-dimensional codes: a disc a row, coloured by class.

use resvg::tiny_skia;

use super::axis::Scale;
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::{fitted, text_width};
use super::frame::{Frame, SMALL, Swatch, heading, legend_column};
use super::images::png_bytes;
use super::palette::{class, class_hex};
use super::regions::LatentView;
use super::{Figure, FigureError};

/// From so many points on, they are drawn as pixels, to keep the file small.
const MANY: usize = 1500;
/// The side of the frame.
pub(super) const SIDE: f64 = 480.0;
const MARGIN: f64 = 14.0;

/// Codes in the plane.
#[derive(Clone, Copy, Debug, Default)]
pub struct CodeMap<'a> {
    /// The codes; those that are not finite are left out, and counted in a note.
    pub points: &'a [[f64; 2]],
    /// The class of each code; empty without labels.
    pub classes: &'a [u32],
    /// The names of the classes.
    pub names: &'a [String],
}

/// Draws codes, half transparent, with the name of each class at its middle and in the legend.
///
/// # Errors
/// Where there is no finite code, or not one class a code.
pub fn code_map(map: &CodeMap, view: &LatentView) -> Result<Figure, FigureError> {
    let CodeMap { points, classes, names } = *map;
    check_classes("code map", points.len(), classes.len())?;
    let finite = |[x, y]: &[f64; 2]| x.is_finite() && y.is_finite();
    let used: Vec<([f64; 2], usize)> = points
        .iter()
        .enumerate()
        .filter(|(_, point)| finite(point))
        .map(|(row, point)| (*point, classes.get(row).copied().unwrap_or(0) as usize))
        .collect();
    if used.is_empty() {
        return Err(FigureError::input("code map", "there is no finite code", "hand over at least one"));
    }
    let (x, y) = view.limits.map_or_else(|| plane_of(&used), |[x, y]| plane([x, y]));
    let inside = |point: [f64; 2]| {
        [x.share(point[0]), y.share(point[1])].iter().all(|share| (0.0..=1.0).contains(share))
    };
    let outside = points.len() - used.iter().filter(|(point, _)| inside(*point)).count();
    let entries = class_entries(&used.iter().map(|(_, class)| *class).collect::<Vec<_>>(), classes, names);
    let legend: Vec<(Swatch, &str)> =
        entries.iter().map(|(class, name)| (Swatch::Disc(class_hex(*class)), name.as_str())).collect();

    let mut caption = view.caption.clone();
    if outside > 0 {
        caption = format!("{caption} {outside} of {} codes lie outside of the picture.", points.len());
    }
    let beside = legend_column(None, [0.0; 2], SIDE, &legend);
    let width = SIDE + 60.0;
    let above = heading(None, [0.0; 2], width, &view.title, caption.trim());
    let mut canvas = Canvas::new(2.0 * MARGIN + width + beside, 2.0 * MARGIN + above + SIDE + 50.0);
    heading(Some(&mut canvas), [MARGIN; 2], width, &view.title, caption.trim());
    let frame = Frame { area: Rect::new(MARGIN + 56.0, MARGIN + above + 4.0, SIDE, SIDE), x, y };
    frame.draw_grid(&mut canvas);
    draw_points(&mut canvas, &frame, &used)?;
    frame.draw_axes(&mut canvas, &view.x_label, &view.y_label);
    if classes.len() == points.len() {
        let visible: Vec<_> = used.iter().copied().filter(|(point, _)| inside(*point)).collect();
        draw_class_names(&mut canvas, &frame, &visible, &entries);
    }
    legend_column(Some(&mut canvas), [frame.area.right(), frame.area.y], SIDE, &legend);
    Ok(canvas.finish())
}

/// Refuses classes that are there for some rows alone.
pub(super) fn check_classes(figure: &'static str, rows: usize, classes: usize) -> Result<(), FigureError> {
    if classes != 0 && classes != rows {
        let what = format!("{classes} classes for {rows} codes");
        return Err(FigureError::input(figure, what, "hand over one class a code, or none"));
    }
    Ok(())
}

/// Number and name of each class that occurs; none without labels.
pub(super) fn class_entries(used: &[usize], classes: &[u32], names: &[String]) -> Vec<(usize, String)> {
    if classes.is_empty() {
        return Vec::new();
    }
    let mut numbers = used.to_vec();
    numbers.sort_unstable();
    numbers.dedup();
    let name = |class: usize| names.get(class).cloned().unwrap_or_else(|| format!("class {class}"));
    numbers.into_iter().map(|class| (class, name(class))).collect()
}

/// Two scales with the same unit over a square frame, from limits on either axis.
pub(super) fn plane([x, y]: [(f64, f64); 2]) -> (Scale, Scale) {
    let [x, y] = [x, y].map(|(low, high)| Scale::between(low, high, false));
    let side = (x.high - x.low).max(y.high - y.low);
    let squared = |scale: Scale| {
        let middle = 0.5 * (scale.low + scale.high);
        Scale::between(middle - 0.5 * side, middle + 0.5 * side, false)
    };
    (squared(x), squared(y))
}

/// The plane that holds the points; a few far away from all the others are let go.
pub(super) fn plane_of(points: &[([f64; 2], usize)]) -> (Scale, Scale) {
    let limits = [0, 1].map(|axis| {
        let mut values: Vec<f64> = points.iter().map(|(point, _)| point[axis]).collect();
        values.sort_by(f64::total_cmp);
        let tail = values.len() / 200;
        let (low, high) = (values[0], values[values.len() - 1]);
        let bulk = (values[tail], values[values.len() - 1 - tail]);
        let length = bulk.1 - bulk.0;
        let kept = if high - low > 2.0 * length && length > 0.0 {
            (low.max(bulk.0 - 0.2 * length), high.min(bulk.1 + 0.2 * length))
        } else {
            (low, high)
        };
        let padded = Scale::between(kept.0, kept.1, false).padded(0.04);
        (padded.low, padded.high)
    });
    plane(limits)
}

fn draw_points(canvas: &mut Canvas, frame: &Frame, points: &[([f64; 2], usize)]) -> Result<(), FigureError> {
    let radius = (40.0 / (points.len() as f64).sqrt()).clamp(1.3, 3.6);
    let opacity = (25.0 / (points.len() as f64).sqrt()).clamp(0.35, 0.8);
    if points.len() <= MANY {
        canvas.clipped(frame.area, |canvas| {
            for (point, class) in points {
                let style = format!(r#"fill="{}" fill-opacity="{opacity:.2}""#, class_hex(*class));
                canvas.circle(frame.place(*point), radius, &style);
            }
        });
        return Ok(());
    }
    let scale = Figure::SCALE;
    let failed = || FigureError::Raster { what: "no memory for the points".into() };
    let [width, height] = [frame.area.width, frame.area.height].map(|side| (side as f32 * scale) as u32);
    let mut pixels = tiny_skia::Pixmap::new(width, height).ok_or_else(failed)?;
    // In the order of the rows, so that no class covers the others.
    for (point, number) in points {
        let [x, y] = frame.place(*point);
        let [x, y] = [x - frame.area.x, y - frame.area.y].map(|v| v as f32 * scale);
        let Some(disc) = tiny_skia::PathBuilder::from_circle(x, y, radius as f32 * scale) else { continue };
        let [red, green, blue] = class(*number);
        let mut paint = tiny_skia::Paint { anti_alias: true, ..tiny_skia::Paint::default() };
        paint.set_color_rgba8(red, green, blue, (opacity * 255.0) as u8);
        pixels.fill_path(&disc, &paint, tiny_skia::FillRule::Winding, tiny_skia::Transform::identity(), None);
    }
    // Half-transparent discs make countless shades; sixteen levels look the same and pack well.
    let coarse = |level: u8| ((u16::from(level) + 8) / 17 * 17) as u8;
    let raster = image::RgbaImage::from_fn(width, height, |x, y| {
        let colour = pixels.pixel(x, y).map(|pixel| pixel.demultiply());
        image::Rgba(colour.map_or([0; 4], |c| [c.red(), c.green(), c.blue(), c.alpha()].map(coarse)))
    });
    canvas.image(frame.area, &png_bytes(&raster)?, false);
    Ok(())
}

/// The name of each class at the median of its codes, moved where another name already stands.
fn draw_class_names(
    canvas: &mut Canvas,
    frame: &Frame,
    points: &[([f64; 2], usize)],
    entries: &[(usize, String)],
) {
    let mut drawn: Vec<Rect> = Vec::new();
    for (class, name) in entries {
        let of_class: Vec<[f64; 2]> =
            points.iter().filter(|(_, c)| c == class).map(|(point, _)| *point).collect();
        if of_class.is_empty() {
            continue;
        }
        let median = [0, 1].map(|axis| {
            let mut values: Vec<f64> = of_class.iter().map(|point| point[axis]).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        });
        let name = fitted(name, SMALL, true, 120.0);
        let width = text_width(&name, SMALL, true);
        let [x, y] = frame.place(median);
        let left =
            (x - width / 2.0).clamp(frame.area.x + 2.0, (frame.area.right() - width - 2.0).max(frame.area.x));
        let lowest = frame.area.bottom() - 18.0;
        let at =
            |shift: f64| Rect::new(left, (y - 8.0 + shift).clamp(frame.area.y + 2.0, lowest), width, 16.0);
        // Nearest free place first: 0, up, down, further up …
        let shifts = (0..24).map(|k| f64::from((k + 1) / 2) * if k % 2 == 0 { 8.0 } else { -8.0 });
        let free = |place: &Rect| !drawn.iter().any(|other| other.overlaps(*place));
        let place = shifts.map(at).find(free).unwrap_or_else(|| at(0.0));
        drawn.push(place);
        canvas.text(place.x, place.y + 12.5, &name, TextStyle::new(SMALL).bold().halo());
    }
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    fn spiral(count: usize) -> (Vec<[f64; 2]>, Vec<u32>) {
        let point = |i: usize| {
            [(i as f64 * 0.37).cos() * (i as f64).sqrt(), (i as f64 * 0.37).sin() * (i as f64).sqrt()]
        };
        ((0..count).map(point).collect(), (0..count).map(|i| (i % 12) as u32).collect())
    }

    #[test]
    fn few_and_many_codes() {
        let view = LatentView { title: "codes".into(), ..LatentView::default() };
        for count in [1, 50, 20_000] {
            let (points, classes) = spiral(count);
            let map = CodeMap { points: &points, classes: &classes, names: &[] };
            let figure = check(|| code_map(&map, &view).unwrap());
            assert!(figure.svg.len() < 1 << 20, "{}", figure.svg.len());
            check(|| code_map(&CodeMap { classes: &[], ..map }, &view).unwrap());
        }
    }

    #[test]
    fn far_codes_are_counted_and_not_shown() {
        let (mut points, _) = spiral(1000);
        points[3] = [1e6, 0.0];
        points[4] = [f64::NAN, 0.0];
        let map = CodeMap { points: &points, ..CodeMap::default() };
        let figure = code_map(&map, &LatentView::default()).unwrap();
        assert!(figure.svg.contains("2 of 1000 codes lie outside"));
        assert!(code_map(&CodeMap { points: &points[4..5], ..map }, &LatentView::default()).is_err());
        assert!(code_map(&CodeMap { classes: &[1], ..map }, &LatentView::default()).is_err());
    }
}
