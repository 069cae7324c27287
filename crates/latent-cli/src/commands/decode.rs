//! `latent decode`: from codes to data.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::codes_from;
use super::sample::What;
use crate::failure::Done;
use crate::options::{Conditions, Writing};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent encode runs/one --out codes.npy
  latent decode runs/one --codes codes.npy --out decoded.npy";

/// Decode codes from a file
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Decode {
    /// Codes as `latent encode` writes them, .npy or .csv; of a .csv the columns z1, z2, … by name, others are ignored
    #[arg(long)]
    codes: PathBuf,
    /// What is written of p(x|z)
    #[arg(long, default_value = "mean")]
    observe: What,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Decode {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        let model = self.files.model()?;
        target.suits(&model)?;
        let codes = codes_from(&self.codes, &model)?;
        target.holds("--codes", codes.rows(), &model)?;
        let told = self.conditions.same(&model, &codes)?;
        let decoded = model.decode_told(&codes, &told, self.observe.into(), self.files.key("decode"))?;
        target.ready()?;
        decoded.save(&target.path, "Decoded codes")?;
        out.result(
            format!("{} decoded: {}", super::counted(decoded.len(), "code"), path(&target.path)),
            &json!({ "count": decoded.len(), "out": json_path(&target.path), "seed": self.files.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
