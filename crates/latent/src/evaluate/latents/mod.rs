//! What is in the codes? Who carries the rate, where the codes lie against the prior, what can be read from them.
//!
//! One file a question; [`latents`] asks them all of held-out rows, as many as time allows, and says of how many.

mod activity;
mod bits;
mod books;
mod discrepancy;
mod encoded;
mod figures;
mod probe;
mod realism;
mod spectrum;
mod surgery;

pub use activity::active_units;
pub use bits::{Usage, usage};
pub use books::{BookUsage, book_usage};
pub use discrepancy::mmd;
pub(super) use probe::{NEIGHBOURS, nearest_rows, vote};
pub use probe::{linear_probe, majority, nearest_neighbours, neighbour_accuracy};
pub use spectrum::{participation_ratio, spectrum};
pub use surgery::{Surgery, surgery};

use super::{Better, Estimate, Measure, Section, Subject, information, overlap, regions, tsne};
use crate::array::Array;
use crate::batch::{Given, Support};
use crate::error::Result;
use crate::generate::sampler::two_sample;
use crate::generate::{Codes, Told};
use crate::proportion::{proportion, proportion_of};
use crate::train::COLLAPSE_REMEDY;
use encoded::{Encoded, first};

/// The mass of a region's ellipse.
const MASS: f64 = 0.95;

/// Everything about the codes of a model. Costs grow with pairs of rows, so that each question takes as many rows as its
/// share of `subject.seconds` allows, a number that depends on the settings and never on the machine's mood (encoding
/// alone is cut by the clock).
///
/// # Errors
/// Where the held-out rows cannot be read or a figure cannot be drawn. What is undefined for a model is
/// [absent](Section::absent), with the reason.
pub fn latents(subject: &Subject) -> Result<Section> {
    let mut section = Section::new("latents", "What is in the codes?");
    let encoded = Encoded::of(subject)?;
    if encoded.len() < 2 || encoded.codes.mean.width() == 0 {
        section.absent.push("everything: there are fewer than two held-out rows".into());
        return Ok(section);
    }
    let asked: [(&str, Question); 8] = [
        ("rate and active units", activity_of),
        ("split of the rate", surgery_of),
        ("codes against the prior", prior_of),
        ("regions and holes", regions_of),
        ("spectrum", spectrum_of),
        ("classes in the codes", classes_of),
        ("bits and books", discrete_of),
        ("map of the codes", map_of),
    ];
    let count = asked.len() as f64;
    for (place, (name, question)) in asked.into_iter().enumerate() {
        (subject.progress)(name, place as f64 / count);
        question(subject, &encoded, &mut section)?;
    }
    (subject.progress)("done", 1.0);
    Ok(section)
}

type Question = fn(&Subject, &Encoded, &mut Section) -> Result<()>;

/// As many of `n` rows as fit into `share` of the time, where each pair of rows costs `nanoseconds` a dimension.
fn pairs_within(subject: &Subject, n: usize, share: f64, nanoseconds: f64) -> usize {
    let dims = subject.model.functions.latent.dims().max(1) as f64;
    let rows = |seconds: f64| (share * seconds * 1e9 / (nanoseconds * dims)).sqrt() as usize;
    subject.seconds.map_or(n, |seconds| n.min(rows(seconds).max(256)))
}

fn supports(subject: &Subject, support: Support) -> bool {
    subject.model.functions.latent.blocks.iter().all(|block| block.support == support)
}

/// Rows on the map, at most.
const MAPPED: usize = 1500;

/// A map in which neighbours stay neighbours, coloured by class.
fn map_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    // Five hundred steps over all pairs, some nanoseconds each, whatever the dimensions.
    let dims = subject.model.functions.latent.dims().max(1) as f64;
    let n = pairs_within(subject, encoded.len(), 0.15, 5000.0 / dims).min(MAPPED);
    if let Some(places) = tsne(&first(&encoded.codes.mean, n), 30.0) {
        let classes = if encoded.labels.len() == encoded.len() { &encoded.labels[..n] } else { &[] };
        section.figures.push(figures::map(&places, classes, &subject.model.facts.classes)?);
    }
    Ok(())
}

