//! Which run is better, and is it more than chance? A table of runs × measures with their intervals.
//!
//! The best of a row is marked only where its difference from **each** other run is significant at 5 %: by a paired t-test
//! over the rows that both have measured, else by Welch's t from the two intervals; Holm's correction is over all pairs of
//! runs in that row of the table. Measures that rank nothing are shown and not ranked, and numbers that are not of one kind
//! (unit, base measure of a likelihood, features, number of rows where the expectation depends on it) are refused a rank.

mod against;
mod pictures;
mod seeds;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use super::statistics::student::{holm, paired, student_quantile, student_tail, welch};
pub use against::compare_against;
pub use seeds::{compare_methods, method_and_seed, methods};
pub(super) use table::short;

use super::{Better, Estimate, Evaluation, Mean, Measure, Section, Z_95};

/// Differences count from here on.
const LEVEL: f64 = 0.05;

/// As many rows must be shared for a paired test.
const LEAST_SHARED: usize = 10;

/// Runs (or methods) × measures.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The columns.
    pub runs: Vec<String>,
    /// The rows.
    pub rows: Vec<Compared>,
    /// How differences were tested.
    pub test: String,
    /// The method that each other was held against; none where the best was looked for.
    pub against: Option<String>,
}

/// One measure of all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// The section's name and title.
    pub section: (String, String),
    /// The measure's name, for programs.
    pub name: String,
    /// What it is, in words.
    pub title: String,
    /// Its unit; that of the first run where they differ.
    pub unit: String,
    /// Which way is better.
    pub better: Better,
    /// A cell a run; none where the run has no such number.
    pub cells: Vec<Option<Cell>>,
    /// Why there is no rank, where one was to be expected.
    pub refused: Option<String>,
}

/// One number of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cell {
    /// The number and its interval.
    pub estimate: Estimate,
    /// On how many rows (or seeds) it stands.
    pub n: usize,
    /// Whether it is better than every other, significantly.
    pub best: bool,
    /// The Holm-corrected p-value of its difference from the leading run, or from the one that all are held against; none for
    /// that run, and where it cannot be tested.
    pub p: Option<f64>,
    /// Whether it is better (or worse) than the one that all are held against, significantly; none where neither is known.
    pub differs: Option<bool>,
}

/// A measure of a run, with its section.
#[derive(Clone, Copy)]
struct Found<'a> {
    section: &'a Section,
    measure: &'a Measure,
}

/// The p-value of each pair of columns (a < b).
type Pairs = HashMap<(usize, usize), Option<f64>>;

/// The cells of a row, from what its runs have found, which way is better, and whether it ranks.
type Cells<'a> = dyn Fn(&[Option<Found<'_>>], Better, bool) -> Vec<Option<Cell>> + 'a;

/// Runs × measures, each run by its name and the sections of its evaluation.
pub fn compare(runs: &[(String, Vec<Section>)]) -> Comparison {
    let names = runs.iter().map(|(name, _)| name.clone()).collect();
    let test = "paired t over shared rows, else Welch's t from the intervals; Holm-corrected";
    compared(runs, names, test, &|found, better, ranks| {
        let cells = found.iter().map(|f| f.map(|f| (f.measure.estimate, f.measure.n))).collect();
        let p = |a: usize, b: usize| difference(found[a]?.measure, found[b]?.measure);
        ranked(cells, &pairs(found.len(), p), better, ranks)
    })
}

/// What [`compare`] takes of evaluations by name, and whether all of them judged on the same rows. Where they did not, equal
/// ids are not equal rows: the values by row are dropped, so that nothing is paired.
pub fn comparable(judged: Vec<(String, Evaluation)>) -> (Vec<(String, Vec<Section>)>, bool) {
    let on = |(_, one): &(String, Evaluation)| (one.data_hash.clone(), one.split.clone());
    let is_shared = judged.windows(2).all(|pair| on(&pair[0]) == on(&pair[1]));
    let mut runs: Vec<(String, Vec<Section>)> =
        judged.into_iter().map(|(name, one)| (name, one.sections)).collect();
    if !is_shared {
        let measures = runs.iter_mut().flat_map(|(_, sections)| sections).flat_map(|s| &mut s.measures);
        measures.for_each(|measure| measure.rows.clear());
    }
    (runs, is_shared)
}

