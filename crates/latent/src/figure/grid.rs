//! Grids of images: samples, reconstructions, interpolations, traversals, sheets with captions.

use super::axis::short;
use super::canvas::{Canvas, TextStyle};
use super::font::{fitted, text_width, wrapped};
use super::frame::{SMALL, heading};
use super::images::{CellSize, Images, draw_images};
use super::palette::{INK, MUTED};
use super::{Figure, FigureError};

/// The side of an image on the sheet, about.
const CELL: f64 = 58.0;
const GAP: f64 = 4.0;
/// The size of captions under images.
const CAPTION: f64 = 11.5;
const MARGIN: f64 = 14.0;
/// Pairs side by side, at most.
const MOST_PAIRS: usize = 8;

/// What stands around a grid.
#[derive(Clone, Debug, Default)]
pub struct GridLabels {
    /// Above the grid, in bold; may be empty.
    pub title: String,
    /// Under the title; may be empty.
    pub caption: String,
    /// Images in a row; by itself the grid is about square.
    pub columns: Option<usize>,
    /// Beside the rows: none, or one a row.
    pub row_labels: Vec<String>,
    /// Above the columns: none, or one a column.
    pub column_labels: Vec<String>,
}

impl GridLabels {
    /// A title alone.
    pub fn titled(title: impl Into<String>) -> Self {
        Self { title: title.into(), ..Self::default() }
    }
}

/// Images in a grid, row by row.
///
/// # Errors
/// Where there is no image, or the labels don't fit the grid.
pub fn sample_grid(images: &Images, labels: &GridLabels) -> Result<Figure, FigureError> {
    if let Some(0) = labels.columns {
        return Err(FigureError::input("sample grid", "a grid of 0 columns", "ask for 1 column or more"));
    }
    let columns = labels.columns.unwrap_or_else(|| (images.len() as f64).sqrt().ceil() as usize);
    Layout { figure: "sample grid", labels, columns: columns.min(images.len()), ..Layout::default() }
        .draw(images)
}

/// Originals above their reconstructions, in pairs of rows.
///
/// # Errors
/// Where there is no image, or the two differ in number or size.
pub fn reconstructions(
    originals: &Images,
    reconstructed: &Images,
    title: &str,
) -> Result<Figure, FigureError> {
    pairs(originals, reconstructed, ["original", "reconstruction"], title)
}

/// Pairs of images, one above the other, with what they are called.
///
/// # Errors
/// Images of different numbers or sizes, or none.
pub fn pairs(
    originals: &Images,
    reconstructed: &Images,
    called: [&str; 2],
    title: &str,
) -> Result<Figure, FigureError> {
    if !originals.same_size(reconstructed) || originals.len() != reconstructed.len() {
        let what = format!("{} above and {} below, or different sizes", originals.len(), reconstructed.len());
        return Err(FigureError::input("pairs", what, "hand over one of the same size for each"));
    }
    if originals.is_empty() {
        return Err(FigureError::input("pairs", "there is no image", "hand over at least one"));
    }
    // Groups of about equal length, none so wide that a small screen shows it too small.
    let rows = originals.len().div_ceil(MOST_PAIRS);
    let columns = originals.len().div_ceil(rows);
    let labels = GridLabels {
        title: title.into(),
        row_labels: (0..rows).flat_map(|_| called.map(String::from)).collect(),
        ..GridLabels::default()
    };
    let layout = Layout { figure: "pairs", labels: &labels, columns, group: 2, ..Layout::default() };
    let cell = layout.size(originals);
    let places = layout.places(cell, 2 * rows);
    let mut canvas = layout.sheet(originals, 2 * rows)?;
    for (images, offset) in [(originals, 0), (reconstructed, 1)] {
        let cells: Vec<_> = (0..images.len())
            .map(|image| (image, places[(2 * (image / columns) + offset) * columns + image % columns]))
            .collect();
        draw_images(&mut canvas, images, cell, &cells)?;
    }
    Ok(canvas.finish())
}

/// Rows of decoded images, each on a way from one end to the other; `steps` images a row, the ends among them.
///
/// # Errors
/// Where there is no image, or their number is no multiple of `steps`.
pub fn interpolation(images: &Images, steps: usize, title: &str) -> Result<Figure, FigureError> {
    if steps < 2 || !images.len().is_multiple_of(steps) {
        let what = format!("{} images are no rows of {steps}", images.len());
        return Err(FigureError::input(
            "interpolation",
            what,
            "hand over `steps` images a row, at least the two ends",
        ));
    }
    let mut column_labels: Vec<String> =
        (0..steps).map(|step| short((step as f64 / (steps - 1) as f64 * 100.0).round() / 100.0)).collect();
    column_labels[0] = "start".into();
    column_labels[steps - 1] = "end".into();
    let labels = GridLabels { title: title.into(), column_labels, ..GridLabels::default() };
    Layout { figure: "interpolation", labels: &labels, columns: steps, ends: true, ..Layout::default() }
        .draw(images)
}

