//! `latent judge`: a synthetic table beside the real one, whoever made it.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use latent::data::table::{Breach, breaches};
use latent::evaluate::tables::{Effort, Kinds, judge, page, read};
use latent::words::shown;
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::Seeded;
use crate::output::{Output, json_path, path};
use crate::target::{Kind, Target};

use super::key;

const EXAMPLES: &str = "\
Examples:
  latent judge table.csv rows.csv
  latent judge table.csv rows.csv --test held-out.csv --target kind --out j.html

REAL are the rows that the maker of SYNTHETIC has learned from; no model is needed. The headline is whether boosted
trees tell both apart. Every number stands beside what fresh real rows, copies of training rows and a Gaussian copula
have. With --test come utility, membership inference and everything against rows that nobody has learned from.

What columns hold is found out from REAL: numbers, dates, or categories where they are words or at most ten whole
numbers; a column whose words name rows is left out.
Both files have a line of names; cells like NA, ? or nothing are gaps.";

/// Judge a synthetic table beside the real one: can it be told, is it useful, does it leak? Needs no model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Judge {
    /// The rows that were learned from, a CSV or Parquet file
    real: PathBuf,
    /// The synthetic rows, a file of the same columns in any order
    synthetic: PathBuf,
    /// Real rows that were not learned from
    #[arg(long, value_name = "CSV")]
    test: Option<PathBuf>,
    /// The column that a model is to predict, for utility; needs --test
    #[arg(long, value_name = "COLUMN", requires = "test")]
    target: Option<String>,
    /// Columns that hold numbers, whatever they look like
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    numbers: Vec<String>,
    /// Columns that hold categories, whatever they look like
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    categories: Vec<String>,
    /// Rows of each table whose neighbours are looked for, at most; time grows with the square
    #[arg(long, value_name = "N", default_value_t = Effort::default().neighbours)]
    rows: usize,
    /// Leave out what fresh rows, copies and the copula have: a third of the time
    #[arg(long)]
    no_baselines: bool,
    /// A page with pictures, page.html
    #[arg(long, value_name = "HTML")]
    out: Option<PathBuf>,
    /// Replace what is there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    seeded: Seeded,
}

impl Judge {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = match &self.out {
            Some(path) => Some(Target::new("--out", path, self.force, &[Kind::Page])?),
            None => None,
        };
        if self.rows < 2 {
            return Err(Failure::flag("--rows", "neighbours of fewer than 2 rows", "give some thousands"));
        }
        if let Some(both) = self.numbers.iter().find(|name| self.categories.contains(name)) {
            let what = format!("{both:?} is given to --categories too");
            return Err(Failure::flag("--numbers", what, "give it to one of them"));
        }
        let kinds = Kinds { numbers: self.numbers.clone(), categories: self.categories.clone() };
        let mut paths: Vec<&Path> = vec![&self.real, &self.synthetic];
        paths.extend(self.test.as_deref());
        let tables = read(&paths, &kinds, &mut |line| out.note(line))?;
        let [real, synthetic, rest @ ..] = tables.as_slice() else { unreachable!("two files were read") };
        let effort = Effort { neighbours: self.rows, baselines: !self.no_baselines, ..Effort::default() };
        let key = key(self.seeded.seed, "judge");
        let report = judge(real, rest.first(), synthetic, self.target.as_deref(), effort, key)
            .map_err(|error| Failure::path(&self.synthetic, error.what, error.remedy))?;
        let mut text = report.text();
        let breaches = match breaches(&self.real, &self.synthetic) {
            Ok(breaches) => breaches,
            Err(error) => {
                out.note(format!("what holds in all real rows was not looked for: {error}"));
                Vec::new()
            }
        };
        for Breach { constraint, rows, broken } in &breaches {
            let share = 100.0 * *broken as f64 / (*rows).max(1) as f64;
            text.push_str(&shown(&format!(
                "holds in all real rows: {constraint}; {share:.2} % of synthetic ones break it"
            )));
            text.push('\n');
        }
        if let Some(target) = &target {
            page(&report, real, synthetic)?.save(&target.path)?;
            text.push_str(&format!("report: {}\n", path(&target.path)));
        }
        let file = target.as_ref().map(|target| json_path(&target.path));
        let value = json!({ "report": report, "findings": report.findings(), "constraints": breaches, "out": file, "seed": self.seeded.seed });
        out.result(text.trim_end(), &value);
        Ok(ExitCode::SUCCESS)
    }
}
