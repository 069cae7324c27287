//! What is told of images beside them: a table whose first column names their files, or the files' own names.
//!
//! ```text
//! data.attributes = "attributes.csv"      file,age,smile        data.pattern = "{label}_{age}_*"
//!                                         0001.png,31,yes       Dress_40_0017.png → label Dress, age 40
//! ```
//!
//! An attribute whose known values are all numbers is a number, any other is a class. An empty cell is unknown.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::classes::{listed, nearest};
use super::condition::{Attribute, LABEL, is_label};
use super::csv::{check_header, first_line, next};
use super::dataset::Labels;
use super::header::is_missing;
use super::open::text_of;
use super::{DataError, DataSettings, Facts};

/// What is told of the images of a folder, in their order.
#[derive(Default)]
pub(crate) struct Attributes {
    /// The names of all that there are.
    pub names: Vec<String>,
    /// The class, where `data.label` names one.
    pub labels: Option<Labels>,
    /// Attributes that are numbers; NaN where unknown.
    pub numbers: Vec<(String, Vec<f64>)>,
    /// Attributes that are words.
    pub words: Vec<(String, Labels)>,
}

/// Columns of words, in the order of the files.
struct Columns {
    /// Where they come from: the table, or the folder.
    path: PathBuf,
    names: Vec<String>,
    columns: Vec<Vec<String>>,
}

/// Reads what `settings` say of the images `files` in `root`. For a trained model `like`, other images may lack the table.
pub(crate) fn of(
    root: &Path,
    files: &[PathBuf],
    settings: &DataSettings,
    like: Option<&Facts>,
) -> Result<Attributes, DataError> {
    let found = match (&settings.attributes, &settings.pattern) {
        (Some(_), Some(_)) => {
            let what = "data.attributes tells the images' attributes too";
            return Err(DataError::setting("pattern", what, "leave one of them out"));
        }
        (Some(table), None) => {
            let path = [root.join(table), root.parent().unwrap_or(root).join(table)];
            match path.into_iter().find(|path| path.is_file()) {
                Some(path) => from_table(root, &path, files)?,
                None if like.is_some() => return Ok(Attributes::default()),
                None => {
                    let what = format!("there is no file {table:?} in {} or beside it", root.display());
                    return Err(DataError::setting(
                        "attributes",
                        what,
                        "give its path from the folder of images",
                    ));
                }
            }
        }
        (None, Some(pattern)) => from_names(root, pattern, files, like.is_some())?,
        (None, None) => return Ok(Attributes::default()),
    };
    let Some(found) = found else { return Ok(Attributes::default()) };
    found.told(settings, like)
}

impl Columns {
    /// The columns that the model is told.
    fn told(self, settings: &DataSettings, like: Option<&Facts>) -> Result<Attributes, DataError> {
        let mut said = Attributes { names: self.names.clone(), ..Attributes::default() };
        let label = settings.label.as_deref().unwrap_or(LABEL);
        match self.column(label) {
            Some(words) => {
                self.check_known(label, words, settings)?;
                let labels = Labels::from_names(words);
                said.labels =
                    Some(labels.map_err(|what| DataError::setting("label", what, "name another attribute"))?);
            }
            None if settings.label.is_some() && like.is_none() => return Err(self.unknown("label", label)),
            None => {}
        }
        let wanted: Vec<(&String, Option<bool>)> = match like {
            Some(facts) => facts
                .condition
                .iter()
                .filter_map(|attribute| match attribute {
                    Attribute::Number { name, .. } => Some((name, Some(true))),
                    Attribute::Class { name, .. } if is_label(settings, name) => None,
                    Attribute::Class { name, .. } => Some((name, Some(false))),
                })
                .collect(),
            None => {
                let others = settings.condition.iter().filter(|name| !is_label(settings, name));
                others.map(|name| (name, None)).collect()
            }
        };
        for (name, is_number) in wanted {
            let Some(words) = self.column(name) else {
                if like.is_some() {
                    continue;
                }
                return Err(self.unknown("condition", name));
            };
            self.check_known(name, words, settings)?;
            let number = |word: &String| match is_missing(word) {
                true => Some(f64::NAN),
                false => word.parse().ok().filter(|value: &f64| value.is_finite()),
            };
            let numbers: Option<Vec<f64>> = words.iter().map(number).collect();
            match (is_number, numbers) {
                (None | Some(true), Some(numbers)) => said.numbers.push((name.clone(), numbers)),
                (Some(true), None) => {
                    let word = words.iter().find(|word| number(word).is_none()).cloned().unwrap_or_default();
                    let what = format!("{name:?} is {word:?}, and the model is told a number");
                    return Err(DataError::mismatch(
                        &self.path,
                        what,
                        "give numbers, or leave the cell empty",
                    ));
                }
                (None | Some(false), _) => {
                    let labels = Labels::from_names(words);
                    let labels = labels
                        .map_err(|what| DataError::setting("condition", what, "name another attribute"))?;
                    said.words.push((name.clone(), labels));
                }
            }
        }
        Ok(said)
    }

