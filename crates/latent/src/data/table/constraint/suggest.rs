//! What holds in all rows of a table though nobody said so: suggestions, each with what speaks for it.
//!
//! Some thousand rows discard nearly everything; what is left is looked at in every row. A rule that holds says something
//! only where rows whose cells had nothing to do with each other would break it:
//!
//! ```text
//! a <= b      P(a > b) of cells from different rows
//! a -> b      rows beyond the first of each a, of which a share 1 − Σ P(b)² would have another b
//! t = a + b   equal to the last digit, where both are not 0
//! ```

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::found::{Origin, resolve};
use super::{Constraint, Rule};
use crate::Key;
use crate::data::table::{Kind, Table};
use crate::data::{Data, DataError, DataSettings, Facts, Part, Split, TableAs};

/// A constraint that holds in all rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suggestion {
    /// As it is written in `data.constraints`.
    pub constraint: String,
    /// What speaks for it.
    pub evidence: String,
}

/// How many rows of a table break what holds in all rows of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Breach {
    /// What holds in all rows of the one.
    pub constraint: String,
    /// Rows of the other.
    pub rows: usize,
    /// Those that break it.
    pub broken: usize,
}

/// What a column is to a search.
pub(crate) struct Look {
    name: String,
    sort: Sort,
    /// Whether each value may decide others.
    is_discrete: bool,
}

/// Columns of one sort can be compared.
#[derive(Clone, PartialEq, Eq)]
enum Sort {
    Number,
    /// Dates, or times of a zone.
    Date(String),
    Words,
}

/// Rows that discard.
const SAMPLE: u64 = 5000;

/// Rows that unrelated cells would break, at least.
const SURPRISE: f64 = 30.0;

/// The share of unrelated pairs that would break an order, at least: columns that lie apart are no news.
const LEAST_OVERLAP: f64 = 0.02;

/// Different values of a column that decides others, at most.
const MOST_VALUES: usize = 400;

/// Suggestions of one sort, at most.
const MOST: usize = 12;

/// Sums of three are looked for among so many columns of numbers.
const MOST_ADDED: usize = 60;

impl Look {
    /// The columns of a mixed table.
    pub(crate) fn of_table(table: &Table) -> Vec<Self> {
        let look = |column: &crate::data::table::Column| {
            let sort = match &column.kind {
                Kind::Number(_) => Sort::Number,
                Kind::Date(format) if format.pattern.contains('H') => Sort::Date(if format.several_zones {
                    "UTC".into()
                } else {
                    format!("time {}", format.zone)
                }),
                Kind::Date(_) => Sort::Date("date".into()),
                _ => Sort::Words,
            };
            let is_discrete = column.scale.as_ref().is_none_or(|scale| scale.low == scale.high);
            Self { name: column.name.clone(), sort, is_discrete }
        };
        table.modelled().map(look).collect()
    }

    /// Columns of numbers.
    pub(crate) fn of_numbers(names: &[String]) -> Vec<Self> {
        let look = |name: &String| Self { name: name.clone(), sort: Sort::Number, is_discrete: true };
        names.iter().map(look).collect()
    }
}

/// A rule on its way through all rows.
struct Candidate {
    rule: Found,
    /// How many rows have all its cells.
    rows: u64,
    /// For a map: what each value decided.
    known: HashMap<u64, u64>,
    /// How strongly unrelated cells would break it.
    weight: f64,
}

/// Places of columns.
#[derive(Clone, PartialEq)]
enum Found {
    Order(usize, usize),
    Sum(usize, Vec<usize>),
    Map(usize, usize),
    Range(usize, f64, f64),
}

impl Candidate {
    fn new(rule: Found, weight: f64) -> Self {
        Self { rule, rows: 0, known: HashMap::new(), weight }
    }

    /// Whether it holds in a row.
    fn holds(&mut self, row: &[f64]) -> bool {
        match &self.rule {
            Found::Order(a, b) if row[*a].is_nan() || row[*b].is_nan() => return true,
            Found::Order(a, b) if row[*a] > row[*b] => return false,
            Found::Sum(total, parts) => match adds_up(row[*total], parts.iter().map(|part| row[*part])) {
                None => return true,
                Some(false) => return false,
                Some(true) => {}
            },
            Found::Map(a, b) => {
                let (a, b) = (row[*a], row[*b]);
                if a.is_nan() || b.is_nan() {
                    return true;
                }
                if *self.known.entry(a.to_bits()).or_insert(b.to_bits()) != b.to_bits() {
                    return false;
                }
            }
            Found::Range(at, least, most) if row[*at] < *least || row[*at] > *most => return false,
            Found::Range(at, ..) if row[*at].is_nan() => return true,
            _ => {}
        }
        self.rows += 1;
        true
    }
}