/// One latent a row, its value growing from left to right: what that latent alone changes.
///
/// `rows` names the latents, such as `z3  1.87 nats`, each with its values. Values that all rows share stand above the
/// columns, others below their images.
///
/// # Errors
/// Where there is not one image for each latent and value.
pub fn traversal(images: &Images, rows: &[(String, Vec<f64>)], title: &str) -> Result<Figure, FigureError> {
    let wanted: usize = rows.iter().map(|(_, values)| values.len()).sum();
    if images.len() != wanted {
        let what = format!("{} images for {} latents at {wanted} values", images.len(), rows.len());
        return Err(FigureError::input("traversal", what, "hand over one image for each latent and value"));
    }
    let text = |values: &[f64]| -> Vec<String> {
        values.iter().map(|value| short((value * 100.0).round() / 100.0)).collect()
    };
    let shared = rows.first().filter(|first| rows.iter().all(|row| row.1 == first.1));
    let captions: Vec<String> = match shared {
        Some(_) => Vec::new(),
        None => rows.iter().flat_map(|(_, values)| text(values)).collect(),
    };
    let labels = GridLabels {
        title: title.into(),
        row_labels: rows.iter().map(|(name, _)| name.clone()).collect(),
        column_labels: shared.map(|(_, values)| text(values)).unwrap_or_default(),
        ..GridLabels::default()
    };
    let columns = rows.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    // A latent with fewer values than another leaves the rest of its row empty.
    let filled = rows.iter().enumerate();
    let cells: Vec<usize> =
        filled.flat_map(|(row, (_, values))| (0..values.len()).map(move |at| row * columns + at)).collect();
    Layout { figure: "traversal", labels: &labels, columns, captions: &captions, ..Layout::default() }
        .draw_in(images, rows.len(), &cells)
}

/// Images with a caption under each, such as its score; a line break in a caption is kept.
///
/// # Errors
/// Where there is no image, or not one caption an image.
pub fn image_sheet(images: &Images, captions: &[String], labels: &GridLabels) -> Result<Figure, FigureError> {
    if captions.len() != images.len() {
        let what = format!("{} captions for {} images", captions.len(), images.len());
        return Err(FigureError::input("image sheet", what, "hand over one caption an image"));
    }
    let columns = labels.columns.unwrap_or(8).clamp(1, images.len().max(1));
    Layout { figure: "image sheet", labels, columns, captions, ..Layout::default() }.draw(images)
}

/// Where the images of a grid and the labels around it go.
struct Layout<'a> {
    figure: &'static str,
    labels: &'a GridLabels,
    columns: usize,
    /// Rows that belong together: a wider gap follows them.
    group: usize,
    /// Whether the first and the last column are set apart.
    ends: bool,
    /// Under the images: none, or one an image.
    captions: &'a [String],
}

impl Default for Layout<'_> {
    fn default() -> Self {
        static NONE: GridLabels = GridLabels {
            title: String::new(),
            caption: String::new(),
            columns: None,
            row_labels: Vec::new(),
            column_labels: Vec::new(),
        };
        Self { figure: "grid", labels: &NONE, columns: 1, group: 1, ends: false, captions: &[] }
    }
}