    fn column(&self, name: &str) -> Option<&[String]> {
        let at = self.names.iter().position(|own| own == name)?;
        Some(&self.columns[at])
    }

    fn unknown(&self, key: &'static str, name: &str) -> DataError {
        let what = format!("{} has no attribute {name:?}{}", self.path.display(), nearest(name, &self.names));
        DataError::setting(key, what, format!("it has {}", listed(&self.names)))
    }

    /// Refuses unknown values of what the model is told where it is not to learn what that means.
    fn check_known(&self, name: &str, words: &[String], settings: &DataSettings) -> Result<(), DataError> {
        let unknown = words.iter().filter(|word| is_missing(word)).count();
        if unknown == 0 || settings.condition_dropout.is_some() {
            return Ok(());
        }
        let what = format!("{name:?} is unknown of {unknown} of {} images", words.len());
        let remedy =
            "fill it in, or set data.condition = [\"…\"] and data.condition_dropout = 0.1 to learn around it";
        Err(DataError::malformed(&self.path, what, remedy))
    }
}

/// The columns of a table whose first names the files.
fn from_table(root: &Path, path: &Path, files: &[PathBuf]) -> Result<Option<Columns>, DataError> {
    let mut source = text_of(path)?;
    let (start, delimiter) = first_line(&mut source).map_err(|error| DataError::io(path, error))?;
    let mut reader = ReaderBuilder::new()
        .delimiter(delimiter)
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .from_reader(std::io::Read::chain(start.as_slice(), source));
    let mut record = StringRecord::new();
    if !next(path, &mut reader, &mut record)? || record.len() < 2 {
        let remedy = "begin with a line of names, such as file,label,age";
        return Err(DataError::malformed(path, "there is no column beside the one of file names", remedy));
    }
    let header: Vec<String> = record.iter().map(|name| name.trim_start_matches('\u{feff}').into()).collect();
    check_header(path, &header)?;
    // A file is named by its path within the folder, or by its name alone where only one has it.
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (row, file) in files.iter().enumerate() {
        let within = file.strip_prefix(root).unwrap_or(file);
        let within = within.to_string_lossy().replace('\\', "/");
        let alone = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if alone != within {
            by_name.entry(alone).or_default().push(row);
        }
        by_name.entry(within).or_default().push(row);
    }
    let mut columns = vec![vec![String::new(); files.len()]; header.len() - 1];
    let mut lines: Vec<u64> = vec![0; files.len()];
    while next(path, &mut reader, &mut record)? {
        let line = record.position().map_or(1, csv::Position::line);
        let wrong = |column: &str, what: String, remedy: &str| DataError::Cell {
            path: path.into(),
            line,
            column: column.into(),
            what,
            remedy: remedy.into(),
        };
        if record.len() == 1 && record[0].is_empty() {
            continue;
        }
        if record.len() != header.len() {
            let what = format!("the line has {} cells, the header {}", record.len(), header.len());
            return Err(wrong(&header[0], what, "give every line as many cells as the header"));
        }
        let row = match by_name.get(&record[0]).map(Vec::as_slice) {
            Some([row]) => *row,
            Some(_) => {
                let what = format!("several images are named {:?}", &record[0]);
                return Err(wrong(&header[0], what, "give the path from the folder, such as young/0001.png"));
            }
            None => {
                let what = format!("there is no image {:?} in {}", &record[0], root.display());
                return Err(wrong(&header[0], what, "name a file of the folder, or remove the line"));
            }
        };
        if lines[row] != 0 {
            let what = format!("{:?} has a line already, line {}", &record[0], lines[row]);
            return Err(wrong(&header[0], what, "keep one of them"));
        }
        lines[row] = line;
        for (column, word) in columns.iter_mut().zip(record.iter().skip(1)) {
            column[row] = if is_missing(word) { String::new() } else { word.to_string() };
        }
    }
    let without: Vec<&PathBuf> =
        files.iter().zip(&lines).filter(|(_, line)| **line == 0).map(|(f, _)| f).collect();
    if let Some(first) = without.first() {
        let what = format!(
            "{} of {} images have no line, the first {}",
            without.len(),
            files.len(),
            first.display()
        );
        let remedy = "add a line for each, with empty cells where nothing is known, or take the images out";
        return Err(DataError::malformed(path, what, remedy));
    }
    Ok(Some(Columns { path: path.into(), names: header[1..].to_vec(), columns }))
}

