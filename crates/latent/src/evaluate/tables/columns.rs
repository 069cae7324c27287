//! A table as its judges see it: columns of numbers, where NaN is a gap, and columns of categories, where a gap is a level
//! of its own.
//!
//! Two tables are compared after [`align`]: the same columns in the same order, one list of levels a column, so that equal
//! codes mean equal cells.

use std::collections::BTreeMap;

/// The level of a category's gaps.
pub const GAP: &str = "";

/// The cells of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// NaN where there is a gap.
    Numbers(Vec<f64>),
    /// Each row's place in `levels`; a gap is the level [`GAP`].
    Categories {
        /// A place in `levels` for each row.
        codes: Vec<u32>,
        /// What the codes stand for.
        levels: Vec<String>,
    },
}

impl Column {
    /// The number of rows.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(values) => values.len(),
            Self::Categories { codes, .. } => codes.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its cells are numbers.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Numbers(_))
    }

    /// The cells of these rows, in this order.
    #[must_use]
    pub fn rows(&self, rows: &[usize]) -> Self {
        match self {
            Self::Numbers(values) => Self::Numbers(rows.iter().map(|&row| values[row]).collect()),
            Self::Categories { codes, levels } => Self::Categories {
                codes: rows.iter().map(|&row| codes[row]).collect(),
                levels: levels.clone(),
            },
        }
    }

    /// How many cells are gaps.
    pub fn gaps(&self) -> usize {
        match self {
            Self::Numbers(values) => values.iter().filter(|value| value.is_nan()).count(),
            Self::Categories { codes, levels } => match levels.iter().position(|level| level == GAP) {
                Some(gap) => codes.iter().filter(|code| **code as usize == gap).count(),
                None => 0,
            },
        }
    }
}

/// A table of typed columns of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Columns {
    names: Vec<String>,
    columns: Vec<Column>,
}

/// Why tables cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub struct TableError {
    /// What is wrong, and where.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl TableError {
    /// What is wrong and what to do.
    pub fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

impl Columns {
    /// A table of these columns.
    ///
    /// # Errors
    /// Where names and columns are not equally many, a name stands twice, lengths differ, a code has no level, or a number
    /// is infinite.
    pub fn new(names: Vec<String>, columns: Vec<Column>) -> Result<Self, TableError> {
        if names.len() != columns.len() {
            let what = format!("{} names for {} columns", names.len(), columns.len());
            return Err(TableError::new(what, "give one name a column"));
        }
        for (place, (name, column)) in names.iter().zip(&columns).enumerate() {
            let rows = columns[0].len();
            if names[..place].contains(name) {
                return Err(TableError::new(format!("two columns are called {name:?}"), "rename one"));
            }
            if column.len() != rows {
                let what = format!("column {name:?} has {} rows, the first {rows}", column.len());
                return Err(TableError::new(what, "give all columns as many rows"));
            }
            let wrong = match column {
                Column::Numbers(values) => values.iter().any(|value| value.is_infinite()),
                Column::Categories { codes, levels } => {
                    codes.iter().any(|code| *code as usize >= levels.len())
                }
            };
            if wrong {
                let what = format!("column {name:?} holds an infinite number or a code without a level");
                return Err(TableError::new(what, "mend the cell, or make it a gap"));
            }
        }
        Ok(Self { names, columns })
    }

    /// The names, in order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The columns, in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Names with their columns.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.names.iter().map(String::as_str).zip(&self.columns)
    }

    /// The number of columns.
    pub fn width(&self) -> usize {
        self.columns.len()
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    /// The place of a column.
    pub fn place(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }

    /// These rows, in this order.
    #[must_use]
    pub fn take(&self, rows: &[usize]) -> Self {
        let columns = self.columns.iter().map(|column| column.rows(rows)).collect();
        Self { names: self.names.clone(), columns }
    }

    /// All columns but one.
    #[must_use]
    pub fn without(&self, place: usize) -> Self {
        let mut other = self.clone();
        if place < other.columns.len() {
            other.names.remove(place);
            other.columns.remove(place);
        }
        other
    }

    /// The rows of two aligned tables, one below the other.
    #[must_use]
    pub fn stacked(&self, below: &Self) -> Self {
        let join = |(above, below): (&Column, &Column)| match (above, below) {
            (Column::Numbers(a), Column::Numbers(b)) => Column::Numbers([&a[..], &b[..]].concat()),
            (Column::Categories { codes: a, levels }, Column::Categories { codes: b, .. }) => {
                Column::Categories { codes: [&a[..], &b[..]].concat(), levels: levels.clone() }
            }
            (above, _) => above.clone(),
        };
        Self {
            names: self.names.clone(),
            columns: self.columns.iter().zip(&below.columns).map(join).collect(),
        }
    }
}

