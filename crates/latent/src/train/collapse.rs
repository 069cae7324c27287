//! Are dimensions dying? A validation counts the units that still carry something, and a watch says when most of those that
//! did no longer do:
//!
//! active: rate of the dimension > 0.01 nats;  of bits: entropy of the bit's mean over rows > 0.01 nats
//!
//! A bit that is always the same has a rate (it costs ln 2 under a fair prior) and says nothing, so bits are counted by use.
//!
//! References: Bowman et al. (arXiv 1511.06349) for the collapse; Kingma et al. (arXiv 1606.04934) for free bits.

use super::Line;
use crate::model::ACTIVE_NATS;

/// What brought collapsed codes back where it was tried: with a weight of 500 on the rate, and under a fixed σ far too large.
/// A warm-up helped the second alone, whose code had been given up early.
pub const COLLAPSE_REMEDY: &str = "Free bits (objective.terms.rate.free_bits = 0.1) or a lower objective.terms.rate.weight bring \
                                   it back; under a normal likelihood of fixed σ, likelihood.scale = \"optimal\" does";

/// The series of a validation that holds the mean of each bit.
pub(super) const BIT_MEANS: &str = "bit_mean";

/// How many units are active, from the series of a validation; none where it has no such series.
pub(super) fn active_units(line: &Line) -> Option<usize> {
    // What a book of codes costs says nothing of its use, which is counted elsewhere.
    if line.series.iter().any(|(name, _)| name.starts_with(super::usage::PREFIX)) {
        return None;
    }
    let series = |name: &str| line.series.iter().find(|(known, _)| known == name).map(|(_, values)| values);
    let count =
        |values: &Vec<f64>, of: fn(f64) -> f64| values.iter().filter(|v| of(**v) > ACTIVE_NATS).count();
    match series(BIT_MEANS) {
        Some(means) => Some(count(means, binary_entropy)),
        None => series("rate_per_dimension").map(|rates| count(rates, |rate| rate)),
    }
}

/// −p ln p − (1 − p) ln(1 − p)
pub(crate) fn binary_entropy(p: f64) -> f64 {
    [p, 1.0 - p].into_iter().filter(|p| *p > 0.0).map(|p| -p * p.ln()).sum()
}

/// Follows the active units of a run and warns once when more than half of the most there were are gone, or all.
#[derive(Clone, Debug, Default)]
pub struct CollapseWatch {
    most: f64,
    warned: bool,
}

impl CollapseWatch {
    /// What to tell the user after this validation, if anything.
    pub fn warning(&mut self, line: &Line) -> Option<String> {
        let active = line.get("active_units")?;
        self.most = self.most.max(active);
        if active > 0.0 && 2.0 * active >= self.most {
            // It came back: another fall is worth another word.
            self.warned = false;
            return None;
        }
        if std::mem::replace(&mut self.warned, true) {
            return None;
        }
        let fell = if active < self.most { format!(", after {}", self.most) } else { String::new() };
        Some(format!("the code is collapsing: {active} active units{fell}. {COLLAPSE_REMEDY}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(series: &str, values: &[f32]) -> Line {
        let mut line = Line::validation(1, 1.0);
        line.add_series(series, values, 1.0);
        line
    }

    #[test]
    fn units_are_counted_by_rate_and_bits_by_use() {
        assert_eq!(active_units(&line("rate_per_dimension", &[1.5, 0.0, 0.02, 0.0099])), Some(2));
        // A constant bit has a rate and no use: entropies 0.69, 0, 0.0079 (one row in a thousand) and 0.056.
        let mut bits = line(BIT_MEANS, &[0.5, 1.0, 0.001, 0.01]);
        bits.add_series("rate_per_dimension", &[0.7, 0.7, 0.7, 0.7], 1.0);
        assert_eq!(active_units(&bits), Some(2));
        assert_eq!(active_units(&Line::validation(1, 1.0)), None);
    }

    #[test]
    fn the_watch_warns_once_when_most_are_gone() {
        let mut watch = CollapseWatch::default();
        let mut see = |active: f64| {
            let mut line = Line::validation(1, 1.0);
            line.push("active_units", active);
            watch.warning(&line)
        };
        // Few units from the start are no collapse; a half that is left is none either.
        assert!([8.0, 20.0, 10.0].map(&mut see).iter().all(Option::is_none));
        let said = see(9.0).unwrap();
        assert!(said.contains("9 active units, after 20") && said.contains("free_bits"), "{said}");
        assert!([8.0, 0.0].map(&mut see).iter().all(Option::is_none));
        assert!(see(15.0).is_none() && see(3.0).is_some());
        // None from the start is one.
        let mut line = Line::validation(1, 1.0);
        line.push("active_units", 0.0);
        assert!(CollapseWatch::default().warning(&line).unwrap().contains("0 active units. Free bits"));
        assert!(CollapseWatch::default().warning(&Line::validation(1, 1.0)).is_none());
    }
}
