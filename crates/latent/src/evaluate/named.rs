//! What the category of a code that labels have taught says of held-out rows, on the page of the report: how often it is the row's
//! class, which classes it takes for which, and what it draws where everything else stays.

use super::report::{About, Book};
use crate::array::Array;
use crate::data::{Rows, Split};
use crate::error::Result;
use crate::figure::{GridLabels, Section, Table, sample_grid};
use crate::generate::some_rows;
use crate::objective::{LabelSettings, Meaning};
use crate::proportion::proportion;

/// Rows that it is judged on.
const ROWS: usize = 2000;

/// Codes that are drawn with each class.
const CODES: usize = 6;

/// Classes with a column each, at most.
const MOST_CLASSES: usize = 12;

/// A section for each category that has a name; nothing for other codes.
pub(super) fn named(book: &mut Book, about: &About<'_>) -> Result<()> {
    let About { model, data, run, key, .. } = *about;
    for meaning in LabelSettings::taught(&run.objective, &model.facts, &model.functions.latent) {
        let Meaning::Category { column, classes } = meaning else { continue };
        let rows = some_rows(data, Split::Validation, ROWS, key)?;
        let names: Vec<String> =
            classes.iter().map(|class| model.facts.classes[*class as usize].clone()).collect();
        let mut section = Section::new(format!("What z{} says", column + 1));
        if rows.labels.len() == rows.len() && !rows.is_empty() {
            let codes = model.encode(&rows)?.mean;
            section = section.paragraph(agreement(&codes, column, &rows, &classes));
            if names.len() <= MOST_CLASSES {
                section = section.table(confusions(&codes, column, &rows, &classes, &names));
            }
        }
        let is_told = !model.facts.condition.is_empty();
        if model.facts.shape.is_image() && !is_told && names.len() <= MOST_CLASSES {
            let own = model.prior_codes(CODES, key.fold("named"))?;
            let mut values = Vec::with_capacity(own.values.len() * names.len());
            for code in 0..own.rows() {
                for index in 0..names.len() {
                    let mut code = own.row(code).to_vec();
                    code[column] = index as f32;
                    values.extend(code);
                }
            }
            let samples = model.decode(&Array::matrix(values, own.width()))?.pictures()?;
            let labels = GridLabels {
                title: "A code of the prior with each class".into(),
                columns: Some(names.len()),
                column_labels: names.clone(),
                ..GridLabels::default()
            };
            let figure = sample_grid(&samples.images()?, &labels)?;
            book.save("classes", &figure)?;
            section = section.figure(
                figure,
                "Each row is one draw of the prior: its numbers stay, its class is that of the column.",
                "Images, a row a code and a column a class",
            );
        }
        book.section(section);
    }
    Ok(())
}

/// How often the category is the class.
fn agreement(codes: &Array, column: usize, rows: &Rows, classes: &[u32]) -> String {
    let named: Vec<usize> = (0..rows.len()).filter(|row| classes.contains(&rows.labels[*row])).collect();
    let is_right = |row: &&usize| classes.get(codes.row(**row)[column] as usize) == Some(&rows.labels[**row]);
    let share = proportion(named.iter().filter(is_right).count(), named.len());
    format!(
        "Labels of training rows have taught z{} the class. On {} validation rows, whose labels were not seen, it is the row's own in \
         {:.1} % [{:.1}, {:.1}].",
        column + 1,
        named.len(),
        100.0 * share.value,
        100.0 * share.low,
        100.0 * share.high
    )
}

/// A row a class: how often the category is each of them.
fn confusions(codes: &Array, column: usize, rows: &Rows, classes: &[u32], names: &[String]) -> Table {
    let mut header = vec!["class".to_string(), "rows".into()];
    header.extend(names.iter().map(|name| format!("said {name}, %")));
    let line = |(class, name): (&u32, &String)| {
        let own: Vec<usize> = (0..rows.len()).filter(|row| rows.labels[*row] == *class).collect();
        let share = |index: usize| {
            let said = own.iter().filter(|row| codes.row(**row)[column] as usize == index).count();
            format!("{:.0}", 100.0 * said as f64 / own.len().max(1) as f64)
        };
        let mut line = vec![name.clone(), own.len().to_string()];
        line.extend((0..names.len()).map(share));
        line
    };
    let caption = format!("On {} validation rows.", rows.len());
    Table { caption, header, rows: classes.iter().zip(names).map(line).collect() }
}
