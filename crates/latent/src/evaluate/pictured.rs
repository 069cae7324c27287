//! Pictures of images on the page of the report: samples of what `latent sample` draws from, with the training rows nearest to
//! them; reconstructions; ways between rows; and what changes about a typical row.
//!
//! A typical row is the one whose code is nearest the median of all codes: the mean of codes, as the middle of a prior that
//! they don't follow, may lie where no row is. Directions are the principal components of the codes, which differ from each
//! other by construction, in steps of the standard deviation that codes have along them.

use std::path::Path;

use super::report::{About, Book};
use super::sampled::{self, Drawn};
use super::{Findings, Pca, dimensions_by_rate, labelled};
use crate::array::Array;
use crate::batch::Support;
use crate::data::Split;
use crate::error::Result;
use crate::figure::{
    Animation, Figure, GridLabels, Section, image_sheet, interpolation, reconstructions, sample_grid,
    traversal,
};
use crate::generate::{
    Observe, Path as Way, Samples, Told, Traversed, interpolate_pairs, some_rows, told_as, traverse,
};
use crate::run::Run;

/// Samples in the grid.
const SAMPLES: usize = 64;

/// Fewer codes than this are all shown, each once, in the place of samples that would repeat them.
const FEW_CODES: usize = 33;

/// Rows that codes are counted on, and that a typical one is chosen from.
const ROWS: usize = 1000;

/// Samples, reconstructions, an interpolation, traversals.
pub(super) fn pictures(book: &mut Book, about: &About<'_>, folder: &Path, findings: &Findings) -> Result<()> {
    let section = match few_codes(about)? {
        Some(codes) => each_code(book, about, &codes)?,
        None => samples(book, about, folder)?,
    };
    let section = again(book, about, section)?;
    book.section(section);
    let section = between(book, about, Section::new("The space between"))?;
    let section = about_a_row(book, about, findings, section)?;
    if !section.figures.is_empty() {
        book.section(section);
    }
    Ok(())
}

/// The name of the prior, as settings know it.
pub(super) fn prior_of(run: &Run) -> String {
    run.prior.get("kind").and_then(|kind| kind.as_str()).unwrap_or("of its own").replace('-', " ")
}

/// What samples are drawn from, and what is near them.
fn samples(book: &mut Book, about: &About<'_>, folder: &Path) -> Result<Section> {
    let Drawn { name, samples, nearest } = sampled::drawn(about, folder, SAMPLES)?;
    let prior = prior_of(about.run);
    let (by, text) = match name.as_str() {
        "prior" => (
            format!("the prior ({prior})"),
            "Each picture is a code drawn from the prior p(z) and decoded. None of them is in the data: the nearest training rows \
             stand below. Codes of rows never lie quite as the prior does: `latent fit-sampler` learns where they lie, for better \
             samples."
                .to_string(),
        ),
        name => (
            name.to_string(),
            format!(
                "Each picture is a code drawn from {name}, which learned where codes of training rows lie, and decoded. None of \
                 them is in the data: the nearest training rows stand below."
            ),
        ),
    };
    let title = format!("{SAMPLES} samples by {by}, temperature 1, seed {}", about.seed);
    let pictures = samples.pictures()?;
    let grid = sample_grid(&pictures.images()?, &GridLabels::titled(title))?;
    book.save("samples", &grid)?;
    book.save("samples-nearest", &nearest)?;
    let caption = format!("Samples by {by}. The model was trained under the prior: {prior}.");
    Ok(Section::new("Samples").paragraph(text).figure(grid, caption, "A grid of generated images").figure(
        nearest,
        "Samples above the training rows that are nearest to them.",
        "Pairs of generated images and training rows",
    ))
}

