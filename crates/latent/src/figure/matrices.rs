//! Square matrices side by side in one scale: how strongly each pair of columns hangs together, in the data and in what was
//! generated.

use super::canvas::{Canvas, Rect, TextStyle};
use super::font::{fitted, text_width};
use super::frame::{SMALL, heading};
use super::palette::{AXIS, INK, MUTED, class, hex};
use super::{Figure, FigureError};

/// The most rows that are drawn.
const MOST: usize = 40;

/// A matrix with the name that stands above it.
#[derive(Clone, Debug)]
pub struct Matrix<'a> {
    /// What it is.
    pub title: &'a str,
    /// Its rows, values in [0, 1]; one that is not finite is left blank with a stroke through it.
    pub values: &'a [Vec<f64>],
}

/// Draws matrices of the same rows side by side, 0 white and 1 blue; at most the first 40 rows.
///
/// # Errors
/// Where there is no matrix, or one has not as many rows and columns as there are labels.
pub fn matrices(matrices: &[Matrix], labels: &[String], title: &str) -> Result<Figure, FigureError> {
    let n = labels.len();
    if matrices.is_empty() || n == 0 {
        return Err(FigureError::input(
            "matrices",
            "there is nothing to draw",
            "hand over a matrix with labels",
        ));
    }
    if let Some(wrong) =
        matrices.iter().find(|m| m.values.len() != n || m.values.iter().any(|row| row.len() != n))
    {
        let what = format!("`{}` is not {n} by {n}, as the labels want", wrong.title);
        return Err(FigureError::input("matrices", what, "hand over a row and a column for each label"));
    }
    let shown = n.min(MOST);
    let cell = (300.0 / shown as f64).clamp(9.0, 34.0);
    let size = cell.min(SMALL);
    let widest = labels[..shown].iter().map(|l| text_width(l, size, false)).fold(0.0, f64::max).min(130.0);
    let (margin, gap, side) = (14.0, 18.0, cell * shown as f64);
    let caption = if shown < n {
        format!("strength of each pair, 0 white to 1 blue; the first {shown} of {n} columns")
    } else {
        "strength of each pair, 0 white to 1 blue".into()
    };
    let width = 2.0 * margin + widest + 8.0 + matrices.len() as f64 * (side + gap);
    let above = heading(None, [0.0; 2], width - 2.0 * margin, title, &caption);
    let top = margin + above + 24.0;
    let mut canvas = Canvas::new(width.max(420.0), top + side + widest + 18.0);
    heading(Some(&mut canvas), [margin; 2], width - 2.0 * margin, title, &caption);
    for (row, label) in labels[..shown].iter().enumerate() {
        let y = top + (row as f64 + 0.5) * cell + 0.36 * size;
        let style = TextStyle::new(size).end().colour(INK);
        canvas.text(margin + widest, y, &fitted(label, size, false, 130.0), style);
    }
    for (place, matrix) in matrices.iter().enumerate() {
        let left = margin + widest + 8.0 + place as f64 * (side + gap);
        canvas.text(left, top - 8.0, &fitted(matrix.title, SMALL, true, side), TextStyle::new(SMALL).bold());
        for (row, values) in matrix.values[..shown].iter().enumerate() {
            for (column, value) in values[..shown].iter().enumerate() {
                let at = Rect::new(left + column as f64 * cell, top + row as f64 * cell, cell, cell);
                if value.is_finite() {
                    canvas.rect(at, &format!(r#"fill="{}""#, shade(*value)));
                } else {
                    let style = format!(r#"stroke="{AXIS}""#);
                    canvas.line([at.x, at.bottom()], [at.right(), at.y], &style);
                }
            }
        }
        canvas.rect(Rect::new(left, top, side, side), &format!(r#"fill="none" stroke="{AXIS}""#));
        for (column, label) in labels[..shown].iter().enumerate() {
            let x = left + (column as f64 + 0.5) * cell + 0.36 * size;
            let style = TextStyle::new(size).end().upward().colour(MUTED);
            canvas.text(x, top + side + 8.0, &fitted(label, size, false, 130.0), style);
        }
    }
    Ok(canvas.finish())
}

/// From white to the first colour.
fn shade(value: f64) -> String {
    let share = value.clamp(0.0, 1.0);
    hex(class(0).map(|level| (255.0 + share * (f64::from(level) - 255.0)).round() as u8))
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    #[test]
    fn matrices_are_drawn_and_checked() {
        assert_eq!((shade(0.0), shade(1.0)), ("#ffffff".into(), "#0072b2".into()));
        let labels: Vec<String> =
            (0..50).map(|i| format!("column {i} with a long name that goes on")).collect();
        let row = |i: usize| {
            (0..50).map(|j| if i == 3 { f64::NAN } else { 1.0 / (1.0 + i.abs_diff(j) as f64) }).collect()
        };
        let values: Vec<Vec<f64>> = (0..50).map(row).collect();
        let both =
            [Matrix { title: "original", values: &values }, Matrix { title: "generated", values: &values }];
        let figure = check(|| matrices(&both, &labels, "dependence").unwrap());
        assert!(figure.svg.contains("the first 40 of 50 columns"));
        let few = [vec![1.0, 0.5], vec![0.5, 1.0]];
        let one = [Matrix { title: "one", values: &few }];
        check(|| matrices(&one, &labels[..2], "").unwrap());
        assert!(matrices(&one, &labels[..3], "").is_err() && matrices(&[], &labels, "").is_err());
    }
}
