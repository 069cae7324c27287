//! Step 3, P(X) in numbers: three estimates of log P(x), and the truth where it is known.
//!
//! plain Monte Carlo    ln 1/k Σ p(x|z_d),                 z_d ~ p(z)
//! ELBO                 E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)) ≤ log P(x)
//! importance sampling  ln 1/k Σ p(x|z_d) p(z_d) / q(z_d|x), z_d ~ q(z|x)
//!
//! Exact: by a sum over 2^b codes of bits, and N(x; b, WWᵀ + σ²I) for the linear model. Plain Monte Carlo needs about
//! e^rate draws, since the codes that explain x are that rare in the prior.

use latent::Model;
use latent::batch::{Batch, Noise};
use latent::data::{Data, Split};
use latent::device::host_f64;
use latent::figure::{Axis, Line, Mark, Plot, Series, panels};
use latent::generate::first_rows;
use latent::model::{LinearGaussian, Rate, log_density_by_enumeration, plain_monte_carlo, score};
use latent::words::thousands;
use serde_json::json;

use super::{Lesson, Taught};
use crate::failure::Failure;

const ROWS: usize = 16;
/// Draws of plain Monte Carlo at most, as 10^(i/2).
const PLAIN: i32 = 10;
const PLAIN_QUICK: i32 = 5;
/// Draws of importance sampling at most, as 10^(i/2).
const WEIGHTED: i32 = 7;
const WEIGHTED_QUICK: i32 = 3;
/// The ELBO is importance sampling with one draw; its mean is taken over so many.
const REPEATS: u64 = 50;

/// What the estimators say of one model, means over rows in nats.
struct Found {
    plain: Vec<[f64; 2]>,
    weighted: Vec<[f64; 2]>,
    exact: Option<f64>,
    rate: f64,
}

impl Found {
    fn elbo(&self) -> f64 {
        self.weighted[0][1]
    }

    fn last(series: &[[f64; 2]]) -> f64 {
        series.last().map_or(f64::NAN, |point| point[1])
    }

    /// How far the longest of both kinds of sampling got.
    fn words(&self) -> String {
        let (weighted, plain) = (Self::last(&self.weighted), Self::last(&self.plain));
        match self.exact {
            Some(exact) => format!(
                "with the most draws importance sampling is {:.1} nats from the exact value, plain Monte Carlo {:.1}",
                (weighted - exact).abs(),
                (plain - exact).abs()
            ),
            None => format!(
                "with the most draws plain Monte Carlo is {:.1} nats {} importance sampling",
                (plain - weighted).abs(),
                if plain < weighted { "below" } else { "above" }
            ),
        }
    }
}

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let binary = ["data.binarize=threshold", "likelihood={kind=\"bernoulli\"}"];
    let bits = [
        "posterior={kind=\"bits\", latent=8, gradient=\"relaxed\", temperature=0.5}",
        "prior={kind=\"bits\", learned=true}",
    ];
    let linear = [
        "encoder={kind=\"linear\"}",
        "decoder={kind=\"linear\"}",
        "likelihood={kind=\"normal\", scale=\"learned\", sigma=0.3, mean=\"line\"}",
        "posterior={kind=\"diagonal-normal\", latent=2}",
        "train.epochs=12",
        "train.optimizer.learning_rate=5e-3",
    ];
    let deep = ["posterior={kind=\"diagonal-normal\", latent=16}"];
    let models = [
        ("8 bits", "bits", [&binary[..], &bits].concat()),
        ("linear model, 2 latents", "linear", linear.to_vec()),
        ("VAE, 16 latents", "deep", [&binary[..], &deep].concat()),
    ];
    let mut text = format!(
        "log P(x) in nats, the mean over {ROWS} held-out images, and how it is found:\n\n{:26}{:>9}{:>9}{:>14}{:>14}{:>8}{:>10}",
        "", "exact", "ELBO", "importance", "plain MC", "rate", "e^rate"
    );
    let [weighted, plain] = [weighted(lesson), plain(lesson)].map(|last| thousands(draws(last) as u64));
    text.push_str(&format!("\n{:44}{:>14}{plain:>14}", "", format!("{weighted} draws")));
    let (mut plots, mut numbers, mut words) = (Vec::new(), Vec::new(), String::new());
    for (title, name, settings) in &models {
        let (model, data) = lesson.learn(&format!("probability-{name}"), settings)?;
        let found = measure(lesson, &model, &data)?;
        let exact = found.exact.map_or("unknown".into(), |exact| format!("{exact:.1}"));
        text.push_str(&format!(
            "\n{title:26}{exact:>9}{:>9.1}{:>14.1}{:>14.1}{:>8.1}{:>10.1e}",
            found.elbo(),
            Found::last(&found.weighted),
            Found::last(&found.plain),
            found.rate,
            found.rate.exp(),
        ));
        numbers.push(json!({
            "model": title, "exact": found.exact, "elbo": found.elbo(), "rate": found.rate,
            "importance": found.weighted, "plain": found.plain,
        }));
        words.push_str(&format!("\n{title}: {}", found.words()));
        plots.push(drawn(title, &found));
    }
    text.push_str(&format!(
        "\n\nEach estimate is too low on average. Plain Monte Carlo closes in when it has made several times e^rate draws, the\n\
         dashed line in the picture.{words}"
    ));
    let picture = lesson.draw("probability", &panels(&plots, 3)?)?;
    Ok(Taught { text, numbers: json!(numbers), pictures: vec![picture] })
}