/// Every code of a latent that has few; none where it has many, or is told something.
fn few_codes(about: &About<'_>) -> Result<Option<Array>> {
    let latent = &about.model.functions.latent;
    let sizes: Option<Vec<usize>> = latent.supports().into_iter().map(|support| support.values()).collect();
    let count = sizes.iter().flatten().try_fold(1usize, |count, size| count.checked_mul(*size));
    let (Some(sizes), Some(count)) = (sizes, count.filter(|count| *count < FEW_CODES)) else {
        return Ok(None);
    };
    if about.model.functions.condition > 0 || sizes.is_empty() {
        return Ok(None);
    }
    let digits = |mut code: usize| {
        let mut digits: Vec<f32> = Vec::with_capacity(sizes.len());
        for size in sizes.iter().rev() {
            digits.push((code % size) as f32);
            code /= size;
        }
        digits.reverse();
        digits
    };
    Ok(Some(Array::matrix((0..count).flat_map(digits).collect(), sizes.len())))
}

/// What each code decodes to, with the share of held-out rows that have it.
fn each_code(book: &mut Book, about: &About<'_>, codes: &Array) -> Result<Section> {
    let About { model, data, key, .. } = *about;
    let rows = model.encode(&some_rows(data, Split::Validation, ROWS, key)?)?.mean;
    let decoded = model.decode(codes)?.pictures()?;
    let name = |code: &[f32]| {
        let gap =
            if model.functions.latent.supports().iter().all(|s| *s == Support::Bits) { "" } else { " " };
        code.iter().map(|digit| digit.to_string()).collect::<Vec<_>>().join(gap)
    };
    let captions: Vec<String> = (0..codes.rows())
        .map(|code| {
            let code = codes.row(code);
            let of = (0..rows.rows()).filter(|&row| rows.row(row) == code).count();
            format!("{}\n{:.0} %", name(code), 100.0 * of as f64 / rows.rows().max(1) as f64)
        })
        .collect();
    let title = match codes.rows() {
        2 => "Both codes, decoded".to_string(),
        count => format!("All {count} codes, decoded"),
    };
    let sheet = image_sheet(&decoded.images()?, &captions, &GridLabels::titled(title))?;
    book.save("samples", &sheet)?;
    Ok(Section::new("Every code")
        .paragraph(format!(
            "The model has {} codes and no more, so that all of it can be seen: a sample is one of these pictures (and noise about \
             it). Below each stands its code and the share of held-out rows that get it.",
            codes.rows()
        ))
        .figure(sheet, "The mean of p(x|z) at each code.", "The image that each code decodes to"))
}

/// What the prior draws, below a table of samplers that are better.
pub(super) fn the_priors_own(book: &mut Book, about: &About<'_>) -> Result<()> {
    const FEW: usize = 16;
    let About { model, data, key, .. } = *about;
    let told = told_as(model, data, Split::Validation, FEW, key)?;
    let samples = model.sample_told(&told, model.observe(), key.fold("samples"))?.pictures()?;
    let title = format!("{FEW} samples by the prior ({}), seed {}", prior_of(about.run), about.seed);
    let labels = GridLabels { columns: Some(FEW / 2), ..GridLabels::titled(title) };
    let grid = sample_grid(&samples.images()?, &labels)?;
    book.save("samples-prior", &grid)?;
    book.section(Section::new("The prior's own samples").figure(
        grid,
        "For comparison: codes of rows never lie quite as the prior does, and the more a code tells of its row, the less they do.",
        "A grid of images generated from the prior",
    ));
    Ok(())
}

/// Reconstructions of held-out rows.
fn again(book: &mut Book, about: &About<'_>, section: Section) -> Result<Section> {
    let About { model, data, key, .. } = *about;
    let rows = some_rows(data, Split::Validation, 16, key)?;
    let originals = Samples::new(rows.x.clone(), &model.facts).pictures()?;
    let again = model.reconstruct(&rows)?.pictures()?;
    let figure =
        reconstructions(&originals.images()?, &again.images()?, "Validation rows and their reconstructions")?;
    book.save("reconstructions", &figure)?;
    Ok(section.figure(
        figure,
        "Held-out originals above what the decoder makes of their codes.",
        "Pairs of original and reconstructed images",
    ))
}

