//! Step 4, σ is the regulariser: it sets what a nat of rate may cost in error.
//!
//! −ELBO = E_q ‖x − g(z)‖² / 2σ² + D/2 ln 2πσ² + KL(q(z|x) ‖ p(z))
//!
//! A small σ makes each squared error dear: many nats of code are spent, regions shrink, the prior is left with holes. A
//! large σ makes them cheap: the code is dropped. In between lies the σ that is the model's own error, σ*² = E‖x − g‖²/D.
//! In the linear model a dimension of z pays, and is used, if the variance of the data along it is more than σ²; how many
//! a trained network uses is counted.

use latent::Model;
use latent::data::Split;
use latent::evaluate::{Terms, terms};
use latent::figure::{Axis, Line, Mark, Plot, Series, panels};
use serde_json::{Value, json};

use super::{Lesson, ROWS, Taught, picture};
use crate::failure::Failure;

const SIGMAS: [f64; 6] = [0.07, 0.15, 0.3, 0.6, 1.2, 2.5];
const WIDTHS: [usize; 5] = [1, 2, 4, 16, 64];
/// σ while the width is swept.
const SIGMA: f64 = 0.6;
/// The width while σ is swept.
const WIDTH: usize = 16;
const SHOWN: usize = 12;
/// A dimension with less than this rate carries nothing.
const ACTIVE: f64 = 0.1;

/// Models over one number, in its order, and what each says of held-out images.
type Sweep = Vec<(f64, Terms)>;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let mut swept = Vec::new();
    for sigma in SIGMAS {
        let (model, found) = one(lesson, &format!("sigma-{sigma}"), &fixed(sigma), WIDTH)?;
        swept.push((sigma, model, found));
    }
    let optimal = "likelihood={kind=\"normal\", scale=\"optimal\"}";
    let (model, found) = one(lesson, "sigma-optimal", optimal, WIDTH)?;
    let best = own_sigma(&model).unwrap_or_else(|| found.squared_error.value.sqrt());
    swept.push((best, model, found));
    swept.sort_by(|a, b| a.0.total_cmp(&b.0));

    let (mut rows, mut by_sigma, mut numbers) = (Vec::new(), Sweep::new(), Vec::new());
    let mut text = String::new();
    for (sigma, model, found) in swept {
        let key = if sigma == best { "optimal_sigma" } else { "sigma" };
        if text.is_empty() {
            let head = format!("σ swept, {WIDTH} latents; means over {} held-out images:\n\n", found.rows);
            text = head + &header("σ");
        }
        text.push_str(&line(&called(sigma, best), &found));
        numbers.push(entry(key, sigma, &found));
        rows.push((called(sigma, best), model.sample(SHOWN, lesson.key("samples"))?.x));
        by_sigma.push((sigma, found));
    }
    text.push_str(&format!("\n\nWidth d of z swept, σ = {SIGMA}:\n\n{}", header("d")));
    let mut by_width = Sweep::new();
    for width in WIDTHS {
        let (_, found) = one(lesson, &format!("width-{width}"), &fixed(SIGMA), width)?;
        text.push_str(&line(&format!("d = {width}"), &found));
        numbers.push(entry("width", width as f64, &found));
        by_width.push((width as f64, found));
    }
    text.push_str("\n\n");
    text.push_str(&words(&by_sigma, &by_width, best));
    let caption = "Codes drawn from the prior N(0, I), decoded; every row decodes the same twelve";
    let samples = picture("Samples, σ by σ", caption, Vec::new(), rows)?;
    let pictures = vec![
        lesson.draw("sigma", &samples)?,
        lesson.draw("sigma-curves", &panels(&curves(&by_sigma, &by_width, best), 3)?)?,
    ];
    Ok(Taught { text, numbers: json!(numbers), pictures })
}

fn one(lesson: &Lesson<'_>, name: &str, likelihood: &str, width: usize) -> Result<(Model, Terms), Failure> {
    let posterior = format!("posterior={{kind=\"diagonal-normal\", latent={width}}}");
    let (model, data) = lesson.learn(name, &[likelihood, &posterior, "train.epochs=12"])?;
    let found = terms(&model, &data, Split::Validation, ROWS, lesson.key("sigma"))?;
    Ok((model, found))
}

