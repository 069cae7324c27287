//! What a column is, found out from its words, and why.

use serde::{Deserialize, Serialize};

use super::{DateFormat, NumberFormat, Pattern, number};
use crate::data::settings::{ColumnKind, ColumnSettings};

/// What a column is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Numbers.
    Number(NumberFormat),
    /// Dates or times.
    Date(DateFormat),
    /// One of these words.
    Category {
        /// The words, commonest first.
        words: Vec<String>,
    },
    /// The same word in every row: no part of x.
    Constant {
        /// The word.
        word: String,
    },
    /// Another word in every row: no part of x, made anew.
    Identifier(Pattern),
    /// Left out, because the settings say so.
    Dropped {
        /// Why.
        why: String,
    },
}

impl Kind {
    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Number(_) => "number",
            Self::Date(_) => "date",
            Self::Category { words } if words.len() == 2 => "boolean",
            Self::Category { .. } => "category",
            Self::Constant { .. } => "constant",
            Self::Identifier(_) => "identifier",
            Self::Dropped { .. } => "left out",
        }
    }
}

/// The words of a column, each with how many rows have it, in the order in which they came.
pub(super) struct Found<'a> {
    pub name: &'a str,
    pub words: Vec<(&'a str, u64)>,
    /// Whether a comma may be a decimal point.
    pub comma: bool,
}

/// Why a column can't be used.
pub(super) struct Refused {
    /// A word that is to blame.
    pub word: Option<String>,
    pub what: String,
    pub remedy: String,
}

