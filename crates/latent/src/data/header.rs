//! Whether a table's first line names its columns or is a row already.
//!
//! It is a name that stands in no column of numbers: where a cell of the first line is text and all below it are
//! numbers, the line is a header. Where that nowhere is so, it is a row if most of its cells are numbers, or one of its
//! texts comes again further down in its column.

use ::csv::StringRecord;

use super::settings::Header;

/// Rows that are looked at.
pub(super) const LOOKED_AT: usize = 200;

/// Whether `first` is a row, judged by the `rows` that follow.
pub(super) fn is_row(first: &StringRecord, rows: &[StringRecord], asked: Header) -> bool {
    match asked {
        Header::FirstLine => return false,
        Header::None => return true,
        Header::Auto => {}
    }
    let below =
        |column: usize| rows.iter().filter_map(move |row| row.get(column)).filter(|cell| !is_missing(cell));
    let names_numbers = |column: usize, cell: &str| {
        !is_number(cell)
            && !is_missing(cell)
            && below(column).next().is_some()
            && below(column).all(is_number)
    };
    if first.iter().enumerate().any(|(column, cell)| names_numbers(column, cell)) {
        return false;
    }
    let numbers = first.iter().filter(|cell| is_number(cell)).count();
    let comes_again = |column: usize, cell: &str| {
        !is_missing(cell) && !is_number(cell) && below(column).any(|other| other == cell)
    };
    numbers * 2 > first.len() || first.iter().enumerate().any(|(column, cell)| comes_again(column, cell))
}

/// Names for the columns of a table without.
pub(super) fn made_up(columns: usize) -> Vec<String> {
    (1..=columns).map(|number| format!("column-{number}")).collect()
}

/// Whether a cell says that its value is missing.
pub(super) fn is_missing(cell: &str) -> bool {
    matches!(cell, "" | "NA" | "N/A" | "null" | "?" | "-")
}

fn is_number(cell: &str) -> bool {
    cell.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(text: &str) -> bool {
        let lines: Vec<StringRecord> = text.lines().map(|line| line.split(',').collect()).collect();
        is_row(&lines[0], &lines[1..], Header::Auto)
    }

    #[test]
    fn names_and_rows_are_told_apart() {
        for (text, row) in [
            ("a,b\n1,2\n3,4", false),
            ("5.1,3.5,1.4,setosa\n4.9,3.0,1.4,setosa", true),
            ("1,2\n3,4", true),
            ("M,2,3\nF,3,4\nM,1,1", true),
            // Years name columns of numbers; half of the line is text that never comes again.
            ("region,2019\nnorth,3\nsouth,4", false),
            ("region,kind,2019\nnorth,a,3\nsouth,b,4", false),
            // Most cells are text, and one comes again: a row of the census.
            ("39,State-gov,Bachelors,Male\n50,Private,Bachelors,Male\n38,Private,HS-grad,Male", true),
            // One name of a column of numbers is enough.
            ("age,State-gov,Bachelors,Male\n50,Private,Bachelors,Male\n38,Private,HS-grad,Male", false),
            ("a,b", false),
            ("1,2", true),
            // What is missing is no name.
            ("NA,2,3\n1,2,3", true),
            ("a,b\n?,2\n3,", false),
        ] {
            assert_eq!(judged(text), row, "{text}");
            let lines: Vec<StringRecord> = text.lines().map(|line| line.split(',').collect()).collect();
            assert!(!is_row(&lines[0], &lines[1..], Header::FirstLine));
            assert!(is_row(&lines[0], &lines[1..], Header::None));
        }
        assert_eq!(made_up(2), ["column-1", "column-2"]);
    }
}