fn fixed(sigma: f64) -> String {
    format!("likelihood={{kind=\"normal\", scale=\"fixed\", sigma={sigma}}}")
}

/// The σ that a model's likelihood has, frozen from its training images.
fn own_sigma(model: &Model) -> Option<f64> {
    let (_, array) = model.weights.iter().find(|(_, array)| array.path() == "likelihood.log_variance")?;
    array.values().first().map(|log_variance| (0.5 * f64::from(*log_variance)).exp())
}

fn rate(found: &Terms) -> f64 {
    found.rate.map_or(f64::NAN, |rate| rate.value)
}

fn bound(found: &Terms) -> f64 {
    found.bound.map_or(f64::NAN, |bound| bound.value)
}

fn error(found: &Terms) -> f64 {
    found.squared_error.value.sqrt()
}

fn active(found: &Terms) -> usize {
    found.rate_per_dimension.iter().filter(|rate| **rate > ACTIVE).count()
}

/// A model of the sweep over σ; `best` is the optimal one.
fn called(sigma: f64, best: f64) -> String {
    if sigma == best { format!("σ* = {best:.3}") } else { format!("σ = {sigma}") }
}

fn header(name: &str) -> String {
    format!("{name:>10}   rate, nats   error (root mean square)   −ELBO, nats   latents in use")
}

fn line(value: &str, found: &Terms) -> String {
    let (rate, error) = (rate(found), error(found));
    format!("\n{value:>10}   {rate:>10.2}   {error:>24.4}   {:>11.1}   {:>14}", bound(found), active(found))
}

fn entry(name: &str, value: f64, found: &Terms) -> Value {
    json!({
        name: value, "rate": rate(found), "error": error(found), "negative_elbo": bound(found),
        "latents_in_use": active(found),
    })
}

/// Where the bound is best, among the models of a sweep.
fn least(sweep: &Sweep) -> Option<&(f64, Terms)> {
    sweep.iter().min_by(|a, b| bound(&a.1).total_cmp(&bound(&b.1)))
}

/// What the numbers say, and no more.
fn words(by_sigma: &Sweep, by_width: &Sweep, best: f64) -> String {
    let mut lines = vec![format!(
        "σ* is the optimal one, the error that remains on the training images. A latent is in use from {ACTIVE} nats."
    )];
    if let Some((sigma, found)) = least(by_sigma) {
        lines.push(format!("−ELBO is least at {}: {:.1} nats.", called(*sigma, best), bound(found)));
    }
    if let (Some(first), Some(star)) = (by_sigma.first(), by_sigma.iter().find(|(sigma, _)| *sigma == best)) {
        lines.push(format!(
            "{}: an error of {:.4} for {:.1} nats; {}: {:.4} for {:.1}.",
            called(first.0, best),
            error(&first.1),
            rate(&first.1),
            called(star.0, best),
            error(&star.1),
            rate(&star.1),
        ));
    }
    let dropped: Vec<String> = by_sigma
        .iter()
        .filter(|(_, found)| active(found) == 0)
        .map(|(sigma, _)| called(*sigma, best))
        .collect();
    if !dropped.is_empty() {
        lines.push(format!(
            "No latent is in use at {}: every sample is nearly the same image.",
            dropped.join(", ")
        ));
    }
    if let [.., (narrow, before), (wide, after)] = by_width.as_slice() {
        lines.push(format!(
            "From d = {narrow} to d = {wide} the rate goes from {:.2} to {:.2} nats, −ELBO from {:.1} to {:.1}, latents in \
             use from {} to {}.",
            rate(before),
            rate(after),
            bound(before),
            bound(after),
            active(before),
            active(after),
        ));
    }
    lines.join("\n")
}

