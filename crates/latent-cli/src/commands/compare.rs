//! `latent compare`: which run is better, and is it more than chance?

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use latent::data::Split;
use latent::evaluate::compare::{comparable, compare, compare_against, compare_methods, methods};
use latent::evaluate::disentanglement::{add_ranking, ranking_of_models};
use latent::evaluate::{Evaluation, Section};
use latent::generate::some_rows;
use serde_json::json;

use super::{key, load, own_data};
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent compare runs/one runs/beta
  latent compare runs/one runs/beta --csv compared.csv --html compared.html

Each run must have been judged by `latent evaluate RUN`. The best of a row is marked where its difference from
each other run is significant at 5 %: paired over shared rows where there are any, else by Welch's t, corrected
by Holm for all pairs. Likelihoods of different base measures are shown and not ranked, nor is what depends on the
number of rows, such as the Fréchet distance, where that number differs.

With --by-seed, runs named x-seed1, x-seed2 … are replicates of x: columns are methods, intervals and tests are over
training seeds, and methods of two runs or more get the unsupervised disentanglement ranking (UDR). With few seeds ask
less: --against x holds each method against x alone.";

/// Rows that the unsupervised ranking looks at, at most.
const RANKING_ROWS: usize = 1000;

/// Compare runs, measure by measure
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Compare {
    /// Run folders that `latent evaluate` has judged
    #[arg(required = true, num_args = 2.., value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Take runs named x-seed1, x-seed2 … as replicates of x
    #[arg(long)]
    by_seed: bool,
    /// Hold each method of --by-seed against this one alone, the variance over seeds pooled over methods
    #[arg(long, value_name = "METHOD", requires = "by_seed")]
    against: Option<String>,
    /// Also write every number as a table
    #[arg(long, value_name = "CSV")]
    csv: Option<PathBuf>,
    /// Also write a page, with the runs' samples and reconstructions side by side
    #[arg(long, value_name = "HTML")]
    html: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Compare {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let csv = self.csv.as_ref().map(|path| Target::new("--csv", path, self.force, &[Kind::Table]));
        let csv = csv.transpose()?;
        if let Some(page) = &self.html {
            Target::new("--html", page, self.force, &[Kind::Page])?;
        }
        let judged = self.runs.iter().map(|run| evaluation(run)).collect::<Result<Vec<_>, _>>()?;
        let names = names(&self.runs);
        let (mut runs, is_shared) = comparable(names.iter().cloned().zip(judged).collect());
        if !is_shared {
            out.note(
                "the runs were judged on different rows, or on rows split, drawn to bits or prepared differently: nothing is \
                 paired, and what is marked as best is so only if all are rows of one distribution",
            );
        }
        if self.by_seed {
            self.rank(&mut runs, out);
        }
        let found = match &self.against {
            Some(method) => compare_against(&runs, method).ok_or_else(|| {
                let what = format!("no run is named {method}-seed1, {method}-seed2 …");
                Failure::flag("--against", what, "name a method of the runs that are given")
            })?,
            None if self.by_seed => compare_methods(&runs),
            None => compare(&runs),
        };
        if let Some(csv) = &csv {
            csv.ready()?;
            latent::data::write_text(&csv.path, &found.csv())?;
        }
        if let Some(page) = &self.html {
            let shown: Vec<(&str, &Path)> =
                names.iter().map(String::as_str).zip(self.runs.iter().map(PathBuf::as_path)).collect();
            found.page(&shown).save(page)?;
        }
        let rows: Vec<_> = found
            .rows
            .iter()
            .map(|row| {
                let cells: Vec<_> = row
                    .cells
                    .iter()
                    .map(|cell| {
                        cell.map(|c| {
                            json!({
                                "value": c.estimate.value, "low": c.estimate.low, "high": c.estimate.high,
                                "n": c.n, "best": c.best, "p": c.p, "better_than_reference": c.differs
                            })
                        })
                    })
                    .collect();
                json!({
                    "section": row.section.0, "measure": row.name, "unit": row.unit, "better": row.better,
                    "cells": cells, "refused": row.refused
                })
            })
            .collect();
        out.result(
            found.text(std::io::stdout().is_terminal()).trim_end(),
            &json!({ "runs": found.runs, "test": found.test, "rows": rows }),
        );
        Ok(ExitCode::SUCCESS)
    }

    /// Adds the unsupervised ranking of each method's runs to their sections.
    fn rank(&self, runs: &mut [(String, Vec<Section>)], out: &Output) {
        let names: Vec<String> = runs.iter().map(|(name, _)| name.clone()).collect();
        for (method, members) in methods(names.iter().map(String::as_str)) {
            if members.len() < 2 {
                continue;
            }
            let (ranking, n) = match self.ranking(&members, out) {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(why) => {
                    out.note(format!("{method}: no unsupervised ranking: {why}"));
                    continue;
                }
            };
            for (&run, score) in members.iter().zip(ranking) {
                add_ranking(&mut runs[run].1, score, n);
            }
        }
    }

    /// The ranking of some runs on held-out rows of the first.
    fn ranking(&self, members: &[usize], out: &Output) -> Result<Option<(Vec<f64>, usize)>, Failure> {
        let models =
            members.iter().map(|&run| load(&self.runs[run], "cpu")).collect::<Result<Vec<_>, _>>()?;
        let data = own_data(&models[0], out)?;
        if models.iter().any(|model| model.split_seed() != models[0].split_seed()) {
            out.note(
                "the runs split their data differently: the unsupervised ranking is on rows that some were trained on (runs \
                 of one data.seed share their split)",
            );
        }
        let rows = some_rows(&data, Split::Validation, RANKING_ROWS, key(1, "udr"))?;
        let ranking = ranking_of_models(&models.iter().collect::<Vec<_>>(), &rows)?;
        Ok(ranking.map(|ranking| (ranking, rows.len())))
    }
}

/// The last part of each path, or the whole path where two would have one name.
fn names(runs: &[PathBuf]) -> Vec<String> {
    let short = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let shown = |name: String| latent::words::shown(&name);
    let distinct: BTreeSet<_> = runs.iter().map(short).collect();
    let whole = distinct.len() < runs.len() || distinct.contains(&None);
    runs.iter()
        .map(|path| match short(path) {
            Some(name) if !whole => name,
            _ => path.display().to_string(),
        })
        .map(shown)
        .collect()
}

/// What `latent evaluate` has written of a run.
fn evaluation(run: &Path) -> Result<Evaluation, Failure> {
    Evaluation::load(run)?.ok_or_else(|| {
        Failure::path(run, "no evaluation.json", format!("judge it first: latent evaluate {}", run.display()))
    })
}