/// Tables of the same columns, brought to the order of the first and to one list of levels a column: those of the first,
/// then what others have beside them.
///
/// # Errors
/// Where a table lacks a column of the first, has one more, or holds numbers where the first has categories.
pub fn align(tables: &[(&str, &Columns)]) -> Result<Vec<Columns>, TableError> {
    let Some((first_name, first)) = tables.first() else { return Ok(Vec::new()) };
    let mut aligned: Vec<Columns> =
        tables.iter().map(|_| Columns { names: first.names.clone(), columns: Vec::new() }).collect();
    for (table_name, table) in tables {
        if let Some(more) = table.names.iter().find(|name| first.place(name).is_none()) {
            let what = format!("{table_name} has a column {more:?}, which {first_name} lacks");
            return Err(TableError::new(what, "remove it, or compare with a table that has it"));
        }
    }
    for (name, model) in first.iter() {
        let mut levels: Vec<String> = Vec::new();
        let mut places: BTreeMap<String, u32> = BTreeMap::new();
        for ((table_name, table), aligned) in tables.iter().zip(&mut aligned) {
            let Some(column) = table.place(name).map(|place| &table.columns[place]) else {
                let what = format!("{table_name} lacks column {name:?}, which {first_name} has");
                return Err(TableError::new(what, "add it, or remove it from the other"));
            };
            aligned.columns.push(match (model, column) {
                (Column::Numbers(_), Column::Numbers(values)) => Column::Numbers(values.clone()),
                (Column::Categories { .. }, Column::Categories { codes, levels: own }) => {
                    let place = |level: &String| {
                        *places.entry(level.clone()).or_insert_with(|| {
                            levels.push(level.clone());
                            levels.len() as u32 - 1
                        })
                    };
                    let map: Vec<u32> = own.iter().map(place).collect();
                    let codes = codes.iter().map(|code| map[*code as usize]).collect();
                    Column::Categories { codes, levels: Vec::new() }
                }
                (model, _) => {
                    let kinds = match model {
                        Column::Numbers(_) => ["numbers", "words"],
                        Column::Categories { .. } => ["categories", "numbers"],
                    };
                    let [kind, other] = kinds;
                    let what =
                        format!("column {name:?} holds {kind} in {first_name} and {other} in {table_name}");
                    return Err(TableError::new(what, "say what it holds, the same for both"));
                }
            });
        }
        for table in &mut aligned {
            if let Some(Column::Categories { levels: own, .. }) = table.columns.last_mut() {
                own.clone_from(&levels);
            }
        }
    }
    Ok(aligned)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Categories from words.
    pub fn words(cells: &[&str]) -> Column {
        let mut levels: Vec<String> = Vec::new();
        let code = |cell: &&str| match levels.iter().position(|level| level == cell) {
            Some(place) => place as u32,
            None => {
                levels.push((*cell).to_string());
                levels.len() as u32 - 1
            }
        };
        let codes = cells.iter().map(code).collect();
        Column::Categories { codes, levels }
    }

    /// A table of columns called a, b, c …
    pub fn table(columns: Vec<Column>) -> Columns {
        let names = (0..columns.len()).map(|place| char::from(b'a' + place as u8).to_string()).collect();
        Columns::new(names, columns).unwrap()
    }

    #[test]
    fn aligned_codes_mean_equal_cells() {
        let one = table(vec![words(&["x", "y", "x"]), Column::Numbers(vec![1.0, 2.0, 3.0])]);
        let other = Columns::new(
            vec!["b".into(), "a".into()],
            vec![Column::Numbers(vec![4.0, 5.0]), words(&["z", "y"])],
        );
        let both = align(&[("one", &one), ("other", &other.unwrap())]).unwrap();
        let Column::Categories { codes, levels } = &both[1].columns()[0] else { panic!() };
        assert_eq!((codes.as_slice(), levels.join(" ")), ([2, 1].as_slice(), "x y z".to_string()));
        assert_eq!(both[1].columns()[1], Column::Numbers(vec![4.0, 5.0]));
        assert_eq!(both[0].stacked(&both[1]).rows(), 5);
    }

    #[test]
    fn tables_of_other_columns_are_refused_with_the_column() {
        let one = table(vec![words(&["x"]), Column::Numbers(vec![1.0])]);
        let wrong = |other: &Columns| align(&[("real", &one), ("fake", other)]).unwrap_err().to_string();
        assert!(wrong(&table(vec![words(&["x"])])).contains("fake lacks column \"b\""));
        let more = table(vec![words(&["x"]), Column::Numbers(vec![1.0]), Column::Numbers(vec![1.0])]);
        assert!(wrong(&more).contains("\"c\", which real lacks"));
        let kinds = table(vec![Column::Numbers(vec![1.0]), Column::Numbers(vec![1.0])]);
        assert!(wrong(&kinds).contains("categories in real and numbers in fake"));
        assert!(Columns::new(vec!["a".into()], vec![Column::Numbers(vec![f64::INFINITY])]).is_err());
    }
}