impl Layout<'_> {
    fn draw(&self, images: &Images) -> Result<Figure, FigureError> {
        let cells: Vec<usize> = (0..images.len()).collect();
        self.draw_in(images, images.len().div_ceil(self.columns.max(1)), &cells)
    }

    /// Draws each image in its own of the `rows × columns` cells, counted row by row.
    fn draw_in(&self, images: &Images, rows: usize, cells: &[usize]) -> Result<Figure, FigureError> {
        let mut canvas = self.sheet(images, rows)?;
        let cell = self.size(images);
        let all = self.places(cell, rows);
        let places: Vec<[f64; 2]> = cells.iter().filter_map(|&cell| all.get(cell).copied()).collect();
        let placed: Vec<_> = places.iter().copied().enumerate().collect();
        draw_images(&mut canvas, images, cell, &placed)?;
        let room = self.room(cell);
        for (caption, [x, y]) in self.captions.iter().zip(&places) {
            for (line, text) in caption_lines(caption, room).iter().enumerate() {
                let style = TextStyle::new(CAPTION).middle().colour(MUTED);
                canvas.text(x + cell.width / 2.0, y + cell.height + 14.0 + 14.0 * line as f64, text, style);
            }
        }
        Ok(canvas.finish())
    }

    /// An empty grid: the paper, the heading and the labels.
    fn sheet(&self, images: &Images, rows: usize) -> Result<Canvas, FigureError> {
        let GridLabels { title, caption, row_labels, column_labels, .. } = self.labels;
        if images.is_empty() {
            return Err(FigureError::input(self.figure, "there is no image", "hand over at least one"));
        }
        for (labels, places, what) in [(row_labels, rows, "row"), (column_labels, self.columns, "column")] {
            if !labels.is_empty() && labels.len() != places {
                let what = format!("{} {what} labels for {places} {what}s", labels.len());
                return Err(FigureError::input(self.figure, what, "hand over one label each, or none"));
            }
        }
        let cell = self.size(images);
        let places = self.places(cell, rows);
        let [.., [last_x, last_y]] = places[..] else {
            return Err(FigureError::input(
                self.figure,
                "the grid has no cell",
                "hand over at least one image",
            ));
        };
        let inset = (self.room(cell) - cell.width) / 2.0;
        let width = (last_x + cell.width + inset).max(MARGIN + title_width(title)) + MARGIN;
        let bottom = last_y + self.pitch(cell)[1] - GAP;
        let mut canvas = Canvas::new(width, bottom + MARGIN);
        heading(Some(&mut canvas), [MARGIN, MARGIN], width - 2.0 * MARGIN, title, caption);
        let [left, top] = places[0];
        for (row, label) in row_labels.iter().enumerate() {
            let y = places[row * self.columns][1] + cell.height / 2.0 + 0.36 * SMALL;
            canvas.text(left - 10.0, y, label, TextStyle::new(SMALL).end().colour(INK));
        }
        for (column, label) in column_labels.iter().enumerate() {
            let room = self.room(cell);
            let style = TextStyle::new(SMALL).middle().colour(MUTED);
            canvas.text(
                places[column][0] + cell.width / 2.0,
                top - 8.0,
                &fitted(label, SMALL, false, room),
                style,
            );
        }
        Ok(canvas)
    }

    /// The upper left corners of all cells, row by row.
    fn places(&self, cell: CellSize, rows: usize) -> Vec<[f64; 2]> {
        let GridLabels { title, caption, row_labels, column_labels, .. } = self.labels;
        let widest = row_labels.iter().map(|label| text_width(label, SMALL, false)).fold(0.0, f64::max);
        let left = MARGIN + if widest > 0.0 { widest.ceil() + 10.0 } else { 0.0 };
        let [across, down] = self.pitch(cell);
        let inset = (self.room(cell) - cell.width) / 2.0;
        let apart = if self.ends { 8.0 } else { 0.0 };
        let x = |column: usize| {
            let last = column + 1 == self.columns;
            left + inset
                + across * column as f64
                + apart * (f64::from(u8::from(column > 0)) + f64::from(u8::from(last)))
        };
        let inner = (x(self.columns - 1) + cell.width + inset).max(MARGIN + title_width(title)) - MARGIN;
        let top = MARGIN
            + heading(None, [0.0, 0.0], inner, title, caption)
            + if column_labels.is_empty() { 0.0 } else { 22.0 };
        (0..rows)
            .flat_map(|row| {
                let y = (top
                    + down * row as f64
                    + 10.0 * (row / self.group) as f64 * f64::from(u8::from(self.group > 1)))
                .round();
                (0..self.columns).map(move |column| (column, y))
            })
            .map(|(column, y)| [x(column).round(), y])
            .collect()
    }

    /// From a cell to the next one, across and down.
    fn pitch(&self, cell: CellSize) -> [f64; 2] {
        let room = self.room(cell);
        let lines = self.captions.iter().map(|caption| caption_lines(caption, room).len()).max().unwrap_or(0);
        let below = if lines == 0 { 0.0 } else { 14.0 * lines as f64 + 10.0 };
        [room + GAP, cell.height + GAP + below]
    }

    /// The width that a cell has for its image and labels.
    fn room(&self, cell: CellSize) -> f64 {
        let labels = self.labels.column_labels.iter().map(|label| text_width(label, SMALL, false) + 4.0);
        let lines = self.captions.iter().flat_map(|caption| caption.lines());
        let captions = lines.map(|line| text_width(line, CAPTION, false) + 6.0);
        labels.chain(captions).fold(0.0, f64::max).min(112.0).max(cell.width)
    }

    fn size(&self, images: &Images) -> CellSize {
        CellSize::near(images, CELL)
    }
}

