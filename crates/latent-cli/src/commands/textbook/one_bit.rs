//! Step 2, the one-bit code: the smallest model with a P(X), and it is known exactly.
//!
//! P(x) = P(z = 0) p(x|0) + P(z = 1) p(x|1)
//!
//! Trousers and ankle boots, pixels turned to black and white so that P(x) is the probability of an image. Nobody tells
//! the encoder the classes; the mutual information I(z; label), at most 1 bit, says how much of them it found.

use latent::batch::{Batch, Given, Latent};
use latent::data::Split;
use latent::device::host_f64;
use latent::evaluate::{Mean, information, terms};
use latent::model::log_density_by_enumeration;
use serde_json::json;

use super::{Lesson, ROWS, SIDE, Taught, all_rows, picture};
use crate::failure::Failure;

const SHOWN: usize = 11;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let (model, data) = lesson.learn(
        "one-bit",
        &[
            "data.classes=[\"Trouser\", \"Ankle boot\"]",
            "data.binarize=threshold",
            "likelihood={kind=\"bernoulli\"}",
            "posterior={kind=\"bits\", latent=1, gradient=\"relaxed\", temperature=1.0}",
            "prior={kind=\"bits\", learned=true}",
            "train.epochs=60",
            "train.optimizer.learning_rate=3e-3",
            // Weighed in full from the start, the rate can drop the bit before the decoder reads it.
            "objective.terms.rate.schedule={kind=\"linear\", epochs=20}",
        ],
    )?;
    let (view, device) = (model.view(), model.weights.device());
    let rows = all_rows(&data, Split::Validation)?;
    let bits: Vec<u32> = model.encode(&rows)?.mean.values.iter().map(|&z| u32::from(z > 0.5)).collect();
    let found = information(&bits, &rows.labels);
    let in_bits = |nats: f64| nats / std::f64::consts::LN_2;

    let names = &data.facts().classes;
    let count = |bit: u32, label: u32| {
        bits.iter().zip(&rows.labels).filter(|(b, l)| **b == bit && **l == label).count()
    };
    let table = [0, 1].map(|bit| [count(bit, 0), count(bit, 1)]);

    let codes = Latent::new(device.tensor(vec![0.0, 1.0], [2, 1]));
    let prior = view.prior(Given::none()).log_density(&codes).map(|p| host_f64(&p)).unwrap_or_default();
    let prior: Vec<f64> = prior.into_iter().map(f64::exp).collect();
    let batch = Batch::new(rows.clone(), data.features(), device);
    let exact = Mean::of(&host_f64(&log_density_by_enumeration(&view, &batch)?));
    let bound = terms(&model, &data, Split::Validation, ROWS, lesson.key("one-bit"))?.bound;
    let bound = bound.map_or(f64::NAN, |bound| -bound.value);
    let without = Mean::of(&independent_pixels(&data.facts().mean, data.facts().rows[0], &rows.x));

    let means = model.decode(&latent::array::Array::matrix(vec![0.0, 1.0], 1))?.x;
    let mut shown = Vec::new();
    for bit in 0..2u32 {
        let mut pixels = means[bit as usize * SIDE * SIDE..][..SIDE * SIDE].to_vec();
        let members = bits.iter().zip(rows.x.chunks(SIDE * SIDE)).filter(|(b, _)| **b == bit);
        pixels.extend(members.take(SHOWN).flat_map(|(_, x)| x));
        // Where a code has too few members, the rest of its row stays black.
        pixels.resize((SHOWN + 1) * SIDE * SIDE, 0.0);
        shown.push((format!("z = {bit}"), pixels));
    }
    let mut columns = vec!["g(z)".to_string(), "x".to_string()];
    columns.resize(SHOWN + 1, String::new());
    let caption = "Left: what each code decodes to, E[x|z]. Beside it held-out images that get this code";
    let figure = picture("A code of one bit", caption, columns, shown)?;
    let picture = lesson.draw("one-bit", &figure)?;

    let text = format!(
        "One bit: z ∈ {{0, 1}}, learned without labels from {} and {}, {} held-out images of them.\n\n\
         {:>24} {:>12} {:>8}\n  z = 0, P(z) = {:.3} {:>14} {:>8}\n  z = 1, P(z) = {:.3} {:>14} {:>8}\n\n\
         I(z; label) = {:.3} bit of H(label) = {:.3} bit: how much of the label the code found.\n\n\
         log P(x), nats per image:\n  exactly, ln Σ_z p(z) p(x|z)          {:9.2} ± {:.2}\n  \
         by the ELBO, −distortion − rate      {:9.2}\n  without a code, independent pixels   {:9.2}\n\n\
         One bit holds at most ln 2 = 0.69 nats, and changes log P(x) by {:+.0}: every pixel may depend on it.",
        names[0],
        names[1],
        bits.len(),
        "",
        names[0],
        names[1],
        prior[0],
        table[0][0],
        table[0][1],
        prior[1],
        table[1][0],
        table[1][1],
        in_bits(found.mutual),
        in_bits(found.second),
        exact.value,
        exact.error,
        bound,
        without.value,
        exact.value - without.value,
    );
    let numbers = json!({
        "mutual_information_bits": in_bits(found.mutual), "label_entropy_bits": in_bits(found.second),
        "counts": table, "prior": prior, "log_p": exact.value, "log_p_error": exact.error, "elbo": bound,
        "log_p_without_code": without.value,
    });
    Ok(Taught { text, numbers, pictures: vec![picture] })
}

/// log P of each row if every pixel were drawn on its own with the frequency it has in `n` training rows.
fn independent_pixels(mean: &[f32], n: u64, x: &[f32]) -> Vec<f64> {
    let n = n as f64;
    // Half a count more on each side, so that a pixel that was never lit may be.
    let p: Vec<f64> = mean.iter().map(|&m| (f64::from(m) * n + 0.5) / (n + 1.0)).collect();
    let log = |(x, p): (&f32, &f64)| if *x > 0.5 { p.ln() } else { (1.0 - p).ln() };
    x.chunks(mean.len()).map(|x| x.iter().zip(&p).map(log).sum()).collect()
}