fn weighted(lesson: &Lesson<'_>) -> i32 {
    if lesson.quick { WEIGHTED_QUICK } else { WEIGHTED }
}

fn plain(lesson: &Lesson<'_>) -> i32 {
    if lesson.quick { PLAIN_QUICK } else { PLAIN }
}

/// The i-th number of draws.
fn draws(i: i32) -> f64 {
    10f64.powf(f64::from(i) / 2.0).round()
}

fn measure(lesson: &Lesson<'_>, model: &Model, data: &Data) -> Result<Found, Failure> {
    let (view, device) = (model.view(), model.weights.device());
    let batch = Batch::new(first_rows(data, Split::Validation, ROWS)?, data.features(), device);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let key = lesson.key("probability");
    let lower = |scores: &[latent::model::Score]| {
        mean(&scores.iter().map(|score| score.log_p_lower).collect::<Vec<_>>())
    };
    let mut weighted = Vec::new();
    for k in (0..=self::weighted(lesson)).map(draws) {
        let repeats = match k {
            1.0 if lesson.quick => 2,
            1.0 => REPEATS,
            _ => 1,
        };
        let mut sum = 0.0;
        for repeat in 0..repeats {
            sum += lower(&score(&view, &batch, k as usize, key.fold("weighted").fold(repeat))?);
        }
        weighted.push([k, sum / repeats as f64]);
    }
    let plain = (0..=self::plain(lesson))
        .map(draws)
        .map(|k| [k, lower(&plain_monte_carlo(&view, &batch, k as usize, key.fold("plain")))])
        .collect();
    let exact = match LinearGaussian::of(&view) {
        Ok(linear) => {
            let x = host_f64(&batch.x);
            Some(mean(&x.chunks(data.features()).map(|x| linear.log_density(x)).collect::<Vec<_>>()))
        }
        Err(_) => log_density_by_enumeration(&view, &batch).ok().map(|log_p| mean(&host_f64(&log_p))),
    };
    let (q, p) = (view.encode(&batch), view.prior(batch.given()));
    let z = q.draw(1, Noise::new(key.fold("rate"), &batch.ids));
    let rate = Rate::new(q.as_ref(), p.as_ref(), &z, 1).map_or(f64::NAN, |rate| mean(&host_f64(&rate.total)));
    Ok(Found { plain, weighted, exact, rate })
}

fn drawn(title: &str, found: &Found) -> Plot {
    let mut marks = vec![Mark::X(found.rate.exp(), "e^rate draws".into())];
    if let Some(exact) = found.exact {
        marks.push(Mark::Y(exact, "exact".into()));
    }
    Plot {
        title: title.into(),
        caption: String::new(),
        x: Axis::log("draws k"),
        y: Axis::linear("log P(x), nats"),
        series: vec![
            Series::line("plain Monte Carlo", found.plain.clone()).drawn(Line::Marked),
            Series::line("importance sampling (k = 1: ELBO)", found.weighted.clone()).drawn(Line::Marked),
        ],
        marks,
    }
}
