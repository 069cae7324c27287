//! What rows of a table shall be: conditions on columns, as text or as values.
//!
//! ```text
//! "income = >50K, age = 30..40, sex != Male"  ──┐
//! name and values, whatever they hold         ──┴──▶ which levels of each column are allowed, which part of them, and gaps
//! ```

use crate::config::nearest;
use crate::data::Table;
use crate::data::table::{Column, Kind, Scale};
use crate::generate::Result;
use crate::model::ModelError;
use crate::model::likelihood::Allowed;

/// What is asked of one column.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// The column's place in x.
    pub column: usize,
    /// What its cells may be.
    pub allowed: Allowed,
    /// As it was asked.
    pub text: String,
}

/// What a cell may be, in words as the table has them. Nothing in a word stands for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Empty.
    Gap,
    /// This value.
    Value(String),
    /// From the one to the other, both of them too; none where a side is open.
    Range(Option<String>, Option<String>),
}

impl Wanted {
    /// In words.
    fn text(&self) -> String {
        let quoted = |word: &str| match word.contains([',', '|', '"']) || word.trim() != word {
            true => format!("{word:?}"),
            false => word.to_string(),
        };
        let side = |word: &Option<String>| word.as_deref().map(quoted).unwrap_or_default();
        match self {
            Self::Gap => "(empty)".into(),
            Self::Value(word) => quoted(word),
            Self::Range(from, to) => format!("{}..{}", side(from), side(to)),
        }
    }
}

/// What a cell may be, as numbers.
enum Cell {
    Gap,
    Within(f64, f64),
}

pub(super) fn refused(what: impl Into<String>, remedy: impl Into<String>) -> crate::generate::GenerateError {
    ModelError::Foreign { what: what.into(), remedy: remedy.into() }.into()
}

const OPERATORS: [&str; 6] = ["!=", ">=", "<=", "=", ">", "<"];

impl Table {
    /// Reads conditions such as `income = >50K, age = 30..40, sex != Male`: a list with commas between; words that hold
    /// commas stand in double quotes.
    ///
    /// # Errors
    /// A column or a category that is not there, with the nearest that is; a range without a value.
    pub fn conditions(&self, text: &str) -> Result<Vec<Condition>> {
        let mut found: Vec<Condition> = Vec::new();
        for part in split(text) {
            let condition = self.condition(part.trim())?;
            match found.iter_mut().find(|known| known.column == condition.column) {
                // Two on one column are met both: `age >= 30, age < 40`.
                Some(known) => {
                    let levels = known.allowed.levels.iter().zip(&condition.allowed.levels);
                    known.allowed.levels = levels.map(|(a, b)| *a && *b).collect();
                    known.allowed.gap &= condition.allowed.gap;
                    known.allowed.range = match (known.allowed.range, condition.allowed.range) {
                        (Some((a, b)), Some((c, d))) => Some((a.max(c), b.min(d))),
                        (one, other) => one.or(other),
                    };
                    known.text = format!("{}, {}", known.text, condition.text);
                }
                None => found.push(condition),
            }
        }
        for condition in &found {
            if !condition.allowed.gap && !condition.allowed.levels.contains(&true) {
                let what = format!("no training row has {}", condition.text);
                return Err(refused(what, "ask for values that are there (latent data inspect shows them)"));
            }
        }
        Ok(found)
    }

