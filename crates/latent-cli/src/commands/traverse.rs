//! `latent traverse`: one latent dimension a row, moved through its range, those with the highest rate first.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use latent::data::Split;
use latent::evaluate::{dimensions_by_rate, terms};
use latent::figure::traversal;
use latent::generate::traverse;
use serde_json::json;

use super::{Chosen, key, load};
use crate::failure::{Done, Failure};
use crate::output::Output;
use crate::target::{Kind, Target};

const EXAMPLES: &str = "\
Examples:
  latent traverse runs/one --out traversal.png
  latent traverse runs/one --row 5 --dims 4 --reach 2 --out around.png";

/// Move one latent dimension at a time
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Traverse {
    /// A run folder or a model file
    run: PathBuf,
    /// Start from this held-out row's code instead of the middle of the prior
    #[arg(long)]
    row: Option<usize>,
    /// How many dimensions
    #[arg(long, default_value_t = 10)]
    dims: usize,
    /// How many values of each
    #[arg(long, default_value_t = 9)]
    steps: usize,
    /// How far each goes, in both directions
    #[arg(long, default_value_t = 3.0)]
    reach: f64,
    /// Where to: grid.png, a folder/, x.npy or x.csv
    #[arg(long)]
    out: PathBuf,
    /// What the draws behind the rates descend from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where to compute
    #[arg(long, default_value = "cpu")]
    device: String,
    /// Replace what is there
    #[arg(long)]
    force: bool,
}

impl Traverse {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = Target::new("--out", &self.out, self.force, &Kind::ALL)?;
        if self.steps < 2 {
            return Err(Failure::Flag {
                flag: "--steps",
                what: format!("{} values are no way", self.steps),
                remedy: "give at least 2".into(),
            });
        }
        if !(self.reach.is_finite() && self.reach > 0.0) {
            return Err(Failure::Flag {
                flag: "--reach",
                what: format!("{} is no distance", self.reach),
                remedy: "give a positive number, such as 3".into(),
            });
        }
        let model = load(&self.run, &self.device)?;
        target.suits(&model)?;
        let shown = self.dims.min(model.model.latent.dims());
        target.holds("--dims, --steps", shown.saturating_mul(self.steps), &model)?;
        let chosen = Chosen::open(&model, None, out)?;
        let found = terms(&model, &chosen.data, Split::Validation, 1000, key(self.seed, "traverse"))?;
        let all = model.model.latent.dims();
        let dims: Vec<usize> =
            dimensions_by_rate(&found.rate_per_dimension, all).into_iter().take(self.dims).collect();
        let middle = match self.row {
            None => vec![0.0; all],
            Some(row) => {
                chosen.has("--row", row)?;
                model.encode(&chosen.rows(row, 1)?)?.mean.values
            }
        };
        let values: Vec<f64> =
            (0..self.steps).map(|i| self.reach * (2.0 * i as f64 / (self.steps - 1) as f64 - 1.0)).collect();
        let steps: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        let decoded = model.decode(&traverse(&middle, &dims, &steps))?;
        let names: Vec<String> = dims
            .iter()
            .map(|&d| match found.rate_per_dimension.get(d) {
                Some(rate) => format!("z{}  {rate:.2} nats", d + 1),
                None => format!("z{}", d + 1),
            })
            .collect();
        target.ready()?;
        if target.kind == Kind::Picture {
            let pictures = decoded.pictures()?;
            traversal(&pictures.images()?, &names, &values, "One latent dimension at a time")?
                .save(&self.out)?;
        } else {
            decoded.save(&self.out, "One latent dimension at a time")?;
        }
        out.result(
            format!(
                "{}, highest rate first, {} values each: {}",
                super::counted(dims.len(), "dimension"),
                self.steps,
                self.out.display()
            ),
            &json!({ "dims": dims, "rates": found.rate_per_dimension, "values": values, "out": self.out, "seed": self.seed }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
