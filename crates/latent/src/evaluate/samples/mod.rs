//! How like the data are the samples? Distances between sets of features, every set of n rows against the same n held-out
//! ones, so that the numbers stand beside each other.
//!
//! ```text
//! held-out rows ─┬─ reference ◀── compared with ──┬── other held-out rows: the floor, what the data itself reaches
//!                └─ others                        ├── decoded draws of their q(z|x): the floor of any sampler
//!                                                 └── samples, one set a sampler
//! ```
//!
//! Beside them stands how much [power](super::power) fine frequencies of pictures have.
//!
//! Measures are named `frechet:prior`, `kid:held-out`, `coverage:posterior`: what is measured, of which set; and `closed:maf`,
//! the part of the way from the prior to the floor that a fitted sampler goes.

mod closed;
mod frechet;
mod kernel_distance;
mod neighbours;

use std::path::Path;
use std::time::Instant;

pub use closed::closed;
pub use frechet::{Distance, frechet};
pub use kernel_distance::kernel_distance;
pub use neighbours::{Neighbourhoods, neighbourhoods};

use super::features::{Features, features_for, features_in_parts};
use super::power::{BANDS, Power, apart, measure as detail_measure, power};
use super::{Better, Measure, Section, Subject};
use crate::array::Array;
use crate::data::ValueKind;
use crate::error::Result;
use crate::generate::sampler::{Choice, FittedSampler, How};
use crate::generate::{Observe, Samples, Told};
use crate::key::Key;
use crate::member::Registry;
use crate::model::Model;
use crate::words::thousands;

/// Draws a sample for each row that is told of, with that key. Called for a part at a time, each with a key of its own.
pub type SampleSource<'a> = Box<dyn Fn(&Told, Key) -> Result<Samples> + 'a>;

/// What of p(x|z) is compared with rows of the data: draws where these are bits, whose mean is grey and like none of them.
pub(crate) fn compared(model: &Model) -> Observe {
    if model.facts.kind == ValueKind::Binary { Observe::Draw } else { model.observe() }
}

/// The model's own prior as a source.
pub fn prior_source(model: &Model) -> SampleSource<'_> {
    Box::new(|told, key| Ok(model.sample_told(told, compared(model), key)?))
}

/// A source of codes, decoded into what is compared with the data.
pub fn source_of_codes<'a>(
    model: &'a Model,
    codes: impl Fn(&Told, Key) -> Result<Array> + 'a,
) -> SampleSource<'a> {
    Box::new(move |told, key| {
        let codes = codes(told, key.fold("codes"))?;
        Ok(model.decode_told(&codes, told, compared(model), key.fold("decode"))?)
    })
}

/// The prior and each sampler that was fitted beside the model in `folder`, by name, as sources.
///
/// # Errors
/// What [`Choice::of`] and [`FittedSampler::load`] say of files that are broken.
pub fn sources<'a>(model: &'a Model, folder: &Path) -> Result<Vec<(String, SampleSource<'a>)>> {
    let registry = Registry::default();
    let mut sources = vec![("prior".to_string(), prior_source(model))];
    let fitted = Choice::of(model, folder)?.map(|choice| choice.table).unwrap_or_default();
    for name in fitted.into_iter().map(|row| row.sampler).filter(|name| name != "prior") {
        let sampler = FittedSampler::load(model, folder, &name, &registry)?;
        let draw = move |told: &Told, key| Ok(sampler.draw_told(model, told, &How::default(), key)?);
        sources.push((name, source_of_codes(model, draw)));
    }
    Ok(sources)
}

/// Repeats the headline numbers of the sampler that `latent sample` draws from, under the name `chosen`: the one that was
/// chosen on validation rows, so that runs are compared by samplers that no test row chose.
pub fn name_chosen(section: &mut Section, chosen: &str) {
    let of = |name: &str| ["frechet", "kid", "closed"].map(|what| format!("{what}:{name}"));
    for (name, repeated) in of(chosen).iter().zip(of("chosen")) {
        if let Some(found) = section.get(name).cloned() {
            let title = found.title.replace(chosen, &format!("{chosen}, chosen on validation rows"));
            section.add(Measure { name: repeated, title, ..found });
        }
    }
}