/// Rate, rate of each dimension, active units.
fn activity_of(_: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let dims = encoded.codes.mean.width();
    if encoded.rate.is_empty() {
        section
            .absent
            .push("rate: the posterior is a point, whose divergence from the prior is infinite".into());
    } else {
        let rate = Estimate::mean(&encoded.rate);
        section.add(
            Measure::new("rate", "rate KL(q(z|x) ‖ p(z))", "nats", rate, encoded.len(), Better::Neither)
                .rows(&encoded.ids, &encoded.rate),
        );
    }
    if !encoded.rate_per_dimension.is_empty() {
        let n = encoded.len() as f64;
        let mut rates = vec![0.0; dims];
        for row in encoded.rate_per_dimension.chunks(dims) {
            rates.iter_mut().zip(row).for_each(|(sum, v)| *sum += v / n);
        }
        section.figures.push(figures::rates(&rates)?);
    } else if !encoded.rate.is_empty() {
        section
            .absent
            .push("rate of each dimension: posterior or prior doesn't split over dimensions".into());
    }
    let active = active_units(&encoded.codes.mean);
    let title = format!("active units, of {dims}");
    section.add(Measure::new("active_units", &title, "", active, encoded.len(), Better::Neither).note(
        "dimensions whose posterior mean varies over the rows by more than 0.01 (Burda et al.); the ends count by 95 % \
         intervals of the variance. The log of training counts dimensions with a rate above 0.01 nats",
    ));
    if active.value == 0.0 {
        let remedy = if encoded.rate.is_empty() { "" } else { COLLAPSE_REMEDY };
        let warning = format!("No unit is active: the code is the same for all rows. {remedy}");
        section.warnings.push(warning.trim_end().into());
    }
    Ok(())
}

/// Mutual information, total correlation, dimension-wise divergence.
fn surgery_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let n = pairs_within(subject, encoded.len(), 0.25, 12.0);
    let (model, view) = (subject.model, subject.model.view());
    let draws = first(&encoded.draws, n);
    let device = model.weights.device();
    if model.functions.prior.is_conditional() {
        let why = "mutual information and the split of the rate: the prior is another for each condition";
        section.absent.push(why.into());
        return Ok(());
    }
    let prior = view.prior(Given::none());
    let Some(split) = surgery(&encoded.posteriors, &draws, prior.as_ref(), device) else {
        section
            .absent
            .push("mutual information and the split of the rate: the posterior has no density".into());
        return Ok(());
    };
    let cap = (n as f64).ln();
    let note =
        format!("by the mixture of all {n} posteriors (Hoffman & Johnson; Chen et al.), one draw a row");
    let mut add = |name: &str, title: &str, values: &[f64], note: String| {
        let measure = Measure::new(name, title, "nats", Estimate::mean(values), n, Better::Neither);
        section.add(measure.note(note).rows(&encoded.ids[..n], values));
    };
    add(
        "mutual_information",
        "index-code mutual information I(n; z)",
        &split.mutual,
        format!("{note}; at most ln {n} = {cap:.2}"),
    );
    add("marginal_kl", "KL(q(z) ‖ p(z)) of the aggregate posterior", &split.marginal, note.clone());
    let parts = [
        ("total_correlation", "total correlation KL(q(z) ‖ Π q(z_j))", &split.total_correlation),
        ("dimension_wise_kl", "dimension-wise Σ KL(q(z_j) ‖ p(z_j))", &split.dimension_wise),
    ];
    let mut missing = Vec::new();
    for (name, title, values) in parts {
        match values {
            Some(values) => add(name, title, values, note.clone()),
            None => missing.push(format!("{name}: posterior or prior doesn't split over dimensions")),
        }
    }
    section.absent.extend(missing);
    let mutual = Estimate::mean(&split.mutual).value;
    if mutual > cap - 1.0 {
        section.warnings.push(format!(
            "The mutual information of {mutual:.2} nats is close to its cap ln {n} = {cap:.2}: the codes say more of the \
             rows than {n} rows can show. Read it as a lower bound, and the divergence of the aggregate posterior with its \
             total correlation as upper bounds; more held-out rows, or --full, raise the cap.",
        ));
    }
    Ok(())
}

