//! Dates and times as words: `2010-01-02 13:00:00+02:00`, `31.12.1999`, `08:15`.
//!
//! A value is days, or seconds where there is a time of day, since 1970-01-01 in the zone that is written. The zone stays
//! as it is; where a column has several, values are in UTC and are written with the commonest.

use serde::{Deserialize, Serialize};

/// How the dates of a column are written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DateFormat {
    /// `Y` year, `m` month, `d` day, `H` hour, `M` minute, `S` second, `f` its decimals, `z` the zone; all else as it stands.
    pub pattern: String,
    /// Whether days, months and hours have two digits always.
    pub padded: bool,
    /// How the zone is written; empty without one.
    pub zone: String,
    /// Whether the column has several zones.
    pub several_zones: bool,
    /// Decimals of seconds.
    pub decimals: usize,
    /// The step between values, in units of the last decimal.
    pub step: i64,
    /// The least value, in units of the last decimal.
    pub first: i64,
    /// Least and greatest value.
    pub range: [f64; 2],
}

const DATES: [&str; 9] = ["Y-m-d", "Y/m/d", "Y.m.d", "d.m.Y", "d/m/Y", "m/d/Y", "d-m-Y", "m-d-Y", "Y-m"];
const TIMES: [&str; 7] = ["", " H:M", "TH:M", " H:M:S", "TH:M:S", " H:M:S.f", "TH:M:S.f"];
const ALONE: [&str; 3] = ["H:M", "H:M:S", "H:M:S.f"];

/// What one word says.
struct Read {
    /// Days, or seconds, in the zone that is written.
    value: f64,
    zone: String,
    /// Minutes ahead of UTC.
    ahead: i64,
    padded: bool,
    decimals: usize,
}

impl DateFormat {
    /// The format of these words, if they are all dates of one.
    pub(crate) fn of(words: &[&str], wanted: Option<&str>) -> Option<Self> {
        let first = words.first()?;
        let mut patterns: Vec<String> = Vec::new();
        match wanted {
            Some(wanted) => patterns.push(wanted.into()),
            None => {
                for date in DATES {
                    for time in TIMES {
                        patterns.push(format!("{date}{time}"));
                        if !time.is_empty() {
                            patterns.push(format!("{date}{time}z"));
                            patterns.push(format!("{date}{time} z"));
                        }
                    }
                }
                patterns.extend(ALONE.map(String::from));
            }
        }
        patterns.retain(|pattern| read(pattern, first).is_some());
        patterns.into_iter().find_map(|pattern| Self::with(pattern, words))
    }

    fn with(pattern: String, words: &[&str]) -> Option<Self> {
        let read: Vec<Read> = words.iter().map(|word| read(&pattern, word)).collect::<Option<_>>()?;
        let zone = read.first()?.zone.clone();
        let several_zones = read.iter().any(|read| read.zone != zone);
        let decimals = read.iter().map(|read| read.decimals).max().unwrap_or(0).min(6);
        let padded = read.iter().all(|read| read.padded);
        let zone = match several_zones {
            true => {
                let mut counts: Vec<(usize, &str)> = Vec::new();
                for read in &read {
                    match counts.iter_mut().find(|(_, known)| *known == read.zone) {
                        Some((count, _)) => *count += 1,
                        None => counts.push((1, &read.zone)),
                    }
                }
                counts.into_iter().max_by_key(|(count, _)| *count).map(|(_, zone)| zone.to_string())?
            }
            false => zone,
        };
        let mut format =
            Self { pattern, padded, zone, several_zones, decimals, step: 1, first: 0, range: [0.0; 2] };
        let values: Vec<f64> = words.iter().map(|word| format.value(word)).collect::<Option<_>>()?;
        let size = 10f64.powi(decimals as i32);
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        format.range = [least, greatest];
        format.first = (least * size).round() as i64;
        let gcd = |mut a: i64, mut b: i64| {
            while b != 0 {
                (a, b) = (b, a % b);
            }
            a
        };
        let step =
            values.iter().fold(0, |step, value| gcd(step, (value * size).round() as i64 - format.first));
        format.step = step.abs().max(1);
        Some(format)
    }

    fn has_time(&self) -> bool {
        self.pattern.contains('H')
    }

    /// The value of a word.
    pub fn value(&self, word: &str) -> Option<f64> {
        let read = read(&self.pattern, word)?;
        let ahead = if self.several_zones { read.ahead * 60 } else { 0 };
        Some(read.value - ahead as f64)
    }

