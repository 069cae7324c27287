//! Identifiers: unique in every row, so no part of a model; new rows get new ones of the same make.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::key::Key;
use rand_distr::{Distribution, Uniform};

/// How identifiers are made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// A number that counts: `ID-00017`. New ones go on behind the greatest.
    Counter {
        /// What stands before the number.
        before: String,
        /// What stands behind it.
        after: String,
        /// The next number.
        next: u64,
        /// Digits at least, with zeros in front.
        width: usize,
    },
    /// One set of characters for each place.
    Places {
        /// The characters seen in each place.
        places: Vec<String>,
    },
}

impl Pattern {
    /// The pattern of these words, which are all different.
    pub(super) fn of(words: &[&str]) -> Option<Self> {
        Self::counter(words).or_else(|| Self::places(words))
    }

    fn counter(words: &[&str]) -> Option<Self> {
        let split = |word: &str| {
            let end = word.rfind(|c: char| c.is_ascii_digit())? + 1;
            let start = word[..end]
                .rfind(|c: char| !c.is_ascii_digit())
                .map_or(0, |at| at + word[at..].chars().next().map_or(1, char::len_utf8));
            Some((word[..start].to_string(), word[start..end].to_string(), word[end..].to_string()))
        };
        let (before, number, after) = split(words.first()?)?;
        let width = if number.starts_with('0') && number.len() > 1 { number.len() } else { 0 };
        let mut greatest = 0;
        for word in words {
            let (b, n, a) = split(word)?;
            if b != before || a != after || n.len() > 18 {
                return None;
            }
            greatest = greatest.max(n.parse::<u64>().ok()?);
        }
        let width =
            if words.iter().any(|word| word[before.len()..].starts_with('0')) { number.len() } else { width };
        Some(Self::Counter { before, after, next: greatest + 1, width })
    }

    /// Words of one length in ASCII: each place has its characters, widened to all digits, or hexadecimal digits, or
    /// letters where it has several.
    fn places(words: &[&str]) -> Option<Self> {
        let length = words.first()?.len();
        if length == 0 || length > 64 || words.iter().any(|word| word.len() != length || !word.is_ascii()) {
            return None;
        }
        let mut seen: Vec<HashSet<u8>> = vec![HashSet::new(); length];
        for word in words {
            word.bytes().zip(&mut seen).for_each(|(byte, seen)| {
                seen.insert(byte);
            });
        }
        let places: Vec<String> = seen
            .into_iter()
            .map(|set| {
                let mut all: Vec<char> = set.into_iter().map(char::from).collect();
                all.sort_unstable();
                all.into_iter().collect()
            })
            .collect();
        let room: f64 = places.iter().map(|place| (place.len() as f64).ln()).sum();
        // Enough of them that new ones are hardly ever old ones.
        (room > (words.len() as f64).ln() + 7.0).then_some(Self::Places { places })
    }

    /// `count` new ones, all different.
    pub fn made(&self, count: usize, key: Key) -> Vec<String> {
        match self {
            Self::Counter { before, after, next, width } => (0..count as u64)
                .map(|row| format!("{before}{:0width$}{after}", next.saturating_add(row), width = *width))
                .collect(),
            Self::Places { places } => {
                let mut generator = key.fold("identifiers").generator();
                let mut made = Vec::with_capacity(count);
                let mut known = HashSet::new();
                let mut tries = 0;
                while made.len() < count && tries < count.saturating_mul(20).saturating_add(100) {
                    tries += 1;
                    let mut word = String::new();
                    for place in places {
                        let letters: Vec<char> = place.chars().collect();
                        let at = Uniform::new(0, letters.len().max(1)).map(|u| u.sample(&mut generator));
                        word.extend(letters.get(at.unwrap_or(0)));
                    }
                    if known.insert(word.clone()) {
                        made.push(word);
                    }
                }
                made.resize(count, String::new());
                made
            }
        }
    }

    pub(super) fn in_words(&self) -> String {
        match self {
            Self::Counter { before, after, next, .. } => {
                format!("a number that counts, as {before}{}{after}", next.saturating_sub(1))
            }
            Self::Places { places } => format!("{} characters of one make", places.len()),
        }
    }
}
