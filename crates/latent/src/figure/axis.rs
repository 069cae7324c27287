//! Scales, ticks and the limits of an axis.
//!
//! Ticks stand at 1, 2 or 5 times a power of ten. Robust limits follow the bulk of the values, so that the
//! first steps of a training run don't flatten the rest of its curve.

/// Beyond these, differences and products of values overflow.
const MOST: f64 = 1e300;
const LEAST: f64 = 1e-300;

/// From values to positions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    /// The values at both ends; `low < high`, and both above 0 where `log`.
    pub low: f64,
    pub high: f64,
    pub log: bool,
}

impl Scale {
    /// A scale over the finite values; widened where they are all equal, `[0, 1]` where there is none.
    /// A log scale leaves out what is not above 0.
    pub fn over(values: impl Iterator<Item = f64>, log: bool) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| value.is_finite() && (!log || *value > 0.0)) {
            low = low.min(value);
            high = high.max(value);
        }
        Self::between(low, high, log)
    }

    /// A scale from `low` to `high`, mended where that is no interval.
    pub fn between(low: f64, high: f64, log: bool) -> Self {
        let least = if log && low > 0.0 { LEAST } else { -MOST };
        let ends = [low, high].map(|end| end.clamp(least, MOST));
        let (low, high) = match (ends, log) {
            ([low, high], true) if low > 0.0 && low < high => (low, high),
            ([low, high], false) if high - low > 1e-12 * high.abs().max(low.abs()) => (low, high),
            ([low, high], true) if low > 0.0 && low == high => (low / 2.0, high * 2.0),
            ([low, high], false) if low <= high => {
                let size = low.abs();
                let half = if size == 0.0 { 0.5 } else { (0.5 * size).min(0.5_f64.max(0.05 * size)) };
                (low - half, high + half)
            }
            (_, true) => (0.1, 1.0),
            _ => (0.0, 1.0),
        };
        Self { low, high, log }
    }

    /// The scale with a share of its length added at both ends.
    pub fn padded(self, share: f64) -> Self {
        let (low, high) = (self.inner(self.low), self.inner(self.high));
        let margin = share * (high - low);
        Self { low: self.outer(low - margin), high: self.outer(high + margin), ..self }
    }

    /// Where a value lies: 0 at `low`, 1 at `high`. Not finite for what a log scale cannot show.
    pub fn share(self, value: f64) -> f64 {
        let (low, high) = (self.inner(self.low), self.inner(self.high));
        (self.inner(value) - low) / (high - low)
    }

    /// Tick values inside of the scale, and their labels; at most about `most` of them.
    pub fn ticks(self, most: usize) -> Vec<(f64, String)> {
        if self.log {
            return self.log_ticks(most);
        }
        // One tick tells no scale.
        let denser = (most..most + 4).map(|most| self.linear_ticks(most)).find(|ticks| ticks.len() > 1);
        denser.unwrap_or_else(|| self.linear_ticks(most))
    }

    fn linear_ticks(self, most: usize) -> Vec<(f64, String)> {
        let step = nice_step((self.high - self.low) / most.max(1) as f64);
        let slack = 1e-9 * (self.high - self.low);
        let first = ((self.low - slack) / step).ceil();
        let count = ((self.high + slack) / step).floor() - first;
        (0..=count.clamp(0.0, 100.0) as usize)
            .map(|index| {
                // Adding 0 turns −0 into 0.
                let value = (first + index as f64) * step + 0.0;
                (value, tick_label(value, step))
            })
            .collect()
    }

    fn log_ticks(self, most: usize) -> Vec<(f64, String)> {
        let (first, last) = (self.low.log10().floor() as i32, self.high.log10().ceil() as i32);
        let inside = |value: f64| value >= self.low * (1.0 - 1e-9) && value <= self.high * (1.0 + 1e-9);
        let every = ((last.saturating_sub(first).max(0) as usize).div_ceil(most.max(1))).max(1);
        let decades: Vec<f64> = (first..=last)
            .filter(|power| power.rem_euclid(every as i32) == 0)
            .map(|power| 10f64.powi(power))
            .collect();
        let at = |factors: &[f64]| -> Vec<f64> {
            decades
                .iter()
                .flat_map(|ten| factors.iter().map(move |factor| factor * ten))
                .filter(|v| inside(*v))
                .collect()
        };
        let mut values = at(&[1.0]);
        for factors in [&[1.0, 3.0][..], &[1.0, 2.0, 5.0]] {
            let finer = at(factors);
            if every == 1 && values.len() < 3 && finer.len() <= most.max(3) {
                values = finer;
            }
        }
        if values.len() < 2 {
            return Self { log: false, ..self }.linear_ticks(most);
        }
        values.into_iter().map(|value| (value, log_label(value))).collect()
    }

    fn inner(self, value: f64) -> f64 {
        if self.log { value.log10() } else { value }
    }

    fn outer(self, value: f64) -> f64 {
        if self.log { 10f64.powf(value).clamp(LEAST, MOST) } else { value }
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `rough`.
pub(super) fn nice_step(rough: f64) -> f64 {
    if !(rough > 0.0 && rough.is_finite()) {
        return 1.0;
    }
    let power = 10f64.powf(rough.log10().floor());
    let factor =
        [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * (1.0 - 1e-9)).unwrap_or(10.0);
    factor * power
}

/// A tick's label, with the decimals that its step needs.
fn tick_label(value: f64, step: f64) -> String {
    let size = value.abs();
    if value != 0.0 && (size >= 1e7 || step < 1e-5) {
        return scientific(value, (size / step).log10().round().clamp(0.0, 6.0) as usize);
    }
    let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
    grouped(&format!("{value:.decimals$}"))
}

fn log_label(value: f64) -> String {
    if (1e-3..1e5).contains(&value) {
        let decimals = (-(value.log10() + 1e-9).floor()).clamp(0.0, 12.0) as usize;
        return grouped(&format!("{value:.decimals$}"));
    }
    scientific(value, 0)
}

/// `1.5×10⁶`; the factor 1 is left out.
fn scientific(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$e}");
    let (factor, power) = text.split_once('e').unwrap_or((&text, "0"));
    let factor =
        if factor.contains('.') { factor.trim_end_matches('0').trim_end_matches('.') } else { factor };
    let power: String = power
        .chars()
        .map(|c| match c {
            '-' => '⁻',
            digit => {
                ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'][digit.to_digit(10).unwrap_or(0) as usize]
            }
        })
        .collect();
    match factor {
        "1" => format!("10{power}"),
        "-1" => format!("−10{power}"),
        _ => format!("{}×10{power}", factor.replace('-', "−")),
    }
}