/// The p-value of two measures of one name.
fn difference(a: &Measure, b: &Measure) -> Option<f64> {
    let of_row: HashMap<u64, f64> = a.rows.iter().copied().collect();
    let shared: Vec<(f64, f64)> =
        b.rows.iter().filter_map(|(id, b)| of_row.get(id).map(|a| (*a, *b))).collect();
    if shared.len() >= LEAST_SHARED {
        let (a, b): (Vec<f64>, Vec<f64>) = shared.into_iter().unzip();
        return paired(&a, &b);
    }
    // Half a 95 % interval is 1.96 standard errors, whatever way it came about.
    let mean = |e: Estimate| Mean { value: e.value, error: (e.high - e.low) / (2.0 * Z_95) };
    welch((mean(a.estimate), a.n), (mean(b.estimate), b.n))
}

fn pairs(count: usize, p: impl Fn(usize, usize) -> Option<f64>) -> Pairs {
    (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).map(|(a, b)| ((a, b), p(a, b))).collect()
}

/// Every measure of every run in the order in which they first come, ranked where that makes sense.
fn compared(
    runs: &[(String, Vec<Section>)],
    names: Vec<String>,
    test: &str,
    cells: &Cells<'_>,
) -> Comparison {
    let mut order: Vec<(&str, &str)> = Vec::new();
    for section in runs.iter().flat_map(|(_, sections)| sections) {
        for measure in &section.measures {
            let key = (section.name.as_str(), measure.name.as_str());
            if !order.contains(&key) {
                order.push(key);
            }
        }
    }
    // Measures of one section stay together, though a run may bring one that others lack.
    let first = |name: &str| order.iter().position(|(section, _)| *section == name);
    let mut sorted = order.clone();
    sorted.sort_by_key(|(section, _)| first(section));
    let row = |(section, name): (&str, &str)| {
        let of_run = |(_, sections): &'_ (String, Vec<Section>)| -> Option<(usize, usize)> {
            let at = sections.iter().position(|s| s.name == section)?;
            Some((at, sections[at].measures.iter().position(|m| m.name == name)?))
        };
        let found: Vec<Option<Found<'_>>> = runs
            .iter()
            .map(|run| {
                let (at, measure) = of_run(run)?;
                Some(Found { section: &run.1[at], measure: &run.1[at].measures[measure] })
            })
            .collect();
        let one = found.iter().flatten().next()?;
        let refused = refusal(&found);
        let ranks = refused.is_none() && one.measure.better != Better::Neither;
        Some(Compared {
            section: (one.section.name.clone(), one.section.title.clone()),
            name: one.measure.name.clone(),
            title: one.measure.title.clone(),
            unit: one.measure.unit.clone(),
            better: one.measure.better,
            cells: cells(&found, one.measure.better, ranks),
            refused,
        })
    };
    let rows = sorted.into_iter().filter_map(row).collect();
    Comparison { runs: names, rows, test: test.into(), against: None }
}

