//! `latent reconstruct`: rows beside what the decoder makes of their codes.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::figure::reconstructions;
use latent::generate::Samples;
use serde_json::json;

use super::{Chosen, load};
use crate::failure::Done;
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent reconstruct runs/one --out reconstructions.png
  latent reconstruct runs/one --data embedded --count 100 --out again.npy";

/// Encode rows and decode them again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Reconstruct {
    /// A run folder or a model file
    run: PathBuf,
    /// Rows to reconstruct; by default the model's own held-out rows
    #[arg(long)]
    data: Option<String>,
    /// How many rows
    #[arg(long, default_value_t = 32)]
    count: usize,
    /// Where to: pairs.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// The first row
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// Taken for uniformity; reconstruction draws nothing
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Reconstruct {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        let chosen = Chosen::open(&model, self.data.as_deref(), out)?;
        chosen.has("--from", self.from)?;
        target.holds("--count", self.count.min(chosen.len() - self.from), &model)?;
        let rows = chosen.rows(self.from, self.count)?;
        let again = model.reconstruct(&rows)?;
        let original = Samples::new(rows.x, &model.run.facts);
        let error = original.x.iter().zip(&again.x).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>()
            / original.x.len().max(1) as f64;
        target.ready()?;
        if target.kind == Kind::Picture {
            let (above, below) = (original.pictures()?, again.pictures()?);
            reconstructions(&above.images()?, &below.images()?, "Rows and their reconstructions")?
                .save(&self.out)?;
        } else {
            again.save(&self.out, "Reconstructions")?;
        }
        out.result(
            format!(
                "{}, mean squared error {error:.5} per feature (as the model sees it): {}",
                super::counted(again.len(), "row"),
                self.out.display()
            ),
            &json!({ "count": again.len(), "squared_error": error, "out": self.out, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