/// A part of a pattern.
#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Name(String),
    Any,
}

/// `{label}_{age}_*` in its parts.
fn parts(pattern: &str) -> Result<Vec<Part>, DataError> {
    let wrong = |what: String, remedy: &str| DataError::setting("pattern", what, remedy);
    let (mut parts, mut rest) = (Vec::new(), pattern);
    while let Some(first) = rest.chars().next() {
        let (part, length) = match first {
            '{' => {
                let end = rest.find('}').ok_or_else(|| {
                    wrong(format!("{pattern:?} opens a brace and doesn't close it"), "write {name}")
                })?;
                let name = rest[1..end].trim().to_string();
                if name.is_empty() || parts.contains(&Part::Name(name.clone())) {
                    let what = format!("{pattern:?} has a name twice, or an empty one");
                    return Err(wrong(what, "give each part a name of its own, such as {label}_{age}_*"));
                }
                (Part::Name(name), end + 1)
            }
            '*' => (Part::Any, 1),
            _ => {
                let end = rest.find(['{', '*']).unwrap_or(rest.len());
                (Part::Text(rest[..end].into()), end)
            }
        };
        if let (Some(Part::Name(_) | Part::Any), Part::Name(_) | Part::Any) = (parts.last(), &part) {
            let what =
                format!("{pattern:?} has two parts with nothing between, so it is ambiguous where one ends");
            return Err(wrong(what, "put what parts them in between, such as {label}_{age}"));
        }
        parts.push(part);
        rest = &rest[length..];
    }
    if !parts.iter().any(|part| matches!(part, Part::Name(_))) {
        return Err(wrong(format!("{pattern:?} names nothing"), "name a part, such as {label}_*"));
    }
    Ok(parts)
}

