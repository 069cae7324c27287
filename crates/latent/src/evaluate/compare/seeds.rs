//! Runs that differ in their seed alone are replicates of one method: what is claimed of the method is claimed of its mean
//! over training seeds, with Student's interval, and not of one lucky run.
//!
//! A run named `x-seed1` (also `x_seed1`, `x-seed-1`, `xseed1`, `seed1`) is replicate 1 of `x`.

use std::collections::BTreeMap;

use super::{Comparison, Found, compared, student_quantile, welch};
use crate::evaluate::{Estimate, Mean, Section};

/// The method and the seed that a run's name tells.
pub fn method_and_seed(name: &str) -> Option<(&str, u64)> {
    let digits = name.len() - name.bytes().rev().take_while(u8::is_ascii_digit).count();
    let seed = name[digits..].parse().ok()?;
    let stem = name[..digits].trim_end_matches(['-', '_']).strip_suffix("seed")?;
    Some((stem.trim_end_matches(['-', '_', '.']), seed))
}

/// The runs of each method, in the order of their first run; a run whose name tells no seed is a method of one run.
pub fn methods<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, Vec<usize>)> {
    let mut found: Vec<(&str, Vec<usize>)> = Vec::new();
    let mut place = BTreeMap::new();
    for (run, name) in names.into_iter().enumerate() {
        let method = method_and_seed(name).map_or(name, |(method, _)| method);
        let at = *place.entry(method).or_insert_with(|| {
            found.push((method, Vec::new()));
            found.len() - 1
        });
        found[at].1.push(run);
    }
    found
}

/// Methods × measures: each cell the mean over the seeds of a method, differences by Welch's t over seeds with Holm's
/// correction. A method of one run shows its number and takes part in no test.
pub fn compare_methods(runs: &[(String, Vec<Section>)]) -> Comparison {
    let methods = methods(runs.iter().map(|(name, _)| name.as_str()));
    let replicates = |found: &[Option<Found<'_>>]| {
        methods
            .iter()
            .map(|(_, members)| {
                let values: Vec<f64> =
                    members.iter().filter_map(|&run| found[run].map(|f| f.measure.estimate.value)).collect();
                (!values.is_empty()).then(|| (over_seeds(&values), Mean::of(&values), values.len()))
            })
            .collect::<Vec<_>>()
    };
    let names = methods.iter().map(|(name, _)| (*name).to_string()).collect();
    let test = "Welch's t over training seeds, Holm-corrected";
    compared(runs, names, test, &|found, better, ranks| {
        let cells = replicates(found);
        let p = |a: usize, b: usize| match (&cells[a], &cells[b]) {
            (Some((_, a, na)), Some((_, b, nb))) => welch((*a, *na), (*b, *nb)),
            _ => None,
        };
        let shown = cells.iter().map(|cell| cell.map(|(estimate, _, n)| (estimate, n))).collect();
        super::ranked(shown, &super::pairs(cells.len(), p), better, ranks)
    })
}

/// The mean ± t_{0.975, n−1} s/√n; a single value has no interval.
fn over_seeds(values: &[f64]) -> Estimate {
    let mean = Mean::of(values);
    if values.len() < 2 {
        return Estimate::exact(mean.value);
    }
    let half = student_quantile(0.05, values.len() as f64 - 1.0) * mean.error;
    Estimate { value: mean.value, low: mean.value - half, high: mean.value + half }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_method_and_seed() {
        for (name, expected) in [
            ("vae-seed1", Some(("vae", 1))),
            ("runs/beta_vae_seed_12", Some(("runs/beta_vae", 12))),
            ("xseed3", Some(("x", 3))),
            ("vae-2", None),
            ("seedling", None),
            ("", None),
        ] {
            assert_eq!(method_and_seed(name), expected, "{name}");
        }
        let found = methods(["a-seed1", "b", "a-seed2", "b-seed1"]);
        assert_eq!(found, [("a", vec![0, 2]), ("b", vec![1, 3])]);
    }

    #[test]
    fn the_interval_over_seeds_is_students() {
        // 1, 2, 3: s/√3 = 0.57735, t with two degrees of freedom 4.30265.
        let found = over_seeds(&[1.0, 2.0, 3.0]);
        assert!((found.high - 2.0 - 4.302_652_73 * 3f64.sqrt().recip()).abs() < 1e-6, "{found:?}");
        assert_eq!(over_seeds(&[5.0]), Estimate::exact(5.0));
    }
}
