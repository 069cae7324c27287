//! Is the book of codes in use? The share of places that each index takes, and how many codes that amounts to:
//!
//! perplexity = exp(−Σ_i p_i ln p_i),  p_i the share of index i over all places and rows
//!
//! It is 1 where one code stands for everything, and the size of the book where all are used alike. A code that no place has is
//! dead.

use super::Line;

/// What the series of a block begins with.
pub(super) const PREFIX: &str = "usage of ";

/// The name of a block's series in a validation.
pub(super) fn series(block: &str) -> String {
    format!("{PREFIX}{block}")
}

/// The share of each index among these codes.
pub(super) fn shares(codes: &[f32], size: usize) -> Vec<f32> {
    let mut shares = vec![0.0; size];
    for &code in codes {
        if let Some(share) = shares.get_mut(code as usize) {
            *share += 1.0 / codes.len() as f32;
        }
    }
    shares
}

/// Adds perplexity and how many codes are in use and how many are dead to a validation, for each block of indices.
pub(super) fn summarise(line: &mut Line) {
    let mut found = Vec::new();
    for (name, shares) in &line.series {
        let Some(block) = name.strip_prefix(PREFIX) else { continue };
        let entropy: f64 = shares.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum();
        let used = shares.iter().filter(|p| **p > 0.0).count() as f64;
        let of = |what: &str| if block == "z" { what.to_string() } else { format!("{what} of {block}") };
        found.push((of("perplexity"), entropy.exp()));
        found.push((of("codes_used"), used));
        found.push((of("dead_codes"), shares.len() as f64 - used));
    }
    found.into_iter().for_each(|(name, value)| line.push(&name, value));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn perplexity_counts_the_codes_in_use() {
        let mut line = Line::validation(1, 1.0);
        line.add_series(&series("z"), &shares(&[0.0, 1.0, 2.0, 3.0], 8), 0.5);
        line.add_series(&series("z"), &shares(&[3.0, 2.0, 1.0, 0.0], 8), 0.5);
        line.add_series(&series("word"), &shares(&[5.0; 4], 8), 1.0);
        summarise(&mut line);
        let near =
            |name: &str, wanted: f64| assert!((line.get(name).unwrap() - wanted).abs() < 1e-6, "{name}");
        near("perplexity", 4.0);
        near("codes_used", 4.0);
        near("dead_codes", 4.0);
        near("perplexity of word", 1.0);
        near("codes_used of word", 1.0);
        near("dead_codes of word", 7.0);
    }
}
