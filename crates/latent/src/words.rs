//! Numbers as people say them, names as they may be shown.

/// 12345 as `12,345`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Seconds as `0.4 s`, `48 s`, `3 min 20 s`, `2 h 5 min`, `3 days`.
pub fn duration(seconds: f64) -> String {
    match seconds.round() as u64 {
        _ if seconds < 9.95 => format!("{seconds:.1} s"),
        s @ 0..60 => format!("{s} s"),
        s @ 60..3600 => format!("{} min {} s", s / 60, s % 60),
        s @ 3600..172_800 => format!("{} h {} min", s / 3600, s / 60 % 60),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// Text with every control character as it is written in Rust: a name in a sentence stays on its line and colours nothing.
pub fn shown(text: &str) -> String {
    let mut all = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() { all.extend(letter.escape_default()) } else { all.push(letter) }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_neither_colour_nor_break_lines() {
        assert_eq!(shown("a\u{1b}[31mb\nc\td\u{9b}"), r"a\u{1b}[31mb\nc\td\u{9b}");
        assert_eq!(shown("σ = ½, Trouser"), "σ = ½, Trouser");
    }

    #[test]
    fn numbers_are_said_as_people_say_them() {
        assert_eq!([0, 999, 1000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        let said = [0.44, 9.96, 59.6, 200.0, 7500.0, 259_200.0].map(duration);
        assert_eq!(said, ["0.4 s", "10 s", "1 min 0 s", "3 min 20 s", "2 h 5 min", "3 days"]);
    }
}