    /// The condition that cells of the column `name` are one of `wanted`.
    ///
    /// # Errors
    /// A column or a value that is not there, with the nearest that is; nothing wanted.
    pub fn condition_of(&self, name: &str, wanted: &[Wanted]) -> Result<Condition> {
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return Err(self.no_column(name));
        };
        let (place, scale) = self.modelled_place(column)?;
        if wanted.is_empty() {
            return Err(refused(
                format!("no row has one of no values of {name}"),
                "give at least one, or leave the column out",
            ));
        }
        let mut cells = Vec::with_capacity(wanted.len());
        for one in wanted {
            let cell = match one {
                Wanted::Gap if column.has_gaps() => Cell::Gap,
                Wanted::Gap => {
                    let what = format!("no training row has an empty cell in {name}");
                    return Err(refused(what, "ask for a value"));
                }
                Wanted::Value(word) => {
                    let value = value_of(column, word)?;
                    Cell::Within(value, value)
                }
                Wanted::Range(from, to) if column.is_ordered() => {
                    let side = |word: &Option<String>, open: f64| {
                        word.as_deref().map_or(Ok(open), |word| value_of(column, word))
                    };
                    Cell::Within(side(from, f64::NEG_INFINITY)?, side(to, f64::INFINITY)?)
                }
                Wanted::Range(..) => {
                    let what = format!("{name} has no order, and so no range {}", one.text());
                    return Err(refused(what, "ask for one of some values"));
                }
            };
            cells.push((format!("= {}", one.text()), cell));
        }
        let allowed = allowed(column, scale, &cells)?;
        let texts: Vec<String> = wanted.iter().map(Wanted::text).collect();
        Ok(Condition { column: place, allowed, text: format!("{name} = {}", texts.join("|")) })
    }

    fn condition(&self, text: &str) -> Result<Condition> {
        // The longest name of a column that the text begins with.
        let named = self
            .columns
            .iter()
            .filter(|column| {
                let rest = text.strip_prefix(column.name.as_str()).map(str::trim_start);
                rest.is_some_and(|rest| OPERATORS.iter().any(|operator| rest.starts_with(operator)))
            })
            .max_by_key(|column| column.name.len());
        let Some(column) = named else {
            let name = text.split(['=', '<', '>', '!']).next().unwrap_or_default().trim();
            if name.len() == text.len() {
                return Err(refused(
                    format!("{text:?} is no condition"),
                    "write COLUMN = VALUE, such as \"age = 30..40\"",
                ));
            }
            return Err(self.no_column(name));
        };
        let (place, scale) = self.modelled_place(column)?;
        let rest = text[column.name.len()..].trim_start();
        let Some(operator) = OPERATORS.into_iter().find(|operator| rest.starts_with(operator)) else {
            return Err(refused(format!("{text:?} is no condition"), "write COLUMN = VALUE"));
        };
        let asked = rest[operator.len()..].trim();
        let mut cells = Vec::new();
        for word in asked.split('|').map(|word| word.trim().trim_matches('"')) {
            cells.push((format!("{operator} {word}"), cell(column, operator, word)?));
        }
        let mut allowed = match operator {
            "!=" => levels_of(scale, &cells),
            _ => allowed(column, scale, &cells)?,
        };
        if operator == "!=" {
            allowed.levels.iter_mut().for_each(|may| *may = !*may);
            allowed.gap = !allowed.gap && column.has_gaps();
        }
        Ok(Condition { column: place, allowed, text: text.into() })
    }

    /// One condition for each category of a column.
    ///
    /// # Errors
    /// A column that is not there, or has no categories.
    pub fn balance(&self, name: &str) -> Result<Vec<Condition>> {
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return Err(self.no_column(name));
        };
        let (Some(place), Some(scale)) = (self.place(name), &column.scale) else {
            return Err(refused(format!("{name} is no part of the model"), "balance another column"));
        };
        let is_discrete = scale.low == scale.high && scale.levels() <= 100;
        if !is_discrete {
            let what = format!("{name} has {} levels, too many to have as many rows each", scale.levels());
            return Err(refused(what, "balance a column of at most 100 values, or draw ranges by --where"));
        }
        let one = |level: usize| {
            let mut allowed = Allowed { levels: vec![false; scale.levels()], range: None, gap: false };
            allowed.levels[level] = true;
            Condition { column: place, allowed, text: format!("{name} = {}", column.word(scale.low[level])) }
        };
        Ok((0..scale.levels()).filter(|level| scale.shares[*level] > 0.0).map(one).collect())
    }

    /// `given`, once with each category of the column `name`.
    ///
    /// # Errors
    /// As [`Table::balance`]; a column of which something is given.
    pub fn balanced(&self, given: &[Condition], name: &str) -> Result<Vec<Vec<Condition>>> {
        let each = self.balance(name)?;
        if given.iter().any(|condition| each.first().is_some_and(|one| one.column == condition.column)) {
            let what = format!("{name} is to be balanced, and a condition asks for some of it");
            return Err(refused(what, "leave it out of one of both"));
        }
        Ok(each.into_iter().map(|one| given.iter().cloned().chain([one]).collect()).collect())
    }

    fn no_column(&self, name: &str) -> crate::generate::GenerateError {
        let names: Vec<&str> = self.modelled().map(|column| column.name.as_str()).collect();
        let remedy = match nearest(name, names.iter().copied()) {
            Some(nearest) => format!("did you mean {nearest:?}?"),
            None => format!("the columns are {}", names.join(", ")),
        };
        refused(format!("there is no column {name:?}"), remedy)
    }

    /// Where the column is in x, and its levels.
    fn modelled_place<'a>(&self, column: &'a Column) -> Result<(usize, &'a Scale)> {
        self.place(&column.name).zip(column.scale.as_ref()).ok_or_else(|| {
            let what = format!("{} is {}, and no part of the model", column.name, column.kind.name());
            refused(what, "leave it out of the conditions")
        })
    }
}

