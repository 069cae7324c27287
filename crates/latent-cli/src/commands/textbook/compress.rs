//! Step 1, compress: a code is a few numbers from which the image can be made again.
//!
//! z = f(x),  x̂ = g(z);    minimise E ‖x − g(f(x))‖²
//!
//! With linear f and g the best that d numbers can do is the plane of the first d principal components. An autoencoder
//! bends that plane. It gets nearer to the data, and knows nothing yet of how likely an x is.

use latent::data::Split;
use latent::evaluate::{Pca, terms};
use latent::generate::first_rows;
use serde_json::json;

use super::{Lesson, ROWS, SIDE, Taught, all_rows, picture};
use crate::failure::Failure;

const SIZES: [usize; 5] = [1, 2, 4, 8, 32];
const SHOWN: usize = 12;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let mut text = String::new();
    let (mut rows, mut numbers, mut pca, mut last) = (Vec::new(), Vec::new(), Vec::new(), f64::NAN);
    for d in SIZES {
        let (model, data) = lesson.learn(
            &format!("compress-{d}"),
            &[
                "likelihood={kind=\"normal\", scale=\"fixed\", sigma=1.0}",
                &format!("posterior={{kind=\"point\", latent={d}}}"),
                "objective={estimator={kind=\"plain\"}, terms={distortion={}}}",
                "train.epochs=15",
            ],
        )?;
        if rows.is_empty() {
            let shown = first_rows(&data, Split::Validation, SHOWN)?;
            rows.push(("x".into(), shown.x));
            let train = all_rows(&data, Split::Train)?;
            let held_out = all_rows(&data, Split::Validation)?;
            pca = linear_errors(&train.x, &held_out.x);
        }
        let found = terms(&model, &data, Split::Validation, ROWS, lesson.key("compress"))?;
        let error = found.squared_error.value.sqrt();
        let shown = first_rows(&data, Split::Validation, SHOWN)?;
        rows.push((format!("d = {d}"), model.reconstruct(&shown)?.x));
        if text.is_empty() {
            text = format!(
                "Compress: x is 784 grey levels in [0, 1]; z = f(x) is d numbers; x̂ = g(z).\n\
                 Root mean square error of x̂ on {} held-out images:\n\n   \
                 d   numbers for each pixel   autoencoder   best linear map (PCA)",
                found.rows
            );
        }
        let linear = pca.get(d).copied().unwrap_or(f64::NAN);
        text.push_str(&format!(
            "\n  {d:2}   {:>22.4}   {error:>11.3}   {linear:>21.3}",
            d as f64 / (SIDE * SIDE) as f64
        ));
        numbers.push(json!({ "d": d, "error": error, "pca_error": linear }));
        last = error;
    }
    let none = pca.first().copied().unwrap_or(f64::NAN);
    text.push_str(&format!(
        "\n\nWithout any code the best guess is the mean image: {none:.3}. With {} numbers {last:.3} remain: look in the \
         picture for\nwhat comes back first, and what last. No P(X) yet: nothing says which z belong to an image.",
        SIZES[SIZES.len() - 1]
    ));
    let figure = picture("An image as d numbers, and back", "Held-out images and g(f(x))", Vec::new(), rows)?;
    let picture = lesson.draw("compress", &figure)?;
    Ok(Taught { text, numbers: json!({ "no_code_error": none, "sizes": numbers }), pictures: vec![picture] })
}

/// The root mean square error on `held_out` of the plane of the first d components of `train`, d = 0, 1, …
fn linear_errors(train: &[f32], held_out: &[f32]) -> Vec<f64> {
    let features = SIDE * SIDE;
    let most = SIZES.into_iter().max().unwrap_or(0);
    let Some(pca) = Pca::fit(train, features, most) else { return Vec::new() };
    let mut sums = vec![0.0; most + 1];
    for x in held_out.chunks(features) {
        let mut left: f64 = x.iter().zip(&pca.mean).map(|(x, m)| (f64::from(*x) - m).powi(2)).sum();
        sums[0] += left;
        for (sum, along) in sums[1..].iter_mut().zip(pca.project(x)) {
            left -= along * along;
            *sum += left;
        }
    }
    sums.iter().map(|sum| (sum / held_out.len() as f64).sqrt()).collect()
}
