//! Horizontal bars: values of several things side by side, each with its number.

use super::axis::{Scale, short};
use super::canvas::{Canvas, Rect, TextStyle};
use super::font::{fitted, text_width};
use super::frame::{NORMAL, SMALL, Swatch, heading, legend_rows};
use super::palette::{AXIS, INK, MUTED, class_hex};
use super::{Figure, FigureError};

/// The bars of one series.
#[derive(Clone, Debug, Default)]
pub struct BarGroup {
    /// The name in the legend; may be empty where there is one series alone.
    pub name: String,
    /// A value for each label; one that is not finite is shown as absent.
    pub values: Vec<f64>,
}

/// What a bar chart shows.
#[derive(Clone, Debug, Default)]
pub struct Bars {
    /// Above the chart, in bold; may be empty.
    pub title: String,
    /// Under the title; may be empty.
    pub caption: String,
    /// What the values are, with their unit.
    pub value_label: String,
    /// A name for each row.
    pub labels: Vec<String>,
    /// One bar a row from each of these.
    pub groups: Vec<BarGroup>,
}

/// Draws a bar for each label and series, from 0, with its number at the end.
///
/// # Errors
/// Where there is nothing to draw, or a series hasn't one value a label.
pub fn bars(bars: &Bars) -> Result<Figure, FigureError> {
    if bars.labels.is_empty() || bars.groups.is_empty() {
        return Err(FigureError::input(
            "bars",
            "there is no bar",
            "hand over at least one label and one series",
        ));
    }
    if let Some(group) = bars.groups.iter().find(|group| group.values.len() != bars.labels.len()) {
        let what = format!(
            "series `{}` has {} values for {} labels",
            group.name,
            group.values.len(),
            bars.labels.len()
        );
        return Err(FigureError::input("bars", what, "hand over one value a label"));
    }
    let (margin, width, thick) = (14.0, 640.0, 15.0);
    let entries: Vec<(Swatch, &str)> = bars
        .groups
        .iter()
        .enumerate()
        .filter(|(_, group)| !group.name.is_empty())
        .map(|(index, group)| (Swatch::Box(format!(r#"fill="{}""#, class_hex(index))), group.name.as_str()))
        .collect();
    let inner = width - 2.0 * margin;
    let above = heading(None, [0.0; 2], inner, &bars.title, &bars.caption);
    let legend = legend_rows(None, [0.0; 2], inner, &entries);
    let row = thick * bars.groups.len() as f64 + 10.0;
    let top = margin + above + legend + 4.0;
    let bottom = top + row * bars.labels.len() as f64;
    let mut canvas = Canvas::new(width, bottom + if bars.value_label.is_empty() { margin } else { 34.0 });
    heading(Some(&mut canvas), [margin; 2], inner, &bars.title, &bars.caption);
    legend_rows(Some(&mut canvas), [margin, margin + above], inner, &entries);

    let widest =
        bars.labels.iter().map(|label| text_width(label, SMALL, false)).fold(0.0, f64::max).min(220.0);
    let number = bars
        .groups
        .iter()
        .flat_map(|group| &group.values)
        .map(|value| text_width(&short(*value), 11.5, false));
    let room = number.fold(0.0, f64::max) + 10.0;
    let values = || bars.groups.iter().flat_map(|group| group.values.iter().copied());
    let negative = values().any(|value| value.is_finite() && value < 0.0);
    let scale = match Scale::over(values().chain([0.0]), false) {
        // Where all is 0, the axis stays at the left.
        scale if scale.low < 0.0 && !negative => Scale::between(0.0, 1.0, false),
        scale => scale,
    };
    let left = margin + widest + 10.0 + if negative { room } else { 0.0 };
    let area = Rect::new(left, top, width - margin - room - left, bottom - top);
    let place = |value: f64| area.x + scale.share(value) * area.width;
    for (index, label) in bars.labels.iter().enumerate() {
        let y = top + row * index as f64;
        let middle = y + row / 2.0;
        let text = fitted(label, SMALL, false, 220.0);
        canvas.text(margin + widest, middle + 0.36 * SMALL, &text, TextStyle::new(SMALL).end().colour(INK));
        for (series, group) in bars.groups.iter().enumerate() {
            let value = group.values[index];
            let bar = y + 5.0 + thick * series as f64;
            let (text, end) =
                if value.is_finite() { (short(value), place(value)) } else { ("—".into(), place(0.0)) };
            let zero = place(0.0);
            let rect = Rect::new(zero.min(end), bar + 1.0, (end - zero).abs(), thick - 2.0);
            canvas.rect(rect, &format!(r#"fill="{}""#, class_hex(series)));
            let style = TextStyle::new(11.5).colour(MUTED);
            let baseline = bar + thick / 2.0 + 4.0;
            if value < 0.0 {
                canvas.text(end - 5.0, baseline, &text, style.end());
            } else {
                canvas.text(end + 5.0, baseline, &text, style);
            }
        }
    }
    canvas.line([place(0.0), top], [place(0.0), bottom], &format!(r#"stroke="{AXIS}""#));
    if !bars.value_label.is_empty() {
        let label = fitted(&bars.value_label, NORMAL, false, inner);
        canvas.text(area.x + area.width / 2.0, bottom + 18.0, &label, TextStyle::new(NORMAL).middle());
    }
    Ok(canvas.finish())
}

#[cfg(test)]
mod tests {
    use super::super::render::tests::check;
    use super::*;

    #[test]
    fn bars_are_drawn_and_checked() {
        let group = |name: &str, values: &[f64]| BarGroup { name: name.into(), values: values.to_vec() };
        let mut chart = Bars {
            title: "rate by latent".into(),
            value_label: "rate [nats]".into(),
            labels: vec!["z0".into(), "z1".into(), "z2".into()],
            groups: vec![group("β = 1", &[1.8, 0.0, f64::NAN]), group("β = 4", &[0.9, -0.01, 0.2])],
            ..Bars::default()
        };
        check(|| bars(&chart).unwrap());
        chart.groups[1].values.pop();
        assert!(bars(&chart).unwrap_err().to_string().contains("2 values for 3 labels"));
        assert!(bars(&Bars::default()).is_err());
    }
}
