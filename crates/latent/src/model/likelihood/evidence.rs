//! What is known of the cells of a row, and rows completed from it: the same for all likelihoods of columns.

use crate::data::table::{Scale, UNKNOWN};

/// What a cell may be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Allowed {
    /// Whether each level may be; all where empty.
    pub levels: Vec<bool>,
    /// The least and greatest value, which may cut levels in two.
    pub range: Option<(f64, f64)>,
    /// Whether it may be empty.
    pub gap: bool,
}

/// What is known of some rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Evidence {
    /// `[rows, columns]` of x: [`UNKNOWN`] where a cell is to be drawn.
    pub x: Vec<f32>,
    /// What the unknown cells of each column may be; none where anything.
    pub allowed: Vec<Option<Allowed>>,
    /// Whether what is given is weighed, cell after cell; otherwise it is simply taken, and rows may differ in what is given.
    pub weigh: bool,
    /// Whether only columns of which anything is given or asked are drawn; the others stay unknown.
    pub only_given: bool,
    /// Whether no gap is drawn.
    pub no_gaps: bool,
}

impl Allowed {
    /// Anything.
    pub fn anything() -> Self {
        Self { levels: Vec::new(), range: None, gap: true }
    }

    /// Whether a level may be.
    pub(crate) fn holds(&self, level: usize) -> bool {
        self.levels.get(level).copied().unwrap_or(self.levels.is_empty())
    }
}

impl Evidence {
    /// Nothing is known.
    pub fn nothing(rows: usize, columns: usize) -> Self {
        Self {
            x: vec![UNKNOWN; rows * columns],
            allowed: vec![None; columns],
            weigh: false,
            only_given: false,
            no_gaps: false,
        }
    }
}

/// Whole rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Completed {
    /// `[rows, columns]`
    pub x: Vec<f32>,
    /// ln of the probability of what was given of each row, under z.
    pub log_weight: Vec<f64>,
}

/// How far into a level a draw lies, and ln of the share of the level that is allowed.
pub(super) fn fraction(scale: &Scale, level: usize, allowed: Option<&Allowed>, u: f32) -> (f64, f64) {
    let (low, high) = (scale.low[level], scale.high[level]);
    let u = f64::from(u);
    if low == high {
        return (0.5, 0.0);
    }
    if let Some((least, most)) = allowed.and_then(|allowed| allowed.range) {
        let size = scale.width(level);
        let of = |value: f64, up: bool| match scale.step > 0.0 {
            // Whole values of the grid.
            true => {
                let at = (value - low) / scale.step;
                (if up { (at + 1e-9).floor() + 1.0 } else { (at - 1e-9).ceil() } / size).clamp(0.0, 1.0)
            }
            false => ((value - low) / (high - low)).clamp(0.0, 1.0),
        };
        let (from, to) = (of(least, false), of(most, true));
        if to > from && (from > 0.0 || to < 1.0) {
            return (from + u * (to - from), (to - from).ln());
        }
        // Decided by others.
        if scale.step == 0.0 && least == most && (0.0..=1.0).contains(&from) {
            return (from, 0.0);
        }
    }
    // The least and greatest value come as often as in the data: each of the few rows in its cell may be it.
    let ordered = !scale.categories;
    match u {
        _ if ordered && level == 0 => ((2.0 * u - 1.0).max(0.0), 0.0),
        _ if ordered && level + 1 == scale.levels() => ((2.0 * u).min(1.0), 0.0),
        u => (u, 0.0),
    }
}

/// A level and how far into it, as one number that does not round up.
pub(super) fn join(level: usize, fraction: f64) -> f32 {
    let most = 1.0 - 1e-6 * (level + 1) as f64;
    (level as f64 + fraction.clamp(0.0, most)) as f32
}

/// Logits become shares.
pub(super) fn softmax(values: &mut [f32]) {
    let most = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for value in values.iter_mut() {
        *value = (*value - most).exp();
        sum += *value;
    }
    values.iter_mut().for_each(|value| *value /= sum);
}

/// A choice by its share: by a uniform number, or the likeliest.
pub(super) fn pick(shares: &[f32], uniform: Option<f32>) -> usize {
    let likeliest = || {
        let all = shares.iter().enumerate();
        all.max_by(|a, b| a.1.total_cmp(b.1)).map_or(0, |(at, _)| at)
    };
    let Some(uniform) = uniform else { return likeliest() };
    let mut left = f64::from(uniform);
    for (at, share) in shares.iter().enumerate() {
        left -= f64::from(*share);
        if left < 0.0 && *share > 0.0 {
            return at;
        }
    }
    likeliest()
}
