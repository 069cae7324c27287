//! Some classes of a data set alone: which rows `data.classes` keeps.

use super::DataError;
use super::dataset::{Dataset, Labels};
use super::known;
use super::settings::Class;

/// The classes that are kept.
pub(crate) struct Chosen {
    /// Their names in the order of the data; none where all are kept.
    pub names: Option<Vec<String>>,
}

impl Chosen {
    /// Finds the classes asked for among those of `rows`.
    pub(crate) fn of(rows: &dyn Dataset, fashion: bool, wanted: &[Class]) -> Result<Self, DataError> {
        if wanted.is_empty() {
            return Ok(Self { names: None });
        }
        let known = class_names(labels(rows)?, fashion);
        let mut kept = vec![false; known.len()];
        for class in wanted {
            kept[place(class, &known)?] = true;
        }
        let names = known.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(name, _)| name);
        Ok(Self { names: Some(names.collect()) })
    }

    /// Whether each row belongs to a class that is kept.
    pub(crate) fn rows(&self, rows: &dyn Dataset, fashion: bool) -> Result<Vec<bool>, DataError> {
        let Some(names) = &self.names else { return Ok(vec![true; rows.rows() as usize]) };
        let labels = labels(rows)?;
        let kept: Vec<bool> = class_names(labels, fashion).iter().map(|name| names.contains(name)).collect();
        Ok(labels.of.iter().map(|&label| kept.get(label as usize).copied().unwrap_or(false)).collect())
    }
}

fn labels(rows: &dyn Dataset) -> Result<&Labels, DataError> {
    rows.labels().ok_or_else(|| {
        DataError::setting(
            "classes",
            format!("the rows of {} have no labels to choose by", rows.path().display()),
            "leave data.classes out, or give data with labels (for a table: data.label)",
        )
    })
}

/// The names of classes, as facts have them.
pub(crate) fn class_names(labels: &Labels, fashion: bool) -> Vec<String> {
    let mut names = labels.classes.clone();
    if fashion {
        known::fashion_class_names(&mut names);
    }
    names
}

/// Where a class stands among the known ones.
fn place(class: &Class, known: &[String]) -> Result<usize, DataError> {
    find(class, known).map_err(|(what, remedy)| DataError::setting("classes", what, remedy))
}

/// Where a class stands among the known ones; else what is wrong and what to do.
pub(crate) fn find(class: &Class, known: &[String]) -> Result<usize, (String, String)> {
    let (asked, found) = match class {
        Class::Name(name) => (name.clone(), known.iter().position(|known| known == name)),
        Class::Number(number) => {
            let named = known.iter().position(|known| *known == number.to_string());
            let place = Some(*number as usize).filter(|place| *place < known.len());
            (number.to_string(), named.or(place))
        }
    };
    found.ok_or_else(|| {
        let what = format!("there is no class {asked:?}{}", nearest(&asked, known));
        (what, format!("the classes are {}", listed(known)))
    })
}

/// ` (did you mean "Trouser"?)`, where a known name is much like the one asked for; else nothing.
pub(crate) fn nearest(asked: &str, known: &[String]) -> String {
    known
        .iter()
        .map(|known| (strsim::jaro_winkler(&asked.to_lowercase(), &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map_or(String::new(), |(_, name)| format!(" (did you mean {name:?}?)"))
}

/// The names in quotes, the first of them where they are many.
pub(crate) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name:?}")).collect();
    let more = if names.len() > SHOWN { format!(" and {} more", names.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}
