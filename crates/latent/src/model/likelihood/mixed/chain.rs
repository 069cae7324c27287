//! One digit after the other: log p(x|z) exactly, and rows completed from what is given of them.
//!
//! What is given comes first, then the rest in the order of the file. A given cell, or one that is confined to some levels,
//! weighs by the probability of what it may be: rows that are drawn so, weighed so, are draws of p(x | given, z)
//! (sequential importance sampling; nothing is rejected).

use burn::tensor::{Tensor, activation::log_softmax};

use super::super::evidence::{Allowed, Completed, Evidence, fraction, join, pick, softmax};
use super::digits::Digit;
use super::rules::Cell;
use super::{Mixed, Seen};
use crate::batch::{Batch, Noise};
use crate::data::table::{GAP, UNKNOWN};
use crate::density::sum_dimensions;
use crate::device::{Device, host};
use crate::model::View;
use crate::weights::Weights;

impl Mixed {
    /// Σ over the digits in the order of the file.
    pub(super) fn chain_log_density(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Tensor<1> {
        let (rows, n, columns) = (outputs.dims()[0], batch.len().max(1), self.layout.columns());
        let device = Device::of(&outputs);
        let x = host(&batch.x);
        let whole = self.embedding.seen(&x);
        let cell = |row: usize, column: usize| whole[row % n * columns + column];
        let mut seen = vec![Seen::Unknown; rows * columns];
        let mut sum = self.first(view.weights, outputs, &seen);
        let mut total: Option<Tensor<1>> = None;
        for digit in self.digits_in_turn() {
            // A sum whose parts are known: it is empty or made.
            let is_made = |row: usize| self.is_made(digit.column, &seen[row * columns..(row + 1) * columns]);
            let made: Vec<bool> = (0..rows).map(is_made).collect();
            let is_value = |row: usize| made[row] && matches!(cell(row, digit.column), Seen::Level(_));
            // Where no sum would obey, it is empty for sure.
            let is_empty = |row: usize| {
                let own = &seen[row * columns..(row + 1) * columns];
                made[row] && !is_value(row) && !self.can_be_made(digit.column, &|at| Cell::Seen(own[at]))
            };
            let empty: Vec<bool> = (0..rows).map(is_empty).collect();
            let choices: Vec<Option<usize>> = (0..rows)
                .map(|row| self.layout.choice(*digit, cell(row, digit.column)))
                .enumerate()
                // Of a sum that its parts make, only that it is not empty remains to be said.
                .map(|(row, choice)| {
                    let is_open = !digit.is_place && self.layout.has_gaps(digit.column) && !empty[row];
                    choice.filter(|_| !made[row] || is_open)
                })
                .collect();
            if choices.iter().all(Option::is_none) {
                continue;
            }
            let groups: Vec<usize> = (0..rows)
                .map(|row| match cell(row, digit.column) {
                    Seen::Level(level) => self.layout.digits_of(digit.column, level).group,
                    _ => 0,
                })
                .collect();
            let logits = self.logits(view.weights, sum.clone(), *digit, &seen, &groups);
            let mut logits = self.without_missing_places(logits, *digit, &groups);
            if self.rules.binds(digit.column) {
                let seen = |row: usize| &seen[row * columns..(row + 1) * columns];
                let penalty = self.penalty(*digit, &groups, &choices, &made, &seen);
                logits = logits + device.tensor(penalty, [rows, digit.count]);
            }
            let shares = log_softmax(logits, 1);
            // One number a row: a product with a mask of zeros and ones.
            let mut mask = vec![0.0; rows * digit.count];
            for (row, choice) in choices.iter().enumerate() {
                if let (Some(choice), false) = (choice, is_value(row)) {
                    mask[row * digit.count + choice] = 1.0;
                }
            }
            let mask = device.tensor(mask, [rows, digit.count]);
            let mut own = sum_dimensions(shares.clone().mask_fill(mask.lower_elem(0.5), 0.0));
            if made.contains(&true) && !digit.is_place && self.layout.has_gaps(digit.column) {
                // ln of the probability of no gap.
                let some = shares.narrow(1, 0, digit.count - 1);
                let most = some.clone().max_dim(1);
                let all = (some - most.clone()).exp().sum_dim(1).log() + most;
                let counts = (0..rows).map(|row| f32::from(u8::from(is_value(row)))).collect();
                own = own + sum_dimensions(all * device.tensor(counts, [rows, 1]));
            }
            total = Some(match total {
                Some(total) => total + own,
                None => own,
            });
            let before: Vec<Seen> = (0..rows).map(|row| seen[row * columns + digit.column]).collect();
            let after: Vec<Seen> = (0..rows).map(|row| self.after(*digit, cell(row, digit.column))).collect();
            sum = sum + self.change(view.weights, digit.column, &before, &after);
            (0..rows).for_each(|row| seen[row * columns + digit.column] = after[row]);
        }
        let widths = (0..rows)
            .map(|row| row % n * columns..(row % n + 1) * columns)
            .map(|own| -self.log_widths(&whole[own.clone()], &x[own]))
            .collect();
        let widths: Tensor<1> = device.tensor(widths, [rows]);
        match total {
            Some(total) => total + widths,
            None => widths,
        }
    }

    /// What is seen of a cell once this digit of it is.
    fn after(&self, digit: Digit, whole: Seen) -> Seen {
        match whole {
            Seen::Level(level) if !digit.is_place => {
                let group = self.layout.digits_of(digit.column, level).group;
                if self.layout.places_of(digit.column, group) > 1 { Seen::Group(group) } else { whole }
            }
            whole => whole,
        }
    }

    /// Completes rows: drawn by `noise`, or by the likeliest choice each without.
    pub(super) fn complete_by(
        &self,
        view: &View<'_>,
        outputs: Tensor<2>,
        evidence: &Evidence,
        noise: Option<Noise<'_>>,
    ) -> Completed {
        self.complete_with(view.weights, outputs, evidence, noise, &mut |_, _| {})
    }

    /// The same, where the logits of each digit may be changed on the way, those of all rows at once.
    pub(super) fn complete_with(
        &self,
        weights: &Weights,
        outputs: Tensor<2>,
        evidence: &Evidence,
        noise: Option<Noise<'_>>,
        change: &mut dyn FnMut(Digit, &mut [f32]),
    ) -> Completed {
        let (rows, columns) = (outputs.dims()[0], self.layout.columns());
        let given = self.embedding.seen(&evidence.x);
        let digits = self.layout.digits();
        // Columns of which anything is known come first; those that are wholly known before those that are confined.
        let rank = |column: usize| {
            let known = (0..rows).filter(|row| given[row * columns + column] != Seen::Unknown).count();
            match (known == rows, known > 0 || evidence.allowed[column].is_some()) {
                (true, _) => 0,
                (false, true) => 1,
                _ => 2,
            }
        };
        let mut order: Vec<(usize, usize)> =
            digits.iter().enumerate().map(|(at, digit)| (rank(digit.column), at)).collect();
        if evidence.only_given {
            order.retain(|(rank, _)| *rank < 2);
        }
        // A confined column is done with before what is free begins, its places too; a sum comes after its parts.
        let last = |at: usize| match self.rules.parts(digits[at].column) {
            Some(_) => 1 + self.rules.turn(digits[at].column),
            None => 0,
        };
        order.sort_by_key(|(rank, at)| (*rank, last(*at), *at));
        let nothing = vec![None; columns];
        let wide = digits.len() + columns;
        let uniforms: Option<Vec<f32>> = noise.map(|noise| {
            let draws = rows / noise.ids.len().max(1);
            host(&noise.uniforms(draws.max(1), wide, &Device::cpu()))
        });
        let mut seen = if evidence.weigh { vec![Seen::Unknown; rows * columns] } else { given.clone() };
        let mut log_weight = vec![0.0; rows];
        let mut sum = self.first(weights, outputs, &seen);
        for (_, at) in order {
            let digit = digits[at];
            let column = digit.column;
            let cells: Vec<usize> = (0..rows).map(|row| row * columns + column).collect();
            // Whether this digit of a cell is still to come.
            let open = |seen: Seen| match digit.is_place {
                true => matches!(seen, Seen::Group(_)),
                false => seen == Seen::Unknown,
            };
            if !cells.iter().any(|cell| open(seen[*cell])) {
                continue;
            }
            let groups: Vec<usize> = cells
                .iter()
                .map(|cell| match seen[*cell] {
                    Seen::Group(group) => group,
                    _ => 0,
                })
                .collect();
            let mut logits = host(&self.logits(weights, sum.clone(), digit, &seen, &groups));
            change(digit, &mut logits);
            let before: Vec<Seen> = cells.iter().map(|cell| seen[*cell]).collect();
            for (row, logits) in logits.chunks_exact_mut(digit.count).enumerate() {
                let cell = cells[row];
                if !open(seen[cell]) {
                    continue;
                }
                let group = groups[row];
                let shares = logits;
                let own = row * columns..(row + 1) * columns;
                let is_made = given[cell] == Seen::Unknown && self.is_made(column, &seen[own.clone()]);
                if digit.is_place {
                    shares[self.layout.places_of(column, group)..].fill(f32::NEG_INFINITY);
                }
                if evidence.no_gaps && !digit.is_place {
                    let groups = self.layout.scale(column).group_count();
                    shares[groups..].fill(f32::NEG_INFINITY);
                }
                softmax(shares);
                let choice = match self.layout.choice(digit, given[cell]) {
                    Some(choice) => {
                        log_weight[row] += f64::from(shares[choice].max(1e-30)).ln();
                        choice
                    }
                    // A gap where the column had none says nothing.
                    None if given[cell] == Seen::Gap => {
                        seen[cell] = Seen::Gap;
                        continue;
                    }
                    None => {
                        let asked = evidence.allowed[column].as_ref();
                        if self.rules.binds(column) && !is_made {
                            let known =
                                self.known(&seen[own], &given[row * columns..], &evidence.x[row * columns..]);
                            let leave = |asked: &[Option<Allowed>]| {
                                self.rules.allowed(column, &known, asked, evidence.no_gaps)
                            };
                            // What is asked of other columns bears on this one: its share of what may be at all.
                            let before = match evidence.weigh {
                                true => {
                                    leave(&nothing).map_or(1.0, |may| self.held(digit, group, &may, shares))
                                }
                                false => 1.0,
                            };
                            match leave(&evidence.allowed) {
                                Some(may) => {
                                    let held = self.confine(digit, group, &may, shares);
                                    log_weight[row] += held.max(1e-30).ln() - before.max(1e-30).ln();
                                }
                                // No value obeys: what is known breaks a constraint, or is none of those that were asked for.
                                None => {
                                    log_weight[row] += IMPOSSIBLE;
                                    if let Some(asked) = asked {
                                        self.confine(digit, group, asked, shares);
                                    }
                                }
                            }
                        } else {
                            let known =
                                self.known(&seen[own], &given[row * columns..], &evidence.x[row * columns..]);
                            let may_be_empty = self.layout.has_gaps(column) && !evidence.no_gaps;
                            if is_made && may_be_empty && !self.can_be_made(column, &known) {
                                let levels = vec![false; self.layout.scale(column).levels()];
                                self.confine(
                                    digit,
                                    group,
                                    &Allowed { levels, range: None, gap: true },
                                    shares,
                                );
                            }
                        }
                        if let (Some(asked), false) = (asked, self.rules.binds(column) && !is_made) {
                            let held = match is_made {
                                // Which value a sum has is its parts' matter.
                                true => {
                                    let some = asked.levels.is_empty() || asked.levels.contains(&true);
                                    let any = Allowed {
                                        levels: vec![some; asked.levels.len()],
                                        range: None,
                                        ..asked.clone()
                                    };
                                    self.confine(digit, group, &any, shares)
                                }
                                false => self.confine(digit, group, asked, shares),
                            };
                            log_weight[row] += held.max(1e-30).ln();
                        }
                        pick(shares, uniforms.as_ref().map(|u| u[row * wide + at]))
                    }
                };
                seen[cell] = match self.chosen(digit, group, choice) {
                    Seen::Gap => Seen::Gap,
                    _ if is_made => Seen::Level(self.made(column, &seen[row * columns..(row + 1) * columns])),
                    chosen => chosen,
                };
            }
            let after: Vec<Seen> = cells.iter().map(|cell| seen[*cell]).collect();
            sum = sum + self.change(weights, column, &before, &after);
        }
        let mut x = vec![GAP; rows * columns];
        for row in 0..rows {
            let own = row * columns..(row + 1) * columns;
            let seen = &seen[own.clone()];
            let given = &given[own.clone()];
            let x = &mut x[own.clone()];
            // What is given binds the others from the start.
            let value = |(column, given): (usize, &Seen)| match given {
                Seen::Level(_) => self.layout.scale(column).value_from_x(evidence.x[own.start + column]),
                _ => f64::NAN,
            };
            let mut values: Vec<f64> = given.iter().enumerate().map(value).collect();
            for &column in self.rules.order() {
                if seen[column] == Seen::Unknown {
                    x[column] = UNKNOWN;
                }
                let Seen::Level(level) = seen[column] else { continue };
                let scale = self.layout.scale(column);
                if given[column] != Seen::Unknown {
                    x[column] = evidence.x[own.start + column];
                    continue;
                }
                let u = uniforms.as_ref().map_or(0.5, |u| u[row * wide + digits.len() + column]);
                let asked = evidence.allowed[column].as_ref();
                if self.is_made(column, seen) {
                    let parts = self.rules.parts(column).unwrap_or_default();
                    let sum: f64 = parts.iter().map(|(part, sign)| sign * values[*part]).sum();
                    x[column] = scale.x_from_value(sum);
                    values[column] = sum;
                    let slack = 1e-9 * sum.abs();
                    let is_one = |asked: &Allowed| {
                        asked.holds(scale.level_of(sum))
                            && asked
                                .range
                                .is_none_or(|(least, most)| (least - slack..=most + slack).contains(&sum))
                    };
                    if !asked.is_none_or(is_one) {
                        log_weight[row] += IMPOSSIBLE;
                    }
                    continue;
                }
                let (mut may, mut before) = (None, 0.0);
                if self.rules.binds(column) {
                    let known = |at: usize| match seen[at] {
                        _ if !values[at].is_nan() => Cell::Value(values[at]),
                        Seen::Level(_) if given[at] == Seen::Unknown && self.is_made(at, seen) => Cell::Made,
                        seen => Cell::Seen(seen),
                    };
                    let leave = |asked: &[Option<Allowed>]| {
                        self.rules.allowed(column, &known, asked, evidence.no_gaps)
                    };
                    may = leave(&evidence.allowed);
                    if evidence.weigh {
                        before = leave(&nothing)
                            .map_or(0.0, |may| fraction(self.layout.scale(column), level, Some(&may), u).1);
                    }
                }
                let (fraction, log_share) =
                    fraction(self.layout.scale(column), level, may.as_ref().or(asked), u);
                log_weight[row] += log_share - before;
                x[column] = join(level, fraction);
                values[column] = scale.value_from_x(x[column]);
            }
        }
        Completed { x, log_weight }
    }

    /// The digits in the order in which rows are drawn: those of sums after all others.
    fn digits_in_turn(&self) -> Vec<&Digit> {
        let mut all: Vec<&Digit> = self.layout.digits().iter().collect();
        all.sort_by_key(|digit| match self.rules.parts(digit.column) {
            Some(_) => 1 + self.rules.turn(digit.column),
            None => 0,
        });
        all
    }

    /// Whether a column is made by a sum, and all that it is made of has values.
    fn is_made(&self, column: usize, seen: &[Seen]) -> bool {
        let parts = self.rules.parts(column);
        parts.is_some_and(|parts| parts.iter().all(|(part, _)| matches!(seen[*part], Seen::Level(_))))
    }

    /// Whether a column that others make may have a value by what is known of them.
    fn can_be_made(&self, column: usize, known: &dyn Fn(usize) -> Cell) -> bool {
        let cell = |at: usize| if at == column { Cell::Made } else { known(at) };
        self.rules.allowed(column, &cell, &[], false).is_some()
    }

    /// The level of what a sum makes, by the middles of the others' levels, until they have values.
    fn made(&self, column: usize, seen: &[Seen]) -> usize {
        let middle = |(part, sign): &(usize, f64)| match seen[*part] {
            Seen::Level(level) => {
                let scale = self.layout.scale(*part);
                0.5 * sign * (scale.low[level] + scale.high[level])
            }
            _ => 0.0,
        };
        let parts = self.rules.parts(column).unwrap_or_default();
        self.layout.scale(column).level_of(parts.iter().map(middle).sum())
    }

    /// What is known of the cells of a row: what has been drawn, and what is given though it may not be drawn yet.
    fn known<'a>(&'a self, seen: &'a [Seen], given: &'a [Seen], x: &'a [f32]) -> impl Fn(usize) -> Cell + 'a {
        move |at| match (given[at], seen[at]) {
            (Seen::Level(_), _) => Cell::Value(self.layout.scale(at).value_from_x(x[at])),
            (Seen::Unknown, Seen::Level(_)) if self.is_made(at, seen) => Cell::Made,
            (Seen::Unknown, seen) => Cell::Seen(seen),
            (given, _) => Cell::Seen(given),
        }
    }

    /// What is added to the logits of a digit so that choices which no row may have are out; a row's own stays, also where the
    /// row breaks a constraint.
    fn penalty<'a>(
        &self,
        digit: Digit,
        groups: &[usize],
        choices: &[Option<usize>],
        made: &[bool],
        seen: &dyn Fn(usize) -> &'a [Seen],
    ) -> Vec<f32> {
        let mut all = vec![0.0; choices.len() * digit.count];
        for (row, own) in all.chunks_exact_mut(digit.count).enumerate() {
            let (Some(choice), false) = (choices[row], made[row]) else { continue };
            let seen = seen(row);
            let known = |at: usize| Cell::Seen(seen[at]);
            let Some(may) = self.rules.allowed(digit.column, &known, &[], false) else { continue };
            for (at, out) in own.iter_mut().enumerate() {
                if at != choice && !self.is_good(digit, groups[row], &may, at) {
                    *out = -1e9;
                }
            }
        }
        all
    }

