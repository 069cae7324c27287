//! What constraints leave of a cell, given what is known of the other cells of its row.
//!
//! Each column that a constraint speaks of has a domain: the levels that it may still be, bounds of its value, whether it may
//! be empty. Rules narrow domains until nothing changes (arc consistency):
//!
//! ```text
//! low ≤ high         high's upper bound holds for low, low's lower bound for high
//! total = Σ parts    each within what the bounds of all others leave
//! from → to          only levels of the one whose value the other may have, and the other way round
//! ```
//!
//! A cell that may still be empty binds no other, since an empty cell obeys. For orders alone, and for maps between columns
//! that form no circle, every value that is left can be completed to a row that obeys: orders are closed under minima, and a
//! consistent tree has a solution for each value (Freuder, *A Sufficient Condition for Backtrack-Free Search*, 1982). The
//! shares of what is left are divided by their sum, digit by digit, so that rows which obey have all the probability.

use std::collections::HashMap;

use super::super::Allowed;
use crate::data::Table;
use crate::data::table::{Rule, Scale};
use crate::network::columns::Seen;

/// What is known of a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Cell {
    /// What has been drawn of it.
    Seen(Seen),
    /// Its value.
    Value(f64),
    /// That others make it by a sum, and so that it is not empty.
    Made,
}

/// The constraints of a table.
pub(super) struct Rules {
    rules: Vec<Bound>,
    scales: Vec<Scale>,
    gaps: Vec<bool>,
    /// The columns that are tied to each by constraints, itself among them; none for one that is free.
    tied: Vec<Vec<usize>>,
    /// What each column that is made by a sum is made of, with signs.
    parts: HashMap<usize, Vec<(usize, f64)>>,
    /// Columns in the order in which they get values: what is made after what it is made of.
    order: Vec<usize>,
}

/// A rule with what it says of levels.
enum Bound {
    Order {
        low: usize,
        high: usize,
        margin: f64,
    },
    Sum {
        total: usize,
        parts: Vec<usize>,
    },
    /// The value and the level of `to` for each level of `from`; none where anything goes.
    Map {
        from: usize,
        to: usize,
        of: Vec<Option<(f64, usize)>>,
    },
    Range {
        column: usize,
        least: f64,
        most: f64,
    },
}

/// What a cell may still be.
struct Domain {
    first: usize,
    last: usize,
    may: Option<Vec<bool>>,
    low: f64,
    high: f64,
    gap: bool,
    /// Whether no value is left.
    is_void: bool,
    /// Whether levels say nothing of its values: it is a sum, or known.
    bounds_only: bool,
}

/// Turns over the rules of a table; they end long before, where nothing changes.
const MOST_TURNS: usize = 30;