/// What a word of a text asks for.
fn cell(column: &Column, operator: &str, word: &str) -> Result<Cell> {
    if column.has_gaps() && column.gaps.iter().any(|(gap, _)| gap == word) {
        return Ok(Cell::Gap);
    }
    let one = |word: &str| value_of(column, word).map(|value| Cell::Within(value, value));
    match (operator, column.is_ordered()) {
        (">" | ">=" | "<" | "<=", true) => {
            let value = value_of(column, word)?;
            let step = column.scale.as_ref().map_or(0.0, |scale| scale.step);
            let tiny = if step > 0.0 { 0.5 * step } else { 0.0 };
            Ok(match operator {
                ">" => Cell::Within(value + tiny, f64::INFINITY),
                ">=" => Cell::Within(value, f64::INFINITY),
                "<" => Cell::Within(f64::NEG_INFINITY, value - tiny),
                _ => Cell::Within(f64::NEG_INFINITY, value),
            })
        }
        (_, true) => match word.split_once("..") {
            Some((from, to)) => {
                let side = |word: &str, open: f64| match word.trim() {
                    "" => Ok(open),
                    word => value_of(column, word),
                };
                Ok(Cell::Within(side(from, f64::NEG_INFINITY)?, side(to, f64::INFINITY)?))
            }
            None => one(word),
        },
        ("=" | "!=", false) => one(word),
        _ => {
            let what = format!("{} has no order, so nothing is {operator} {word}", column.name);
            Err(refused(what, "ask by = or !="))
        }
    }
}

/// The levels that meet one of these.
fn levels_of(scale: &Scale, cells: &[(String, Cell)]) -> Allowed {
    let mut allowed = Allowed { levels: vec![false; scale.levels()], range: None, gap: false };
    for (_, cell) in cells {
        match cell {
            Cell::Gap => allowed.gap = true,
            Cell::Within(from, to) => {
                let levels = allowed.levels.iter_mut().zip(scale.low.iter().zip(&scale.high));
                levels.for_each(|(may, (low, high))| *may |= *high >= *from && *low <= *to);
            }
        }
    }
    allowed
}

/// The same, each of which some level must meet; a single range cuts levels in two.
fn allowed(column: &Column, scale: &Scale, cells: &[(String, Cell)]) -> Result<Allowed> {
    for (text, cell) in cells {
        let Cell::Within(from, to) = cell else { continue };
        if !scale.low.iter().zip(&scale.high).any(|(low, high)| high >= from && low <= to) {
            let (least, most) = (scale.low[0], scale.high[scale.levels() - 1]);
            let what = format!("no training row has {} {text}", column.name);
            let remedy = format!("its values reach from {} to {}", column.word(least), column.word(most));
            return Err(refused(what, remedy));
        }
    }
    let mut allowed = levels_of(scale, cells);
    if let ([(_, Cell::Within(from, to))], true) = (cells, column.is_ordered()) {
        allowed.range = Some((*from, *to));
    }
    Ok(allowed)
}

/// The value of a word of a condition.
fn value_of(column: &Column, word: &str) -> Result<f64> {
    if let Some(value) = column.value(word) {
        return Ok(value);
    }
    Err(match &column.kind {
        Kind::Category { words } => {
            let remedy = match nearest(word, words.iter().map(String::as_str)) {
                Some(nearest) => format!("did you mean {nearest:?}?"),
                None => {
                    let some: Vec<&str> = words.iter().take(20).map(String::as_str).collect();
                    format!("it has {}{}", some.join(", "), if words.len() > 20 { ", …" } else { "" })
                }
            };
            refused(format!("column {} has no {word:?}", column.name), remedy)
        }
        kind => refused(
            format!("{word:?} is no {}, and column {} is one", kind.name(), column.name),
            "write values as the file has them",
        ),
    })
}