/// Ways from the codes of rows to those of others, as a sheet and moving.
fn between(book: &mut Book, about: &About<'_>, section: Section) -> Result<Section> {
    const STEPS: usize = 9;
    const MOVING: usize = 17;
    let About { model, data, key, .. } = *about;
    let rows = some_rows(data, Split::Validation, 8, key)?;
    let codes = model.encode(&rows)?.mean;
    // Bits have nothing between them.
    if codes.rows() < 2 || !is_continuous(about) {
        return Ok(section);
    }
    let along = |steps: usize| -> Result<_> {
        let way = interpolate_pairs(&codes, steps, Way::Spherical);
        // On its way a code keeps the condition of the image that it starts from.
        let starts: Vec<usize> = (0..way.rows()).map(|step| step / steps * 2).collect();
        Ok(model.decode_told(&way, &Told::of(&rows).select(&starts), Observe::Mean, key)?.pictures()?)
    };
    let few = along(STEPS)?;
    let figure = interpolation(&few.images()?, STEPS, "From one held-out image to another")?;
    book.save("interpolation", &figure)?;
    let many = along(MOVING)?;
    let moving = Animation::ways(&many.images()?, MOVING)?;
    book.save_moving("interpolation", &moving)?;
    Ok(section
        .figure(
            figure,
            "Each row walks from the code of one held-out image to that of another.",
            "Rows of images that change step by step",
        )
        .animation(moving, "The same ways, moving", "Images that turn into others and back"))
}

/// Whether codes can be moved by any small amount.
fn is_continuous(about: &About<'_>) -> bool {
    let supports = about.model.functions.latent.supports();
    supports.iter().all(|support| matches!(support, Support::Reals | Support::UnitInterval))
}

/// A typical row, moved along directions that differ.
fn about_a_row(book: &mut Book, about: &About<'_>, findings: &Findings, section: Section) -> Result<Section> {
    const DIRECTIONS: usize = 8;
    let About { model, data, key, .. } = *about;
    let rows = some_rows(data, Split::Validation, ROWS, key)?;
    let codes = model.encode(&rows)?.mean;
    let supports = model.functions.latent.supports();
    // What bits change stands with the bits.
    let is_bits = supports.iter().all(|support| *support == Support::Bits);
    let Some(row) = typical(&codes).filter(|_| !is_bits) else { return Ok(section) };
    let from = codes.row(row);
    let dims = model.dims();
    let reals = supports.iter().all(|support| *support == Support::Reals);
    let (moved, names, caption) = match Pca::fit(&codes.values, dims, DIRECTIONS).filter(|_| reals) {
        Some(pca) => {
            let (moved, names) = along(from, &pca, &codes);
            let caption = "A typical row, the one whose code is nearest the median of all (in the middle, at 0), moved along the \
                           principal directions of the codes, in their standard deviations. A direction that is nearly one \
                           latent's own has its name.";
            (moved, names, caption)
        }
        None => {
            let rates = &findings.held_out.rate_per_dimension;
            let shown: Vec<usize> = dimensions_by_rate(rates, dims).into_iter().take(DIRECTIONS).collect();
            let ways: Vec<Traversed> = model.traversal_values(&shown, 7, 3.0);
            let moved = traverse(from, &ways);
            let caption = "A typical row, the one whose code is nearest the median of all, with one latent at a time changed, \
                           those with the highest rate first.";
            (moved, labelled(ways, rates), caption)
        }
    };
    if moved.rows() == 0 {
        return Ok(section);
    }
    let told = Told::of(&rows).select(&vec![row; moved.rows()]);
    let pictures = model.decode_told(&moved, &told, Observe::Mean, key)?.pictures()?;
    let figure: Figure = traversal(&pictures.images()?, &names, "What changes about a typical row")?;
    book.save("traversal", &figure)?;
    Ok(section.figure(figure, caption, "A grid of images, one direction a row"))
}