    /// Σ ln of what the levels of a row hold: the values of a grid, or the length of a stretch, as far as they obey.
    fn log_widths(&self, cells: &[Seen], x: &[f32]) -> f32 {
        if self.rules.is_empty() {
            return self.layout.log_widths(cells);
        }
        let mut values = vec![f64::NAN; cells.len()];
        let mut sum = 0.0;
        for &column in self.rules.order() {
            let Seen::Level(level) = cells[column] else { continue };
            let scale = self.layout.scale(column);
            let is_made = self.is_made(column, cells);
            if self.rules.binds(column) && !is_made {
                let known = |at: usize| match cells[at] {
                    _ if !values[at].is_nan() => Cell::Value(values[at]),
                    Seen::Level(_) if self.is_made(at, cells) => Cell::Made,
                    seen => Cell::Seen(seen),
                };
                let (low, high) = match self.rules.allowed(column, &known, &[], false) {
                    Some(Allowed { range: Some(range), .. }) => range,
                    _ => (scale.low[level], scale.high[level]),
                };
                sum += self.rules.log_measure(column, level, low, high);
            } else if !is_made {
                sum += scale.width(level).ln();
            }
            values[column] = scale.value_from_x(x[column]);
        }
        sum as f32
    }

    /// What a choice makes of a cell.
    fn chosen(&self, digit: Digit, group: usize, choice: usize) -> Seen {
        let scale = self.layout.scale(digit.column);
        if digit.is_place {
            let digits = crate::data::table::Digits { group, place: choice };
            return Seen::Level(scale.level(digits));
        }
        if choice >= scale.group_count() {
            return Seen::Gap;
        }
        match scale.places_of(choice) {
            1 => Seen::Level(scale.groups[choice] as usize),
            _ => Seen::Group(choice),
        }
    }