/// Whether a sum is exact; none where a cell is empty.
fn adds_up(total: f64, parts: impl Iterator<Item = f64>) -> Option<bool> {
    let (mut sum, mut size) = (0.0, 0.0f64);
    for part in parts {
        sum += part;
        size = size.max(part.abs());
    }
    (!sum.is_nan() && !total.is_nan()).then(|| (total - sum).abs() <= 1e-9 * size.max(1e-6))
}

/// What reads a row of values by its number.
pub(crate) type Read<'a> = &'a mut dyn FnMut(u64, &mut [f64]) -> Result<(), DataError>;

/// What holds in all of some rows.
pub(crate) fn suggestions(looks: &[Look], rows: u64, read: Read<'_>) -> Result<Vec<Suggestion>, DataError> {
    if rows < 50 {
        return Ok(Vec::new());
    }
    let mut row = vec![0.0; looks.len()];
    let mut sample: Vec<Vec<f64>> = vec![Vec::new(); looks.len()];
    let taken = rows.min(SAMPLE);
    for at in 0..taken {
        read((u128::from(at) * u128::from(rows) / u128::from(taken)) as u64, &mut row)?;
        sample.iter_mut().zip(&row).for_each(|(column, value)| column.push(*value));
    }
    let copies = copies(looks, &sample);
    let is_copy = |at: usize| copies.iter().any(|(_, copy)| *copy == at);
    let own: Vec<usize> = (0..looks.len()).filter(|at| !is_copy(*at) && varies(&sample[*at])).collect();
    let scale = rows as f64 / taken as f64;
    let mut all: Vec<Candidate> =
        copies.iter().map(|(one, copy)| Candidate::new(Found::Sum(*copy, vec![*one]), 1.0)).collect();
    all.extend(sums(looks, &own, &sample));
    all.extend(orders(looks, &own, &sample, scale));
    all.extend(maps(looks, &own, &sample, scale));
    all.extend(ranges(looks, &own, &sample));
    for at in 0..rows {
        if all.is_empty() {
            break;
        }
        read(at, &mut row)?;
        all.retain_mut(|one| one.holds(&row));
    }
    all.retain(|one| one.rows >= 50);
    Ok(said(looks, reduced(looks, all, &sample)))
}

fn varies(values: &[f64]) -> bool {
    let mut some = values.iter().filter(|value| !value.is_nan());
    let first = some.next();
    first.is_some_and(|first| some.any(|value| value != first))
}

/// Columns that are equal to an earlier one.
fn copies(looks: &[Look], sample: &[Vec<f64>]) -> Vec<(usize, usize)> {
    let mut found: Vec<(usize, usize)> = Vec::new();
    for b in 0..looks.len() {
        let alike = |a: &usize| {
            let pairs = || sample[*a].iter().zip(&sample[b]).filter(|(a, b)| !a.is_nan() && !b.is_nan());
            looks[*a].sort == looks[b].sort && pairs().all(|(a, b)| a == b) && pairs().count() >= 50
        };
        let is_ordered = looks[b].sort != Sort::Words && varies(&sample[b]);
        if let (true, Some(a)) = (is_ordered, (0..b).find(alike))
            && !found.iter().any(|(_, copy)| *copy == a)
            && !is_few(&sample[b])
        {
            found.push((a, b));
        }
    }
    found
}

/// Whether a column has two values at most, as flags have: those agree easily.
fn is_few(values: &[f64]) -> bool {
    let mut seen: HashSet<u64> = HashSet::new();
    !values.iter().any(|value| !value.is_nan() && seen.insert(value.to_bits()) && seen.len() > 2)
}

fn orders(looks: &[Look], own: &[usize], sample: &[Vec<f64>], scale: f64) -> Vec<Candidate> {
    let mut found = Vec::new();
    for (place, &a) in own.iter().enumerate() {
        for &b in &own[place + 1..] {
            if looks[a].sort != looks[b].sort || looks[a].sort == Sort::Words {
                continue;
            }
            let pairs = || sample[a].iter().zip(&sample[b]).filter(|(a, b)| !a.is_nan() && !b.is_nan());
            let (low, high) = match () {
                () if pairs().all(|(a, b)| a <= b) => (a, b),
                () if pairs().all(|(a, b)| a >= b) => (b, a),
                () => continue,
            };
            let share = overlap(&sample[low], &sample[high]);
            if share >= LEAST_OVERLAP && share * pairs().count() as f64 * scale >= SURPRISE {
                found.push(Candidate::new(Found::Order(low, high), share));
            }
        }
    }
    found
}

