//! `latent reconstruct`: rows beside what the decoder makes of their codes.

use std::process::ExitCode;

use clap::Args;
use latent::figure::reconstructions;
use latent::generate::{Samples, Told};
use serde_json::json;

use crate::failure::Done;
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent reconstruct runs/one --out reconstructions.png
  latent reconstruct runs/one --data embedded --count 100 --out again.npy
  latent reconstruct runs/told --condition label=Dress --out as-dresses.png";

/// Encode rows and decode them again
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("out", |out| out.help("Where to: pairs.png, a folder/, x.npy or x.csv")))]
#[command(mut_arg("seed", |seed| seed.help("Taken for uniformity; reconstruction draws nothing")))]
pub struct Reconstruct {
    /// Rows to reconstruct; by default the model's own held-out rows
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// How many rows
    #[arg(long, default_value_t = 32)]
    count: usize,
    /// The first row
    #[arg(long, default_value_t = 0)]
    from: usize,
    /// Decode as if the rows were that
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Reconstruct {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        let model = self.files.model()?;
        target.suits(&model)?;
        let chosen = self.conditions.open(&model, self.data.as_deref(), out)?;
        chosen.has("--from", self.from)?;
        target.holds("--count", self.count.min(chosen.len() - self.from), &model)?;
        let rows = chosen.rows(self.from, self.count)?;
        // A code says what its row is told nothing of: decoded under another condition, it is the same row as that.
        let told = self.conditions.instead(&model, Told::of(&rows))?;
        let again = model.reconstruct_as(&rows, &told)?;
        let original = Samples::new(rows.x, &model.facts);
        let error = original.squared_error(&again);
        let title = format!("Rows and their reconstructions{}", self.conditions.in_words());
        target.write(&again, "Reconstructions", |below| {
            let above = original.pictures()?;
            Ok(reconstructions(&above.images()?, below, &title)?)
        })?;
        out.result(
            format!(
                "{}{}, mean squared error {error:.5} per feature (as the model sees it): {}",
                super::counted(again.len(), "row"),
                self.conditions.in_words(),
                path(&target.path)
            ),
            &json!({ "count": again.len(), "squared_error": error, "condition": self.conditions.given(), "out": json_path(&target.path), "seed": self.files.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