    /// Whether a choice of a digit can become a level that is allowed.
    fn is_good(&self, digit: Digit, group: usize, allowed: &Allowed, choice: usize) -> bool {
        let scale = self.layout.scale(digit.column);
        match digit.is_place {
            true => choice < scale.places_of(group) && allowed.holds(scale.groups[group] as usize + choice),
            false if choice >= scale.group_count() => allowed.gap,
            false => {
                let first = scale.groups[choice] as usize;
                (first..first + scale.places_of(choice)).any(|level| allowed.holds(level))
            }
        }
    }

    /// How much of the shares of a digit is allowed.
    fn held(&self, digit: Digit, group: usize, allowed: &Allowed, shares: &[f32]) -> f64 {
        let good =
            |(choice, share): (usize, &f32)| self.is_good(digit, group, allowed, choice).then_some(*share);
        f64::from(shares.iter().enumerate().filter_map(good).sum::<f32>())
    }

    /// Keeps what is allowed of the shares of a digit, and says how much that was.
    fn confine(&self, digit: Digit, group: usize, allowed: &Allowed, shares: &mut [f32]) -> f64 {
        for (choice, share) in shares.iter_mut().enumerate() {
            if !self.is_good(digit, group, allowed, choice) {
                *share = 0.0;
            }
        }
        let held: f32 = shares.iter().sum();
        if held > 0.0 {
            shares.iter_mut().for_each(|share| *share /= held);
        } else {
            // Not one allowed choice has a share that single precision can tell from 0: they are alike.
            for (choice, share) in shares.iter_mut().enumerate() {
                *share = f32::from(u8::from(self.is_good(digit, group, allowed, choice)));
            }
            let all: f32 = shares.iter().sum();
            shares.iter_mut().for_each(|share| *share /= all.max(1.0));
        }
        f64::from(held)
    }