fn curves(by_sigma: &Sweep, by_width: &Sweep, best: f64) -> Vec<Plot> {
    let plot = |title: String, x: Axis, y: &str, points: Vec<[f64; 2]>, labels: Vec<String>| Plot {
        title,
        caption: String::new(),
        x,
        y: Axis::linear(y),
        marks: points.iter().zip(labels).map(|(point, label)| Mark::Point(*point, label)).collect(),
        series: vec![Series::line("", points).drawn(Line::Marked)],
    };
    let bounds =
        |sweep: &Sweep| -> Vec<[f64; 2]> { sweep.iter().map(|(x, found)| [*x, bound(found)]).collect() };
    let least = least(by_sigma)
        .map_or("−ELBO over σ".into(), |(sigma, _)| format!("−ELBO is least at {}", called(*sigma, best)));
    let names: Vec<String> = by_sigma.iter().map(|(sigma, _)| called(*sigma, best)).collect();
    let mut over_sigma = plot(least, Axis::log("σ"), "−ELBO, nats", bounds(by_sigma), Vec::new());
    let star = by_sigma.iter().find(|(sigma, _)| *sigma == best);
    over_sigma.marks.extend(star.map(|(_, found)| Mark::Point([best, bound(found)], called(best, best))));
    vec![
        plot(
            "Error over rate, σ by σ".into(),
            Axis::linear("rate, nats"),
            "error of the reconstruction",
            by_sigma.iter().map(|(_, found)| [rate(found), error(found)]).collect(),
            names,
        ),
        over_sigma,
        plot(
            format!("−ELBO over the width of z, σ = {SIGMA}"),
            Axis::log("width d of z"),
            "−ELBO, nats",
            bounds(by_width),
            by_width.iter().map(|(width, found)| format!("{} of {width} in use", active(found))).collect(),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use latent::evaluate::Mean;

    use super::*;

    fn found(rate: f64, bound: f64, per_dimension: Vec<f64>) -> Terms {
        let mean = |value| Mean { value, error: 0.0 };
        Terms {
            rows: 1000,
            distortion: mean(bound - rate),
            rate: Some(mean(rate)),
            bound: Some(mean(bound)),
            shuffle_loss: mean(0.0),
            rate_per_dimension: per_dimension,
            squared_error: mean(1.0 / (1.0 + rate)),
            code_mean: Vec::new(),
            code_variance: Vec::new(),
            prior_mean: Vec::new(),
            prior_variance: Vec::new(),
        }
    }

    /// Sweeps in which the optimal σ, 0.124, has the bound `star`.
    fn sweeps(star: f64) -> (Sweep, Sweep) {
        let by_sigma = vec![
            (0.07, found(70.8, -43.3, vec![4.0; 16])),
            (0.124, found(43.1, star, vec![3.0; 16])),
            (0.15, found(39.0, -440.0, vec![2.0; 16])),
            (2.5, found(0.0, 1444.2, vec![0.0; 16])),
        ];
        let by_width = vec![
            (16.0, found(8.6, 356.7, [vec![0.9; 9], vec![0.01; 7]].concat())),
            (64.0, found(9.0, 361.7, [vec![0.5; 18], vec![0.01; 46]].concat())),
        ];
        (by_sigma, by_width)
    }

    #[test]
    fn the_mark_at_the_optimal_sigma_lies_on_the_curve() {
        let (by_sigma, by_width) = sweeps(-470.8);
        let plot = &curves(&by_sigma, &by_width, 0.124)[1];
        let marked: Vec<[f64; 2]> = plot
            .marks
            .iter()
            .map(|mark| match mark {
                Mark::Point(point, label) => {
                    assert_eq!(label, "σ* = 0.124");
                    *point
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(marked, [[0.124, -470.8]]);
        let curve = &plot.series[0].points;
        assert!(curve.contains(&marked[0]) && curve.is_sorted_by(|a, b| a[0] < b[0]), "{curve:?}");
    }

    #[test]
    fn titles_and_words_follow_the_numbers() {
        for (star, name) in [(-470.8, "σ* = 0.124"), (-400.0, "σ = 0.15")] {
            let (by_sigma, by_width) = sweeps(star);
            let plots = curves(&by_sigma, &by_width, 0.124);
            assert_eq!(plots[1].title, format!("−ELBO is least at {name}"));
            let said = words(&by_sigma, &by_width, 0.124);
            assert!(said.contains(&format!("least at {name}: ")), "{said}");
            assert!(said.contains("latents in use from 9 to 18."), "{said}");
            assert!(said.contains("No latent is in use at σ = 2.5"), "{said}");
            let labels: Vec<String> = plots[2].marks.iter().map(|mark| format!("{mark:?}")).collect();
            assert!(labels[1].contains("18 of 64 in use"), "{labels:?}");
        }
    }
}
