//! The one pass over all rows, when data is opened: contents into the hash, values into the moments, and what
//! deserves a second look (broken files, repeated rows, rows of a known test set) into the audit.

use std::collections::HashMap;

use sha2::Sha256;

use super::dataset::Dataset;
use super::moments::{Moments, row_hash};
use super::settings::DataSettings;
use super::split::UNUSED;
use super::{DataError, SampleShape, known};

/// What the pass over the rows saw beyond the facts.
#[derive(Default)]
pub(crate) struct Audit {
    pub format: &'static str,
    pub number: &'static str,
    pub range: (f64, f64),
    /// The least and greatest value of each column of a table, over all rows.
    pub spans: Vec<(f64, f64)>,
    pub skipped: Vec<String>,
    /// Rows that repeat an earlier one; absent for data too large to compare.
    pub duplicates: Option<u64>,
    /// Validation and test rows that are equal to a training row.
    pub leaked: Option<u64>,
    /// Names (or numbers) of features that never change.
    pub constant: Vec<usize>,
    /// How many rows of train with validation, and of test, belong to Fashion-MNIST's test set.
    pub fashion: [u64; 2],
}

/// Rows of larger data are not compared with each other.
const MOST_COMPARED: u64 = 4_000_000;

/// A reader and the split of each of its rows.
pub(crate) struct Assigned {
    pub rows: Box<dyn Dataset>,
    pub roles: Vec<u8>,
    pub fashion: bool,
}

/// The one pass over all rows; rows that can't be read lose their place in a split.
pub(crate) fn scan(
    parts: &mut [Assigned],
    settings: &DataSettings,
    hash: &mut Sha256,
    moments: &mut Moments,
    log: &mut dyn FnMut(String),
) -> Result<Audit, DataError> {
    let total: u64 = parts.iter().map(|part| part.rows.rows()).sum();
    let compare = total <= MOST_COMPARED;
    let fashion_shape = SampleShape::Image { channels: 1, height: 28, width: 28 };
    let fashion = (parts[0].rows.shape() == fashion_shape && compare).then(known::fashion_test_rows);
    // Whether a row was seen in training (bit 0) or elsewhere (bit 1).
    let mut seen: HashMap<u64, u8> = HashMap::new();
    let (mut duplicates, mut fashion_rows) = (0, [0, 0]);
    let mut held_out = Vec::new();
    let mut audit = Audit::default();
    for part in parts {
        let roles = &part.roles;
        let wanted = |row: u64| roles[row as usize] != UNUSED;
        let skipped = part.rows.scan(settings.threads(), &wanted, hash, &mut |row, values| {
            let role = roles[row as usize];
            moments.add(values, role == 0);
            if compare {
                let row_hash = row_hash(values);
                let before = seen.entry(row_hash).or_insert(0);
                duplicates += u64::from(*before != 0);
                *before |= if role == 0 { 1 } else { 2 };
                if role != 0 {
                    held_out.push(row_hash);
                }
                if fashion.is_some_and(|known| known.contains(&row_hash)) {
                    fashion_rows[usize::from(role == 2)] += 1;
                }
            }
            Ok(())
        })?;
        for (row, reason) in skipped {
            part.roles[row as usize] = UNUSED;
            audit.skipped.push(reason);
        }
    }
    for reason in audit.skipped.iter().take(5) {
        log(format!("skipped {reason}"));
    }
    if !audit.skipped.is_empty() {
        log(format!("{} of {total} images can't be decoded and are skipped", audit.skipped.len()));
    }
    if compare {
        let leaked = held_out.iter().filter(|hash| seen[hash] & 1 == 1).count() as u64;
        (audit.duplicates, audit.leaked) = (Some(duplicates), Some(leaked));
    }
    audit.fashion = fashion_rows;
    Ok(audit)
}
