//! Step 4, σ is the regulariser: it sets what a nat of rate may cost in error.
//!
//! −ELBO = E_q ‖x − g(z)‖² / 2σ² + D/2 ln 2πσ² + KL(q(z|x) ‖ p(z))
//!
//! A small σ makes each squared error dear: many nats of code are spent, regions shrink, the prior is left with holes. A
//! large σ makes them cheap: the code is dropped. In between lies the σ that is the model's own error, σ*² = E‖x − g‖²/D.
//! The width d of z matters less than σ: a dimension that does not pay is switched off, at a rate of 0. In the linear
//! model it pays if the variance of the data along it is more than σ².

use latent::Model;
use latent::data::{Data, Split};
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

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let mut text = format!(
        "σ swept, {WIDTH} latents; means over {ROWS} held-out images:\n\n{HEADER}",
        HEADER = header("σ")
    );
    let (mut rows, mut by_sigma, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for sigma in SIGMAS {
        let (model, found) = one(lesson, &format!("sigma-{sigma}"), &fixed(sigma), WIDTH)?;
        text.push_str(&line(&format!("{sigma}"), &found));
        numbers.push(entry("sigma", sigma, &found));
        rows.push((format!("σ = {sigma}"), model.sample(SHOWN, lesson.key("samples"))?.x));
        by_sigma.push((sigma, found));
    }
    let (_, found) = one(lesson, "sigma-optimal", "likelihood={kind=\"normal\", scale=\"optimal\"}", WIDTH)?;
    let best = found.squared_error.value.sqrt();
    text.push_str(&line("σ*", &found));
    numbers.push(entry("optimal_sigma", best, &found));
    text.push_str(&format!("\n\nWidth d of z swept, σ = {SIGMA}:\n\n{}", header("d")));
    let mut by_width = Vec::new();
    for width in WIDTHS {
        let (_, found) = one(lesson, &format!("width-{width}"), &fixed(SIGMA), width)?;
        text.push_str(&line(&format!("{width}"), &found));
        numbers.push(entry("width", width as f64, &found));
        by_width.push((width as f64, found));
    }
    text.push_str(&format!(
        "\n\nσ* is the optimal one, {best:.3}: there the bound on log P(x) is best. A smaller σ buys hardly any accuracy with\n\
         many nats; a larger one blurs, and its samples are whole things, until the code is dropped and they are all the\n\
         mean image. A latent counts as in use from {ACTIVE} nats: what does not pay is off, however wide z is.",
    ));
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
    let (model, data): (Model, std::sync::Arc<Data>) =
        lesson.learn(name, &[likelihood, &posterior, "train.epochs=12"])?;
    let found = terms(&model, &data, Split::Validation, ROWS, lesson.key("sigma"))?;
    Ok((model, found))
}

fn fixed(sigma: f64) -> String {
    format!("likelihood={{kind=\"normal\", scale=\"fixed\", sigma={sigma}}}")
}

fn rate(found: &Terms) -> f64 {
    found.rate.map_or(f64::NAN, |rate| rate.value)
}

fn bound(found: &Terms) -> f64 {
    found.bound.map_or(f64::NAN, |bound| bound.value)
}

fn active(found: &Terms) -> usize {
    found.rate_per_dimension.iter().filter(|rate| **rate > ACTIVE).count()
}

fn header(name: &str) -> String {
    format!("{name:>6}   rate, nats   error (root mean square)   −ELBO, nats   latents in use")
}

fn line(value: &str, found: &Terms) -> String {
    let (rate, error) = (rate(found), found.squared_error.value.sqrt());
    format!("\n{value:>6}   {rate:>10.2}   {error:>24.4}   {:>11.1}   {:>14}", bound(found), active(found))
}

fn entry(name: &str, value: f64, found: &Terms) -> Value {
    json!({
        name: value, "rate": rate(found), "error": found.squared_error.value.sqrt(),
        "negative_elbo": bound(found), "latents_in_use": active(found),
    })
}

fn curves(by_sigma: &[(f64, Terms)], by_width: &[(f64, Terms)], best: f64) -> Vec<Plot> {
    let plot = |title: &str, x: Axis, y: &str, points: Vec<[f64; 2]>, marks: Vec<Mark>| Plot {
        title: title.into(),
        caption: String::new(),
        x,
        y: Axis::linear(y),
        series: vec![Series::line("", points).drawn(Line::Marked)],
        marks,
    };
    let error = |found: &Terms| found.squared_error.value.sqrt();
    let of = |points: &[(f64, Terms)], y: fn(&Terms) -> f64| -> Vec<[f64; 2]> {
        points.iter().map(|(x, found)| [*x, y(found)]).collect()
    };
    let trade: Vec<[f64; 2]> = by_sigma.iter().map(|(_, found)| [rate(found), error(found)]).collect();
    let labels =
        by_sigma.iter().zip(&trade).map(|((sigma, _), point)| Mark::Point(*point, format!("σ = {sigma}")));
    vec![
        plot(
            "Rate buys accuracy",
            Axis::linear("rate, nats"),
            "error of the reconstruction",
            trade.clone(),
            labels.collect(),
        ),
        plot(
            "−ELBO is least at the error that remains",
            Axis::log("σ"),
            "−ELBO, nats",
            of(by_sigma, bound),
            vec![Mark::X(best, "optimal σ".into())],
        ),
        plot(
            "A wider z has nothing to add",
            Axis::log("width d of z"),
            "rate, nats",
            of(by_width, rate),
            Vec::new(),
        ),
    ]
}
