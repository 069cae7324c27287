//! Constraints as they are written, and back.
//!
//! ```text
//! start <= end            a < b < c, a >= b       orders, each below the next
//! total = net + tax       copy = original         sums
//! city -> country         code <-> name           one value of the one for each of the other
//! age in 0..120           price in 0..            ranges
//! ```
//!
//! Names stand as they are, blanks too; one that holds an operator stands in double quotes or backticks.

use std::fmt;

/// What shall hold in every row, by the names of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Constraint {
    /// `low <= high`
    Order {
        /// The lesser.
        low: String,
        /// The greater.
        high: String,
        /// Whether they differ.
        strict: bool,
    },
    /// `total = part + part`
    Sum {
        /// The sum.
        total: String,
        /// What is added.
        parts: Vec<String>,
    },
    /// `from -> to`
    Map {
        /// What decides.
        from: String,
        /// What is decided.
        to: String,
    },
    /// `column in least..most`
    Range {
        /// The column.
        column: String,
        /// The least value, in the words of the file.
        least: Option<String>,
        /// The greatest value.
        most: Option<String>,
    },
}

/// Longer ones first.
const OPERATORS: [&str; 7] = ["<->", "->", "<=", ">=", "<", ">", "="];

type Wrong = (String, String);

impl Constraint {
    /// Reads what is written, which may be several at once (`a <= b <= c`).
    ///
    /// # Errors
    /// What is wrong with it, and what to write.
    pub fn parse(text: &str) -> Result<Vec<Self>, (String, String)> {
        let (parts, operators) = cut(text, &OPERATORS);
        match operators.as_slice() {
            [] => Ok(vec![Self::range(text)?]),
            ["="] => {
                let (total, parts) = (name(text, parts[0])?, names(text, parts[1], "+")?);
                Ok(vec![Self::Sum { total, parts }])
            }
            ["->" | "<->"] => {
                let (from, all) = (name(text, parts[0])?, names(text, parts[1], ",")?);
                let map = |from: &String, to: &String| Self::Map { from: from.clone(), to: to.clone() };
                let mut found: Vec<Self> = all.iter().map(|to| map(&from, to)).collect();
                if operators == ["<->"] {
                    found.extend(all.iter().map(|to| map(to, &from)));
                }
                Ok(found)
            }
            all if ["<", ">"]
                .iter()
                .any(|way| all.iter().all(|one| one.starts_with(way) && *one != "<->")) =>
            {
                let names: Vec<String> =
                    parts.into_iter().map(|part| name(text, part)).collect::<Result<_, _>>()?;
                let order = |(pair, operator): (&[String], &&str)| {
                    let (low, high) = match operator.starts_with('<') {
                        true => (pair[0].clone(), pair[1].clone()),
                        false => (pair[1].clone(), pair[0].clone()),
                    };
                    Self::Order { low, high, strict: operator.len() == 1 }
                };
                Ok(names.windows(2).zip(all).map(order).collect())
            }
            _ => Err(wrong(text, "it has operators of several sorts")),
        }
    }

    /// `age in 0..120`
    fn range(text: &str) -> Result<Self, Wrong> {
        // The last one: `check in in 0..5`.
        let Some((column, span)) = text.rsplit_once(" in ") else {
            return Err(wrong(text, "it has none of <=, <, =, -> and in"));
        };
        let column = name(text, column)?;
        let Some((least, most)) = span.split_once("..") else {
            return Err(wrong(text, "a range has two dots between its ends"));
        };
        let side = |word: &str| Some(word.trim().to_string()).filter(|word| !word.is_empty());
        let (least, most) = (side(least), side(most));
        if least.is_none() && most.is_none() {
            return Err(wrong(text, "a range has an end"));
        }
        Ok(Self::Range { column, least, most })
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |names: &[String]| names.iter().map(|name| quoted(name)).collect::<Vec<_>>();
        match self {
            Self::Order { low, high, strict } => {
                write!(f, "{} {} {}", quoted(low), if *strict { "<" } else { "<=" }, quoted(high))
            }
            Self::Sum { total, parts } => write!(f, "{} = {}", quoted(total), each(parts).join(" + ")),
            Self::Map { from, to } => write!(f, "{} -> {}", quoted(from), quoted(to)),
            Self::Range { column, least, most } => {
                let side = |word: &Option<String>| word.clone().unwrap_or_default();
                write!(f, "{} in {}..{}", quoted(column), side(least), side(most))
            }
        }
    }
}

/// A name that could be read as more than one stands in quotes.
fn quoted(name: &str) -> String {
    let plain =
        name.trim() == name && !name.contains(['<', '>', '=', '+', ',', '"', '`']) && !name.contains(" in ");
    match (plain, name.contains('"')) {
        (true, _) => name.into(),
        (false, false) => format!("\"{name}\""),
        (false, true) => format!("`{name}`"),
    }
}

fn wrong(text: &str, what: &str) -> Wrong {
    let remedy = "write \"start <= end\", \"total = net + tax\", \"city -> country\" or \"age in 0..120\"; a name that holds \
                  an operator stands in double quotes or backticks";
    (format!("{text:?} is no constraint: {what}"), remedy.into())
}

/// One name, without its quotes.
fn name(text: &str, part: &str) -> Result<String, Wrong> {
    let part = part.trim();
    let inner = ['"', '`'].iter().find_map(|quote| part.strip_prefix(*quote)?.strip_suffix(*quote));
    match inner.unwrap_or(part) {
        "" => Err(wrong(text, "a name is missing")),
        name => Ok(name.into()),
    }
}

fn names(text: &str, part: &str, between: &str) -> Result<Vec<String>, Wrong> {
    cut(part, &[between]).0.into_iter().map(|part| name(text, part)).collect()
}

/// Cuts at operators outside of quotes: the pieces, and the operators between them.
fn cut<'a, 'b>(text: &'a str, operators: &[&'b str]) -> (Vec<&'a str>, Vec<&'b str>) {
    let (mut pieces, mut found) = (Vec::new(), Vec::new());
    let (mut start, mut at) = (0, 0);
    let mut quote: Option<char> = None;
    while let Some(letter) = text[at..].chars().next() {
        match quote {
            Some(open) if open == letter => quote = None,
            Some(_) => {}
            // A quote opens where a name begins; elsewhere it is a letter of the name.
            None if matches!(letter, '"' | '`') && text[start..at].trim().is_empty() => quote = Some(letter),
            None => {
                if let Some(operator) = operators.iter().find(|operator| text[at..].starts_with(**operator)) {
                    pieces.push(&text[start..at]);
                    found.push(*operator);
                    at += operator.len();
                    start = at;
                    continue;
                }
            }
        }
        at += letter.len_utf8();
    }
    pieces.push(&text[start..]);
    (pieces, found)
}
