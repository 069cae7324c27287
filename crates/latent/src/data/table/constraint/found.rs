//! From what is written to rules: which columns are meant, whether they can be what is said, and which rows break it.
//!
//! Rows that break a constraint are no rows of what is to be learned: they are in no split, and it is said how many they
//! are and where the first stands. More than a few are an error: then the constraint is wrong, not the rows.

use std::collections::{HashMap, HashSet};

use super::{Constraint, Kept, Rule};
use crate::data::DataError;
use crate::data::classes::nearest;
use crate::data::table::{Column, Kind, Table};

/// A greater share of rows that break a constraint is an error.
const MOST_BROKEN: f64 = 0.01;

/// Where the rows of a table come from, for messages.
pub(in crate::data::table) struct Origin<'a> {
    /// The names of all columns, those that are set aside too.
    pub header: &'a [String],
    /// The line of each row in its file; none for rows of a program.
    pub lines: &'a [u32],
}

fn refused(what: impl Into<String>, remedy: impl Into<String>) -> DataError {
    DataError::setting("constraints", what, remedy)
}

/// Makes the constraints part of the table, and says of each row of values whether it breaks one (nothing where none does).
pub(in crate::data::table) fn resolve(
    written: &[String],
    table: &mut Table,
    values: &[f64],
    origin: &Origin<'_>,
    log: &mut dyn FnMut(String),
) -> Result<Vec<bool>, DataError> {
    let mut kept: Vec<Kept> = Vec::new();
    for text in written {
        for constraint in Constraint::parse(text).map_err(|(what, remedy)| refused(what, remedy))? {
            let rule = rule_of(&constraint, table, origin)?;
            let one = Kept { text: constraint.to_string(), rule };
            if !kept.contains(&one) {
                kept.push(one);
            }
        }
    }
    let width = table.modelled().count().max(1);
    kept.iter_mut().for_each(|one| choose_made(&mut one.rule, values, width));
    check_together(&kept, table)?;
    let mut broken = vec![false; values.len() / width];
    for one in &mut kept {
        learn(&mut one.rule, values.chunks_exact(width));
        let mut found = values.chunks_exact(width).enumerate().filter(|(_, row)| one.rule.is_broken(row));
        let Some((first, row)) = found.next() else { continue };
        broken[first] = true;
        let mut count = 1;
        found.for_each(|(row, _)| {
            broken[row] = true;
            count += 1;
        });
        let line = match origin.lines.get(first) {
            Some(line) => format!("line {line}"),
            None => format!("row {first}"),
        };
        let columns: Vec<&Column> = table.modelled().collect();
        let cells: Vec<String> = one
            .rule
            .places()
            .into_iter()
            .map(|at| format!("{} is {}", columns[at].name, columns[at].word(row[at])))
            .collect();
        let rows = broken.len();
        let said = format!(
            "{:?} does not hold in {count} of {rows} rows, the first in {line}, where {}",
            one.text,
            cells.join(", ")
        );
        if count as f64 > MOST_BROKEN * rows as f64 {
            return Err(refused(said, "mend the rows, or leave the constraint out"));
        }
        log(format!("{said}: rows that break it are left out"));
    }
    if broken.contains(&true) {
        // What only broken rows have is no combination.
        let whole =
            || values.chunks_exact(width).zip(&broken).filter(|(_, broken)| !**broken).map(|(row, _)| row);
        kept.iter_mut().for_each(|one| learn(&mut one.rule, whole()));
    } else {
        broken.clear();
    }
    widen(&kept, table);
    table.constraints = kept;
    Ok(broken)
}

