//! Which numbers the network gives for which digit of which column, and which digits of a row are shown in training.

use rand_distr::{Distribution, Uniform};

use crate::data::Table;
use crate::data::table::{Digits, Scale};
use crate::key::Key;
use crate::network::columns::Seen;

/// Ordered columns of up to so many levels are treated as words are: with a logit each.
pub(super) const FEW: usize = 24;

/// A digit of a column: a choice among its groups of levels, or among the places of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Digit {
    pub column: usize,
    /// Whether it is the place within a group.
    pub is_place: bool,
    /// Its logits among all.
    pub first: usize,
    pub count: usize,
}

/// The digits of a table: the groups of all columns, then the places.
pub(super) struct Layout {
    scales: Vec<Scale>,
    gaps: Vec<f64>,
    digits: Vec<Digit>,
    /// The digit of each column's groups and, where it has some, of its places.
    of_columns: Vec<(usize, Option<usize>)>,
    outputs: usize,
}

/// Some digits of a row shown, the others to be predicted.
pub(super) struct Shown {
    pub seen: Vec<Seen>,
    /// A digit and the choice that it should be.
    pub targets: Vec<(usize, usize)>,
    /// What each target's log density counts.
    pub factor: f32,
}

impl Layout {
    pub(super) fn new(table: &Table) -> Self {
        let all: Vec<(Scale, f64)> =
            table.modelled().filter_map(|column| Some((column.scale.clone()?, column.gap_share))).collect();
        let mut outputs = 0;
        let mut digits = Vec::new();
        let mut of_columns = Vec::new();
        for (column, (scale, gaps)) in all.iter().enumerate() {
            // The gap is the last choice.
            let count = scale.group_count() + usize::from(*gaps > 0.0);
            of_columns.push((digits.len(), None));
            digits.push(Digit { column, is_place: false, first: outputs, count });
            outputs += count;
        }
        for (column, (scale, _)) in all.iter().enumerate().filter(|(_, (scale, _))| scale.places() > 1) {
            of_columns[column].1 = Some(digits.len());
            digits.push(Digit { column, is_place: true, first: outputs, count: scale.places() });
            outputs += scale.places();
        }
        let (scales, gaps) = all.into_iter().unzip();
        Self { scales, gaps, digits, of_columns, outputs }
    }