/// The row whose code is nearest the median of all, each dimension in its own spread; none where there are no rows.
fn typical(codes: &Array) -> Option<usize> {
    let (n, dims) = (codes.rows(), codes.width());
    let quantile = |sorted: &[f32], share: f64| sorted[((n - 1) as f64 * share).round() as usize];
    let mut scale = Vec::with_capacity(dims);
    for dim in 0..dims {
        let mut column: Vec<f32> = (0..n).map(|row| codes.row(row)[dim]).collect();
        if column.is_empty() {
            return None;
        }
        column.sort_by(f32::total_cmp);
        let spread = quantile(&column, 0.75) - quantile(&column, 0.25);
        scale.push((quantile(&column, 0.5), if spread > 0.0 { spread } else { 1.0 }));
    }
    let distance = |row: &usize| -> f32 {
        codes.row(*row).iter().zip(&scale).map(|(z, (median, spread))| ((z - median) / spread).powi(2)).sum()
    };
    (0..n).min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// Steps along the directions in which codes differ, and what each is called. Those that hold next to nothing of the spread
/// are left out.
fn along(from: &[f32], pca: &Pca, codes: &Array) -> (Array, Vec<(String, Vec<f64>)>) {
    /// Directions with less of the spread change nothing that is seen.
    const LEAST: f64 = 0.005;
    /// From this share of a direction on it is one latent's.
    const OWN: f64 = 0.95;
    let values: Vec<f64> = (-3..=3).map(|step| f64::from(step) * 0.8).collect();
    let total: f64 = spread(codes);
    let (mut moved, mut names) = (Vec::new(), Vec::new());
    for (index, (direction, variance)) in pca.directions.iter().zip(&pca.variances).enumerate() {
        let share = variance / total.max(1e-12);
        if share < LEAST && index > 0 {
            continue;
        }
        let own = (0..direction.len()).find(|&dim| direction[dim].powi(2) > OWN);
        let name = own.map_or_else(|| format!("direction {}", index + 1), |dim| format!("z{}", dim + 1));
        names.push((format!("{name}  {:.0} %", 100.0 * share), values.clone()));
        for step in &values {
            let step = step * variance.sqrt();
            moved.extend(from.iter().zip(direction).map(|(z, d)| z + (step * d) as f32));
        }
    }
    (Array::matrix(moved, from.len()), names)
}

/// The variance of codes, summed over dimensions.
fn spread(codes: &Array) -> f64 {
    let n = codes.rows().max(1) as f64;
    (0..codes.width())
        .map(|dim| {
            let column = || (0..codes.rows()).map(|row| f64::from(codes.row(row)[dim]));
            let mean = column().sum::<f64>() / n;
            column().map(|z| (z - mean).powi(2)).sum::<f64>() / n
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_row_is_a_row_and_no_outlier_moves_it() {
        // Nine rows about (1, 10) and two far away: the mean lies where no row is.
        let mut values: Vec<f32> =
            (0..9).flat_map(|i| [1.0 + 0.1 * (i as f32 - 4.0), 10.0 + 0.5 * (i as f32 - 4.0)]).collect();
        values.extend([1e4, -1e4, -1e3, 1e5]);
        assert_eq!(typical(&Array::matrix(values, 2)), Some(4));
        assert_eq!(typical(&Array::matrix(Vec::new(), 2)), None);
        // A dimension that never changes decides nothing.
        assert_eq!(typical(&Array::matrix(vec![5.0, 0.0, 5.0, 1.0, 5.0, 2.0], 2)), Some(1));
    }

    #[test]
    fn directions_differ_and_idle_ones_are_left_out() {
        // z1 alone varies much, z2 less, z3 not at all.
        let codes =
            Array::matrix((0..100).flat_map(|i| [(i % 10) as f32, 0.2 * (i / 10) as f32, 7.0]).collect(), 3);
        let pca = Pca::fit(&codes.values, 3, 8).unwrap();
        let from = [4.0, 1.0, 7.0];
        let (moved, names) = along(&from, &pca, &codes);
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names[0].0.starts_with("z1  96 %") && names[1].0.starts_with("z2  4 %"), "{names:?}");
        assert_eq!(moved.rows(), 14);
        for middle in [3, 10] {
            assert!(moved.row(middle).iter().zip(from).all(|(z, f)| (z - f).abs() < 1e-5));
        }
    }
}