/// MMD and the classifier two-sample test, on draws of q (codes where q is a point).
fn prior_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let key = subject.key.fold("latents");
    let prior = subject.model.prior_codes_told(&encoded.told, key.fold("against"))?;
    // The kernel's seven quotients cost as much as some twenty dimensions.
    let dims = encoded.draws.width() as f64;
    let n = pairs_within(subject, encoded.len(), 0.15, 3.0 + 60.0 / dims);
    match mmd(&first(&encoded.draws, n), &first(&prior, n)) {
        Some(value) => section.add(
            Measure::new(
                "mmd",
                "squared MMD, aggregate posterior against prior",
                "",
                value,
                n,
                Better::Lower,
            )
            .note(format!(
                "unbiased; inverse multiquadratic kernel summed over 7 scales, C = 2·{dims}·s; one draw a row"
            )),
        ),
        None => section.absent.push("MMD: fewer than 40 rows".into()),
    }
    let n = if subject.seconds.is_some() { encoded.len().min(5000) } else { encoded.len() };
    match two_sample(&first(&encoded.draws, n), &first(&prior, n), key.fold("two-sample")) {
        Ok(found) if n >= 40 => {
            let value =
                Estimate { value: found.accuracy, low: found.accuracy_low, high: found.accuracy_high };
            let title = "classifier two-sample accuracy, aggregate posterior against prior";
            section.add(
                Measure::new("two_sample_accuracy", title, "", value, found.n, Better::Lower)
                    .note("½: not told apart; ridge logistic regression on z, squares, products and random rectified projections, cross-fitted")
                    .within(format!("n = {}", found.n)),
            );
            if value.low > 0.6 {
                section.warnings.push(format!(
                    "A classifier tells codes of the data from the prior's with accuracy {:.2}: draws of the prior are not \
                     codes that the decoder has seen. Fit a sampler to the codes (`latent fit-sampler`).",
                    value.value
                ));
            }
        }
        _ => section.absent.push("classifier two-sample test: fewer than 40 codes".into()),
    }
    Ok(())
}

/// Overlap of regions, holes, and what decodes there look like.
fn regions_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let all = &encoded.codes;
    let Some(deviation) = all.deviation.as_ref().filter(|_| supports(subject, Support::Reals)) else {
        section.absent.push("overlap and holes: the codes are no regions of real space".into());
        return Ok(());
    };
    let cut = |n: usize| Codes { mean: first(&all.mean, n), deviation: Some(first(deviation, n)) };
    let n = pairs_within(subject, encoded.len(), 0.1, 40.0).min(2000);
    if let Some(value) = overlap(&cut(n), 5) {
        let measure = Measure::new(
            "overlap",
            "overlap of a region with its 5 nearest",
            "",
            Estimate::normal(value.value, value.error).within(0.0, 1.0),
            n,
            Better::Neither,
        );
        section.add(
            measure.note(
                "Bhattacharyya coefficient of q(z|x) and q(z|x′): 1 the same, 0 apart; it grows with n; the interval takes the other regions as given",
            ),
        );
    }
    let n = encoded.len();
    let rows: Vec<usize> = (0..1000).map(|row| row % n.max(1)).collect();
    let told = encoded.told.select(&rows);
    let draws = subject.model.prior_codes_told(&told, subject.key.fold("latents").fold("holes"))?;
    let Some(outside) = regions::outside(all, &draws, MASS) else { return Ok(()) };
    let measure = Measure::new(
        "holes",
        "prior mass outside every region's 95 % ellipse",
        "",
        proportion_of(&outside),
        draws.rows(),
        Better::Lower,
    );
    let note = format!("against the regions of {n} rows; more rows leave fewer holes");
    section.add(measure.note(note).within(format!("regions of {n} rows")));
    realism_of(subject, encoded, (&draws, &told), &outside, section)
}

