//! `latent report`: the figures and the report of a run, drawn anew.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::evaluate::report;
use serde_json::json;

use super::{key, load};
use crate::failure::Done;
use crate::output::Output;

const EXAMPLES: &str = "\
Examples:
  latent report runs/first";

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
        let model = load(&self.run, "cpu")?;
        let data = model.open_own(&mut |line| out.note(line))?;
        let written = report(&self.run, &data, key(self.seed, "report"))?;
        let mut text = String::new();
        for verdict in &written.verdicts {
            text.push_str(&format!("{}. {}\n", verdict.headline, verdict.evidence));
        }
        let files: Vec<String> = written.files.iter().map(|p| p.display().to_string()).collect();
        text.push_str(&files.join("\n"));
        let verdicts: Vec<_> =
            written.verdicts.iter().map(|v| json!({ "name": v.name, "evidence": v.evidence })).collect();
        out.result(text, &json!({ "verdicts": verdicts, "files": files }));
        Ok(ExitCode::SUCCESS)
    }
}