    /// log p(cell | the other cells, z) of each cell, `[rows, columns]`; 0 where nothing is known of it.
    pub(super) fn surprise_of_each(&self, view: &View<'_>, outputs: Tensor<2>, batch: &Batch) -> Vec<f32> {
        let (rows, n, columns) = (outputs.dims()[0], batch.len().max(1), self.layout.columns());
        let x = host(&batch.x);
        let whole: Vec<Seen> = {
            let own = self.embedding.seen(&x);
            (0..rows * columns).map(|at| own[at / columns % n * columns + at % columns]).collect()
        };
        let full = self.first(view.weights, outputs, &whole);
        let mut all = vec![0.0; rows * columns];
        for column in 0..columns {
            let own: Vec<Seen> = (0..rows).map(|row| whole[row * columns + column]).collect();
            let mut before = vec![Seen::Unknown; rows];
            let mut sum = full.clone() + self.change(view.weights, column, &own, &before);
            let (group, place) = self.layout.of_column(column);
            for at in std::iter::once(group).chain(place) {
                let digit = self.layout.digits()[at];
                let groups: Vec<usize> = before
                    .iter()
                    .map(|seen| match seen {
                        Seen::Group(group) => *group,
                        _ => 0,
                    })
                    .collect();
                let logits = host(&self.logits(view.weights, sum.clone(), digit, &whole, &groups));
                for (row, logits) in logits.chunks_exact(digit.count).enumerate() {
                    let Some(choice) = self.layout.choice(digit, own[row]) else { continue };
                    let mut shares = logits.to_vec();
                    if let (true, Seen::Group(group)) = (digit.is_place, before[row]) {
                        shares[self.layout.places_of(column, group)..].fill(f32::NEG_INFINITY);
                    }
                    softmax(&mut shares);
                    all[row * columns + column] += shares[choice].max(1e-30).ln();
                }
                let after: Vec<Seen> = own.iter().map(|seen| self.after(digit, *seen)).collect();
                sum = sum + self.change(view.weights, column, &before, &after);
                before = after;
            }
        }
        all
    }
}

/// ln of the weight of a row that is none of what was asked for.
const IMPOSSIBLE: f64 = -1e6;