/// Distance to the data of decodes inside holes and elsewhere.
fn realism_of(
    subject: &Subject,
    encoded: &Encoded,
    (draws, told): (&Array, &Told),
    outside: &[bool],
    section: &mut Section,
) -> Result<()> {
    const LEAST: usize = 30;
    let (in_holes, inside): (Vec<usize>, Vec<usize>) = (0..draws.rows()).partition(|&row| outside[row]);
    if in_holes.len() < LEAST {
        section.absent.push(format!("realism of holes: {} of 1000 draws lie in one", in_holes.len()));
        return Ok(());
    }
    let rows = |rows: &[usize]| {
        let rows = &rows[..rows.len().min(500)];
        let codes = rows.iter().flat_map(|&row| draws.row(row).iter().copied()).collect();
        (Array::matrix(codes, draws.width()), told.select(rows))
    };
    // Where nearly all of the prior is hole, elsewhere is where the data's own codes are.
    let (elsewhere, whence) = if inside.len() >= LEAST {
        (rows(&inside), "prior draws inside a region")
    } else {
        let own: Vec<usize> = (0..encoded.len().min(500)).collect();
        let codes = (first(&encoded.draws, 500), encoded.told.select(&own));
        (codes, "draws of q, since nearly all of the prior is hole")
    };
    let holes = rows(&in_holes);
    let (in_hole, reference) = realism::distances(subject, (&holes.0, &holes.1))?;
    let (other, _) = realism::distances(subject, (&elsewhere.0, &elsewhere.1))?;
    let set = if subject.train.is_some() { "training" } else { "held-out" };
    let note =
        format!("root mean square over features, normalised units, to the nearest of {reference} {set} rows");
    let (a, b) = (super::Mean::of(&in_hole), super::Mean::of(&other));
    let title = "distance to the data of decodes in holes";
    let hole =
        Measure::new("hole_distance", title, "", Estimate::mean(&in_hole), in_hole.len(), Better::Neither);
    section.add(hole.note(note.clone()));
    let title = "distance to the data of decodes elsewhere";
    let elsewhere =
        Measure::new("region_distance", title, "", Estimate::mean(&other), other.len(), Better::Neither);
    section.add(elsewhere.note(format!("{note}; {whence}")));
    let gap = Estimate::normal(a.value - b.value, (a.error.powi(2) + b.error.powi(2)).sqrt());
    let title = "realism lost in holes: the difference of both";
    section
        .add(Measure::new("hole_gap", title, "", gap, in_hole.len() + other.len(), Better::Lower).note(note));
    if gap.low > 0.1 * b.value {
        section.warnings.push(format!(
            "Samples from holes lie {:.0} % farther from the data than others. Fit a sampler to the codes \
             (`latent fit-sampler`).",
            100.0 * gap.value / b.value
        ));
    }
    Ok(())
}

/// Eigenvalues of the covariance of codes and draws.
fn spectrum_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let n = encoded.len();
    match participation_ratio(&encoded.codes.mean) {
        Some(value) => {
            let title = "participation ratio: directions in which the codes spread";
            let measure = Measure::new("participation_ratio", title, "", value, n, Better::Neither);
            section.add(measure.note("(Σ λ)² / Σ λ² of the covariance of the codes' means"));
        }
        None => {
            section.absent.push("participation ratio: the codes don't spread, or are fewer than 40".into())
        }
    }
    if let (Some(means), Some(draws)) = (spectrum(&encoded.codes.mean), spectrum(&encoded.draws)) {
        let standard = subject.model.functions.prior.is_standard_normal();
        match figures::spectra(&means, &draws, standard)? {
            Some(picture) => section.figures.push(picture),
            None => section.absent.push("the spectrum of the codes: all rows have the same code".into()),
        }
    }
    Ok(())
}

/// Linear probe and nearest neighbours, where there are labels.
fn classes_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    if encoded.labels.len() != encoded.len() {
        section.absent.push("accuracy of probes: the held-out rows have no labels".into());
        return Ok(());
    }
    let n = pairs_within(subject, encoded.len(), 0.1, 1.0);
    let (codes, labels, ids) = (first(&encoded.codes.mean, n), &encoded.labels[..n], &encoded.ids[..n]);
    let baseline = majority(labels);
    let note = format!("the most frequent class has a share of {baseline:.3}");
    let mut add = |name: &str, title: &str, right: &[bool], accuracy: Estimate, how: &str| {
        let values: Vec<f64> = right.iter().map(|right| f64::from(u8::from(*right))).collect();
        let measure = Measure::new(name, title, "", accuracy, n, Better::Higher);
        // Both learn from the rows.
        section.add(measure.note(format!("{how}; {note}")).within(format!("n = {n}")).rows(ids, &values));
    };
    let (right, accuracy) = neighbour_accuracy(&codes, labels, probe::NEIGHBOURS);
    add(
        "nearest_neighbours",
        "accuracy of 10 nearest neighbours",
        &right,
        accuracy,
        "each row against all others, by the mean",
    );
    match linear_probe(&codes, labels) {
        Some(right) => add(
            "linear_probe",
            "accuracy of a linear probe",
            &right,
            proportion_of(&right),
            "ridge logistic regression on the means, cross-fitted on halves",
        ),
        None => section.absent.push("linear probe: a code is not finite".into()),
    }
    let most = (baseline * n as f64).round() as usize;
    let title = "share of the most frequent class";
    section.add(Measure::new("majority_class", title, "", proportion(most, n), n, Better::Neither));
    Ok(())
}