/// Digits in groups of three from 10,000 on, and a true minus sign.
pub(super) fn grouped(number: &str) -> String {
    let (sign, digits) = number.strip_prefix('-').map_or(("", number), |digits| ("−", digits));
    let (whole, rest) = digits.find('.').map_or((digits, ""), |dot| digits.split_at(dot));
    let mut text = String::from(sign);
    for (index, digit) in whole.chars().enumerate() {
        if whole.len() > 4 && index > 0 && (whole.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}

/// A value in three significant digits at most, for labels.
pub(super) fn short(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => value.to_string(),
        0.0 => "0".into(),
        size if !(1e-3..1e7).contains(&size) => scientific(value, 2),
        size => {
            let decimals = (2 - size.log10().floor() as i32).clamp(0, 5) as usize;
            let text = format!("{value:.decimals$}");
            let text = if decimals > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
            grouped(text)
        }
    }
}

/// Limits that follow the bulk of curves `[x, y]`, and the least and the greatest value where they are left outside.
///
/// The bulk is what each curve does after the first tenth of x, but for its highest tenth. Where the whole range
/// is at most three times as high, nothing is left out.
pub(super) fn robust_limits(curves: &[&[[f64; 2]]], log: bool) -> (Scale, [Option<f64>; 2]) {
    let finite = |point: &&[f64; 2]| point[0].is_finite() && point[1].is_finite();
    let all = || curves.iter().flat_map(|curve| curve.iter()).filter(finite);
    let whole = Scale::over(all().map(|point| point[1]), log);
    let x = Scale::over(all().map(|point| point[0]), false);
    let mut ends = Vec::new();
    for curve in curves {
        let late = curve.iter().filter(finite).filter(|point| x.share(point[0]) > 0.1);
        let mut settled: Vec<f64> = late.map(|point| point[1]).collect();
        settled.sort_by(f64::total_cmp);
        if settled.len() >= 4 {
            ends.extend([settled[0], settled[(settled.len() - 1) * 9 / 10]]);
        }
    }
    let bulk = Scale::over(ends.iter().copied(), false);
    let height = bulk.high - bulk.low;
    if log || ends.is_empty() || whole.high - whole.low <= 3.0 * height {
        return (whole, [None; 2]);
    }
    // Some of the descent stays in sight: it shows from where the curve comes.
    let limits = Scale::between(whole.low.max(bulk.low - height), whole.high.min(bulk.high + height), false);
    let outside =
        [(whole.low < limits.low).then_some(whole.low), (whole.high > limits.high).then_some(whole.high)];
    (limits, outside)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, log: bool, most: usize) -> Vec<String> {
        Scale::between(low, high, log).ticks(most).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn linear_ticks_are_one_two_five() {
        assert_eq!(labels(0.0, 1.0, false, 5), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(-3.0, 3.0, false, 6), ["−3", "−2", "−1", "0", "1", "2", "3"]);
        assert_eq!(labels(0.0, 47_000.0, false, 5), ["0", "10,000", "20,000", "30,000", "40,000"]);
        assert_eq!(labels(0.0, 3e8, false, 4), ["0", "10⁸", "2×10⁸", "3×10⁸"]);
        assert_eq!(labels(0.01, 0.013, false, 3), ["0.010", "0.011", "0.012", "0.013"]);
        assert_eq!([0.7, 1.0, 1.1, 4.0, 6.0].map(nice_step), [1.0, 1.0, 2.0, 5.0, 10.0]);
    }

    #[test]
    fn log_ticks_are_decades_or_parts_of_them() {
        assert_eq!(labels(1.0, 10_000.0, true, 6), ["1", "10", "100", "1000", "10,000"]);
        assert_eq!(labels(1e-6, 1e6, true, 6), ["10⁻⁶", "10⁻⁴", "0.01", "1", "100", "10,000", "10⁶"]);
        assert_eq!(labels(0.9, 60.0, true, 6), ["1", "3", "10", "30"]);
    }

    #[test]
    fn scales_survive_what_is_no_interval() {
        for log in [false, true] {
            for values in [
                vec![],
                vec![2.0, 2.0],
                vec![f64::NAN, f64::INFINITY],
                vec![-1.0],
                vec![0.0, 0.0],
                vec![f64::MAX, f64::MIN],
                vec![f64::MIN_POSITIVE, f64::MAX],
            ] {
                let scale = Scale::over(values.iter().copied(), log);
                assert!(scale.low < scale.high, "{values:?} {scale:?}");
                assert!(scale.ticks(5).len() < 102);
                assert!(scale.padded(0.05).share(scale.low).is_finite());
            }
        }
    }

    #[test]
    fn early_steps_do_not_set_the_limits() {
        let curve: Vec<[f64; 2]> = (0..100)
            .map(|x| [f64::from(x), if x < 3 { 540.0 } else { 240.0 - 0.1 * f64::from(x) }])
            .collect();
        let (limits, outside) = robust_limits(&[&curve], false);
        assert!(limits.high < 260.0 && limits.low > 220.0, "{limits:?}");
        assert_eq!(outside, [None, Some(540.0)]);
        let (limits, outside) = robust_limits(&[&curve[3..]], false);
        assert!(outside == [None; 2] && (limits.high - 239.7).abs() < 1e-9);
    }

    #[test]
    fn short_numbers() {
        assert_eq!(
            [1.8734, 0.012345, 123.46, -98765.4, 1e-9].map(short),
            ["1.87", "0.0123", "123", "−98,765", "10⁻⁹"]
        );
    }
}