/// A caption in lines no wider than `room`, broken where it says so and else between words.
fn caption_lines(caption: &str, room: f64) -> Vec<String> {
    let mut lines: Vec<String> =
        caption.lines().flat_map(|line| wrapped(line, CAPTION, false, room)).collect();
    lines.truncate(3);
    lines
}

/// A heading may be wider than a narrow grid. A pixel more than its width, lest rounding wraps it where it is drawn and not where it
/// is measured.
fn title_width(title: &str) -> f64 {
    text_width(title, super::frame::TITLE, true).ceil().min(420.0) + 1.0
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    fn ramp(count: usize, channels: usize, height: usize, width: usize) -> Vec<f32> {
        let total = count * channels * height * width;
        (0..total).map(|index| index as f32 / total as f32).collect()
    }

    #[test]
    fn grids_of_any_size_are_drawn() {
        for (count, channels, height, width) in [(1, 1, 1, 1), (7, 3, 5, 9), (20, 1, 28, 28), (3, 3, 200, 90)]
        {
            let pixels = ramp(count, channels, height, width);
            let images = Images::new(&pixels, channels, height, width).unwrap();
            check(|| sample_grid(&images, &GridLabels::titled("samples <&> of a model")).unwrap());
            check(|| reconstructions(&images, &images, "").unwrap());
            let captions: Vec<String> = (0..count).map(|row| format!("row {row}: −312.4 nats")).collect();
            check(|| image_sheet(&images, &captions, &GridLabels::default()).unwrap());
        }
    }

    #[test]
    fn the_sheet_holds_every_cell() {
        let pixels = ramp(12, 1, 28, 28);
        let images = Images::new(&pixels, 1, 28, 28).unwrap();
        let figure = sample_grid(&images, &GridLabels { columns: Some(6), ..GridLabels::default() }).unwrap();
        assert_eq!(figure.size().unwrap(), (2.0 * 14.0 + 6.0 * 60.0 - 4.0, 2.0 * 14.0 + 2.0 * 60.0 - 4.0));
    }

    #[test]
    fn rows_and_columns_are_labelled() {
        let pixels = ramp(6, 1, 4, 4);
        let images = Images::new(&pixels, 1, 4, 4).unwrap();
        let rows = ["z3  1.87 nats", "z0  0.02 nats"].map(|name| (name.to_owned(), vec![-3.0, 0.0, 3.0]));
        let figure = check(|| traversal(&images, &rows, "traversal").unwrap());
        assert!(figure.svg.contains("z3  1.87 nats") && figure.svg.matches("−3").count() == 1);
        let uneven = [("z1", vec![-3.0, 0.0, 2.0, 3.0]), ("bit", vec![0.0, 1.0])];
        let uneven = uneven.map(|(name, values)| (name.to_owned(), values));
        let figure = check(|| traversal(&images, &uneven, "traversal").unwrap());
        assert_eq!(figure.svg.matches(">0<").count(), 2, "{}", figure.svg);
        let figure = check(|| interpolation(&images, 3, "").unwrap());
        assert!(figure.svg.contains("start") && figure.svg.contains("end"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let pixels = ramp(6, 1, 4, 4);
        let images = Images::new(&pixels, 1, 4, 4).unwrap();
        let none = Images::new(&[], 1, 4, 4).unwrap();
        assert!(sample_grid(&none, &GridLabels::default()).is_err());
        assert!(reconstructions(&none, &none, "").is_err());
        assert!(reconstructions(&images, &none, "").is_err());
        assert!(interpolation(&images, 4, "").is_err());
        assert!(interpolation(&none, 3, "").is_err());
        assert!(traversal(&images, &[("z0".into(), vec![0.0])], "").is_err());
        assert!(traversal(&none, &[], "").is_err());
        assert!(traversal(&none, &[("z0".into(), vec![])], "").is_err());
        assert!(image_sheet(&images, &[], &GridLabels::default()).is_err());
        let labels = GridLabels { row_labels: vec!["one".into()], columns: Some(3), ..GridLabels::default() };
        let error = sample_grid(&images, &labels).unwrap_err().to_string();
        assert!(error.contains("1 row labels for 2 rows"), "{error}");
        assert!(sample_grid(&images, &GridLabels { columns: Some(0), ..GridLabels::default() }).is_err());
    }
}
