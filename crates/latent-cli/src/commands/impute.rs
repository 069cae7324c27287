//! `latent impute`: a table with its empty cells filled in.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use latent::data::Split;
use latent::data::table::fill_gaps;
use serde_json::json;

use super::Chosen;
use crate::failure::{Done, Failure};
use crate::options::{Writing, text};
use crate::output::{Output, json_paths, path};
use crate::progress::Bar;
use crate::target::Kind;

const EXAMPLES: &str = "\
For a model of a table of mixed columns (latent train --data people.csv):
  impute RUN --data holes.csv --out full.csv
  impute RUN --data holes.csv --out full.csv --draws 5

Empty cells (also ?, NA, NaN, null ...) are drawn from what the model says of
them given the others of their row: draws, not means, so that distributions and
dependences stay as they are. With --draws M there are M files, full-1.csv to
full-M.csv: analyse each, and let the spread over them widen your intervals.
Every other cell stays as it stands in the file.";

/// Fill the empty cells of a table
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("out", |out| out.help("Where to: full.csv, or full.parquet where the data is Parquet or Arrow")))]
pub struct Impute {
    /// The table with empty cells
    #[arg(long, value_parser = text())]
    data: String,
    /// How many tables are drawn
    #[arg(long, default_value_t = 1)]
    draws: usize,
    /// Turns of drawing codes and cells
    #[arg(long, default_value_t = 3)]
    passes: usize,
    #[command(flatten)]
    files: Writing,
}

impl Impute {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&[Kind::Table, Kind::Typed])?;
        for (flag, value, most) in [("--draws", self.draws, 1000), ("--passes", self.passes, 1000)] {
            if value == 0 || value > most {
                return Err(Failure::flag(flag, format!("{value}"), "give 1 to 1000"));
            }
        }
        let model = self.files.model()?;
        let table = model.table()?;
        let paths: Vec<PathBuf> = match self.draws {
            1 => vec![target.path.clone()],
            draws => (1..=draws).map(|draw| numbered(&target.path, draw)).collect(),
        };
        if let Some(taken) = paths.iter().find(|path| path.exists() && !self.files.force) {
            return Err(Failure::Exists(taken.clone()));
        }
        let chosen = Chosen::open(&model, Some(&self.data), out)?;
        let rows = chosen.data.rows(Split::Test, &(0..chosen.len()).collect::<Vec<_>>(), 0)?;
        let width = model.facts.shape.features();
        // Only rows with empty cells go through the model.
        let with_gaps: Vec<usize> = (0..rows.len())
            .filter(|row| rows.x[row * width..(row + 1) * width].iter().any(|x| *x < 0.0))
            .collect();
        let mut place_of = vec![usize::MAX; rows.len()];
        with_gaps.iter().enumerate().for_each(|(place, row)| place_of[*row] = place);
        target.ready()?;
        let bar = Bar::new(out);
        let mut filled = 0;
        for (draw, path) in paths.iter().enumerate() {
            bar.show("filling", draw as f64 / paths.len() as f64);
            let key = self.files.key("impute").fold(draw as u64);
            let mut values = Vec::with_capacity(with_gaps.len() * width);
            for part in with_gaps.chunks(4096) {
                let rows = chosen.data.rows(Split::Test, part, 0)?;
                let known = chosen.data.values(Split::Test, part)?;
                values.extend(model.filled(&rows, &known, self.passes, key)?);
            }
            let columns: Vec<_> = table.modelled().collect();
            let word = |row: usize, column: usize| {
                let place = *place_of.get(row)?;
                if place == usize::MAX || rows.x[row * width + column] >= 0.0 {
                    return None;
                }
                Some(columns[column].word(values[place * width + column]))
            };
            filled = fill_gaps(Path::new(&self.data), path, table, &word)?;
        }
        bar.end();
        let files: Vec<String> = paths.iter().map(|p| path(p)).collect();
        out.result(
            format!(
                "{} of {} filled, {} cells: {}",
                super::counted(with_gaps.len(), "row"),
                rows.len(),
                filled,
                files.join(", ")
            ),
            &json!({ "rows": rows.len(), "rows_with_gaps": with_gaps.len(), "cells": filled, "files": json_paths(&paths), "seed": self.files.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}

/// `full.csv` → `full-3.csv`
fn numbered(path: &Path, draw: usize) -> PathBuf {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let ending = path.extension().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{stem}-{draw}.{ending}"))
}