/// Words that stand for an empty cell whatever else is in the column.
const GAPS: [&str; 15] =
    ["", "?", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NAN", "null", "NULL", "Null", "<NA>", "NaT", "nil"];

/// Words that do so in a column of numbers or dates.
const GAPS_AMONG_NUMBERS: [&str; 10] =
    ["-", "--", ".", "None", "none", "missing", "Missing", "unknown", "Unknown", "*"];

/// Whether a word says that its cell is empty.
pub(super) fn is_gap(word: &str, asked: Option<&ColumnSettings>) -> bool {
    match asked.map(|asked| asked.missing.as_slice()) {
        Some(missing) if !missing.is_empty() => missing.iter().any(|known| known == word),
        _ => GAPS.contains(&word),
    }
}

/// More different words than this share of the rows are no categories.
const MOST_DISTINCT: f64 = 0.5;

/// Fewer rows say nothing about uniqueness.
const FEW_ROWS: u64 = 20;

impl Found<'_> {
    fn rows(&self) -> u64 {
        self.words.iter().map(|(_, count)| count).sum()
    }

    /// What the column is, why, and the words among its own that stand for empty cells.
    pub(super) fn kind(
        &self,
        asked: Option<&ColumnSettings>,
    ) -> Result<(Kind, String, Vec<String>), Refused> {
        let rows = self.rows();
        let said = "as data.columns says";
        type Words<'a> = Vec<(&'a str, u64)>;
        let numbers = |comma: bool| {
            let (good, other): (Words<'_>, Words<'_>) =
                self.words.iter().partition(|(word, _)| number::parse(word, comma).is_some());
            let (gaps, bad): (Words<'_>, Words<'_>) =
                other.into_iter().partition(|(word, _)| GAPS_AMONG_NUMBERS.contains(word));
            (good, gaps, bad)
        };
        let as_number = |why: &str| {
            let comma = self.comma && self.words.iter().any(|(word, _)| word.contains(','));
            let (good, gaps, _) = numbers(comma);
            let format = NumberFormat::of(good.iter().map(|(word, _)| *word), comma);
            let mut why = format!("{}, {} different{why}", format.in_words(), good.len());
            let common = good.iter().max_by_key(|(_, count)| *count);
            if let Some((word, count)) = common
                && count * 10 >= rows
                && good.len() > 10
            {
                why.push_str(&format!(", {} % are {word}", 100 * count / rows.max(1)));
            }
            (Kind::Number(format), why, gaps.iter().map(|(word, _)| word.to_string()).collect())
        };
        let as_category = |why: String| {
            let mut words = self.words.clone();
            words.sort_by_key(|word| std::cmp::Reverse(word.1));
            let words = words.into_iter().map(|(word, _)| word.to_string()).collect();
            (Kind::Category { words }, why, Vec::new())
        };
        let refused = |what: String, remedy: String| Refused { word: None, what, remedy };
        match asked.and_then(|asked| asked.kind) {
            Some(ColumnKind::Drop) => {
                return Ok((Kind::Dropped { why: said.into() }, said.into(), Vec::new()));
            }
            _ if self.words.is_empty() => {
                let why = "empty in every row".to_string();
                return Ok((Kind::Constant { word: String::new() }, why, Vec::new()));
            }
            Some(ColumnKind::Number) => {
                let comma = self.comma && self.words.iter().any(|(word, _)| word.contains(','));
                let (good, _, bad) = numbers(comma);
                if let (Some((word, _)), _) | (None, Some((word, _))) =
                    (bad.first(), self.words.first().filter(|_| good.is_empty()))
                {
                    return Err(Refused {
                        word: Some(word.to_string()),
                        what: format!("{word:?} is no number, and data.columns calls the column one"),
                        remedy: format!(
                            "mend the cell, or say that it stands for an empty one: [data.columns.{:?}] missing = [{word:?}]",
                            self.name
                        ),
                    });
                }
                return Ok(as_number(&format!(" ({said})")));
            }
            Some(ColumnKind::Category) => {
                return Ok(as_category(format!("{} words ({said})", self.words.len())));
            }
            Some(ColumnKind::Identifier) => {
                let words: Vec<&str> = self.words.iter().map(|(word, _)| *word).collect();
                let Some(pattern) = Pattern::of(&words) else {
                    let what = "its words have no pattern by which new identifiers could be made".into();
                    return Err(refused(what, self.drop_it()));
                };
                let why = format!("{} ({said})", pattern.in_words());
                return Ok((Kind::Identifier(pattern), why, Vec::new()));
            }
            Some(ColumnKind::Date) | None => {}
        }
        if let [(word, _)] = self.words[..]
            && rows > 1
            && asked.is_none_or(|asked| asked.kind.is_none())
        {
            let why = format!("{word:?} in every row that has a value");
            return Ok((Kind::Constant { word: word.into() }, why, Vec::new()));
        }
        let dates: Vec<&str> = self
            .words
            .iter()
            .map(|(word, _)| *word)
            .filter(|word| !GAPS_AMONG_NUMBERS.contains(word))
            .collect();
        if let Some(format) = DateFormat::of(&dates, asked.and_then(|asked| asked.format.as_deref())) {
            let gaps = self.words.iter().map(|(word, _)| *word).filter(|word| !dates.contains(word));
            let gaps =
                if dates.len() == self.words.len() { Vec::new() } else { gaps.map(String::from).collect() };
            let why = format!("{}, {} different", format.in_words(), dates.len());
            return Ok((Kind::Date(format), why, gaps));
        }
        if asked.is_some_and(|asked| asked.kind == Some(ColumnKind::Date)) {
            let what = "its words are dates of no one format that is known".into();
            let remedy = "give the format of all, such as format = \"d.m.Y H:M\"".into();
            return Err(refused(what, remedy));
        }
        let distinct = self.words.len() as u64;
        let comma = self.comma && self.words.iter().any(|(word, _)| word.contains(','));
        let (good, gaps, bad) = numbers(comma);
        let count = |words: &[(&str, u64)]| words.iter().map(|(_, count)| count).sum::<u64>();
        if bad.is_empty() && !good.is_empty() {
            if let Some((pattern, why)) = self.as_counter(&good, rows) {
                return Ok((Kind::Identifier(pattern), why, Vec::new()));
            }
            return Ok(as_number(""));
        }
        // A few words among many numbers are a slip of the pen rather than another kind of column.
        if count(&good) + count(&gaps) >= 9 * count(&bad)
            && good.len() > 10
            && let Some((word, _)) = bad.first()
        {
            let bad_rows = count(&bad);
            return Err(Refused {
                word: Some(word.to_string()),
                what: format!(
                    "{word:?} is no number, and the column is one ({bad_rows} of {rows} cells are none)"
                ),
                remedy: format!(
                    "mend the cell, or say what it is: [data.columns.{0:?}] missing = [{word:?}] for an empty cell, \
                     kind = \"category\" for a column of words",
                    self.name
                ),
            });
        }
        if rows < FEW_ROWS || distinct as f64 <= MOST_DISTINCT * rows as f64 {
            let shown: Vec<&str> = {
                let mut words = self.words.clone();
                words.sort_by_key(|word| std::cmp::Reverse(word.1));
                words.into_iter().take(4).map(|(word, _)| word).collect()
            };
            let more = if self.words.len() > 4 { ", …" } else { "" };
            return Ok(as_category(format!("{distinct} words: {}{more}", shown.join(", "))));
        }
        let words: Vec<&str> = self.words.iter().map(|(word, _)| *word).collect();
        if distinct * 10 >= rows * 9
            && let Some(pattern) = Pattern::of(&words)
        {
            let why = format!("another word in every row: {}", pattern.in_words());
            return Ok((Kind::Identifier(pattern), why, Vec::new()));
        }
        Err(refused(
            format!("free text: {distinct} different words in {rows} rows, such as {:?}", self.words[0].0),
            self.drop_it(),
        ))
    }

    fn drop_it(&self) -> String {
        format!(
            "leave the column out by [data.columns.{0:?}] kind = \"drop\" (--set 'data.columns.{0}.kind=drop'), or take it \
             for what it is by kind = \"category\", \"number\", \"date\" or \"identifier\"",
            self.name
        )
    }

    /// Whole numbers without a hole, each once, are a count of the rows.
    fn as_counter(&self, good: &[(&str, u64)], rows: u64) -> Option<(Pattern, String)> {
        if rows < FEW_ROWS || good.len() as u64 != rows || good.len() != self.words.len() {
            return None;
        }
        let values: Vec<i64> = good.iter().map(|(word, _)| word.parse().ok()).collect::<Option<_>>()?;
        let (least, greatest) = (*values.iter().min()?, *values.iter().max()?);
        let is_dense = greatest.checked_sub(least)? as u64 + 1 == rows;
        let name = self.name.to_lowercase();
        let is_named = name == "id" || name == "index" || name.ends_with("_id") || name.ends_with(" id");
        if least < 0 || !(is_dense || is_named) {
            return None;
        }
        let words: Vec<&str> = good.iter().map(|(word, _)| *word).collect();
        let pattern = Pattern::of(&words)?;
        let why = if is_dense { "counts the rows" } else { "another number in every row" };
        Some((pattern, why.into()))
    }
}
