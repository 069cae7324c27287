//! Step 6, the variational autoencoder: minimise the bound, then draw from the prior.
//!
//! log P(x) = E_q[log p(x|z)] − KL(q(z|x) ‖ p(z)) + KL(q(z|x) ‖ p(z|x)) ≥ −distortion − rate
//!
//! f(x) gives μ(x) and ln σ_q²(x); z = μ(x) + σ_q(x) ε, ε ~ N(0, I), so that gradients pass the draw. Against a plain
//! autoencoder of the same size: what do both reconstruct, and which of them can dream?
//!
//! References: Kingma & Welling (arXiv 1312.6114), Rezende et al. (arXiv 1401.4082).

use latent::data::Split;
use latent::evaluate::{Mean, terms};
use latent::generate::first_rows;
use serde_json::json;

use super::{Lesson, ROWS, Taught, picture};
use crate::failure::Failure;

const SHOWN: usize = 12;
const SCORED: usize = 200;
const DRAWS: usize = 500;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let binary = "data.binarize=threshold";
    let pixels = "likelihood={kind=\"bernoulli\"}";
    let epochs = "train.epochs=25";
    let (vae, data) =
        lesson.learn("vae", &[binary, pixels, epochs, "posterior={kind=\"diagonal-normal\", latent=8}"])?;
    let (plain, _) = lesson.learn(
        "vae-plain",
        &[
            binary,
            pixels,
            epochs,
            "posterior={kind=\"point\", latent=8}",
            "objective={estimator={kind=\"plain\"}, terms={distortion={}}}",
        ],
    )?;
    let found = terms(&vae, &data, Split::Validation, ROWS, lesson.key("vae"))?;
    let alone = terms(&plain, &data, Split::Validation, ROWS, lesson.key("vae"))?;
    let value = |mean: Option<Mean>| mean.map_or(f64::NAN, |mean| mean.value);
    let (rate, bound) = (value(found.rate), -value(found.bound));
    let scored = first_rows(&data, Split::Validation, SCORED)?;
    let scores = vae.score(&scored, DRAWS, lesson.key("score"))?;
    let tighter = Mean::of(&scores.iter().map(|score| score.log_p_lower).collect::<Vec<_>>());
    let ones = vae.score(&scored, 1, lesson.key("score"))?;
    let same_rows = Mean::of(&ones.iter().map(|score| score.log_p_lower).collect::<Vec<_>>());

    let shown = first_rows(&data, Split::Validation, SHOWN)?;
    let key = lesson.key("samples");
    let rows = vec![
        ("x".into(), shown.x.clone()),
        ("autoencoder".into(), plain.reconstruct(&shown)?.x),
        ("VAE".into(), vae.reconstruct(&shown)?.x),
        ("autoencoder, z ~ N(0, I)".into(), plain.sample(SHOWN, key)?.x),
        ("VAE, z ~ N(0, I)".into(), vae.sample(SHOWN, key)?.x),
        ("".into(), vae.sample(SHOWN, key.fold("more"))?.x),
    ];
    let figure = picture(
        "An autoencoder and a VAE of the same size",
        "Held-out images, both models' g(z) at their codes, and g(z) at codes drawn from the prior",
        Vec::new(),
        rows,
    )?;
    let picture = lesson.draw("vae", &figure)?;
    let spread = |variance: &[f64]| (variance.iter().sum::<f64>() / variance.len().max(1) as f64).sqrt();
    let text = format!(
        "VAE, 8 latents, black and white pixels, {} held-out images, nats per image:\n\n  \
         distortion, −E_q log p(x|z)         {:8.2}\n  rate, KL(q ‖ p)                     {rate:8.2}\n  \
         −ELBO, their sum                    {:8.2}\n\nOn the first {} of them, log P(x) is at least\n  \
         {:8.2} ± {:.2} by the ELBO\n  {:8.2} ± {:.2} by importance sampling with {DRAWS} draws\n  \
         the difference, {:.2}, is how much of KL(q(z|x) ‖ p(z|x)), the ELBO's gap, so many draws close.\n\n\
         A plain autoencoder of the same size: distortion {:.2}, no rate. Its codes have standard deviation {:.1}, the VAE's\n\
         {:.2}, the prior 1: where codes are spread much wider than the prior, a draw from the prior is the code of nothing.",
        found.rows,
        found.distortion.value,
        -bound,
        scored.len(),
        same_rows.value,
        same_rows.error,
        tighter.value,
        tighter.error,
        tighter.value - same_rows.value,
        alone.distortion.value,
        spread(&alone.code_variance),
        spread(&found.code_variance),
    );
    let numbers = json!({
        "distortion": found.distortion.value, "rate": rate, "elbo": bound, "elbo_same_rows": same_rows.value,
        "importance": tighter.value, "plain_distortion": alone.distortion.value,
        "plain_code_deviation": spread(&alone.code_variance), "code_deviation": spread(&found.code_variance),
    });
    Ok(Taught { text, numbers, pictures: vec![picture] })
}