impl Rules {
    pub(super) fn new(table: &Table) -> Self {
        let columns: Vec<_> = table.modelled().collect();
        let scales: Vec<Scale> = columns.iter().filter_map(|column| column.scale.clone()).collect();
        let gaps = columns.iter().map(|column| column.has_gaps()).collect();
        let count = scales.len();
        let bound = |rule: &Rule| match rule {
            Rule::Order { low, high, margin } => Bound::Order { low: *low, high: *high, margin: *margin },
            Rule::Sum { total, parts, .. } => Bound::Sum { total: *total, parts: parts.clone() },
            Rule::Map { from, to, .. } => {
                let of = |value: &f64| rule.mapped(*value).map(|value| (value, scales[*to].level_of(value)));
                Bound::Map { from: *from, to: *to, of: scales[*from].low.iter().map(of).collect() }
            }
            Rule::Range { column, least, most } => Bound::Range {
                column: *column,
                least: least.unwrap_or(f64::NEG_INFINITY),
                most: most.unwrap_or(f64::INFINITY),
            },
        };
        let rules: Vec<Bound> = table.constraints.iter().map(|kept| bound(&kept.rule)).collect();
        let mut tied: Vec<Vec<usize>> = vec![Vec::new(); count];
        for kept in &table.constraints {
            let mut all: Vec<usize> = kept.rule.places();
            all.extend(kept.rule.places().into_iter().flat_map(|place| tied[place].clone()));
            all.sort_unstable();
            all.dedup();
            all.iter().for_each(|place| tied[*place].clone_from(&all));
        }
        let parts: HashMap<usize, Vec<(usize, f64)>> =
            table.constraints.iter().filter_map(|kept| kept.rule.made()).collect();
        let mut order: Vec<usize> = (0..count).filter(|column| !parts.contains_key(column)).collect();
        // Sums are in no circle, so that each turn places one at least.
        while order.len() < count {
            let before = order.len();
            let ready = (0..count).filter(|at| {
                let own = parts.get(at).map_or(&[][..], Vec::as_slice);
                !order.contains(at) && own.iter().all(|(part, _)| order.contains(part))
            });
            let ready: Vec<usize> = ready.collect();
            order.extend(ready);
            if order.len() == before {
                order.extend((0..count).filter(|at| !order.contains(at)).collect::<Vec<_>>());
            }
        }
        Self { rules, scales, gaps, tied, parts, order }
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a constraint speaks of the column.
    pub(super) fn binds(&self, column: usize) -> bool {
        !self.tied[column].is_empty()
    }

    /// What a column that is made by a sum is made of, with signs.
    pub(super) fn parts(&self, column: usize) -> Option<&[(usize, f64)]> {
        self.parts.get(&column).map(Vec::as_slice)
    }

    /// Where a column stands among those that get values.
    pub(super) fn turn(&self, column: usize) -> usize {
        self.order.iter().position(|at| *at == column).unwrap_or(column)
    }

    /// Columns in the order in which they get values.
    pub(super) fn order(&self) -> &[usize] {
        &self.order
    }

    /// What a cell may be, given what is known of the others and what is asked of them; none where nothing is left.
    pub(super) fn allowed(
        &self,
        column: usize,
        cell: &dyn Fn(usize) -> Cell,
        asked: &[Option<Allowed>],
        no_gaps: bool,
    ) -> Option<Allowed> {
        let tied = &self.tied[column];
        let mut domains: Vec<Option<Domain>> = (0..self.scales.len()).map(|_| None).collect();
        for at in tied {
            let asked = asked.get(*at).and_then(Option::as_ref);
            domains[*at] = Some(self.start(*at, cell(*at), asked, no_gaps));
        }
        for _ in 0..MOST_TURNS {
            let mut changed = false;
            for rule in &self.rules {
                changed |= self.narrow(rule, &mut domains);
            }
            if !changed {
                break;
            }
        }
        let domain = domains[column].take()?;
        // Where another column has nothing left, this one's share of the blame can't be told.
        let dead = |domain: &Domain| domain.is_void && !domain.gap;
        if dead(&domain) || domains.iter().flatten().any(dead) {
            return None;
        }
        let scale = &self.scales[column];
        let may = |level: usize| {
            !domain.is_void
                && (domain.first..=domain.last).contains(&level)
                && domain.may.as_ref().is_none_or(|may| may[level])
                && asked.get(column).and_then(Option::as_ref).is_none_or(|asked| asked.holds(level))
                && self.overlaps(column, level, domain.low, domain.high)
        };
        let levels: Vec<bool> = (0..scale.levels()).map(may).collect();
        Some(Allowed { levels, range: Some((domain.low, domain.high)), gap: domain.gap })
    }

    /// What a cell may be by what is known of it and asked of it.
    fn start(&self, column: usize, cell: Cell, asked: Option<&Allowed>, no_gaps: bool) -> Domain {
        let scale = &self.scales[column];
        let last = scale.levels().saturating_sub(1);
        let of_levels = |first: usize, last: usize, gap: bool| Domain {
            first,
            last,
            may: None,
            low: scale.low[first],
            high: scale.high[last],
            gap,
            is_void: false,
            bounds_only: false,
        };
        // A level that has been drawn is still cut by what is asked.
        let is_open = !matches!(cell, Cell::Value(_) | Cell::Seen(Seen::Gap));
        let mut domain = match cell {
            Cell::Value(value) => {
                let level = scale.level_of(value);
                Domain { low: value, high: value, bounds_only: true, ..of_levels(level, level, false) }
            }
            Cell::Seen(Seen::Level(level)) => of_levels(level, level, false),
            Cell::Seen(Seen::Group(group)) => {
                let first = scale.groups[group] as usize;
                of_levels(first, first + scale.places_of(group).saturating_sub(1), false)
            }
            Cell::Seen(Seen::Gap) => Domain { is_void: true, ..of_levels(0, last, true) },
            Cell::Seen(Seen::Unknown) | Cell::Made => {
                let gap = cell != Cell::Made
                    && self.gaps[column]
                    && !no_gaps
                    && asked.is_none_or(|asked| asked.gap);
                let mut domain = of_levels(0, last, gap);
                if self.parts.contains_key(&column) {
                    // It keeps to the range of the training rows where it is never empty; else it may be out of it as well as empty.
                    if self.gaps[column] {
                        (domain.low, domain.high) = (f64::NEG_INFINITY, f64::INFINITY);
                    }
                    domain.bounds_only = true;
                }
                domain
            }
        };
        if let (true, Some(asked)) = (is_open, asked) {
            if let Some((least, most)) = asked.range {
                (domain.low, domain.high) = (domain.low.max(least), domain.high.min(most));
            }
            match domain.bounds_only {
                // Levels bound a sum by the first and the last; that it is in none between is looked at once it is made.
                true if !asked.levels.is_empty() => {
                    let places = || (0..asked.levels.len()).filter(|level| asked.levels[*level]);
                    match (places().next(), places().next_back()) {
                        (Some(first), Some(last)) => {
                            domain.low = domain.low.max(scale.low[first]);
                            domain.high = domain.high.min(scale.high[last]);
                        }
                        _ => domain.is_void = true,
                    }
                }
                false if !asked.levels.is_empty() => domain.may = Some(asked.levels.clone()),
                _ => {}
            }
        }
        for rule in &self.rules {
            if let (Bound::Range { column: at, least, most }, true) = (rule, is_open)
                && *at == column
            {
                (domain.low, domain.high) = (domain.low.max(*least), domain.high.min(*most));
            }
        }
        if is_open {
            self.snap(column, &mut domain);
        }
        domain
    }

    /// Narrows what a rule binds; says whether anything changed.
    fn narrow(&self, rule: &Bound, domains: &mut [Option<Domain>]) -> bool {
        match rule {
            Bound::Range { .. } => false,
            Bound::Order { low, high, margin } => {
                let (Some(a), Some(b)) = (&domains[*low], &domains[*high]) else { return false };
                let (least, most) = (a.low + margin, b.high - margin);
                let (a_binds, b_binds) = (!a.gap, !b.gap);
                let mut changed = false;
                if b_binds {
                    changed |= self.within(*low, f64::NEG_INFINITY, most, domains);
                }
                if a_binds {
                    changed |= self.within(*high, least, f64::INFINITY, domains);
                }
                changed
            }
            Bound::Sum { total, parts } => {
                let all: Vec<usize> = parts.iter().copied().chain([*total]).collect();
                if all.iter().any(|at| domains[*at].is_none()) {
                    return false;
                }
                let mut changed = false;
                for (place, at) in all.iter().enumerate() {
                    let others = || all.iter().enumerate().filter(move |(other, _)| *other != place);
                    if others().any(|(_, other)| domains[*other].as_ref().is_none_or(|domain| domain.gap)) {
                        continue;
                    }
                    let (mut least, mut most) = (0.0, 0.0);
                    for (other, column) in others() {
                        let Some(domain) = &domains[*column] else { continue };
                        // A part is the total less the other parts.
                        match (*at == *total, other == all.len() - 1) {
                            (true, _) | (false, true) => {
                                least += domain.low;
                                most += domain.high;
                            }
                            (false, false) => {
                                least -= domain.high;
                                most -= domain.low;
                            }
                        }
                    }
                    if !least.is_nan() && !most.is_nan() {
                        changed |= self.within(*at, least, most, domains);
                    }
                }
                changed
            }
            Bound::Map { from, to, of } => self.narrow_map(*from, *to, of, domains),
        }
    }

    fn narrow_map(
        &self,
        from: usize,
        to: usize,
        of: &[Option<(f64, usize)>],
        domains: &mut [Option<Domain>],
    ) -> bool {
        let (Some(a), Some(b)) = (&domains[from], &domains[to]) else { return false };
        let mut changed = false;
        let holds = |domain: &Domain, level: usize| {
            !domain.is_void
                && (domain.first..=domain.last).contains(&level)
                && domain.may.as_ref().is_none_or(|may| may[level])
        };
        let left = |domain: &Domain, column: usize| -> Vec<bool> {
            (0..self.scales[column].levels()).map(|level| holds(domain, level)).collect()
        };
        let own = left(a, from);
        let fits = |level: usize| match of.get(level).copied().flatten() {
            Some((value, at)) => {
                // A value that comes from x is known in single precision.
                let span = self.scales[to].high[at] - self.scales[to].low[at];
                let slack = 1e-9 * value.abs() + 2.4e-7 * span * (at + 1) as f64;
                holds(b, at) && value >= b.low - slack && value <= b.high + slack
            }
            None => true,
        };
        let narrowed: Option<Vec<bool>> =
            (!b.gap).then(|| own.iter().enumerate().map(|(level, may)| *may && fits(level)).collect());
        // What the levels that are left decide.
        let image = (!a.gap).then(|| {
            let kept = narrowed.as_ref().unwrap_or(&own);
            let mut may = vec![false; self.scales[to].levels()];
            let (mut least, mut most) = (f64::INFINITY, f64::NEG_INFINITY);
            for (level, kept) in kept.iter().enumerate() {
                match (kept, of.get(level).copied().flatten()) {
                    (false, _) => {}
                    (true, None) => return None,
                    (true, Some((value, at))) => {
                        may[at] = true;
                        (least, most) = (least.min(value), most.max(value));
                    }
                }
            }
            Some((may, least, most))
        });
        let before_to = left(b, to);
        if let Some(narrowed) = narrowed
            && narrowed != own
            && let Some(domain) = &mut domains[from]
        {
            changed = true;
            domain.may = Some(narrowed);
            self.snap(from, domain);
        }
        if let Some(Some((may, least, most))) = image {
            let both: Vec<bool> = may.iter().zip(&before_to).map(|(a, b)| *a && *b).collect();
            if both != before_to
                && let Some(domain) = &mut domains[to]
            {
                changed = true;
                domain.may = Some(both);
                self.snap(to, domain);
            }
            changed |= self.within(to, least, most, domains);
        }
        changed
    }

    /// Keeps the values from `least` to `most`; says whether any went.
    fn within(&self, column: usize, least: f64, most: f64, domains: &mut [Option<Domain>]) -> bool {
        let Some(domain) = &mut domains[column] else { return false };
        if domain.is_void
            || (least <= domain.low + slack(least, least) && most >= domain.high - slack(most, most))
        {
            return false;
        }
        let before = (domain.low, domain.high, domain.is_void);
        (domain.low, domain.high) = (domain.low.max(least), domain.high.min(most));
        self.snap(column, domain);
        before != (domain.low, domain.high, domain.is_void)
    }

    /// Moves bounds to the next values that there are.
    fn snap(&self, column: usize, domain: &mut Domain) {
        let slack = slack(domain.low, domain.high);
        if domain.bounds_only {
            domain.is_void |= domain.low > domain.high + slack;
            return;
        }
        let scale = &self.scales[column];
        let may = |domain: &Domain, level: usize| domain.may.as_ref().is_none_or(|may| may[level]);
        loop {
            if domain.is_void || domain.first > domain.last {
                domain.is_void = true;
                return;
            }
            let level = domain.first;
            let from = self.up(column, level, domain.low);
            if !may(domain, level) || from > scale.high[level] + slack || from > domain.high + slack {
                domain.first += 1;
                continue;
            }
            domain.low = from;
            break;
        }
        loop {
            if domain.first > domain.last {
                domain.is_void = true;
                return;
            }
            let level = domain.last;
            let to = self.down(column, level, domain.high);
            if !may(domain, level) || to < scale.low[level] - slack || to < domain.low - slack {
                let Some(before) = domain.last.checked_sub(1) else {
                    domain.is_void = true;
                    return;
                };
                domain.last = before;
                continue;
            }
            domain.high = to.max(domain.low);
            break;
        }
    }

    /// The least value of a level from here on.
    fn up(&self, column: usize, level: usize, value: f64) -> f64 {
        let scale = &self.scales[column];
        match value <= scale.low[level] {
            true => scale.low[level],
            false if scale.step > 0.0 => {
                scale.low[level] + ((value - scale.low[level]) / scale.step - 1e-6).ceil() * scale.step
            }
            false => value,
        }
    }

    /// The greatest value of a level up to here.
    fn down(&self, column: usize, level: usize, value: f64) -> f64 {
        let scale = &self.scales[column];
        match value >= scale.high[level] {
            true => scale.high[level],
            false if scale.step > 0.0 => {
                scale.high[level] - ((scale.high[level] - value) / scale.step - 1e-6).ceil() * scale.step
            }
            false => value,
        }
    }

    /// Whether a level has a value within bounds.
    fn overlaps(&self, column: usize, level: usize, low: f64, high: f64) -> bool {
        let scale = &self.scales[column];
        let slack = slack(low, high);
        self.up(column, level, low) <= high.min(scale.high[level]) + slack && scale.low[level] <= high + slack
    }

    /// ln of how much of a level lies within bounds: values of a grid, or the length of a stretch.
    pub(super) fn log_measure(&self, column: usize, level: usize, low: f64, high: f64) -> f64 {
        let scale = &self.scales[column];
        let (from, to) = (self.up(column, level, low), self.down(column, level, high));
        let size = match () {
            () if scale.low[level] == scale.high[level] => 1.0,
            () if scale.step > 0.0 => ((to - from) / scale.step).round() + 1.0,
            () => to - from,
        };
        match () {
            () if size > 0.0 => size.ln(),
            // Decided by others.
            () if from == to => 0.0,
            // A value that rounding has moved out of its bounds counts as one of the whole level.
            () => scale.width(level).ln(),
        }
    }
}

/// How far apart two doubles may be that are meant to be equal.
fn slack(low: f64, high: f64) -> f64 {
    let size = |bound: f64| if bound.is_finite() { bound.abs() } else { 0.0 };
    1e-9 * size(low).max(size(high)).max(1e-3)
}
