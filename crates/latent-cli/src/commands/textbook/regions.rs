//! Step 5, regions that touch: each x owns a region q(z|x) of the latent plane.
//!
//! Overlap: Bhattacharyya coefficient of a region with the nearest ones, BC = ∫ √(q_a q_b) dz.
//! Holes: the share of the prior p(z) that lies outside the 95 % ellipse of every region.
//!
//! The encoder gives both: f(x) is four numbers here, the first two are μ(x), the others ln σ_q²(x).
//!
//! Regions that keep apart are codes that know each image and nothing between; a sample from a hole decodes to nonsense.
//! Regions that are all the same say nothing. σ decides: it is the width that an error in x may have.

use latent::Model;
use latent::array::Array;
use latent::data::{Rows, Split};
use latent::evaluate::{chi_square_quantile, holes, overlap, terms};
use latent::figure::{Contours, Figure, LatentView, Mosaic, Region, Regions, regions_and_mosaic};
use latent::generate::Codes;
use serde_json::json;

use super::{Lesson, ROWS, Taught, all_rows};
use crate::failure::Failure;

const SIGMAS: [(f64, &str); 3] = [(0.1, "tight"), (0.3, "touching"), (0.9, "wide")];
/// Regions drawn; numbers are from all.
const SHOWN: usize = 250;
const DRAWS: usize = 20_000;
/// The share of its mass that a region is drawn and counted with.
const MASS: f64 = 0.95;

pub fn run(lesson: &Lesson<'_>) -> Result<Taught, Failure> {
    let mut text = String::new();
    let (mut pictures, mut numbers) = (Vec::new(), Vec::new());
    for (sigma, name) in SIGMAS {
        let (model, data) = lesson.learn(
            &format!("regions-{name}"),
            &[
                &format!("likelihood={{kind=\"normal\", scale=\"fixed\", sigma={sigma}}}"),
                "posterior={kind=\"diagonal-normal\", latent=2}",
                "encoder={kind=\"mlp\", hidden=[256, 128]}",
                "decoder={kind=\"mlp\", hidden=[256, 128]}",
                "train.epochs=12",
            ],
        )?;
        let rows = all_rows(&data, Split::Validation)?;
        let codes = model.encode(&rows)?;
        let draws = model.prior_codes(DRAWS, lesson.key("holes"))?;
        if text.is_empty() {
            text = format!(
                "Two latents, {} held-out images. f(x) gives four numbers, μ(x) and ln σ_q²(x): the region is\n\
                 q(z|x) = N(μ(x), diag σ_q²(x)).\n\n\
                 σ of p(x|z)   rate, nats   mean σ_q   overlap with the nearest   with the nearest 10   holes (share of p(z))",
                codes.mean.rows()
            );
        }
        let value = |mean: Option<latent::evaluate::Mean>| mean.map_or(f64::NAN, |mean| mean.value);
        let (one, ten) = (value(overlap(&codes, 1)), value(overlap(&codes, 10)));
        let hole = value(holes(&codes, &draws, MASS));
        let rate = value(terms(&model, &data, Split::Validation, ROWS, lesson.key("regions"))?.rate);
        let width = codes.deviation.as_ref().map_or(f64::NAN, |deviation| {
            let sum: f64 = deviation.values.iter().map(|&d| f64::from(d)).sum();
            sum / deviation.values.len() as f64
        });
        text.push_str(&format!(
            "\n{sigma:>11}   {rate:>10.2}   {width:>8.3}   {one:>24.3}   {ten:>19.3}   {:>18.1} %",
            100.0 * hole
        ));
        numbers.push(json!({
            "sigma": sigma, "rate": rate, "region_width": width, "overlap_nearest": one,
            "overlap_nearest_10": ten, "holes": hole,
        }));
        let title = format!(
            "σ of p(x|z) = {sigma}: overlap with the nearest {one:.2}, holes in {:.1} % of the prior",
            100.0 * hole
        );
        let figure = plane(&model, &codes, &rows, &title)?;
        pictures.push(lesson.draw(&format!("regions-{name}"), &figure)?);
    }
    text.push_str(
        "\n\nOverlap 1 is the same region, 0 is apart. A single region equal to the prior would leave 5 % outside of its 95 %\n\
         ellipse: that much is no hole. Mind the axes of the pictures: each holds its regions, and the prior's 99 % circle\n\
         has radius 3 in all of them.",
    );
    Ok(Taught { text, numbers: json!(numbers), pictures })
}

/// The regions beside the plane decoded.
fn plane(model: &Model, codes: &Codes, rows: &Rows, title: &str) -> Result<Figure, Failure> {
    let n = codes.mean.rows().min(SHOWN);
    let regions: Vec<Region> = (0..n)
        .map(|row| {
            let pair = |of: &Array| [f64::from(of.row(row)[0]), f64::from(of.row(row)[1])];
            Region::diagonal(pair(&codes.mean), codes.deviation.as_ref().map_or([0.0; 2], pair))
        })
        .collect();
    let shown = Regions {
        regions: &regions,
        classes: &rows.labels[..n.min(rows.labels.len())],
        names: &model.facts.classes,
        prior: Contours::StandardNormal,
        sigmas: chi_square_quantile(2, MASS).sqrt(),
    };
    // Each picture shows the plane as far as its codes reach: those of a small σ lie far beyond the prior.
    let [x, y] = shown.plane();
    let columns = 18;
    let z = Mosaic::codes(columns, columns, x, y).iter().flat_map(|p| p.map(|v| v as f32)).collect();
    let pictures = model.decode(&Array::matrix(z, 2))?.pictures()?;
    let view = LatentView {
        title: title.into(),
        caption: format!(
            "Left: q(z|x) of {n} held-out images, each an ellipse that holds 95 % of it; circles hold 39, 86 and 99 % of \
             the prior (radius 1, 2, 3). Right: the same plane decoded."
        ),
        ..LatentView::default()
    };
    let mosaic = Mosaic { images: pictures.images()?, columns, x, y };
    Ok(regions_and_mosaic(&shown, &mosaic, &view)?)
}
