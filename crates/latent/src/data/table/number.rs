//! Numbers as words: how many decimals they have, on which grid they lie, and the same on the way back.

use serde::{Deserialize, Serialize};

/// How the numbers of a column are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct NumberFormat {
    /// The most decimals seen; none where numbers are written with exponents.
    pub decimals: Option<usize>,
    /// Whether all have that many decimals.
    pub fixed: bool,
    /// Whether the decimal point is a comma.
    pub comma: bool,
    /// The greatest step that all values are multiples of, counted from `first`, in units of the last decimal; 0 for none.
    pub step: i64,
    /// The least value, in units of the last decimal.
    pub first: i64,
    /// Least and greatest value.
    pub range: [f64; 2],
}

/// Numbers with more decimals are taken for measurements on no grid.
const MOST_DECIMALS: usize = 8;

/// A word as a number, if it is one: no leading zeros (those are codes), no infinity.
pub(super) fn parse(word: &str, comma: bool) -> Option<f64> {
    let plain = word.strip_prefix(['-', '+']).unwrap_or(word);
    let mut bytes = plain.bytes();
    let leading = bytes.next()?;
    if leading == b'0' && bytes.next().is_some_and(|next| next.is_ascii_digit()) {
        return None;
    }
    if !plain.bytes().all(|byte| byte.is_ascii_digit() || b".,eE+-".contains(&byte)) {
        return None;
    }
    let value: f64 = match (comma, word.contains(',')) {
        (true, true) if !word.contains('.') => word.replace(',', ".").parse().ok()?,
        (_, true) => return None,
        _ => word.parse().ok()?,
    };
    (value.is_finite() && value.abs() <= f64::from(f32::MAX)).then_some(value)
}

impl NumberFormat {
    /// The format of these words, which are all numbers.
    pub(super) fn of<'a>(words: impl Iterator<Item = &'a str> + Clone, comma: bool) -> Self {
        let point = if comma { ',' } else { '.' };
        let decimals = |word: &str| word.split_once(point).map_or(0, |(_, after)| after.len());
        let exponent = words.clone().any(|word| word.contains(['e', 'E']));
        let most = words.clone().map(decimals).max().unwrap_or(0);
        let fixed = !exponent && most > 0 && words.clone().all(|word| decimals(word) == most);
        let values = words.filter_map(|word| parse(word, comma));
        let range = values.clone().fold([f64::INFINITY, f64::NEG_INFINITY], |[least, greatest], value| {
            [least.min(value), greatest.max(value)]
        });
        let mut format =
            Self { decimals: (!exponent).then_some(most), fixed, comma, step: 0, first: 0, range };
        let size = 10f64.powi(most as i32);
        let largest = range[0].abs().max(range[1].abs()) * size;
        if exponent || most > MOST_DECIMALS || largest > 9e15 {
            return format;
        }
        let first = (range[0] * size).round() as i64;
        let step = values.fold(0, |step, value| gcd(step, (value * size).round() as i64 - first));
        (format.step, format.first) = (step.max(1), first);
        format
    }

    /// Gives room for more decimals, those of numbers that are added up to one of these; none where those have exponents.
    pub(super) fn widen(&mut self, decimals: Option<usize>) {
        let (Some(own), Some(wanted)) = (self.decimals, decimals) else {
            self.decimals = None;
            return;
        };
        if wanted > own {
            let more = 10i64.checked_pow((wanted - own) as u32).unwrap_or(0);
            (self.step, self.first) = (self.step.saturating_mul(more), self.first.saturating_mul(more));
            (self.decimals, self.fixed) = (Some(wanted), false);
        }
    }

    /// The value of a word.
    pub fn value(&self, word: &str) -> Option<f64> {
        parse(word, self.comma)
    }

    /// The word of a value: with as many decimals as the column has.
    pub fn word(&self, value: f64) -> String {
        let word = match self.decimals {
            None => format!("{value:e}"),
            Some(decimals) => {
                let word = format!("{value:.decimals$}");
                match word.contains('.') && !self.fixed {
                    true => word.trim_end_matches('0').trim_end_matches('.').to_string(),
                    false => word,
                }
            }
        };
        let word = if word == "-0" { "0".into() } else { word };
        if self.comma { word.replace('.', ",") } else { word }
    }

    /// The step between values and the least of them.
    pub(super) fn grid(&self) -> Option<(f64, f64)> {
        let size = 10f64.powi(self.decimals? as i32);
        (self.step > 0).then(|| (self.step as f64 / size, self.first as f64 / size))
    }

    /// `whole numbers from 17 to 90`
    pub(super) fn in_words(&self) -> String {
        let [least, greatest] = self.range;
        let span = format!("from {} to {}", self.word(least), self.word(greatest));
        match self.grid() {
            Some((1.0, _)) => format!("whole numbers {span}"),
            Some((step, _)) if step != 1.0 => format!("numbers on a grid of {step} {span}"),
            _ => format!("numbers {span}"),
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.abs(), b.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
