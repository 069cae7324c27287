//! `latent score`: how likely is each row? For anomalies, and for comparing models on one base measure.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::data::{Column, Split, StoredType, write_csv, write_npy};
use latent::figure::{GridLabels, image_sheet};
use latent::generate::Samples;
use latent::model::BaseMeasure;
use serde_json::json;

use super::{Chosen, free, key, load};
use crate::failure::{Done, Failure};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent score runs/first --k 20 --out scores.csv
  latent score runs/first --k 20 --out scores.npy --sheet unlikely.png

Columns: log_p_lower, a lower bound of log p(x) in nats by k importance samples; k; se, its standard error;
ess, how many of the k samples count; p_value, the share of validation rows that are as unlikely or more.
Models without a density give distortion and p_value.";

/// Score rows by their likelihood
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Score {
    /// A run folder or a model file
    run: PathBuf,
    /// Rows to score; by default the model's own held-out rows
    #[arg(long)]
    data: Option<String>,
    /// Importance samples a row
    #[arg(long, default_value_t = 100)]
    k: usize,
    /// Where to: scores.csv or scores.npy
    #[arg(long)]
    out: PathBuf,
    /// Also draw the most unlikely rows, as a picture
    #[arg(long, value_name = "PNG")]
    sheet: Option<PathBuf>,
    /// Validation rows behind the p-values, at most
    #[arg(long, default_value_t = 1000)]
    reference: usize,
    /// What the draws descend from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Score {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        free(&self.out, self.force)?;
        if let Some(sheet) = &self.sheet {
            free(sheet, self.force)?;
        }
        if self.k == 0 {
            return Err(Failure::Flag {
                flag: "--k",
                what: "no samples".into(),
                remedy: "give at least 1".into(),
            });
        }
        let model = load(&self.run, &self.device)?;
        let chosen = Chosen::open(&model, self.data.as_deref(), out)?;
        let reference = match &self.data {
            None => None,
            Some(_) => {
                Some(Chosen { data: model.open_own(&mut |line| out.note(line))?, split: Split::Validation })
            }
        };
        let table = self.table(&model, &chosen, usize::MAX)?;
        let mut against = match &reference {
            Some(own) => self.table(&model, own, self.reference)?.first,
            None => table.first.clone(),
        };
        against.sort_by(f64::total_cmp);
        // How many reference rows are as unlikely or more; the +1s make it a valid p-value.
        let p_values: Vec<f64> = table
            .first
            .iter()
            .map(|value| {
                let below = against.partition_point(|other| other <= value);
                (below as f64 + 1.0) / (against.len() as f64 + 1.0)
            })
            .collect();
        self.write(&table, &p_values)?;
        if let Some(sheet) = &self.sheet {
            self.draw(sheet, &model, &chosen, &table.first, &p_values)?;
        }
        let mean = table.first.iter().sum::<f64>() / table.first.len().max(1) as f64;
        let (shown, sign) = if table.has_density { ("log_p_lower", 1.0) } else { ("distortion", -1.0) };
        let reason = table.reason.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
        out.result(
            format!(
                "{} rows, mean {shown} {:.2} nats{reason}: {}",
                table.first.len(),
                sign * mean,
                self.out.display()
            ),
            &json!({
                "rows": table.first.len(), "mean": sign * mean, "column": shown, "reason": table.reason,
                "base_measure": model.model.likelihood.measure().name(), "out": self.out, "seed": self.seed
            }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Scores up to `most` rows.
    fn table(&self, model: &latent::Model, chosen: &Chosen, most: usize) -> Result<Scores, Failure> {
        let measure = model.model.likelihood.measure();
        let reason = match measure {
            _ if !model.model.posterior.has_density() => {
                Some("the posterior is a point, so the model has no density".to_string())
            }
            BaseMeasure::None => Some("a Bernoulli cross-entropy on grey values is no density".to_string()),
            _ => None,
        };
        let mut scores = Scores { has_density: reason.is_none(), reason, ..Scores::default() };
        let mut left = most;
        chosen.each(|rows| {
            if left == 0 {
                return Ok(());
            }
            left = left.saturating_sub(rows.len());
            if scores.has_density {
                for score in model.score(&rows, self.k, key(self.seed, "score"))? {
                    scores.first.push(score.log_p_lower);
                    scores.error.push(score.standard_error);
                    scores.effective.push(score.effective_samples);
                }
            } else {
                scores.first.extend(model.distortion(&rows)?.into_iter().map(|d| -d));
            }
            Ok(())
        })?;
        scores.first.truncate(most);
        Ok(scores)
    }

    fn write(&self, scores: &Scores, p_values: &[f64]) -> Result<(), Failure> {
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
            let reason = scores.reason.clone().unwrap_or_default();
            let names = vec![format!("distortion ({reason})"), "p_value".into()];
            (names, vec![scores.first.iter().map(|v| -v).collect(), p_values.to_vec()])
        };
        match self.out.extension().and_then(|e| e.to_str()) {
            Some("csv") => {
                let columns: Vec<Column> = columns.into_iter().map(Column::Numbers).collect();
                write_csv(&self.out, &header, &columns)?;
            }
            Some("npy") => {
                let values: Vec<f64> = (0..n).flat_map(|row| columns.iter().map(move |c| c[row])).collect();
                write_npy(&self.out, &[n, columns.len()], StoredType::F64, &values)?;
            }
            _ => {
                return Err(Failure::Flag {
                    flag: "--out",
                    what: format!("{} is no table", self.out.display()),
                    remedy: "end it in .csv or .npy".into(),
                });
            }
        }
        Ok(())
    }

    /// The most unlikely rows, each with its score.
    fn draw(
        &self,
        sheet: &std::path::Path,
        model: &latent::Model,
        chosen: &Chosen,
        scores: &[f64],
        p_values: &[f64],
    ) -> Result<(), Failure> {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
        order.truncate(40);
        let rows = chosen.data.rows(chosen.split, &order, 0)?;
        let pictures = Samples::new(rows.x, &model.run.facts).pictures()?;
        let captions: Vec<String> = order
            .iter()
            .map(|&row| format!("row {row}\n{:.0} nats\np = {:.3}", scores[row], p_values[row]))
            .collect();
        let labels = GridLabels::titled("The most unlikely rows, worst first");
        image_sheet(&pictures.images()?, &captions, &labels)?.save(sheet)?;
        Ok(())
    }
}

/// Scores of rows: log p, or minus the distortion, first, so that low is unlikely.
#[derive(Default)]
struct Scores {
    has_density: bool,
    reason: Option<String>,
    first: Vec<f64>,
    error: Vec<f64>,
    effective: Vec<f64>,
}