/// All ways, up to two, in which `text` is `parts[at..]`: the values of the names in their order. A named part holds none
/// of the text beside it in the pattern.
fn matches<'a>(
    parts: &[Part],
    at: usize,
    text: &'a str,
    so_far: &mut Vec<&'a str>,
    found: &mut Vec<Vec<&'a str>>,
) {
    let Some(part) = parts.get(at) else {
        if text.is_empty() && !found.contains(so_far) {
            found.push(so_far.clone());
        }
        return;
    };
    if let Part::Text(wanted) = part {
        if let Some(after) = text.strip_prefix(wanted.as_str()) {
            matches(parts, at + 1, after, so_far, found);
        }
        return;
    }
    let beside = |index: Option<usize>| match index.and_then(|index| parts.get(index)) {
        Some(Part::Text(text)) => Some(text.as_str()),
        _ => None,
    };
    let (before, after) = (beside(at.checked_sub(1)), beside(Some(at + 1)));
    let is_name = matches!(part, Part::Name(_));
    for end in text.char_indices().map(|(end, _)| end).chain([text.len()]).skip(usize::from(is_name)) {
        let (own, rest) = text.split_at(end);
        if is_name && [before, after].into_iter().flatten().any(|beside| own.contains(beside)) {
            return;
        }
        if found.len() > 1 || after.is_some_and(|after| !rest.starts_with(after)) {
            continue;
        }
        if is_name {
            so_far.push(own);
        }
        matches(parts, at + 1, rest, so_far, found);
        if is_name {
            so_far.pop();
        }
    }
}

/// The attributes in the names of files, without their endings; other images for a model may have other names.
fn from_names(
    root: &Path,
    pattern: &str,
    files: &[PathBuf],
    is_other: bool,
) -> Result<Option<Columns>, DataError> {
    let parts = parts(pattern)?;
    let name = |part: &Part| match part {
        Part::Name(name) => Some(name.clone()),
        _ => None,
    };
    let names: Vec<String> = parts.iter().filter_map(name).collect();
    let mut columns = vec![Vec::with_capacity(files.len()); names.len()];
    for file in files {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        let mut found = Vec::new();
        matches(&parts, 0, &stem, &mut Vec::new(), &mut found);
        let values = match &found[..] {
            [values] => values,
            [] if is_other => return Ok(None),
            [] => {
                let what = format!("{} is not named like {pattern:?}", file.display());
                return Err(DataError::setting(
                    "pattern",
                    what,
                    "rename it, or write * for what may be anything; a part holds no text that parts it from others",
                ));
            }
            [one, other, ..] => {
                let what = format!(
                    "{} is named like {pattern:?} in several ways: {}, or {}",
                    file.display(),
                    said(&names, one),
                    said(&names, other)
                );
                let remedy = "write more of the name into the pattern, so that there is one way to read it";
                return Err(DataError::setting("pattern", what, remedy));
            }
        };
        for (column, value) in columns.iter_mut().zip(values) {
            column.push(if is_missing(value) { String::new() } else { value.to_string() });
        }
    }
    Ok(Some(Columns { path: root.into(), names, columns }))
}

/// `label Dress, age 40`
fn said(names: &[String], values: &[&str]) -> String {
    let each = names.iter().zip(values).map(|(name, value)| format!("{name} {value}"));
    each.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pattern: &str, text: &str) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        matches(&parts(pattern).unwrap(), 0, text, &mut Vec::new(), &mut found);
        found.into_iter().map(|values| values.into_iter().map(String::from).collect()).collect()
    }

    #[test]
    fn names_are_read_in_the_one_way_or_not_at_all() {
        assert_eq!(read("{label}_{age}", "Dress_40"), [["Dress", "40"]]);
        assert_eq!(read("{label}-x*", "Dress-x17"), [["Dress"]]);
        assert!(read("{label}_{age}", "Dress").is_empty() && read("{label}_{age}", "_40").is_empty());
        assert_eq!(read("{label}_{age}_*", "Dress_40_17_b"), [["Dress", "40"]]);
        // A label with the separator in it could be cut elsewhere too.
        assert!(read("{label}_{age}", "Ankle_boot_40").is_empty());
        assert_eq!(read("*_{label}", "a_b_Dress"), [["Dress"]]);
        assert_eq!(read("*_{label}_*", "a_b_c_d"), [["b"], ["c"]]);
        for (pattern, expected) in
            [("{a}{b}", "ambiguous"), ("{a", "close"), ("{a}_{a}", "twice"), ("x*", "names nothing")]
        {
            let error = parts(pattern).unwrap_err().to_string();
            assert!(error.starts_with("data.pattern") && error.contains(expected), "{error}");
        }
    }
}