/// At commas outside of double quotes.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut quoted) = (Vec::new(), 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::table::WordColumn;
    use crate::data::{Data, DataSettings, Memory};
    use crate::key::Key;

    /// Names and words that hold what a text gives a meaning to; age counts up from 20, and every tenth is empty, 59 among them.
    fn table() -> Table {
        let kinds = ["a|b", "a", "b", " c", "x, y", "say \"x\"", "1..2"];
        let of = |i: usize| if i % 10 == 9 { String::new() } else { (20 + i % 40).to_string() };
        let columns = vec![
            WordColumn::of_each("kind, of = it", (0..350).map(|i| kinds[i % 7])),
            WordColumn::of_each("age", (0..350).map(of)),
        ];
        let settings = DataSettings::default();
        let data =
            Data::from_memory(Memory::cells(columns), &settings, Key::from_seed(1), &mut |_| {}).unwrap();
        Table::clone(data.facts().table.as_ref().unwrap())
    }

    fn words_of(table: &Table, condition: &Condition) -> Vec<String> {
        let column = table.modelled().nth(condition.column).unwrap();
        let scale = column.scale.as_ref().unwrap();
        let met = condition.allowed.levels.iter().enumerate().filter(|(_, met)| **met);
        met.map(|(level, _)| column.word(scale.low[level])).collect()
    }

    #[test]
    fn words_stand_for_themselves_whatever_they_hold() {
        let table = table();
        for word in ["a|b", "a", " c", "x, y", "say \"x\"", "1..2"] {
            let found = table.condition_of("kind, of = it", &[Wanted::Value(word.into())]).unwrap();
            assert_eq!(words_of(&table, &found), [word]);
        }
        let two = [Wanted::Value("a|b".into()), Wanted::Value("x, y".into())];
        let mut found = words_of(&table, &table.condition_of("kind, of = it", &two).unwrap());
        found.sort();
        assert_eq!(found, ["a|b", "x, y"]);
    }

    #[test]
    fn values_and_texts_ask_the_same_where_both_can() {
        let table = table();
        let range = |from: Option<&str>, to: Option<&str>| {
            Wanted::Range(from.map(String::from), to.map(String::from))
        };
        for (text, wanted) in [
            ("age = 30..40", vec![range(Some("30"), Some("40"))]),
            ("age = 30..", vec![range(Some("30"), None)]),
            ("age = 30|33", vec![Wanted::Value("30".into()), Wanted::Value("33".into())]),
        ] {
            let [by_text] = &table.conditions(text).unwrap()[..] else { panic!("one condition") };
            assert_eq!(table.condition_of("age", &wanted).unwrap().allowed, by_text.allowed, "{text}");
        }
        let gap = table.condition_of("age", &[Wanted::Gap, Wanted::Value("30".into())]).unwrap();
        assert!(gap.allowed.gap && words_of(&table, &gap) == ["30"]);
    }

    #[test]
    fn what_is_not_there_is_refused_with_the_nearest() {
        let table = table();
        let said = |name: &str, wanted: &[Wanted]| table.condition_of(name, wanted).unwrap_err().to_string();
        assert!(said("agee", &[Wanted::Gap]).contains("did you mean \"age\"?"));
        assert!(said("age", &[]).contains("give at least one"));
        assert!(said("age", &[Wanted::Value("old".into())]).contains("\"old\" is no number"));
        assert!(said("age", &[Wanted::Value("95".into())]).contains("from 20 to 58"));
        assert!(said("kind, of = it", &[Wanted::Gap]).contains("no training row has an empty cell"));
        assert!(said("kind, of = it", &[Wanted::Range(None, None)]).contains("has no order"));
        let given = [table.condition_of("kind, of = it", &[Wanted::Value("a".into())]).unwrap()];
        assert!(
            table.balanced(&given, "kind, of = it").unwrap_err().to_string().contains("leave it out of one")
        );
        assert_eq!(table.balanced(&[], "kind, of = it").unwrap().len(), 7);
    }
}
