//! What `latent data inspect` tells about data.

use serde::{Deserialize, Serialize};

use super::constant::{Constant, some_of};
use super::settings::Binarize;
use super::table::constraint::{Look, suggestions};
use super::table::{Constraint, Suggestion};
use super::{Attribute, Data, DataError, DataSettings, SampleShape, Split, Table, ValueKind};
use crate::words::shown;

/// A data set in a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The path or name.
    pub source: String,
    /// `idx`, `npy`, `npz`, `csv` or `images`.
    pub format: String,
    /// The type of a number in the file.
    pub number: String,
    /// The shape of a sample.
    pub shape: SampleShape,
    /// Rows in train, validation and test.
    pub rows: [u64; 3],
    /// The columns of a table, in the user's units.
    pub columns: Vec<ColumnSummary>,
    /// Classes and how many rows each has, over all splits.
    pub classes: Vec<ClassCount>,
    /// What a model is told beside x.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub condition: Vec<Attribute>,
    /// The least and greatest value, in the user's units.
    pub range: [f64; 2],
    /// The mean over the training rows and all features, in the user's units.
    pub mean: f64,
    /// What the numbers are to a model.
    pub kind: ValueKind,
    /// Why they are taken for that, and how they become x, in words.
    pub reading: String,
    /// What holds in all rows and could be a constraint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suggestions: Vec<Suggestion>,
    /// What deserves a second look.
    pub warnings: Vec<String>,
    /// Well-known data sets that rows for training belong to.
    pub overlaps: Vec<String>,
    /// SHA-256 of contents and of the settings that change x.
    pub hash: String,
}

impl std::fmt::Display for Summary {
    /// Names come from files, so that each line is [shown].
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut line = |text: String| writeln!(f, "{}", shown(&text));
        let [train, validation, test] = self.rows;
        line(format!("source   {}", self.source))?;
        line(format!("format   {} of {}", self.format, self.number))?;
        line(format!("samples  {}", self.shape))?;
        line(format!("rows     {train} training, {validation} validation, {test} test"))?;
        if self.columns.is_empty() {
            line(format!("values   {} to {}, mean {}", self.range[0], self.range[1], short(self.mean)))?;
        }
        line(format!("reading  {}", self.reading))?;
        let width = self.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0);
        for (index, column) in self.columns.iter().enumerate() {
            if let Some(kind) = &column.kind {
                let head = if index == 0 { "columns" } else { "" };
                line(format!("{head:8} {:width$}  {kind}", column.name))?;
                continue;
            }
            let [least, most] = column.range;
            let head = if index == 0 { "columns" } else { "" };
            let whole = if column.whole { ", whole numbers" } else { "" };
            line(format!(
                "{head:8} {:width$}  {least} to {most}, mean {:.4}{whole}",
                column.name, column.mean
            ))?;
        }
        if !self.classes.is_empty() {
            let classes: Vec<String> =
                self.classes.iter().map(|c| format!("{} {}", c.name, c.rows)).collect();
            line(format!("classes  {}", classes.join(", ")))?;
        }
        if !self.condition.is_empty() {
            let told: Vec<String> = self.condition.iter().map(ToString::to_string).collect();
            line(format!("given    {}", told.join("; ")))?;
        }
        for (index, one) in self.suggestions.iter().enumerate() {
            let head = if index == 0 { "holds" } else { "" };
            line(format!("{head:8} {}  {}", one.constraint, one.evidence))?;
        }
        if !self.suggestions.is_empty() {
            let all: Vec<String> =
                self.suggestions.iter().map(|one| format!("{:?}", one.constraint)).collect();
            line(format!("         to keep them: --set 'data.constraints=[{}]'", all.join(", ")))?;
        }
        for warning in &self.warnings {
            line(format!("warning  {warning}"))?;
        }
        write!(f, "hash     {}", self.hash)
    }
}

/// Five significant digits.
fn short(value: f64) -> f64 {
    format!("{value:.4e}").parse().unwrap_or(value)
}

/// A column of a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnSummary {
    /// The name.
    pub name: String,
    /// The least and greatest value.
    pub range: [f64; 2],
    /// The mean over the training rows.
    pub mean: f64,
    /// Whether all values are whole numbers.
    pub whole: bool,
    /// What the column of a mixed table is, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The share of cells that are empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty: Option<f64>,
}