    pub(super) fn columns(&self) -> usize {
        self.scales.len()
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn digits(&self) -> &[Digit] {
        &self.digits
    }

    pub(super) fn scale(&self, column: usize) -> &Scale {
        &self.scales[column]
    }

    pub(super) fn digits_of(&self, column: usize, level: usize) -> Digits {
        self.scales[column].digits(level)
    }

    pub(super) fn places_of(&self, column: usize, group: usize) -> usize {
        self.scales[column].places_of(group)
    }

    /// Whether all groups of a column have as many places.
    pub(super) fn even(&self, column: usize) -> bool {
        let scale = &self.scales[column];
        let most = scale.places();
        (0..scale.group_count()).all(|group| scale.places_of(group) == most)
    }

    /// The rank of each choice among rows, in (0, 1), of a digit of ordered levels; nothing of categories, nor for the gap.
    pub(super) fn ranks(&self, digit: Digit) -> Vec<f64> {
        let scale = &self.scales[digit.column];
        match (scale.categories, digit.is_place) {
            (true, _) => Vec::new(),
            (false, true) => {
                (0..digit.count).map(|place| (place as f64 + 0.5) / digit.count as f64).collect()
            }
            (false, false) => {
                let mut below = 0.0;
                (0..scale.group_count())
                    .map(|group| {
                        let first = scale.groups[group] as usize;
                        let share: f32 = scale.shares[first..first + scale.places_of(group)].iter().sum();
                        below += f64::from(share);
                        below - 0.5 * f64::from(share)
                    })
                    .collect()
            }
        }
    }

    pub(super) fn has_gaps(&self, column: usize) -> bool {
        self.gaps[column] > 0.0
    }

    /// The digits of a column's groups and places.
    pub(super) fn of_column(&self, column: usize) -> (usize, Option<usize>) {
        self.of_columns[column]
    }

    /// Where the last bias starts: at the shares of the training rows.
    pub(super) fn bias(&self) -> Vec<f32> {
        let mut bias = vec![0.0; self.outputs];
        for digit in self.digits.iter().filter(|digit| !digit.is_place) {
            let (scale, gaps) = (&self.scales[digit.column], self.gaps[digit.column]);
            for group in 0..scale.group_count() {
                let first = scale.groups[group] as usize;
                let share: f32 = scale.shares[first..first + scale.places_of(group)].iter().sum();
                bias[digit.first + group] = (f64::from(share) * (1.0 - gaps) + 1e-5).ln() as f32;
            }
            if gaps > 0.0 {
                bias[digit.first + digit.count - 1] = (gaps + 1e-5).ln() as f32;
            }
        }
        bias
    }

    /// Σ ln of what the levels of a row hold: the values of a grid, or the length of a stretch.
    pub(super) fn log_widths(&self, cells: &[Seen]) -> f32 {
        let width = |(column, seen): (usize, &Seen)| match seen {
            Seen::Level(level) => self.scales[column].width(*level).ln(),
            _ => 0.0,
        };
        cells.iter().enumerate().map(width).sum::<f64>() as f32
    }

    /// The choice that a digit of a cell is; none where the cell has no such digit.
    pub(super) fn choice(&self, digit: Digit, seen: Seen) -> Option<usize> {
        match seen {
            Seen::Level(level) => {
                let digits = self.scales[digit.column].digits(level);
                match digit.is_place {
                    false => Some(digits.group),
                    true => (self.scales[digit.column].places_of(digits.group) > 1).then_some(digits.place),
                }
            }
            Seen::Gap if !digit.is_place && self.has_gaps(digit.column) => Some(digit.count - 1),
            _ => None,
        }
    }

    /// Shows some digits of a row: a beginning in the order of the file with probability `in_order`, else any.
    pub(super) fn show(&self, cells: &[Seen], in_order: f64, key: Key) -> Shown {
        let choices: Vec<Option<usize>> =
            self.digits.iter().map(|digit| self.choice(*digit, cells[digit.column])).collect();
        let all: Vec<usize> = (0..self.digits.len()).filter(|at| choices[*at].is_some()).collect();
        let mut generator = key.generator();
        let mut below = |most: usize| {
            Uniform::new(0, most.max(1)).map(|uniform| uniform.sample(&mut generator)).unwrap_or(0)
        };
        let count = below(all.len());
        let is_in_order = (below(1 << 20) as f64) < in_order * f64::from(1 << 20);
        let mut shown = vec![false; self.digits.len()];
        if is_in_order {
            all.iter().take(count).for_each(|at| shown[*at] = true);
        } else {
            // A place can be shown once its group is.
            let mut ready: Vec<usize> = all.iter().copied().filter(|at| !self.digits[*at].is_place).collect();
            for _ in 0..count {
                let at = ready.swap_remove(below(ready.len()));
                shown[at] = true;
                let place = self.of_columns[self.digits[at].column].1;
                if let (false, Some(place)) = (self.digits[at].is_place, place)
                    && choices[place].is_some()
                {
                    ready.push(place);
                }
            }
        }
        let seen = cells
            .iter()
            .enumerate()
            .map(|(column, seen)| {
                let (group, place) = self.of_columns[column];
                match seen {
                    _ if !shown[group] => Seen::Unknown,
                    Seen::Level(level)
                        if place.is_some_and(|place| choices[place].is_some() && !shown[place]) =>
                    {
                        Seen::Group(self.scales[column].digits(*level).group)
                    }
                    seen => *seen,
                }
            })
            .collect();
        let targets: Vec<(usize, usize)> = all
            .iter()
            .filter(|at| {
                let digit = self.digits[**at];
                !shown[**at] && (!digit.is_place || shown[self.of_columns[digit.column].0])
            })
            .filter_map(|at| Some((*at, choices[*at]?)))
            .collect();
        let factor = all.len() as f32 / targets.len().max(1) as f32;
        Shown { seen, targets, factor }
    }
}
