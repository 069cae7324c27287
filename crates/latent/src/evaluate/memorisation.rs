//! Does the model invent, or repeat? Samples that lie nearer to training rows than held-out rows do are copies.
//!
//! d(v) = the distance of v to its nearest training row, over pixels (or columns) and over [features](super::features)
//!
//! Two sets of distances, of samples and of held-out rows, are compared within each cell of a k-means partition by the
//! Mann–Whitney statistic, so that a model which copies in one region and is wide of the mark in another is found:
//!
//! z = (U − nm/2) / √(nm(n + m + 1)/12),  U = #{(sample, held-out row): d(sample) > d(held-out)} + ½ #{ties}
//!
//! C_T is the mean of z over cells, weighted by their held-out rows: far below 0 for a model that copies, about 0 for an
//! honest one, far above for one that misses the data. A blurred picture lies near to every other one: over pixels a model
//! of means may score low without a copy, so the closest pairs are drawn.
//!
//! Reference: Meehan, Chaudhuri & Dasgupta, *A non-parametric test to detect data-copying* (arXiv 2004.05675).

use std::time::Instant;

use super::features::{Columns, Features, features_for, features_in_parts};
use super::samples::{SampleSource, prior_source};
use super::{Better, Estimate, Measure, Section, Subject};
use crate::array::Array;
use crate::data::{Data, Split};
use crate::error::Result;
use crate::figure::{GridLabels, Images, sample_grid};
use crate::generate::{Samples, Told, told_as};
use crate::key::Key;
use crate::nearest::{Nearest, assign, k_means};
use crate::proportion::proportion_of;

/// Samples and held-out rows whose neighbours are looked for.
const QUERIES: usize = 2000;

/// Cells of the partition.
const CELLS: usize = 10;

/// A cell with fewer held-out rows or samples says nothing.
const LEAST_IN_CELL: usize = 20;

/// Training rows that the partition is made from.
const PARTITIONED: usize = 5000;

/// Numbers of rows that are held at once.
const HELD: usize = 1 << 26;

/// Pairs that are drawn.
const PAIRS: usize = 10;

/// Below this C_T is called copying (Meehan et al., section 5).
const COPYING: f64 = -3.0;

/// Nearest training rows of each sampler's samples against those of held-out rows. Without samplers it is the prior.
///
/// # Errors
/// Where data cannot be read, or a sampler fails.
pub fn memorisation(subject: &Subject<'_>, samplers: &[(String, SampleSource<'_>)]) -> Result<Section> {
    let mut section = Section::new("memorisation", "Does the model invent, or repeat?");
    let Some(train) = subject.train.filter(|train| !train.is_empty(Split::Train)) else {
        section.absent.push("Nearest training rows need the training data: it was not found.".into());
        return Ok(section);
    };
    let prior = [("prior".to_string(), prior_source(subject.model))];
    let samplers = if samplers.is_empty() { &prior[..] } else { samplers };
    let facts = &subject.model.facts;
    if facts.shape.is_image() {
        space(subject, train, samplers, ("pixels", &Pixels(facts.shape.features())), &mut section)?;
        let (features, before) = (features_for(subject)?, section.measures.len());
        space(subject, train, samplers, ("features", features.as_ref()), &mut section)?;
        section.on(features.as_ref(), before);
    } else {
        space(subject, train, samplers, ("columns", &Columns::of_subject(subject)), &mut section)?;
    }
    Ok(section)
}

/// The numbers themselves, pictures in [0, 1].
struct Pixels(usize);

impl Features for Pixels {
    fn name(&self) -> &str {
        "pixels"
    }

    fn dims(&self) -> usize {
        self.0
    }

    fn of(&self, part: &Samples) -> Result<Array> {
        Ok(Array::matrix(part.x.clone(), self.0))
    }
}