/// A class and its rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The name.
    pub name: String,
    /// How many rows have it.
    pub rows: u64,
}

/// The columns of a mixed table, those that are no part of x too.
fn mixed(table: &Table, spans: &[(f64, f64)]) -> Vec<ColumnSummary> {
    let mut spans = spans.iter();
    let summary = |column: &super::table::Column| {
        let span = if column.is_modelled() { spans.next() } else { None };
        let gaps: Vec<String> = column.gaps.iter().map(|(word, _)| format!("{word:?}")).collect();
        let empty = match column.gap_share {
            0.0 => String::new(),
            share => format!("; {:.3} % empty ({})", 100.0 * share, gaps.join(", ")),
        };
        let levels = match &column.scale {
            Some(scale) if column.is_ordered() => format!("; {} levels", scale.levels()),
            _ => String::new(),
        };
        ColumnSummary {
            name: column.name.clone(),
            range: span.map_or([0.0; 2], |(least, most)| [*least, *most]),
            mean: 0.0,
            whole: false,
            kind: Some(format!("{}: {}{levels}{empty}", column.kind.name(), column.why)),
            empty: Some(column.gap_share),
        }
    };
    table.columns.iter().map(summary).collect()
}

impl Data {
    /// A page about the data; `settings` are those that it was opened with.
    pub fn summary(&self, settings: &DataSettings) -> Summary {
        let (facts, audit) = (self.facts(), self.audit());
        let mut classes: Vec<ClassCount> =
            facts.classes.iter().map(|name| ClassCount { name: name.clone(), rows: 0 }).collect();
        for label in Split::ALL.into_iter().flat_map(|split| self.known_labels(split)).flatten() {
            if let Some(class) = classes.get_mut(label as usize) {
                class.rows += 1;
            }
        }
        // The mean in the user's units; of bits, in theirs.
        let means: Vec<f64> = facts
            .mean
            .iter()
            .enumerate()
            .map(|(index, mean)| {
                let (offset, scale) = facts.normalisation.of(index);
                match settings.binarize {
                    Binarize::None => f64::from(*mean) * scale + offset,
                    _ => f64::from(*mean),
                }
            })
            .collect();
        let names = self.sources[0].rows.columns().iter().enumerate().zip(&audit.spans);
        let columns = names
            .map(|((place, name), span)| {
                // The place in x; a constant column has none.
                let index = match &self.kept {
                    Some(kept) => kept.iter().position(|at| *at == place),
                    None => Some(place),
                };
                let constant = facts.constant.iter().find(|constant| constant.column == place);
                let constant = constant.map_or(span.0, |constant| constant.value);
                ColumnSummary {
                    name: name.clone(),
                    range: [span.0, span.1],
                    mean: index.map_or(constant, |index| means[index]),
                    kind: None,
                    empty: None,
                    whole: index
                        .map_or(constant.fract() == 0.0, |at| facts.normalisation.whole.contains(&at)),
                }
            })
            .collect();
        let columns = match &facts.table {
            Some(table) => mixed(table, &audit.spans),
            None => columns,
        };
        Summary {
            source: facts.source.clone(),
            format: audit.format.into(),
            number: audit.number.into(),
            shape: facts.shape,
            rows: facts.rows,
            columns,
            classes,
            condition: facts.condition.clone(),
            range: [audit.range.0, audit.range.1],
            mean: means.iter().sum::<f64>() / means.len() as f64,
            kind: facts.kind,
            reading: self.reading(settings),
            suggestions: Vec::new(),
            warnings: self.warnings(),
            overlaps: facts.overlaps.clone(),
            hash: facts.hash.clone(),
        }
    }

