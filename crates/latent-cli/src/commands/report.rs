//! `latent report`: the figures and the report of a run, drawn anew.

use std::process::ExitCode;

use clap::Args;
use latent::evaluate::report;
use serde_json::json;

use super::train::{said, verdicts};
use super::{load, own_data};
use crate::failure::Done;
use crate::options::Trained;
use crate::output::{Output, json_paths, path};

const EXAMPLES: &str = "\
Examples:
  latent report runs/one";

/// Draw the figures of a run and write its report again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("run", |run| run.help("A run folder")))]
#[command(mut_arg("seed", |seed| seed.help("What the samples descend from")))]
pub struct Report {
    #[command(flatten)]
    of: Trained,
}

impl Report {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let folder = self.of.folder("a report needs the whole run")?;
        let model = load(folder, "cpu")?;
        let data = own_data(&model, out)?;
        let written = report(folder, &data, self.of.seed())?;
        let text =
            format!("{}{}", written.files.last().map(|page| path(page)).unwrap_or_default(), said(&written));
        out.result(
            text,
            &json!({ "verdicts": verdicts(&written), "files": json_paths(&written.files), "seed": self.of.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