/// The combinations of a map: for each value of the one the commonest of the other.
fn learn<'a>(rule: &mut Rule, rows: impl Iterator<Item = &'a [f64]>) {
    let Rule::Map { from, to, pairs } = rule else { return };
    let mut counts: HashMap<(u64, u64), u64> = HashMap::new();
    for row in rows.filter(|row| !row[*from].is_nan() && !row[*to].is_nan()) {
        *counts.entry((row[*from].to_bits(), row[*to].to_bits())).or_default() += 1;
    }
    let mut best: HashMap<u64, (u64, u64)> = HashMap::new();
    for ((from, to), count) in counts {
        let known = best.entry(from).or_insert((count, to));
        // Of two that are as common, one and the same whatever the order of a hash map.
        if (count, to) > *known {
            *known = (count, to);
        }
    }
    *pairs = best.into_iter().map(|(from, (_, to))| (f64::from_bits(from), f64::from_bits(to))).collect();
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
}

/// A sum is made of its parts, unless a part has many more values: a limit of a few levels is no sum of what is used and what is
/// free, but what is free is the rest of it.
fn choose_made(rule: &mut Rule, values: &[f64], width: usize) {
    let Rule::Sum { total, parts, made, .. } = rule else { return };
    let distinct = |at: usize| {
        let own = values.iter().skip(at).step_by(width).filter(|value| !value.is_nan());
        own.map(|value| value.to_bits()).collect::<HashSet<_>>().len()
    };
    let most = parts.iter().map(|part| (distinct(*part), *part)).max_by_key(|(count, _)| *count);
    *made = match most {
        Some((count, part)) if 2 * count > 3 * distinct(*total) => part,
        _ => *total,
    };
}

/// What a sum makes has as many decimals as what it is made of.
fn widen(kept: &[Kept], table: &mut Table) {
    for one in kept {
        let Some((made, others)) = one.rule.made() else { continue };
        let decimals = |column: &Column| match &column.kind {
            Kind::Number(format) => format.decimals,
            Kind::Date(format) => Some(format.decimals),
            _ => None,
        };
        let columns: Vec<&Column> = table.modelled().collect();
        let of_parts: Option<Vec<usize>> = others.iter().map(|(at, _)| decimals(columns[*at])).collect();
        let most = of_parts.and_then(|all| all.into_iter().max());
        let column = table.columns.iter_mut().filter(|column| column.is_modelled()).nth(made);
        if let Some(Kind::Number(format)) = column.map(|column| &mut column.kind) {
            format.widen(most);
        }
    }
}