    /// What holds in all rows of a table with names, and is no constraint yet; `settings` are those that it was opened with.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn suggestions(&self, settings: &DataSettings) -> Result<Vec<Suggestion>, DataError> {
        let rows = &self.sources[0].rows;
        let looks = match &self.facts.table {
            Some(table) => Look::of_table(table),
            None if self.facts.shape.is_image() => return Ok(Vec::new()),
            None => Look::of_numbers(rows.columns()),
        };
        if looks.is_empty() {
            return Ok(Vec::new());
        }
        let broken = rows.broken();
        let kept: Vec<u64> =
            (0..rows.rows()).filter(|row| !broken.get(*row as usize).is_some_and(|is| *is)).collect();
        let mut read = |at: u64, values: &mut [f64]| rows.read(kept[at as usize], values);
        let mut found = suggestions(&looks, kept.len() as u64, &mut read)?;
        let parsed = |text: &String| Constraint::parse(text).unwrap_or_default();
        let declared: Vec<Constraint> = settings.constraints.iter().flat_map(parsed).collect();
        found.retain(|one| !parsed(&one.constraint).iter().all(|one| declared.contains(one)));
        Ok(found)
    }

    /// That held-out rows are equal to training rows, and what to do about it; none where none are. Said by whoever splits the
    /// data, not each time that it is opened.
    pub fn leaked(&self) -> Option<String> {
        let leaked = self.audit().leaked.filter(|count| *count > 0)?;
        let remedy = match self.facts().shape.is_image() {
            true => "remove one of each from the files",
            false => {
                "remove one of each from the files, or keep equal rows in one split by a column (data.group)"
            }
        };
        let all = self.audit().duplicates.unwrap_or(leaked);
        Some(format!(
            "{leaked} validation or test rows are equal to a training row, so that they test memory too ({all} of all rows repeat \
             an earlier one): {remedy}"
        ))
    }

    fn reading(&self, settings: &DataSettings) -> String {
        let facts = self.facts();
        let kind = match facts.kind {
            ValueKind::Binary if settings.binarize != Binarize::None => {
                format!("bits, by data.binarize = {:?}", format!("{:?}", settings.binarize).to_lowercase())
            }
            ValueKind::Binary => "bits: every value is 0 or 1".into(),
            ValueKind::Grey => "grey levels".into(),
            ValueKind::Colour => "colours".into(),
            ValueKind::Mixed => {
                return "columns of several kinds; x says which of a column's levels a cell has".into();
            }
            ValueKind::Real => "real numbers".into(),
        };
        let (offset, scale) = (&facts.normalisation.offset, &facts.normalisation.scale);
        let how = match (&offset[..], &scale[..]) {
            ([0.0], [1.0]) => "x is the value".into(),
            ([0.0], [scale]) => format!("x = value / {}", short(*scale)),
            ([offset], [scale]) => format!("x = (value − {}) / {}", short(*offset), short(*scale)),
            _ => "x = (value − offset) / scale, a column each".into(),
        };
        format!("{kind}; {how}")
    }

    fn warnings(&self) -> Vec<String> {
        let (facts, audit) = (self.facts(), self.audit());
        let mut warnings = Vec::new();
        let rows: u64 = facts.rows.iter().sum();
        if facts.rows[0] < 500 {
            warnings.push(format!(
                "{} training rows are few: expect the model to learn them by heart",
                facts.rows[0]
            ));
        }
        if !audit.skipped.is_empty() {
            warnings.push(format!(
                "{} files can't be decoded, the first: {}",
                audit.skipped.len(),
                audit.skipped[0]
            ));
        }
        match (self.leaked(), audit.duplicates) {
            (Some(leaked), _) => warnings.push(leaked),
            (None, Some(duplicates)) if duplicates > 0 => {
                warnings.push(format!("{duplicates} of {rows} rows repeat an earlier one"));
            }
            _ => {}
        }
        if !audit.constant.is_empty() {
            let names = audit.constant.iter().take(5).map(|&index| match facts.columns.get(index) {
                Some(name) => name.clone(),
                None => index.to_string(),
            });
            let names = names.collect::<Vec<_>>().join(", ");
            let more = if audit.constant.len() > 5 { " …" } else { "" };
            warnings.push(format!("{} features never change: {names}{more}", audit.constant.len()));
        }
        if !facts.constant.is_empty() {
            let names = some_of(facts.constant.iter().map(Constant::called));
            warnings.push(format!("one value in all training rows, so no part of the model: {names}"));
        }
        for attribute in &facts.condition {
            if let Attribute::Number { name, range: [least, most], .. } = attribute
                && least == most
            {
                warnings
                    .push(format!("{name} is {least} in every training row: telling the model says nothing"));
            }
        }
        if !facts.overlaps.is_empty() {
            warnings.push(format!(
                "training rows belong to {0}: a model trained on them must not be judged on {0}",
                facts.overlaps.join(", ")
            ));
        }
        warnings
    }
}