/// The neighbour whose distance is the radius of a ball.
pub const NEIGHBOURS: usize = 5;

/// A set has at most this many rows: pairs of rows grow with the square.
const MOST: usize = 10_000;

/// And at least this many.
pub const LEAST: usize = 100;

/// The distances of each sampler's samples from held-out rows, on the [features](features_for) of the model's data. Without
/// samplers it is the prior.
///
/// # Errors
/// Where data cannot be read, or a sampler fails.
pub fn samples(subject: &Subject<'_>, samplers: &[(String, SampleSource<'_>)]) -> Result<Section> {
    samples_on(subject, samplers, features_for(subject)?.as_ref())
}

/// [`samples`] on features of one's own.
///
/// # Errors
/// As [`samples`].
pub fn samples_on(
    subject: &Subject<'_>,
    samplers: &[(String, SampleSource<'_>)],
    features: &dyn Features,
) -> Result<Section> {
    let mut section = Section::new("samples", "How like the data are the samples?");
    let (data, split) = subject.held_out;
    let prior = [("prior".to_string(), prior_source(subject.model))];
    let samplers = if samplers.is_empty() { &prior[..] } else { samplers };

    let order = subject.key.fold("samples").fold("rows").permutation(data.len(split));
    let n = size(subject, features, &order, samplers.len() + 3)?;
    if n < LEAST {
        section.absent.push(format!(
            "Distances between sets need two sets of {LEAST} held-out rows; there are {} rows: give more held-out data.",
            data.len(split)
        ));
        return Ok(section);
    }
    if let Some(asked) = subject.set.filter(|&asked| asked > n) {
        let why = match data.len(split) / 2 < asked {
            true => format!(
                "half of the {} held-out rows, as the other half is what they are compared with",
                data.len(split)
            ),
            false => "the most that pairs of rows are computed for".into(),
        };
        section.warnings.push(format!("Sets of {asked} rows were asked for and have {n}: {why}."));
    }
    let facts = &subject.model.facts;
    let total = samplers.len() + 3;
    let is_image = facts.shape.is_image();
    let of = |what: &str, done: usize, part: &mut dyn FnMut(std::ops::Range<usize>) -> Result<Samples>| {
        let mut detail: Vec<Power> = Vec::new();
        let part = &mut |range: std::ops::Range<usize>| -> Result<Samples> {
            let samples = part(range)?;
            if is_image {
                detail.extend(power(&samples.pictures()?));
            }
            Ok(samples)
        };
        let progress = |share: f64| {
            (subject.progress)(&format!("features of {what}"), (done as f64 + share) / total as f64)
        };
        let found = features_in_parts(features, n, part, &progress)?;
        Ok::<_, crate::error::Error>((found, detail))
    };
    let rows = |range: std::ops::Range<usize>| data.rows(split, &order[range], 0);
    let (reference, data_power) =
        of("the reference", 0, &mut |range| Ok(Samples::new(rows(range)?.x, facts)))?;
    let other = |range: std::ops::Range<usize>| rows(range.start + n..range.end + n);
    let (floor, floor_power) =
        of("other held-out rows", 1, &mut |range| Ok(Samples::new(other(range)?.x, facts)))?;
    // Draws, not centres: samplers are fitted on draws.
    let (posterior, posterior_power) = of("decoded draws of q", 2, &mut |range| {
        let (model, key) = (subject.model, subject.key.fold("rebuilt").fold(range.start));
        let rows = other(range)?;
        let codes = model.draw_codes(&rows, key.fold("codes"))?;
        Ok(model.decode_told(&codes, &Told::of(&rows), compared(model), key)?)
    })?;

    let note =
        format!("against {n} other held-out rows; on features of {}; expectation at this n", features.name());
    // What the experiment on coverage found (docs/results/intervals.md).
    let same =
        format!("{note}; both sets have one distribution, which makes the interval up to half too wide");
    measure(&mut section, "held-out", "held-out rows themselves", &same, &reference, &floor);
    let words = "decoded draws of q(z|x), the floor of any sampler";
    let floor = measure(&mut section, "posterior", words, &note, &reference, &posterior);
    let mut distances = Vec::new();
    let mut powers = vec![
        ("held-out", "held-out rows themselves".to_string(), floor_power),
        ("posterior", words.to_string(), posterior_power),
    ];
    for (index, (name, source)) in samplers.iter().enumerate() {
        let key = subject.key.fold("samples").fold(name.as_str());
        let (set, detail) = of(&format!("samples, {name}"), index + 3, &mut |range| {
            // Samples are told what the other held-out rows are.
            let told = match subject.model.functions.condition {
                0 => Told::nothing(range.len()),
                _ => Told::of(&other(range.clone())?),
            };
            source(&told, key.fold(range.start))
        })?;
        if set.values.iter().any(|v| !v.is_finite()) {
            section
                .absent
                .push(format!("{name}: a sample's features are not finite numbers; no distance is defined."));
            continue;
        }
        let found = measure(&mut section, name, &format!("samples, {name}"), &note, &reference, &set);
        distances.extend(found.map(|found| (name.as_str(), found)));
        powers.push((name, format!("samples, {name}"), detail));
    }
    ways(&mut section, floor.as_ref(), &distances);
    section.warnings.extend(too_few(&section, n, features.dims()));
    section.on(features, 0);
    for (set, words, detail) in powers {
        for (band, (name, _)) in BANDS.into_iter().enumerate() {
            if let Some(estimate) = apart(&data_power, &detail, band) {
                let note = format!("against {n} other held-out rows");
                section.add(detail_measure(
                    &format!("power_{name}:{set}"),
                    band,
                    &format!(", {words}"),
                    estimate,
                    n,
                    &note,
                ));
            }
        }
    }
    (subject.progress)("distances", 1.0);
    Ok(section)
}

/// A distance that comes from too few rows is held up by two sets of one distribution, and falls about as 1/n.
const NEGLIGIBLE: f64 = 0.05;

/// That the Fréchet distance is too large at this n, and from which n on it means something by itself: where that of held-out
/// rows from each other is a small part of that of the floor.
fn too_few(section: &Section, n: usize, dims: usize) -> Option<String> {
    let value = |set: &str| section.get(&format!("frechet:{set}")).map(|measure| measure.estimate.value);
    let (chance, floor) = (value("held-out")?, value("posterior")?);
    let wanted = n as f64 * chance / (NEGLIGIBLE * floor);
    (n < 2 * dims && chance > NEGLIGIBLE * floor).then(|| {
        // Two digits: it is a rough number.
        let scale = 10f64.powf(wanted.max(10.0).log10().floor() - 1.0);
        format!(
            "The Fréchet distance compares covariances of {dims} features estimated from {n} rows: of one distribution two sets \
             of that size are {chance:.1} apart. It is only fit to rank sets of that size; by itself it means something from \
             about {} rows a set on, where chance would be {:.0} % of the floor. Give more held-out rows or more time.",
            thousands(((wanted / scale).round() * scale) as u64),
            100.0 * NEGLIGIBLE
        )
    })
}

/// How many rows a set has: as many as are asked for, or as the time allows, from the time that a first part takes; half of
/// the held-out rows at most.
fn size(subject: &Subject<'_>, features: &dyn Features, order: &[usize], sets: usize) -> Result<usize> {
    const PROBE: usize = 32;
    let half = (order.len() / 2).min(MOST);
    if let Some(n) = subject.set {
        return Ok(half.min(n));
    }
    let Some(seconds) = subject.seconds.filter(|_| half >= LEAST) else { return Ok(half) };
    let (data, split) = subject.held_out;
    let rows = data.rows(split, &order[..PROBE.min(half)], 0)?;
    let probe = Samples::new(rows.x, &subject.model.facts);
    let started = Instant::now();
    features.of(&probe)?;
    let each = started.elapsed().as_secs_f64() / probe.len() as f64;
    // Distances take about a fifth of the time that features take.
    let affordable = 0.8 * seconds / (each * sets as f64).max(1e-9);
    Ok(half.min(affordable as usize).max(LEAST))
}

/// What part of the way from the prior to the floor each fitted sampler goes.
fn ways(section: &mut Section, floor: Option<&Distance>, samplers: &[(&str, Distance)]) {
    let prior = samplers.iter().find(|(name, _)| *name == "prior").map(|(_, distance)| distance);
    let (Some(prior), Some(floor)) = (prior, floor) else { return };
    for (name, found) in samplers.iter().filter(|(name, _)| *name != "prior") {
        let n = found.pulls[0].len();
        let Some(estimate) = closed(prior, found, floor) else {
            section.absent.push(format!(
                "closed, {name}: the prior's samples are no further from the data than decoded draws of q are, so there is \
                 no way to close"
            ));
            continue;
        };
        let title = format!("way from the prior to the floor that is closed, {name}");
        let note = "(prior − sampler) / (prior − decoded draws of q), in Fréchet distances at this n; infinitesimal jackknife of \
                    the ratio; above 1 by chance or where the sampler is smoother than q";
        let measure = Measure::new(&format!("closed:{name}"), &title, "", estimate, n, Better::Higher);
        section.add(measure.note(note).within(format!("n = {n}")));
    }
}

/// The six numbers of one set; its Fréchet distance once more, for what is made of it.
fn measure(
    section: &mut Section,
    set: &str,
    words: &str,
    note: &str,
    reference: &Array,
    found: &Array,
) -> Option<Distance> {
    let n = found.rows();
    let mut add = |name: &str, title: &str, estimate, better, note: String| {
        let title = format!("{title}, {words}");
        // All but the kernel distance are biased at finite n.
        let within = if name == "kid" { String::new() } else { format!("n = {n}") };
        let measure = Measure::new(&format!("{name}:{set}"), &title, "", estimate, n, better);
        section.add(measure.note(note).within(within));
    };
    let distance = Distance::of(reference, found);
    if let Some(distance) = &distance {
        add("frechet", "Fréchet distance", distance.estimate(), Better::Lower, note.into());
    }
    if let Some(estimate) = kernel_distance(reference, found) {
        let note = format!("{note} (unbiased at any n)");
        add("kid", "kernel distance", estimate, Better::Lower, note);
    }
    if let Some(found) = neighbourhoods(reference, found, NEIGHBOURS) {
        let note = format!("{note}; k = {NEIGHBOURS}; the interval is cautious, up to twice too wide");
        for (name, title, estimate) in [
            ("precision", "improved precision", found.precision),
            ("recall", "improved recall", found.recall),
            ("density", "density", found.density),
            ("coverage", "coverage", found.coverage),
        ] {
            add(name, title, estimate, Better::Higher, note.clone());
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Estimate;

    #[test]
    fn it_is_said_from_how_many_rows_on_a_distance_means_something() {
        let section = |chance: f64| {
            let mut section = Section::new("samples", "How like?");
            for (set, value) in [("held-out", chance), ("posterior", 80.0)] {
                let name = format!("frechet:{set}");
                section.add(Measure::new(&name, "", "", Estimate::exact(value), 475, Better::Lower));
            }
            section
        };
        // 475 · 31.9 / (0.05 · 80) = 3788.
        let said = too_few(&section(31.9), 475, 1280).unwrap();
        assert!(said.contains("about 3,800 rows") && said.contains("31.9 apart"), "{said}");
        assert!(too_few(&section(2.0), 475, 1280).is_none() && too_few(&section(31.9), 5000, 1280).is_none());
    }

    /// Standard normal rows.
    pub(super) fn normals(seed: u64, rows: usize, dims: usize) -> Vec<f32> {
        let mut values = vec![0.0; rows * dims];
        Key::from_seed(seed).normals(&mut values);
        values
    }
}
