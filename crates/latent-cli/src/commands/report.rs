//! `latent report`: the figures and the report of a run, drawn anew.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::evaluate::report;
use serde_json::json;

use super::train::{said, verdicts};
use super::{key, load, own_data};
use crate::failure::{Done, Failure};
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent report runs/one";

/// Draw the figures of a run and write its report again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Report {
    /// A run folder
    run: PathBuf,
    /// What the samples descend from
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Report {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        if self.run.is_file() {
            return Err(Failure::Flag {
                flag: "RUN",
                what: format!("{} is a file, and a report needs the whole run", self.run.display()),
                remedy: "give the run folder".into(),
            });
        }
        let model = load(&self.run, "cpu")?;
        let data = own_data(&model, out)?;
        let written = report(&self.run, &data, key(self.seed, "report"))?;
        let text = format!(
            "{}{}",
            written.files.last().map(|page| page.display().to_string()).unwrap_or_default(),
            said(&written)
        );
        out.result(
            text,
            &json!({ "verdicts": verdicts(&written), "files": written.files, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
