//! `latent sample`: new samples from a trained model.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::generate::Observe;
use serde_json::json;

use super::{key, load};
use crate::failure::Done;
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent sample runs/one --count 64 --out samples.png
  latent sample runs/one --count 10 --seed 3 --out samples/
  latent sample runs/one --count 100 --out samples.npy";

/// Draw new samples from a trained model
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Sample {
    /// A run folder or a model file
    run: PathBuf,
    /// How many samples
    #[arg(long, default_value_t = 64)]
    count: usize,
    /// Where to: grid.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// What is written of p(x|z); [default: mean for images, draw for tables]
    #[arg(long)]
    observe: Option<What>,
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

/// What is written of p(x|z).
#[derive(Clone, Copy, ValueEnum)]
pub enum What {
    Mean,
    Draw,
}

impl Sample {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        target.holds("--count", self.count, &model)?;
        let observe = match self.observe {
            None => model.observe(),
            Some(What::Mean) => Observe::Mean,
            Some(What::Draw) => Observe::Draw,
        };
        let samples = model.sample_as(self.count, observe, key(self.seed, "sample"))?;
        target.ready()?;
        samples.save(&self.out, &super::counted(self.count, "sample"))?;
        out.result(
            format!("{}: {}", super::counted(self.count, "sample"), self.out.display()),
            &json!({ "count": self.count, "out": self.out, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