/// P(low > high) of cells from different rows.
fn overlap(low: &[f64], high: &[f64]) -> f64 {
    let mut sorted: Vec<f64> = high.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_by(f64::total_cmp);
    let below = |value: &f64| sorted.partition_point(|high| high < value) as f64 / sorted.len().max(1) as f64;
    let all: Vec<f64> = low.iter().filter(|value| !value.is_nan()).map(below).collect();
    all.iter().sum::<f64>() / all.len().max(1) as f64
}

fn sums(looks: &[Look], own: &[usize], sample: &[Vec<f64>]) -> Vec<Candidate> {
    let numbers: Vec<usize> = own.iter().copied().filter(|at| looks[*at].sort == Sort::Number).collect();
    let dates: Vec<usize> =
        own.iter().copied().filter(|at| matches!(looks[*at].sort, Sort::Date(_))).collect();
    let n = sample.first().map_or(0, Vec::len);
    // Rows in which no part is 0: elsewhere a sum is a copy.
    let holds = |total: usize, parts: &[usize]| -> bool {
        let (mut full, mut values) = (0, HashSet::new());
        for (row, whole) in sample[total].iter().enumerate() {
            match adds_up(*whole, parts.iter().map(|part| sample[*part][row])) {
                Some(false) => return false,
                Some(true) if parts.iter().all(|part| sample[*part][row] != 0.0) => {
                    full += 1;
                    values.insert(whole.to_bits());
                }
                _ => {}
            }
        }
        full >= 20.max(n / 50) && values.len() > 2
    };
    let mut found: Vec<(usize, Vec<usize>)> = Vec::new();
    for (at, &a) in numbers.iter().enumerate() {
        for &b in &numbers[at + 1..] {
            let totals = numbers.iter().filter(|total| **total != a && **total != b);
            found.extend(totals.filter(|total| holds(**total, &[a, b])).map(|total| (*total, vec![a, b])));
        }
    }
    for &date in &dates {
        for &days in &numbers {
            let totals =
                dates.iter().filter(|total| **total != date && looks[**total].sort == looks[date].sort);
            found
                .extend(totals.filter(|t| holds(**t, &[date, days])).map(|total| (*total, vec![date, days])));
        }
    }
    if numbers.len() <= MOST_ADDED {
        let has_sum: HashSet<usize> = found.iter().map(|(total, _)| *total).collect();
        for (at, &a) in numbers.iter().enumerate() {
            for (more, &b) in numbers.iter().enumerate().skip(at + 1) {
                for &c in &numbers[more + 1..] {
                    let totals =
                        numbers.iter().filter(|total| ![a, b, c].contains(total) && !has_sum.contains(total));
                    found.extend(
                        totals.filter(|t| holds(**t, &[a, b, c])).map(|total| (*total, vec![a, b, c])),
                    );
                }
            }
        }
    }
    // One sum makes a column.
    let mut made = HashSet::new();
    found.retain(|(total, _)| made.insert(*total));
    found.into_iter().map(|(total, parts)| Candidate::new(Found::Sum(total, parts), 1.0)).collect()
}

fn maps(looks: &[Look], own: &[usize], sample: &[Vec<f64>], scale: f64) -> Vec<Candidate> {
    let distinct = |at: usize| {
        let mut counts: HashMap<u64, f64> = HashMap::new();
        let mut all = 0.0;
        for value in sample[at].iter().filter(|value| !value.is_nan()) {
            *counts.entry(value.to_bits()).or_default() += 1.0;
            all += 1.0;
        }
        let same = counts.values().map(|count| (count / f64::max(all, 1.0)).powi(2)).sum::<f64>();
        (counts.len(), all, same)
    };
    let about: HashMap<usize, (usize, f64, f64)> = own.iter().map(|at| (*at, distinct(*at))).collect();
    let mut found = Vec::new();
    for &a in own {
        let (values, all, _) = about[&a];
        // Nearly as many values as rows say nothing: any column would follow.
        let repeats = all - values as f64;
        if !looks[a].is_discrete || values > MOST_VALUES || repeats < 0.5 * all {
            continue;
        }
        for &b in own.iter().filter(|b| **b != a) {
            let (of_b, _, same) = about[&b];
            let surprise = repeats * scale * (1.0 - same);
            // What decides has as many values, at least.
            if of_b > values || surprise < SURPRISE {
                continue;
            }
            let mut one = Candidate::new(Found::Map(a, b), surprise);
            let holds = (0..sample[a].len()).all(|row| {
                let (a, b) = (sample[a][row], sample[b][row]);
                a.is_nan()
                    || b.is_nan()
                    || *one.known.entry(a.to_bits()).or_insert(b.to_bits()) == b.to_bits()
            });
            if holds && one.known.len() * 2 >= values {
                one.known.clear();
                found.push(one);
            }
        }
    }
    found
}

