//! `latent traverse`: one latent dimension a row, moved through its range, those with the highest rate first.

use std::process::ExitCode;

use clap::Args;
use latent::data::Split;
use latent::evaluate::{dimensions_by_rate, labelled, terms};
use latent::figure::traversal;
use latent::generate::{Observe, Told, traverse};
use serde_json::json;

use super::Chosen;
use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent traverse runs/one --out traversal.png
  latent traverse runs/one --row 5 --dims 4 --reach 2 --out around.png
  latent traverse runs/told --row 5 --condition label=Dress --out as-a-dress.png";

/// Move one latent dimension at a time
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("seed", |seed| seed.help("What the draws behind the rates descend from")))]
pub struct Traverse {
    /// Start from this held-out row's code instead of the middle of the prior
    #[arg(long)]
    row: Option<usize>,
    /// How many dimensions
    #[arg(long, default_value_t = 10)]
    dims: usize,
    /// How many values of each; a bit takes its two
    #[arg(long, default_value_t = 9)]
    steps: usize,
    /// How far each goes, in both directions, where it is not bounded
    #[arg(long, default_value_t = 3.0)]
    reach: f64,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

impl Traverse {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        if self.steps < 2 {
            let what = format!("{} values are no way", self.steps);
            return Err(Failure::flag("--steps", what, "give at least 2"));
        }
        if !(self.reach.is_finite() && self.reach > 0.0) {
            let what = format!("{} is no distance", self.reach);
            return Err(Failure::flag("--reach", what, "give a positive number, such as 3"));
        }
        let model = self.files.model()?;
        target.suits(&model)?;
        let shown = self.dims.min(model.functions.latent.dims());
        target.holds("--dims, --steps", shown.saturating_mul(self.steps), &model)?;
        let chosen = Chosen::open(&model, None, out)?;
        let found = terms(&model, &chosen.data, Split::Validation, 1000, self.files.key("traverse"))?;
        let all = model.functions.latent.dims();
        let dims: Vec<usize> =
            dimensions_by_rate(&found.rate_per_dimension, all).into_iter().take(self.dims).collect();
        let middle = match self.row {
            None => model.middle(),
            Some(row) => {
                chosen.has("--row", row)?;
                model.encode(&chosen.rows(row, 1)?)?.mean.values
            }
        };
        let ways = model.traversal_values(&dims, self.steps, self.reach);
        let codes = traverse(&middle, &ways);
        let told = match self.row {
            // A row is told what it is, unless something else is given.
            Some(row) => {
                let own = Told::of(&chosen.rows(row, 1)?).select(&vec![0; codes.rows()]);
                self.conditions.instead(&model, own)?
            }
            None => self.conditions.same(&model, &codes)?,
        };
        let decoded = model.decode_told(&codes, &told, Observe::Mean, self.files.key("decode"))?;
        let rows = labelled(ways, &found.rate_per_dimension);
        let title = format!("One latent dimension at a time{}", self.conditions.in_words());
        target.write(&decoded, &title, |images| Ok(traversal(images, &rows, &title)?))?;
        let values: Vec<Vec<f64>> = rows.into_iter().map(|(_, values)| values).collect();
        let counts = || values.iter().map(Vec::len);
        let each = match (counts().min().unwrap_or(0), counts().max().unwrap_or(0)) {
            (fewest, most) if fewest < most => format!("{fewest} to {most}"),
            (_, most) => most.to_string(),
        };
        out.result(
            format!(
                "{}, highest rate first, {each} values each: {}",
                super::counted(dims.len(), "dimension"),
                path(&target.path)
            ),
            &json!({
                "dims": dims, "rates": found.rate_per_dimension, "values": values, "condition": self.conditions.given(), "out": json_path(&target.path),
                "seed": self.files.seed()
            }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
