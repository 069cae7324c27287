//! `latent interpolate`: the way from one code to another, decoded.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use latent::figure::interpolation;
use latent::generate::{Observe, Path as Way, Told, interpolate_pairs};
use serde_json::json;

use crate::failure::{Done, Failure};
use crate::options::{Conditions, Writing, text};
use crate::output::{Output, json_path, path};
use crate::target::Kind;

const EXAMPLES: &str = "\
Examples:
  latent interpolate runs/one --out between.png
  latent interpolate runs/one --from 3 --to 8 --path linear --out line.png
  latent interpolate runs/told --condition label=Bag --count 3 --out bags.png";

/// Walk from one row's code to another's
#[derive(Args)]
#[command(after_help = EXAMPLES)]
#[command(mut_arg("out", |out| out.help("Where to: rows.png, a folder/, x.npy or x.csv")))]
#[command(mut_arg("seed", |seed| seed.help("What the choice of pairs descends from")))]
pub struct Interpolate {
    /// Rows whose codes are the ends; by default the model's own held-out rows
    #[arg(long, value_parser = text())]
    data: Option<String>,
    /// The row to start from; without it and --to, --count pairs are drawn
    #[arg(long, requires = "to")]
    from: Option<usize>,
    /// The row to end at
    #[arg(long, requires = "from")]
    to: Option<usize>,
    /// How many pairs of rows
    #[arg(long, default_value_t = 6)]
    count: usize,
    /// Codes on the way, both ends included
    #[arg(long, default_value_t = 10)]
    steps: usize,
    /// A straight line, or the great circle that keeps the length of codes
    #[arg(long, default_value = "spherical")]
    path: Shape,
    #[command(flatten)]
    conditions: Conditions,
    #[command(flatten)]
    files: Writing,
}

/// The way between two codes.
#[derive(Clone, Copy, ValueEnum)]
enum Shape {
    Linear,
    Spherical,
}

impl Interpolate {
    /// Runs the command.
    pub fn run(self, out: &Output) -> Done {
        let target = self.files.target(&Kind::ALL)?;
        if self.steps < 2 {
            let what = format!("{} codes cannot hold both ends", self.steps);
            return Err(Failure::flag("--steps", what, "give at least 2"));
        }
        let model = self.files.model()?;
        target.suits(&model)?;
        let ways = if self.from.is_some() { 1 } else { self.count };
        target.holds("--count, --steps", ways.saturating_mul(self.steps), &model)?;
        let chosen = self.conditions.open(&model, self.data.as_deref(), out)?;
        let pairs: Vec<(usize, usize)> = match (self.from, self.to) {
            (Some(from), Some(to)) => {
                chosen.has("--from", from)?;
                chosen.has("--to", to)?;
                vec![(from, to)]
            }
            _ => {
                let order = self.files.key("interpolate").permutation(chosen.len());
                order.chunks_exact(2).take(self.count).map(|pair| (pair[0], pair[1])).collect()
            }
        };
        if pairs.is_empty() {
            let what = format!("a way has two ends, and there are {} rows", chosen.len());
            return Err(Failure::flag("--data", what, "give at least two rows"));
        }
        let way = match self.path {
            Shape::Linear => Way::Linear,
            Shape::Spherical => Way::Spherical,
        };
        let ends: Vec<usize> = pairs.iter().flat_map(|(from, to)| [*from, *to]).collect();
        let rows = chosen.data.rows(chosen.split, &ends, 0)?;
        let codes = interpolate_pairs(&model.encode(&rows)?.mean, self.steps, way);
        // On its way a code keeps the condition of the row that it starts from, unless another is given.
        let starts: Vec<usize> = (0..codes.rows()).map(|step| step / self.steps * 2).collect();
        let told = self.conditions.instead(&model, Told::of(&rows).select(&starts))?;
        let decoded = model.decode_told(&codes, &told, Observe::Mean, self.files.key("decode"))?;
        let title = format!("From one row to another{}", self.conditions.in_words());
        target.write(&decoded, &title, |images| Ok(interpolation(images, self.steps, &title)?))?;
        out.result(
            format!(
                "{} of {} codes each: {}",
                super::counted(pairs.len(), "way"),
                self.steps,
                path(&target.path)
            ),
            &json!({ "pairs": pairs, "steps": self.steps, "condition": self.conditions.given(), "out": json_path(&target.path), "seed": self.files.seed() }),
        );
        Ok(ExitCode::SUCCESS)
    }
}