/// The rule that a constraint is for this table; combinations are learned later.
fn rule_of(constraint: &Constraint, table: &Table, origin: &Origin<'_>) -> Result<Rule, DataError> {
    let place = |name: &String| place_of(name, constraint, table, origin);
    let columns: Vec<&Column> = table.modelled().collect();
    let ordered = |at: usize| match columns[at].is_ordered() {
        true => Ok(()),
        false => Err(refused(
            format!(
                "{:?}: {} is a {}, which has no order",
                constraint.to_string(),
                columns[at].name,
                columns[at].kind.name()
            ),
            "name columns of numbers or dates, or tie words by \"city -> country\"",
        )),
    };
    match constraint {
        Constraint::Order { low, high, strict } => {
            let (low, high) = (place(low)?, place(high)?);
            ordered(low)?;
            ordered(high)?;
            if low == high {
                return Err(refused(
                    format!("{:?} names one column twice", constraint.to_string()),
                    "name two",
                ));
            }
            alike(&[low, high], &columns, constraint)?;
            let margin = match (strict, unit(columns[low]), unit(columns[high])) {
                (false, ..) => 0.0,
                (true, Some(a), Some(b)) => a.min(b),
                _ => {
                    return Err(refused(
                        format!(
                            "{:?}: measurements on no grid have no least distance",
                            constraint.to_string()
                        ),
                        "write <= in place of <",
                    ));
                }
            };
            Ok(Rule::Order { low, high, margin })
        }
        Constraint::Sum { total, parts } => {
            let total = place(total)?;
            let parts: Vec<usize> = parts.iter().map(place).collect::<Result<_, _>>()?;
            for at in parts.iter().chain([&total]) {
                ordered(*at)?;
            }
            if parts.contains(&total) {
                let what = format!("{:?}: {} is part of itself", constraint.to_string(), columns[total].name);
                return Err(refused(what, "write the whole on the left and its parts on the right"));
            }
            if let Some(twice) = parts.iter().enumerate().find(|(at, part)| parts[..*at].contains(part)) {
                let what = format!("{:?} adds {} twice", constraint.to_string(), columns[*twice.1].name);
                return Err(refused(what, "name each part once"));
            }
            let is_date = |at: &usize| matches!(columns[*at].kind, Kind::Date(_));
            let dates: Vec<usize> = parts.iter().copied().filter(is_date).collect();
            if dates.len() != usize::from(is_date(&total)) {
                return Err(refused(
                    format!(
                        "{:?}: a date is the sum of one date and numbers, a number of numbers",
                        constraint.to_string()
                    ),
                    "write \"end = start + days\" for a span in days (in seconds, where there is a time of day)",
                ));
            }
            if let [date] = dates[..] {
                alike(&[date, total], &columns, constraint)?;
            }
            let units: Option<Vec<f64>> = parts.iter().chain([&total]).map(|at| unit(columns[*at])).collect();
            let least = units.map(|units| units.into_iter().fold(f64::INFINITY, f64::min));
            Ok(Rule::Sum { total, parts, made: total, tolerance: least.map_or(0.0, |least| 0.5 * least) })
        }
        Constraint::Map { from, to } => {
            let (from, to) = (place(from)?, place(to)?);
            if from == to {
                return Err(refused(
                    format!("{:?} names one column twice", constraint.to_string()),
                    "name two",
                ));
            }
            Ok(Rule::Map { from, to, pairs: Vec::new() })
        }
        Constraint::Range { column, least, most } => {
            let column = place(column)?;
            ordered(column)?;
            let side = |word: &Option<String>| {
                let value = |word: &String| {
                    columns[column].value(word).ok_or_else(|| {
                        let what = format!(
                            "{:?}: {word:?} is no {}, and {} is one",
                            constraint.to_string(),
                            columns[column].kind.name(),
                            columns[column].name
                        );
                        refused(what, "write values as the file has them")
                    })
                };
                word.as_ref().map(value).transpose()
            };
            let (least, most) = (side(least)?, side(most)?);
            if least.zip(most).is_some_and(|(least, most)| least > most) {
                let what = format!("nothing lies in {:?}", constraint.to_string());
                return Err(refused(what, "write the lesser end first"));
            }
            Ok(Rule::Range { column, least, most })
        }
    }
}

/// The place in x of a column.
fn place_of(
    name: &str,
    constraint: &Constraint,
    table: &Table,
    origin: &Origin<'_>,
) -> Result<usize, DataError> {
    if let Some(place) = table.place(name) {
        return Ok(place);
    }
    let text = constraint.to_string();
    if let Some(column) = table.columns.iter().find(|column| column.name == name) {
        let what = format!("{text:?}: {name} is {} and no part of the model", column.kind.name());
        return Err(refused(what, "name columns that the model makes"));
    }
    if origin.header.iter().any(|known| known == name) {
        let what =
            format!("{text:?}: {name} is told beside x or sets rows apart, and is no part of the model");
        return Err(refused(what, "name columns that the model makes"));
    }
    let names: Vec<String> = table.modelled().map(|column| column.name.clone()).collect();
    let what = format!("{text:?}: there is no column {name:?}{}", nearest(name, &names));
    Err(refused(what, format!("the columns are {}", names.join(", "))))
}

/// The least distance of two values that differ, where values are on a grid of decimals.
fn unit(column: &Column) -> Option<f64> {
    let decimals = match &column.kind {
        Kind::Number(format) if format.step > 0 => format.decimals?,
        Kind::Date(format) => format.decimals,
        _ => return None,
    };
    Some(10f64.powi(-(decimals as i32)))
}

