//! `latent score`: how likely is each row? For anomalies, and for comparing models on one base measure.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::Registry;
use latent::data::{Column, Split, StoredType, write_csv, write_npy};
use latent::evaluate::Overlap;
use latent::evaluate::anomaly::p_values;
use latent::evaluate::likelihood::Units;
use latent::figure::{GridLabels, image_sheet};
use latent::generate::Samples;
use latent::generate::columns::without_gaps;
use latent::generate::sampler::FittedSampler;
use serde_json::json;

use super::{Chosen, own_data, trained_on};
use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent score runs/one --k 20 --out scores.csv
  latent score runs/one --k 20 --out scores.npy --sheet unlikely.png
  latent score runs/told --k 20 --condition label=Dress --out as-dresses.csv

Columns:
  log_p_lower  a lower bound of log p(x) in nats, by k importance samples; of
               real numbers a density, in the units of the data's files
  k            how many
  se           the standard error of log_p_lower
  ess          how many of the k samples count
  p_value      the share of other validation rows as unlikely or more
  file, label  what the row is called, where it has a name: its file, or its
               identifier under that column's own name, and its class
  because      of a table: the cells that surprise most given the rest of their
               row, each with log p(cell | others) in nats
A model of p(x|c) scores each row under its own c, or all under --condition; the
rows behind p-values keep their own.
Gaps of a table count for nothing. Models without a density give distortion and p_value, and the header says why.";