/// Ranges that columns reach the ends of: shares and percentages.
fn ranges(looks: &[Look], own: &[usize], sample: &[Vec<f64>]) -> Vec<Candidate> {
    let mut found = Vec::new();
    for &at in own.iter().filter(|at| looks[**at].sort == Sort::Number && !is_few(&sample[**at])) {
        let some = || sample[at].iter().copied().filter(|value| !value.is_nan());
        let span = (some().fold(f64::INFINITY, f64::min), some().fold(f64::NEG_INFINITY, f64::max));
        let is_fraction = some().any(|value| value.fract() != 0.0);
        match span {
            (0.0, 1.0) if is_fraction => found.push(Candidate::new(Found::Range(at, 0.0, 1.0), 1.0)),
            (0.0, 100.0) => found.push(Candidate::new(Found::Range(at, 0.0, 100.0), 1.0)),
            _ => {}
        }
    }
    found
}

/// Without what follows from the rest.
fn reduced(looks: &[Look], all: Vec<Candidate>, sample: &[Vec<f64>]) -> Vec<Candidate> {
    let maps: HashSet<(usize, usize)> = all
        .iter()
        .filter_map(|one| match one.rule {
            Found::Map(a, b) => Some((a, b)),
            _ => None,
        })
        .collect();
    let is_same = |a: usize, b: usize| a == b || (maps.contains(&(a, b)) && maps.contains(&(b, a)));
    // Where a column is empty nothing goes through it.
    let has_gaps = |at: usize| sample[at].iter().any(|value| value.is_nan());
    // Of columns that decide each other one stands for all.
    let stands = |at: usize| {
        let mut same: Vec<usize> = (0..looks.len()).filter(|other| is_same(at, *other)).collect();
        same.sort_by_key(|other| (has_gaps(*other), looks[*other].sort != Sort::Words, *other));
        same.first().copied().unwrap_or(at)
    };
    let orders: HashSet<(usize, usize)> = all
        .iter()
        .filter_map(|one| match one.rule {
            Found::Order(a, b) => Some((a, b)),
            _ => None,
        })
        .collect();
    let is_positive = |at: &usize| sample[*at].iter().all(|value| value.is_nan() || *value >= 0.0);
    let of_sums = |low: usize, high: usize| {
        all.iter().any(|one| match &one.rule {
            Found::Sum(total, parts) if *total == high && parts.contains(&low) => {
                parts.iter().filter(|part| **part != low).all(is_positive)
            }
            _ => false,
        })
    };
    let follows = |one: &Candidate| match &one.rule {
        Found::Order(a, b) => {
            let between =
                |at: usize| !has_gaps(at) && orders.contains(&(*a, at)) && orders.contains(&(at, *b));
            (0..looks.len()).any(between)
                || of_sums(*a, *b)
                || maps.contains(&(*a, *b))
                || maps.contains(&(*b, *a))
        }
        Found::Map(a, b) => {
            let between = |at: usize| {
                at == stands(at)
                    && !has_gaps(at)
                    && !is_same(at, *a)
                    && !is_same(at, *b)
                    && maps.contains(&(*a, at))
                    && maps.contains(&(at, *b))
            };
            let through = |at: usize| {
                all.iter().any(|one| match &one.rule {
                    Found::Sum(total, parts) => *total == at || parts.contains(&at),
                    _ => false,
                })
            };
            let other = |at: usize| stands(at) != at && !has_gaps(stands(at));
            // Both ways are said at once.
            let is_said = match is_same(*a, *b) {
                true => stands(*a) != *a,
                false => other(*a) || other(*b) || (0..looks.len()).any(between),
            };
            is_said || through(*a) || through(*b)
        }
        _ => false,
    };
    let kept: Vec<bool> = all.iter().map(|one| !follows(one)).collect();
    let mut kept = kept.into_iter();
    let mut all = all;
    all.retain(|_| kept.next().unwrap_or(false));
    // `<->` is kept in one place, as the pair of maps that it is.
    for one in &mut all {
        if let Found::Map(a, b) = one.rule
            && is_same(a, b)
        {
            one.weight = f64::INFINITY;
        }
    }
    all
}

