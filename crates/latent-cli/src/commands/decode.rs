//! `latent decode`: from codes to data.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::generate::Observe;
use serde_json::json;

use super::sample::What;
use super::{codes_from, key, load};
use crate::failure::Done;
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent encode runs/one --out codes.npy
  latent decode runs/one --codes codes.npy --out decoded.npy";

/// Decode codes from a file
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Decode {
    /// A run folder or a model file
    run: PathBuf,
    /// Codes as `latent encode` writes them, .npy or .csv
    #[arg(long)]
    codes: PathBuf,
    /// Where to: grid.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// What is written of p(x|z)
    #[arg(long, default_value = "mean")]
    observe: What,
    /// What draws descend from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Decode {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        let codes = codes_from(&self.codes, &model)?;
        target.holds("--codes", codes.rows(), &model)?;
        let observe = match self.observe {
            What::Mean => Observe::Mean,
            What::Draw => Observe::Draw,
        };
        let decoded = model.decode_as(&codes, observe, key(self.seed, "decode"))?;
        target.ready()?;
        decoded.save(&self.out, "Decoded codes")?;
        out.result(
            format!("{} decoded: {}", super::counted(decoded.len(), "code"), self.out.display()),
            &json!({ "count": decoded.len(), "out": self.out, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