/// Score rows by their likelihood
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("out", |out| out.help("Where to: scores.csv or scores.npy")))]
pub struct Score {
    /// Rows to score; by default the model's own held-out rows
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// Importance samples a row
    #[arg(long, default_value_t = 100)]
    k: usize,
    /// What stands for p(z): prior, or a fitted sampler that has a density
    #[arg(long, default_value = "prior")]
    sampler: String,
    /// Also draw the most unlikely rows, as a picture
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
    /// Validation rows behind the p-values, at most, in a keyed order
    #[arg(long, default_value_t = 1000)]
    reference: usize,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Score {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::NUMBERS)?;
        let force = self.files.force;
        let sheet = self.sheet.as_ref().map(|path| Target::new("--sheet", path, force, &[Kind::Picture]));
        let sheet = sheet.transpose()?;
        for (flag, value) in [("--k", self.k), ("--reference", self.reference)] {
            if value == 0 {
                return Err(Failure::flag(flag, "none asked for", "give at least 1"));
            }
        }
        let model = self.files.model()?;
        if let Some(sheet) = &sheet {
            sheet.suits(&model)?;
        }
        let registry = Registry::default();
        let prior =
            FittedSampler::load(&model, &super::run_folder(self.files.run()), &self.sampler, &registry)?;
        let chosen = self.conditions.open(&model, self.data.as_deref(), out)?;
        // A model trained on rows of a known test set is not judged on that test set.
        if let Some(known) = trained_on(&model, &chosen.data) {
            let what =
                format!("this model was trained on rows of {known}, so what it says of them is no test");
            let remedy =
                "leave --data out to use its own held-out rows, or train on the official training set";
            return Err(Failure::flag("--data", what, remedy));
        }
        let own = match &self.data {
            None => None,
            Some(_) => Some(Chosen { data: own_data(&model, out)?, split: Split::Validation }),
        };
        let all: Vec<usize> = (0..chosen.len()).collect();
        let table = self.table(&model, &prior, &chosen, &all, self.conditions.any())?;
        let reference = own.as_ref().unwrap_or(&chosen);
        // In a keyed order: files are often sorted by class.
        let mut among = self.files.key("reference").permutation(reference.len());
        among.truncate(self.reference);
        let mut learned = None;
        let p_values = match &own {
            Some(own) => {
                let hashes = chosen.data.row_hashes(chosen.split)?;
                let overlap = Overlap::of(&hashes, &own.data)?;
                if overlap.shared > 0 {
                    out.note(overlap.to_string());
                }
                learned = Some(overlap.shared);
                let of_reference = own.data.row_hashes(own.split)?;
                let same: HashMap<u64, usize> =
                    among.iter().enumerate().map(|(place, &row)| (of_reference[row], place)).collect();
                let scores = self.table(&model, &prior, own, &among, false)?.first;
                p_values(&table.first, |row| same.get(&hashes[row]).copied(), &scores)
            }
            None => {
                let same: HashMap<usize, usize> =
                    among.iter().enumerate().map(|(p, &row)| (row, p)).collect();
                // Reference rows are told what they are, whatever the others are scored as.
                let scores = match self.conditions.any() {
                    true => self.table(&model, &prior, &chosen, &among, false)?.first,
                    false => among.iter().map(|&row| table.first[row]).collect(),
                };
                p_values(&table.first, |row| same.get(&row).copied(), &scores)
            }
        };
        let beside = self.beside(&model, &chosen)?;
        self.write(&target, &table, &p_values, beside)?;
        if let Some(sheet) = &sheet {
            self.draw(sheet, &model, &chosen, &table, &p_values)?;
        }
        let whole: Vec<f64> = table.first.iter().copied().filter(|score| score.is_finite()).collect();
        let mean = whole.iter().sum::<f64>() / whole.len().max(1) as f64;
        let broken = table.first.len() - whole.len();
        if broken > 0 {
            let all = table.first.len();
            out.told(format!(
                "{broken} of {all} rows break a constraint of the model: their log P is minus infinity, and the mean is of \
                 the others"
            ));
        }
        let (shown, sign) = if table.has_density { ("log_p_lower", 1.0) } else { ("distortion", -1.0) };
        let under = self.prior_in_words(&model)?;
        let reason = match &table.reason {
            Some(reason) => format!(" ({reason})"),
            None => format!(" under {under}{}", self.conditions.in_words()),
        };
        let units = Units::of(&model).words;
        out.result(
            format!(
                "{}, mean {shown} {:.2} nats{reason}: {}\n{shown}: {units}{}",
                super::counted(table.first.len(), "row"),
                sign * mean,
                path(&target.path),
                self.sheet
                    .as_ref()
                    .map(|sheet| format!("\nthe most unlikely: {}", path(sheet)))
                    .unwrap_or_default()
            ),
            &json!({
                "rows": table.first.len(), "mean": sign * mean, "column": shown, "reason": table.reason, "condition": self.conditions.given(),
                "base_measure": model.functions.likelihood.measure().name(), "units": units, "k": self.k,
                "prior": table.has_density.then_some(&under), "reference": among.len(), "training_rows": learned,
                "out": json_path(&target.path), "sheet": self.sheet.as_deref().map(json_path), "seed": self.files.seed()
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Which p(z) the scores are under.
    fn prior_in_words(&self, model: &latent::Model) -> Result<String, Failure> {
        match self.sampler.as_str() {
            "prior" => {
                let run = model.run()?;
                let kind = run.prior.get("kind").and_then(|kind| kind.as_str()).unwrap_or("own");
                Ok(format!("the model's {kind} prior"))
            }
            sampler => Ok(format!("the fitted {sampler} in the prior's place")),
        }
    }

    /// Scores of the rows at these positions, as they are or, where `is_told`, as what is given.
    fn table(
        &self,
        model: &latent::Model,
        prior: &FittedSampler,
        chosen: &Chosen,
        positions: &[usize],
        is_told: bool,
    ) -> Result<Scores, Failure> {
        let reason = model.lacks_density();
        let mut scores = Scores { has_density: reason.is_none(), reason, ..Scores::default() };
        for part in positions.chunks(512) {
            let mut rows = chosen.data.rows(chosen.split, part, 0)?;
            if is_told {
                rows = self.conditions.told(model, rows)?;
            }
            if model.facts.table.is_some() {
                // Rows with gaps are scored by what they have.
                rows = without_gaps(&rows);
            }
            if scores.has_density {
                for score in model.score_with(prior, &rows, self.k, self.files.key("score"))? {
                    scores.first.push(score.log_p_lower);
                    scores.error.push(score.standard_error);
                    scores.effective.push(score.effective_samples);
                }
            } else {
                scores.first.extend(model.distortion(&rows)?.into_iter().map(|d| -d));
            }
            let bound = |table: &&latent::data::Table| scores.has_density && !table.constraints.is_empty();
            if let Some(table) = model.facts.table.as_deref().filter(bound) {
                // The model gives such rows no probability at all.
                let values = chosen.data.values(chosen.split, part)?;
                let first = scores.first.len() - part.len();
                for (row, values) in values.chunks_exact(model.facts.shape.features().max(1)).enumerate() {
                    if table.broken(values).next().is_some() {
                        scores.first[first + row] = f64::NEG_INFINITY;
                    }
                }
            }
        }
        Ok(scores)
    }

    /// What each row is called and, of a table, the cells that surprise most given the others.
    fn beside(&self, model: &latent::Model, chosen: &Chosen) -> Result<Vec<(String, Vec<String>)>, Failure> {
        let mut beside = chosen.about();
        let Some(table) = &model.facts.table else { return Ok(beside) };
        let names = &model.facts.columns;
        let columns: Vec<_> = table.modelled().collect();
        let mut reasons = Vec::with_capacity(chosen.len());
        let mut start = 0;
        chosen.each(|rows| {
            let own: Vec<usize> = (start..start + rows.len()).collect();
            start += rows.len();
            let values = chosen.data.values(chosen.split, &own)?;
            let found = model.surprises(&without_gaps(&rows), self.files.key("surprises"))?;
            for row in 0..rows.len() {
                let own = found.row(row);
                let mut order: Vec<usize> = (0..own.len()).collect();
                order.sort_by(|&a, &b| own[a].total_cmp(&own[b]));
                let breaks = table.broken(&values[row * names.len()..(row + 1) * names.len()]);
                let breaks: Vec<String> = breaks.map(|kept| format!("breaks {}", kept.text)).collect();
                let said = order.iter().take(BLAMED).filter(|&&at| own[at] < 0.0).map(|&at| {
                    let x = rows.x[row * names.len() + at];
                    let word =
                        columns[at].scale.as_ref().map(|scale| columns[at].word(scale.value_from_x(x)));
                    format!("{}={} ({:.1})", names[at], word.unwrap_or_default(), own[at])
                });
                reasons.push(breaks.into_iter().chain(said).collect::<Vec<_>>().join("; "));
            }
            Ok(())
        })?;
        beside.push(("because".into(), reasons));
        Ok(beside)
    }

    fn write(
        &self,
        target: &Target,
        scores: &Scores,
        p_values: &[f64],
        beside: Vec<(String, Vec<String>)>,
    ) -> Result<(), Failure> {
        let n = scores.first.len();
        let (header, columns): (Vec<String>, Vec<Vec<f64>>) = if scores.has_density {
            let names = ["log_p_lower", "k", "se", "ess", "p_value"].map(String::from).to_vec();
            let k = vec![self.k as f64; n];
            (
                names,
                vec![
                    scores.first.clone(),
                    k,
                    scores.error.clone(),
                    scores.effective.clone(),
                    p_values.to_vec(),
                ],
            )
        } else {
            let reason = scores.reason.unwrap_or_default();
            let names = vec![format!("distortion ({reason})"), "p_value".into()];
            (names, vec![scores.first.iter().map(|v| -v).collect(), p_values.to_vec()])
        };
        target.ready()?;
        if target.kind == Kind::Table {
            let mut columns: Vec<Column> = columns.into_iter().map(Column::Numbers).collect();
            let mut header = header;
            for (name, words) in beside {
                header.push(name);
                columns.push(Column::Names(words));
            }
            write_csv(&target.path, &header, &columns)?;
        } else {
            let values: Vec<f64> = (0..n).flat_map(|row| columns.iter().map(move |c| c[row])).collect();
            write_npy(&target.path, &[n, columns.len()], StoredType::F64, &values)?;
        }
        Ok(())
    }

    /// The most unlikely rows, each with its score.
    fn draw(
        &self,
        sheet: &Target,
        model: &latent::Model,
        chosen: &Chosen,
        table: &Scores,
        p_values: &[f64],
    ) -> Result<(), Failure> {
        let scores = &table.first;
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order.truncate(40);
        let rows = chosen.data.rows(chosen.split, &order, 0)?;
        let pictures = Samples::new(rows.x, &model.facts).pictures()?;
        let captions: Vec<String> = order
            .iter()
            .map(|&row| {
                // Rounded first: adding 0 turns −0 into 0.
                let value = (if table.has_density { scores[row] } else { -scores[row] }).round() + 0.0;
                let value = format!("{value:.0}").replace('-', "−");
                format!("row {row}\n{value} nats\np = {:.3}", p_values[row])
            })
            .collect();
        let labels = GridLabels::titled(if table.has_density {
            "The most unlikely rows, worst first: log p(x) and p-value"
        } else {
            "The worst explained rows, worst first: distortion and p-value"
        });
        sheet.ready()?;
        image_sheet(&pictures.images()?, &captions, &labels)?.save(&sheet.path)?;
        Ok(())
    }
}

/// Cells of a row that are named for its score.
const BLAMED: usize = 3;

/// Scores of rows: log p, or minus the distortion, first, so that low is unlikely.
#[derive(Default)]
struct Scores {
    has_density: bool,
    reason: Option<&'static str>,
    first: Vec<f64>,
    error: Vec<f64>,
    effective: Vec<f64>,
}
