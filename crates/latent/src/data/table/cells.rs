//! Columns of words as they came, before it is known what they mean: each different word once, and which of them each row has.

use std::collections::{HashMap, HashSet};

use crate::data::DataError;

/// A column of words, an empty word for a cell without a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WordColumn {
    /// What it is called.
    pub name: String,
    /// Its different words.
    pub words: Vec<String>,
    /// The place in `words` of each row's.
    pub of: Vec<u32>,
}

impl WordColumn {
    /// The column of these words, one a row.
    pub fn of_each(name: impl Into<String>, words: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut column = Written::default();
        words.into_iter().for_each(|word| column.push(word.as_ref()));
        column.finish(name.into())
    }

    /// How many rows have each word.
    pub(super) fn counts(&self) -> Vec<u64> {
        let mut counts = vec![0; self.words.len()];
        self.of.iter().for_each(|place| counts[*place as usize] += 1);
        counts
    }

    /// The first row that has this word.
    pub(super) fn first(&self, word: &str) -> Option<usize> {
        let place = self.words.iter().position(|known| known == word)? as u32;
        self.of.iter().position(|of| *of == place)
    }
}

/// Whether columns of a program's make a table: as many rows each, every place among the words. Their number of rows.
pub(super) fn check(name: &std::path::Path, columns: &[WordColumn]) -> Result<usize, DataError> {
    let wrong = |what: String, remedy: &str| Err(DataError::malformed(name, what, remedy));
    let rows = columns.first().map_or(0, |column| column.of.len());
    for column in columns {
        if column.of.len() != rows {
            let what = format!("the column {:?} has {} rows, others {rows}", column.name, column.of.len());
            return wrong(what, "give each column as many");
        }
        if column.of.iter().any(|place| *place as usize >= column.words.len()) {
            let what =
                format!("the column {:?} has rows beyond its {} words", column.name, column.words.len());
            return wrong(what, "give each row the place of its word");
        }
        let mut seen = HashSet::new();
        if let Some(twice) = column.words.iter().find(|word| !seen.insert(word.as_str())) {
            let what = format!("the column {:?} has the word {twice:?} twice", column.name);
            return wrong(what, "give each word one place");
        }
    }
    if rows == 0 {
        return wrong("there is no row".into(), "give some");
    }
    Ok(rows)
}

/// A column in the making.
#[derive(Default)]
pub(super) struct Written {
    column: WordColumn,
    places: HashMap<String, u32>,
}

impl Written {
    pub fn push(&mut self, word: &str) {
        let place = match self.places.get(word) {
            Some(place) => *place,
            None => {
                let place = self.column.words.len() as u32;
                self.column.words.push(word.to_string());
                self.places.insert(word.to_string(), place);
                place
            }
        };
        self.column.of.push(place);
    }

    pub fn finish(self, name: String) -> WordColumn {
        WordColumn { name, ..self.column }
    }
}
