//! Three splits of the rows: train, validation, test.
//!
//! Rows (or groups of rows, where a column names them) are drawn by the data's seed; every split that is asked for
//! gets at least one.

use super::DataError;
use crate::Key;

/// What is held out of a data set's rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fractions {
    /// Fraction for validation; 0 where it is given otherwise.
    pub validation: f64,
    /// Fraction for the test; 0 where it is given otherwise.
    pub test: f64,
}

/// The split of each row: 0 train, 1 validation, 2 test, [`UNUSED`] where `used` is false.
pub(crate) fn assign(
    used: &[bool],
    groups: Option<&[u32]>,
    fractions: Fractions,
    key: Key,
) -> Result<Vec<u8>, DataError> {
    let Some(groups) = groups else { return assign_rows(used, fractions, key) };
    // Members of each unit that is drawn as a whole.
    let count = groups.iter().max().map_or(0, |&most| most as usize + 1);
    let mut units: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (row, &group) in groups.iter().enumerate().filter(|(row, _)| used[*row]) {
        units[group as usize].push(row);
    }
    units.retain(|unit| !unit.is_empty());
    check_enough(units.len(), "group", "groups", fractions)?;
    let rows: usize = units.iter().map(Vec::len).sum();
    let mut split = vec![UNUSED; used.len()];
    let mut left = units.len();
    let order = key.fold("split").permutation(units.len());
    let mut order = order.into_iter().peekable();
    let mut skipped = Vec::new();
    for (number, fraction) in [(1, fractions.validation), (2, fractions.test)] {
        if fraction <= 0.0 {
            continue;
        }
        let target = ((rows as f64 * fraction).round() as usize).max(1);
        let mut held = 0;
        // At least one unit has to stay for each split that follows.
        let reserve = if number == 1 && fractions.test > 0.0 { 2 } else { 1 };
        while held < target && left > reserve {
            let Some(unit) = order.next() else { break };
            // A group that would overshoot by more than it fills is left for training.
            let overshoot = (held + units[unit].len()).saturating_sub(target);
            if held > 0 && overshoot > target - held {
                skipped.push(unit);
                continue;
            }
            units[unit].iter().for_each(|&row| split[row] = number);
            held += units[unit].len();
            left -= 1;
        }
        if held == 0
            && let Some(unit) = skipped.pop()
        {
            units[unit].iter().for_each(|&row| split[row] = number);
            left -= 1;
        }
    }
    for unit in order.chain(skipped) {
        units[unit].iter().for_each(|&row| split[row] = 0);
    }
    Ok(split)
}

/// Rows drawn one by one.
fn assign_rows(used: &[bool], fractions: Fractions, key: Key) -> Result<Vec<u8>, DataError> {
    let rows: Vec<usize> = (0..used.len()).filter(|&row| used[row]).collect();
    check_enough(rows.len(), "source", "rows", fractions)?;
    let target = |fraction: f64, most: usize| match fraction {
        fraction if fraction > 0.0 => ((rows.len() as f64 * fraction).round() as usize).clamp(1, most),
        _ => 0,
    };
    // At least one row has to stay for each split that follows.
    let reserve = if fractions.test > 0.0 { 2 } else { 1 };
    let validation = target(fractions.validation, rows.len().saturating_sub(reserve).max(1));
    let test = target(fractions.test, (rows.len() - validation).saturating_sub(1).max(1));
    let mut split = vec![UNUSED; used.len()];
    for (place, row) in key.fold("split").permutation(rows.len()).into_iter().enumerate() {
        split[rows[row]] = match place {
            place if place < validation => 1,
            place if place < validation + test => 2,
            _ => 0,
        };
    }
    Ok(split)
}

fn check_enough(units: usize, key: &'static str, name: &str, fractions: Fractions) -> Result<(), DataError> {
    let least = 1 + usize::from(fractions.validation > 0.0) + usize::from(fractions.test > 0.0);
    if units >= least {
        return Ok(());
    }
    Err(DataError::setting(
        key,
        format!("{units} {name} can't be cut into {least} splits"),
        format!("give at least {least} {name}, or set data.validation and data.test to 0 or to other data"),
    ))
}

