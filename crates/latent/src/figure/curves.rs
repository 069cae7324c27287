//! How training went: one panel a term, training and validation apart.

use super::plot::{Axis, Line, Mark, Plot, Series, draw_panels};
use super::{Figure, FigureError};

/// One term over the run.
#[derive(Clone, Debug, Default)]
pub struct CurvePanel {
    /// The term's name, such as `rate`.
    pub name: String,
    /// Its unit, such as `nats per sample`.
    pub unit: String,
    /// `[x, value]` on the training data.
    pub training: Vec<[f64; 2]>,
    /// `[x, value]` on the validation data; may be empty.
    pub validation: Vec<[f64; 2]>,
}

/// A panel a term; first steps don't set the scale, and the best checkpoint is marked at x = `best`.
///
/// # Errors
/// Where there is no panel, or one has no finite value.
pub fn training_curves(
    panels: &[CurvePanel],
    x_label: &str,
    best: Option<f64>,
) -> Result<Figure, FigureError> {
    let plots: Vec<Plot> = panels.iter().map(|panel| panel.plot(x_label, best)).collect();
    let columns = if panels.len() == 4 { 2 } else { panels.len().clamp(1, 3) };
    draw_panels("training curves", &plots, columns, [370.0, 290.0])
}

impl CurvePanel {
    fn plot(&self, x_label: &str, best: Option<f64>) -> Plot {
        // Many steps are noise around a course: they stand back, and their running mean shows the course.
        let mut series = if self.training.len() > 300 {
            vec![
                Series::line("", self.training.clone()).drawn(Line::Faint).coloured(0),
                Series::line("training (mean)", running_mean(&self.training)).coloured(0),
            ]
        } else {
            vec![Series::line("training", self.training.clone()).coloured(0)]
        };
        if !self.validation.is_empty() {
            let line = if self.validation.len() > 60 { Line::Solid } else { Line::Marked };
            series.push(Series::line("validation", self.validation.clone()).drawn(line).coloured(3));
        }
        let name =
            if self.unit.is_empty() { self.name.clone() } else { format!("{} [{}]", self.name, self.unit) };
        Plot {
            title: self.name.clone(),
            x: Axis::linear(x_label),
            y: Axis { robust: true, ..Axis::linear(name) },
            series,
            marks: best.map(|x| Mark::X(x, "best checkpoint".into())).into_iter().collect(),
            ..Plot::default()
        }
    }
}

/// A line fitted to a fiftieth of the run around each point, and its value there; gaps are left out.
///
/// Unlike a plain mean it lags nowhere: not on the steep beginning, and not at the end.
fn running_mean(points: &[[f64; 2]]) -> Vec<[f64; 2]> {
    let half = (points.len() / 100).max(2);
    (0..points.len())
        .map(|centre| {
            let window = &points[centre.saturating_sub(half)..(centre + half + 1).min(points.len())];
            let x0 = points[centre][0];
            let (mut n, mut sx, mut sy, mut sxx, mut sxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
            for [x, y] in window.iter().filter(|point| point[1].is_finite()) {
                let x = x - x0;
                n += 1.0;
                sx += x;
                sy += y;
                sxx += x * x;
                sxy += x * y;
            }
            let spread = sxx * n - sx * sx;
            let slope = if spread > 0.0 { (sxy * n - sx * sy) / spread } else { 0.0 };
            [x0, (sy - slope * sx) / n]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    #[test]
    fn a_panel_a_term() {
        let curve = |n: u32| {
            (0..n).map(|x| [f64::from(x), 240.0 + 300.0 * (-f64::from(x)).exp()]).collect::<Vec<_>>()
        };
        let panel = |name: &str, n| CurvePanel {
            name: name.into(),
            unit: "nats per sample".into(),
            training: curve(n),
            validation: curve(20),
        };
        let figure = check(|| {
            training_curves(&[panel("rate", 20), panel("distortion", 5000)], "epoch", Some(17.0)).unwrap()
        });
        assert!(
            figure.svg.contains("distortion [nats per sample]") && figure.svg.contains("best checkpoint")
        );
        assert!(figure.svg.len() < 200_000, "{}", figure.svg.len());
        assert!(training_curves(&[], "epoch", None).is_err());
        assert!(training_curves(&[CurvePanel::default()], "epoch", None).is_err());
    }

    #[test]
    fn the_running_mean_keeps_a_line_a_line() {
        let line: Vec<[f64; 2]> = (0..1000).map(|x| [f64::from(x), 2.0 * f64::from(x)]).collect();
        for ([x, y], [mean_x, mean]) in line.iter().zip(running_mean(&line)) {
            assert!((y - mean).abs() < 1e-9 && *x == mean_x);
        }
    }
}
