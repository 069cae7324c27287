//! Pictures of the latents section: rates by dimension, spectra, a map.

use crate::error::Result;
use crate::figure::{
    Axis, BarGroup, Bars, CodeMap, Figure, LatentView, Line, Mark, Plot, Series, bars, code_map, plot,
};

/// Bars that are drawn; more would not be read.
const MOST: usize = 64;

/// File name, caption, figure.
type Picture = (String, String, Figure);

/// The rate of each dimension, greatest first.
///
/// # Errors
/// Where there is nothing to draw.
pub fn rates(rates: &[f64]) -> Result<Picture> {
    let mut order: Vec<usize> = (0..rates.len()).collect();
    order.sort_by(|&a, &b| rates[b].total_cmp(&rates[a]));
    let shown = &order[..order.len().min(MOST)];
    let caption = if shown.len() < rates.len() {
        format!("The {MOST} greatest of {}.", rates.len())
    } else {
        String::new()
    };
    let figure = bars(&Bars {
        title: "Rate of each dimension".into(),
        caption,
        value_label: "rate [nats]".into(),
        labels: shown.iter().map(|d| format!("z{}", d + 1)).collect(),
        groups: vec![BarGroup { name: String::new(), values: shown.iter().map(|&d| rates[d]).collect() }],
    })?;
    Ok((
        "latents-rates".into(),
        "How many nats each dimension spends, greatest first: those near 0 carry nothing.".into(),
        figure,
    ))
}

/// Eigenvalues of the covariance of the means and of draws, greatest first; `standard` where the prior is N(0, I). None where
/// neither varies.
///
/// # Errors
/// Where it cannot be drawn.
pub fn spectra(means: &[f64], draws: &[f64], standard: bool) -> Result<Option<Picture>> {
    // A logarithm shows nothing of 0: what is less than a billionth of the greatest is left out.
    let greatest =
        [means, draws].into_iter().filter_map(|values| values.first()).fold(0.0, |a: f64, b| a.max(*b));
    if greatest <= 0.0 {
        return Ok(None);
    }
    let least = 1e-9 * greatest;
    let points = |values: &[f64]| {
        values
            .iter()
            .enumerate()
            .map(|(i, v)| [i as f64 + 1.0, if *v > least { *v } else { f64::NAN }])
            .collect()
    };
    let figure = plot(&Plot {
        title: "Spectrum of the codes".into(),
        x: Axis::linear("direction"),
        y: Axis::log("variance"),
        series: vec![
            Series::line("means of q(z|x)", points(means)).drawn(Line::Marked),
            Series::line("draws of q(z|x)", points(draws)).drawn(Line::Marked),
        ],
        marks: standard.then(|| Mark::Y(1.0, "N(0, I)".into())).into_iter().collect(),
        ..Plot::default()
    })?;
    Ok(Some((
        "latents-spectrum".into(),
        "Eigenvalues of the covariance of the codes. Draws that follow a standard normal prior have 1 everywhere; means \
         fall to 0 in the directions that the model doesn't use."
            .into(),
        figure,
    )))
}

/// The codes on a map by t-SNE.
///
/// # Errors
/// Where there is no finite code, or not one class a code.
pub fn map(places: &[[f64; 2]], classes: &[u32], names: &[String]) -> Result<Picture> {
    let view = LatentView {
        title: "Codes of held-out rows, by t-SNE".into(),
        x_label: "neighbours stay neighbours".into(),
        y_label: String::new(),
        ..LatentView::default()
    };
    let figure = code_map(&CodeMap { points: places, classes, names }, &view)?;
    Ok((
        "latents-map".into(),
        "Rows whose codes are near lie near each other; distances between far groups, and their sizes, mean nothing.".into(),
        figure,
    ))
}