/// The mark of a row that no split holds.
pub(crate) const UNUSED: u8 = 3;

/// Which rows are used: those that are wanted, or `limit` of them drawn by the data's seed.
pub(crate) fn used(wanted: Vec<bool>, limit: Option<u64>, key: Key) -> Vec<bool> {
    match limit {
        Some(limit) if (limit as usize) < wanted.len() => {
            let mut used = vec![false; wanted.len()];
            key.fold("limit")
                .permutation(wanted.len())
                .into_iter()
                .filter(|&row| wanted[row])
                .take(limit as usize)
                .for_each(|row| used[row] = true);
            used
        }
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(split: &[u8]) -> [usize; 4] {
        [0, 1, 2, 3].map(|wanted| split.iter().filter(|&&number| number == wanted).count())
    }

    #[test]
    fn tenths_are_tenths_and_small_data_keeps_a_row_each() {
        let cut = |rows, validation, test| {
            let fractions = Fractions { validation, test };
            assign(&vec![true; rows], None, fractions, Key::from_seed(1)).map(|split| sizes(&split))
        };
        assert_eq!(cut(10_000, 0.1, 0.1).unwrap(), [8000, 1000, 1000, 0]);
        assert_eq!(cut(3, 0.1, 0.1).unwrap(), [1, 1, 1, 0]);
        assert_eq!(cut(3, 0.9, 0.09).unwrap(), [1, 1, 1, 0]);
        assert_eq!(cut(1, 0.0, 0.0).unwrap(), [1, 0, 0, 0]);
        assert!(cut(2, 0.1, 0.1).unwrap_err().to_string().contains("2 rows"));
        assert!(cut(0, 0.0, 0.0).is_err());
    }

    #[test]
    fn a_group_stays_together() {
        let groups: Vec<u32> = (0..500).map(|row| row * row % 37).collect();
        let fractions = Fractions { validation: 0.2, test: 0.2 };
        let split = assign(&vec![true; 500], Some(&groups), fractions, Key::from_seed(2)).unwrap();
        for (row, group) in groups.iter().enumerate() {
            let first = groups.iter().position(|other| other == group).unwrap();
            assert_eq!(split[row], split[first]);
        }
        let [train, validation, test, _] = sizes(&split);
        assert!((60..=140).contains(&validation) && (60..=140).contains(&test) && train >= 220, "{split:?}");
    }

    /// 300 keyed choices of sizes, fractions, limits and groups.
    #[test]
    fn splits_cover_and_each_has_a_row() {
        for seed in 0..300 {
            let key = Key::from_seed(seed);
            let mut u = [0.0; 7];
            key.fold("choices").uniforms(&mut u);
            let between = |u: f32, low: u32, high: u32| low + (u * (high - low) as f32) as u32;
            let rows = between(u[0], 3, 200) as usize;
            let (validation, test) = (0.49 * f64::from(u[1]), 0.49 * f64::from(u[2]));
            let limit = (u[3] < 0.5).then(|| u64::from(between(u[4], 3, 250)));
            let kinds = (u[5] < 0.5).then(|| between(u[6], 1, 40));
            let used = used(vec![true; rows], limit, key);
            let groups: Option<Vec<u32>> =
                kinds.map(|kinds| (0..rows as u32).map(|row| row % kinds).collect());
            match assign(&used, groups.as_deref(), Fractions { validation, test }, key) {
                Err(_) => assert!(kinds.is_some(), "seed {seed}"),
                Ok(split) => {
                    let counts = sizes(&split);
                    assert_eq!(counts[3], used.iter().filter(|used| !**used).count(), "seed {seed}");
                    assert!(counts[..3].iter().all(|&count| count > 0), "seed {seed}: {counts:?}");
                    for (row, used) in used.iter().enumerate() {
                        assert_eq!(split[row] == UNUSED, !*used, "seed {seed}, row {row}");
                    }
                }
            }
        }
    }
}