/// Marks the best, if it is.
fn ranked(
    cells: Vec<Option<(Estimate, usize)>>,
    pairs: &Pairs,
    better: Better,
    ranks: bool,
) -> Vec<Option<Cell>> {
    let places: Vec<usize> = (0..cells.len()).filter(|&i| cells[i].is_some()).collect();
    let value = |i: usize| cells[i].map_or(f64::NAN, |(estimate, _)| estimate.value);
    let leader = places.iter().copied().filter(|&i| ranks && value(i).is_finite()).max_by(|&a, &b| {
        let order = value(a).total_cmp(&value(b));
        // The first of equals leads.
        (if better == Better::Lower { order.reverse() } else { order }).then(b.cmp(&a))
    });
    let present: Vec<(usize, usize)> =
        places.iter().flat_map(|&a| places.iter().map(move |&b| (a, b))).filter(|(a, b)| a < b).collect();
    // A pair that cannot be tested counts among the questions asked, with p = 1.
    let p: Vec<f64> = present.iter().map(|pair| pairs.get(pair).copied().flatten().unwrap_or(1.0)).collect();
    let corrected: HashMap<(usize, usize), f64> = present.iter().copied().zip(holm(&p)).collect();
    let from_leader = |i: usize| {
        let leader = leader.filter(|&leader| leader != i)?;
        let pair = (leader.min(i), leader.max(i));
        pairs.get(&pair).copied().flatten().and_then(|_| corrected.get(&pair).copied())
    };
    let wins = places.len() > 1
        && leader.is_some_and(|leader| {
            places.iter().filter(|&&i| i != leader).all(|&i| from_leader(i).is_some_and(|p| p < LEVEL))
        });
    let cell = |i: usize| {
        let (estimate, n) = cells[i]?;
        Some(Cell { estimate, n, best: wins && leader == Some(i), p: from_leader(i), differs: None })
    };
    (0..cells.len()).map(cell).collect()
}

/// Why these numbers have no common scale: their unit, the base measure of a likelihood, and what each says that runs must
/// share, such as the number of rows.
fn refusal(found: &[Option<Found<'_>>]) -> Option<String> {
    let kind = |f: &Found<'_>| {
        let Measure { unit, within, note, n, .. } = f.measure;
        // Older evaluations have it in the note alone.
        let old = within.is_empty() && note.contains("at this n") && !note.contains("at any n");
        let within = if old { format!("n = {n}") } else { within.clone() };
        let parts = [unit.clone(), base_measure(f).unwrap_or_default(), within];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<String>>().join(", ")
    };
    let mut kinds: Vec<String> = found.iter().flatten().map(kind).collect();
    kinds.sort();
    kinds.dedup();
    let worth_a_word = found.iter().flatten().any(|f| f.measure.better != Better::Neither);
    let mut sizes = found.iter().flatten().map(|f| (f.section.name.as_str(), f.measure.n));
    let one = sizes.next()?;
    let remedy = match one.0 {
        "samples" if sizes.any(|other| other != one) => {
            "; their expectation depends on n: give each run as many rows, latent evaluate RUN --sections samples --samples N"
        }
        _ => "",
    };
    (kinds.len() > 1 && worth_a_word)
        .then(|| format!("not ranked: the numbers are of different kinds ({}){remedy}", kinds.join("; ")))
}

/// With respect to what a likelihood is one: as its own note says, or else that of another measure of its section.
fn base_measure(found: &Found<'_>) -> Option<String> {
    if found.section.name != "likelihood" {
        return None;
    }
    let notes = std::iter::once(found.measure).chain(&found.section.measures).map(|measure| &measure.note);
    notes.into_iter().find_map(|note| base_measure_in(note))
}

/// Probabilities on so many levels, a density, or neither.
fn base_measure_in(note: &str) -> Option<String> {
    if let Some(at) = note.find("probabilities on ") {
        let rest = &note[at..];
        let end = rest.find(" levels").map_or(rest.len(), |end| end + " levels".len());
        // How grey values became bits belongs to the base: ` (x drawn to bits …)`.
        let drawn = rest[end..].strip_prefix(" (x ").and_then(|more| more.find(')'));
        let end = drawn.map_or(end, |close| end + " (x ".len() + close + 1);
        return Some(rest[..end].to_string());
    }
    ["cross-entropy", "density in"].into_iter().find(|word| note.contains(word)).map(String::from)
}
