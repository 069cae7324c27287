//! Step 7, the Wasserstein autoencoder: codes may be points, if only all of them together look like the prior.
//!
//! minimise  E ‖x − g(f(x))‖² + λ MMD²(q(z), p(z)),    q(z) = E_x q(z|x)
//!
//! The VAE pulls each q(z|x) to the prior, so that regions of different x must overlap; the WAE pulls their sum alone.
//! There is no bound and no P(X): the price of points.
//!
//! Reference: Tolstikhin et al., *Wasserstein Auto-Encoders* (arXiv 1711.01558).

use latent::Model;
use latent::batch::{Batch, Noise};
use latent::data::{Data, Split};
use latent::device::scalar;
use latent::evaluate::terms;
use latent::generate::first_rows;
use latent::objective::{MmdSettings, mmd};
use serde_json::{Value, json};

use super::{Lesson, ROWS, Taught, all_rows, picture};
use crate::failure::Failure;

const SHOWN: usize = 12;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    // σ² = ½, so that the distortion is the squared error.
    let square = "likelihood={kind=\"normal\", scale=\"fixed\", sigma=0.7071067811865476}";
    let (point, epochs) = ("posterior={kind=\"point\", latent=8}", "train.epochs=15");
    let objective =
        |terms: &str| format!("objective={{estimator={{kind=\"plain\"}}, terms={{distortion={{}}{terms}}}}}");
    let models = [
        ("autoencoder", "wae-none", vec![square.into(), point.into(), epochs.into(), objective("")]),
        (
            "WAE, λ = 10",
            "wae",
            vec![square.into(), point.into(), epochs.into(), objective(", mmd={weight=10.0}")],
        ),
        (
            "WAE, λ = 1000",
            "wae-strong",
            vec![square.into(), point.into(), epochs.into(), objective(", mmd={weight=1000.0}")],
        ),
        (
            "VAE, optimal σ",
            "wae-vae",
            vec![
                "likelihood={kind=\"normal\", scale=\"optimal\"}".to_string(),
                "posterior={kind=\"diagonal-normal\", latent=8}".into(),
                epochs.into(),
            ],
        ),
    ];
    let mut text = format!(
        "8 latents, held-out images. MMD² measures how far all codes together are from the prior (0: the same):\n\n\
         {:16}{:>26}{:>10}{:>24}",
        "", "error (root mean square)", "MMD²", "sd of codes, least–most"
    );
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for (title, name, settings) in &models {
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let (model, data) = lesson.learn(name, &settings)?;
        if rows.is_empty() {
            rows.push(("x".to_string(), first_rows(&data, Split::Validation, SHOWN)?.x));
        }
        let number = measure(lesson, &model, &data, title)?;
        text.push_str(&format!(
            "\n{title:16}{:>26.3}{:>10.4}{:>17.2} – {:.2}",
            number["error"].as_f64().unwrap_or(f64::NAN),
            number["mmd"].as_f64().unwrap_or(f64::NAN),
            number["least_deviation"].as_f64().unwrap_or(f64::NAN),
            number["greatest_deviation"].as_f64().unwrap_or(f64::NAN),
        ));
        numbers.push(number);
        rows.push(((*title).into(), model.sample(SHOWN, lesson.key("samples"))?.x));
    }
    text.push_str(&against(&numbers));
    let caption = "First row: data. Below: codes drawn from N(0, I), decoded";
    let figure =
        picture("Samples of models that differ in what ties codes to the prior", caption, Vec::new(), rows)?;
    let picture = lesson.draw("wae", &figure)?;
    Ok(Taught { text, numbers: json!(numbers), pictures: vec![picture] })
}

/// Each model's error and MMD² as shares of the first one's.
fn against(numbers: &[Value]) -> String {
    let of = |number: &Value, name: &str| number[name].as_f64().unwrap_or(f64::NAN);
    let Some((first, others)) = numbers.split_first() else { return String::new() };
    let mut text = String::from("\n\nAgainst the autoencoder:");
    for other in others {
        let share = |name: &str| of(other, name) / of(first, name);
        text.push_str(&format!(
            "\n  {:16}{:+.0} % error, {:.1} % of its MMD²",
            other["model"].as_str().unwrap_or_default(),
            100.0 * (share("error") - 1.0),
            100.0 * share("mmd"),
        ));
    }
    text + "\nA WAE has no P(X): what it minimises is a bound of a transport distance between data and samples."
}

fn measure(lesson: &Lesson<'_>, model: &Model, data: &Data, title: &str) -> Result<Value, Failure> {
    let found = terms(model, data, Split::Validation, ROWS, lesson.key("wae"))?;
    let view = model.view();
    let batch = Batch::new(all_rows(data, Split::Validation)?, data.features(), model.weights.device());
    let codes = view.encode(&batch).draw(1, Noise::new(lesson.key("codes"), &batch.ids)).z.z;
    let prior = view.prior(batch.given()).draw(1, Noise::new(lesson.key("prior"), &batch.ids)).z.z;
    let deviation = |of: fn(f64, f64) -> f64, start: f64| {
        found.code_variance.iter().map(|variance| variance.sqrt()).fold(start, of)
    };
    Ok(json!({
        "model": title,
        "error": found.squared_error.value.sqrt(),
        "mmd": scalar(&mmd(codes, prior, &MmdSettings::default())),
        "least_deviation": deviation(f64::min, f64::INFINITY),
        "greatest_deviation": deviation(f64::max, 0.0),
    }))
}