/// Usage and perplexity, of codes that are all bits and of each book of indices.
fn discrete_of(subject: &Subject, encoded: &Encoded, section: &mut Section) -> Result<()> {
    let n = encoded.len();
    let mut books = 0;
    for (block, columns) in subject.model.functions.latent.ranges() {
        let Support::Index(size) = block.support else { continue };
        books += 1;
        let used = book_usage(&encoded.codes.mean, columns, size);
        let of = |what: &str| if block.name == "z" { what.into() } else { format!("{what}:{}", block.name) };
        let titled =
            |what: &str| if block.name == "z" { what.into() } else { format!("{}: {what}", block.name) };
        let title = titled(&format!("codes in use, of {size}"));
        let codes = Estimate::exact(used.codes as f64);
        section.add(
            Measure::new(&of("codes_used"), &title, "", codes, n, Better::Higher)
                .note("vectors of the book that some place of some row is nearest to")
                .within(format!("n = {n}")),
        );
        let dead = Estimate::exact((size - used.codes.min(size)) as f64);
        section.add(
            Measure::new(&of("dead_codes"), &titled("dead codes"), "", dead, n, Better::Lower)
                .note(format!("of {size}: no place of any row has them"))
                .within(format!("n = {n}")),
        );
        let title = titled("perplexity of the book");
        section.add(
            Measure::new(&of("perplexity"), &title, "codes", used.perplexity, n, Better::Higher)
                .note(format!("exp of the entropy of indices over places and rows; at most {size}"))
                .within(format!("n = {n}")),
        );
    }
    if supports(subject, Support::Bits) {
        return bits_of(encoded, section);
    }
    if books == 0 {
        section.absent.push("usage and perplexity: the code is not discrete".into());
    }
    Ok(())
}

/// Usage and perplexity of bits.
fn bits_of(encoded: &Encoded, section: &mut Section) -> Result<()> {
    let (n, dims) = (encoded.len(), encoded.codes.mean.width());
    let used = usage(&encoded.codes.mean);
    let title = format!("bits in use, of {dims}");
    let bits = Estimate::exact(used.bits as f64);
    section.add(
        Measure::new("bits_in_use", &title, "", bits, n, Better::Higher)
            .note("bits whose mean over rows has an entropy above 0.01 nats")
            .within(format!("n = {n}")),
    );
    let title = "different codes of the rows";
    let codes = Measure::new("codes", title, "", Estimate::exact(used.codes as f64), n, Better::Higher);
    section.add(codes.within(format!("n = {n}")));
    if encoded.labels.len() == n {
        let key = |row: usize| encoded.codes.mean.row(row).iter().map(|v| *v > 0.5).collect::<Vec<_>>();
        let mut seen = std::collections::BTreeMap::new();
        let of: Vec<u32> = (0..n)
            .map(|row| {
                let next = seen.len() as u32;
                *seen.entry(key(row)).or_insert(next)
            })
            .collect();
        let found = information(&of, &encoded.labels);
        let bits = |nats: f64| nats / std::f64::consts::LN_2;
        let title = "mutual information of code and class";
        let shared = Estimate::exact(bits(found.mutual));
        section.add(
            Measure::new("bit_class_information", title, "bits", shared, n, Better::Neither).note(format!(
                "from counts, of the {:.2} bits that the class has; too high by about (codes − 1)(classes − 1) / 2n nats",
                bits(found.second)
            )),
        );
    }
    let most = if dims < 53 { (1u64 << dims).min(n as u64) } else { n as u64 };
    section.add(
        Measure::new("perplexity", "perplexity of the codes", "codes", used.perplexity, n, Better::Higher)
            .note(format!("exp of the entropy of counted codes, Miller's correction; at most {most}"))
            .within(format!("n = {n}")),
    );
    Ok(())
}