    /// The word of a value.
    pub fn word(&self, value: f64) -> String {
        let ahead = if self.several_zones { minutes_ahead(&self.zone).unwrap_or(0) * 60 } else { 0 };
        let size = 10f64.powi(self.decimals as i32);
        let units = ((value + ahead as f64) * size).round();
        let (seconds, part) = match self.has_time() {
            true => ((units / size).floor(), units - (units / size).floor() * size),
            false => (units * 86_400.0, 0.0),
        };
        let seconds = seconds as i64;
        let (year, month, day) = date_of(seconds.div_euclid(86_400));
        let within = seconds.rem_euclid(86_400);
        let mut word = String::new();
        let two = |number: i64| if self.padded { format!("{number:02}") } else { number.to_string() };
        for token in self.pattern.chars() {
            match token {
                'Y' => word.push_str(&format!("{year:04}")),
                'm' => word.push_str(&two(month)),
                'd' => word.push_str(&two(day)),
                'H' => word.push_str(&two(within / 3600)),
                'M' => word.push_str(&format!("{:02}", within / 60 % 60)),
                'S' => word.push_str(&format!("{:02}", within % 60)),
                'f' => word.push_str(&format!("{:0width$}", part as i64, width = self.decimals.max(1))),
                'z' => word.push_str(&self.zone),
                other => word.push(other),
            }
        }
        word
    }

    /// The step between values and the least of them.
    pub(super) fn grid(&self) -> Option<(f64, f64)> {
        let size = 10f64.powi(self.decimals as i32);
        Some((self.step as f64 / size, self.first as f64 / size))
    }

    pub(super) fn in_words(&self) -> String {
        let zone = match (self.several_zones, self.zone.is_empty()) {
            (true, _) => format!(", several time zones, written as {}", self.zone),
            (false, false) => format!(", time zone {}", self.zone),
            (false, true) => String::new(),
        };
        let doubt = match self.pattern.starts_with("d/m") || self.pattern.starts_with("d-m") {
            true => " (day before month; [data.columns.NAME] format = \"m/d/Y\" says otherwise)",
            false => "",
        };
        format!(
            "{} {} from {} to {}{zone}{doubt}",
            if self.has_time() { "times as" } else { "dates as" },
            self.pattern,
            self.word(self.range[0]),
            self.word(self.range[1])
        )
    }
}

/// What a word says by a pattern.
fn read(pattern: &str, word: &str) -> Option<Read> {
    let mut rest = word;
    let (mut year, mut month, mut day) = (1970i64, 1i64, 1i64);
    let (mut hour, mut minute, mut second, mut part) = (0i64, 0i64, 0i64, 0.0f64);
    let (mut zone, mut ahead, mut padded, mut decimals) = (String::new(), 0, true, 0);
    for token in pattern.chars() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let mut take = |least: usize, most: usize| -> Option<i64> {
            let taken = digits.min(most);
            if taken < least {
                return None;
            }
            let number = rest[..taken].parse().ok()?;
            padded &= taken == most;
            rest = &rest[taken..];
            Some(number)
        };
        match token {
            'Y' => year = take(4, 4)?,
            'm' => month = take(1, 2)?,
            'd' => day = take(1, 2)?,
            'H' => hour = take(1, 2)?,
            'M' => minute = take(2, 2)?,
            'S' => second = take(2, 2)?,
            'f' => {
                if digits == 0 || digits > 9 {
                    return None;
                }
                part = format!("0.{}", &rest[..digits]).parse().ok()?;
                decimals = digits;
                rest = &rest[digits..];
            }
            'z' => {
                zone = rest.to_string();
                ahead = minutes_ahead(&zone)?;
                rest = "";
            }
            other => rest = rest.strip_prefix(other)?,
        }
    }
    let length = [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let sound = rest.is_empty()
        && (1..=12).contains(&month)
        && day >= 1
        && day <= length[month as usize - 1]
        && hour < 24
        && minute < 60
        && second < 60;
    if !sound {
        return None;
    }
    let days = days_of(year, month, day);
    let value = match pattern.contains('H') {
        true => (days * 86_400 + hour * 3600 + minute * 60 + second) as f64 + part,
        false => days as f64,
    };
    Some(Read { value, zone, ahead, padded, decimals })
}

/// `Z`, `UTC`, `+02:00`, `-0530`, `+01`
fn minutes_ahead(zone: &str) -> Option<i64> {
    if ["Z", "UTC", "GMT"].contains(&zone) {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    if !matches!(digits.len(), 2 | 4) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = digits.get(2..).filter(|rest| !rest.is_empty()).map_or(Some(0), |m| m.parse().ok())?;
    Some(sign * (hours * 60 + minutes))
}

fn is_leap(year: i64) -> bool {
    (year % 4 == 0 && year % 100 != 0) || year % 400 == 0
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Reference: Hinnant, *chrono-Compatible Low-Level Date Algorithms*.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of a day since 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}