/// In words, what is most of a surprise first.
fn said(looks: &[Look], mut all: Vec<Candidate>) -> Vec<Suggestion> {
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let name = |at: &usize| looks[*at].name.clone();
    let mut counts = [0; 4];
    let mut found: Vec<(usize, Suggestion)> = Vec::new();
    for one in &all {
        let rows = one.rows;
        let (sort, constraint, evidence) = match &one.rule {
            Found::Sum(total, parts) => {
                let constraint =
                    Constraint::Sum { total: name(total), parts: parts.iter().map(name).collect() };
                (0, constraint.to_string(), format!("to the last digit in all {rows} rows that have them"))
            }
            Found::Order(a, b) => {
                let constraint = Constraint::Order { low: name(a), high: name(b), strict: false };
                let share = 100.0 * one.weight;
                let evidence =
                    format!("in all {rows} rows that have both; {share:.0} % of unrelated pairs break it");
                (1, constraint.to_string(), evidence)
            }
            Found::Map(a, b) => {
                let constraint = Constraint::Map { from: name(a), to: name(b) }.to_string();
                let values = one.known.len();
                match one.weight.is_infinite() {
                    true => {
                        let evidence = format!("in all {rows} rows that have both; {values} values of each");
                        (2, constraint.replacen("->", "<->", 1), evidence)
                    }
                    false => {
                        let kinds: HashSet<u64> = one.known.values().copied().collect();
                        let evidence = format!(
                            "in all {rows} rows that have both; {values} values give {}",
                            kinds.len()
                        );
                        (2, constraint, evidence)
                    }
                }
            }
            Found::Range(at, least, most) => {
                let side = |value: &f64| Some(format!("{value}"));
                let constraint = Constraint::Range { column: name(at), least: side(least), most: side(most) };
                (3, constraint.to_string(), format!("in all {rows} rows that have it, to both ends"))
            }
        };
        counts[sort] += 1;
        if counts[sort] <= MOST {
            found.push((sort, Suggestion { constraint, evidence }));
        }
    }
    found.sort_by_key(|(sort, _)| *sort);
    found.into_iter().map(|(_, one)| one).collect()
}

/// What holds in all rows of `real`, and how many rows of `synthetic` break it.
///
/// # Errors
/// What cannot be read as a table of mixed columns; columns that are not there.
pub fn breaches(real: &Path, synthetic: &Path) -> Result<Vec<Breach>, DataError> {
    let none = Some(Part::Fraction(0.0));
    let settings = DataSettings {
        source: real.display().to_string(),
        validation: none.clone(),
        test: none,
        table: TableAs::Mixed,
        ..DataSettings::default()
    };
    let key = Key::from_seed(1);
    let data = Data::open(&settings, key, &mut |_| {})?;
    let written: Vec<String> = data.suggestions(&settings)?.into_iter().map(|one| one.constraint).collect();
    let Some(table) = data.facts().table.as_deref().filter(|_| !written.is_empty()) else {
        return Ok(Vec::new());
    };
    let mut table = table.clone();
    let all: Vec<usize> = (0..data.len(Split::Train)).collect();
    let values = data.values(Split::Train, &all)?;
    let header: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
    resolve(&written, &mut table, &values, &Origin { header: &header, lines: &[] }, &mut |_| {})?;
    let facts = Facts { table: Some(Arc::new(table)), ..data.facts().clone() };
    let settings = DataSettings { source: synthetic.display().to_string(), ..settings };
    let other = Data::open_for(&facts, &settings, key, &mut |_| {})?;
    let all: Vec<usize> = (0..other.len(Split::Test)).collect();
    let values = other.values(Split::Test, &all)?;
    let width = other.features().max(1);
    let table = other.facts().table.as_deref();
    let count = |rule: &Rule| values.chunks_exact(width).filter(|row| rule.is_broken(row)).count();
    let breach = |kept: &super::Kept| Breach {
        constraint: kept.text.clone(),
        rows: all.len(),
        broken: count(&kept.rule),
    };
    Ok(table.map(|table| table.constraints.iter().map(breach).collect()).unwrap_or_default())
}
