//! A row as a number: 64 bits of what it holds, under a seed.
//!
//! Bits of held-out rows and the noise that they are scored with are keyed by it, so that a row has one binarisation and
//! one score wherever it stands: in another file, in another order. Equal rows are one row to it; that two others share a
//! number happens once in 10¹⁹ pairs, and would give them the same noise.

/// The number of a row of values in the user's units (NaN where one is missing).
pub(crate) fn content(seed: u64, values: &[f64]) -> u64 {
    values.iter().fold(mixed(seed), |hash, &value| mixed(hash ^ u64::from(bits(value))))
}

/// As single precision has it, which is as far as x tells values apart; one zero and one NaN.
fn bits(value: f64) -> u32 {
    match value as f32 {
        value if value.is_nan() => f32::NAN.to_bits(),
        0.0 => 0,
        value => value.to_bits(),
    }
}

/// The finaliser of SplitMix64 (Steele, Lea & Flood 2014): one to one, and every bit moves half of the others.
fn mixed(hash: u64) -> u64 {
    let hash = hash.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_holds_is_its_number() {
        let row = [1.0, 0.1, 255.0, f64::NAN, 0.0];
        // Single precision, one zero, one NaN.
        let same = [1.0, f64::from(0.1f32), 255.0, -f64::NAN, -0.0];
        assert_eq!(content(1, &row), content(1, &same));
        // Files keyed by it are read for years: it may not change.
        assert_eq!(content(1, &[0.0, 128.0, 255.0]), 0x3a4e_ffcf_ed83_f262);
        let mut other = row;
        other.swap(0, 1);
        assert_ne!(content(1, &row), content(1, &other));
        assert_ne!(content(1, &row), content(2, &row));
        let mut all: Vec<u64> =
            (0..100_000).map(|i| content(1, &[f64::from(i / 256), f64::from(i % 256)])).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 100_000);
    }
}