/// The measures in one space of features.
fn space(
    subject: &Subject<'_>,
    train: &Data,
    samplers: &[(String, SampleSource<'_>)],
    (name, features): (&str, &dyn Features),
    section: &mut Section,
) -> Result<()> {
    let (data, split) = subject.held_out;
    let facts = &subject.model.facts;
    let key = subject.key.fold("memorisation");
    let held = key.fold("held out").permutation(data.len(split));
    let order = key.fold("train").permutation(train.len(Split::Train));
    let fits = HELD / features.dims().max(1);
    let (queries, rows) = sizes(subject, train, samplers.len(), features, held.len(), order.len())?;
    let queries = queries.min(fits);
    if queries < 2 * LEAST_IN_CELL {
        section.absent.push(format!("Nearest training rows by {name}: {queries} held-out rows are too few."));
        return Ok(());
    }
    let of = |what: &str, count: usize, part: &mut dyn FnMut(std::ops::Range<usize>) -> Result<Samples>| {
        let progress = |share| (subject.progress)(&format!("nearest training rows by {name}: {what}"), share);
        features_in_parts(features, count, part, &progress)
    };
    let mut sets = vec![of("held-out rows", queries, &mut |range| {
        Ok(Samples::new(data.rows(split, &held[range], 0)?.x, facts))
    })?];
    for (sampler, source) in samplers {
        let key = key.fold(sampler.as_str());
        sets.push(of(&format!("samples, {sampler}"), queries, &mut |range| {
            source(&told(subject, range.clone())?, key.fold(range.start))
        })?);
    }
    let mut nearest: Vec<Nearest> = sets.iter().map(Nearest::new).collect();
    let mut partitioned = Vec::new();
    let part = (fits / 16).clamp(64, 4096);
    for start in (0..rows).step_by(part) {
        let positions = &order[start..rows.min(start + part)];
        let read = |range| Ok(Samples::new(train.rows(Split::Train, &positions[range], 0)?.x, facts));
        let found = features_in_parts(features, positions.len(), read, &|_| {})?;
        for (nearest, set) in nearest.iter_mut().zip(&sets) {
            nearest.meet(set, &found, start);
        }
        let room = PARTITIONED.min(fits) * features.dims();
        let taken = found.values.len().min(room - partitioned.len().min(room));
        partitioned.extend_from_slice(&found.values[..taken]);
        (subject.progress)(
            &format!("nearest training rows by {name}"),
            (start + positions.len()) as f64 / rows as f64,
        );
    }
    let centres = k_means(&Array::matrix(partitioned, features.dims()), CELLS, key.fold("cells"));
    let cells: Vec<Vec<usize>> = sets.iter().map(|set| assign(set, &centres)).collect();

    let held_out = &nearest[0];
    let note = format!("distance to the nearest of {rows} training rows, by {}", features.name());
    let mean = |what: &str, title: &str, nearest: &Nearest| {
        let estimate = Estimate::mean(&nearest.distance);
        Measure::new(&format!("nearest-{name}:{what}"), title, "", estimate, queries, Better::Neither)
            .note(&*note)
    };
    section.add(mean("held-out", &format!("nearest training row by {name}, held-out rows"), held_out));
    let mut sorted = held_out.distance.clone();
    sorted.sort_by(f64::total_cmp);
    let near = sorted[queries / 100];
    for (index, (sampler, source)) in samplers.iter().enumerate() {
        let found = &nearest[index + 1];
        section.add(mean(sampler, &format!("nearest training row by {name}, samples, {sampler}"), found));
        let closer: Vec<bool> = found.distance.iter().map(|d| *d < near).collect();
        let title =
            format!("samples nearer to a training row than 99 % of held-out rows, by {name}, {sampler}");
        section.add(
            Measure::new(
                &format!("near-copies-{name}:{sampler}"),
                &title,
                "",
                proportion_of(&closer),
                queries,
                Better::Lower,
            )
            .note(format!("0.01 for a model that does not copy; {note}"))
            .within(format!("{rows} training rows")),
        );
        match by_cells((&held_out.distance, &cells[0]), (&found.distance, &cells[index + 1]), centres.rows())
        {
            Some(score) => {
                if score.high < COPYING {
                    section.warnings.push(format!(
                        "{sampler}: by {name}, samples lie nearer to training rows than held-out rows do (C_T = {:.1}): look \
                         at the closest pairs whether they are copies{}.",
                        score.value,
                        if name == "pixels" { " or only blurred" } else { "" }
                    ));
                }
                let measure = Measure::new(
                    &format!("c-t-{name}:{sampler}"),
                    &format!("C_T by {name}, {sampler}"),
                    "standard deviations",
                    score,
                    queries,
                    Better::Neither,
                );
                section.add(measure.note(format!(
                    "below {COPYING} is copying, far above 0 misses the data (the interval is that of an honest \
                     model); {} cells of k-means; {note}",
                    centres.rows()
                )));
            }
            None => section.absent.push(format!(
                "C_T by {name}, {sampler}: no cell has {LEAST_IN_CELL} held-out rows and as many samples."
            )),
        }
        if facts.shape.is_image() {
            let key = key.fold(sampler.as_str());
            if let Some(figure) = closest_pairs(subject, train, &order, found, source, key)? {
                let caption = format!("{sampler}: samples nearest to a training row by {name}, and that row");
                section.figures.push((format!("closest-pairs-{name}-{sampler}"), caption, figure));
            }
        }
    }
    Ok(())
}

/// How many queries and training rows there is time for: all training rows where features cost little.
fn sizes(
    subject: &Subject<'_>,
    train: &Data,
    samplers: usize,
    features: &dyn Features,
    held_out: usize,
    rows: usize,
) -> Result<(usize, usize)> {
    const PROBE: usize = 32;
    let queries = QUERIES.min(held_out);
    let Some(seconds) = subject.seconds else { return Ok((queries, rows)) };
    let positions: Vec<usize> = (0..rows.min(PROBE)).collect();
    let probe = Samples::new(train.rows(Split::Train, &positions, 0)?.x, &subject.model.facts);
    let started = Instant::now();
    features.of(&probe)?;
    let each = started.elapsed().as_secs_f64() / probe.len().max(1) as f64;
    let affordable = (seconds / each.max(1e-9)) as usize;
    // A third of the time for the queries of all sets, the rest for training rows.
    let queries = queries.min((affordable / (3 * (samplers + 1))).max(200));
    Ok((queries, rows.min(affordable.saturating_sub(queries * (samplers + 1)).max(1000))))
}

/// C_T of samples against held-out rows, given training rows, all in one space; None where no cell has twenty of both.
pub fn copying_score(train: &Array, held_out: &Array, samples: &Array, key: Key) -> Option<Estimate> {
    if train.rows() == 0 || [held_out, samples].iter().any(|set| set.width() != train.width()) {
        return None;
    }
    let centres = k_means(train, CELLS, key);
    let [(p, p_cells), (q, q_cells)] = [held_out, samples].map(|set| {
        let mut nearest = Nearest::new(set);
        nearest.meet(set, train, 0);
        (nearest.distance, assign(set, &centres))
    });
    by_cells((&p, &p_cells), (&q, &q_cells), centres.rows())
}

/// C_T from distances to the nearest training row and the cell of each, of held-out rows and of samples; with the interval
/// that z ~ N(0, 1) in each cell gives. None where no cell has enough of both.
fn by_cells(held_out: (&[f64], &[usize]), samples: (&[f64], &[usize]), cells: usize) -> Option<Estimate> {
    let within = |(distances, of): (&[f64], &[usize]), cell: usize| -> Vec<f64> {
        distances.iter().zip(of).filter(|(_, c)| **c == cell).map(|(d, _)| *d).collect()
    };
    let (mut sum, mut squares, mut total) = (0.0, 0.0, 0.0);
    for cell in 0..cells {
        let (p, q) = (within(held_out, cell), within(samples, cell));
        if p.len() >= LEAST_IN_CELL && q.len() >= LEAST_IN_CELL {
            let weight = p.len() as f64;
            sum += weight * mann_whitney(&p, &q);
            squares += weight * weight;
            total += weight;
        }
    }
    (total > 0.0).then(|| Estimate::normal(sum / total, squares.sqrt() / total))
}

/// z of the number of pairs in which the second is greater; about N(0, 1) where both have one distribution.
fn mann_whitney(first: &[f64], second: &[f64]) -> f64 {
    let (n, m) = (first.len() as f64, second.len() as f64);
    let mut sorted = first.to_vec();
    sorted.sort_by(f64::total_cmp);
    let u: f64 = second
        .iter()
        .map(|value| {
            let below = sorted.partition_point(|v| v < value);
            let equal = sorted.partition_point(|v| v <= value) - below;
            below as f64 + 0.5 * equal as f64
        })
        .sum();
    (u - n * m / 2.0) / (n * m * (n + m + 1.0) / 12.0).sqrt()
}

/// What samples in these places are told: what held-out rows are, in a keyed order.
fn told(subject: &Subject<'_>, range: std::ops::Range<usize>) -> Result<Told> {
    let (data, split) = subject.held_out;
    let all = told_as(subject.model, data, split, range.end, subject.key.fold("memorisation"))?;
    Ok(all.select(&range.collect::<Vec<_>>()))
}

/// The samples nearest to a training row, above those rows.
fn closest_pairs(
    subject: &Subject<'_>,
    train: &Data,
    order: &[usize],
    nearest: &Nearest,
    source: &SampleSource<'_>,
    key: Key,
) -> Result<Option<crate::figure::Figure>> {
    use super::features::PART;
    let facts = &subject.model.facts;
    let mut closest: Vec<usize> = (0..nearest.distance.len()).collect();
    closest.sort_by(|a, b| nearest.distance[*a].total_cmp(&nearest.distance[*b]));
    closest.truncate(PAIRS);
    // Samples are drawn again, with the key of their part: they were not kept.
    let size = facts.shape.features();
    let mut x = Vec::with_capacity(2 * closest.len() * size);
    for index in &closest {
        let start = index / PART * PART;
        let range = start..(start + PART).min(nearest.distance.len());
        let part = source(&told(subject, range)?, key.fold(start))?;
        x.extend_from_slice(&part.x[(index - start) * size..(index - start + 1) * size]);
    }
    let rows: Vec<usize> = closest.iter().map(|index| order[nearest.row[*index]]).collect();
    x.extend(train.rows(Split::Train, &rows, 0)?.x);
    let pictures = Samples::new(x, facts).pictures()?;
    let [channels, height, width] = pictures.shape();
    let images = Images::new(pictures.pixels(), channels, height, width)?;
    let labels = GridLabels {
        title: "The closest pairs".into(),
        row_labels: vec!["sample".into(), "training row".into()],
        column_labels: closest.iter().map(|index| format!("{:.2}", nearest.distance[*index])).collect(),
        columns: Some(closest.len()),
        ..GridLabels::default()
    };
    Ok(Some(sample_grid(&images, &labels)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normals(seed: u64, rows: usize, scale: f32) -> Array {
        let mut values = vec![0.0; rows * 3];
        Key::from_seed(seed).normals(&mut values);
        Array::matrix(values.iter().map(|v| scale * v).collect(), 3)
    }

    fn score(train: &Array, held_out: &Array, samples: &Array) -> Estimate {
        copying_score(train, held_out, samples, Key::from_seed(3)).unwrap()
    }

    #[test]
    fn copies_are_told_from_inventions() {
        let (train, held_out) = (normals(1, 1000, 1.0), normals(2, 1000, 1.0));
        let mut copies = train.clone();
        copies.values.iter_mut().zip(normals(4, 1000, 0.01).values).for_each(|(v, noise)| *v += noise);
        let memoriser = score(&train, &held_out, &copies);
        let honest = score(&train, &held_out, &normals(5, 1000, 1.0));
        let wide = score(&train, &held_out, &normals(6, 1000, 3.0));
        assert!(memoriser.high < COPYING, "{memoriser:?}");
        assert!(honest.value.abs() < 2.0 && honest.low < honest.high, "{honest:?}");
        assert!(wide.low > 1.0, "{wide:?}");
    }

    /// By hand: 3 of 9 pairs have the sample farther, none ties: U = 3, mean 4.5, variance 9 · 7/12.
    #[test]
    fn mann_whitney_is_counted_by_hand() {
        let z = mann_whitney(&[2.0, 4.0, 6.0], &[1.0, 3.0, 5.0]);
        assert!((z - (3.0 - 4.5) / (9.0 * 7.0 / 12.0f64).sqrt()).abs() < 1e-12);
        assert_eq!(mann_whitney(&[1.0, 1.0], &[1.0, 1.0, 1.0]), 0.0);
    }

    #[test]
    fn the_nearest_row_is_found_in_any_part() {
        let (set, train) = (normals(7, 40, 1.0), normals(8, 90, 1.0));
        let mut whole = Nearest::new(&set);
        whole.meet(&set, &train, 0);
        let mut parts = Nearest::new(&set);
        for start in (0..90).step_by(25) {
            let end = 90.min(start + 25);
            let part = Array::matrix(train.values[start * 3..end * 3].to_vec(), 3);
            parts.meet(&set, &part, start);
        }
        assert_eq!((&whole.row, &whole.distance), (&parts.row, &parts.distance));
        for i in 0..40 {
            let square = |j: usize| -> f64 {
                set.row(i)
                    .iter()
                    .zip(train.row(j))
                    .map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2))
                    .sum()
            };
            let wanted = (0..90).map(square).fold(f64::INFINITY, f64::min).sqrt();
            assert!((whole.distance[i] - wanted).abs() < 1e-9);
        }
        let mut copy = Nearest::new(&train);
        copy.meet(&train, &train, 0);
        assert!(copy.distance.iter().all(|d| *d == 0.0) && copy.row.iter().enumerate().all(|(i, r)| i == *r));
    }

    #[test]
    fn cells_part_what_is_apart() {
        let mut values = normals(9, 300, 0.1).values;
        values.chunks_mut(3).enumerate().for_each(|(i, row)| row[0] += 5.0 * (i % 3) as f32);
        let set = Array::matrix(values, 3);
        let of = assign(&set, &k_means(&set, 3, Key::from_seed(1)));
        assert!((0..300).all(|i| of[i] == of[i % 3]) && of[0] != of[1] && of[1] != of[2] && of[0] != of[2]);
    }
}