/// Whether values of these columns can be compared.
fn alike(places: &[usize], columns: &[&Column], constraint: &Constraint) -> Result<(), DataError> {
    let of = |at: usize| match &columns[at].kind {
        Kind::Date(format) if format.pattern.contains('H') => {
            let zone = if format.several_zones { "UTC" } else { format.zone.as_str() };
            ("times".to_string(), format!("a time{}{zone}", if zone.is_empty() { "" } else { " of zone " }))
        }
        Kind::Date(_) => ("dates".into(), "a date".into()),
        kind => ("numbers".into(), format!("a {}", kind.name())),
    };
    let (first, second) = (of(places[0]), of(places[1]));
    if first == second {
        return Ok(());
    }
    let said = |at: usize, of: &str| format!("{} is {of}", columns[at].name);
    Err(refused(
        format!(
            "{:?}: {}, {}",
            constraint.to_string(),
            said(places[0], &first.1),
            said(places[1], &second.1)
        ),
        "compare numbers with numbers, dates with dates, and times with times of the same zone",
    ))
}

/// Whether all can hold at once.
fn check_together(kept: &[Kept], table: &Table) -> Result<(), DataError> {
    let names: Vec<&str> = table.modelled().map(|column| column.name.as_str()).collect();
    let mut made: HashMap<usize, &str> = HashMap::new();
    for one in kept {
        if let Rule::Sum { made: place, .. } = &one.rule
            && let Some(other) = made.insert(*place, &one.text)
        {
            let what = format!("{other:?} and {:?} both make {}", one.text, names[*place]);
            return Err(refused(what, "leave one of them out"));
        }
    }
    for one in kept {
        if let Rule::Map { from, to, .. } = &one.rule
            && let Some((at, sum)) = [from, to].into_iter().find_map(|at| Some((at, made.get(at)?)))
        {
            let what = format!("{:?}: {} is made by {sum:?}", one.text, names[*at]);
            return Err(refused(what, "leave one of them out, or name the parts of the sum"));
        }
    }
    let sums = |at: usize| {
        let of = kept.iter().filter_map(|one| one.rule.made()).find(|(made, _)| *made == at);
        of.map(|(_, others)| others.into_iter().map(|(other, _)| other).collect()).unwrap_or_default()
    };
    if let Some(circle) = circle(names.len(), &sums) {
        let what = format!("{} is, by sums of sums, part of itself", names[circle[0]]);
        return Err(refused(what, "leave one of the sums out"));
    }
    let above = |at: usize| {
        let high = |one: &Kept| match one.rule {
            Rule::Order { low, high, .. } if low == at => Some(high),
            _ => None,
        };
        kept.iter().filter_map(high).collect()
    };
    if let Some(circle) = circle(names.len(), &above) {
        let all: Vec<&str> = circle.iter().map(|at| names[*at]).collect();
        let what = format!("the orders of {} go in a circle", all.join(", "));
        return Err(refused(
            what,
            format!(
                "leave one of them out; columns that are equal are \"{} = {}\"",
                all[0],
                all[all.len() - 1]
            ),
        ));
    }
    Ok(())
}

/// Places that lead back to the first of them.
fn circle(count: usize, next: &dyn Fn(usize) -> Vec<usize>) -> Option<Vec<usize>> {
    fn walk(
        at: usize,
        way: &mut Vec<usize>,
        done: &mut [bool],
        next: &dyn Fn(usize) -> Vec<usize>,
    ) -> Option<Vec<usize>> {
        if let Some(start) = way.iter().position(|known| *known == at) {
            return Some(way[start..].to_vec());
        }
        if done[at] {
            return None;
        }
        way.push(at);
        let found = next(at).into_iter().find_map(|more| walk(more, way, done, next));
        way.pop();
        done[at] = true;
        found
    }
    let mut done = vec![false; count];
    (0..count).find_map(|at| walk(at, &mut Vec::new(), &mut done, next))
}
